import { TAG } from "./der.ts"
import type { DerReader } from "./der-reader.ts"

/** The machine of a cloud that a certificate says its key belongs to. Texts are visible ASCII, at most 255 characters. */
export interface CloudInstance {
  readonly provider: "gce"
  /** The project's id. */
  readonly project: string
  readonly zone: string
  /** A u64 in decimal: within its provider no other machine ever has it. */
  readonly id: string
  readonly name: string
}

/** The extension that says so in certificates of Google's virtual TPMs. */
export const GCE_INSTANCE = "1.3.6.1.4.1.11129.2.1.21"

const NUMBER_BYTES_MAX = 8
const TEXT = /^[!-~]{1,255}$/

/**
 * Reads GceInstanceInformation: the machine that a key of a virtual TPM of Google Compute Engine is for.
 *
 * Shape: SEQUENCE of zone UTF8String, project number INTEGER, project id UTF8String, instance id INTEGER, instance name
 * UTF8String, and optionally [0] SEQUENCE of security properties: [0] version INTEGER, [1] whether it is production BOOLEAN,
 * and others that nobody has told of. Each is optional.
 *
 * @returns Nothing for a machine that is not one of production, as Google's own verifier has it: whoever issues for tests
 *   vouches for no instance.
 * @throws {AssayError} CERTIFICATE, DER.
 * @see github.com/google/go-tpm-tools, server/instance_info.go.
 */
export function readGceInstance(value: DerReader): CloudInstance | undefined {
  const r = value.sequence("gceInstanceInformation")
  const zone = readText(r, "zone")
  readNumber(r, "projectNumber")
  const project = readText(r, "projectId")
  const id = String(readNumber(r, "instanceId"))
  const name = readText(r, "instanceName")
  const isProduction = r.optional(0xa0, () => readIsProduction(r.constructed(0xa0, "securityProperties")))
  r.end()
  return isProduction === true ? { provider: "gce", project, zone, id, name } : undefined
}

const readText = (r: DerReader, field: string): string => {
  const text = Buffer.from(r.content(TAG.utf8String, field)).toString("utf8")
  if (!TEXT.test(text))
    throw r.error("CERTIFICATE", field, "not a name", { expected: "1 to 255 visible ASCII characters" })
  return text
}

/** A u64. */
const readNumber = (r: DerReader, field: string): bigint => {
  const content = r.integer(field)
  const size = content[0] === 0 ? content.length - 1 : content.length
  if ((content[0] ?? 0) >= 0x80 || size > NUMBER_BYTES_MAX)
    throw r.error("CERTIFICATE", field, "a number out of its range", { expected: "a u64" })
  return content.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n)
}

const readIsProduction = (explicit: DerReader): boolean => {
  const r = explicit.sequence("properties")
  explicit.end()
  r.optional(0xa0, () => {
    const version = r.constructed(0xa0, "securityVersion")
    readNumber(version, "value")
    version.end()
  })
  const isProduction = r.optional(0xa1, () => {
    const production = r.constructed(0xa1, "isProduction")
    const is = production.boolean("value")
    production.end()
    return is
  })
  while (r.tag > 0xa1) r.element("property")
  r.end()
  return isProduction ?? false
}
