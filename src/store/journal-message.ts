/**
 * What goes between the main thread and the one that writes the journal.
 *
 * A group goes as one buffer, which is handed over: of each entry the tenant, the record in the one encoding that it is chained
 * by, so that what is hashed and what is stored are the same bytes, and the commit. Every part has its length before it, and
 * what may be absent is a part that may be empty.
 */
import { AssayError, type Code } from "../errors.ts"
import type { ClockInfo } from "../evidence/tpm/attest.ts"
import type { Commit, Counters } from "../service/ports.ts"
import { Parts } from "../verification/journal/parts.ts"
import { PartsReader } from "../verification/journal/parts-reader.ts"
import { writeRecord } from "../verification/journal/record.ts"
import { storeError } from "./database.ts"
import { preparedFrom } from "./journal-append.ts"
import type { GroupEntry, PreparedEntry } from "./journal-commit.ts"
import type { TaskDone } from "./thread-task.ts"

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

/** What became of a group or of a task, or why all of it was refused. The answers come in order. */
export type ThreadMessage =
  | WrittenMessage
  | TaskDone
  | { readonly kind: "refused"; readonly refusal: RefusalMessage }
  | { readonly kind: "failed"; readonly reason: string }

/** A group as it is sent. */
export interface GroupMessage {
  /** In a buffer of their own, which can be handed over. */
  readonly bytes: Uint8Array<ArrayBuffer>
  /** For each of the group why it is not sent, or nothing. */
  readonly refusals: readonly (AssayError | undefined)[]
}

/** Where groups are written, each over the one before. */
const scratch = new Parts()

/** A group as it is sent. What cannot be recorded, such as an instant that is none, is refused here and not sent. */
export const toMessage = (group: readonly GroupEntry[]): GroupMessage => {
  const parts = scratch.cutTo(0)
  const refusals = group.map((entry) => {
    const { size } = parts
    try {
      writeEntry(parts, entry)
      return undefined
    } catch (cause) {
      parts.cutTo(size)
      return storeError("JOURNAL", cause)
    }
  })
  return { bytes: new Uint8Array(parts.bytes), refusals }
}

/** What was sent of the group again, its records ready to be written. @throws {Error} if it is no group. */
export const fromMessage = (bytes: Uint8Array): readonly PreparedEntry[] => {
  const parts = new PartsReader(bytes)
  const group: PreparedEntry[] = []
  while (!parts.isAtEnd) group.push(readEntry(parts))
  return group
}

const writeEntry = (parts: Parts, { record, commit }: GroupEntry): void => {
  parts.text(record.tenant).list(() => writeRecord(parts, record))
  parts.list(() => commit && writeCommit(parts, commit))
}
const readEntry = (parts: PartsReader): PreparedEntry => ({
  record: preparedFrom(parts.text(), parts.raw()),
  commit: parts.sequence(() => readCommit(parts)),
})

const writeCommit = (parts: Parts, commit: Commit): void => {
  const { device, revisions, counters, result, known, remembered, freshSince } = commit
  parts
    .text(device)
    .double(revisions.device)
    .list(() => revisions.policy && parts.text(revisions.policy.name).double(revisions.policy.revision))
    .list(() => {
      if (revisions.trust !== undefined) parts.double(revisions.trust)
    })
    .list(() => counters && writeCounters(parts, counters))
    .list(() => result && writeResult(parts, result))
    .double(known ? 1 : 0)
    .list(() => {
      if (remembered === undefined) return
      const { before, clock } = remembered
      parts.list(() => before && writeCounters(parts, before)).list(() => clock && writeClock(parts, clock))
    })
    .double(freshSince.getTime())
}
const readCommit = (parts: PartsReader): Commit => ({
  device: parts.text(),
  revisions: {
    device: parts.double(),
    policy: parts.sequence(() => ({ name: parts.text(), revision: parts.double() })),
    trust: parts.sequence(() => parts.double()),
  },
  counters: parts.sequence(() => readCounters(parts)),
  result: parts.sequence(() => readResult(parts)),
  known: readFlag(parts),
  remembered: parts.sequence(() => ({
    before: parts.sequence(() => readCounters(parts)),
    clock: parts.sequence(() => readClock(parts)),
  })),
  freshSince: readInstant(parts),
})

