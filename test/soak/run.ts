/**
 * `make soak`: the full volumes of the generated suites, in processes of their own, ending in one table. What is done is
 * kept in `.cache/soak.json`, and a second run goes on from there, as long as the code is the same; `--fresh` starts over.
 * Arguments name suites, in part. Ends with status 1 if a case failed.
 */
import { rmSync } from "node:fs"
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { startPool } from "./pool.ts"
import { codeDigest, readProgress, writeProgress } from "./progress.ts"
import { BLOCK, soak } from "./soak.ts"
import type { Suite } from "./suite.ts"
import { SUITES } from "./suites.ts"
import { tableOf, timeText } from "./table.ts"

const FILE = ".cache/soak.json"
const CODE = ["src/**/*.ts", "test/soak/**/*.ts", "test/support/**/*.ts", "package-lock.json"]
/** Without a terminal, a line for each of so many parts. */
const PARTS = 10

const { values, positionals } = parseArgs({
  options: { fresh: { type: "boolean", default: false } },
  allowPositionals: true,
})
const suites = SUITES.filter(
  ({ name }) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
)
if (suites.length === 0) throw new TypeError(`no such suite; there are: ${SUITES.map(({ name }) => name)}`)

const { stderr } = process
const started = new Map<string, { readonly at: number; readonly done: number }>()
const tell = ({ name, volume }: Suite, done: number): void => {
  const first = started.get(name) ?? { at: performance.now(), done }
  started.set(name, first)
  const rate = (done - first.done) / (performance.now() - first.at)
  const left = rate > 0 ? `, ${timeText((volume - done) / rate)} left` : ""
  const line = `${name}: ${done} of ${volume}${done < volume ? left : ""}`
  if (stderr.isTTY) stderr.write(`\r\x1b[K${line}${done < volume ? "" : "\n"}`)
  else if (done === volume || done % Math.ceil(volume / PARTS) < BLOCK) stderr.write(`${line}\n`)
}

if (values.fresh) rmSync(FILE, { force: true })
const before = readProgress(FILE, codeDigest(CODE))
const isGoingOn = suites.some(({ name }) => before.suites[name] !== undefined)
if (isGoingOn) stderr.write("going on from where the last run ended; FRESH=1 starts over\n")
const abreast = availableParallelism()
const pool = startPool(abreast)
try {
  const progress = await soak(suites, before, {
    run: pool.run,
    abreast,
    save: (now) => writeProgress(FILE, now),
    tell,
    now: () => performance.now(),
  })
  process.stdout.write(tableOf(suites, progress))
  const failures = suites.flatMap(({ name }) => progress.suites[name]?.failures ?? [])
  for (const failure of failures) process.stdout.write(`\n${failure}\n`)
  if (failures.length > 0) process.exitCode = 1
} finally {
  pool.stop()
}
