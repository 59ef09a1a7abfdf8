/**
 * Certificates and CRLs made byte by byte, so that each test can get one thing wrong. Nothing of `src/evidence/x509` is
 * used here: what the parser reads is not written by it.
 */
import { constants, generateKeyPairSync, type KeyObject, sign } from "node:crypto"
import { concat, utf8 } from "../../src/bytes.ts"
import { rsaPair } from "./rsa.ts"

/** A TLV with the content of `parts`, its length in the shortest form. */
export const tlv = (tag: number, ...parts: readonly Uint8Array[]): Uint8Array => {
  const content = concat(...parts)
  return concat(Uint8Array.of(tag), lengthOf(content.length), content)
}

const lengthOf = (size: number): Uint8Array => {
  if (size < 0x80) return Uint8Array.of(size)
  const octets: number[] = []
  for (let rest = size; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256)
  return Uint8Array.of(0x80 | octets.length, ...octets)
}

/** `inner` within `count` elements of a tag, one in the other. */
export const nestedIn = (inner: Uint8Array, count: number, tag = 0x30): Uint8Array => {
  const headers: Uint8Array[] = []
  let size = inner.length
  for (let i = 0; i < count; i++) {
    const header = concat(Uint8Array.of(tag), lengthOf(size))
    headers.push(header)
    size += header.length
  }
  return concat(...headers.reverse(), inner)
}

export const seq = (...parts: readonly Uint8Array[]): Uint8Array => tlv(0x30, ...parts)
export const set = (...parts: readonly Uint8Array[]): Uint8Array => tlv(0x31, ...parts)
export const octets = (...parts: readonly Uint8Array[]): Uint8Array => tlv(0x04, ...parts)
export const bitString = (content: Uint8Array, unused = 0): Uint8Array =>
  tlv(0x03, Uint8Array.of(unused), content)
export const boolean = (value: boolean): Uint8Array => tlv(0x01, Uint8Array.of(value ? 0xff : 0))
export const NULL = tlv(0x05)

/** A non-negative INTEGER. */
export const integer = (value: number | bigint): Uint8Array => {
  const digits = value.toString(16)
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex")
  return tlv(0x02, (bytes[0] ?? 0) >= 0x80 ? Uint8Array.of(0) : new Uint8Array(), bytes)
}

export const oid = (text: string): Uint8Array => {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number)
  const arcs = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc % 128]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left % 128) | 0x80)
    return groups
  })
  return tlv(0x06, Uint8Array.from(arcs))
}

/** A Name of one attribute for each relative name, as `{ "2.5.4.3": "Root" }`; UTF8String. */
export const name = (attributes: Readonly<Record<string, string>>): Uint8Array =>
  seq(...Object.entries(attributes).map(([type, text]) => set(seq(oid(type), tlv(0x0c, utf8(text))))))

/** The name with this common name alone. */
export const cn = (text: string): Uint8Array => name({ "2.5.4.3": text })

/** UTCTime up to 2049, GeneralizedTime from 2050 on. */
export const time = (at: Date): Uint8Array => {
  const digits = at.toISOString().replace(/[-:T]|\.\d+/g, "")
  return at.getUTCFullYear() < 2050 ? tlv(0x17, utf8(digits.slice(2))) : tlv(0x18, utf8(digits))
}

/** An extension; `value` is DER. */
export const extension = (id: string, value: Uint8Array, critical = false): Uint8Array =>
  seq(oid(id), ...(critical ? [boolean(true)] : []), octets(value))

export const basicConstraints = (ca: boolean, pathLen?: number): Uint8Array =>
  extension(
    "2.5.29.19",
    seq(...(ca ? [boolean(true)] : []), ...(pathLen === undefined ? [] : [integer(pathLen)])),
    true,
  )

/** Bits by their numbers, as 5 for keyCertSign. */
export const keyUsage = (...bits: readonly number[]): Uint8Array => {
  const last = Math.max(...bits)
  const bytes = new Uint8Array(Math.floor(last / 8) + 1)
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7))
  return extension("2.5.29.15", bitString(bytes, 7 - (last % 8)), true)
}

export const extKeyUsage = (...purposes: readonly string[]): Uint8Array =>
  extension("2.5.29.37", seq(...purposes.map(oid)))

export const subjectAltName = (names: readonly Uint8Array[], critical = false): Uint8Array =>
  extension("2.5.29.17", seq(...names), critical)

