/**
 * Runs every test file, a few at once, and ends with one line
 * `N passed, N failed`. A file that ends otherwise than with status 0, runs no test, or has a suite that is
 * never run counts as a failure. Arguments name files or parts of their paths; without any, all run.
 *
 * Most of them share processes, for to load what all of them load costs more than most of them. When such a process does not
 * end as well as it can, each of its files runs again, alone.
 */
import { spawn } from "node:child_process"
import { chmodSync, globSync, mkdtempSync, readFileSync, rmSync, statfsSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { FILE_MARK } from "./batch.ts"

const FILE_LIMIT_MS = 120_000
/** Several clusters of PostgreSQL at a time are the most of it. */
const MEMORY_BYTES_MIN = 4 * 1024 ** 3
/** Files that are run alike. */
interface Kind {
  readonly path: RegExp
  /** How many share a process. */
  readonly together: number
  /** Whether they wait, for servers, programs and deadlines, about as long as they compute. */
  readonly waits?: true
}
/** In the order in which they start, what takes long before what does not. A file is of the first kind that its path is of. */
const KINDS: readonly Kind[] = [
  { path: /^test\/e2e\/workers/, together: 1, waits: true },
  { path: /^test\/(?:faults|workers)\//, together: 1, waits: true },
  { path: /^test\/e2e\/(?:demo|hostile-work|nginx|replicas|silence)/, together: 1, waits: true },
  { path: /^test\/e2e\//, together: 4, waits: true },
  { path: /^test\/(?:device|store\/engine)\//, together: 12, waits: true },
  { path: /^test\/loadtest\/|histories-|^test\/attacks\.test/, together: 1 },
  { path: /^test\/(?:store|server|service|verification)\//, together: 24 },
  { path: /^/, together: 24 },
]

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

/** How a process ended, and what it said. */
interface Ended {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly text: string
  readonly ms: number
}

/** Where tests have their folders: in memory, where there is enough of it. What they are about is no power cut, and disks are slow. */
const temporary = (): string => {
  const memory = "/dev/shm"
  if (process.env["TMPDIR"] !== undefined) return tmpdir()
  try {
    const { bavail, bsize } = statfsSync(memory)
    return bavail * bsize > MEMORY_BYTES_MIN ? memory : tmpdir()
  } catch {
    return tmpdir()
  }
}
/** In a folder of this run, which goes with it, whatever tests that were killed left there. PostgreSQL's own user has to get through. */
const TMPDIR = mkdtempSync(join(temporary(), "t-"))
chmodSync(TMPDIR, 0o755)
process.once("exit", () => rmSync(TMPDIR, { recursive: true, force: true }))
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1))

const runNode = (args: readonly string[], limitMs: number): Promise<Ended> =>
  new Promise((resolve) => {
    const start = performance.now()
    const child = spawn(process.execPath, args, {
      env: { NODE_COMPILE_CACHE: `${process.cwd()}/.cache/compile`, ...process.env, TMPDIR, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: limitMs,
      killSignal: "SIGKILL",
    })
    const chunks: Buffer[] = []
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk))
    child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk))
    child.on("close", (status, signal) =>
      resolve({ status, signal, text: Buffer.concat(chunks).toString(), ms: performance.now() - start }),
    )
  })

const outcomeOf = (file: string, { status, signal, text, ms }: Ended): Outcome => {
  const total = count(text, "Total")
  const passed = count(text, "Passed")
  const skipped = count(text, "Skipped")
  const fault =
    faultOf(readFileSync(file, "utf8")) ??
    (total + skipped === 0 ? "no test ran" : undefined) ??
    (status !== 0 && passed === total ? `ended with ${signal ?? `status ${status}`}` : undefined)
  return {
    file,
    passed,
    failed: total - passed + (fault === undefined ? 0 : 1),
    skipped,
    ms,
    output: fault === undefined ? text : `${text}\n${file}: ${fault}\n`,
  }
}

/** Runs files in one process, and again alone unless all is well. */
const runTogether = async (files: readonly string[]): Promise<readonly Outcome[]> => {
  const limitMs = files.length === 1 ? FILE_LIMIT_MS : 2 * FILE_LIMIT_MS
  const ended = await runNode(["test/batch.ts", ...files], limitMs)
  const texts = new Map(
    ended.text.split(`\n${FILE_MARK}`).map((part): [string, string] => {
      const end = part.indexOf("\n")
      return [part.slice(0, end), part.slice(end)]
    }),
  )
  const ms = ended.ms / files.length
  const outcomes = files.map((file) => outcomeOf(file, { ...ended, text: texts.get(file) ?? "", ms }))
  if (files.length === 1 || (ended.status === 0 && outcomes.every(({ failed }) => failed === 0)))
    return outcomes
  const alone: Outcome[] = []
  for (const file of files) alone.push(...(await runTogether([file])))
  return alone
}

const wanted = process.argv.slice(2)
const files = globSync("test/**/*.test.ts")
  .sort()
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))

/** What runs together: whoever names files wants each for itself. */
const groupsOf = (kinds: readonly Kind[]): (readonly string[])[] =>
  kinds.flatMap((kind) => {
    const own = files.filter((file) => KINDS.find(({ path }) => path.test(file)) === kind)
    const together = wanted.length > 0 ? 1 : kind.together
    return Array.from({ length: Math.ceil(own.length / together) }, (_, i) =>
      own.slice(i * together, (i + 1) * together),
    )
  })
const waiting = groupsOf(KINDS.filter(({ waits }) => waits === true))
const computing = groupsOf(KINDS.filter(({ waits }) => waits !== true))

const outcomes: Outcome[] = []
const report = (outcome: Outcome): void => {
  outcomes.push(outcome)
  const { file, passed, failed, skipped, ms } = outcome
  const notes = [failed > 0 ? `${failed} failed` : "", skipped > 0 ? `${skipped} skipped` : ""].filter(
    Boolean,
  )
  const note = notes.length === 0 ? "" : `, ${notes.join(", ")}`
  console.log(`${failed > 0 ? "FAIL" : "  ok"} ${file}: ${passed} passed${note} (${Math.round(ms)} ms)`)
  if (failed > 0) console.log(outcome.output)
  else for (const [line] of outcome.output.matchAll(/^# .*$/gm)) console.log(`     ${line}`)
}
/** Takes what is of its own first, and then helps with the rest. */
const worker = async (own: typeof waiting, rest: typeof waiting): Promise<void> => {
  for (let group = own.shift() ?? rest.shift(); group !== undefined; group = own.shift() ?? rest.shift())
    for (const outcome of await runTogether(group)) report(outcome)
}
// Beside those that wait, one always computes: so no core is idle for long, nor has much more to do than it can.
await Promise.all([
  worker(computing, waiting),
  ...Array.from({ length: availableParallelism() }, () => worker(waiting, computing)),
])

const sum = (key: "passed" | "failed" | "skipped"): number =>
  outcomes.reduce((n, outcome) => n + outcome[key], 0)
if (sum("skipped") > 0) console.log(`${sum("skipped")} skipped, for want of a prerequisite`)
const failed = sum("failed") + (files.length === 0 ? 1 : 0)
console.log(`${sum("passed")} passed, ${failed} failed`)
process.exitCode = failed > 0 ? 1 : 0
