import { AssayError } from "../errors.ts"
import { checkSameInstance } from "../service/instance.ts"
import type { DeviceRecord, Devices, EnrolledDevice, Revocation } from "../service/ports.ts"
import type { Administer, Done } from "./administer.ts"
import { type Database, guard } from "./database.ts"
import { importDevices } from "./device-import.ts"
import { listDevices } from "./device-list.ts"
import { deviceFrom } from "./device-row.ts"
import { changedDevice } from "./device-state.ts"
import {
  deleteDevice,
  deviceOf,
  devicesIn,
  dropCounters,
  insertDevice,
  putCounters,
  replaceDevice,
} from "./device-statements.ts"
import { addToken, revokeToken, selectToken, selectTokens, tokenFrom, useToken } from "./enrollment-tokens.ts"
import { selectRevision } from "./fence.ts"
import { policyOf } from "./policies.ts"
import { madeOf } from "./registry.ts"
import { instant, instantColumn, integer, text } from "./row.ts"
import { type Ask, ask, rowOf, statement, type Work } from "./statement.ts"
import { checkGeneration, stateOf } from "./trust-state.ts"

/** A scan holds up others. */
const LISTED_MAX = 1000

const selectPermittedEk = statement<{ tenant: string; ek: Uint8Array }>((builder, at) =>
  devicesIn(builder).where("d.tenant", "=", at("tenant")).where("d.permit_ek", "=", at("ek")),
)

const selectPermittedAk = statement<{ tenant: string; akName: Uint8Array }>((builder, at) =>
  devicesIn(builder).where("d.tenant", "=", at("tenant")).where("d.permit_ak", "=", at("akName")),
)

/** Whom its operator allows to come with these keys. A TPM that has shown its endorsement key is known by that alone. */
const selectPermitted = ({ tenant, ek, akName }: EnrolledDevice): Ask =>
  ek === undefined ? selectPermittedAk({ tenant, akName }) : selectPermittedEk({ tenant, ek })

const insertRevocation = statement<{
  tenant: string
  sequence: number
  device: string
  fromRevision: number
  at: number
}>((builder, at) =>
  builder.insertInto("revocations").values({
    tenant: at("tenant"),
    sequence: at("sequence"),
    device: at("device"),
    from_revision: at("fromRevision"),
    at: at("at"),
  }),
)

const selectRevocations = statement<{ tenant: string; after: number; max: number }>((builder, at) =>
  builder
    .selectFrom("revocations")
    .selectAll()
    .where("tenant", "=", at("tenant"))
    .where("sequence", ">", at("after"))
    .orderBy("sequence")
    .limit(at("max")),
)

/** Ends the sessions of a device that were judged under an earlier revision than it has now. */
const endSessions = (device: DeviceRecord, sequence: number, at: Date) =>
  insertRevocation({
    tenant: device.tenant,
    sequence,
    device: device.id,
    fromRevision: device.revision,
    at: instantColumn(at),
  })

