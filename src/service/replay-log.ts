import { type Event, type EventLog, parseEventLog } from "../evidence/eventlog/eventlog.ts"
import type { HashName } from "../evidence/tpm/algorithm.ts"
import type { PcrValues } from "../evidence/tpm/pcrs.ts"
import { replayBank, startupLocalityOf } from "../verification/replay.ts"

/** What a log leads to, compared with nothing. */
export interface ReplayedLog {
  readonly format: EventLog["format"]
  /** By bank of the log; only the PCRs that an event extends. */
  readonly banks: PcrValues
  /** The banks whose values prove nothing, each with the first event that should extend it and has no digest for it. */
  readonly gaps: readonly { readonly bank: HashName; readonly event: Event }[]
  /** How many records the log has, its header included. */
  readonly eventCount: number
  /** What the log says that PCR 0 began with in its last byte; nothing if it does not say. */
  readonly startupLocality: number | undefined
  readonly paddingBytes: number
}

/**
 * Replays every bank of an event log.
 *
 * @throws {AssayError} SPEC_ID, EVENT, FRAMING, LENGTH, LOG_SIZE as `parseEventLog`; EVENT_LOG_REPLAY for a
 *   StartupLocality that comes twice or too late.
 */
export function replayLog(bytes: Uint8Array): ReplayedLog {
  const log = parseEventLog(bytes)
  const replayed = log.banks.map((bank) => ({ bank, ...replayBank(log, bank) }))
  return {
    format: log.format,
    banks: new Map(replayed.map(({ bank, values }) => [bank, values])),
    gaps: replayed.flatMap(({ bank, gap }) => (gap === undefined ? [] : [{ bank, event: gap }])),
    eventCount: log.events.length,
    startupLocality: startupLocalityOf(log),
    paddingBytes: log.paddingBytes,
  }
}
