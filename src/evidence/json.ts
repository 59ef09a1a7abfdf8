/** A JSON object that was just parsed: any member may be missing or of any type. */
export type JsonObject = Readonly<Record<string, unknown>>

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/**
 * The JSON object that `bytes` spell, if they are exactly what `JSON.stringify` writes for it. Assay writes nothing
 * else; so duplicate members, white space, escapes and numbers with more than one spelling are no longer a question.
 */
export const parseCanonicalJson = (bytes: Uint8Array): JsonObject | undefined => {
  try {
    const text = decoder.decode(bytes)
    const value: unknown = JSON.parse(text)
    return isObject(value) && JSON.stringify(value) === text ? value : undefined
  } catch {
    // Not UTF-8, not JSON, or nested beyond what the stack holds.
    return undefined
  }
}

/** Whether a parsed JSON value is an object. */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)