/** Devices in a database, as operators manage them. */
export const createDevices = (database: Database, administer: Administer): Devices => ({
  enroll: (fresh, act) =>
    administer(fresh.tenant, act, function* (sequence) {
      const { tenant } = fresh
      checkGeneration((yield* stateOf(tenant)).generation, fresh.trust)
      const token = fresh.token === undefined ? undefined : yield* useToken(tenant, fresh.token, act.at)
      const permitted = yield* rowOf(selectPermitted(fresh))
      const before = permitted && deviceFrom(permitted)
      if (before?.permit !== undefined && before.permit.expiresAt > act.at)
        return madeUnder(yield* enrollAgain(before, fresh, sequence, act.at), fresh.trust)
      const { trust: _, counters, ...described } = fresh
      yield* insertDevice({
        ...described,
        ...(token && { group: token.group, labels: token.labels }),
        revision: 1,
        policy: undefined,
        permit: undefined,
      })
      yield* ask(putCounters(tenant, fresh.id, counters))
      return madeUnder(yield* deviceOf(tenant, fresh.id), fresh.trust)
    }),

  change: (tenant, id, revision, change, act) =>
    administer(tenant, act, function* (sequence) {
      const before = yield* deviceOf(tenant, id)
      checkRevision(before, revision)
      const after = changedDevice(before, change)
      if (change.policy?.name !== undefined) yield* policyOf(tenant, change.policy.name)
      yield* replaceDevice(before, after)
      if (after.counters !== before.counters)
        yield* ask(
          after.counters === undefined
            ? dropCounters({ tenant, id })
            : putCounters(tenant, id, after.counters),
        )
      if (change.endsSessions === true) yield* ask(endSessions(after, sequence, act.at))
      return madeOf(after)
    }),

  remove: (tenant, id, revision, act) =>
    administer(tenant, act, function* (sequence): Work<Done<undefined>> {
      const before = yield* deviceOf(tenant, id)
      checkRevision(before, revision)
      const gone = { ...before, revision: before.revision + 1 }
      yield* deleteDevice(tenant, id, act.at)
      yield* ask(endSessions(gone, sequence, act.at))
      return { ...madeOf(gone), value: undefined }
    }),

  list: (tenant, query) => guard(() => database.read(() => listDevices(tenant, query))),

  import: (tenant, devices, act) =>
    administer(tenant, act, function* () {
      return { value: { added: yield* importDevices(tenant, devices) } }
    }),

  revocations: (tenant, after, most) =>
    guard(async () => {
      const max = Math.min(Math.max(1, most), LISTED_MAX)
      const { rows } = await database.ask(selectRevocations({ tenant, after, max }))
      return rows.map((row): Revocation & { readonly sequence: number } => ({
        sequence: integer(row, "sequence"),
        tenant: text(row, "tenant"),
        device: text(row, "device"),
        fromRevision: integer(row, "from_revision"),
        at: instant(row, "at"),
      }))
    }),

  addEnrollmentToken: (token, act) =>
    administer(token.tenant, act, function* () {
      yield* addToken(token)
      return { value: undefined }
    }),

  enrollmentToken: (digest) =>
    guard(async () => {
      const [row] = (await database.ask(selectToken({ digest }))).rows
      return row === undefined ? undefined : tokenFrom(row)
    }),

  enrollmentTokens: (tenant, after, most) =>
    guard(async () => {
      const max = Math.min(Math.max(1, most), LISTED_MAX)
      return (await database.ask(selectTokens({ tenant, after, max }))).rows.map(tokenFrom)
    }),

  revokeEnrollmentToken: (tenant, id, act) =>
    administer(tenant, act, function* () {
      yield* revokeToken(tenant, id)
      return { value: undefined }
    }),

  revision: (tenant) =>
    guard(async () => {
      const [row] = (await database.ask(selectRevision({ tenant }))).rows
      return row === undefined ? 0 : integer(row, "revision")
    }),
})

/** What the record of an enrollment tells: also which trust its keys were verified under. */
const madeUnder = (device: DeviceRecord, trust: number): Done<DeviceRecord> => {
  const made = madeOf(device)
  return { ...made, revisions: { device: device.revision, policy: undefined, trust } }
}

/**
 * Gives a device that is allowed to enroll again the keys that it has now, and keeps what its operator says of it. None has a
 * permit that never comes back: `changedDevice` sees to that.
 */
function* enrollAgain(
  before: DeviceRecord,
  fresh: EnrolledDevice,
  sequence: number,
  at: Date,
): Work<DeviceRecord> {
  const { akPublic, akName, qualifiedName, ek, binding, endorsement, claimedName, counters } = fresh
  checkSameInstance(before, endorsement)
  const after = {
    ...before,
    ...{ akPublic, akName, qualifiedName, ek, binding, endorsement, claimedName, counters },
    token: fresh.token ?? before.token,
    permit: undefined,
    revision: before.revision + 1,
  }
  yield* replaceDevice(before, after)
  yield* ask(putCounters(after.tenant, after.id, counters))
  yield* ask(endSessions(after, sequence, at))
  return after
}

const checkRevision = ({ revision }: DeviceRecord, expected: number | undefined): void => {
  if (expected === undefined || expected === revision) return
  throw new AssayError("ETAG", "the device was changed meanwhile: look at it again", {
    expected: `revision ${expected}`,
    actual: `revision ${revision}`,
  })
}
