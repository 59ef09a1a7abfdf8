import { toHex } from "../bytes.ts"
import type { DeviceRecord, PolicyTarget, Registry, Snapshot } from "../service/ports.ts"
import type { Administer, Done } from "./administer.ts"
import { type Database, guard } from "./database.ts"
import { deviceFrom } from "./device-row.ts"
import {
  deviceNotFound,
  deviceOf,
  insertDevice,
  movingIn,
  replaceDevice,
  selectDevice,
} from "./device-statements.ts"
import {
  addRevision,
  assign,
  policyFrom,
  policyNotFound,
  policyOf,
  selectGroupPolicy,
  selectPolicy,
} from "./policies.ts"
import { integer } from "./row.ts"
import { statement, type Work } from "./statement.ts"
import type { Builder } from "./tables.ts"

/**
 * What each device `d` is judged under, beside what it is itself: its counters and last result, the policy `p` of its own, or of its group, or the tenant's default, if
 * there is one, and the state of its tenant's trust, which is nothing before its first change.
 */
export const judgedIn = (builder: Builder) =>
  movingIn(builder)
    .leftJoin("default_policies as f", "f.tenant", "d.tenant")
    .leftJoin("group_policies as g", (join) =>
      join.onRef("g.tenant", "=", "d.tenant").onRef("g.device_group", "=", "d.device_group"),
    )
    .leftJoin("policies as p", (join) =>
      join
        .onRef("p.tenant", "=", "d.tenant")
        .on((on) => on("p.name", "=", on.fn.coalesce("d.policy", "g.policy", "f.policy"))),
    )
    .leftJoin("trust_state as t", "t.tenant", "d.tenant")
    .select(["p.name as policy_name", "p.revision as policy_revision"])
    .select((of) => [
      of.fn.coalesce("t.generation", of.lit(0)).as("trust_generation"),
      of.fn.coalesce("t.anchors", of.lit(0)).as("trust_anchors"),
    ])

const selectSnapshot = statement<{ tenant: string; akName: Uint8Array }>((builder, at) =>
  judgedIn(builder)
    .selectAll("d")
    .leftJoin("policy_documents as x", (join) =>
      join
        .onRef("x.tenant", "=", "p.tenant")
        .onRef("x.name", "=", "p.name")
        .onRef("x.revision", "=", "p.revision"),
    )
    .select(["x.document", "x.digest as document_digest"])
    .where("d.tenant", "=", at("tenant"))
    .where("d.ak_name", "=", at("akName")),
)

/** Devices and policies in a database. */
export const createRegistry = (database: Database, administer: Administer): Registry => ({
  snapshotFor: (tenant, akName) =>
    guard(async (): Promise<Snapshot> => {
      const [row] = (await database.ask(selectSnapshot({ tenant, akName }))).rows
      if (row === undefined) throw deviceNotFound(`with the key ${toHex(akName)}`)
      return {
        device: deviceFrom(row),
        policy: row["policy_name"] === null ? undefined : policyFrom(row),
        trustGeneration: integer(row, "trust_generation"),
        anchors: integer(row, "trust_anchors"),
      }
    }),

  registerDevice: ({ tenant, ...fresh }, act) =>
    administer(tenant, act, function* () {
      yield* insertDevice({
        ...fresh,
        tenant,
        state: "active",
        policy: undefined,
        revision: 1,
        token: undefined,
        permit: undefined,
      })
      return madeOf(yield* deviceOf(tenant, fresh.id))
    }),

  device: (tenant, id) =>
    guard(async () => {
      const [row] = (await database.ask(selectDevice({ tenant, id }))).rows
      if (row === undefined) throw deviceNotFound(id)
      return deviceFrom(row)
    }),

  setPolicy: (fresh, act) =>
    administer(fresh.tenant, act, function* () {
      const policy = yield* addRevision(fresh)
      const { name, revision, digest } = policy
      const revisions = { device: undefined, policy: { name, revision }, trust: undefined }
      return { value: policy, policyDigest: digest, revisions }
    }),

  policy: (tenant, name) =>
    guard(async () => {
      const [row] = (await database.ask(selectPolicy({ tenant, name }))).rows
      if (row === undefined) throw policyNotFound(name)
      return policyFrom(row)
    }),

  groupPolicy: (tenant, group) =>
    guard(async () => {
      const [row] = (await database.ask(selectGroupPolicy({ tenant, group }))).rows
      return row === undefined ? undefined : policyFrom(row)
    }),

  assignPolicy: (tenant, name, target, act) =>
    administer(tenant, act, function* () {
      const { revision, digest } = yield* policyOf(tenant, name)
      const device = yield* assignTo(tenant, name, target)
      const revisions = { device: device?.revision, policy: { name, revision }, trust: undefined }
      return { value: undefined, device: device?.id ?? "", policyDigest: digest, revisions }
    }),
})

/** @returns The device, if it is assigned to one. */
function* assignTo(tenant: string, policy: string, target: PolicyTarget): Work<DeviceRecord | undefined> {
  switch (target.kind) {
    case "device": {
      const before = yield* deviceOf(tenant, target.id)
      const device = { ...before, policy, revision: before.revision + 1 }
      yield* replaceDevice(before, device)
      return device
    }
    case "group":
      yield* assign(tenant, policy, target.name)
      return undefined
    case "default":
      yield* assign(tenant, policy, undefined)
      return undefined
  }
}

/** What the record of a change tells of a device. */
export const madeOf = (device: DeviceRecord): Done<DeviceRecord> => ({
  value: device,
  device: device.id,
  revisions: { device: device.revision, policy: undefined, trust: undefined },
})
