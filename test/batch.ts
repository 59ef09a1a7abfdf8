/**
 * Runs test files one after another in this process, for `test/run.ts`: most of what a small file costs is the start of a
 * process and the loading of what all of them load. Before each comes a line with its name.
 */
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"

/** What begins the line before a file's own output. */
export const FILE_MARK = "\u0001file "

if (import.meta.main) {
  // uvu would run each suite when it is loaded, all of them together.
  const queue: unknown[][] = []
  Object.assign(globalThis, { UVU_DEFER: true, UVU_QUEUE: queue, UVU_INDEX: 0 })
  const { exec } = await import("uvu")
  let failed = false
  for (const file of process.argv.slice(2)) {
    process.stdout.write(`\n${FILE_MARK}${file}\n`)
    queue.splice(0, queue.length, [null])
    await import(pathToFileURL(resolve(file)).href)
    await exec()
    failed ||= process.exitCode !== 0
  }
  // A test that failed leaves open what it would have closed, and nobody waits for that.
  if (failed) process.exit(1)
}
