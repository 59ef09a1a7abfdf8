/** What the parts of the bench have in common. */
import type { Figures } from "./figures.ts"

/** How much a part measures, where that can be chosen. */
export interface Amount {
  readonly calls: number
  readonly rounds: number
  readonly inFlight: number
  /** Devices that are hot. */
  readonly hot: number
  /** Devices that are registered. */
  readonly registered: number
  /** For how long more is asked than can be answered. */
  readonly overloadSeconds: number
}

/** What a part came to. */
export interface PartResult {
  readonly figures: Figures
  /** All else that it measured. */
  readonly details: unknown
  /** The same for people, if there is more to it than its figures. */
  readonly tables?: string
  /** Where calls, verified tokens and records of the journal are not as many. */
  readonly differences: readonly string[]
  /** Bounds of its own that it does not keep. */
  readonly excesses?: readonly string[]
}
