/** The log of a process. */
import { type Logger, pino } from "pino"
import type { Config } from "../config.ts"

/** Nothing logs these. Should anything ever, they are not shown. */
const NEVER_LOGGED = ["token", "challenge", "nonce", "credential", "passphrase"]

/** A line is written when so many bytes wait, or after so long: a write each would cost as much as all else of a line. */
const LOG_BYTES = 8192
const LOG_MS = 50

/** Logs as JSON lines on stdout, without anything that could be presented. What waits is written when the process exits. */
export const createLog = (level: Config["logLevel"]): Logger => {
  const destination = pino.destination({ sync: true, minLength: LOG_BYTES, periodicFlush: LOG_MS })
  process.once("exit", () => destination.flushSync())
  return pino({ level, redact: NEVER_LOGGED.flatMap((name) => [name, `*.${name}`]) }, destination)
}
