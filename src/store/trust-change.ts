import { sql } from "kysely"
import { toHex } from "../bytes.ts"
import type { TrustImport } from "../service/ports.ts"
import { checkDigest, digestOfId } from "./digest.ts"
import { blob, instantColumn, integer } from "./row.ts"
import { type Ask, askAll, changesOf, rowsOf, statement, type Work } from "./statement.ts"
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

type AnchorSettings = {
  tenant: string
  id: Uint8Array
  label: string
  purpose: string
  revocation: string
  provenance: string
  digest: Uint8Array
}

const insertAnchor = statement<AnchorSettings & { certificate: Uint8Array; at: number }>((builder, at) =>
  builder
    .insertInto("trust_anchors")
    .values({
      tenant: at("tenant"),
      id: at("id"),
      certificate: at("certificate"),
      label: at("label"),
      purpose: at("purpose"),
      revocation: at("revocation"),
      provenance: at("provenance"),
      added_at: at("at"),
      digest: at("digest"),
    })
    .onConflict((conflict) => conflict.doNothing()),
)

const updateAnchor = statement<AnchorSettings>((builder, at) =>
  builder
    .updateTable("trust_anchors")
    .set({
      label: at("label"),
      purpose: at("purpose"),
      revocation: at("revocation"),
      provenance: at("provenance"),
      digest: at("digest"),
    })
    .where("tenant", "=", at("tenant"))
    .where("id", "=", at("id"))
    .where("digest", "<>", at("digest")),
)

const insertIntermediate = statement<{
  tenant: string
  id: Uint8Array
  certificate: Uint8Array
  source: string
  at: number
}>((builder, at) =>
  builder
    .insertInto("trust_intermediates")
    .values({
      tenant: at("tenant"),
      id: at("id"),
      certificate: at("certificate"),
      source: at("source"),
      added_at: at("at"),
    })
    .onConflict((conflict) => conflict.doNothing()),
)

const selectCrl = statement<{ tenant: string; source: string }>((builder, at) =>
  builder
    .selectFrom("trust_crls")
    .select(["id", sql<number>`length(crl)`.as("size")])
    .where("tenant", "=", at("tenant"))
    .where("source", "=", at("source")),
)

const putCrl = statement<{ tenant: string; source: string; id: Uint8Array; at: number; crl: Uint8Array }>(
  (builder, at) => {
    const kept = { id: at("id"), added_at: at("at"), crl: at("crl") }
    return builder
      .insertInto("trust_crls")
      .values({ tenant: at("tenant"), source: at("source"), ...kept })
      .onConflict((conflict) => conflict.columns(["tenant", "source"]).doUpdateSet(kept))
  },
)

const insertEk = statement<{ tenant: string; digest: Uint8Array; label: string; at: number }>((builder, at) =>
  builder
    .insertInto("listed_eks")
    .values({ tenant: at("tenant"), digest: at("digest"), label: at("label"), added_at: at("at") })
    .onConflict((conflict) => conflict.doNothing()),
)

/** Adds what is not there. The caller has locked the tenant's trust, and moves its state. */
export function* addTrust(tenant: string, parts: TrustImport, addedAt: Date): Work<Additions> {
  const at = instantColumn(addedAt)
  const anchors = yield* addAnchors(tenant, parts, at)
  const intermediates = yield* addEach(
    parts.intermediates.map(({ id, certificate, source }) =>
      insertIntermediate({ tenant, id: checkedId(id, certificate), certificate, source, at }),
    ),
  )
  const crls = yield* addCrls(tenant, parts, at)
  const eks = yield* addEach(
    // In the order of the table, for pages are written once then.
    parts.eks
      .toSorted((a, b) => Buffer.compare(a.digest, b.digest))
      .map(({ digest, label }) => insertEk({ tenant, digest, label, at })),
  )
  return {
    counts: { anchors: anchors.added, intermediates, crls: crls.added, crlBytes: crls.bytes, eks },
    added: anchors.added + intermediates + crls.added + crls.replaced + eks,
    changed: anchors.changed,
  }
}

