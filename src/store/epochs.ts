import { createHmac, type KeyObject } from "node:crypto"
import { LRUCache } from "lru-cache"
import { lengthPrefixed, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { Epoch, Epochs } from "../service/ports.ts"
import type { EpochKey } from "./engine/engine.ts"
import { u64Bytes } from "./u64.ts"

/** Evidence over an epoch can be nearly two lengths old. Longer would be no freshness. */
const LENGTH_MS_MAX = 5 * 60_000
const LENGTH_MS_MIN = 1000
/** Values that are remembered: two for each of so many tenants that are asked for lately. */
const EPOCHS_MAX = 200

/**
 * Epochs of `lengthMs` each (1 second to 5 minutes, 5 minutes if not told), with a key that the engine owns: the values
 * of an epoch to come cannot be foretold, replicas that share an engine give the same ones, and where the key ends with
 * the process, those from before are of no use.
 */
export function createEpochs(keyFor: EpochKey, options: { readonly lengthMs?: number } = {}): Epochs {
  const lengthMs = options.lengthMs ?? LENGTH_MS_MAX
  if (!Number.isInteger(lengthMs) || lengthMs < LENGTH_MS_MIN || lengthMs > LENGTH_MS_MAX)
    throw new TypeError(`an epoch lasts ${LENGTH_MS_MIN} to ${LENGTH_MS_MAX} ms`)

  const numberAt = (at: Date): number => Math.floor(at.getTime() / lengthMs)
  /** Each key's own: the same epoch has another value by another key. */
  const made = new WeakMap<KeyObject, LRUCache<string, Epoch>>()
  const epoch = async (tenant: string, number: number): Promise<Epoch> => {
    const startsAt = new Date(number * lengthMs)
    // Of its start alone: however long an epoch lies across the change of keys, it has one value.
    const key = await keyFor(startsAt)
    const epochs = made.get(key) ?? new LRUCache<string, Epoch>({ max: EPOCHS_MAX })
    made.set(key, epochs)
    const name = `${number} ${tenant}`
    const known = epochs.get(name)
    if (known !== undefined) return known
    const value = createHmac("sha256", key)
      .update(lengthPrefixed(utf8(tenant), u64Bytes(BigInt(number))))
      .digest()
    const endsAt = new Date((number + 1) * lengthMs)
    const epoch = { number, value: new Uint8Array(value), startsAt, endsAt }
    epochs.set(name, epoch)
    return epoch
  }

  return {
    current: (tenant, at) => epoch(tenant, numberAt(at)),
    accepted(tenant, number, at) {
      const current = numberAt(at)
      if (number === current || number === current - 1) return epoch(tenant, number)
      return Promise.reject(
        new AssayError("EPOCH", "the epoch is neither the current one nor the one before: quote again", {
          expected: `${current - 1} or ${current}`,
          actual: String(number),
        }),
      )
    },
  }
}
