import { createPublicKey, type webcrypto } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, fromHex, toBase64Url, toHex } from "../../../src/bytes.ts"
import type { Code } from "../../../src/errors.ts"
import {
  ATTRIBUTES,
  type AttributeName,
  hasAttribute,
  nameOf,
  type PublicArea,
  parseName,
  parsePublic,
  parsePublicArea,
  parseSizedPublic,
  qualifiedNameOf,
} from "../../../src/evidence/tpm/public.ts"
import { patched, spliced, tpm2b, u16, u32, withTrailing } from "../../fixtures/evidence/build.ts"
import { refusesEveryPrefix, survivesAnything } from "../../fixtures/evidence/hostile.ts"
import { throwsCode } from "../../support/assert.ts"
import { QUOTE_FIXTURES, quoteFixture } from "../../support/fixtures.ts"
import { needs, vector, vectorJson } from "../../support/vectors.ts"

const test = suite("parsePublic")
const withVectors = needs("vectors", test)

const rsa = quoteFixture("rsa2048-sha256").akPublic
const ecc = quoteFixture("p256-sha256").akPublic
const rsaArea = rsa.subarray(2)
const eccArea = ecc.subarray(2)
/** Where the fields of both areas begin, and those of each. */
const AT = { type: 0, nameAlg: 2, attributes: 4, authPolicy: 8, symmetric: 10, scheme: 12 }
const RSA = { keyBits: 16, exponent: 18, modulus: 22 }
const ECC = { curve: 16, kdf: 18, x: 20, y: 54 }

/** The key as JWK, to compare with what another program made of it. */
const jwkOf = ({ key }: PublicArea): webcrypto.JsonWebKey =>
  key.kind === "rsa"
    ? { kty: "RSA", n: toBase64Url(key.modulus), e: toBase64Url(u32(key.exponent).subarray(1)) }
    : { kty: "EC", crv: key.curve, x: toBase64Url(key.x), y: toBase64Url(key.y) }
const jwkOfPem = (pem: Uint8Array): webcrypto.JsonWebKey =>
  createPublicKey(Buffer.from(pem)).export({ format: "jwk" })

for (const name of QUOTE_FIXTURES)
  test(`accepts the key of ${name}, and finds the Name that its TPM gave it`, () => {
    const { akPublic, expected } = quoteFixture(name)
    const area = parsePublic(akPublic)
    assert.is(toHex(area.name), expected.name)
    assert.is(area.attributes, Number.parseInt(expected.attributes, 16))
    assert.equal(area.scheme, { kind: expected.scheme, hash: expected.hash })
    assert.is(area.symmetric, undefined)
    assert.equal(area.bytes, akPublic.subarray(2))
  })

test("reads a TPM2B_PUBLIC and the TPMT_PUBLIC in it alike", () => {
  for (const bytes of [rsa, ecc]) {
    assert.equal(parsePublic(bytes), parsePublic(bytes.subarray(2)))
    assert.equal(parsePublic(bytes), parseSizedPublic(bytes))
    assert.equal(parsePublic(bytes), parsePublicArea(bytes.subarray(2)))
  }
})

test("reads exponent 0 as 65537, and gives a key that writes it out another Name", () => {
  const written = parsePublicArea(patched(rsaArea, RSA.exponent, u32(65537)))
  const implied = parsePublicArea(rsaArea)
  assert.equal(written.key, implied.key)
  assert.equal(implied.key.kind === "rsa" && implied.key.exponent, 65537)
  assert.not(toHex(written.name) === toHex(implied.name))
})

