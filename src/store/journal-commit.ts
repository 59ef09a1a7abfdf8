import { isRollback } from "../appraisal/rules/clock-order.ts"
import { AssayError } from "../errors.ts"
import type { Commit, Counters, JournalRecord } from "../service/ports.ts"
import { laterCounters } from "./counters.ts"
import { storeError } from "./database.ts"
import { putCounters, putResult } from "./device-statements.ts"
import { type DeviceMemory, type Held, holdDevices } from "./held-devices.ts"
import { appendRecords, type ChainWriter, type PreparedRecord, prepareRecord } from "./journal-append.ts"
import { laterResult } from "./result.ts"
import { type Ask, askAll, statement, type Work } from "./statement.ts"

/** One of a group: a record, and what is written together with it or not at all. */
export interface GroupEntry {
  readonly record: JournalRecord
  readonly commit: Commit | undefined
}

/** One of a group whose record was made ready to be written before. */
export interface PreparedEntry extends Pick<GroupEntry, "commit"> {
  readonly record: PreparedRecord
}

/**
 * A row that nobody else ever sees. To write what is there already would not do: SQLite leaves a page alone that stays the
 * same. In this table, for of the journal's own nothing is ever removed like that.
 */
const makeTrial = statement<{ name: string; pem: Uint8Array }>((builder, at) =>
  builder.insertInto("service_keys").values({ name: at("name"), pem: at("pem") }),
)
const removeTrial = statement<{ name: string }>((builder, at) =>
  builder.deleteFrom("service_keys").where("name", "=", at("name")),
)

/**
 * Writes a group in one transaction, which it is run in. For an empty one something is written all the same, and taken away
 * again: that shows whether anything can be.
 *
 * @param memory Of the connection, if groups are all that it writes.
 * @returns For each of the group why it is refused, or nothing if it was written. What is thrown refuses all of it.
 */
export function* commitGroup(
  chains: ChainWriter,
  group: readonly (GroupEntry | PreparedEntry)[],
  memory?: DeviceMemory,
): Work<readonly (AssayError | undefined)[]> {
  if (group.length === 0) yield* tryToWrite(chains)
  const held = yield* holdDevices(group, memory)
  const accepted = new Map<string, PreparedRecord[]>()
  const refusals = group.map(({ record, commit }, i) => {
    try {
      const prepared = "bytes" in record ? record : prepareRecord(record)
      if (commit !== undefined) move(held[i], commit)
      const others = accepted.get(record.tenant)
      if (others === undefined) accepted.set(record.tenant, [prepared])
      else others.push(prepared)
      return undefined
    } catch (cause) {
      return storeError("JOURNAL", cause)
    }
  })
  yield* askAll(held.flatMap(movements))
  for (const [tenant, records] of [...accepted].sort(([a], [b]) => (a < b ? -1 : 1)))
    yield* appendRecords(chains, tenant, records)
  return refusals
}

function* tryToWrite({ name: writer }: ChainWriter): Work<void> {
  const name = `trial of ${writer}`
  yield* askAll([makeTrial({ name, pem: new Uint8Array(1) }), removeTrial({ name })])
}

/** Moves what is held of a device on by a commit. @throws {AssayError} SNAPSHOT_MOVED; then nothing has moved. */
const move = (held: Held | undefined, commit: Commit): void => {
  const { revisions, counters, result, known, remembered, freshSince } = commit
  if (held === undefined || !isCurrent(revisions, held))
    throw new AssayError(
      "SNAPSHOT_MOVED",
      "the device, its policy or the trust anchors changed while the evidence was judged: attest again",
    )
  if (remembered !== undefined && !isJudgedAlike(remembered, held.counters, freshSince))
    throw answeredMeanwhile()
  // Judged by what was stored then, it was none.
  if (counters !== undefined && isRollback(counters, { before: held.counters, freshSince }))
    throw answeredMeanwhile()
  if (counters !== undefined) held.counters = laterCounters(held.counters, counters, known)
  if (result !== undefined) held.result = laterResult(held.result, result)
  if (counters !== undefined || result !== undefined) held.hasMoved = true
}

const answeredMeanwhile = (): AssayError =>
  new AssayError(
    "SNAPSHOT_MOVED",
    "the device has answered elsewhere while the evidence was judged: attest again",
  )

/**
 * Whether evidence is judged by the stored counters as it was by remembered ones. The clock within a boot moves with every
 * answer, which matters to what lies behind alone.
 */
export const isJudgedAlike = (
  { before, clock }: NonNullable<Commit["remembered"]>,
  stored: Counters | undefined,
  freshSince: Date,
): boolean => {
  if (!isSameBoot(before, stored)) return false
  const isSameClock =
    before?.clockMs === stored?.clockMs && before?.recordedAt.getTime() === stored?.recordedAt.getTime()
  if (clock === undefined || isSameClock) return true
  return [before, stored].every((known) => !isRollback(clock, { before: known, freshSince }))
}

/** Whether what counters say of boots and firmware is the same. The clock within a boot moves with every answer. */
const isSameBoot = (a: Counters | undefined, b: Counters | undefined): boolean =>
  a?.resetCount === b?.resetCount &&
  a?.restartCount === b?.restartCount &&
  a?.firmwareVersion === b?.firmwareVersion

const isCurrent = (revisions: Commit["revisions"], held: Held): boolean =>
  held.revision === revisions.device &&
  held.policyName === revisions.policy?.name &&
  held.policyRevision === revisions.policy?.revision &&
  (revisions.trust === undefined || held.trustGeneration === revisions.trust)

/** What is to be written of a device; once, although several of a group are about it. */
const movements = (held: Held | undefined): readonly Ask[] => {
  if (held === undefined || !held.hasMoved) return []
  held.hasMoved = false
  const { tenant, device, counters, result } = held
  return [
    ...(counters === undefined ? [] : [putCounters(tenant, device, counters)]),
    ...(result === undefined ? [] : [putResult(tenant, device, result)]),
  ]
}
