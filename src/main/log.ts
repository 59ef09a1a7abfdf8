/** The log of a process. */
import { type Logger, pino } from "pino"
import type { Config } from "../config.ts"

/** Nothing logs these. Should anything ever, they are not shown. */
const NEVER_LOGGED = ["token", "challenge", "nonce", "credential", "passphrase"]

/** Lines are written when so many characters wait, or after so long: a write each would cost as much as all else of a line. */
const WAITING_MAX = 32_768
const WAITING_MS = 50

/** Logs as JSON lines on stdout, without anything that could be presented. What waits is written when the process exits. */
export const createLog = (level: Config["logLevel"]): Logger => {
  const stdout = pino.destination({ sync: true })
  const lines = collected((text) => void stdout.write(text))
  setInterval(lines.flush, WAITING_MS).unref()
  process.once("exit", lines.flush)
  return pino({ level, redact: NEVER_LOGGED.flatMap((name) => [name, `*.${name}`]) }, lines)
}

/** Collects lines, and hands them on together. Pino's own buffer is copied whole for each line that is added to it. */
export const collected = (hand: (text: string) => void) => {
  let waiting = ""
  const flush = (): void => {
    if (waiting === "") return
    const text = waiting
    waiting = ""
    hand(text)
  }
  const write = (line: string): void => {
    waiting += line
    if (waiting.length >= WAITING_MAX) flush()
  }
  return { write, flush }
}
