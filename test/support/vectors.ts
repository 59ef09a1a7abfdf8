import { existsSync, readFileSync } from "node:fs"
import { resolve } from "node:path"
import type { uvu } from "uvu"

/** Where the third-party vectors are. */
export const VECTORS = resolve(process.env["ASSAY_VECTORS"] ?? "../shared/vectors")

const required = (process.env["ASSAY_REQUIRE"] ?? "").split(",")

/**
 * `test` if the prerequisite is there, else `test.skip`, which the runner counts and prints. With the
 * prerequisite named in ASSAY_REQUIRE, its absence is a failure.
 */
export const needs = <T>(
  prerequisite: "vectors" | "swtpm",
  test: uvu.Test<T>,
): ((name: string, body: () => void | Promise<void>) => void) => {
  if (isThere(prerequisite)) return test
  if (required.includes(prerequisite))
    return (name) =>
      test(name, () => {
        throw new Error(`${prerequisite} is required (ASSAY_REQUIRE) and is not there`)
      })
  return (name) => test.skip(name)
}

const onPath = (program: string): boolean =>
  (process.env["PATH"] ?? "").split(":").some((folder) => existsSync(`${folder}/${program}`))

/** Whether the prerequisite is there. */
export const isThere = (prerequisite: "vectors" | "swtpm"): boolean =>
  prerequisite === "vectors"
    ? existsSync(VECTORS)
    : ["swtpm", "swtpm_setup", "tpm2_quote", "tpm2_checkquote"].every(onPath)

/** A file of the vectors. */
export const vector = (path: string): Uint8Array => new Uint8Array(readFileSync(`${VECTORS}/${path}`))

/** A JSON file of the vectors. */
export const vectorJson = <T>(path: string): T => JSON.parse(readFileSync(`${VECTORS}/${path}`, "utf8")) as T
