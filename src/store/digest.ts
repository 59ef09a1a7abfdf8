import { hash } from "node:crypto"
import { fromHex, sameBytes } from "../bytes.ts"

/** SHA-256 of `bytes`. */
export const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer")

/**
 * Whoever edits a row beside the store, or a disk that flips a bit, must not change what is trusted: what is read back
 * is held against the digest that was stored with it.
 *
 * @throws {Error} if `digest` is not the SHA-256 of `bytes`. `what` names both.
 */
export const checkDigest = (bytes: Uint8Array, digest: Uint8Array, what: string): void => {
  if (!sameBytes(sha256(bytes), digest)) throw new Error(`${what} and its digest do not agree`)
}

/** The 32 bytes of an id, which is 64 digits of lowercase hexadecimal; nothing for any other text. */
export const digestOfId = (id: string): Uint8Array | undefined =>
  /^[0-9a-f]{64}$/.test(id) ? fromHex(id) : undefined
