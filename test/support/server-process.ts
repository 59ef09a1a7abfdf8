/** Processes of real servers that tests start, kill, stop for a while, and start again. */
import { type ChildProcess, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { setTimeout } from "node:timers/promises"

/** Within this a server that was started has to answer, and one that was killed to be gone. */
const LIMIT_MS = 30_000
const POLL_MS = 10

/** One server, from its start until it ends. */
export interface ServerProcess {
  /** Ends it at once, with everything that it started (SIGKILL): nothing is written, nothing said. Resolves when it is gone. */
  kill(): Promise<void>
  /** Stops it and everything that it started where they are (SIGSTOP): connections stay, and nobody answers. */
  pause(): void
  /** Lets it go on (SIGCONT). */
  resume(): void
  /** Ends it by `signal`, and resolves when it is gone. */
  end(signal: NodeJS.Signals): Promise<void>
}

/**
 * Starts `command` and waits until `answers` resolves. It dies with this process, however that ends, thanks to setpriv;
 * the superuser starts it as `user`, for servers that refuse to run as root.
 */
export const startProcess = async (
  [program = "", ...args]: readonly string[],
  { user, answers }: { readonly user?: string | undefined; readonly answers: () => Promise<unknown> },
): Promise<ServerProcess> => {
  const child = spawn("setpriv", [...privileges(user), "--pdeathsig", "KILL", program, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    cwd: "/",
  })
  const said: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => said.push(chunk))
  const limit = performance.now() + LIMIT_MS
  for (;;) {
    if (hasEnded(child)) throw new Error(`${program} ended:\n${Buffer.concat(said)}`)
    try {
      await answers()
      break
    } catch (cause) {
      if (performance.now() > limit) {
        child.kill("SIGKILL")
        throw new Error(`${program} does not answer:\n${Buffer.concat(said)}`, { cause })
      }
    }
    await setTimeout(POLL_MS)
  }
  const signalAll = (signal: NodeJS.Signals): number[] => {
    if (hasEnded(child) || child.pid === undefined) return []
    const pids = [child.pid]
    // The parent first, so that it starts nobody between.
    process.kill(child.pid, signal === "SIGKILL" ? "SIGSTOP" : signal)
    for (const pid of pids) pids.push(...childrenOf(pid))
    for (const pid of pids) signalOne(pid, signal)
    return pids
  }
  return {
    kill: () => gone(child, signalAll("SIGKILL")),
    pause: () => void signalAll("SIGSTOP"),
    resume: () => void signalAll("SIGCONT"),
    async end(signal) {
      signalAll("SIGCONT")
      child.kill(signal)
      await gone(child, [])
    },
  }
}

/** For a command line that is to run as `user` if the superuser runs it. */
export const privileges = (user: string | undefined): readonly string[] =>
  user === undefined || process.getuid?.() !== 0 ? [] : ["--reuid", user, "--regid", user, "--clear-groups"]

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

const signalOne = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended by itself meanwhile.
  }
}

const childrenOf = (pid: number): number[] => {
  try {
    const listed = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim()
    return listed === "" ? [] : listed.split(" ").map(Number)
  } catch {
    return []
  }
}

/** Whether a process runs; what waits for its parent to ask after it does not. */
const runs = (pid: number): boolean => {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"))
  } catch {
    return false
  }
}

const gone = async (child: ChildProcess, pids: readonly number[]): Promise<void> => {
  const limit = performance.now() + LIMIT_MS
  while (!hasEnded(child) || pids.some(runs)) {
    if (performance.now() > limit) throw new Error(`process ${child.pid} does not end`)
    await setTimeout(POLL_MS)
  }
}