type Result = NonNullable<Commit["result"]>

const writeResult = (parts: Parts, { at, tier, code, admitted }: Result): void => {
  parts.double(at.getTime()).text(tier)
  parts.list(() => {
    if (code !== undefined) parts.text(code)
  })
  parts.double(admitted ? 1 : 0)
}
const readResult = (parts: PartsReader): Result => ({
  at: readInstant(parts),
  tier: parts.text(),
  code: parts.sequence(() => parts.text()),
  admitted: readFlag(parts),
})

const writeClock = (parts: Parts, { clockMs, resetCount, restartCount, safe }: ClockInfo): Parts =>
  parts
    .u64(clockMs)
    .double(resetCount)
    .double(restartCount)
    .double(safe ? 1 : 0)
const readClock = (parts: PartsReader): ClockInfo => ({
  clockMs: parts.u64(),
  resetCount: parts.double(),
  restartCount: parts.double(),
  safe: readFlag(parts),
})

const writeCounters = (parts: Parts, counters: Counters): void => {
  const { firmwareVersion, recordedAt } = counters
  writeClock(parts, counters)
    .list(() => {
      if (firmwareVersion !== undefined) parts.u64(firmwareVersion)
    })
    .double(recordedAt.getTime())
}
const readCounters = (parts: PartsReader): Counters => ({
  clockMs: parts.u64(),
  resetCount: parts.double(),
  restartCount: parts.double(),
  safe: readFlag(parts),
  firmwareVersion: parts.sequence(() => parts.u64()),
  recordedAt: readInstant(parts),
})

const readFlag = (parts: PartsReader): boolean => parts.double() === 1
const readInstant = (parts: PartsReader): Date => new Date(parts.double())

/** What became of a group, each of its records, as it is sent: most often of none anything but that it was written. */
export const writtenMessage = (outcome: readonly (AssayError | undefined)[]): WrittenMessage => {
  const refusals = outcome.flatMap((refusal, at) =>
    refusal === undefined ? [] : refusalToMessage(refusal, at),
  )
  return { kind: "written", written: outcome.length - refusals.length, refusals }
}

/**
 * What became of each record of a group.
 *
 * @param unsent Which of them were refused before.
 * @throws {Error} if the answer is about more or fewer than were sent: then nobody knows which of them was written.
 */
export const outcomeOf = (
  { written, refusals }: WrittenMessage,
  unsent: GroupMessage["refusals"],
): readonly (AssayError | undefined)[] => {
  const sent = unsent.flatMap((refusal, at) => (refusal === undefined ? [at] : []))
  if (written + refusals.length !== sent.length)
    throw new Error("the journal's thread answered for another group")
  const outcome = [...unsent]
  for (const refusal of refusals) outcome[sent[refusal.at] ?? -1] = refusalFromMessage(refusal)
  return outcome
}

/** A refusal as it is sent. */
export const refusalToMessage = (error: AssayError, at = 0): RefusalMessage => ({
  at,
  code: error.code,
  message: error.message,
  location: error.location,
  expected: error.expected,
  actual: error.actual,
  cause: error.cause === undefined ? undefined : String(error.cause),
})

/** The refusal again. */
export const refusalFromMessage = (message: RefusalMessage): AssayError =>
  new AssayError(message.code, message.message, {
    ...(message.location !== undefined && { location: message.location }),
    ...(message.expected !== undefined && { expected: message.expected }),
    ...(message.actual !== undefined && { actual: message.actual }),
    ...(message.cause !== undefined && { cause: new Error(message.cause) }),
  })
