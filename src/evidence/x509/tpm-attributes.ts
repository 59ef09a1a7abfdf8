import { TAG } from "./der.ts"
import type { DerReader } from "./der-reader.ts"

/** What subjectDirectoryAttributes of an EK certificate say about its TPM. */
export interface TpmAttributes {
  readonly specification: TpmSpecification | undefined
  readonly securityAssertions: TpmSecurityAssertions | undefined
}

/** Which TPM specification the TPM follows, as `2.0`, level 0, revision 138. */
export interface TpmSpecification {
  readonly family: string
  readonly level: number
  readonly revision: number
}

/** What the maker asserts about the TPM. The evaluations under Common Criteria and FIPS are not read. */
export interface TpmSecurityAssertions {
  readonly version: number
  readonly fieldUpgradable: boolean
  /** How the endorsement key came to be. */
  readonly ekGenerationType: "internal" | "injected" | "internal-revocable" | "injected-revocable" | undefined
}

const TPM_SPECIFICATION = "2.23.133.2.16"
const TPM_SECURITY_ASSERTIONS = "2.23.133.2.18"
const GENERATION_TYPES = ["internal", "injected", "internal-revocable", "injected-revocable"] as const
const NUMBER_MAX = 0xffff_ffff

/**
 * Reads SubjectDirectoryAttributes. Attributes that are not about the TPM are passed over.
 *
 * @throws {AssayError} CERTIFICATE; DUP_EXT for an attribute that occurs twice.
 * @see TCG EK Credential Profile 2.5, 3.1.3 and 3.1.4.
 */
export function readTpmAttributes(value: DerReader): TpmAttributes {
  let specification: TpmSpecification | undefined
  let securityAssertions: TpmSecurityAssertions | undefined
  const seen = new Set<string>()
  const list = value.sequence("subjectDirectoryAttributes")
  while (list.tag !== 0) {
    const attribute = list.sequence("attribute")
    const type = attribute.oid("type")
    const values = attribute.set("values")
    attribute.end()
    if (seen.has(type)) throw list.error("DUP_EXT", undefined, `attribute ${type} occurs twice`)
    seen.add(type)
    if (type === TPM_SPECIFICATION) specification = readSpecification(values)
    else if (type === TPM_SECURITY_ASSERTIONS) securityAssertions = readAssertions(values)
  }
  return { specification, securityAssertions }
}

const readSpecification = (values: DerReader): TpmSpecification => {
  const r = values.sequence("tPMSpecification")
  values.end()
  const family = Buffer.from(r.content(TAG.utf8String, "family")).toString("utf8")
  const level = r.smallInteger("level", NUMBER_MAX)
  const revision = r.smallInteger("revision", NUMBER_MAX)
  r.end()
  return { family, level, revision }
}

const readAssertions = (values: DerReader): TpmSecurityAssertions => {
  const r = values.sequence("tPMSecurityAssertions")
  values.end()
  const version = r.optional(TAG.integer, () => r.smallInteger("version", NUMBER_MAX)) ?? 0
  const fieldUpgradable = r.optional(TAG.boolean, () => r.boolean("fieldUpgradable")) ?? false
  const type = r.optional(0x80, () => r.smallInteger("ekGenerationType", GENERATION_TYPES.length - 1, 0x80))
  // Where keys and certificates were made, and evaluations: nothing of it is judged.
  while (r.tag !== 0) r.element("assertion")
  return {
    version,
    fieldUpgradable,
    ekGenerationType: type === undefined ? undefined : GENERATION_TYPES[type],
  }
}
