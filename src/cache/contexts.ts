import { LRUCache } from "lru-cache"
import type { CompiledPolicy } from "../appraisal/compile.ts"
import { isRollback } from "../appraisal/rules/clock-order.ts"
import { latin1, sameBytes } from "../bytes.ts"
import type { Certificate } from "../evidence/x509/certificate.ts"
import { type compile, compileKey, ownerOf, readPolicy } from "../service/compile.ts"
import type { Context, Contexts, DeviceRecord, PolicyRecord, Registry } from "../service/ports.ts"
import { createFlights } from "./flights.ts"
import { createPacker, type Packed, unpack } from "./packed.ts"
import { createShares } from "./shares.ts"

/** What devices are judged by, remembered, and the counts since the start. */
export interface CachedContexts extends Contexts {
  readonly hits: number
  readonly misses: number
  readonly evictions: number
  /** How many contexts it holds. */
  readonly size: number
}

/** Where contexts are from. */
export interface ContextParts {
  readonly registry: Pick<Registry, "snapshotFor">
  readonly compile: typeof compile
}

/** What is remembered at most. */
export interface ContextBounds {
  /** Devices. */
  readonly max: number
  /** What they take, in bytes, as an estimate. */
  readonly maxBytes: number
  /** Of devices without certificates, those that are ready to be judged. By default 5000. */
  readonly readyMax?: number
}

/** Revisions of policies: each is held once, however many devices are judged by it. */
const POLICIES_MAX = 1000
/**
 * Devices that are ready to be judged: with its key and as objects, one takes 6 KB, ten times what it takes packed, and is made
 * again in some fifty microseconds.
 */
const READY_MAX = 5000
/** What a context takes beside what its device brings: the key, the records and what is around them. */
const CONTEXT_BYTES = 3000
/** A parsed certificate takes several times its own bytes. */
const CERTIFICATE_FACTOR = 4

/**
 * What is remembered of a device: all of it where it has certificates, for what is known of those is known of its key as an object,
 * or if it is among those that are ready, else packed.
 */
interface Held {
  now: Context | Packed
}

const hasCertificates = ({ akChain, ekChain }: Context): boolean => akChain.length > 0 || ekChain.length > 0

/**
 * Remembers what devices are judged by. It is never taken at its word: what is decided by a remembered context is written only
 * if all of its revisions are current still, and is decided anew if they are not. So nobody has to be told of changes, and a
 * replica that was told of none decides as every other.
 *
 * Calls that miss the same device at the same time share one read. A failure is not remembered, and of several tenants none
 * takes more than its share.
 */