test("reads keys without a scheme, with one that it does not support, and with a symmetric algorithm", () => {
  const none = spliced(eccArea, AT.scheme, AT.scheme + 4, u16(0x0010))
  assert.equal(parsePublicArea(none).scheme, { kind: "null" })
  const ecdaa = spliced(eccArea, AT.scheme, AT.scheme + 4, u16(0x001a), u16(0x000b), u16(1))
  assert.equal(parsePublicArea(ecdaa).scheme, { kind: "unsupported", scheme: 0x001a, hashAlg: 0x000b })
  const rsaes = spliced(rsaArea, AT.scheme, AT.scheme + 4, u16(0x0015))
  assert.equal(parsePublicArea(rsaes).scheme, { kind: "unsupported", scheme: 0x0015, hashAlg: undefined })
  const sm3 = patched(eccArea, AT.scheme + 2, u16(0x0012))
  assert.equal(parsePublicArea(sm3).scheme, { kind: "unsupported", scheme: 0x0018, hashAlg: 0x0012 })
  const storage = spliced(eccArea, AT.symmetric, AT.scheme, u16(0x0006), u16(128), u16(0x0043))
  assert.equal(parsePublicArea(storage).symmetric, { algorithm: 0x0006, keyBits: 128, mode: 0x0043 })
  const kdf = spliced(eccArea, ECC.kdf, ECC.x, u16(0x0020), u16(0x000b))
  assert.equal(parsePublicArea(kdf).key, parsePublicArea(eccArea).key)
})

test("keeps a copy, so that the key cannot change under its Name", () => {
  for (const shared of [Uint8Array.from(ecc), Buffer.from(ecc)]) {
    const area = parsePublic(shared)
    shared.fill(0)
    assert.is(toHex(nameOf(area.nameAlg, area.bytes)), toHex(area.name))
    assert.equal(area.key, parsePublic(ecc).key)
  }
})

const attributesOf = (area: PublicArea): string[] =>
  (Object.keys(ATTRIBUTES) as AttributeName[]).filter((name) => hasAttribute(area, name))

test("reads the attributes of an attestation key", () =>
  assert.equal(attributesOf(parsePublic(ecc)), [
    "fixedTPM",
    "fixedParent",
    "sensitiveDataOrigin",
    "userWithAuth",
    "restricted",
    "sign",
  ]))

const refused: [name: string, bytes: Uint8Array, code: Code][] = [
  ["Q-11 one byte behind a TPM2B_PUBLIC", withTrailing(rsa), "FRAMING"],
  ["Q-11 one byte behind a TPMT_PUBLIC", withTrailing(eccArea), "FRAMING"],
  ["Q-11 one byte behind a TPMT_PUBLIC that its size covers", tpm2b(withTrailing(eccArea)), "FRAMING"],
  ["Q-11 a TPM2B_PUBLIC one byte longer than it is", patched(rsa, 0, u16(rsaArea.length + 1)), "FRAMING"],
  ["Q-11 a TPM2B_PUBLIC one byte shorter than it is", patched(rsa, 0, u16(rsaArea.length - 1)), "FRAMING"],
  ["Q-11 a TPM2B_PUBLIC in a TPM2B_PUBLIC", tpm2b(tpm2b(ecc)), "PUBLIC_AREA"],
  ["Q-11 x one byte longer than it is", patched(eccArea, ECC.x, u16(33)), "LENGTH"],
  ["Q-11 y one byte longer than it is", patched(eccArea, ECC.y, u16(33)), "FRAMING"],
  ["Q-11 x without its first byte", spliced(eccArea, ECC.x, ECC.x + 3, u16(31)), "PUBLIC_AREA"],
  ["Q-11 y one byte shorter than it is", patched(eccArea, ECC.y, u16(31)), "PUBLIC_AREA"],
  ["Q-11 a modulus one byte longer than it is", patched(rsaArea, RSA.modulus, u16(257)), "FRAMING"],
  ["Q-12 a TPM2B_PUBLIC of 0xffff bytes", patched(rsa, 0, u16(0xffff)), "LENGTH"],
  ["Q-12 a TPM2B_PUBLIC of 2049 bytes", tpm2b(new Uint8Array(2049)), "LENGTH"],
  ["Q-12 a policy of 0xffff bytes", patched(eccArea, AT.authPolicy, u16(0xffff)), "LENGTH"],
  ["Q-12 a policy of 65 bytes", patched(eccArea, AT.authPolicy, u16(65)), "LENGTH"],
  ["Q-12 a modulus of 0xffff bytes", patched(rsaArea, RSA.modulus, u16(0xffff)), "LENGTH"],
  ["Q-12 x of 0xffff bytes", patched(eccArea, ECC.x, u16(0xffff)), "LENGTH"],
  ["Q-12 y of 67 bytes", patched(eccArea, ECC.y, u16(67)), "LENGTH"],
  ["a keyed hash object", tpm2b(patched(eccArea, AT.type, u16(0x0008))), "PUBLIC_AREA"],
  ["a symmetric cipher object", tpm2b(patched(eccArea, AT.type, u16(0x0025))), "PUBLIC_AREA"],
  ["a nameAlg of SM3", patched(eccArea, AT.nameAlg, u16(0x0012)), "PUBLIC_AREA"],
  ["a nameAlg of NULL", patched(eccArea, AT.nameAlg, u16(0x0010)), "PUBLIC_AREA"],
  ["attribute bit 0, which is reserved", patched(eccArea, AT.attributes, u32(0x00050073)), "PUBLIC_AREA"],
  ["attribute bit 31, which is reserved", patched(eccArea, AT.attributes, u32(0x80050072)), "PUBLIC_AREA"],
  ["Q-14 curve P-224", patched(eccArea, ECC.curve, u16(0x0002)), "PUBLIC_AREA"],
  ["Q-14 curve BN_P256", patched(eccArea, ECC.curve, u16(0x0010)), "PUBLIC_AREA"],
  ["Q-14 curve SM2_P256", patched(eccArea, ECC.curve, u16(0x0020)), "PUBLIC_AREA"],
  ["a P-256 point called one of P-384", patched(eccArea, ECC.curve, u16(0x0004)), "PUBLIC_AREA"],
  ["keyBits that are not those of the modulus", patched(rsaArea, RSA.keyBits, u16(3072)), "PUBLIC_AREA"],
  ["no modulus", concat(patched(rsaArea, RSA.modulus, u16(0)).subarray(0, RSA.modulus + 2)), "PUBLIC_AREA"],
]
for (const [name, bytes, code] of refused)
  test(`refuses ${name}`, () => void throwsCode(() => parsePublic(bytes), code))

