import type { DatabaseSync } from "node:sqlite"
import { toHex } from "../bytes.ts"
import type { TrustImport } from "../service/ports.ts"
import { checkDigest, digestOfId } from "./digest.ts"
import { blob, integer } from "./row.ts"
import { settingsDigest } from "./trust-row.ts"
import type { TrustCounts } from "./trust-state.ts"

/** What an import did. */
interface Additions {
  /** How much more there is of each sort. */
  readonly counts: TrustCounts
  /** How many records were not there before. */
  readonly added: number
  /** How many anchors have other settings than before. */
  readonly changed: number
}

/** Adds what is not there. The caller holds a transaction, and moves the state. */
export function prepareAdditions(
  database: DatabaseSync,
): (tenant: string, parts: TrustImport, at: Date) => Additions {
  const insertAnchor = database.prepare(
    `INSERT INTO trust_anchors (label, purpose, revocation, provenance, digest, tenant, id, certificate, added_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  )
  const updateAnchor = database.prepare(
    `UPDATE trust_anchors SET label = ?1, purpose = ?2, revocation = ?3, provenance = ?4, digest = ?5
     WHERE tenant = ?6 AND id = ?7 AND digest <> ?5`,
  )
  const insertIntermediate = database.prepare(
    `INSERT INTO trust_intermediates (tenant, id, certificate, source, added_at)
     VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  )
  const selectCrl = database.prepare(
    "SELECT id, length(crl) AS size FROM trust_crls WHERE tenant = ? AND source = ?",
  )
  const putCrl = database.prepare(
    `INSERT INTO trust_crls (tenant, source, id, added_at, crl) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (tenant, source) DO UPDATE SET id = excluded.id, added_at = excluded.added_at, crl = excluded.crl`,
  )
  const insertEk = database.prepare(
    "INSERT INTO listed_eks (tenant, digest, label, added_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
  )

  return (tenant, parts, at) => {
    const ms = at.getTime()
    const counts = { anchors: 0, intermediates: 0, crls: 0, crlBytes: 0, eks: 0 }
    let changed = 0
    let replacedCrls = 0

    for (const anchor of lastOfEach(parts.anchors, ({ id }) => id)) {
      const id = checkedId(anchor.id, anchor.certificate)
      const { label, purpose, revocation, provenance } = anchor
      const settings = [
        label,
        purpose,
        revocation,
        provenance,
        settingsDigest(tenant, anchor),
        tenant,
        id,
      ] as const
      const isNew = insertAnchor.run(...settings, anchor.certificate, ms).changes > 0
      if (isNew) counts.anchors++
      else changed += Number(updateAnchor.run(...settings).changes)
    }
    for (const { id, certificate, source } of parts.intermediates)
      counts.intermediates += Number(
        insertIntermediate.run(tenant, checkedId(id, certificate), certificate, source, ms).changes,
      )
    for (const { source, id, crl } of lastOfEach(parts.crls, (list) => list.source)) {
      const key = checkedId(id, crl)
      const older = selectCrl.get(tenant, source)
      if (older !== undefined && toHex(blob(older, "id")) === id) continue
      putCrl.run(tenant, source, key, ms, crl)
      if (older === undefined) counts.crls++
      else replacedCrls++
      counts.crlBytes += crl.length - (older === undefined ? 0 : integer(older, "size"))
    }
    // In the order of the table, for pages are written once then.
    for (const { digest, label } of parts.eks.toSorted((a, b) => Buffer.compare(a.digest, b.digest)))
      counts.eks += Number(insertEk.run(tenant, digest, label, ms).changes)

    const added = counts.anchors + counts.intermediates + counts.crls + replacedCrls + counts.eks
    return { counts, added, changed }
  }
}

/** Removes whatever has an id, and gives what to count; nothing if nothing has it. The caller holds a transaction. */
export function prepareRemovals(
  database: DatabaseSync,
): (tenant: string, id: Uint8Array) => TrustCounts | undefined {
  const anchor = database.prepare("DELETE FROM trust_anchors WHERE tenant = ? AND id = ?")
  const intermediate = database.prepare("DELETE FROM trust_intermediates WHERE tenant = ? AND id = ?")
  const crl = database.prepare(
    "DELETE FROM trust_crls WHERE tenant = ? AND id = ? RETURNING length(crl) AS size",
  )
  const ek = database.prepare("DELETE FROM listed_eks WHERE tenant = ? AND digest = ?")

  return (tenant, id) => {
    const anchors = Number(anchor.run(tenant, id).changes)
    const intermediates = Number(intermediate.run(tenant, id).changes)
    const sizes = crl.all(tenant, id).map((row) => integer(row, "size"))
    const eks = Number(ek.run(tenant, id).changes)
    if (anchors + intermediates + sizes.length + eks === 0) return undefined
    return {
      anchors: -anchors,
      intermediates: -intermediates,
      crls: -sizes.length,
      crlBytes: -sizes.reduce((sum, size) => sum + size, 0),
      eks: -eks,
    }
  }
}

/** One item of each key, the last: two settings for one anchor would change at every import of both. */
const lastOfEach = <T>(items: readonly T[], keyOf: (item: T) => string): Iterable<T> =>
  new Map(items.map((item) => [keyOf(item), item])).values()

/** The bytes of an id that names `bytes`. */
const checkedId = (id: string, bytes: Uint8Array): Uint8Array => {
  const digest = digestOfId(id)
  if (digest === undefined) throw new TypeError("an id is a SHA-256 in lowercase hexadecimal")
  checkDigest(bytes, digest, "what is imported")
  return digest
}
