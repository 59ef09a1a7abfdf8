import { hash } from "node:crypto"
import { sameBytes, toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { EV_NO_ACTION, type Event, type EventLog } from "../evidence/eventlog/eventlog.ts"
import { HASHES, type HashName } from "../evidence/tpm/algorithm.ts"
import type { BankValues, PcrValues } from "../evidence/tpm/pcrs.ts"
import type { LogOutcome } from "./log-outcome.ts"
import { type Verified, vouch } from "./verified.ts"

/** PCRs that belong to the firmware: without an event they must still be as they were at reset. */
export const BOOT_PCR_MAX = 7
/** PCRs that begin as all ones, until a dynamic launch. */
const DYNAMIC_PCR_MIN = 17
const DYNAMIC_PCR_MAX = 22
const STARTUP_LOCALITY = Buffer.from("StartupLocality\0", "latin1")

/** A log that leads to the quoted values: the PCRs that it explains, by bank. */
export interface Replay {
  readonly explained: ReadonlyMap<HashName, readonly number[]>
}

/** A quoted PCR that the log does not lead to. */
export interface Mismatch {
  readonly bank: HashName
  readonly pcr: number
  readonly replayed: Uint8Array
  readonly quoted: Uint8Array
  /** The first event after which the quoted value cannot be reached any more; nothing if the PCR has no event. */
  readonly event: Event | undefined
}

/**
 * Proves that the log leads to the quoted PCRs, in each quoted bank: every PCR that the log extends, and the boot
 * PCRs 0 to 7 whether it extends them or not. Other PCRs without an event are the operating system's.
 *
 * What is proven is the sequence of digests in each PCR and nothing else: neither types nor, in general, data.
 *
 * @throws {AssayError} EVENT_LOG_REPLAY with the PCR and the first event after which it cannot match;
 *   EVENT_LOG_BANK if the log has no digests for a quoted bank.
 */
export function verifyReplay(pcrs: Verified<PcrValues>, log: LogOutcome): Verified<Replay> {
  const explained = new Map<HashName, readonly number[]>()
  for (const [bank, quoted] of pcrs) {
    const [mismatch] = mismatchesOf(log, bank, quoted)
    if (mismatch !== undefined) throw mismatchError(mismatch)
    const leads: number[] = []
    for (const pcr of log.extended) if (quoted.has(pcr)) leads.push(pcr)
    if (log.banks.includes(bank)) explained.set(bank, leads)
  }
  return vouch({ explained })
}

/**
 * Every quoted PCR of one bank that the log does not lead to.
 *
 * Some firmware leaves an active bank alone and out of its log. Such a bank holds only if it shows that: boot PCRs
 * or PCRs that the log extends in other banks are quoted, and all of them are at their reset value. What that means
 * for the device is a policy's to say.
 *
 * @throws {AssayError} EVENT_LOG_BANK if the log has no digests for a bank that was extended; EVENT_LOG_REPLAY for an
 *   event without a digest for a bank that the log has, and as `replayBank`.
 */
export function mismatchesOf(log: LogOutcome, bank: HashName, quoted: BankValues): readonly Mismatch[] {
  if (!log.banks.includes(bank)) {
    if (isUntouched(log, quoted)) return []
    throw new AssayError("EVENT_LOG_BANK", `the event log has no digests for the quoted bank ${bank}`, {
      location: `event log, bank ${bank}`,
      expected: bank,
      actual: log.banks.join(", "),
    })
  }
  const { values, gap } = log.replayed(bank)
  if (gap !== undefined) throw replayError(gap, bank, `has no digest for the bank ${bank}`)
  return compareBank(log, bank, values, quoted)
}

/** Every PCR that an event extends. */
export const extendedPcrs = (log: EventLog): ReadonlySet<number> =>
  new Set(log.events.filter(isExtending).map(({ pcr }) => pcr))

const isUntouched = ({ extended }: LogOutcome, quoted: BankValues): boolean => {
  const telling = [...quoted].filter(([pcr]) => pcr <= BOOT_PCR_MAX || extended.has(pcr))
  return telling.length > 0 && telling.every(([pcr, value]) => isResetValue(pcr, value))
}

/** What a bank's part of a log leads to. */
export interface ReplayedBank {
  /** Only the PCRs that have an event. */
  readonly values: BankValues
  /** The first event that should extend a PCR and has no digest for this bank: then the values prove nothing. */
  readonly gap: Event | undefined
}

/**
 * Replays one bank: new = H(old then digest) for each event but EV_NO_ACTION. A StartupLocality record sets the
 * last byte of PCR 0's first value.
 *
 * @throws {AssayError} EVENT_LOG_REPLAY for a StartupLocality that comes twice or after PCR 0 was extended.
 */
export function replayBank(log: EventLog, bank: HashName): ReplayedBank {
  const slices = replaySlices(log, bank)
  let slice = slices.next()
  while (slice.done !== true) slice = slices.next()
  return slice.value
}

/** Events that are replayed at a time: less than 1 ms of the event loop. */
const SLICE = 256

/** As `replayBank`, in slices: what comes between is time for others. */
export function* replaySlices(log: EventLog, bank: HashName): Generator<undefined, ReplayedBank> {
  const pcrs = new Map<number, Pcr>()
  let gap: Event | undefined
  let count = 0
  for (const event of log.events) {
    if (!isExtending(event)) continue
    if (++count % SLICE === 0) yield undefined
    const value = event.digests.get(bank)
    if (value === undefined) {
      gap ??= event
      continue
    }
    const pcr = pcrs.get(event.pcr) ?? new Pcr(log, bank, event.pcr)
    pcrs.set(event.pcr, pcr)
    pcr.extend(value)
  }
  return { values: new Map([...pcrs].map(([index, pcr]) => [index, pcr.value])), gap }
}

/** A PCR that is replayed: in one buffer, for one of each event would cost more than its hash. */
class Pcr {
  readonly #bank: HashName
  readonly #sizeBytes: number
  /** The value, and behind it what it is extended with next. */
  readonly #both: Buffer

  /** @throws {AssayError} EVENT_LOG_REPLAY as `startupLocalityOf`. */
  constructor(log: EventLog, bank: HashName, index: number) {
    this.#bank = bank
    this.#sizeBytes = HASHES[bank].sizeBytes
    this.#both = Buffer.alloc(2 * this.#sizeBytes)
    this.#both.set(index === 0 ? startupValue(log, bank) : resetValue(bank, index))
  }

  get value(): Uint8Array {
    return new Uint8Array(this.#both.subarray(0, this.#sizeBytes))
  }

  /** @param digest Of the bank's size, as all digests of a log are. */
  extend(digest: Uint8Array): void {
    this.#both.set(digest, this.#sizeBytes)
    this.#both.write(hash(this.#bank, this.#both, "latin1"), "latin1")
  }
}

/** Every quoted PCR that the replayed values do not explain. */
export function compareBank(
  log: LogOutcome,
  bank: HashName,
  replayed: BankValues,
  quoted: BankValues,
): Mismatch[] {
  const mismatches: Mismatch[] = []
  // Not a loop over pairs, each of which would be an array.
  quoted.forEach((value, pcr) => {
    const expected = replayed.get(pcr) ?? (pcr <= BOOT_PCR_MAX ? log.firstValue(bank, pcr) : undefined)
    if (expected !== undefined && !sameBytes(expected, value))
      mismatches.push(mismatchOf(log, bank, pcr, expected, value))
  })
  return mismatches
}

const mismatchOf = (
  log: LogOutcome,
  bank: HashName,
  pcr: number,
  replayed: Uint8Array,
  quoted: Uint8Array,
): Mismatch => ({
  bank,
  pcr,
  replayed,
  quoted,
  // Only worked out for those who ask: it costs as much as the replay of the PCR.
  get event() {
    return firstDeviation(log.log(), bank, pcr, quoted)
  },
})

/** What a PCR holds after a TPM reset. */
export const resetValue = (bank: HashName, pcr: number): Uint8Array =>
  new Uint8Array(HASHES[bank].sizeBytes).fill(pcr >= DYNAMIC_PCR_MIN && pcr <= DYNAMIC_PCR_MAX ? 0xff : 0)

/** Whether PCR 0 to 7 was never extended: zeros, with the startup locality in the last byte of PCR 0. */
export const isResetValue = (pcr: number, value: Uint8Array): boolean =>
  value.every((byte, i) => byte === 0 || (pcr === 0 && i === value.length - 1 && byte <= LOCALITY_MAX))

const LOCALITY_MAX = 4

const isExtending = ({ untrustedType }: Event): boolean => untrustedType !== EV_NO_ACTION

/**
 * What the log says that PCR 0 began with in its last byte; nothing if it does not say.
 *
 * @throws {AssayError} EVENT_LOG_REPLAY if it says so twice, or when PCR 0 already has a value.
 * @see TCG PC Client Platform Firmware Profile 1.05, 10.4.5.3.
 */
export function startupLocalityOf(log: EventLog): number | undefined {
  let locality: number | undefined
  let settled = false
  for (const event of log.events) {
    if (event.untrustedType !== EV_NO_ACTION) settled ||= event.pcr === 0
    else if (isStartupLocality(event)) {
      if (settled) throw replayError(event, "PCR", "sets the startup locality when PCR 0 already has a value")
      locality = event.untrustedData[STARTUP_LOCALITY.length]
      settled = true
    }
  }
  return locality
}

/** What PCR 0 holds before its first event. */
const startupValue = (log: EventLog, bank: HashName): Uint8Array => {
  const value = resetValue(bank, 0)
  value[value.length - 1] = startupLocalityOf(log) ?? 0
  return value
}

const isStartupLocality = ({ untrustedData }: Event): boolean =>
  untrustedData.length === STARTUP_LOCALITY.length + 1 &&
  sameBytes(untrustedData.subarray(0, STARTUP_LOCALITY.length), STARTUP_LOCALITY)

/**
 * The first event after which `quoted` cannot be reached: the one that follows the longest part of the log that
 * leads to it, for extending never leads back. If no part does, that is the PCR's first event.
 */
function firstDeviation(log: EventLog, bank: HashName, pcr: number, quoted: Uint8Array): Event | undefined {
  const events = log.events.filter((event) => isExtending(event) && event.pcr === pcr)
  const replayed = new Pcr(log, bank, pcr)
  let after = 0
  events.forEach((event, i) => {
    if (sameBytes(replayed.value, quoted)) after = i
    const value = event.digests.get(bank)
    if (value !== undefined) replayed.extend(value)
  })
  return events[after]
}

/** The refusal that a mismatch becomes. */
export const mismatchError = ({ bank, pcr, replayed, quoted, event }: Mismatch): AssayError => {
  const where = event === undefined ? "no event of the log extends it" : `event ${event.sequence}`
  return new AssayError(
    "EVENT_LOG_REPLAY",
    `the event log does not lead to the quoted PCR ${pcr} (${bank})`,
    {
      location: `${bank}:${pcr}, ${where}`,
      expected: `${toHex(replayed)} by the log`,
      actual: `${toHex(quoted)} in the quote`,
    },
  )
}

const replayError = (event: Event, where: HashName | "PCR", what: string): AssayError =>
  new AssayError("EVENT_LOG_REPLAY", `event ${event.sequence} of PCR ${event.pcr} ${what}`, {
    location: `${where}:${event.pcr}, event ${event.sequence}`,
  })
