/**
 * The fence of a tenant, for PostgreSQL, where several replicas write at a time: administrative changes take it alone, and
 * commits of verifications share it, so that what a commit compares does not move before it ends. It is an advisory lock,
 * whose queue is fair: a change does not wait for a gap between verifications. SQLite has one writer at a time and needs none.
 *
 * What is locked in one transaction is locked in this order, so that no two wait for each other: the tenant's trust, the
 * fence, devices in the order of tenants and ids, the head of a journal.
 */

import { sql } from "kysely"
import { integer } from "./row.ts"
import { type Build, rowOf, statement, type Work } from "./statement.ts"

type OfTenant = { tenant: string }

const fence =
  (isShared: boolean): Build<OfTenant> =>
  (builder, at, dialect) => {
    const take = isShared ? sql.raw("pg_advisory_xact_lock_shared") : sql.raw("pg_advisory_xact_lock")
    const lock = sql`SELECT ${take}(hashtextextended(${at("tenant")}, 0))`
    return dialect === "sqlite" ? undefined : { compile: () => lock.compile(builder) }
  }

/** Keeps everybody else out who changes the tenant's trust until this transaction ends. */
export const lockTrust = statement<OfTenant>((builder, at, dialect) => {
  const lock = sql`SELECT pg_advisory_xact_lock(hashtextextended(${at("tenant")}, 1))`
  return dialect === "sqlite" ? undefined : { compile: () => lock.compile(builder) }
})

/** Keeps every administrative change of the tenant out until this transaction ends. */
export const shareFence = statement<OfTenant>(fence(true))

/** Keeps everybody else out who changes or commits anything of the tenant until this transaction ends. */
export const closeFence = statement<OfTenant>(fence(false))

/** Of the row of a tenant, which has none before its first change. */
export const selectRevision = statement<OfTenant>((builder, at) =>
  builder.selectFrom("tenants").select("revision").where("tenant", "=", at("tenant")),
)

const moveRevision = statement<OfTenant>((builder, at) =>
  builder
    .updateTable("tenants")
    .set((set) => ({ revision: set("revision", "+", 1) }))
    .where("tenant", "=", at("tenant"))
    .returning("revision"),
)

const firstRevision = statement<OfTenant>((builder, at) =>
  builder
    .insertInto("tenants")
    .values({ tenant: at("tenant"), revision: 1 })
    .returning("revision"),
)

/**
 * Moves the tenant's revision on, and gives the new one. The caller has closed the fence. PostgreSQL tells whoever listens
 * on `assay_revision` when it is committed.
 */
export function* moveOn(tenant: string): Work<number> {
  const row = (yield* rowOf(moveRevision({ tenant }))) ?? (yield* rowOf(firstRevision({ tenant })))
  if (row === undefined) throw new Error("no revision came back")
  return integer(row, "revision")
}
