import type { DatabaseSync } from "node:sqlite"
import { toHex } from "../bytes.ts"
import type { PendingEntry, PendingIssuer, TrustStore } from "../service/ports.ts"
import { chainColumn, chainFrom, shownPart } from "./chain.ts"
import { guard, transaction } from "./database.ts"
import { digestOfId } from "./digest.ts"
import { blob, instant, integer, type Row, text } from "./row.ts"
import { trustNotFound } from "./trust-state.ts"

/** Anybody with a certificate can add one. */
export const PENDING_MAX = 1000

/** Unknown issuers in SQLite. None of them is trusted, so none of this moves the generation of trust. */
export function createSqlitePending(
  database: DatabaseSync,
  max: number,
): Pick<TrustStore, "notePending" | "pendingIssuers" | "pendingIssuer" | "countPending" | "dismissPending"> {
  const countAgain = database.prepare(
    `UPDATE pending_issuers SET count = count + 1, last_seen_at = max(last_seen_at, ?)
     WHERE tenant = ? AND id = ?`,
  )
  const giveWay = database.prepare(
    `DELETE FROM pending_issuers WHERE tenant = ? AND id IN (
       SELECT id FROM pending_issuers WHERE tenant = ? ORDER BY last_seen_at DESC, id LIMIT -1 OFFSET ?)`,
  )
  const insert = database.prepare(
    `INSERT INTO pending_issuers (tenant, id, issuer, chain, first_seen_at, last_seen_at, count)
     VALUES (?, ?, ?, ?, ?, ?, 1)`,
  )
  const selectAll = database.prepare(
    `SELECT ${ENTRY_COLUMNS} FROM pending_issuers WHERE tenant = ? ORDER BY last_seen_at DESC, id`,
  )
  const select = database.prepare(
    `SELECT ${ENTRY_COLUMNS}, chain FROM pending_issuers WHERE tenant = ? AND id = ?`,
  )
  const count = database.prepare("SELECT count(*) AS issuers FROM pending_issuers WHERE tenant = ?")
  const remove = database.prepare("DELETE FROM pending_issuers WHERE tenant = ? AND id = ?")

  return {
    notePending: async (tenant, { id, issuer, chain }, at) =>
      guard(() =>
        transaction(database, () => {
          const key = digestOfId(id)
          if (key === undefined) throw new TypeError("the id of an issuer is a SHA-256 in hexadecimal")
          const ms = at.getTime()
          if (countAgain.run(ms, tenant, key).changes > 0) return
          giveWay.run(tenant, tenant, max - 1)
          insert.run(tenant, key, issuer, chainColumn(shownPart(chain)), ms, ms)
        }),
      ),

    pendingIssuers: async (tenant) => guard(() => selectAll.all(tenant).map(entryFrom)),

    pendingIssuer: async (tenant, id) =>
      guard((): PendingIssuer => {
        const key = digestOfId(id)
        const row = key === undefined ? undefined : select.get(tenant, key)
        if (row === undefined) throw trustNotFound(id)
        return { ...entryFrom(row), chain: chainFrom(row, "chain") }
      }),

    countPending: async (tenant) =>
      guard(() => {
        const row = count.get(tenant)
        return row === undefined ? 0 : integer(row, "issuers")
      }),

    dismissPending: async (tenant, id) =>
      guard(() => {
        const key = digestOfId(id)
        if (key === undefined || remove.run(tenant, key).changes === 0) throw trustNotFound(id)
      }),
  }
}

const ENTRY_COLUMNS = "tenant, id, issuer, first_seen_at, last_seen_at, count"

const entryFrom = (row: Row): PendingEntry => ({
  tenant: text(row, "tenant"),
  id: toHex(blob(row, "id")),
  issuer: text(row, "issuer"),
  firstSeenAt: instant(row, "first_seen_at"),
  lastSeenAt: instant(row, "last_seen_at"),
  count: integer(row, "count"),
})
