import type { SentLog } from "../../evidence/evidence.ts"
import type { LogOutcome } from "../../verification/log-outcome.ts"
import type { Meter, Who } from "./caller.ts"

/** Who shows a log: a device by its attestation key. A log is known again of no other device, and under no other key. */
export interface LogOwner {
  readonly tenant: string
  readonly device: string
  readonly akName: Uint8Array
}

/** A log that was read, and what it leads to. */
export interface ReadLog extends SentLog {
  readonly outcome: LogOutcome
}

/**
 * Event logs that devices have shown, by their SHA-256. It is work saved and nothing else: a log may be forgotten at any time,
 * and whoever names it then is asked for it.
 */
export interface LogStore {
  /**
   * When it was last noted that this device has shown the log under this key; nothing if that is not known, or not any more.
   *
   * @throws {AssayError} REGISTRY.
   */
  shown(owner: LogOwner, digest: Uint8Array): Promise<Date | undefined>
  /** The bytes of a log that some device of the tenant has shown; nothing if it is not there. @throws {AssayError} REGISTRY. */
  log(tenant: string, digest: Uint8Array): Promise<Uint8Array | undefined>
  /** Keeps a log that held, or notes that it was used again. Nobody waits for it, and it may come to nothing. */
  note(owner: LogOwner, log: SentLog, at: Date): void
}

/** Event logs, read. A cache wraps it; with and without one, every verification ends alike. */
export interface EventLogs {
  /** Reads a log that was sent. @throws {AssayError} as `parseSentLog`. */
  read(tenant: string, log: SentLog): ReadLog
  /** A log that the device is known to have shown, if that and the log are at hand: for all others ask `shown`, then `load`. */
  known(owner: LogOwner, digest: Uint8Array): ReadLog | undefined
  /** As `LogStore.shown`. @throws {AssayError} REGISTRY. */
  shown(owner: LogOwner, digest: Uint8Array): Promise<Date | undefined>
  /** A log that some device of the caller's tenant has shown; nothing if it is not there. @throws {AssayError} REGISTRY. */
  load(who: Who, digest: Uint8Array, meter: Meter): Promise<ReadLog | undefined>
  /** A log led to PCRs that its device has just quoted: what was worked out of it may be of use again. Never throws. */
  held(owner: LogOwner, log: ReadLog): void
  /** It did so in answer to a challenge: from now on the device may name it. Never throws, and nobody waits for it. */
  keep(owner: LogOwner, log: ReadLog, at: Date): void
}
