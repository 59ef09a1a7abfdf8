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

/**
 * The JSON object that `bytes` spell in UTF-8, if no object within has a member twice: what others write is not in one
 * spelling, and of two members each reader takes another.
 */
export const parseUniqueJson = (bytes: Uint8Array): JsonObject | undefined => {
  try {
    const text = decoder.decode(bytes)
    const value: unknown = JSON.parse(text)
    return isObject(value) && hasUniqueNames(text) ? value : undefined
  } catch {
    // Not UTF-8, not JSON, or nested beyond what the stack holds.
    return undefined
  }
}

/** What JSON is made of, but for numbers, literals and commas. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:]/g

/** Whether no object of `text`, which is JSON, has a member twice, however it is spelled. */
const hasUniqueNames = (text: string): boolean => {
  const open: Set<string>[] = []
  let name = ""
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") open.push(new Set())
    else if (token === "}" || token === "]") open.pop()
    else if (token !== ":") name = token
    else {
      // A colon comes behind the name of a member, and nowhere else.
      const names = open.at(-1)
      const spelled = String(JSON.parse(name))
      if (names === undefined || names.has(spelled)) return false
      names.add(spelled)
    }
  }
  return true
}