export const dns = (text: string): Uint8Array => tlv(0x82, utf8(text))
export const email = (text: string): Uint8Array => tlv(0x81, utf8(text))
export const uri = (text: string): Uint8Array => tlv(0x86, utf8(text))
export const ip = (...octets: readonly number[]): Uint8Array => tlv(0x87, Uint8Array.from(octets))
/** An otherName of some type, with a UTF8String. */
export const otherName = (type = "1.3.6.1.4.1.311.20.2.3"): Uint8Array =>
  tlv(0xa0, oid(type), tlv(0xa0, tlv(0x0c, utf8("x"))))
export const directoryName = (encoded: Uint8Array): Uint8Array => tlv(0xa4, encoded)

export const nameConstraints = (
  permitted: readonly Uint8Array[],
  excluded: readonly Uint8Array[] = [],
): Uint8Array =>
  extension(
    "2.5.29.30",
    seq(
      ...(permitted.length === 0 ? [] : [tlv(0xa0, ...permitted.map((base) => seq(base)))]),
      ...(excluded.length === 0 ? [] : [tlv(0xa1, ...excluded.map((base) => seq(base)))]),
    ),
    true,
  )

/** Certificate policies by their identifiers. */
export const policies = (...ids: readonly string[]): Uint8Array =>
  extension("2.5.29.32", seq(...ids.map((id) => seq(oid(id)))))
/** Pairs of issuer's and subject's policy. */
export const policyMappings = (...pairs: readonly (readonly [string, string])[]): Uint8Array =>
  extension("2.5.29.33", seq(...pairs.map(([issuer, subject]) => seq(oid(issuer), oid(subject)))), true)
export const policyConstraints = (skip: { explicit?: number; mapping?: number }): Uint8Array =>
  extension(
    "2.5.29.36",
    seq(
      ...(skip.explicit === undefined ? [] : [tlv(0x80, Uint8Array.of(skip.explicit))]),
      ...(skip.mapping === undefined ? [] : [tlv(0x81, Uint8Array.of(skip.mapping))]),
    ),
    true,
  )
export const inhibitAnyPolicy = (skip: number): Uint8Array => extension("2.5.29.54", integer(skip), true)

export const subjectKeyId = (id: Uint8Array): Uint8Array => extension("2.5.29.14", octets(id))
export const authorityKeyId = (id: Uint8Array): Uint8Array => extension("2.5.29.35", seq(tlv(0x80, id)))

/** A distribution point with one URI. */
export const distributionPoint = (uri: string): Uint8Array =>
  extension("2.5.29.31", seq(seq(tlv(0xa0, tlv(0xa0, tlv(0x86, utf8(uri)))))))

export const EKU_EK = "2.23.133.8.1"
export const EKU_AK = "2.23.133.8.3"

/** The alternative name of a TPM's key. */
export const tpmName = (
  attributes: Readonly<Record<string, string>> = {
    "2.23.133.2.1": "id:49465800",
    "2.23.133.2.2": "SLB 9670",
    "2.23.133.2.3": "id:00070055",
  },
): Uint8Array => subjectAltName([directoryName(name(attributes))], true)

/** A key pair with what certificates need of it. */
export interface Keys {
  readonly privateKey: KeyObject
  /** SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
  /** AlgorithmIdentifier of its signatures. */
  readonly algorithm: Uint8Array
  readonly sign: (bytes: Uint8Array) => Uint8Array
}

export const ECDSA_SHA256 = seq(oid("1.2.840.10045.4.3.2"))
export const RSA_SHA256 = seq(oid("1.2.840.113549.1.1.11"), NULL)

const keysOf = (
  privateKey: KeyObject,
  publicKey: KeyObject,
  algorithm: Uint8Array,
  hash: string | null,
): Keys => ({
  privateKey,
  spki: new Uint8Array(publicKey.export({ type: "spki", format: "der" })),
  algorithm,
  sign: (bytes) => new Uint8Array(sign(hash, bytes, privateKey)),
})

/** P-256 with SHA-256. */
export const p256Keys = (): Keys => ecKeys("P-256", ECDSA_SHA256, "sha256")

/** A key of some curve, as OpenSSL names it, with a hash under its AlgorithmIdentifier. */
export const ecKeys = (namedCurve: string, algorithm = ECDSA_SHA256, hash = "sha256"): Keys => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve })
  return keysOf(privateKey, publicKey, algorithm, hash)
}

