import { sameBytes } from "../bytes.ts"
import type {
  DeviceRecord,
  DeviceState,
  KeyBinding,
  LastResult,
  Permit,
  PermittedKey,
} from "../service/ports.ts"
import { chainColumn, chainFrom } from "./chain.ts"
import { countersFrom } from "./counters.ts"
import { type DeviceColumns, deviceDigest } from "./device-digest.ts"
import { blob, instant, instantColumn, integer, oneOf, optional, type Row, text, value } from "./row.ts"
import type { DeviceTable } from "./tables.ts"

/** What of a device its row in `devices` holds. */
export type DeviceKept = Omit<DeviceRecord, "counters" | "lastResult">

const NO_KEY = new Uint8Array()

/** The columns of a device, with their digest. */
export const deviceColumns = (device: DeviceKept): DeviceTable => {
  const columns: DeviceColumns = {
    tenant: device.tenant,
    id: device.id,
    revision: device.revision,
    state: device.state,
    device_group: device.group,
    policy: device.policy ?? null,
    created_at: instantColumn(device.createdAt),
    ak_name: device.akName.length === 0 ? null : device.akName,
    ek: device.ek ?? null,
    binding: device.binding,
    token: device.token ?? null,
    permit_kind: device.permit?.kind ?? null,
    permit_ek: device.permit?.ek ?? null,
    permit_expires_at: device.permit === undefined ? null : instantColumn(device.permit.expiresAt),
    claimed_name: device.claimedName,
    labels: labelsColumn(device.labels),
    qualified_name: device.qualifiedName ?? null,
    ak_public: device.akPublic,
    ek_digest: device.endorsement.ekDigest ?? null,
    ek_certificate_chain: chainColumn(device.endorsement.ekCertificateChain),
    ak_certificate_chain: chainColumn(device.endorsement.akCertificateChain),
    permit_ak: device.permit?.akName ?? null,
  }
  return { ...columns, digest: deviceDigest((column) => columns[column]) }
}

/**
 * A device, of a row with all columns of `devices`, of `counters` and of `results` as `withMovements` joins them.
 *
 * @throws {Error} if the row is not as it was stored.
 */
export const deviceFrom = (row: Row): DeviceRecord => {
  if (
    !sameBytes(
      deviceDigest((column) => value(row, column)),
      blob(row, "digest"),
    )
  )
    throw new Error("a device and its digest do not agree")
  return {
    tenant: text(row, "tenant"),
    id: text(row, "id"),
    revision: integer(row, "revision"),
    state: stateFrom(row, "state"),
    group: text(row, "device_group"),
    labels: labelsFrom(row, "labels"),
    claimedName: text(row, "claimed_name"),
    policy: optional(text, row, "policy"),
    createdAt: instant(row, "created_at"),
    akPublic: blob(row, "ak_public"),
    akName: optional(blob, row, "ak_name") ?? NO_KEY,
    qualifiedName: optional(blob, row, "qualified_name"),
    ek: optional(blob, row, "ek"),
    binding: bindingFrom(row, "binding"),
    endorsement: {
      ekCertificateChain: chainFrom(row, "ek_certificate_chain"),
      akCertificateChain: chainFrom(row, "ak_certificate_chain"),
      ekDigest: optional(blob, row, "ek_digest"),
    },
    token: optional(text, row, "token"),
    permit: row["permit_kind"] === null ? undefined : permitFrom(row),
    counters: row["clock_ms"] === null ? undefined : countersFrom(row),
    lastResult: row["tier"] === null ? undefined : resultFrom(row),
  }
}

const STATES: readonly DeviceState[] = ["pending", "active", "suspended", "revoked", "retired"]
const BINDINGS: readonly KeyBinding[] = ["activation", "certificate", "operator"]
const PERMITS: readonly Permit["kind"][] = ["re-enrollment", "ak-rotation", "board-swap"]
const stateFrom = oneOf(STATES)
const bindingFrom = oneOf(BINDINGS)
const permitKindFrom = oneOf(PERMITS)

const permitFrom = (row: Row): Permit => ({
  kind: permitKindFrom(row, "permit_kind"),
  ...permittedKeyFrom(row),
  expiresAt: instant(row, "permit_expires_at"),
})

const permittedKeyFrom = (row: Row): PermittedKey => {
  const [ek, akName] = [optional(blob, row, "permit_ek"), optional(blob, row, "permit_ak")]
  if (ek !== undefined && akName === undefined) return { ek }
  if (akName !== undefined && ek === undefined) return { akName }
  throw new Error("a permit names one key")
}

/** The last result in a row with the columns of `results`. */
export const resultFrom = (row: Row): LastResult => ({
  at: instant(row, "result_at"),
  tier: text(row, "tier"),
  code: optional(text, row, "code"),
  admittedAt: optional(instant, row, "admitted_at"),
})

/** Labels as a column: JSON, pairs of key and value in the order of the keys. */
export const labelsColumn = (labels: ReadonlyMap<string, string>): string =>
  JSON.stringify([...labels].sort(([a], [b]) => (a < b ? -1 : 1)))

/** Held once for all devices without any. */
const NO_LABELS: ReadonlyMap<string, string> = new Map()

/** The labels of a column that `labelsColumn` made. @throws {Error} if the column is not such a one. */
export const labelsFrom = (row: Row, column: string): ReadonlyMap<string, string> => {
  const pairs: unknown = JSON.parse(text(row, column))
  if (!Array.isArray(pairs)) throw new Error(`column ${column} holds no labels`)
  return pairs.length === 0 ? NO_LABELS : new Map(pairs.map((pair: unknown) => labelFrom(pair, column)))
}

const labelFrom = (pair: unknown, column: string): readonly [string, string] => {
  if (Array.isArray(pair)) {
    const [key, value, ...more]: unknown[] = pair
    if (typeof key === "string" && typeof value === "string" && more.length === 0) return [key, value]
  }
  throw new Error(`column ${column} holds something else than labels`)
}
