import { hash } from "node:crypto"
import type { HashName } from "./tpm/algorithm.ts"

/**
 * The digest of `bytes`, in memory of its own. It is asked for as text, one character a byte: a buffer that `node:crypto` makes
 * for it costs as much as the digest itself.
 */
export const digestOf = (name: HashName, bytes: Uint8Array): Uint8Array => {
  const text = hash(name, bytes, "latin1")
  const digest = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) digest[i] = text.charCodeAt(i)
  return digest
}
