/**
 * What goes between the main thread and the one that writes the journal.
 *
 * A group goes as one string of JSON, of lists and not of objects. Measured with groups of 22, for both threads together:
 * 2.5 µs a record; a structured clone of the records as they are takes 8.8 µs, for it spells the name of every member of
 * every record, and makes a buffer of its own for each digest.
 */
import { toHex } from "../bytes.ts"
import { AssayError, type Code } from "../errors.ts"
import type { ClockInfo } from "../evidence/tpm/attest.ts"
import type { Commit, Counters, JournalAct, JournalRecord } from "../service/ports.ts"
import type { GroupEntry } from "./journal-commit.ts"

/** What the thread is started with. */
export interface ThreadStart {
  readonly path: string
  /** The writer's name, see `createChainWriter`. */
  readonly writer: string
}

/** A refusal without its class, which a clone would lose. */
interface RefusalMessage {
  /** Its place in the group. */
  readonly at: number
  readonly code: Code
  readonly message: string
  readonly location: string | undefined
  readonly expected: string | undefined
  readonly actual: string | undefined
  /** What it was made of, as text. */
  readonly cause: string | undefined
}

/** How many of a group were written, and who was not. */
export interface WrittenMessage {
  readonly kind: "written"
  readonly written: number
  readonly refusals: readonly RefusalMessage[]
}

/** What became of a group, or why all of it was refused. The answers come in order. */
export type ThreadMessage = WrittenMessage | { readonly kind: "failed"; readonly reason: string }

/*
 * What may be absent is a list of one or of none, as in the encoding of a record: JSON has null for a number that is none,
 * which must be refused as it is, and not pass for one that is not there.
 */
type Optional<T> = readonly T[]
/** Milliseconds since 1970; null of an instant that is none. */
type InstantJson = number | null
/** Its decimal digits. */
type U64Json = string
type HexJson = string

type ClockJson = readonly [clockMs: U64Json, resetCount: number, restartCount: number, safe: boolean]
type CountersJson = readonly [clock: ClockJson, firmwareVersion: Optional<U64Json>, recordedAt: InstantJson]
type PolicyJson = readonly [name: string, revision: number]
type RevisionsJson<Device> = readonly [device: Device, policy: Optional<PolicyJson>, trust: Optional<number>]
type ResultJson = readonly [at: InstantJson, tier: string, code: Optional<string>, admitted: boolean]
type CommitJson = readonly [
  device: string,
  revisions: RevisionsJson<number>,
  counters: Optional<CountersJson>,
  result: Optional<ResultJson>,
  known: boolean,
  remembered: Optional<readonly [before: Optional<CountersJson>, clock: Optional<ClockJson>]>,
  freshSince: InstantJson,
]
type RecordJson = readonly [
  at: InstantJson,
  tenant: string,
  caller: string,
  act: JournalAct,
  device: string,
  outcome: string,
  codes: readonly string[],
  evidenceDigest: HexJson,
  policyDigest: Optional<HexJson>,
  revisions: Optional<RevisionsJson<Optional<number>>>,
  tokenId: Optional<string>,
]
type EntryJson = readonly [record: RecordJson, commit: Optional<CommitJson>]

/** A group as it is sent. */
export const toMessage = (group: readonly GroupEntry[]): string => JSON.stringify(group.map(entryToJson))

/** The group again. What cannot be recorded, such as an instant that is none, can neither be of what comes back. */
export const fromMessage = (message: string): readonly GroupEntry[] => {
  const group: readonly EntryJson[] = JSON.parse(message)
  return group.map(entryFromJson)
}

const optional = <T, U>(value: T | undefined, convert: (value: T) => U): Optional<U> =>
  value === undefined ? [] : [convert(value)]
const present = <T, U>([value]: Optional<T>, convert: (value: T) => U): U | undefined =>
  value === undefined ? undefined : convert(value)
const same = <T>(value: T): T => value

const entryToJson = ({ record, commit }: GroupEntry): EntryJson => [
  recordToJson(record),
  optional(commit, commitToJson),
]
const entryFromJson = ([record, commit]: EntryJson): GroupEntry => ({
  record: recordFromJson(record),
  commit: present(commit, commitFromJson),
})

