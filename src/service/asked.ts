import { hash } from "node:crypto"
import { lengthPrefixed, utf8 } from "../bytes.ts"

/**
 * SHA-256 over what an administrative act was asked for, part by part, as its record keeps it. 32 bytes.
 *
 * @param parts Everything that the caller chose, in a fixed order. Never a secret.
 */
export const askedDigest = (...parts: readonly (string | Uint8Array)[]): Uint8Array =>
  hash(
    "sha256",
    lengthPrefixed(...parts.map((part) => (typeof part === "string" ? utf8(part) : part))),
    "buffer",
  )

/** Labels as parts of what was asked for: their keys in order, each before its value. */
export const labelParts = (labels: ReadonlyMap<string, string>): readonly string[] =>
  [...labels.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).flat()