export const ed25519Keys = (): Keys => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519")
  return keysOf(privateKey, publicKey, seq(oid("1.3.101.112")), null)
}

const HASH_OIDS = {
  sha256: "2.16.840.1.101.3.4.2.1",
  sha384: "2.16.840.1.101.3.4.2.2",
  sha512: "2.16.840.1.101.3.4.2.3",
} as const
/** A hash that RSASSA-PSS may name. */
export type PssHash = keyof typeof HASH_OIDS

/** AlgorithmIdentifier of a hash. */
export const hashAlgorithm = (id: string, parameters = NULL): Uint8Array => seq(oid(id), parameters)
/** AlgorithmIdentifier of MGF1 with a hash. */
export const mgf1 = (hash: Uint8Array): Uint8Array => seq(oid("1.2.840.113549.1.1.8"), hash)

/** AlgorithmIdentifier of RSASSA-PSS with these elements of its parameters. */
export const pssAlgorithm = (...parameters: readonly Uint8Array[]): Uint8Array =>
  seq(oid("1.2.840.113549.1.1.10"), seq(...parameters))

/** The usual parameters: one hash for both, and the salt's length. */
export const pssParameters = (hash: PssHash, saltLength: number): readonly Uint8Array[] => {
  const algorithm = hashAlgorithm(HASH_OIDS[hash])
  return [tlv(0xa0, algorithm), tlv(0xa1, mgf1(algorithm)), tlv(0xa2, integer(saltLength))]
}

/** The same RSA key, signing by RSASSA-PSS; the salt's length is left out where it is the default, 20. */
export const pssOf = (keys: Keys, hash: PssHash, saltLength: number): Keys => {
  const parameters = pssParameters(hash, saltLength)
  return {
    ...keys,
    algorithm: pssAlgorithm(...(saltLength === 20 ? parameters.slice(0, 2) : parameters)),
    sign: (bytes) =>
      new Uint8Array(
        sign(hash, bytes, {
          key: keys.privateKey,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength,
        }),
      ),
  }
}

/** The same key, signing by another hash under another AlgorithmIdentifier. */
export const signingBy = (keys: Keys, algorithm: Uint8Array, hash: string): Keys => ({
  ...keys,
  algorithm,
  sign: (bytes) => new Uint8Array(sign(hash, bytes, keys.privateKey)),
})

/** A SubjectPublicKeyInfo of an RSA key, by its INTEGERs. */
export const rsaSpki = (
  modulus: Uint8Array,
  exponent: Uint8Array,
  algorithm = seq(oid("1.2.840.113549.1.1.1"), NULL),
): Uint8Array => seq(algorithm, bitString(seq(modulus, exponent)))

/** A SubjectPublicKeyInfo of an EC key, by its parameters and its point. */
export const ecSpki = (parameters: Uint8Array, point: Uint8Array): Uint8Array =>
  seq(seq(oid("1.2.840.10045.2.1"), parameters), bitString(point))

/** The point of a P-256 key, 04, x, y: the last 65 bytes of its SubjectPublicKeyInfo. */
export const pointOf = ({ spki }: Keys): Uint8Array => spki.subarray(-65)

/** RSA with SHA-256, or another hash under its own AlgorithmIdentifier. */
export const rsaKeys = (
  modulusLength = 2048,
  publicExponent = 65537,
  algorithm = RSA_SHA256,
  hash = "sha256",
): Keys => {
  const { privateKey, publicKey } = rsaPair(modulusLength, publicExponent)
  return keysOf(privateKey, publicKey, algorithm, hash)
}

/** What a certificate is made of. Every part may be wrong. */
export interface CertificateParts {
  readonly version: Uint8Array
  readonly serialNumber: Uint8Array
  readonly innerAlgorithm: Uint8Array
  readonly issuer: Uint8Array
  readonly validity: Uint8Array
  readonly subject: Uint8Array
  readonly spki: Uint8Array
  /** Extensions one by one; without any, the field is left out. */
  readonly extensions: readonly Uint8Array[]
  /** Between the extensions and the end of tbsCertificate. */
  readonly more: Uint8Array
  readonly outerAlgorithm: Uint8Array
  readonly signer: Keys
  /** Instead of a signature by `signer`. */
  readonly signature: (tbs: Uint8Array) => Uint8Array
}

