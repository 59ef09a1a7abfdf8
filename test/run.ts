/**
 * Runs every test file in a process of its own, a few at once, and ends with one line
 * `N passed, N failed`. A file that ends otherwise than with status 0, runs no test, or has a suite that is
 * never run counts as a failure. Arguments name files or parts of their paths; without any, all run.
 */
import { spawn } from "node:child_process"
import { globSync, readFileSync } from "node:fs"
import { availableParallelism } from "node:os"

const FILE_LIMIT_MS = 120_000

interface Outcome {
  readonly file: string
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly ms: number
  readonly output: string
}

const count = (output: string, label: string): number =>
  Number(new RegExp(`^ *${label}: +(\\d+)`, "m").exec(output)?.[1] ?? 0)

/** What uvu does not notice by itself. */
const faultOf = (source: string): string | undefined => {
  const suites = source.match(/\bsuite\(/g)?.length ?? 0
  const runs = source.match(/\.run\(\)/g)?.length ?? 0
  if (suites !== runs) return `${suites} suites, but ${runs} calls of .run()`
  return /\.only\(/.test(source) ? "a test is singled out with .only" : undefined
}

const runFile = (file: string): Promise<Outcome> =>
  new Promise((resolve) => {
    const start = performance.now()
    const child = spawn(process.execPath, [file], {
      env: { NODE_COMPILE_CACHE: `${process.cwd()}/.cache/compile`, ...process.env, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: FILE_LIMIT_MS,
      killSignal: "SIGKILL",
    })
    const chunks: Buffer[] = []
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk))
    child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk))
    child.on("close", (status, signal) => {
      const text = Buffer.concat(chunks).toString()
      const total = count(text, "Total")
      const passed = count(text, "Passed")
      const skipped = count(text, "Skipped")
      const fault =
        faultOf(readFileSync(file, "utf8")) ??
        (total + skipped === 0 ? "no test ran" : undefined) ??
        (status !== 0 && passed === total ? `ended with ${signal ?? `status ${status}`}` : undefined)
      resolve({
        file,
        passed,
        failed: total - passed + (fault === undefined ? 0 : 1),
        skipped,
        ms: performance.now() - start,
        output: fault === undefined ? text : `${text}\n${file}: ${fault}\n`,
      })
    })
  })

const wanted = process.argv.slice(2)
const files = globSync("test/**/*.test.ts")
  .sort()
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))

const outcomes: Outcome[] = []
const queue = [...files]
const worker = async (): Promise<void> => {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    const outcome = await runFile(file)
    outcomes.push(outcome)
    const { passed, failed, skipped, ms } = outcome
    const notes = [failed > 0 ? `${failed} failed` : "", skipped > 0 ? `${skipped} skipped` : ""].filter(
      Boolean,
    )
    const note = notes.length === 0 ? "" : `, ${notes.join(", ")}`
    console.log(`${failed > 0 ? "FAIL" : "  ok"} ${file}: ${passed} passed${note} (${Math.round(ms)} ms)`)
    if (failed > 0) console.log(outcome.output)
    else for (const [line] of outcome.output.matchAll(/^# .*$/gm)) console.log(`     ${line}`)
  }
}
// One more than there are cores: some file always waits, for a server to come up or a deadline to pass.
await Promise.all(Array.from({ length: availableParallelism() + 1 }, worker))

const sum = (key: "passed" | "failed" | "skipped"): number =>
  outcomes.reduce((n, outcome) => n + outcome[key], 0)
if (sum("skipped") > 0) console.log(`${sum("skipped")} skipped, for want of a prerequisite`)
const failed = sum("failed") + (files.length === 0 ? 1 : 0)
console.log(`${sum("passed")} passed, ${failed} failed`)
process.exitCode = failed > 0 ? 1 : 0
