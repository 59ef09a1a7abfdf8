/** Processes of their own: the program itself, and others that judge what it says. */
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { uvu } from "uvu"
import { runCli } from "../../src/cli/program.ts"
import { parts } from "../../src/main.ts"

/** How a program ended. */
export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
}

const LIMIT_MS = 60_000

/** The environment without the settings of whoever runs the tests, and with these. */
export const environment = (env: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("ASSAY_"))),
  ...env,
})

/** Runs a program to its end, whatever that is. */
export const run = (
  program: string,
  args: readonly string[],
  { cwd, env, stdin = "" }: RunOptions = {},
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: environment(env),
      timeout: LIMIT_MS,
      killSignal: "SIGKILL",
    })
    const output = { stdout: "", stderr: "" }
    for (const stream of ["stdout", "stderr"] as const)
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        output[stream] += text
      })
    child.on("error", reject)
    child.on("close", (status) => resolve({ status, ...output }))
    child.stdin.on("error", () => {}).end(stdin)
  })

/** The program as it is started from its source. */
export const ASSAY = fileURLToPath(new URL("assay.ts", import.meta.url))

/** Runs `assay`, from its source and not from what was built some time. */
export const assay = (args: readonly string[], options: RunOptions = {}): Promise<Ended> =>
  run(process.execPath, [ASSAY, ...args], options)

/** As `assay`, but in this process, which saves the second of a start, and with no other environment than this. */
export const assayHere = async (
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> => {
  const ended = { stdout: "", stderr: "" }
  const status = await runCli(args, parts, {
    out: (text) => {
      ended.stdout += text
    },
    err: (text) => {
      ended.stderr += text
    },
    written: async () => {},
    isTerminal: false,
    colors: false,
    env,
    now: () => new Date(),
    stdin: (async function* () {})(),
  })
  return { status, ...ended }
}

/** Runs `act` with a folder that only this user can read, and removes it with all that was left there. */
export const inFolder = async <T>(act: (folder: string) => Promise<T>): Promise<T> => {
  const folder = mkdtempSync(join(tmpdir(), "assay-e2e-"))
  try {
    return await act(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const isOnPath = (program: string): boolean =>
  (process.env["PATH"] ?? "").split(":").some((folder) => existsSync(join(folder, program)))

/** `test` if all judges are there, else `test.skip`; where prerequisites are required, an absent judge is a failure. */
export const judgedBy = <T>(
  programs: readonly string[],
  test: uvu.Test<T>,
): ((name: string, body: () => Promise<void>) => void) => {
  const missing = programs.filter((program) => !isOnPath(program))
  if (missing.length === 0) return test
  if ((process.env["ASSAY_REQUIRE"] ?? "") === "") return (name) => test.skip(name)
  return (name) =>
    test(name, async () => {
      throw new Error(`not there: ${missing.join(", ")}`)
    })
}
