/** Devices and enrollment tokens out of a backup. What only ever goes one way is where it had come to. */

import { isDeepStrictEqual } from "node:util"
import { sql } from "kysely"
import { sameBytes } from "../../bytes.ts"
import type { DeviceRecord, DeviceState } from "../../service/ports.ts"
import { higherCounters } from "../counters.ts"
import { deviceColumns, deviceFrom } from "../device-row.ts"
import { isFinal } from "../device-state.ts"
import {
  deleteDevice,
  deleteLabels,
  insertLabels,
  putCounters,
  putResult,
  selectRemoved,
} from "../device-statements.ts"
import { instantColumn, integer } from "../row.ts"
import { type Ask, rowOf, statement, type Work } from "../statement.ts"
import { meet, type Restoring } from "./merge.ts"
import { BACKUP_TABLES, DEVICE_ROWS } from "./tables.ts"

/** Makes PostgreSQL plan anew, for a table that is not empty any more. Nobody else does before this transaction ends. */
const countAnew = statement<Record<never, never>>((builder, _, dialect) =>
  dialect === "sqlite" ? undefined : { compile: () => sql`ANALYZE devices (tenant, id)`.compile(builder) },
)

/** How many devices were added when a plan that was made for fewer is not good any more. */
const COUNTED_ANEW: readonly number[] = [200, 5000, 100_000]

/**
 * A device of the backup gets what its operator had said of it: group, labels, policy, state. Its keys are those that it
 * had last, its counters the higher ones, its state the stricter one; a device that enrolled since is removed, and one that was
 * removed stays so. Every session ends.
 */
export function* restoreDevices(restoring: Restoring): Work<void> {
  const { writes, counts, isEmpty, at } = restoring
  yield* meet(restoring, BACKUP_TABLES.devices, function* ({ stored, backup }) {
    const [before, theirs] = [stored && deviceFrom(stored), backup && deviceFrom(backup)]
    if (theirs === undefined) {
      if (before === undefined) return
      counts.removed += 1
      const gone = { ...before, revision: before.revision + 1 }
      yield* writes.flush()
      yield* deleteDevice(before.tenant, before.id, at)
      return yield* writes.add(endSessions(restoring, gone))
    }
    if (before === undefined) {
      const isGone =
        !isEmpty && (yield* rowOf(selectRemoved({ tenant: theirs.tenant, id: theirs.id }))) !== undefined
      counts[isGone ? "withheld" : "devices"] += 1
      if (isGone) return
      const after = { ...theirs, revision: theirs.revision + 1 }
      yield* writes.add(
        DEVICE_ROWS.insert({ ...deviceColumns(after) }),
        ...insertLabels(after),
        ...movements(after),
        endSessions(restoring, after),
      )
      if (COUNTED_ANEW.includes(counts.devices)) yield* writes.add(countAnew({}))
      return
    }
    const after = metDevice(before, theirs)
    counts[after.state === theirs.state ? "devices" : "withheld"] += 1
    const hasOtherLabels = !isDeepStrictEqual(before.labels, after.labels)
    yield* writes.add(
      DEVICE_ROWS.update({ ...deviceColumns(after) }),
      ...(hasOtherLabels
        ? [deleteLabels({ tenant: after.tenant, device: after.id }), ...insertLabels(after)]
        : []),
      ...movements(after),
      endSessions(restoring, after),
    )
  })
}

/** How much of a device is let in, the least last. */
const STRICTNESS: Readonly<Record<DeviceState, number>> = {
  active: 0,
  pending: 1,
  suspended: 2,
  retired: 3,
  revoked: 3,
}

const metDevice = (stored: DeviceRecord, backup: DeviceRecord): DeviceRecord => {
  const state = STRICTNESS[stored.state] >= STRICTNESS[backup.state] ? stored.state : backup.state
  const isSamePermit = isDeepStrictEqual(stored.permit, backup.permit)
  return {
    // Who it is, and by which keys, is what it proved last.
    ...stored,
    state,
    group: backup.group,
    labels: backup.labels,
    policy: backup.policy,
    // One that was used or taken back since must not be there again.
    permit: isSamePermit && !isFinal(state) ? stored.permit : undefined,
    counters: hasSameKeys(stored, backup)
      ? higherCounters(stored.counters, backup.counters)
      : stored.counters,
    lastResult: laterOf(stored.lastResult, backup.lastResult),
    revision: Math.max(stored.revision, backup.revision) + 1,
  }
}

const laterOf = (
  a: DeviceRecord["lastResult"],
  b: DeviceRecord["lastResult"],
): DeviceRecord["lastResult"] => {
  if (a === undefined || b === undefined) return a ?? b
  const [one, other] = [a.admittedAt, b.admittedAt]
  const admittedAt = one === undefined || other === undefined ? (one ?? other) : one > other ? one : other
  return { ...(b.at > a.at ? b : a), admittedAt }
}

const hasSameKeys = (a: DeviceRecord, b: DeviceRecord): boolean =>
  sameBytes(a.akName, b.akName) && sameBytes(a.ek ?? NO_KEY, b.ek ?? NO_KEY)

const NO_KEY = new Uint8Array()

const movements = ({ tenant, id, counters, lastResult }: DeviceRecord): readonly Ask[] => [
  ...(counters === undefined ? [] : [putCounters(tenant, id, counters)]),
  ...(lastResult === undefined ? [] : [putResult(tenant, id, lastResult)]),
]

/** Each with a sequence of its own: whoever reads on behind one that has been read must not miss others. */
const endSessions = ({ revisions, at }: Restoring, { tenant, id, revision }: DeviceRecord): Ask =>
  BACKUP_TABLES.revocations.insert({
    tenant,
    sequence: revisions.next(tenant),
    device: id,
    from_revision: revision,
    at: instantColumn(at),
  })

/** A token has as many uses behind it as it ever had, and one that was made since, or revoked, is revoked. */
export function* restoreTokens(restoring: Restoring): Work<void> {
  const table = BACKUP_TABLES.enrollment_tokens
  const { writes, counts, isEmpty } = restoring
  yield* meet(restoring, table, function* ({ stored, backup }) {
    if (stored === undefined) {
      if (isEmpty && backup !== undefined) yield* writes.add(table.insert(backup))
      return
    }
    if (backup === undefined && integer(stored, "revoked") === 0) counts.tokensRevoked += 1
    const revoked =
      backup === undefined ? 1 : Math.max(integer(stored, "revoked"), integer(backup, "revoked"))
    const used = Math.max(integer(stored, "uses"), backup === undefined ? 0 : integer(backup, "uses"))
    const uses = Math.min(used, integer(stored, "uses_max"))
    yield* writes.add(table.update({ ...stored, uses, revoked }))
  })
}
