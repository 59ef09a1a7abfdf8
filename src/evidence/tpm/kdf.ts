import { createHash, createHmac } from "node:crypto"
import { concat, utf8 } from "../../bytes.ts"
import { HASHES, type HashName } from "./algorithm.ts"
import { u32 } from "./encode.ts"

/** What the two functions derive from; the bytes of a label are followed by a zero, which is not part of it here. */
export interface KdfInputs {
  readonly label: string
  readonly contextU: Uint8Array
  readonly contextV: Uint8Array
  /** How much to derive. If it is no multiple of 8, the first octet has zeros for the bits that are too many. */
  readonly bits: number
}

/**
 * KDFa: derives keys from a key, by HMAC in counter mode.
 *
 * @see TPM 2.0 Library, Part 1: Architecture, 11.4.10.2; NIST SP 800-108, 5.1.
 */
export const kdfa = (hash: HashName, key: Uint8Array, inputs: KdfInputs): Uint8Array => {
  const { label, contextU, contextV, bits } = inputs
  const fixed = concat(utf8(`${label}\0`), contextU, contextV, u32(bits))
  return derive(hash, bits, (counter) => createHmac(hash, key).update(counter).update(fixed).digest())
}

/**
 * KDFe: derives a seed from a shared secret of ECDH.
 *
 * @param z X coordinate of the shared point, padded to the curve's size as are those of the contexts: U is the ephemeral
 *   key's, V the static key's.
 * @see TPM 2.0 Library, Part 1: Architecture, 11.4.10.3; NIST SP 800-56A, 5.8.1.
 */
export const kdfe = (hash: HashName, z: Uint8Array, inputs: KdfInputs): Uint8Array => {
  const { label, contextU, contextV, bits } = inputs
  const fixed = concat(z, utf8(`${label}\0`), contextU, contextV)
  return derive(hash, bits, (counter) => createHash(hash).update(counter).update(fixed).digest())
}

const derive = (hash: HashName, bits: number, block: (counter: Uint8Array) => Uint8Array): Uint8Array => {
  const sizeBytes = Math.ceil(bits / 8)
  const blocks = Array.from({ length: Math.ceil(sizeBytes / HASHES[hash].sizeBytes) }, (_, i) =>
    block(u32(i + 1)),
  )
  const derived = concat(...blocks).subarray(0, sizeBytes)
  if (bits % 8 !== 0) derived[0] = (derived[0] ?? 0) & ((1 << (bits % 8)) - 1)
  return derived
}
