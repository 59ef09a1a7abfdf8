/**
 * Ends a server at a fault point in the middle of a call, as if the power went, starts it again on what was left, and
 * looks at what must hold: no token without its spent challenge and its record, nothing half done.
 */
import { cpSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type ServeOptions, type ServerProcess, serve } from "../e2e/server.ts"

/** One use case, and what must hold after a crash in it. */
export interface Scenario<Outcome> {
  readonly name: string
  /** What the data folder holds before. */
  prepare(server: ServerProcess): Promise<void>
  /** The calls in whose middle the server ends. What they throw then is no outcome. */
  act(server: ServerProcess): Promise<Outcome>
  /** Throws if something is there that must not be. `outcome` is nothing if the caller got no answer. */
  check(server: ServerProcess, outcome: Outcome | undefined): Promise<void>
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

/** Makes a scenario's data. `options` are those of every server of it. */
export async function prepareScenario<Outcome>(
  scenario: Scenario<Outcome>,
  options: ServeOptions = {},
): Promise<PreparedScenario> {
  const folder = mkdtempSync(join(tmpdir(), "assay-crash-"))
  const template = join(folder, "template")
  await during(template, options, (server) => scenario.prepare(server))
  let runs = 0
  const copy = (): string => {
    const run = join(folder, `run-${runs++}`)
    cpSync(template, run, { recursive: true })
    return run
  }
  const withFault = (fault: string): ServeOptions => ({
    ...options,
    env: { ...options.env, ASSAY_FAULT: fault },
  })
  return {
    points: () =>
      during(copy(), withFault("trace"), async (server) => {
        await scenario.act(server)
        return [...new Set(server.lines().flatMap(({ point }) => (typeof point === "string" ? [point] : [])))]
      }),
    async crashAt(point) {
      const run = copy()
      const server = await serve(run, withFault(point))
      const outcome = await scenario.act(server).catch(() => undefined)
      const died = (await ended(server)) === "SIGKILL"
      const failure = await during(run, options, (again) => scenario.check(again, outcome)).then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? (error.stack ?? error.message) : String(error)),
      )
      rmSync(run, { recursive: true })
      return { scenario: scenario.name, point, died, answered: outcome !== undefined, failure }
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  }
}

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

const during = async <T>(
  folder: string,
  options: ServeOptions,
  act: (server: ServerProcess) => Promise<T>,
): Promise<T> => {
  const server = await serve(folder, options)
  try {
    return await act(server)
  } finally {
    await server.end()
  }
}
