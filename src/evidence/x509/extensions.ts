import { checkDepth, DerGate, type Deviation, TAG } from "./der.ts"
import { DerReader } from "./der-reader.ts"
import { type DistributionPoint, readDistributionPoints } from "./distribution-point.ts"
import { type CloudInstance, GCE_INSTANCE, readGceInstance } from "./gce-instance.ts"
import { type GeneralName, readGeneralName, readGeneralNames } from "./general-name.ts"
import { readTpmAttributes, type TpmAttributes } from "./tpm-attributes.ts"

/** Bits of keyUsage (RFC 5280, 4.2.1.3). */
export const KEY_USAGE = {
  digitalSignature: 1 << 0,
  nonRepudiation: 1 << 1,
  keyEncipherment: 1 << 2,
  dataEncipherment: 1 << 3,
  keyAgreement: 1 << 4,
  keyCertSign: 1 << 5,
  cRLSign: 1 << 6,
  encipherOnly: 1 << 7,
  decipherOnly: 1 << 8,
} as const

/** What the extensions of a certificate say. What is absent is not there. */
export interface Extensions {
  readonly basicConstraints?: { readonly ca: boolean; readonly pathLen: number | undefined }
  /** Bits as in `KEY_USAGE`. */
  readonly keyUsage?: number
  /** Object identifiers. An empty list is what it says: no purpose at all. */
  readonly extKeyUsage?: readonly string[]
  readonly subjectAltName?: readonly GeneralName[]
  readonly nameConstraints?: NameConstraints
  readonly policies?: readonly string[]
  readonly policyMappings?: readonly (readonly [issuerDomain: string, subjectDomain: string])[]
  readonly policyConstraints?: {
    readonly requireExplicitPolicy: number | undefined
    readonly inhibitPolicyMapping: number | undefined
  }
  readonly inhibitAnyPolicy?: number
  readonly subjectKeyIdentifier?: Uint8Array
  readonly authorityKeyIdentifier?: {
    readonly keyIdentifier: Uint8Array | undefined
    readonly hasIssuer: boolean
    readonly hasSerialNumber: boolean
  }
  readonly crlDistributionPoints?: readonly DistributionPoint[]
  readonly authorityInfoAccess?: readonly AccessDescription[]
  readonly tpm?: TpmAttributes
  /** `undefined` also for an instance that its issuer does not vouch for. */
  readonly instance?: CloudInstance | undefined
}

/** Subtrees that names below must be in, and must not be in. */
export interface NameConstraints {
  readonly permitted: readonly GeneralName[]
  readonly excluded: readonly GeneralName[]
}

/** Where something about the issuer is to be had. */
export interface AccessDescription {
  readonly method: string
  readonly location: GeneralName
}

/** accessMethod of the issuer's certificate (RFC 5280, 4.2.2.1). */
export const CA_ISSUERS = "1.3.6.1.5.5.7.48.2"

/** What was read of all extensions. */
export interface ReadExtensions {
  readonly extensions: Extensions
  /** Object identifiers of all extensions, and of the critical ones. */
  readonly present: ReadonlySet<string>
  readonly critical: ReadonlySet<string>
  /** Of the critical ones, those that no check of Assay acts on. */
  readonly unknownCritical: readonly string[]
}

type Fields = { -readonly [Field in keyof Extensions]: Extensions[Field] }

/** Extensions of one certificate: some have 15. More cost time, and 16 KiB have room for a thousand. */
const EXTENSIONS_MAX = 64
/** Numbers of certificates to skip: more than any path has. */
const SKIP_MAX = 0xffff
const PATH_LEN_MAX = 0xffff
/** Those of a leaf are compared with those of each CA above it. Certificates have a handful. */
const PURPOSES_MAX = 64

type ReadExtension = (value: DerReader, fields: Fields, deviations: Set<Deviation>) => void

const reads =
  <Field extends keyof Fields>(field: Field, read: (value: DerReader) => Fields[Field]): ReadExtension =>
  (value, fields) => {
    fields[field] = read(value)
  }

