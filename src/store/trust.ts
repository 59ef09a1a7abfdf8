/**
 * Trust in SQLite. Every method is one statement or one transaction, also a very large import: all methods share one
 * connection, and a turn of the event loop in the middle of a transaction would let other calls into it.
 */

import type { DatabaseSync } from "node:sqlite"
import type { TrustRecord, TrustStore } from "../service/ports.ts"
import { guard, readTransaction, transaction } from "./database.ts"
import { digestOfId } from "./digest.ts"
import { createSqlitePending, PENDING_MAX } from "./pending.ts"
import { prepareAdditions, prepareRemovals } from "./trust-change.ts"
import { anchorFrom, crlFrom, ekFrom, intermediateFrom } from "./trust-row.ts"
import {
  checkBounds,
  checkGeneration,
  createTrustStates,
  TRUST_BOUNDS,
  type TrustCounts,
  trustNotFound,
} from "./trust-state.ts"

/** A scan blocks the event loop. */
const LISTED_MAX = 1000

/** How much of everything there may be for each tenant. */
export interface TrustOptions {
  readonly bounds?: Partial<TrustCounts>
  readonly pendingMax?: number
}

/** The trust store in SQLite. */
export function createSqliteTrust(database: DatabaseSync, options: TrustOptions = {}): TrustStore {
  const bounds = { ...TRUST_BOUNDS, ...options.bounds }
  const states = createTrustStates(database)
  const add = prepareAdditions(database)
  const remove = prepareRemovals(database)
  const selectAnchors = database.prepare("SELECT * FROM trust_anchors WHERE tenant = ? ORDER BY id")
  const selectIntermediates = database.prepare(
    "SELECT * FROM trust_intermediates WHERE tenant = ? ORDER BY id",
  )
  const selectCrls = database.prepare("SELECT * FROM trust_crls WHERE tenant = ? ORDER BY source")
  const selectEk = database.prepare("SELECT * FROM listed_eks WHERE tenant = ? AND digest = ?")
  const selectEks = database.prepare(
    "SELECT * FROM listed_eks WHERE tenant = ? AND digest > ? ORDER BY digest LIMIT ?",
  )

  return {
    ...createSqlitePending(database, options.pendingMax ?? PENDING_MAX),

    trustState: async (tenant) =>
      guard(() => {
        const { generation, anchors, intermediates, crls, eks } = states.of(tenant)
        return { generation, anchors, intermediates, crls, eks }
      }),

    trust: async (tenant) =>
      guard(() =>
        readTransaction(database, (): TrustRecord => {
          const state = states.of(tenant)
          const anchors = selectAnchors.all(tenant).map(anchorFrom)
          const intermediates = selectIntermediates.all(tenant).map(intermediateFrom)
          const crls = selectCrls.all(tenant).map(crlFrom)
          // A row that is gone would be an anchor, or a revocation, that nobody removed.
          if (
            anchors.length !== state.anchors ||
            intermediates.length !== state.intermediates ||
            crls.length !== state.crls
          )
            throw new Error("the rows of trust are not as many as were stored")
          return { generation: state.generation, anchors, intermediates, crls }
        }),
      ),

    importTrust: async (tenant, parts, at, expectedGeneration) =>
      guard(() =>
        transaction(database, () => {
          const before = states.of(tenant)
          checkGeneration(before.generation, expectedGeneration)
          const { counts, added, changed } = add(tenant, parts, at)
          if (added + changed === 0) return { generation: before.generation, added, changed }
          const state = states.move(tenant, counts)
          checkBounds(state, bounds)
          return { generation: state.generation, added, changed }
        }),
      ),

    removeTrust: async (tenant, id) =>
      guard(() =>
        transaction(database, () => {
          const key = digestOfId(id)
          const counts = key === undefined ? undefined : remove(tenant, key)
          if (counts === undefined) throw trustNotFound(id)
          return { generation: states.move(tenant, counts).generation }
        }),
      ),

    listedEk: async (tenant, digest) =>
      guard(() => {
        const row = selectEk.get(tenant, digest)
        return row === undefined ? undefined : ekFrom(row)
      }),

    listedEks: async (tenant, after, max) =>
      guard(() => {
        const limit = Math.min(Math.max(1, max), LISTED_MAX)
        return selectEks.all(tenant, after ?? new Uint8Array(), limit).map(ekFrom)
      }),
  }
}
