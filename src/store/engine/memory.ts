/**
 * The engine of one process. The key and the set of what was spent live in this object alone and end together, so a
 * challenge from before a restart does not open and cannot be replayed into.
 */

import { createSecretKey, type KeyObject } from "node:crypto"
import { latin1, sameBytes } from "../../bytes.ts"
import type { AssayError } from "../../errors.ts"
import type { OpenedValue, Random } from "../../service/ports.ts"
import type { Engine } from "./engine.ts"
import {
  createSealer,
  expiredCount,
  expiredValue,
  fullStore,
  isLive,
  KEY_BYTES,
  KEY_ID_BYTES,
  keyIdOf,
  type SealingKey,
  spentValue,
  unknownValue,
} from "./sealing.ts"
import { SpentSet } from "./spent.ts"

/** About 100 MB, and more than 8000 good answers a second for two minutes. */
const SPENT_MAX = 1_000_000
/** There is no other state of the store than the one that lives as long as the key. */
const FENCE = ""

/** What is right unless somebody knows better. */
export interface MemoryOptions {
  readonly spentMax?: number
  /** What challenges that are under way may take, so that they open for less. */
  readonly underWayBytes?: number
  /** A key that no other process ever sealed with. */
  readonly sealing?: SealingKey
  /** One that processes may share: epochs are the same for all, and nothing of them is used up. */
  readonly epoch?: KeyObject
}

/** A new key to seal with. @throws {AssayError} RNG. */
export const createSealingKey = (random: Random): SealingKey => ({
  key: createSecretKey(random.bytes(KEY_BYTES)),
  id: random.bytes(KEY_ID_BYTES),
})

/**
 * An engine in memory, for one process.
 *
 * At most `spentMax` spent values that have not expired are remembered, and as many that were tried; then both refuse, for
 * whoever forgets one lets it be used twice.
 *
 * @throws {AssayError} RNG.
 */
export function createMemoryEngine(random: Random, options: MemoryOptions = {}): Engine {
  const { sealing = createSealingKey(random), epoch: epochKey = createSecretKey(random.bytes(KEY_BYTES)) } =
    options
  const sealer = createSealer(random, options.underWayBytes)
  const spentMax = options.spentMax ?? SPENT_MAX
  const spent = new SpentSet(spentMax)
  const tried = new SpentSet(spentMax)
  const counted = new SpentSet(spentMax)
  let sealedCount = 0
  let spentCount = 0

  const refuseSpent = (value: OpenedValue): void => {
    if (spent.has(value.key, value.expiresAt)) throw spentValue(value)
  }
  const refuseExpired = (value: OpenedValue, at: Date): void => {
    if (!isLive(value.expiresAt, at) || spent.isForgotten(value.expiresAt)) throw expiredValue(value)
  }

  return {
    singleUse: {
      async seal(value) {
        const sealed = sealer.seal(value, sealing, FENCE)
        sealedCount++
        return sealed
      },
      async open(purpose, sealed, at) {
        if (!sameBytes(keyIdOf(purpose, sealed), sealing.id)) throw unknownValue(purpose)
        const value = sealer.open(purpose, sealed, sealing)
        refuseSpent(value)
        refuseExpired(value, at)
        return value
      },
      // No await before any end: nothing can come between the question and the answer.
      attempt: async (value, at) =>
        addUse(tried, value.key, value.expiresAt, at) ?? refuse(expiredValue(value)),
      count: async (tenant, id, until, at) =>
        addUse(counted, `${tenant}/${latin1(id)}`, until, at) ?? refuse(expiredCount()),
      async spend(value, at) {
        spent.forgetExpired(at)
        refuseExpired(value, at)
        refuseSpent(value)
        if (spent.isFull) throw fullStore()
        spent.add(value.key, value.expiresAt)
        spentCount++
      },
    },
    epochKey: async () => epochKey,
    counts: () => ({ created: sealedCount, spent: spentCount, outstanding: spent.size }),
    unready: () => undefined,
    close: async () => {},
  }
}

/** How many uses there are with this one; nothing if those before may be forgotten, or its time is over. */
const addUse = (set: SpentSet, key: string, until: Date, at: Date): number | undefined => {
  set.forgetExpired(at)
  if (!isLive(until, at) || set.isForgotten(until)) return undefined
  if (set.isFull && !set.has(key, until)) throw fullStore()
  return set.add(key, until)
}

const refuse = (error: AssayError): never => {
  throw error
}
