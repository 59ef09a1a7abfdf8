import type { KeyObject } from "node:crypto"
import type { SingleUse } from "../../service/ports.ts"

/** The key for epochs that start at an instant. @throws {AssayError} NONCE_STORE, CLOCK. */
export type EpochKey = (startsAt: Date) => Promise<KeyObject>

/** Counts since the start. */
export interface EngineCounts {
  readonly created: number
  readonly spent: number
  /** Spent ones that have to be remembered until they expire; nothing where only the store knows. */
  readonly outstanding: number | undefined
}

/** What owns sealing keys and the memory of what was spent: for this process alone, or for all replicas. */
export interface Engine {
  readonly singleUse: SingleUse
  readonly epochKey: EpochKey
  counts(): EngineCounts
  /** Why nothing can be sealed or spent; nothing while it can. For readiness. */
  unready(): string | undefined
  close(): Promise<void>
}
