/** What has been done, in a file that survives an interruption. */
import { hash } from "node:crypto"
import { globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { z } from "zod"

const suiteSchema = z.object({
  /** First cases of the blocks that are done. */
  done: z.array(z.number()).readonly(),
  counts: z.record(z.string(), z.number()),
  failures: z.array(z.string()).readonly(),
  /** Time that it took, by the clock on the wall. */
  ms: z.number(),
})
const schema = z.object({
  /** SHA-256 of the code: what other code did is no answer about this one. */
  code: z.string(),
  suites: z.record(z.string(), suiteSchema),
})

/** Progress of one suite. */
export type SuiteProgress = Readonly<z.infer<typeof suiteSchema>>

/** Progress of all suites. */
export interface Progress {
  readonly code: string
  readonly suites: Readonly<Record<string, SuiteProgress>>
}

/** No progress at all. */
export const freshProgress = (code: string): Progress => ({ code, suites: {} })

/** The progress that `file` has, if it is about the same code. */
export function readProgress(file: string, code: string): Progress {
  try {
    const progress = schema.parse(JSON.parse(readFileSync(file, "utf8")))
    return progress.code === code ? progress : freshProgress(code)
  } catch {
    // None, or one that was not written to its end: then everything is still to be done.
    return freshProgress(code)
  }
}

/** Writes the progress so that the file is always whole. */
export function writeProgress(file: string, progress: Progress): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(`${file}.new`, JSON.stringify(progress))
  renameSync(`${file}.new`, file)
}

/** SHA-256 over all files that the suites depend on. */
export function codeDigest(patterns: readonly string[]): string {
  const files = patterns.flatMap((pattern) => globSync(pattern)).sort()
  return hash("sha256", files.map((file) => `${file} ${hash("sha256", readFileSync(file))}`).join("\n"))
}
