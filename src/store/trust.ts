import type { TrustRecord, TrustStore } from "../service/ports.ts"
import type { Administer } from "./administer.ts"
import { type Database, guard } from "./database.ts"
import { digestOfId } from "./digest.ts"
import { lockTrust } from "./fence.ts"
import { createPending, PENDING_MAX } from "./pending.ts"
import { ask, rowsOf, statement, type Work } from "./statement.ts"
import { addTrust, removeFromTrust } from "./trust-change.ts"
import { anchorFrom, crlFrom, ekFrom, intermediateFrom } from "./trust-row.ts"
import {
  checkBounds,
  checkGeneration,
  moveState,
  selectState,
  stateFrom,
  stateOf,
  TRUST_BOUNDS,
  type TrustCounts,
  trustNotFound,
} from "./trust-state.ts"

/** A scan holds up others. */
const LISTED_MAX = 1000

/** How much of everything there may be for each tenant. */
export interface TrustOptions {
  readonly bounds?: Partial<TrustCounts>
  readonly pendingMax?: number
}

type OfTenant = { tenant: string }

const selectAnchors = statement<OfTenant>((builder, at) =>
  builder.selectFrom("trust_anchors").selectAll().where("tenant", "=", at("tenant")).orderBy("id"),
)
const selectIntermediates = statement<OfTenant>((builder, at) =>
  builder.selectFrom("trust_intermediates").selectAll().where("tenant", "=", at("tenant")).orderBy("id"),
)
const selectCrls = statement<OfTenant>((builder, at) =>
  builder.selectFrom("trust_crls").selectAll().where("tenant", "=", at("tenant")).orderBy("source"),
)
const selectEk = statement<{ tenant: string; digest: Uint8Array }>((builder, at) =>
  builder
    .selectFrom("listed_eks")
    .selectAll()
    .where("tenant", "=", at("tenant"))
    .where("digest", "=", at("digest")),
)
const selectEks = statement<{ tenant: string; after: Uint8Array; max: number }>((builder, at) =>
  builder
    .selectFrom("listed_eks")
    .selectAll()
    .where("tenant", "=", at("tenant"))
    .where("digest", ">", at("after"))
    .orderBy("digest")
    .limit(at("max")),
)

/** Trust in a database. An import, however large, is one transaction. */
export function createTrust(
  database: Database,
  administer: Administer,
  options: TrustOptions = {},
): TrustStore {
  const bounds = { ...TRUST_BOUNDS, ...options.bounds }
  return {
    ...createPending(database, administer, options.pendingMax ?? PENDING_MAX),

    trustState: (tenant) =>
      guard(async () => {
        const [row] = (await database.ask(selectState({ tenant }))).rows
        const { generation, anchors, intermediates, crls, eks } = stateFrom(row)
        return { generation, anchors, intermediates, crls, eks }
      }),

    trust: (tenant) => guard(() => database.read(() => readTrust(tenant))),

    importTrust: (tenant, parts, act, expectedGeneration) =>
      administer.long(tenant, act, function* () {
        yield* ask(lockTrust({ tenant }))
        const before = yield* stateOf(tenant)
        checkGeneration(before.generation, expectedGeneration)
        const { counts, added, changed } = yield* addTrust(tenant, parts, act.at)
        if (added + changed === 0) return madeOf({ generation: before.generation, added, changed })
        const state = yield* moveState(tenant, before, counts)
        checkBounds(state, bounds)
        return madeOf({ generation: state.generation, added, changed })
      }),

    removeTrust: (tenant, id, act) =>
      administer.long(tenant, act, function* () {
        yield* ask(lockTrust({ tenant }))
        const key = digestOfId(id)
        const counts = key === undefined ? undefined : yield* removeFromTrust(tenant, key)
        if (counts === undefined) throw trustNotFound(id)
        const { generation } = yield* moveState(tenant, yield* stateOf(tenant), counts)
        return madeOf({ generation })
      }),

    listedEk: (tenant, digest) =>
      guard(async () => {
        const [row] = (await database.ask(selectEk({ tenant, digest }))).rows
        return row === undefined ? undefined : ekFrom(row)
      }),

    listedEks: (tenant, after = new Uint8Array(), most) =>
      guard(async () => {
        const max = Math.min(Math.max(1, most), LISTED_MAX)
        return (await database.ask(selectEks({ tenant, after, max }))).rows.map(ekFrom)
      }),
  }
}

function* readTrust(tenant: string): Work<TrustRecord> {
  const state = yield* stateOf(tenant)
  const anchors = (yield* rowsOf(selectAnchors({ tenant }))).map(anchorFrom)
  const intermediates = (yield* rowsOf(selectIntermediates({ tenant }))).map(intermediateFrom)
  const crls = (yield* rowsOf(selectCrls({ tenant }))).map(crlFrom)
  // A row that is gone would be an anchor, or a revocation, that nobody removed.
  if (
    anchors.length !== state.anchors ||
    intermediates.length !== state.intermediates ||
    crls.length !== state.crls
  )
    throw new Error("the rows of trust are not as many as were stored")
  return { generation: state.generation, anchors, intermediates, crls }
}

/** What the record of a change tells of trust. */
const madeOf = <T extends { readonly generation: number }>(value: T) => ({
  value,
  revisions: { device: undefined, policy: undefined, trust: value.generation },
})
