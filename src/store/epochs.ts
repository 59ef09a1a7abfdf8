import { createHmac, createSecretKey } from "node:crypto"
import { lengthPrefixed, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { Epoch, Epochs, Random } from "../service/ports.ts"
import { u64Bytes } from "./u64.ts"

/** Evidence over an epoch can be nearly two lengths old. Longer would be no freshness. */
const LENGTH_MS_MAX = 5 * 60_000
const LENGTH_MS_MIN = 1000
const KEY_BYTES = 32

/**
 * Epochs of `lengthMs` each (1 second to 5 minutes, 5 minutes if not told), with a key of this process alone: the
 * values of an epoch to come cannot be foretold, and those from before a restart are of no use.
 *
 * @throws {AssayError} RNG.
 */
export function createEpochs(random: Random, options: { readonly lengthMs?: number } = {}): Epochs {
  const lengthMs = options.lengthMs ?? LENGTH_MS_MAX
  if (!Number.isInteger(lengthMs) || lengthMs < LENGTH_MS_MIN || lengthMs > LENGTH_MS_MAX)
    throw new TypeError(`an epoch lasts ${LENGTH_MS_MIN} to ${LENGTH_MS_MAX} ms`)
  const key = createSecretKey(random.bytes(KEY_BYTES))

  const numberAt = (at: Date): number => Math.floor(at.getTime() / lengthMs)
  const epoch = (tenant: string, number: number): Epoch => ({
    number,
    value: new Uint8Array(
      createHmac("sha256", key)
        .update(lengthPrefixed(utf8(tenant), u64Bytes(BigInt(number))))
        .digest(),
    ),
    startsAt: new Date(number * lengthMs),
    endsAt: new Date((number + 1) * lengthMs),
  })

  return {
    current: (tenant, at) => epoch(tenant, numberAt(at)),
    accepted(tenant, number, at) {
      const current = numberAt(at)
      if (number !== current && number !== current - 1)
        throw new AssayError(
          "EPOCH",
          "the epoch is neither the current one nor the one before: quote again",
          {
            expected: `${current - 1} or ${current}`,
            actual: String(number),
          },
        )
      return epoch(tenant, number)
    },
  }
}
