/**
 * Ends a server at a fault point in the middle of a call, as if the power went, starts it again on what was left, and
 * looks at what must hold: no token without its spent challenge and its record, nothing half done.
 */
import { cpSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { readConfig } from "../../src/config.ts"
import { createLog, start } from "../../src/main.ts"
import { type ServerProcess, serve } from "../e2e/server.ts"

/** What a scenario needs of a server, wherever it runs. */
export type Served = Pick<ServerProcess, "data" | "unix" | "admin">

/** One use case, and what must hold after a crash in it. */
export interface Scenario<Outcome> {
  readonly name: string
  /** What the data folder holds before. */
  prepare(server: Served): Promise<void>
  /** The calls in whose middle the server ends. What they throw then is no outcome. */
  act(server: Served): Promise<Outcome>
  /** Throws if something is there that must not be. `outcome` is nothing if the caller got no answer. */
  check(server: Served, outcome: Outcome | undefined): Promise<void>
}

/** What came of one crash. */
export interface Crash {
  readonly scenario: string
  readonly point: string
  /** Whether the server ended there, or the use case never passed the point. */
  readonly died: boolean
  /** Whether the caller had its answer all the same. */
  readonly answered: boolean
  /** What did not hold. */
  readonly failure: string | undefined
}

/** A scenario over a data folder that was prepared once. */
export interface PreparedScenario {
  /** The points that the use case passes, in their order, each once. */
  points(): Promise<readonly string[]>
  crashAt(point: string): Promise<Crash>
  /** Removes its folders. */
  close(): void
}

/** Makes a scenario's data. */
export async function prepareScenario<Outcome>(scenario: Scenario<Outcome>): Promise<PreparedScenario> {
  const folder = mkdtempSync(join(tmpdir(), "assay-crash-"))
  const template = join(folder, "template")
  await during(template, (server) => scenario.prepare(server))
  let runs = 0
  const copy = (): string => {
    const run = join(folder, `run-${runs++}`)
    cpSync(template, run, { recursive: true })
    return run
  }
  const serveWithFault = (folder: string, fault: string): Promise<ServerProcess> =>
    serve(folder, { env: { ASSAY_FAULT: fault } })
  return {
    async points() {
      const server = await serveWithFault(copy(), "trace")
      try {
        await scenario.act(server)
        await sleep(LOGGED_MS)
        return [...new Set(server.lines().flatMap(({ point }) => (typeof point === "string" ? [point] : [])))]
      } finally {
        await server.end()
      }
    },
    async crashAt(point) {
      const run = copy()
      const server = await serveWithFault(run, point)
      const outcome = await scenario.act(server).catch(() => undefined)
      const died = (await ended(server)) === "SIGKILL"
      const failure = await during(run, (again) => scenario.check(again, outcome)).then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? (error.stack ?? error.message) : String(error)),
      )
      rmSync(run, { recursive: true })
      return { scenario: scenario.name, point, died, answered: outcome !== undefined, failure }
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Lines of a log are written together, so much later at the most, and some. */
const LOGGED_MS = 250
/** How long a server that was to end has for it. */
const END_MS = 500

/** How the server ended; one that did not is stopped. */
const ended = async (server: ServerProcess): Promise<number | NodeJS.Signals | null> => {
  const { child } = server
  if (child.exitCode === null && child.signalCode === null)
    await Promise.race([
      new Promise((resolve) => child.once("exit", resolve)),
      new Promise((resolve) => setTimeout(resolve, END_MS)),
    ])
  return child.signalCode ?? server.end()
}

/** `act` with a server in this process, which saves the start of one: nothing is to happen to it. */
const during = async <T>(folder: string, act: (server: Served) => Promise<T>): Promise<T> => {
  const data = join(folder, "data")
  const unix = `unix:${join(data, "assay.sock")}`
  const flags = { development: true, data, listen: ["127.0.0.1:0", unix] }
  const pages = { "web.public": "127.0.0.1:0", "web.private": "127.0.0.1:0" }
  const { admin, stop } = await start(readConfig({ ...flags, ...pages }, {}, undefined), createLog("silent"))
  try {
    return await act({ data, unix, admin })
  } finally {
    await stop()
  }
}
