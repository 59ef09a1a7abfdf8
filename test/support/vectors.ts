import { readFileSync } from "node:fs"
import { VECTORS } from "./prerequisites.ts"

export { isThere, needs, VECTORS } from "./prerequisites.ts"

/** A file of the vectors. */
export const vector = (path: string): Uint8Array => new Uint8Array(readFileSync(`${VECTORS}/${path}`))

/** A JSON file of the vectors. */
export const vectorJson = <T>(path: string): T => JSON.parse(readFileSync(`${VECTORS}/${path}`, "utf8")) as T
