import { createPublicKey, hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, toHex } from "../../src/bytes.ts"
import { encodePublic, type PublicFields, u16, u32 } from "../../src/device/encode.ts"
import { generateKeys } from "../../src/device/keys.ts"
import type { Code } from "../../src/errors.ts"
import { EK_TEMPLATE_NAMES, type EkTemplateName, ekAreaOf } from "../../src/evidence/tpm/ek-template.ts"
import {
  ATTRIBUTES,
  type AttributeName,
  type PublicArea,
  type PublicKey,
  parsePublic,
  parsePublicArea,
} from "../../src/evidence/tpm/public.ts"
import { parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { readItems } from "../../src/service/certificate-file.ts"
import { type CertificatePath, verifyChain } from "../../src/verification/chain.ts"
import { parseDeniedKeys } from "../../src/verification/denied-keys.ts"
import { verifyEndorsementKey } from "../../src/verification/ek.ts"
import type { Verified } from "../../src/verification/verified.ts"
import { throwsCode } from "../support/assert.ts"
import { AT, caseOf, NOTHING_DENIED, trustIn, verifyCase } from "../support/chain.ts"
import { keyOf, p256Device } from "../support/core.ts"
import { EK_KEYS, ekAreaFor, ekPairOf } from "../support/credential.ts"
import { ROCA_MODULUS } from "../support/endorsed.ts"
import { ownKeys } from "../support/rsa.ts"
import { needs, vector } from "../support/vectors.ts"
import {
  EK_EXTENSIONS,
  ed25519Keys,
  integer,
  keyUsage,
  makeChain,
  NULL,
  oid,
  rsaSpki,
  seq,
  withExtensions,
} from "../support/x509.ts"

const test = suite("verifyEndorsementKey")

const RSA_EXTENSIONS = withExtensions(EK_EXTENSIONS, keyUsage(2))

/** The path of an endorsement key's certificate. */
const pathOf = (spki: Uint8Array, rsa: boolean): Verified<CertificatePath> => {
  const extensions = rsa ? RSA_EXTENSIONS : EK_EXTENSIONS
  return verifyCase(caseOf(makeChain("ek", { leaf: { spki, extensions } }), { purpose: "ek" }))
}
const pathFor = (template: EkTemplateName): Verified<CertificatePath> => {
  const { spki, publicKey } = ekPairOf(template)
  return pathOf(spki, publicKey.kind === "rsa")
}
const verify = (path: Verified<CertificatePath> | undefined, area: PublicArea | undefined) =>
  verifyEndorsementKey({ path, area }, NOTHING_DENIED)

for (const [template] of EK_KEYS)
  test(`accepts a key of template ${template}, by its area, by its certificate and by both`, () => {
    const area = ekAreaFor(template)
    const path = pathFor(template)
    for (const shown of [
      { path: undefined, area },
      { path, area },
    ]) {
      const ek = verifyEndorsementKey(shown, NOTHING_DENIED)
      assert.is(ek.template, template)
      assert.is(ek.nameAlg, area.nameAlg)
      assert.is(toHex(ek.area.bytes), toHex(area.bytes))
      assert.is(ek.path, shown.path)
      assert.is(toHex(ek.spki), toHex(ekPairOf(template).spki))
      assert.is(toHex(ek.digest), hash("sha256", ekPairOf(template).spki))
      assert.equal(
        ek.keyObject.export({ format: "jwk" }),
        createPublicKey(ekPairOf(template).privateKey).export({ format: "jwk" }),
      )
    }
    const certified = verify(path, undefined)
    assert.is(certified.template, template === "H-1" ? "L-1" : template === "H-2" ? "L-2" : template)
    // What a credential is made with is the same for both ranges.
    assert.equal([certified.nameAlg, certified.area.symmetric], [area.nameAlg, area.symmetric])
  })

const genuine: [file: string, template: EkTemplateName][] = [
  ["ek-rsa2048", "L-1"],
  ["ek-p256", "L-2"],
  ["ek-p384", "H-3"],
]
for (const [file, template] of genuine)
  needs("vectors", test)(`accepts a TPM's own key and certificate, ${file}`, () => {
    const pem = (name: string): Uint8Array =>
      readItems(vector(`swtpm/ek/${name}.pem`), name, "certificate")[0]?.der ?? new Uint8Array()
    const leaf = parseCertificate(vector(`swtpm/ek/${file}.der`))
    const trust = trustIn([pem("root")])
    const path = verifyChain(leaf, [parseCertificate(pem("issuer"))], trust, { purpose: "ek", at: AT })
    const area = parsePublic(vector(`swtpm/ek/${file}.pub`))
    for (const ek of [verify(path, area), verify(path, undefined), verify(undefined, area)]) {
      assert.is(ek.template, template)
      assert.is(toHex(ek.area.name), toHex(area.name))
    }
  })

test("gives a key under id-RSAES-OAEP the digest that it has under rsaEncryption", () => {
  const { publicKey, spki } = ekPairOf("L-1")
  assert.ok(publicKey.kind === "rsa")
  const modulus = integer(BigInt(`0x${toHex(publicKey.modulus)}`))
  const oaep = rsaSpki(modulus, integer(65537), seq(oid("1.2.840.113549.1.1.7"), NULL))
  assert.is(toHex(verify(pathOf(oaep, true), ekAreaFor("L-1")).digest), hash("sha256", spki))
})

/** A public area with some fields changed, as a TPM would send it. */
const changed = (template: EkTemplateName, change: Partial<PublicFields>): PublicArea =>
  parsePublicArea(encodePublic({ ...ekAreaFor(template), scheme: undefined, ...change }))
/** The other state of one attribute. */
const toggled = (template: EkTemplateName, name: AttributeName): PublicArea =>
  changed(template, { attributes: ekAreaFor(template).attributes ^ (1 << ATTRIBUTES[name]) })
const replaced = (bytes: Uint8Array, from: Uint8Array, to: Uint8Array): Uint8Array => {
  const at = toHex(bytes).indexOf(toHex(from)) / 2
  assert.ok(Number.isInteger(at) && at > 0)
  return concat(bytes.subarray(0, at), to, bytes.subarray(at + from.length))
}

const ATTRIBUTE_NAMES: readonly AttributeName[] = [
  ...([
    "fixedTPM",
    "stClear",
    "fixedParent",
    "sensitiveDataOrigin",
    "userWithAuth",
    "adminWithPolicy",
  ] as const),
  ...(["firmwareLimited", "svnLimited", "noDA", "encryptedDuplication"] as const),
  ...(["restricted", "decrypt", "sign", "x509sign"] as const),
]
test("is tried with every attribute", () => {
  assert.equal([...ATTRIBUTE_NAMES], Object.keys(ATTRIBUTES))
})

const AES = { algorithm: 6, keyBits: 128, mode: 0x43 }
const kdf = (area: PublicArea): PublicArea =>
  parsePublicArea(
    replaced(area.bytes, concat(u16(0x0003), u16(0x0010)), concat(u16(3), u16(0x20), u16(0x0b))),
  )
const exponentWritten = (area: PublicArea): PublicArea =>
  parsePublicArea(replaced(area.bytes, concat(u16(2048), u32(0)), concat(u16(2048), u32(65537))))
const { publicKey: otherP256 } = generateKeys("p256")
const { publicKey: otherRsa } = ownKeys("rsa-2048")

const disagreeing: readonly (readonly [name: string, template: EkTemplateName, of: () => PublicArea])[] = [
  ...ATTRIBUTE_NAMES.flatMap((name) =>
    (["L-1", "H-3"] as const).map(
      (template) => [`${name} changed, ${template}`, template, () => toggled(template, name)] as const,
    ),
  ),
  ["no attributes at all", "L-2", () => changed("L-2", { attributes: 0 })],
  ["the attributes of an attestation key", "L-2", () => changed("L-2", { attributes: 0x00050072 })],
  ["a nameAlg of SHA-384 for SHA-256", "L-1", () => changed("L-1", { nameAlg: "sha384" })],
  ["a nameAlg of SHA-1", "L-2", () => changed("L-2", { nameAlg: "sha1" })],
  ["a nameAlg of SHA-256 for SHA-384", "H-3", () => changed("H-3", { nameAlg: "sha256" })],
  ["no policy", "L-1", () => changed("L-1", { authPolicy: new Uint8Array() })],
  ["a policy of its own", "L-2", () => changed("L-2", { authPolicy: new Uint8Array(32) })],
  ["the policy of the other range", "L-2", () => changed("L-2", { authPolicy: ekAreaFor("H-2").authPolicy })],
  ["AES-256 for AES-128", "L-1", () => changed("L-1", { symmetric: { ...AES, keyBits: 256 } })],
  ["AES-128 for AES-256", "H-3", () => changed("H-3", { symmetric: AES })],
  ["AES in another mode", "L-2", () => changed("L-2", { symmetric: { ...AES, mode: 0x42 } })],
  ["another cipher", "L-2", () => changed("L-2", { symmetric: { ...AES, algorithm: 0x26 } })],
  ["no symmetric algorithm", "L-2", () => changed("L-2", { symmetric: undefined })],
  ["a signature scheme", "L-2", () => changed("L-2", { scheme: { kind: "ecdsa", hash: "sha256" } })],
  ["a key derivation", "L-2", () => kdf(ekAreaFor("L-2"))],
  ["the exponent 65537 written out", "L-1", () => exponentWritten(ekAreaFor("L-1"))],
  ["the exponent 65537 written out, high range", "H-1", () => exponentWritten(ekAreaFor("H-1"))],
]
for (const [name, template, of] of disagreeing) {
  test(`refuses K-06 an area that no template makes of the certificate's key: ${name}`, () => {
    throwsCode(() => verify(pathFor(template), of()), "EK_TEMPLATE")
  })
  test(`refuses K-06 an area that no template makes, without a certificate: ${name}`, () => {
    throwsCode(() => verify(undefined, of()), "EK_TEMPLATE")
  })
}

const otherKeys: readonly (readonly [name: string, template: EkTemplateName, area: () => PublicArea])[] = [
  ["another point", "L-2", () => ekAreaOf("L-2", otherP256)],
  ["another modulus", "L-1", () => ekAreaOf("L-1", otherRsa)],
  ["a key on another curve", "L-2", () => ekAreaFor("H-3")],
  ["a key of another kind", "L-2", () => ekAreaFor("L-1")],
  ["a key of another size", "H-6", () => ekAreaFor("L-1")],
  ["the point's coordinates in the other order", "L-2", () => changed("L-2", { key: swapped() })],
  ["another exponent", "L-1", () => changed("L-1", { key: withExponent(65539) })],
  ["the attestation key", "L-2", () => keyOf(p256Device()).area],
]
const swapped = (): PublicKey => {
  const { publicKey } = ekPairOf("L-2")
  return publicKey.kind === "ecc" ? { ...publicKey, x: publicKey.y, y: publicKey.x } : publicKey
}
const withExponent = (exponent: number): PublicKey => {
  const { publicKey } = ekPairOf("L-1")
  return publicKey.kind === "rsa" ? { ...publicKey, exponent } : publicKey
}
for (const [name, template, area] of otherKeys)
  test(`refuses K-06 a certificate of another key than the area's: ${name}`, () => {
    throwsCode(() => verify(pathFor(template), area()), "EK_TEMPLATE")
  })

test("refuses K-06 a coordinate without its leading zero, and one with a zero too many", () => {
  const { key, bytes } = ekAreaFor("L-2")
  assert.ok(key.kind === "ecc")
  const x = concat(u16(32), key.x)
  for (const other of [concat(u16(31), key.x.subarray(1)), concat(u16(33), Uint8Array.of(0), key.x)])
    throwsCode(() => verify(pathFor("L-2"), parsePublicArea(replaced(bytes, x, other))), "PUBLIC_AREA")
})

const keyWith = (key: Partial<Extract<PublicKey, { kind: "rsa" }>>): PublicArea => {
  const { publicKey } = ekPairOf("L-1")
  assert.ok(publicKey.kind === "rsa")
  return changed("L-1", { key: { ...publicKey, ...key } })
}
const weak: readonly (readonly [name: string, area: () => PublicArea, code: Code])[] = [
  ["K-07 a modulus of zero", () => keyWith({ modulus: new Uint8Array(256) }), "WEAK_KEY"],
  ["K-07 an even modulus", () => keyWith({ modulus: new Uint8Array(256).fill(0xfe) }), "WEAK_KEY"],
  ["K-07 an exponent of 1", () => keyWith({ exponent: 1 }), "WEAK_KEY"],
  ["K-07 an exponent of 3", () => keyWith({ exponent: 3 }), "WEAK_KEY"],
  ["K-07 a point off its curve", () => changed("L-2", { key: swapped() }), "WEAK_KEY"],
  [
    "K-07 RSA of 1024 bits",
    () => keyWith({ keyBits: 1024, modulus: new Uint8Array(128).fill(0xff) }),
    "EK_TEMPLATE",
  ],
  ["K-08 a modulus that RSALib made", () => keyWith({ modulus: ROCA_MODULUS }), "ROCA"],
]
for (const [name, area, code] of weak)
  test(`refuses ${name}, without a certificate`, () => {
    throwsCode(() => verify(undefined, area()), code)
  })

test("refuses K-08 a key that is denied, by its area as by its certificate", () => {
  const key = {
    spkiSha256: hash("sha256", ekPairOf("L-2").spki),
    subject: "a test",
    reason: "known to all",
    source: "https://example.com/",
    published: "2026-01-01",
    derivation: "none",
  }
  const denied = parseDeniedKeys({ version: 1, keys: [key] })
  for (const shown of [
    { path: undefined, area: ekAreaFor("L-2") },
    { path: pathFor("L-2"), area: undefined },
  ])
    throwsCode(() => verifyEndorsementKey(shown, denied), "KEY_DENIED")
  verifyEndorsementKey({ path: undefined, area: ekAreaFor("H-3") }, denied)
})

test("refuses K-02 neither a certificate nor an area", () => {
  throwsCode(() => verify(undefined, undefined), "EK_MISSING")
})

const rsa2560 = rsaSpki(integer(2n ** 2560n - 2n ** 600n - 5n), integer(65537))
const unendorsed: readonly (readonly [name: string, path: () => Verified<CertificatePath>])[] = [
  ["an RSA key of 2560 bits", () => pathOf(rsa2560, true)],
  ["an Ed25519 key", () => pathOf(ed25519Keys().spki, false)],
]
for (const [name, path] of unendorsed)
  test(`refuses the certificate of a kind of key that no template is for: ${name}`, () => {
    throwsCode(() => verify(path(), undefined), "EK_TEMPLATE")
  })

test("names the first field that differs, with what it has to be", () => {
  const error = throwsCode(() => verify(pathFor("L-1"), toggled("L-1", "restricted")), "EK_TEMPLATE")
  assert.is(error.location, "ek_public: objectAttributes")
  assert.is(error.expected, "000300b2 or 000300f2")
  assert.is(error.actual, "000200b2")
  const policy = throwsCode(() => verify(pathFor("L-1"), toggled("L-1", "userWithAuth")), "EK_TEMPLATE")
  assert.is(policy.location, "ek_public: authPolicy")
  const encoding = throwsCode(() => verify(undefined, exponentWritten(ekAreaFor("L-1"))), "EK_TEMPLATE")
  assert.is(encoding.location, "ek_public: encoding")
})

test("takes the areas of every template, and of no two the same", () => {
  const names = EK_TEMPLATE_NAMES.map((template) => toHex(ekAreaFor(template).name))
  assert.is(new Set(names).size, EK_TEMPLATE_NAMES.length)
})

test.run()