for (const name of ["rsa2048-sha256", "p256-sha256", "p384-sha384"] as const)
  test(`refuses Q-11 every proper prefix of the key of ${name}`, () => {
    const { akPublic } = quoteFixture(name)
    refusesEveryPrefix(parsePublic, akPublic)
    refusesEveryPrefix(parseSizedPublic, akPublic)
    refusesEveryPrefix(parsePublic, akPublic.subarray(2))
  })

test("throws nothing but refusals, whatever the bytes", () => {
  for (const parse of [parsePublic, parsePublicArea, parseSizedPublic])
    survivesAnything(parse, [rsa, ecc, rsaArea, eccArea, quoteFixture("p384-sha384").akPublic])
})

test("accepts a Name of each hash", () => {
  for (const [id, size] of [
    [4, 20],
    [11, 32],
    [12, 48],
    [13, 64],
  ] as const) {
    const name = concat(u16(id), new Uint8Array(size))
    assert.is(parseName(name), name)
  }
})

const name = parsePublic(ecc).name
const refusedNames: [name: string, bytes: Uint8Array][] = [
  ["no bytes", new Uint8Array()],
  ["one byte too many", withTrailing(name)],
  ["a handle", u32(0x4000000b)],
  ["a digest without its algorithm", name.subarray(2)],
  ["a digest of another size than its algorithm's", patched(name, 0, u16(0x000c))],
  ["an algorithm that is no hash", patched(name, 0, u16(0x0010))],
  ["an algorithm in the other byte order", patched(name, 0, u16(0x0b00))],
]
for (const [what, bytes] of refusedNames)
  test(`refuses Q-11 as a Name ${what}`, () => void throwsCode(() => parseName(bytes), "FRAMING"))
test("refuses Q-11 every proper prefix of a Name", () => refusesEveryPrefix(parseName, name))
test("throws nothing but refusals for a Name, whatever the bytes", () => survivesAnything(parseName, [name]))

test("gives a primary key the qualified name that its TPM gave it", () => {
  const { akPublic, expected } = quoteFixture("p384-sha384")
  const { name, nameAlg } = parsePublic(akPublic)
  assert.is(toHex(qualifiedNameOf(u32(0x4000000b), name, nameAlg)), expected.qualifiedName)
})

