import { hash } from "node:crypto"
import type { HashName } from "./tpm/algorithm.ts"

/**
 * The digest of `bytes`, in memory of its own. It is asked for as text, one character a byte: a buffer that `node:crypto` makes
 * for it costs as much as the digest itself.
 */
export const digestOf = (name: HashName, bytes: Uint8Array): Uint8Array =>
  new Uint8Array(digestBriefly(name, bytes))

/** The same in memory that is shared with others, for less: for what is compared at once and let go of. */
export const digestBriefly = (name: HashName, bytes: Uint8Array): Uint8Array =>
  Buffer.from(hash(name, bytes, "latin1"), "latin1")
