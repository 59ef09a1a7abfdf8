import { sql } from "kysely"
import { toHex } from "../bytes.ts"
import type { PendingEntry, TrustStore } from "../service/ports.ts"
import type { Administer } from "./administer.ts"
import { chainColumn, chainFrom, shownPart } from "./chain.ts"
import { type Database, guard } from "./database.ts"
import { digestOfId } from "./digest.ts"
import { lockTrust } from "./fence.ts"
import { blob, instant, instantColumn, integer, type Row, text } from "./row.ts"
import { ask, changesOf, statement } from "./statement.ts"
import type { Builder } from "./tables.ts"
import { trustNotFound } from "./trust-state.ts"

/** Anybody with a certificate can add one. */
export const PENDING_MAX = 1000

type OfTenant = { tenant: string }
type OfId = { tenant: string; id: Uint8Array }

const countAgain = statement<OfId & { at: number }>((builder, at) =>
  builder
    .updateTable("pending_issuers")
    .set((set) => ({
      count: set("count", "+", 1),
      last_seen_at: set
        .case()
        .when("last_seen_at", ">", at("at"))
        .then(set.ref("last_seen_at"))
        .else(at("at"))
        .end(),
    }))
    .where("tenant", "=", at("tenant"))
    .where("id", "=", at("id")),
)

const giveWay = statement<OfTenant & { kept: number }>((builder, at) =>
  builder
    .deleteFrom("pending_issuers")
    .where("tenant", "=", at("tenant"))
    .where("id", "in", (all) =>
      all
        .selectFrom("pending_issuers")
        .select("id")
        .where("tenant", "=", at("tenant"))
        .orderBy("last_seen_at", "desc")
        .orderBy("id")
        // SQLite knows no offset without a limit.
        .limit(sql.lit(Number.MAX_SAFE_INTEGER))
        .offset(at("kept")),
    ),
)

const insert = statement<OfId & { issuer: string; chain: Uint8Array | null; at: number }>((builder, at) =>
  builder.insertInto("pending_issuers").values({
    tenant: at("tenant"),
    id: at("id"),
    issuer: at("issuer"),
    chain: at("chain"),
    first_seen_at: at("at"),
    last_seen_at: at("at"),
    count: 1,
  }),
)

const entriesIn = (builder: Builder) =>
  builder
    .selectFrom("pending_issuers")
    .select(["tenant", "id", "issuer", "first_seen_at", "last_seen_at", "count"])

const selectAll = statement<OfTenant>((builder, at) =>
  entriesIn(builder).where("tenant", "=", at("tenant")).orderBy("last_seen_at", "desc").orderBy("id"),
)

const selectOne = statement<OfId>((builder, at) =>
  entriesIn(builder).select("chain").where("tenant", "=", at("tenant")).where("id", "=", at("id")),
)

const count = statement<OfTenant>((builder, at) =>
  builder
    .selectFrom("pending_issuers")
    .select((of) => of.fn.countAll().as("issuers"))
    .where("tenant", "=", at("tenant")),
)

const remove = statement<OfId>((builder, at) =>
  builder.deleteFrom("pending_issuers").where("tenant", "=", at("tenant")).where("id", "=", at("id")),
)

/** Unknown issuers in a database. None of them is trusted, so none of this moves the generation of trust. */
export const createPending = (
  database: Database,
  administer: Administer,
  max: number,
): Pick<
  TrustStore,
  "notePending" | "pendingIssuers" | "pendingIssuer" | "countPending" | "dismissPending"
> => ({
  notePending: (tenant, { id: name, issuer, chain }, seenAt) =>
    guard(() =>
      database.write(function* () {
        const id = digestOfId(name)
        if (id === undefined) throw new TypeError("the id of an issuer is a SHA-256 in hexadecimal")
        const at = instantColumn(seenAt)
        yield* ask(lockTrust({ tenant }))
        if ((yield* changesOf(countAgain({ tenant, id, at }))) > 0) return
        yield* ask(giveWay({ tenant, kept: max - 1 }))
        yield* ask(insert({ tenant, id, issuer, chain: chainColumn(shownPart(chain)), at }))
      }),
    ),

  pendingIssuers: (tenant) =>
    guard(async () => (await database.ask(selectAll({ tenant }))).rows.map(entryFrom)),

  pendingIssuer: (tenant, name) =>
    guard(async () => {
      const id = digestOfId(name)
      const row = id === undefined ? undefined : (await database.ask(selectOne({ tenant, id }))).rows[0]
      if (row === undefined) throw trustNotFound(name)
      return { ...entryFrom(row), chain: chainFrom(row, "chain") }
    }),

  countPending: (tenant) =>
    guard(async () => {
      const [row] = (await database.ask(count({ tenant }))).rows
      return row === undefined ? 0 : integer(row, "issuers")
    }),

  dismissPending: (tenant, name, act) =>
    administer(tenant, act, function* () {
      const id = digestOfId(name)
      if (id === undefined || (yield* changesOf(remove({ tenant, id }))) === 0) throw trustNotFound(name)
      return { value: undefined }
    }),
})

const entryFrom = (row: Row): PendingEntry => ({
  tenant: text(row, "tenant"),
  id: toHex(blob(row, "id")),
  issuer: text(row, "issuer"),
  firstSeenAt: instant(row, "first_seen_at"),
  lastSeenAt: instant(row, "last_seen_at"),
  count: integer(row, "count"),
})