interface ExpectedKey {
  readonly akName: string
  readonly qualifiedName: string
  readonly attributes: string
  readonly scheme: "rsassa" | "rsapss" | "ecdsa"
  readonly hash: "sha256" | "sha384" | "sha512"
  readonly parent: { readonly hierarchy?: string; readonly parentQualifiedName?: string }
  readonly name: string
  readonly public: string
  readonly ekPublic: string
}
const expectedKeys = (): [string, ExpectedKey][] =>
  Object.entries(vectorJson<Record<string, ExpectedKey>>("swtpm/expected.json"))

withVectors("accepts the attestation keys of the vectors, with their names, qualified names and keys", () => {
  let read = 0
  for (const [folder, expected] of expectedKeys()) {
    if (!folder.startsWith("quotes/")) continue
    const area = parsePublic(vector(`swtpm/${folder}/ak.pub`))
    const { hierarchy, parentQualifiedName } = expected.parent
    const parent = fromHex(parentQualifiedName ?? (hierarchy ?? "").slice(2)) ?? new Uint8Array()
    assert.is(toHex(area.name), expected.akName, folder)
    assert.is(toHex(qualifiedNameOf(parent, area.name, area.nameAlg)), expected.qualifiedName, folder)
    assert.is(area.attributes, Number(expected.attributes), folder)
    assert.equal(area.scheme, { kind: expected.scheme, hash: expected.hash }, folder)
    const { kty, n, e, crv, x, y } = jwkOfPem(vector(`swtpm/${folder}/ak.pem`))
    assert.equal(jwkOf(area), kty === "RSA" ? { kty, n, e } : { kty, crv, x, y }, folder)
    read++
  }
  assert.ok(read >= 10)
})

withVectors("accepts endorsement keys, which are storage keys, with their names and qualified names", () => {
  let read = 0
  for (const [file, expected] of expectedKeys()) {
    if (!file.startsWith("ek/ek-")) continue
    const area = parsePublic(vector(`swtpm/${expected.ekPublic}`))
    assert.is(toHex(area.name), expected.name, file)
    assert.is(toHex(qualifiedNameOf(u32(0x4000000b), area.name, area.nameAlg)), expected.qualifiedName, file)
    assert.is(area.attributes, Number(expected.attributes), file)
    assert.is(area.symmetric?.algorithm, 0x0006, file)
    assert.equal(area.scheme, { kind: "null" }, file)
    read++
  }
  assert.ok(read >= 3)
})

withVectors("accepts the certified keys of the vectors, with their names", () => {
  let read = 0
  for (const [file, expected] of expectedKeys()) {
    if (!file.startsWith("certify/") || expected.public === undefined) continue
    const area = parsePublic(vector(`swtpm/${expected.public}`))
    assert.is(toHex(area.name), expected.name, file)
    assert.is(area.attributes, Number(expected.attributes), file)
    read++
  }
  assert.ok(read >= 4)
})

withVectors("accepts the keys of other makers", () => {
  const keylime = parsePublic(vector("quotes/keylime-set/ak.pub"))
  assert.equal(keylime.name, vector("quotes/keylime-set/ak.name"))
  const { kty, n, e } = jwkOfPem(vector("quotes/keylime-set/akpub.pem"))
  assert.equal(jwkOf(keylime), { kty, n, e })
  assert.is(parsePublic(vector("quotes/keylime-set/ek.pub")).key.kind, "rsa")

  const gce = vectorJson<{ akPub_TPMT_PUBLIC: string }>("quotes/gce-cos-85-nonce9009.json")
  const expected = vectorJson<Record<string, ExpectedKey>>("quotes/expected.json")
  const gceArea = parsePublic(fromHex(gce.akPub_TPMT_PUBLIC) ?? new Uint8Array())
  assert.is(toHex(gceArea.name), expected["gce-cos-85-nonce9009.pb"]?.akName)

  const windows = vectorJson<{ AK: { Public: string } }>("quotes/windows-gcp-shielded-vm.json")
  assert.equal(parsePublic(Buffer.from(windows.AK.Public, "base64")).scheme, { kind: "rsassa", hash: "sha1" })
})

withVectors("reads the keys of the vectors' negatives, whose faults are the verifier's to find", () => {
  for (const { akPublic } of vectorJson<{ akPublic: string }[]>("swtpm/negatives.json"))
    parsePublic(fromHex(akPublic) ?? new Uint8Array())
})

test.run()
