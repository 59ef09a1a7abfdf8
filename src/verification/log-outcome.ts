import { AssayError } from "../errors.ts"
import type { EventLog } from "../evidence/eventlog/eventlog.ts"
import type { HashName } from "../evidence/tpm/algorithm.ts"
import {
  extendedPcrs,
  type ReplayedBank,
  replayBank,
  replaySlices,
  resetValue,
  startupLocalityOf,
} from "./replay.ts"

/** Moves on whenever a log is read or replayed otherwise than before: what was worked out by other rules is of no use. */
export const REPLAY_RULES = 1

/**
 * What a log leads to, whatever is quoted: each bank is replayed once, when it is first asked for. It proves nothing by itself;
 * `verifyReplay` compares it with quoted values, each time.
 */
export interface LogOutcome {
  /** The banks that the log has digests for. */
  readonly banks: readonly HashName[]
  /** Every PCR that an event extends. */
  readonly extended: ReadonlySet<number>
  /** @throws {AssayError} EVENT_LOG_REPLAY as `replayBank`. */
  replayed(bank: HashName): ReplayedBank
  /**
   * Replays such of these banks as were not yet, in slices; nothing where there is nothing to do. Why a bank cannot be replayed is
   * thrown by `replayed`.
   */
  replaying(banks: readonly HashName[]): Iterator<undefined, unknown> | undefined
  /** What a PCR holds before its first event. @throws {AssayError} EVENT_LOG_REPLAY as `startupLocalityOf`. */
  firstValue(bank: HashName, pcr: number): Uint8Array
  /** The log itself, to find the event that something is up to. */
  log(): EventLog
  /** Lets go of the parsed log, which is many times its bytes. Whatever still needs it parses it again. */
  settle(): void
}

/** @param parse Gives the same log each time. @throws whatever it throws, at once. */
export const createLogOutcome = (parse: () => EventLog): LogOutcome => {
  let parsed: EventLog | undefined = parse()
  const { banks } = parsed
  const extended = extendedPcrs(parsed)
  const replays = new Map<HashName, ReplayedBank | AssayError>()
  const log = (): EventLog => parsed ?? parse()
  let locality: { readonly value: number | undefined } | undefined
  function* replaySome(wanted: readonly HashName[]): Generator<undefined> {
    const whole = log()
    for (const bank of wanted)
      try {
        replays.set(bank, yield* replaySlices(whole, bank))
      } catch (error) {
        if (!(error instanceof AssayError)) throw error
        replays.set(bank, error)
      }
    // Who waits for the disk after this need not hold it: only a refusal asks for an event of it.
    parsed = undefined
  }
  return {
    banks,
    extended,
    replayed(bank) {
      const known = replays.get(bank)
      if (known instanceof AssayError) throw known
      if (known !== undefined) return known
      const replayed = replayBank(log(), bank)
      replays.set(bank, replayed)
      return replayed
    },
    replaying(wanted) {
      const left = banks.filter((bank) => wanted.includes(bank) && !replays.has(bank))
      return left.length === 0 ? undefined : replaySome(left)
    },
    firstValue(bank, pcr) {
      const value = resetValue(bank, pcr)
      if (pcr !== 0) return value
      locality ??= { value: startupLocalityOf(log()) }
      value[value.length - 1] = locality.value ?? 0
      return value
    },
    log,
    settle() {
      parsed = undefined
    },
  }
}
