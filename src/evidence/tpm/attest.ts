import { Reader } from "../reader.ts"
import { DIGEST_BYTES_MAX, NAME_BYTES_MAX } from "./algorithm.ts"
import { type PcrSelection, readPcrSelection } from "./selection.ts"

/** The first four bytes of everything that a TPM itself made: 0xff and "TCG". */
export const TPM_GENERATED_VALUE = 0xff544347

export const TPM_ST_ATTEST_CERTIFY = 0x8017
export const TPM_ST_ATTEST_QUOTE = 0x8018
export const TPM_ST_ATTEST_TIME = 0x8019
export const TPM_ST_ATTEST_CREATION = 0x801a

/** TPMS_CLOCK_INFO (Part 2, 10.11.1). */
export interface ClockInfo {
  /** Milliseconds that the TPM was powered, since it was last cleared. */
  readonly clockMs: bigint
  /** TPM Resets since the TPM was last cleared. Obfuscated for keys outside the endorsement hierarchy. */
  readonly resetCount: number
  /** Restarts and resumes since the last reset. Obfuscated likewise. */
  readonly restartCount: number
  /** Whether no value of clockMs greater than this one was reported before. */
  readonly safe: boolean
}

/** What was attested, by type (Part 2, 10.12). */
export type Attested =
  | { readonly kind: "quote"; readonly pcrSelect: readonly PcrSelection[]; readonly pcrDigest: Uint8Array }
  | { readonly kind: "certify"; readonly objectName: Uint8Array; readonly qualifiedName: Uint8Array }
  | { readonly kind: "creation"; readonly objectName: Uint8Array; readonly creationHash: Uint8Array }
  | {
      readonly kind: "time"
      readonly timeMs: bigint
      readonly clockInfo: ClockInfo
      readonly firmwareVersion: bigint
    }
  /** A type that Assay has no use for: audit, NV. Its body is not read. */
  | { readonly kind: "other"; readonly type: number }

/** A parsed TPMS_ATTEST. */
export interface Attest {
  readonly qualifiedSigner: Uint8Array
  readonly extraData: Uint8Array
  readonly clockInfo: ClockInfo
  /** Obfuscated for keys outside the endorsement hierarchy. */
  readonly firmwareVersion: bigint
  readonly attested: Attested
}

/**
 * Parses a TPMS_ATTEST: what a TPM signs when it quotes PCRs, certifies a key or tells the time.
 *
 * Shape, big-endian: magic u32, type u16, qualifiedSigner TPM2B (<= 66 bytes), extraData TPM2B (<= 66 bytes),
 * clockInfo 17 bytes, firmwareVersion u64, then a body by type. What comes back are views on `bytes`.
 * Nothing in the result is trustworthy until `proveQuote` has accepted the signature over it.
 *
 * @throws {AssayError} QUOTE_MAGIC, PCR_SELECTION_MALFORMED, FRAMING, LENGTH.
 * @see TPM 2.0 Library, Part 2: Structures, 10.12.12 (rev. 1.59).
 */
export function parseAttest(bytes: Uint8Array): Attest {
  const r = new Reader(bytes, "TPMS_ATTEST")
  const magic = r.u32("magic")
  if (magic !== TPM_GENERATED_VALUE)
    throw r.error("QUOTE_MAGIC", "magic", "not made by a TPM", {
      expected: "ff544347",
      actual: magic.toString(16),
    })
  const type = r.u16("type")
  const attest: Attest = {
    qualifiedSigner: r.sized("qualifiedSigner", NAME_BYTES_MAX),
    extraData: r.sized("extraData", NAME_BYTES_MAX),
    clockInfo: readClockInfo(r),
    firmwareVersion: r.u64("firmwareVersion"),
    attested: readAttested(r, type),
  }
  r.end()
  return attest
}

function readClockInfo(r: Reader): ClockInfo {
  return {
    clockMs: r.u64("clockInfo.clock"),
    resetCount: r.u32("clockInfo.resetCount"),
    restartCount: r.u32("clockInfo.restartCount"),
    safe: r.flag("clockInfo.safe"),
  }
}

function readAttested(r: Reader, type: number): Attested {
  switch (type) {
    case TPM_ST_ATTEST_QUOTE:
      return {
        kind: "quote",
        pcrSelect: readPcrSelection(r),
        pcrDigest: r.sized("pcrDigest", DIGEST_BYTES_MAX),
      }
    case TPM_ST_ATTEST_CERTIFY:
      return {
        kind: "certify",
        objectName: r.sized("name", NAME_BYTES_MAX),
        qualifiedName: r.sized("qualifiedName", NAME_BYTES_MAX),
      }
    case TPM_ST_ATTEST_CREATION:
      return {
        kind: "creation",
        objectName: r.sized("objectName", NAME_BYTES_MAX),
        creationHash: r.sized("creationHash", DIGEST_BYTES_MAX),
      }
    case TPM_ST_ATTEST_TIME:
      return {
        kind: "time",
        timeMs: r.u64("time.time"),
        clockInfo: readClockInfo(r),
        firmwareVersion: r.u64("time.firmwareVersion"),
      }
    default:
      r.rest()
      return { kind: "other", type }
  }
}