const recordToJson = (record: JournalRecord): RecordJson => [
  record.at.getTime(),
  record.tenant,
  record.caller,
  record.act,
  record.device,
  record.outcome,
  record.codes,
  toHex(record.evidenceDigest),
  optional(record.policyDigest, toHex),
  optional(record.revisions, ({ device, policy, trust }) => [
    optional(device, same),
    optional(policy, policyToJson),
    optional(trust, same),
  ]),
  optional(record.tokenId, same),
]
const recordFromJson = (json: RecordJson): JournalRecord => {
  const [at, tenant, caller, act, device, outcome, codes, evidence, policy, revisions, tokenId] = json
  return {
    at: instant(at),
    tenant,
    caller,
    act,
    device,
    outcome,
    codes,
    evidenceDigest: digest(evidence),
    policyDigest: present(policy, digest),
    revisions: present(revisions, ([device, policy, trust]) => ({
      device: device[0],
      policy: present(policy, policyFromJson),
      trust: trust[0],
    })),
    tokenId: tokenId[0],
  }
}

const commitToJson = (commit: Commit): CommitJson => [
  commit.device,
  [
    commit.revisions.device,
    optional(commit.revisions.policy, policyToJson),
    optional(commit.revisions.trust, same),
  ],
  optional(commit.counters, countersToJson),
  optional(commit.result, ({ at, tier, code, admitted }) => [
    at.getTime(),
    tier,
    optional(code, same),
    admitted,
  ]),
  commit.known,
  optional(commit.remembered, ({ before, clock }) => [
    optional(before, countersToJson),
    optional(clock, clockToJson),
  ]),
  commit.freshSince.getTime(),
]
const commitFromJson = (json: CommitJson): Commit => {
  const [device, [revision, policy, trust], counters, result, known, remembered, freshSince] = json
  return {
    device,
    revisions: { device: revision, policy: present(policy, policyFromJson), trust: trust[0] },
    counters: present(counters, countersFromJson),
    result: present(result, ([at, tier, code, admitted]) => ({
      at: instant(at),
      tier,
      code: code[0],
      admitted,
    })),
    known,
    remembered: present(remembered, ([before, clock]) => ({
      before: present(before, countersFromJson),
      clock: present(clock, clockFromJson),
    })),
    freshSince: instant(freshSince),
  }
}

const clockToJson = ({ clockMs, resetCount, restartCount, safe }: ClockInfo): ClockJson => [
  String(clockMs),
  resetCount,
  restartCount,
  safe,
]
const clockFromJson = ([clockMs, resetCount, restartCount, safe]: ClockJson): ClockInfo => ({
  clockMs: BigInt(clockMs),
  resetCount,
  restartCount,
  safe,
})

const countersToJson = (counters: Counters): CountersJson => [
  clockToJson(counters),
  optional(counters.firmwareVersion, String),
  counters.recordedAt.getTime(),
]
const countersFromJson = ([clock, firmwareVersion, recordedAt]: CountersJson): Counters => ({
  ...clockFromJson(clock),
  firmwareVersion: present(firmwareVersion, BigInt),
  recordedAt: instant(recordedAt),
})

const policyToJson = ({ name, revision }: { name: string; revision: number }): PolicyJson => [name, revision]
const policyFromJson = ([name, revision]: PolicyJson) => ({ name, revision })

const instant = (ms: InstantJson): Date => new Date(ms ?? Number.NaN)
const digest = (hex: HexJson): Uint8Array => Buffer.from(hex, "hex")

/** What became of a group, each of its records, as it is sent: most often of none anything but that it was written. */
export const writtenMessage = (outcome: readonly (AssayError | undefined)[]): WrittenMessage => {
  const refusals = outcome.flatMap((refusal, at) =>
    refusal === undefined ? [] : refusalToMessage(refusal, at),
  )
  return { kind: "written", written: outcome.length - refusals.length, refusals }
}

/**
 * What became of each of so many records.
 *
 * @throws {Error} if the answer is about more or fewer of them: then nobody knows which of them was written.
 */
export const outcomeOf = (
  { written, refusals }: WrittenMessage,
  size: number,
): readonly (AssayError | undefined)[] => {
  if (written + refusals.length !== size) throw new Error("the journal's thread answered for another group")
  const outcome = new Array<AssayError | undefined>(size).fill(undefined)
  for (const refusal of refusals) outcome[refusal.at] = refusalFromMessage(refusal)
  return outcome
}

const refusalToMessage = (error: AssayError, at: number): RefusalMessage => ({
  at,
  code: error.code,
  message: error.message,
  location: error.location,
  expected: error.expected,
  actual: error.actual,
  cause: error.cause === undefined ? undefined : String(error.cause),
})

const refusalFromMessage = (message: RefusalMessage): AssayError =>
  new AssayError(message.code, message.message, {
    ...(message.location !== undefined && { location: message.location }),
    ...(message.expected !== undefined && { expected: message.expected }),
    ...(message.actual !== undefined && { actual: message.actual }),
    ...(message.cause !== undefined && { cause: new Error(message.cause) }),
  })
