import { fromHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { OfflineEvidence } from "../service/appraise-evidence.ts"
import { parsePcrJson } from "../service/pcr-file.ts"

const MEMBERS: readonly string[] = [
  "akPublic",
  "qualifiedName",
  "attest",
  "signature",
  "pcrs",
  "eventLog",
  "nonce",
]

/** What `assay demo -o json` adds for tpm2_checkquote and openssl. It repeats the others, and is not read. */
const REPETITIONS: readonly string[] = ["akPem", "akName", "signatureScheme", "pcrSelection", "pcrFile"]

/**
 * Reads evidence for `assay appraise`: one JSON object, bytes in hexadecimal.
 *
 *     {"akPublic": TPMT_PUBLIC or TPM2B_PUBLIC, "attest": TPMS_ATTEST, "signature": TPMT_SIGNATURE,
 *      "pcrs": {"sha256": {"0": …}}, "eventLog": …, "nonce": what extraData has to be, "qualifiedName": …}
 *
 * `eventLog` and `qualifiedName` may be left out, nothing else may, and nothing may be added.
 *
 * @throws {AssayError} INPUT with the member at fault.
 */
export function parseEvidenceFile(value: unknown): OfflineEvidence {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw evidenceError("evidence", "an object", "another value")
  const unknown = Object.keys(value).find((name) => ![...MEMBERS, ...REPETITIONS].includes(name))
  if (unknown !== undefined) throw evidenceError(unknown, MEMBERS.join(", "), "another member")
  const member = (name: string): unknown =>
    Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined
  const bytes = (name: string): Uint8Array => {
    const hex = member(name)
    const read = typeof hex === "string" ? fromHex(hex) : undefined
    if (read === undefined)
      throw evidenceError(name, "hexadecimal", hex === undefined ? "nothing" : "something else")
    return read
  }
  const optional = (name: string): Uint8Array | undefined =>
    member(name) === undefined ? undefined : bytes(name)
  return {
    akPublic: bytes("akPublic"),
    qualifiedName: optional("qualifiedName"),
    attest: bytes("attest"),
    signature: bytes("signature"),
    pcrs: parsePcrJson(member("pcrs")),
    eventLog: optional("eventLog"),
    nonce: bytes("nonce"),
  }
}

const evidenceError = (location: string, expected: string, actual: string): AssayError =>
  new AssayError("INPUT", `the evidence is not of the form that is expected: ${location}`, {
    location,
    expected,
    actual,
  })
