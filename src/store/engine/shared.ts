/**
 * The engine of many replicas: sealing keys and the memory of what was spent are in a store that all of them reach, and
 * are good for as long as the store is the one that it was. Whoever is not sure of the store refuses: nothing falls
 * back to the memory of one process.
 */

import { AssayError } from "../../errors.ts"
import type { OpenedValue, Random, SingleUse } from "../../service/ports.ts"
import type { Engine, EpochKey } from "./engine.ts"
import type { KeyRecords } from "./key-record.ts"
import { createKeyRing, type KeyRing, periodOf } from "./key-ring.ts"
import type { EngineLink, Use } from "./link.ts"
import {
  createSealer,
  expiredCount,
  expiredValue,
  fullStore,
  isLive,
  keyIdOf,
  nameOf,
  type SealingKey,
  spentValue,
  unknownValue,
} from "./sealing.ts"
import { type ClockOptions, type StoreWatch, watchStore } from "./watch.ts"

/** Between two looks for a key that a value names and that is not known: junk must not keep the store busy. */
const LOOK_AGAIN_MS = 200
/**
 * What was spent is remembered for longer than it lives, by more than two clocks that are believed can differ, or one can
 * be turned without anybody noticing.
 */
const MARGIN_MS = 30_000

/** What an engine of many replicas needs beside its store. */
export interface SharedOptions extends ClockOptions {
  readonly random: Random
  /** How shared keys are encrypted: with the same passphrase on all replicas. */
  readonly records: KeyRecords
}

/**
 * An engine over a store. One that cannot be reached yet is waited for: until then nothing is sealed or spent.
 *
 * @throws {AssayError} INPUT for a store whose settings would forget what it acknowledges, and for keys of another
 *   passphrase; RNG. The link is closed then.
 */
export async function createSharedEngine(link: EngineLink, options: SharedOptions): Promise<Engine> {
  const ring = createKeyRing(options.records)
  const watch = watchStore(link, ring, options)
  const close = async (): Promise<void> => {
    await link.close()
    await watch.close()
  }
  try {
    await watch.look()
  } catch (error) {
    const isToCome = error instanceof AssayError && (error.code === "NONCE_STORE" || error.code === "CLOCK")
    if (!isToCome) {
      await close()
      throw error
    }
  }
  watch.start()
  const counts = { created: 0, spent: 0 }
  return {
    singleUse: createSingleUse(link, ring, watch, options, counts),
    epochKey: createEpochKey(link, ring, watch, options),
    counts: () => ({ ...counts, outstanding: undefined }),
    unready: watch.unready,
    close,
  }
}

const createSingleUse = (
  link: EngineLink,
  ring: KeyRing,
  watch: StoreWatch,
  { random, clock }: SharedOptions,
  counts: { created: number; spent: number },
): SingleUse => {
  const sealer = createSealer(random)
  let lookedAgainMs = Number.NEGATIVE_INFINITY

  /** The key with an id. One that is not known may just have been made by another replica. */
  const keyWith = async (id: Uint8Array): Promise<SealingKey | undefined> => {
    if (ring.sealingKey(id) === undefined && performance.now() - lookedAgainMs > LOOK_AGAIN_MS) {
      lookedAgainMs = performance.now()
      await watch.look()
    }
    return ring.sealingKey(id)
  }
  const use = async (wanted: Use, over: () => AssayError, spent: () => AssayError): Promise<number> => {
    if (watch.sure().isFull) throw fullStore()
    const before = clock.now()
    const until = new Date(wanted.until.getTime() + MARGIN_MS)
    const verdict = await link.use({ ...wanted, until }).catch((error: unknown) => {
      watch.lookSoon()
      throw error
    })
    switch (verdict.kind) {
      case "used":
        watch.checkDrift(verdict.now, before) // whoever has used it with a clock that is off has used it
        return verdict.uses
      case "spent":
        throw spent()
      case "fenced":
        watch.lookSoon() // so that what is sealed next is not stale as well
        throw new AssayError("NONCE_FENCED", `${link.name} was restarted or replaced since: begin anew`)
      case "over":
        throw over()
      case "full":
        throw fullStore()
    }
  }
  const useValue = async (kind: Use["kind"], value: OpenedValue, at: Date): Promise<number> => {
    if (!isLive(value.expiresAt, at)) throw expiredValue(value)
    return use(
      { ...value, kind, what: `${nameOf(value)}-${kind}`, until: value.expiresAt },
      () => expiredValue(value),
      () => spentValue(value),
    )
  }

  return {
    async seal(value) {
      const { fence } = watch.sure()
      const key = ring.currentKey(clock.now())
      if (key === undefined) throw noKey(link)
      const sealed = sealer.seal(value, key, fence)
      counts.created++
      return sealed
    },
    async open(purpose, sealed, at) {
      watch.sure()
      const key = await keyWith(keyIdOf(purpose, sealed))
      if (key === undefined) throw unknownValue(purpose)
      const value = sealer.open(purpose, sealed, key)
      if (!isLive(value.expiresAt, at)) throw expiredValue(value)
      return value
    },
    attempt: (value, at) => useValue("count", value, at),
    async count(tenant, id, until, at) {
      if (!isLive(until, at)) throw expiredCount()
      const counted: Use = { kind: "count", tenant, what: "count", id, until, origin: undefined }
      return use(counted, expiredCount, expiredCount)
    },
    async spend(value, at) {
      await useValue("spend", value, at)
      counts.spent++
    },
  }
}

const createEpochKey =
  (link: EngineLink, ring: KeyRing, watch: StoreWatch, { clock }: SharedOptions): EpochKey =>
  async (startsAt) => {
    watch.sure()
    const key = ring.epochKey(periodOf(startsAt))
    if (key !== undefined) return key
    if (periodOf(startsAt) < periodOf(clock.now()))
      throw new AssayError("EPOCH", "nobody published that epoch: quote again")
    throw noKey(link)
  }

const noKey = ({ name }: EngineLink): AssayError =>
  new AssayError("NONCE_STORE", `${name} has no shared key for now: it is being made`)
