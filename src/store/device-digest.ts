import { lengthPrefixedBriefly, utf8 } from "../bytes.ts"
import { sha256 } from "./digest.ts"
import type { Value } from "./statement.ts"
import type { DeviceTable } from "./tables.ts"

/** The columns of a device when it got a digest. These and their order never change. */
export const FIRST_DEVICE_COLUMNS = [
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

/** Columns that came later. */
const LATER_COLUMNS = ["permit_ak"] as const satisfies readonly (keyof DeviceTable)[]

/** A device's columns but for the digest itself. */
export type DeviceColumns = Omit<DeviceTable, "digest">

const NOTHING = Uint8Array.of(0)
const SOMETHING = Uint8Array.of(1)

/**
 * SHA-256 over all columns of a device, in their order: of each whether it is there, and what it holds. One flipped bit
 * makes another device's key of a key, and an active device of a suspended one.
 *
 * A column that came later is told of with its name, and only if it holds something: so digests from before it stand.
 */
export const deviceDigest = (columnOf: (column: keyof DeviceColumns) => Value): Uint8Array => {
  const parts: Uint8Array[] = []
  for (const column of FIRST_DEVICE_COLUMNS) {
    if (column === "digest") continue
    const value = columnOf(column)
    if (value === null) parts.push(NOTHING)
    else parts.push(SOMETHING, bytesOf(value))
  }
  for (const column of LATER_COLUMNS) {
    const value = columnOf(column)
    if (value !== null) parts.push(utf8(column), bytesOf(value))
  }
  return sha256(lengthPrefixedBriefly(parts))
}

const bytesOf = (value: NonNullable<Value>): Uint8Array =>
  value instanceof Uint8Array ? value : utf8(String(value))
