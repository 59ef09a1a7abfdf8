import { LRUCache } from "lru-cache"
import { type Policy, parsePolicy } from "../appraisal/policy.ts"
import { isRollback } from "../appraisal/rules/clock-order.ts"
import type { compile } from "../service/compile.ts"
import type { Context, Contexts, PolicyRecord, Registry } from "../service/ports.ts"
import { createFlights } from "./flights.ts"
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
}

/** Revisions of policies: each is held once, however many devices are judged by it. */
const POLICIES_MAX = 1000
/** What a context takes beside what its device brings: the key, the records and what is around them. */
const CONTEXT_BYTES = 3000
/** A parsed certificate takes several times its own bytes. */
const CERTIFICATE_FACTOR = 4

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
  { max, maxBytes }: ContextBounds,
): CachedContexts {
  const known = createShares<Context>({ max, maxBytes, sizeOf })
  const policies = new LRUCache<string, { readonly record: PolicyRecord; readonly policy: Policy }>({
    max: POLICIES_MAX,
  })
  const flights = createFlights<Context>()
  let [hits, misses] = [0, 0]

  const policyOf = (record: PolicyRecord) => {
    const key = `${record.tenant} ${record.name} ${record.revision} ${latin1(record.digest)}`
    const found = policies.get(key) ?? { record, policy: parsePolicy(record.document) }
    policies.set(key, found)
    return found
  }
  const readContext: Contexts["readContext"] = async (tenant, akName) => {
    const snapshot = await registry.snapshotFor(tenant, akName)
    let shared: PolicyRecord | undefined
    const context = compile(snapshot, (record) => {
      const { record: one, policy } = policyOf(record)
      shared = one
      return policy
    })
    const kept = shared === undefined ? context : { ...context, snapshot: { ...snapshot, policy: shared } }
    known.set(tenant, latin1(akName), kept)
    return kept
  }
  return {
    readContext,
    async contextFor(tenant, akName) {
      const key = latin1(akName)
      const found = known.get(tenant, key)
      if (found !== undefined) {
        hits++
        return { context: found, isRemembered: true }
      }
      misses++
      const flight = JSON.stringify([tenant, key])
      // It was begun before this call, and a change may have come between.
      const isRemembered = flights.has(flight)
      return { context: await flights.join(flight, () => readContext(tenant, akName)), isRemembered }
    },
    moved({ snapshot: { device } }, counters) {
      const key = latin1(device.akName)
      const held = known.peek(device.tenant, key)
      if (held === undefined || held.snapshot.device.revision !== device.revision) return
      const { counters: before } = held.snapshot.device
      // Of two answers that were under way at a time the later counts, whichever is told first.
      if (isRollback(counters, { before, freshSince: END_OF_TIME })) return
      const { snapshot } = held
      known.set(device.tenant, key, {
        ...held,
        snapshot: { ...snapshot, device: { ...snapshot.device, counters } },
      })
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

/** Every earlier clock of a boot is a rollback. */
const END_OF_TIME = new Date(8.64e15)

const sizeOf = ({ snapshot: { device } }: Context): number => {
  const { akCertificateChain, ekCertificateChain } = device.endorsement
  const certificates = [...akCertificateChain, ...ekCertificateChain]
  return certificates.reduce((sum, { length }) => sum + CERTIFICATE_FACTOR * length, CONTEXT_BYTES)
}

/** One character a byte: the Name is a digest, and has one spelling. */
const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")