/** What each extension that Assay knows is read into. */
const READERS: ReadonlyMap<string, ReadExtension> = new Map<string, ReadExtension>([
  ["2.5.29.9", reads("tpm", readTpmAttributes)],
  [
    "2.5.29.14",
    (value, fields) => {
      fields.subjectKeyIdentifier = value.content(TAG.octetString, "keyIdentifier")
    },
  ],
  [
    "2.5.29.15",
    (value, fields, deviations) => {
      fields.keyUsage = value.namedBits("keyUsage", TAG.bitString, deviations)
    },
  ],
  [
    "2.5.29.17",
    (value, fields) => {
      fields.subjectAltName = readGeneralNames(value.sequence("names"))
    },
  ],
  [
    "2.5.29.19",
    (value, fields) => {
      const r = value.sequence("basicConstraints")
      const ca = r.optional(TAG.boolean, () => notDefault(r, r.boolean("cA"), false)) ?? false
      const pathLen = r.optional(TAG.integer, () => r.smallInteger("pathLenConstraint", PATH_LEN_MAX))
      r.end()
      fields.basicConstraints = { ca, pathLen }
    },
  ],
  [
    "2.5.29.30",
    (value, fields) => {
      fields.nameConstraints = readNameConstraints(value.sequence("nameConstraints"))
    },
  ],
  ["2.5.29.31", reads("crlDistributionPoints", readDistributionPoints)],
  [
    "2.5.29.32",
    (value, fields) => {
      fields.policies = readPolicies(value.sequence("certificatePolicies"))
    },
  ],
  [
    "2.5.29.33",
    (value, fields) => {
      fields.policyMappings = value.sequence("policyMappings").all((r) => {
        const pair = r.sequence("mapping")
        const mapping = [pair.oid("issuerDomainPolicy"), pair.oid("subjectDomainPolicy")] as const
        pair.end()
        return mapping
      })
    },
  ],
  [
    "2.5.29.35",
    (value, fields) => {
      const r = value.sequence("authorityKeyIdentifier")
      const keyIdentifier = r.optional(0x80, () => r.content(0x80, "keyIdentifier"))
      const hasIssuer = r.optional(0xa1, () => readGeneralNames(r.constructed(0xa1, "issuer"))) !== undefined
      const hasSerialNumber = r.optional(0x82, () => r.integer("serialNumber", 0x82)) !== undefined
      r.end()
      fields.authorityKeyIdentifier = { keyIdentifier, hasIssuer, hasSerialNumber }
    },
  ],
  [
    "2.5.29.36",
    (value, fields) => {
      const r = value.sequence("policyConstraints")
      if (r.tag === 0) throw r.error("CERTIFICATE", undefined, "policy constraints without a constraint")
      const requireExplicitPolicy = r.optional(0x80, () =>
        r.smallInteger("requireExplicitPolicy", SKIP_MAX, 0x80),
      )
      const inhibitPolicyMapping = r.optional(0x81, () =>
        r.smallInteger("inhibitPolicyMapping", SKIP_MAX, 0x81),
      )
      r.end()
      fields.policyConstraints = { requireExplicitPolicy, inhibitPolicyMapping }
    },
  ],
  [
    "2.5.29.37",
    (value, fields) => {
      const r = value.sequence("extKeyUsage")
      fields.extKeyUsage = r.all(() => r.oid("keyPurposeId"))
      if (fields.extKeyUsage.length > PURPOSES_MAX)
        throw r.error("CERTIFICATE", undefined, "more purposes than a certificate has", {
          expected: `at most ${PURPOSES_MAX}`,
        })
    },
  ],
  [
    "2.5.29.54",
    (value, fields) => {
      fields.inhibitAnyPolicy = value.smallInteger("inhibitAnyPolicy", SKIP_MAX)
    },
  ],
  [
    "1.3.6.1.5.5.7.1.1",
    (value, fields) => {
      const r = value.sequence("authorityInfoAccess")
      if (r.tag === 0) throw r.error("CERTIFICATE", undefined, "without an access description")
      fields.authorityInfoAccess = r.all(() => {
        const description = r.sequence("description")
        const access = { method: description.oid("accessMethod"), location: readGeneralName(description) }
        description.end()
        return access
      })
    },
  ],
  [GCE_INSTANCE, reads("instance", readGceInstance)],
])