/** How many of them changed a row. */
function* addEach(asks: readonly Ask[]): Work<number> {
  return (yield* askAll(asks)).reduce((sum, { changes }) => sum + changes, 0)
}

function* addAnchors(
  tenant: string,
  parts: TrustImport,
  at: number,
): Work<{ readonly added: number; readonly changed: number }> {
  const anchors = [...lastOfEach(parts.anchors, ({ id }) => id)].map((anchor) => ({
    certificate: anchor.certificate,
    settings: {
      tenant,
      id: checkedId(anchor.id, anchor.certificate),
      label: anchor.label,
      purpose: anchor.purpose,
      revocation: anchor.revocation,
      provenance: anchor.provenance,
      digest: settingsDigest(tenant, anchor),
    },
  }))
  const inserted = yield* askAll(
    anchors.map(({ certificate, settings }) => insertAnchor({ ...settings, certificate, at })),
  )
  const known = anchors.filter((_, i) => inserted[i]?.changes === 0)
  const changed = yield* addEach(known.map(({ settings }) => updateAnchor(settings)))
  return { added: anchors.length - known.length, changed }
}

function* addCrls(
  tenant: string,
  parts: TrustImport,
  at: number,
): Work<{ readonly added: number; readonly replaced: number; readonly bytes: number }> {
  let [added, replaced, bytes] = [0, 0, 0]
  const lists = [...lastOfEach(parts.crls, (list) => list.source)]
  const before = yield* askAll(lists.map(({ source }) => selectCrl({ tenant, source })))
  const puts: Ask[] = []
  for (const [i, { source, id, crl }] of lists.entries()) {
    const key = checkedId(id, crl)
    const older = before[i]?.rows[0]
    if (older !== undefined && toHex(blob(older, "id")) === id) continue
    puts.push(putCrl({ tenant, source, id: key, at, crl }))
    if (older === undefined) added++
    else replaced++
    bytes += crl.length - (older === undefined ? 0 : integer(older, "size"))
  }
  yield* askAll(puts)
  return { added, replaced, bytes }
}

type OfId = { tenant: string; id: Uint8Array }

const deleteAnchor = statement<OfId>((builder, at) =>
  builder.deleteFrom("trust_anchors").where("tenant", "=", at("tenant")).where("id", "=", at("id")),
)
const deleteIntermediate = statement<OfId>((builder, at) =>
  builder.deleteFrom("trust_intermediates").where("tenant", "=", at("tenant")).where("id", "=", at("id")),
)
const deleteCrls = statement<OfId>((builder, at) =>
  builder
    .deleteFrom("trust_crls")
    .where("tenant", "=", at("tenant"))
    .where("id", "=", at("id"))
    .returning(sql<number>`length(crl)`.as("size")),
)
const deleteEk = statement<OfId>((builder, at) =>
  builder.deleteFrom("listed_eks").where("tenant", "=", at("tenant")).where("digest", "=", at("id")),
)

/** Removes whatever has an id, and gives what to count; nothing if nothing has it. The caller has locked the trust. */
export function* removeFromTrust(tenant: string, id: Uint8Array): Work<TrustCounts | undefined> {
  const anchors = yield* changesOf(deleteAnchor({ tenant, id }))
  const intermediates = yield* changesOf(deleteIntermediate({ tenant, id }))
  const sizes = (yield* rowsOf(deleteCrls({ tenant, id }))).map((row) => integer(row, "size"))
  const eks = yield* changesOf(deleteEk({ tenant, id }))
  if (anchors + intermediates + sizes.length + eks === 0) return undefined
  return {
    anchors: -anchors,
    intermediates: -intermediates,
    crls: -sizes.length,
    crlBytes: -sizes.reduce((sum, size) => sum + size, 0),
    eks: -eks,
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
