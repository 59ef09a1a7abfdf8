/**
 * Takes one check away at a time and asks whether a test notices: a test that fails and whose name carries the
 * mutant's. A file that does not run any more, for whatever reason, notices nothing. Works on private copies, two at
 * a time; the checkout is never changed. Arguments name mutants or files, in part. Ends with `killed K of N`.
 */
import { spawn } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { MUTANTS } from "./list.ts"
import type { Mutant } from "./mutant.ts"

const COPIES = 2
/** Where a store is never sure, each test of it waits for as long as it has patience. */
const FILE_LIMIT_MS = 240_000
const COPIED = ["src", "test", "proto", "data", "docs", "package.json", "tsconfig.json"]

const makeCopy = (): string => {
  const copy = mkdtempSync(join(tmpdir(), "assay-mutants-"))
  for (const name of COPIED) cpSync(name, join(copy, name), { recursive: true })
  symlinkSync(resolve("node_modules"), join(copy, "node_modules"))
  return copy
}

/** Names of the tests that fail in a file; nothing if it does not come to its end. */
const failuresOf = (copy: string, file: string): Promise<readonly string[] | undefined> =>
  new Promise((done) => {
    const child = spawn(process.execPath, [file], {
      cwd: copy,
      env: {
        ...process.env,
        NO_COLOR: "1",
        ASSAY_VECTORS: resolve(process.env["ASSAY_VECTORS"] ?? "../shared/vectors"),
      },
      stdio: ["ignore", "pipe", "ignore"],
      timeout: FILE_LIMIT_MS,
      killSignal: "SIGKILL",
    })
    const chunks: Buffer[] = []
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk))
    child.on("close", () => {
      const text = Buffer.concat(chunks).toString()
      const ended = /^ *Total: +[1-9]/m.test(text)
      done(ended ? [...text.matchAll(/^ *FAIL .*? "(.*)"$/gm)].map(([, name = ""]) => name) : undefined)
    })
  })

type Verdict = { readonly killedBy: string } | { readonly survived: string }

const judge = async (copy: string, { file, find, replace, tests, named }: Mutant): Promise<Verdict> => {
  const path = join(copy, file)
  const source = readFileSync(path, "utf8")
  if (source.split(find).length !== 2) return { survived: "the text to take away is not there exactly once" }
  writeFileSync(
    path,
    source.replace(find, () => replace),
  )
  try {
    const others: string[] = []
    for (const test of tests) {
      const failures = await failuresOf(copy, test)
      if (failures === undefined) others.push(`${test} did not end`)
      const killer = failures?.find((name) => name.includes(named))
      if (killer !== undefined) return { killedBy: killer }
      others.push(...(failures ?? []).map((name) => `only "${name}"`))
    }
    return { survived: others[0] ?? "no test failed" }
  } finally {
    writeFileSync(path, source)
  }
}

const wanted = process.argv.slice(2)
const chosen = MUTANTS.filter(
  ({ id, file }) => wanted.length === 0 || wanted.some((part) => id.includes(part) || file.includes(part)),
)
const copies = Array.from({ length: COPIES }, makeCopy)

/** Takes items one after another in every copy. */
const inCopies = async <T>(
  items: readonly T[],
  act: (copy: string, item: T) => Promise<void>,
): Promise<void> => {
  const queue = [...items]
  await Promise.all(
    copies.map(async (copy) => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await act(copy, item)
    }),
  )
}

try {
  const red: string[] = []
  await inCopies([...new Set(chosen.flatMap(({ tests }) => tests))], async (copy, file) => {
    const failures = await failuresOf(copy, file)
    if (failures === undefined || failures.length > 0) red.push(`${file}: ${failures?.[0] ?? "did not end"}`)
  })
  if (red.length > 0)
    throw new Error(`these fail as it is, so that they prove nothing:\n  ${red.join("\n  ")}`)

  let killed = 0
  let judged = 0
  await inCopies(chosen, async (copy, mutant) => {
    const verdict = await judge(copy, mutant)
    judged += 1
    const place = `[${judged}/${chosen.length}] ${mutant.id} (${mutant.file})`
    if ("killedBy" in verdict) {
      killed += 1
      console.log(`${place}: killed by "${verdict.killedBy}"`)
    } else console.log(`${place}: SURVIVED, ${verdict.survived}. ${mutant.why}`)
  })
  console.log(`killed ${killed} of ${chosen.length}`)
  if (killed < chosen.length || chosen.length === 0) process.exitCode = 1
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  for (const copy of copies) rmSync(copy, { recursive: true })
}
