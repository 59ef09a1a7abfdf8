/** What the tests of enrollment share: endorsement keys of every template, and random bytes that a test hands in. */
import { randomBytes } from "node:crypto"
import type { KeyAlgorithm, KeyPair } from "../../src/device/keys.ts"
import { type EkTemplateName, ekAreaOf } from "../../src/evidence/tpm/ek-template.ts"
import type { PublicArea } from "../../src/evidence/tpm/public.ts"
import { type EndorsementKey, verifyEndorsementKey } from "../../src/verification/ek.ts"
import type { RandomSource } from "../../src/verification/encapsulate.ts"
import type { Verified } from "../../src/verification/verified.ts"
import { NOTHING_DENIED } from "./chain.ts"
import { ownKeys } from "./rsa.ts"

/** The kinds of key that the templates are for. */
export const EK_KEYS: readonly (readonly [EkTemplateName, KeyAlgorithm])[] = [
  ["L-1", "rsa-2048"],
  ["L-2", "p256"],
  ["H-1", "rsa-2048"],
  ["H-2", "p256"],
  ["H-3", "p384"],
  ["H-4", "p521"],
  ["H-6", "rsa-3072"],
  ["H-7", "rsa-4096"],
]

const pairs = new Map<EkTemplateName, KeyPair>()

/** A key pair for the template, the same in all tests of a file: primes take their time. */
export const ekPairOf = (template: EkTemplateName): KeyPair => {
  const algorithm = EK_KEYS.find(([name]) => name === template)?.[1] ?? "p256"
  const pair = pairs.get(template) ?? ownKeys(algorithm)
  pairs.set(template, pair)
  return pair
}

/** The public area of `ekPairOf`. */
export const ekAreaFor = (template: EkTemplateName): PublicArea =>
  ekAreaOf(template, ekPairOf(template).publicKey)

/** The endorsement key of `ekPairOf`, shown by its area alone. */
export const ekOf = (template: EkTemplateName): Verified<EndorsementKey> =>
  verifyEndorsementKey({ path: undefined, area: ekAreaFor(template) }, NOTHING_DENIED)

/** Random bytes of this process. */
export const RANDOM: RandomSource = (sizeBytes) => new Uint8Array(randomBytes(sizeBytes))

/** The given values, one after another: what a published vector says was random. */
export const drawing = (...values: readonly Uint8Array[]): RandomSource => {
  const left = [...values]
  return (sizeBytes) => {
    const next = left.shift()
    if (next?.length !== sizeBytes)
      throw new TypeError(`asked for ${sizeBytes} random bytes, has ${next?.length}`)
    return next
  }
}
