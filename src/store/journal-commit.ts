import { isRollback } from "../appraisal/rules/clock-order.ts"
import { AssayError } from "../errors.ts"
import type { Commit, Counters, JournalRecord, LastResult } from "../service/ports.ts"
import { countersFrom, laterCounters } from "./counters.ts"
import { storeError } from "./database.ts"
import { resultFrom } from "./device-row.ts"
import { putCounters, putResult } from "./device-statements.ts"
import { shareFence } from "./fence.ts"
import { appendRecords, type ChainWriter, type PreparedRecord, prepareRecord } from "./journal-append.ts"
import { judgedIn } from "./registry.ts"
import { laterResult } from "./result.ts"
import { integer, optional, type Row, text } from "./row.ts"
import { type Ask, askAll, statement, type Work } from "./statement.ts"

/** One of a group: a record, and what is written together with it or not at all. */
export interface GroupEntry {
  readonly record: JournalRecord
  readonly commit: Commit | undefined
}

/** Locks a device against every other commit; where there is only one writer at a time there is nothing to lock. */
const lockDevice = statement<{ tenant: string; device: string }>((builder, at, dialect) =>
  dialect === "sqlite"
    ? undefined
    : builder
        .selectFrom("devices")
        .select("id")
        .where("tenant", "=", at("tenant"))
        .where("id", "=", at("device"))
        .forNoKeyUpdate(),
)

/** What commits are held against, and no more: it is asked for at every record. */
const selectCurrent = statement<{ tenant: string; device: string }>((builder, at) =>
  judgedIn(builder)
    .select("d.revision")
    .where("d.tenant", "=", at("tenant"))
    .where("d.id", "=", at("device")),
)

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

/** What is stored of a device, as the records of the group move it on. */
interface Held {
  readonly tenant: string
  readonly device: string
  readonly row: Row
  counters: Counters | undefined
  result: LastResult | undefined
  hasMoved: boolean
}

/**
 * Writes a group in one transaction, which it is run in. For an empty one something is written all the same, and taken away
 * again: that shows whether anything can be.
 *
 * @returns For each of the group why it is refused, or nothing if it was written. What is thrown refuses all of it.
 */
export function* commitGroup(
  chains: ChainWriter,
  group: readonly GroupEntry[],
): Work<readonly (AssayError | undefined)[]> {
  if (group.length === 0) yield* tryToWrite(chains)
  const held = yield* holdDevices(group)
  const accepted = new Map<string, PreparedRecord[]>()
  const refusals = group.map(({ record, commit }) => {
    try {
      const prepared = prepareRecord(record)
      if (commit !== undefined) move(held.get(keyOf(record.tenant, commit.device)), commit)
      const others = accepted.get(record.tenant)
      if (others === undefined) accepted.set(record.tenant, [prepared])
      else others.push(prepared)
      return undefined
    } catch (cause) {
      return storeError("JOURNAL", cause)
    }
  })
  yield* askAll([...held.values()].filter(({ hasMoved }) => hasMoved).flatMap(movements))
  for (const [tenant, records] of [...accepted].sort(([a], [b]) => (a < b ? -1 : 1)))
    yield* appendRecords(chains, tenant, records)
  return refusals
}

function* tryToWrite({ name: writer }: ChainWriter): Work<void> {
  const name = `trial of ${writer}`
  yield* askAll([makeTrial({ name, pem: new Uint8Array(1) }), removeTrial({ name })])
}

const keyOf = (tenant: string, device: string): string => JSON.stringify([tenant, device])

/** Reads all devices that commits are about, and keeps everybody else from changing them. */
function* holdDevices(group: readonly GroupEntry[]): Work<ReadonlyMap<string, Held>> {
  const devices = new Map<string, { tenant: string; device: string }>()
  for (const { record, commit } of group)
    if (commit !== undefined)
      devices.set(keyOf(record.tenant, commit.device), { tenant: record.tenant, device: commit.device })
  const sorted = [...devices].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, names]) => names)
  const tenants = [...new Set(sorted.map(({ tenant }) => tenant))]
  const locks = [...tenants.map((tenant) => shareFence({ tenant })), ...sorted.map(lockDevice)]
  const answers = yield* askAll([...locks, ...sorted.map(selectCurrent)])
  const held = new Map<string, Held>()
  sorted.forEach(({ tenant, device }, i) => {
    const row = answers[locks.length + i]?.rows[0]
    if (row === undefined) return
    const counters = row["clock_ms"] === null ? undefined : countersFrom(row)
    const result = row["tier"] === null ? undefined : resultFrom(row)
    held.set(keyOf(tenant, device), { tenant, device, row, counters, result, hasMoved: false })
  })
  return held
}

/** Moves what is held of a device on by a commit. @throws {AssayError} SNAPSHOT_MOVED; then nothing has moved. */
const move = (held: Held | undefined, commit: Commit): void => {
  const { revisions, counters, result, known, remembered, freshSince } = commit
  if (held === undefined || !isCurrent(revisions, held.row))
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

const isCurrent = (revisions: Commit["revisions"], row: Row): boolean =>
  integer(row, "revision") === revisions.device &&
  optional(text, row, "policy_name") === revisions.policy?.name &&
  optional(integer, row, "policy_revision") === revisions.policy?.revision &&
  (revisions.trust === undefined || integer(row, "trust_generation") === revisions.trust)

const movements = ({ tenant, device, counters, result }: Held): readonly Ask[] => [
  ...(counters === undefined ? [] : [putCounters(tenant, device, counters)]),
  ...(result === undefined ? [] : [putResult(tenant, device, result)]),
]