/** The extensions with some put in the place of those with the same identifiers, or added. */
export const withExtensions = (
  extensions: readonly Uint8Array[],
  ...changed: readonly Uint8Array[]
): readonly Uint8Array[] => {
  const ids = new Set(changed.map(idOf))
  return [...extensions.filter((one) => !ids.has(idOf(one))), ...changed]
}
/** The extensions but those with the identifiers. */
export const withoutExtensions = (
  extensions: readonly Uint8Array[],
  ...ids: readonly string[]
): readonly Uint8Array[] => {
  const gone = new Set(ids.map((id) => String(oid(id))))
  return extensions.filter((one) => !gone.has(idOf(one)))
}
/** The identifier's TLV, as text. */
const idOf = (one: Uint8Array): string => {
  const first = one[1] ?? 0
  const start = first < 0x80 ? 2 : 2 + (first & 0x7f)
  return String(one.subarray(start, start + 2 + (one[start + 1] ?? 0)))
}

export const V3 = tlv(0xa0, integer(2))
export const NOT_BEFORE = new Date("2020-01-01T00:00:00Z")
export const NOT_AFTER = new Date("2040-01-01T00:00:00Z")
let serial = 1000

/** A certificate of `keys`, signed by `signer`, with parts changed. */
export const makeCertificate = (
  keys: Keys,
  signer: Keys,
  subject: Uint8Array,
  issuer: Uint8Array,
  extensions: readonly Uint8Array[],
  changed: Partial<CertificateParts> = {},
): Uint8Array => {
  serial += 1
  const parts: CertificateParts = {
    version: V3,
    serialNumber: integer(serial),
    innerAlgorithm: signer.algorithm,
    issuer,
    validity: seq(time(NOT_BEFORE), time(NOT_AFTER)),
    subject,
    spki: keys.spki,
    extensions,
    more: new Uint8Array(),
    outerAlgorithm: signer.algorithm,
    signer,
    signature: (tbs) => parts.signer.sign(tbs),
    ...changed,
  }
  const tbs = seq(
    parts.version,
    parts.serialNumber,
    parts.innerAlgorithm,
    parts.issuer,
    parts.validity,
    parts.subject,
    parts.spki,
    ...(parts.extensions.length === 0 ? [] : [tlv(0xa3, seq(...parts.extensions))]),
    parts.more,
  )
  return seq(tbs, parts.outerAlgorithm, bitString(parts.signature(tbs)))
}

/** Root, intermediate and leaf, and what one of them has otherwise. */
export interface ChainChanges {
  readonly root?: Partial<CertificateParts>
  readonly intermediate?: Partial<CertificateParts>
  readonly leaf?: Partial<CertificateParts>
  /** The key that the leaf certifies. */
  readonly leafKeys?: Keys
}

/** Keys that all chains of a process share: making them is what takes the time. */
export const ROOT_KEYS = p256Keys()
export const INTERMEDIATE_KEYS = p256Keys()
export const LEAF_KEYS = p256Keys()
export const ROOT_NAME = cn("Test Root")
export const INTERMEDIATE_NAME = cn("Test Intermediate")

/** Extensions of a CA. */
export const caExtensions = (pathLen?: number): readonly Uint8Array[] => [
  basicConstraints(true, pathLen),
  keyUsage(5, 6),
]
/** Extensions of an AK certificate. */
export const AK_EXTENSIONS = [basicConstraints(false), keyUsage(0), extKeyUsage(EKU_AK), tpmName()]
/** Extensions of the certificate of an ECC endorsement key. */
export const EK_EXTENSIONS = [basicConstraints(false), keyUsage(4), extKeyUsage(EKU_EK), tpmName()]

/** DER of a good chain for `purpose`, but for the changes. */
export const makeChain = (purpose: "ak" | "ek", changes: ChainChanges = {}) => ({
  root: makeCertificate(ROOT_KEYS, ROOT_KEYS, ROOT_NAME, ROOT_NAME, caExtensions(), changes.root),
  intermediate: makeCertificate(
    INTERMEDIATE_KEYS,
    ROOT_KEYS,
    INTERMEDIATE_NAME,
    ROOT_NAME,
    caExtensions(0),
    changes.intermediate,
  ),
  leaf: makeCertificate(
    changes.leafKeys ?? LEAF_KEYS,
    INTERMEDIATE_KEYS,
    seq(),
    INTERMEDIATE_NAME,
    purpose === "ak" ? AK_EXTENSIONS : EK_EXTENSIONS,
    changes.leaf,
  ),
})
