import { type Logger, symbols } from "pino"
import { CODES, type Code } from "../errors.ts"
import { Buckets } from "./buckets.ts"

/** What one line says of a call that has ended. */
export interface CallLine {
  readonly method: string
  /** The gRPC status, by name. */
  readonly code: string
  readonly reason: Code | undefined
  readonly ms: number
  readonly caller: string | undefined
  readonly tenant: string | undefined
  readonly request: string
}

/** Logs the end of a call. */
export type LogCall = (line: CallLine, level: "info" | "debug") => void

/** Anything can be thrown, and not everything survives being looked at by a logger. */
export const loggable = (error: unknown): Error =>
  error instanceof Error ? error : new Error(`thrown: ${typeof error === "string" ? error : typeof error}`)

/** Lines of refused calls: whoever is refused could fill a disk otherwise. */
const REFUSED = { perSecond: 100, burst: 1000 }

/**
 * Logs calls, one line each; of those that were refused before they came to anything, so many a second, and then how many
 * there were in between. What was decided is in the journal in any case.
 */
export function createCallLog(log: Logger, nowMs = (): number => performance.now()): LogCall {
  const bucket = new Buckets(REFUSED, 1)
  const calls = writingAtOnce(log.child({}))
  let omitted = 0
  return (line, level) => {
    const kind = line.reason === undefined ? undefined : CODES[line.reason].kind
    if (kind === "denied" || kind === "malformed" || kind === "exhausted") {
      if (bucket.take("", nowMs()) > 0) {
        omitted += 1
        return
      }
    }
    calls[level](omitted === 0 ? line : { ...line, omitted }, "call")
    omitted = 0
  }
}

/**
 * Has a logger write what it would write anyway, members and their names in one go. One by one, as pino writes them, they cost as
 * much as a tenth of all that is done around a call. All that a line may have is in `CallLine`, and none of it can be presented: there
 * is nothing to hide.
 */
function writingAtOnce(log: Logger): Logger {
  const bindings = String(Reflect.get(log, symbols.chindingsSym))
  const asJson = (line: CallLine, message: string, level: number, time: string): string =>
    `{"level":${level}${time}${bindings},${JSON.stringify(line).slice(1, -1)},"msg":"${message}"}\n`
  return Object.assign(log, { [symbols.asJsonSym]: asJson })
}
