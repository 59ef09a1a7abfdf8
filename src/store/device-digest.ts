import { lengthPrefixed, utf8 } from "../bytes.ts"
import { sha256 } from "./digest.ts"
import type { Value } from "./statement.ts"
import type { DeviceTable } from "./tables.ts"

/** The columns of a device. */
export const DEVICE_COLUMNS = [
  "tenant",
  "id",
  "revision",
  "state",
  "device_group",
  "policy",
  "created_at",
  "ak_name",
  "ek",
  "binding",
  "token",
  "permit_kind",
  "permit_ek",
  "permit_expires_at",
  "claimed_name",
  "labels",
  "digest",
  "qualified_name",
  "ak_public",
  "ek_digest",
  "ek_certificate_chain",
  "ak_certificate_chain",
] as const satisfies readonly (keyof DeviceTable)[]

/** A device's columns but for the digest itself. */
export type DeviceColumns = Omit<DeviceTable, "digest">

const NOTHING = Uint8Array.of(0)
const SOMETHING = Uint8Array.of(1)

/**
 * SHA-256 over all columns of a device, in their order: of each whether it is there, and what it holds. One flipped bit
 * makes another device's key of a key, and an active device of a suspended one.
 */
export const deviceDigest = (columnOf: (column: keyof DeviceColumns) => Value): Uint8Array => {
  const parts: Uint8Array[] = []
  for (const column of DEVICE_COLUMNS) {
    if (column === "digest") continue
    const value = columnOf(column)
    if (value === null) parts.push(NOTHING)
    else parts.push(SOMETHING, value instanceof Uint8Array ? value : utf8(String(value)))
  }
  return sha256(lengthPrefixed(...parts))
}
