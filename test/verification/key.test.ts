import { generateKeyPairSync, hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { encodePublic, type PublicFields } from "../../src/device/encode.ts"
import {
  ATTRIBUTES,
  type AttributeName,
  type PublicArea,
  type PublicKey,
  parsePublic,
  parsePublicArea,
} from "../../src/evidence/tpm/public.ts"
import { createAttestationKey } from "../../src/verification/key.ts"
import { throwsCode } from "../support/assert.ts"
import { p256Device, rsaDevice } from "../support/core.ts"
import { needs, vector } from "../support/vectors.ts"

const test = suite("createAttestationKey")

const ecc = parsePublic(p256Device().akPublic)
const rsa = parsePublic(rsaDevice().akPublic)

const fieldsOf = (area: PublicArea): PublicFields => ({
  ...area,
  scheme: area.scheme.kind === "null" || area.scheme.kind === "unsupported" ? undefined : area.scheme,
})
/** A public area with some fields changed, as a TPM would send it. */
const changed = (area: PublicArea, change: Partial<PublicFields>): PublicArea =>
  parsePublicArea(encodePublic({ ...fieldsOf(area), ...change }))
const withBit = (name: AttributeName): number => ecc.attributes | (1 << ATTRIBUTES[name])
const withoutBit = (name: AttributeName): number => ecc.attributes & ~(1 << ATTRIBUTES[name])

test("accepts an attestation key of each kind, with its own scheme", () => {
  assert.equal(createAttestationKey(ecc).scheme, { kind: "ecdsa", hash: "sha256" })
  assert.equal(createAttestationKey(rsa).scheme, { kind: "rsassa", hash: "sha256" })
})

test("tells of a key of each kind what OpenSSL exports of it", () => {
  const curves = ["P-256", "P-384", "P-521"] as const
  const onCurves = curves.map((curve): PublicKey => {
    const { x, y } = generateKeyPairSync("ec", { namedCurve: curve }).publicKey.export({ format: "jwk" })
    const [left, right] = [x, y].map((text) => new Uint8Array(Buffer.from(text ?? "", "base64url")))
    if (left === undefined || right === undefined) throw new Error("a coordinate is missing")
    return { kind: "ecc", curve, x: left, y: right }
  })
  for (const key of [...onCurves, rsa.key]) {
    const area = key.kind === "ecc" ? changed(ecc, { key }) : rsa
    const { keyObject, spki, spkiDigest } = createAttestationKey(area)
    const exported = keyObject.export({ type: "spki", format: "der" })
    assert.equal([...spki], [...exported], key.kind === "ecc" ? key.curve : key.kind)
    assert.is(spkiDigest, hash("sha256", exported, "hex"))
  }
})

test("accepts a key with noDA, with an authorization policy, and with a scheme's hash other than its nameAlg", () => {
  createAttestationKey(changed(ecc, { attributes: withBit("noDA") }))
  createAttestationKey(changed(ecc, { authPolicy: new Uint8Array(32) }))
  createAttestationKey(changed(ecc, { nameAlg: "sha384", scheme: { kind: "ecdsa", hash: "sha512" } }))
  createAttestationKey(changed(rsa, { scheme: { kind: "rsapss", hash: "sha384" } }))
})

const attributes: [name: string, attributes: number][] = [
  ["K-01 a key that is not restricted: it signs any bytes", withoutBit("restricted")],
  ["K-01 a key without fixedTPM: it can be in several TPMs", withoutBit("fixedTPM")],
  ["K-01 a key without fixedParent", withoutBit("fixedParent")],
  ["K-01 a key without sensitiveDataOrigin: it was made outside", withoutBit("sensitiveDataOrigin")],
  ["K-01 a key that may not sign", withoutBit("sign")],
  ["K-01 a key that also decrypts", withBit("decrypt")],
  ["K-01 a key that may be duplicated", withBit("encryptedDuplication")],
  ["K-01 a key without any attribute", 0],
]
for (const [name, value] of attributes)
  test(`refuses ${name}`, () => {
    throwsCode(() => createAttestationKey(changed(ecc, { attributes: value })), "AK_ATTRIBUTES")
  })

test("refuses K-01 a key with a symmetric algorithm: it is a storage key", () => {
  const symmetric = { algorithm: 0x0006, keyBits: 128, mode: 0x0043 }
  throwsCode(() => createAttestationKey(changed(ecc, { symmetric })), "AK_ATTRIBUTES")
})

/** TPMT_PUBLIC: type 2, nameAlg 2, attributes 4, authPolicy 2, symmetric 2; then the scheme, and its hash. */
const SCHEME_AT = 12
const withScheme = (area: PublicArea, scheme: number, hashAlg: number): PublicArea => {
  const bytes = new Uint8Array(area.bytes)
  const view = new DataView(bytes.buffer)
  view.setUint16(SCHEME_AT, scheme)
  view.setUint16(SCHEME_AT + 2, hashAlg)
  return parsePublicArea(bytes)
}
const withCount = (area: PublicArea): PublicArea => {
  const { bytes } = withScheme(area, 0x0018, 0x000b)
  const count = Uint8Array.of(0, 1)
  const whole = Uint8Array.of(...bytes.subarray(0, SCHEME_AT + 4), ...count, ...bytes.subarray(SCHEME_AT + 4))
  new DataView(whole.buffer).setUint16(SCHEME_AT, 0x001a)
  return parsePublicArea(whole)
}

const schemes: [name: string, area: () => PublicArea][] = [
  ["K-01 a key without scheme: it signs by any", () => changed(ecc, { scheme: undefined })],
  [
    "Q-14 a key whose scheme hashes with SHA-1",
    () => changed(ecc, { scheme: { kind: "ecdsa", hash: "sha1" } }),
  ],
  [
    "Q-14 an RSA key whose scheme hashes with SHA-1",
    () => changed(rsa, { scheme: { kind: "rsassa", hash: "sha1" } }),
  ],
  ["Q-14 a key whose Name is made with SHA-1", () => changed(ecc, { nameAlg: "sha1" })],
  ["Q-14 a key whose scheme hashes with SM3", () => withScheme(ecc, 0x0018, 0x0012)],
  ["Q-14 a key whose scheme hashes with an unknown hash", () => withScheme(ecc, 0x0018, 0x7fff)],
  ["Q-13 a key of the ECDAA scheme", () => withCount(ecc)],
  ["Q-13 a key of the SM2 scheme", () => withScheme(ecc, 0x001b, 0x000b)],
  ["Q-13 a key of the Schnorr scheme", () => withScheme(ecc, 0x001c, 0x000b)],
  ["Q-13 an ECC key of an RSA scheme", () => withScheme(ecc, 0x0014, 0x000b)],
  ["Q-13 an RSA key of the ECDSA scheme", () => withScheme(rsa, 0x0018, 0x000b)],
]
for (const [name, area] of schemes)
  test(`refuses ${name}`, () => {
    throwsCode(() => createAttestationKey(area()), "SIG_ALG")
  })

const { key: eccKey } = ecc
const { key: rsaKey } = rsa
if (eccKey.kind !== "ecc" || rsaKey.kind !== "rsa")
  throw new TypeError("the devices have keys of these kinds")
const { modulus } = rsaKey

const curveNames: [name: string, curve: number][] = [
  ["Q-14 a curve of pairing-friendly kind, BN_P256", 0x0010],
  ["Q-14 the curve P-224", 0x0002],
  ["Q-14 the curve SM2_P256", 0x0020],
]
for (const [name, curve] of curveNames)
  test(`refuses ${name}, as malformed`, () => {
    const bytes = new Uint8Array(ecc.bytes)
    new DataView(bytes.buffer).setUint16(SCHEME_AT + 4, curve)
    throwsCode(() => parsePublicArea(bytes), "PUBLIC_AREA")
  })

const weak: [name: string, key: PublicKey][] = [
  ["K-07 an RSA key of 1024 bits", { ...rsaKey, keyBits: 1024, modulus: modulus.subarray(128) }],
  [
    "K-07 an RSA key of 8192 bits",
    { ...rsaKey, keyBits: 8192, modulus: Uint8Array.of(...modulus, ...modulus, ...modulus, ...modulus) },
  ],
  [
    "Q-15 an RSA key with exponent 3, under which a signature over garbage can be computed",
    { ...rsaKey, exponent: 3 },
  ],
  ["K-07 an RSA key with exponent 1", { ...rsaKey, exponent: 1 }],
  ["K-07 an RSA key with an even exponent", { ...rsaKey, exponent: 65536 }],
  ["K-07 an RSA key with a larger exponent", { ...rsaKey, exponent: 0xffffffff }],
  ["K-07 an RSA key with modulus 0", { ...rsaKey, modulus: new Uint8Array(256) }],
  [
    "K-07 an RSA key with an even modulus",
    { ...rsaKey, modulus: modulus.map((b, i) => (i === 255 ? b & 0xfe : b)) },
  ],
  [
    "K-07 an RSA key whose modulus is shorter than it says",
    { ...rsaKey, modulus: modulus.map((b, i) => (i === 0 ? b & 0x7f : b)) },
  ],
  ["K-07 a point off the curve", { ...eccKey, y: eccKey.x }],
  ["K-07 a point at zero", { ...eccKey, x: new Uint8Array(32), y: new Uint8Array(32) }],
  ["K-07 a point beyond the field", { ...eccKey, x: new Uint8Array(32).fill(0xff) }],
  [
    "K-07 a point of another curve",
    { kind: "ecc", curve: "P-384", x: new Uint8Array(48), y: new Uint8Array(48).fill(1) },
  ],
]
for (const [name, key] of weak)
  test(`refuses ${name}`, () => {
    throwsCode(() => createAttestationKey(changed(key.kind === "rsa" ? rsa : ecc, { key })), "WEAK_KEY")
  })

const genuine: [name: string, scheme: string][] = [
  ["rsassa-sha256", "rsassa:sha256"],
  ["rsapss-sha256", "rsapss:sha256"],
  ["rsapss3072-sha512", "rsapss:sha512"],
  ["rsassa-explicit-exponent", "rsassa:sha256"],
  ["ecdsa-p384-sha384-bank", "ecdsa:sha384"],
  ["ecdsa-p521-sha512", "ecdsa:sha512"],
]
for (const [name, scheme] of genuine)
  needs("vectors", test)(`accepts the key of a real TPM, ${name}`, () => {
    const key = createAttestationKey(parsePublic(vector(`swtpm/quotes/${name}/ak.pub`)))
    assert.is(`${key.scheme.kind}:${key.scheme.hash}`, scheme)
    const pem = Buffer.from(vector(`swtpm/quotes/${name}/ak.pem`))
      .toString()
      .trim()
    assert.is(key.keyObject.export({ format: "pem", type: "spki" }).toString().trim(), pem)
  })

const others: [name: string, file: string][] = [
  ["an application key, not restricted", "certify/app.pub"],
  ["a key that can leave its TPM", "certify/app-migratable.pub"],
  ["a key that was made outside", "certify/software-key.pub"],
  ["an endorsement key of RSA-2048", "ek/ek-rsa2048.pub"],
  ["an endorsement key of P-384", "ek/ek-p384.pub"],
]
for (const [name, file] of others)
  needs("vectors", test)(`refuses K-01 ${name}, of a real TPM`, () => {
    throwsCode(() => createAttestationKey(parsePublic(vector(`swtpm/${file}`))), "AK_ATTRIBUTES")
  })

test.run()
