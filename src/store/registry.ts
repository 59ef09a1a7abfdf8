import type { DatabaseSync } from "node:sqlite"
import { toHex, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { Counters, DeviceRecord, NewDevice, PolicyRecord, Registry, Snapshot } from "../service/ports.ts"
import { chainColumn, chainFrom } from "./chain.ts"
import { guard, transaction } from "./database.ts"
import { checkDigest } from "./digest.ts"
import { blob, instant, integer, optional, type Row, text, u64 } from "./row.ts"
import { JOIN_ASSIGNED_POLICY, JOIN_TRUST, TRUST_COLUMNS } from "./schema.ts"

const DEVICE_COLUMNS = `d.tenant, d.id, d.ak_public, d.ak_name, d.qualified_name, d.policy, d.revision, d.created_at,
  d.ek_certificate_chain, d.ak_certificate_chain, d.ek_digest,
  c.clock_ms, c.reset_count, c.restart_count, c.safe, c.firmware_version, c.recorded_at`
const JOIN_COUNTERS = "LEFT JOIN counters c ON c.tenant = d.tenant AND c.device = d.id"
const POLICY_COLUMNS = "p.name AS policy_name, p.revision AS policy_revision, x.document, x.digest"
const JOIN_DOCUMENT =
  "JOIN policy_documents x ON x.tenant = p.tenant AND x.name = p.name AND x.revision = p.revision"

/** The registry in SQLite. Every method is one statement or one transaction. */
export function createSqliteRegistry(database: DatabaseSync): Registry {
  const selectSnapshot = database.prepare(
    `SELECT ${DEVICE_COLUMNS}, ${POLICY_COLUMNS}, ${TRUST_COLUMNS}
     FROM devices d ${JOIN_COUNTERS} ${JOIN_ASSIGNED_POLICY} ${JOIN_TRUST} LEFT ${JOIN_DOCUMENT}
     WHERE d.tenant = ? AND d.ak_name = ?`,
  )
  const selectDevice = database.prepare(
    `SELECT ${DEVICE_COLUMNS} FROM devices d ${JOIN_COUNTERS} WHERE d.tenant = ? AND d.id = ?`,
  )
  const selectPolicy = database.prepare(
    `SELECT p.tenant, ${POLICY_COLUMNS} FROM policies p ${JOIN_DOCUMENT} WHERE p.tenant = ? AND p.name = ?`,
  )
  const selectDefault = database.prepare(
    `SELECT p.tenant, ${POLICY_COLUMNS} FROM default_policies f
     JOIN policies p ON p.tenant = f.tenant AND p.name = f.policy ${JOIN_DOCUMENT} WHERE f.tenant = ?`,
  )
  const insertDevice = database.prepare(
    `INSERT INTO devices (tenant, id, ak_public, ak_name, qualified_name, ek_certificate_chain,
       ak_certificate_chain, ek_digest, revision, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT DO NOTHING`,
  )
  const nextRevision = database.prepare(
    `INSERT INTO policies (tenant, name, revision) VALUES (?, ?, 1)
     ON CONFLICT (tenant, name) DO UPDATE SET revision = revision + 1 RETURNING revision`,
  )
  const insertDocument = database.prepare(
    "INSERT INTO policy_documents (tenant, name, revision, document, digest) VALUES (?, ?, ?, ?, ?)",
  )
  const assignDevice = database.prepare(
    "UPDATE devices SET policy = ?, revision = revision + 1 WHERE tenant = ? AND id = ?",
  )
  const assignDefault = database.prepare(
    `INSERT INTO default_policies (tenant, policy) VALUES (?, ?)
     ON CONFLICT (tenant) DO UPDATE SET policy = excluded.policy`,
  )

  const device = (tenant: string, id: string): DeviceRecord => {
    const row = selectDevice.get(tenant, id)
    if (row === undefined) throw deviceNotFound(id)
    return deviceFrom(row)
  }
  const policy = (tenant: string, name: string): PolicyRecord => {
    const row = selectPolicy.get(tenant, name)
    if (row === undefined) throw policyNotFound(name)
    return policyFrom(row)
  }

  return {
    snapshotFor: async (tenant, akName) =>
      guard((): Snapshot => {
        const row = selectSnapshot.get(tenant, akName)
        if (row === undefined) throw deviceNotFound(`with the key ${toHex(akName)}`)
        return {
          device: deviceFrom(row),
          policy: row["policy_name"] === null ? undefined : policyFrom(row),
          trustGeneration: integer(row, "trust_generation"),
          anchors: integer(row, "trust_anchors"),
        }
      }),

    registerDevice: async (fresh: NewDevice) =>
      guard(() => {
        const { tenant, id, akPublic, akName, qualifiedName, endorsement, createdAt } = fresh
        const { changes } = insertDevice.run(
          tenant,
          id,
          akPublic,
          akName,
          qualifiedName ?? null,
          chainColumn(endorsement.ekCertificateChain),
          chainColumn(endorsement.akCertificateChain),
          endorsement.ekDigest ?? null,
          createdAt.getTime(),
        )
        if (changes === 0) throw deviceExists()
        return device(tenant, id)
      }),

    device: async (tenant, id) => guard(() => device(tenant, id)),

    setPolicy: async (fresh) =>
      guard(() =>
        transaction(database, () => {
          const { tenant, name, document, digest } = fresh
          const row = nextRevision.get(tenant, name)
          if (row === undefined) throw new Error("no revision came back")
          insertDocument.run(tenant, name, integer(row, "revision"), document, digest)
          return policy(tenant, name) // read back, and so held against its digest before it is committed
        }),
      ),

    policy: async (tenant, name) => guard(() => policy(tenant, name)),

    defaultPolicy: async (tenant) =>
      guard(() => {
        const row = selectDefault.get(tenant)
        return row === undefined ? undefined : policyFrom(row)
      }),

    assignPolicy: async (tenant, name, id) =>
      guard(() =>
        transaction(database, () => {
          policy(tenant, name)
          if (id === undefined) assignDefault.run(tenant, name)
          else if (assignDevice.run(name, tenant, id).changes === 0) throw deviceNotFound(id)
        }),
      ),
  }
}

const deviceFrom = (row: Row): DeviceRecord => ({
  tenant: text(row, "tenant"),
  id: text(row, "id"),
  akPublic: blob(row, "ak_public"),
  akName: blob(row, "ak_name"),
  qualifiedName: optional(blob, row, "qualified_name"),
  endorsement: {
    ekCertificateChain: chainFrom(row, "ek_certificate_chain"),
    akCertificateChain: chainFrom(row, "ak_certificate_chain"),
    ekDigest: optional(blob, row, "ek_digest"),
  },
  policy: optional(text, row, "policy"),
  revision: integer(row, "revision"),
  createdAt: instant(row, "created_at"),
  counters: row["clock_ms"] === null ? undefined : countersFrom(row),
})

/** The counters in a row that has all columns of that table. */
export const countersFrom = (row: Row): Counters => ({
  clockMs: u64(row, "clock_ms"),
  resetCount: integer(row, "reset_count"),
  restartCount: integer(row, "restart_count"),
  safe: integer(row, "safe") === 1,
  firmwareVersion: optional(u64, row, "firmware_version"),
  recordedAt: instant(row, "recorded_at"),
})

const policyFrom = (row: Row): PolicyRecord => {
  const policy = {
    tenant: text(row, "tenant"),
    name: text(row, "policy_name"),
    revision: integer(row, "policy_revision"),
    document: text(row, "document"),
    digest: blob(row, "digest"),
  }
  checkDigest(utf8(policy.document), policy.digest, "a policy document")
  return policy
}

const deviceNotFound = (which: string): AssayError =>
  new AssayError("DEVICE_NOT_FOUND", `there is no device ${which}`)

const policyNotFound = (name: string): AssayError =>
  new AssayError("POLICY_NOT_FOUND", `there is no policy ${name}`)

const deviceExists = (): AssayError =>
  new AssayError("DEVICE_EXISTS", "a device with this id or with this attestation key is registered already")
