/** A shell that runs one program after another: to fork a process as large as this one takes longer than they take. */
import { spawn } from "node:child_process"

/** How a program ended. */
export interface Ended {
  readonly status: number
  /** What it said, on whichever stream. */
  readonly output: string
}

export interface Shell {
  /** Where its programs run. */
  readonly folder: string
  /**
   * Runs a program to its end, one at a time.
   *
   * @throws {Error} if that takes too long, or the shell is gone; TypeError for words that could mean more than themselves.
   */
  run(...words: readonly string[]): Promise<Ended>
  close(): void
}

const TIME_MAX_MS = 20_000
const WORD = /^[\w.,:/=-]+$/
/** What the shell writes after a program, and no program does. */
const END = /\n=== (\d+)\n$/

/** Starts one in a folder that is there. */
export const openShell = (folder: string): Shell => {
  const child = spawn("sh", { cwd: folder, stdio: ["pipe", "pipe", "ignore"] })
  const { stdin, stdout } = child
  let text = ""
  let running: PromiseWithResolvers<Ended> | undefined
  const gone = (): void => running?.reject(new Error(`the shell is gone: ${text}`))
  child.on("error", gone).on("close", gone)
  stdin.on("error", gone)
  stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part
    const end = END.exec(text)
    if (end !== null) running?.resolve({ status: Number(end[1]), output: text.slice(0, end.index) })
  })
  return {
    folder,
    async run(...words) {
      const odd = words.find((word) => !WORD.test(word))
      if (odd !== undefined) throw new TypeError(`not a plain word: ${odd}`)
      text = ""
      running = Promise.withResolvers()
      const timer = setTimeout(() => child.kill("SIGKILL"), TIME_MAX_MS)
      stdin.write(`${words.join(" ")} </dev/null 2>&1; printf '\\n=== %d\\n' $?\n`)
      return await running.promise.finally(() => clearTimeout(timer))
    },
    close: () => stdin.end(),
  }
}
