/** Every way of showing a key that must not get a certificate. */
import { concat } from "../../src/bytes.ts"
import {
  type AttestFields,
  encodeCertified,
  encodePublic,
  type PublicFields,
} from "../../src/device/encode.ts"
import { generateKeys, sharedKeysOf } from "../../src/device/keys.ts"
import { type Certification, createSoftwareDevice, type SoftwareDevice } from "../../src/device/software.ts"
import {
  createSoftwareKey,
  requestOf,
  type SoftwareKey,
  TLS_KEY_ATTRIBUTES,
} from "../../src/device/software-key.ts"
import type { Code } from "../../src/errors.ts"
import { ATTRIBUTES, type AttributeName, nameOf, type PublicKey } from "../../src/evidence/tpm/public.ts"
import { TLS_KEY } from "./certified.ts"
import { flipped } from "./core.ts"
import { makeRequest, type RequestParts } from "./csr.ts"
import { ROCA_MODULUS } from "./endorsed.ts"
import { cn, dns, ECDSA_SHA256, name, oid, RSA_SHA256, seq, set, subjectAltName, tlv } from "./x509.ts"

/** A key that is as fit for a certificate as `TLS_KEY`. */
const OTHER_KEY = createSoftwareKey()

/** TPMA_OBJECT of a key for TLS, with one attribute the other way round. */
const attributesBut = (name: AttributeName): number => (TLS_KEY_ATTRIBUTES ^ (1 << ATTRIBUTES[name])) >>> 0

const AREA: Omit<PublicFields, "key"> = {
  nameAlg: "sha256",
  attributes: TLS_KEY_ATTRIBUTES,
  authPolicy: new Uint8Array(),
  symmetric: undefined,
  scheme: undefined,
}

/** What is shown instead of what should be, and the key that the challenge is made for: by default `TLS_KEY`. */
export interface Forgery {
  readonly name: string
  readonly forge: (device: SoftwareDevice, genuine: Certification) => Partial<Certification>
  readonly code: Code
  readonly location: string
  readonly keyName?: Uint8Array
}

/** TPM2_Certify of `TLS_KEY` with fields changed before it was signed. */
const certifying =
  (change: (fields: AttestFields) => Partial<AttestFields>): Forgery["forge"] =>
  (device, { keyPublic }) =>
    device.certify(new Uint8Array(), keyPublic, (fields) => ({ ...fields, ...change(fields) }))

const inBoot = (reset: number, restart: number): Forgery["forge"] =>
  certifying(({ clockInfo }) => ({
    clockInfo: {
      ...clockInfo,
      resetCount: clockInfo.resetCount + reset,
      restartCount: clockInfo.restartCount + restart,
    },
  }))

/** Everything of another key, and a challenge for that key. */
const ofKey = (key: SoftwareKey): Pick<Forgery, "forge" | "keyName"> => ({
  forge: (device) => device.certifying(key).certification,
  keyName: key.name,
})

/** Everything of a key with this public area; its request does not matter any more. */
const ofArea = (area: Uint8Array): Pick<Forgery, "forge" | "keyName"> => ({
  forge: (device) => ({ keyPublic: area, ...device.certify(new Uint8Array(), area) }),
  keyName: nameOf("sha256", area),
})

const rsa = (modulus: Uint8Array, exponent = 65537): PublicKey => ({
  kind: "rsa",
  keyBits: 8 * modulus.length,
  exponent,
  modulus,
})
const modulusOf = (): Uint8Array => {
  const { publicKey } = sharedKeysOf("rsa-2048")
  return publicKey.kind === "rsa" ? publicKey.modulus : new Uint8Array()
}
/** A point of P-256 with one bit of y changed. */
const offCurve = (): PublicKey => {
  const { publicKey } = generateKeys("p256")
  return publicKey.kind === "ecc" ? { ...publicKey, y: flipped(publicKey.y, 31) } : publicKey
}

/** The scheme of a public area, behind attributes, an empty policy and no symmetric algorithm. */
const SCHEME_OFFSET = 12
/** ECDAA with SHA-256 and a count, where there was no scheme. */
const withEcdaa = (area: Uint8Array): Uint8Array =>
  concat(
    area.subarray(0, SCHEME_OFFSET),
    Uint8Array.of(0x00, 0x1a, 0x00, 0x0b, 0x00, 0x00),
    area.subarray(SCHEME_OFFSET + 2),
  )

const areaOf = ({ keyPublic }: SoftwareKey): Uint8Array => keyPublic.subarray(2)

/** A request by `TLS_KEY`, properly signed, with parts changed. */
const requesting =
  (changed: Partial<RequestParts>): Forgery["forge"] =>
  () => ({
    csr: makeRequest({ spki: TLS_KEY.spki, algorithm: ECDSA_SHA256, sign: TLS_KEY.sign }, changed),
  })

const EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
const CHALLENGE_PASSWORD = "1.2.840.113549.1.9.7"
const attributes = (type: string, value: Uint8Array): Uint8Array => tlv(0xa0, seq(oid(type), set(value)))

/** The same key with its point compressed, under the same identifiers. */
const compressed = (spki: Uint8Array): Uint8Array => {
  const [x, y] = [spki.subarray(-64, -32), spki.subarray(-32)]
  const point = concat(Uint8Array.of(0, 2 + ((y[31] ?? 0) & 1)), x)
  return seq(seq(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")), tlv(0x03, point))
}

const SIGNATURE = "certification.signature"
const ATTEST = "certification.attest"
const KEY = "certification.key_public"
const CSR = "certification.csr"

const attribute = (name: AttributeName, state: "clear" | "set"): Forgery => ({
  name: `${name} ${state}`,
  ...ofKey(createSoftwareKey({ fields: { attributes: attributesBut(name) } })),
  code: "KEY_ATTRIBUTES",
  location: KEY,
})

let stranger: SoftwareDevice | undefined
/** A device that nobody asked. */
const other = (): SoftwareDevice => {
  stranger ??= createSoftwareDevice({ algorithm: "p256" })
  return stranger
}

/** A certification each that is wrong in one thing, and how it is refused. */
export const FORGERIES: readonly Forgery[] = [
  {
    name: "another attestation key's certification",
    forge: (_, { keyPublic }) => other().certify(new Uint8Array(), keyPublic),
    code: "SIGNATURE",
    location: SIGNATURE,
  },
  {
    name: "a bit that was changed behind the signature's back",
    forge: (_, { attest }) => ({ attest: flipped(attest, attest.length - 1) }),
    code: "SIGNATURE",
    location: SIGNATURE,
  },
  {
    name: "a signature by another hash than the key's own",
    forge: (device, { attest }) => ({ signature: device.sign(attest, { kind: "ecdsa", hash: "sha384" }) }),
    code: "SIG_ALG",
    location: SIGNATURE,
  },
  {
    name: "a signature without an algorithm",
    forge: () => ({ signature: Uint8Array.of(0x00, 0x10) }),
    code: "SIG_ALG",
    location: SIGNATURE,
  },
  {
    name: "Q-02 a quote in the place of a certification",
    forge: (device) => device.quote({ extraData: new Uint8Array(32) }),
    code: "ATTEST_TYPE",
    location: ATTEST,
  },
  {
    name: "Q-02 a certified creation in the place of a certification",
    forge: (device) => device.certifyCreation(new Uint8Array()),
    code: "ATTEST_TYPE",
    location: ATTEST,
  },
  {
    name: "Q-02 a time in the place of a certification",
    forge: (device) => device.getTime(new Uint8Array()),
    code: "ATTEST_TYPE",
    location: ATTEST,
  },
  {
    name: "a certification from another place in the TPM than the quote",
    forge: certifying(({ qualifiedSigner }) => ({ qualifiedSigner: flipped(qualifiedSigner, 5) })),
    code: "QUALIFIED_SIGNER",
    location: ATTEST,
  },
  ...[
    { name: "a certification of the boot before", forge: inBoot(-1, 0) },
    { name: "a certification of a boot to come", forge: inBoot(1, 0) },
    { name: "a certification from before a resume", forge: inBoot(0, 1) },
  ].map((one): Forgery => ({ ...one, code: "KEY_CERTIFICATION", location: ATTEST })),
  {
    name: "K-06 the certification of another key of the TPM",
    forge: (device) => device.certify(new Uint8Array(), OTHER_KEY.keyPublic),
    code: "KEY_NAME",
    location: ATTEST,
  },
  {
    name: "K-06 a certified Name with one bit changed",
    forge: certifying(() => ({ attested: encodeCertified(flipped(TLS_KEY.name, 33), TLS_KEY.name) })),
    code: "KEY_NAME",
    location: ATTEST,
  },
  {
    name: "K-06 the key under another nameAlg",
    forge: (_, { keyPublic }) => {
      const area = keyPublic.slice(2)
      area.set([0x00, 0x0c], 2)
      return { keyPublic: area }
    },
    code: "KEY_NAME",
    location: ATTEST,
  },
  {
    name: "K-06 the key with an attribute changed after it was certified",
    forge: (_, { keyPublic }) => ({ keyPublic: flipped(keyPublic, 2 + 7, 0x02) }),
    code: "KEY_NAME",
    location: ATTEST,
  },
  {
    name: "K-06 another key than the one in the quote's transcript, certified and asked for",
    ...ofKey(OTHER_KEY),
    keyName: TLS_KEY.name,
    code: "KEY_NAME",
    location: "confirmation.key_name",
  },
  attribute("fixedTPM", "clear"),
  attribute("fixedParent", "clear"),
  attribute("sensitiveDataOrigin", "clear"),
  attribute("sign", "clear"),
  attribute("restricted", "set"),
  attribute("decrypt", "set"),
  attribute("x509sign", "set"),
  attribute("encryptedDuplication", "set"),
  {
    name: "a key that was made outside and loaded",
    ...ofKey(createSoftwareKey({ fields: { attributes: 0x00040040 } })),
    code: "KEY_ATTRIBUTES",
    location: KEY,
  },
  {
    name: "a scheme with SHA-1",
    ...ofKey(createSoftwareKey({ fields: { scheme: { kind: "ecdsa", hash: "sha1" } } })),
    code: "SIG_ALG",
    location: KEY,
  },
  {
    name: "a scheme of another kind of key",
    ...ofKey(createSoftwareKey({ fields: { scheme: { kind: "rsapss", hash: "sha256" } } })),
    code: "SIG_ALG",
    location: KEY,
  },
  {
    name: "a scheme that nobody verifies",
    ...ofArea(withEcdaa(areaOf(TLS_KEY))),
    code: "SIG_ALG",
    location: KEY,
  },
  {
    name: "K-07 an RSA modulus of 1024 bits",
    ...ofArea(encodePublic({ ...AREA, key: rsa(modulusOf().subarray(128)) })),
    code: "WEAK_KEY",
    location: KEY,
  },
  {
    name: "K-07 an RSA exponent of 3",
    ...ofArea(encodePublic({ ...AREA, key: rsa(modulusOf(), 3) })),
    code: "WEAK_KEY",
    location: KEY,
  },
  {
    name: "K-07 a point off its curve",
    ...ofArea(encodePublic({ ...AREA, key: offCurve() })),
    code: "WEAK_KEY",
    location: KEY,
  },
  {
    name: "K-08 a modulus of RSALib",
    ...ofArea(encodePublic({ ...AREA, key: rsa(ROCA_MODULUS) })),
    code: "ROCA",
    location: KEY,
  },
  {
    name: "K-06 a request for another key, by that key",
    forge: () => ({ csr: requestOf(OTHER_KEY) }),
    code: "CSR_KEY",
    location: CSR,
  },
  {
    name: "K-06 a request for the key in another encoding",
    forge: requesting({ spki: compressed(TLS_KEY.spki) }),
    code: "CSR_KEY",
    location: CSR,
  },
  {
    name: "a request that another key signed",
    forge: requesting({ sign: OTHER_KEY.sign }),
    code: "CSR_SIGNATURE",
    location: CSR,
  },
  {
    name: "a request that was changed after it was signed",
    forge: requesting({ subject: cn("device-1"), sign: () => TLS_KEY.sign(new Uint8Array(8)) }),
    code: "CSR_SIGNATURE",
    location: CSR,
  },
  {
    name: "a request under an algorithm of another kind of key",
    forge: requesting({ algorithm: RSA_SHA256 }),
    code: "CSR_SIGNATURE",
    location: CSR,
  },
  {
    name: "a request that is signed with SHA-1",
    forge: requesting({ algorithm: seq(oid("1.2.840.10045.4.1")) }),
    code: "WEAK_ALG",
    location: CSR,
  },
  {
    name: "a request that is signed by an unknown algorithm",
    forge: requesting({ algorithm: seq(oid("1.2.3.4")) }),
    code: "SIG_ALG",
    location: CSR,
  },
  ...[
    { name: "the name of another device", subject: cn("innocent") },
    { name: "no name that is a device's", subject: cn("") },
    { name: "an organization", subject: name({ "2.5.4.10": "device" }) },
    { name: "two names", subject: seq(...[cn("a"), cn("b")].map((one) => one.subarray(2))) },
  ].map(
    ({ name, subject }): Forgery => ({
      name: `a request for ${name}`,
      forge: requesting({ subject }),
      code: "CSR_REQUEST",
      location: CSR,
    }),
  ),
  {
    name: "a request for an alternative name",
    forge: requesting({
      attributes: attributes(EXTENSION_REQUEST, seq(subjectAltName([dns("innocent.example")]))),
    }),
    code: "CSR_REQUEST",
    location: CSR,
  },
  {
    name: "a request with a password for its revocation",
    forge: requesting({ attributes: attributes(CHALLENGE_PASSWORD, tlv(0x0c)) }),
    code: "CSR_REQUEST",
    location: CSR,
  },
]