export function cachedContexts(
  { registry, compile }: ContextParts,
  { max, maxBytes, readyMax = READY_MAX }: ContextBounds,
): CachedContexts {
  const known = createShares<Held>({ max, maxBytes, sizeOf })
  const pack = createPacker()
  const ready = new LRUCache<Held, true>({
    max: Math.min(max, readyMax),
    dispose: (_, held, reason) => {
      if (reason === "evict" && "ak" in held.now) held.now = pack(held.now)
    },
  })
  const policies = new LRUCache<string, { readonly record: PolicyRecord; readonly policy: CompiledPolicy }>({
    max: POLICIES_MAX,
  })
  const flights = createFlights<Context>()
  let [hits, misses] = [0, 0]

  const policyOf = (record: PolicyRecord) => {
    const key = `${record.tenant} ${record.name} ${record.revision} ${latin1(record.digest)}`
    const found = policies.get(key) ?? { record, policy: readPolicy(record) }
    policies.set(key, found)
    return found
  }
  /** Makes it what is held, ready to be judged by. */
  const hold = (held: Held, context: Context): Context => {
    held.now = context
    if (!hasCertificates(context)) ready.set(held, true)
    return context
  }
  const remember = (tenant: string, akName: string, context: Context): Context => {
    const before = known.peek(tenant, akName)
    if (before !== undefined) ready.delete(before)
    const held: Held = { now: context }
    known.set(tenant, akName, held)
    return hold(held, context)
  }
  const whole = (held: Held): Context => {
    if ("ak" in held.now) {
      ready.get(held) // used again
      return held.now
    }
    const kept = unpack(held.now)
    const { device } = kept.snapshot
    return hold(held, { ...kept, ak: compileKey(device.akPublic), owner: ownerOf(device) })
  }
  const readContext: Contexts["readContext"] = async (tenant, akName) => {
    const snapshot = await registry.snapshotFor(tenant, akName)
    let shared: PolicyRecord | undefined
    const context = compile(snapshot, (record) => {
      const { record: one, policy } = policyOf(record)
      shared = one
      return policy
    })
    const sharing =
      shared === undefined ? context : { ...context, snapshot: { ...context.snapshot, policy: shared } }
    const key = latin1(akName)
    return remember(tenant, key, { ...sharing, ...sameKeyOf(sharing, known.peek(tenant, key)?.now) })
  }
  const find = (tenant: string, akName: string): Context | undefined => {
    const found = known.get(tenant, akName)
    if (found === undefined) return undefined
    hits++
    return whole(found)
  }
  return {
    readContext,
    remembered: (tenant, akName) => find(tenant, latin1(akName)),
    async contextFor(tenant, akName) {
      const key = latin1(akName)
      const found = find(tenant, key)
      if (found !== undefined) return { context: found, isRemembered: true }
      misses++
      const flight = JSON.stringify([tenant, key])
      // It was begun before this call, and a change may have come between.
      const isRemembered = flights.has(flight)
      return { context: await flights.join(flight, () => readContext(tenant, akName)), isRemembered }
    },
    moved({ ak, owner, snapshot: { device } }, counters) {
      const held = known.peek(device.tenant, latin1(device.akName))
      if (held === undefined) return
      const kept = "ak" in held.now ? held.now : unpack(held.now)
      const { snapshot } = kept
      if (!isSameDevice(snapshot.device, device)) return
      const { counters: before } = snapshot.device
      // Of two answers that were under way at a time the later counts, whichever is told first.
      if (isRollback(counters, { before, freshSince: END_OF_TIME })) return
      hold(held, { ...kept, ak, owner, snapshot: { ...snapshot, device: { ...snapshot.device, counters } } })
    },
    get hits() {
      return hits
    },
    get misses() {
      return misses
    },
    get evictions() {
      return known.evictions
    },
    get size() {
      return known.size
    },
  }
}

/**
 * Of a device that was only read again, its key and its certificates as they are known: what was found out of them is known of these
 * objects. Anybody may have a device read again, and who calls for it would have to prove its certificates anew each time.
 */
const sameKeyOf = (
  now: Context,
  before: Context | Packed | undefined,
): Pick<Context, "ak" | "owner" | "akChain" | "ekChain"> | undefined => {
  if (before === undefined || !("ak" in before) || !isSameDevice(before.snapshot.device, now.snapshot.device))
    return undefined
  const { ak, owner, akChain, ekChain } = before
  const isSame =
    sameBytes(ak.area.bytes, now.ak.area.bytes) &&
    isSameChain(akChain, now.akChain) &&
    isSameChain(ekChain, now.ekChain)
  return isSame ? { ak, owner, akChain, ekChain } : undefined
}

const isSameChain = (a: readonly Certificate[], b: readonly Certificate[]): boolean =>
  a.length === b.length && a.every(({ bytes }, i) => sameBytes(bytes, b[i]?.bytes ?? NO_BYTES))
const NO_BYTES = new Uint8Array()

/** Each device counts its own revisions: under another id, a key may have come to the same one again. */
const isSameDevice = (a: DeviceRecord, b: DeviceRecord): boolean => a.id === b.id && a.revision === b.revision

/** Every earlier clock of a boot is a rollback. */
const END_OF_TIME = new Date(8.64e15)

/** Only what is not packed is put there. */
const sizeOf = ({ now }: Held): number => {
  if (!("ak" in now)) return CONTEXT_BYTES
  const { device } = now.snapshot
  const { akCertificateChain, ekCertificateChain } = device.endorsement
  const certificates = [...akCertificateChain, ...ekCertificateChain]
  return certificates.reduce((sum, { length }) => sum + CERTIFICATE_FACTOR * length, CONTEXT_BYTES)
}
