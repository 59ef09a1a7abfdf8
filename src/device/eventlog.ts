import { concat, utf8 } from "../bytes.ts"
import { EV_NO_ACTION } from "../evidence/eventlog/eventlog.ts"
import { HASHES, type HashName } from "../evidence/tpm/algorithm.ts"
import type { Digests } from "./pcrs.ts"

/** One record of an event log to be written. */
export interface LogRecord {
  readonly pcr: number
  readonly type: number
  readonly digests: Digests
  readonly data: Uint8Array
}

/** A u16, little-endian, as everything in an event log is. */
export const u16le = (value: number): Uint8Array => Uint8Array.of(value, value >>> 8)
/** A u32, little-endian. */
export const u32le = (value: number): Uint8Array =>
  Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24)
/** A u64, little-endian, of a number that is small. */
export const u64le = (value: number): Uint8Array => concat(u32le(value), u32le(0))

/** UEFI strings are UTF-16, little-endian. */
export const utf16 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "utf16le"))

const sha1Record = (pcr: number, type: number, digest: Uint8Array, data: Uint8Array): Uint8Array =>
  concat(u32le(pcr), u32le(type), digest, u32le(data.length), data)

const noDigest = (hash: HashName): Uint8Array => new Uint8Array(HASHES[hash].sizeBytes)

/** TCG_EfiSpecIDEvent: platform class client, version 2.0 errata 0, uintnSize 2 (64 bits), no vendor's data. */
const specId = (banks: readonly HashName[]): Uint8Array =>
  concat(
    utf8("Spec ID Event03\0"),
    u32le(0),
    Uint8Array.of(0, 2, 0, 2),
    u32le(banks.length),
    ...banks.map((hash) => concat(u16le(HASHES[hash].id), u16le(HASHES[hash].sizeBytes))),
    Uint8Array.of(0),
  )

/**
 * Writes an event log in the crypto-agile form: the header in the SHA-1 form, then each record with a digest for
 * each bank.
 *
 * @see TCG PC Client Platform Firmware Profile 1.05, 10.2.2 and 10.4.5.1.
 */
export const encodeCryptoAgileLog = (banks: readonly HashName[], records: readonly LogRecord[]): Uint8Array =>
  concat(
    sha1Record(0, EV_NO_ACTION, noDigest("sha1"), specId(banks)),
    ...records.map(({ pcr, type, digests, data }) =>
      concat(
        u32le(pcr),
        u32le(type),
        u32le(banks.length),
        ...banks.map((hash) => concat(u16le(HASHES[hash].id), digests.get(hash) ?? noDigest(hash))),
        u32le(data.length),
        data,
      ),
    ),
  )

/** Writes an event log in the form before the Spec ID header: SHA-1 digests alone (10.2.1). */
export const encodeSha1Log = (records: readonly LogRecord[]): Uint8Array =>
  concat(
    ...records.map(({ pcr, type, digests, data }) =>
      sha1Record(pcr, type, digests.get("sha1") ?? noDigest("sha1"), data),
    ),
  )

/** A locality in which the firmware starts the TPM: 3, or 4 after an H-CRTM. 0 is not recorded. */
export type StartupLocality = 0 | 3 | 4

/** The StartupLocality record: never extended, it says what PCR 0 began as (10.4.5.3). */
export const startupLocalityRecord = (locality: StartupLocality): LogRecord => ({
  pcr: 0,
  type: EV_NO_ACTION,
  digests: new Map(),
  data: concat(utf8("StartupLocality\0"), Uint8Array.of(locality)),
})
