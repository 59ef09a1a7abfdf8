import { z } from "zod"
import { AssayError } from "../errors.ts"
import type { DeniedKey, DeniedKeys } from "./weak-key.ts"

const deniedKeysSchema = z.strictObject({
  /** Of this schema. */
  version: z.literal(1),
  keys: z
    .array(
      z.strictObject({
        spkiSha256: z.string().regex(/^[0-9a-f]{64}$/, "64 lowercase hexadecimal digits"),
        subject: z.string().min(1),
        reason: z.string().min(1),
        source: z.url({ protocol: /^https$/ }),
        published: z.iso.date(),
        derivation: z.string().min(1),
      }),
    )
    .refine((keys) => new Set(keys.map((key) => key.spkiSha256)).size === keys.length, "a key twice"),
})

/**
 * Reads a parsed `data/denied-keys.json`; `data/README.md` says what is in it.
 *
 * @throws {AssayError} INPUT, with the path of the first fault.
 */
export function parseDeniedKeys(document: unknown): DeniedKeys {
  const { keys } = parseData("the list of denied keys", deniedKeysSchema, document)
  const byDigest = new Map<string, DeniedKey>(
    keys.map(({ spkiSha256, reason, source }) => [spkiSha256, Object.freeze({ reason, source })]),
  )
  return Object.freeze({
    size: byDigest.size,
    find: (spkiSha256: string) => byDigest.get(spkiSha256.toLowerCase()),
  })
}

/**
 * What `schema` makes of the content of a data file.
 *
 * @throws {AssayError} INPUT; `location` is the path of the first fault.
 */
export function parseData<T>(name: string, schema: z.ZodType<T>, document: unknown): T {
  const parsed = schema.safeParse(document)
  if (parsed.success) return parsed.data
  const [fault] = parsed.error.issues
  const location = fault === undefined || fault.path.length === 0 ? "(document)" : fault.path.join(".")
  throw new AssayError("INPUT", `${name} is not valid: ${location}: ${fault?.message ?? "not readable"}`, {
    location,
  })
}