/**
 * What is read and no check holds a path to: TPM attributes, identifiers of keys, instances, where things are to be had. They
 * are never critical (RFC 5280, 4.2.1.1, 4.2.1.2, 4.2.1.8, 4.2.2.1), and one that is asks for what is not done here.
 */
const NEVER_CRITICAL: ReadonlySet<string> = new Set([
  "2.5.29.9",
  "2.5.29.14",
  "2.5.29.35",
  "1.3.6.1.5.5.7.1.1",
  GCE_INSTANCE,
])

/** A value that is its field's default must be left out (X.690, 11.5). */
const notDefault = <T>(r: DerReader, value: T, fallback: T): T => {
  if (value === fallback) throw r.error("DER", undefined, "a default that is spelled out")
  return value
}

/**
 * Reads the elements of Extensions.
 *
 * @throws {AssayError} DUP_EXT, CERTIFICATE, DER, OID, DEPTH.
 * @see RFC 5280, 4.2: at most one of a kind.
 */
export function readExtensions(
  list: DerReader,
  tolerated: ReadonlySet<Deviation>,
  deviations: Set<Deviation>,
): ReadExtensions {
  const fields: Fields = {}
  const present = new Set<string>()
  const critical = new Set<string>()
  const unknownCritical: string[] = []
  if (list.tag === 0) throw list.error("CERTIFICATE", undefined, "an empty list of extensions")
  while (list.tag !== 0) {
    const extension = list.sequence("extension")
    const oid = extension.oid("extnID")
    if (present.has(oid)) throw list.error("DUP_EXT", undefined, `extension ${oid} occurs twice`)
    present.add(oid)
    if (present.size > EXTENSIONS_MAX)
      throw list.error("CERTIFICATE", undefined, `more than ${EXTENSIONS_MAX} extensions`)
    const isCritical =
      extension.optional(TAG.boolean, () => notDefault(extension, extension.boolean("critical"), false)) ??
      false
    if (isCritical) critical.add(oid)
    if (isCritical && (NEVER_CRITICAL.has(oid) || !READERS.has(oid))) unknownCritical.push(oid)
    const content = extension.content(TAG.octetString, "extnValue")
    extension.end()
    const read = READERS.get(oid)
    if (read === undefined) {
      checkDepth(content)
      continue
    }
    for (const deviation of DerGate.check(content, `extension ${oid}`, tolerated)) deviations.add(deviation)
    const value = new DerReader(content, `extension ${oid}`)
    read(value, fields, deviations)
    value.end()
  }
  return { extensions: fields, present, critical, unknownCritical }
}

const readNameConstraints = (r: DerReader): NameConstraints => {
  if (r.tag === 0) throw r.error("CERTIFICATE", undefined, "name constraints without a constraint")
  const permitted = r.optional(0xa0, () => readSubtrees(r.constructed(0xa0, "permittedSubtrees"))) ?? []
  const excluded = r.optional(0xa1, () => readSubtrees(r.constructed(0xa1, "excludedSubtrees"))) ?? []
  r.end()
  return { permitted, excluded }
}

/** RFC 5280, 4.2.1.10: minimum is 0, which is its default, and maximum is absent. */
const readSubtrees = (r: DerReader): GeneralName[] => {
  if (r.tag === 0) throw r.error("CERTIFICATE", undefined, "an empty list of subtrees")
  return r.all(() => {
    const subtree = r.sequence("subtree")
    const base = readGeneralName(subtree)
    subtree.end()
    return base
  })
}

const readPolicies = (r: DerReader): string[] => {
  const policies = r.all(() => {
    const information = r.sequence("policy")
    const policy = information.oid("policyIdentifier")
    information.optional(TAG.sequence, () => information.element("policyQualifiers"))
    information.end()
    return policy
  })
  if (policies.length === 0) throw r.error("CERTIFICATE", undefined, "an empty list of policies")
  if (new Set(policies).size !== policies.length) throw r.error("CERTIFICATE", undefined, "a policy twice")
  return policies
}
