import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, toHex } from "../../../src/bytes.ts"
import { generateKeys } from "../../../src/device/keys.ts"
import { HASHES, type HashName } from "../../../src/evidence/tpm/algorithm.ts"
import {
  EK_TEMPLATE_NAMES,
  EK_TEMPLATES,
  type EkTemplate,
  type EkTemplateName,
  ekAreaOf,
  ekTemplatesFor,
} from "../../../src/evidence/tpm/ek-template.ts"
import { sized, u16, u32 } from "../../../src/evidence/tpm/encode.ts"
import { hasAttribute, parseSizedPublic } from "../../../src/evidence/tpm/public.ts"
import { needs, vector } from "../../support/vectors.ts"

const test = suite("endorsement key templates")

test("are those of the table, each once", () => {
  assert.equal([...EK_TEMPLATE_NAMES], Object.keys(EK_TEMPLATES))
})

const digest = (name: HashName, ...parts: readonly Uint8Array[]): Uint8Array =>
  hash(name, concat(...parts), "buffer")
const zeros = (name: HashName): Uint8Array => new Uint8Array(HASHES[name].sizeBytes)
/** H(H(old || TPM_CC_PolicySecret || endorsement hierarchy) || empty policyRef). */
const policyA = (name: HashName): Uint8Array =>
  digest(name, digest(name, zeros(name), u32(0x151), u32(0x4000000b)))
/** H(old || TPM_CC_PolicyAuthorizeNV || Name of the index, which has been written). */
const policyC = (name: HashName): Uint8Array => {
  const index = { sha1: 0, sha256: 0x01c07f01, sha384: 0x01c07f02, sha512: 0x01c07f03 }[name]
  const { id, sizeBytes } = HASHES[name]
  const nvPublic = concat(u32(index), u16(id), u32(0x220f1008), sized(policyA(name)), u16(sizeBytes + 2))
  return digest(name, zeros(name), u32(0x192), u16(id), digest(name, nvPublic))
}
/** H(zeros || TPM_CC_PolicyOR || A || C). */
const policyB = (name: HashName): Uint8Array =>
  digest(name, zeros(name), u32(0x171), policyA(name), policyC(name))

for (const name of EK_TEMPLATE_NAMES)
  test(`${name} has the policy that its rule computes, and what an endorsement key has to have`, () => {
    const template: EkTemplate = EK_TEMPLATES[name]
    const lowRange = name.startsWith("L")
    const policy = lowRange ? policyA(template.nameAlg) : policyB(template.nameAlg)
    assert.is(toHex(template.authPolicy), toHex(policy))
    const key = generateKeys(template.key.kind === "rsa" ? "rsa-2048" : KEYS[template.key.curve]).publicKey
    const area = ekAreaOf(name, key)
    for (const set of ["restricted", "decrypt", "fixedTPM", "fixedParent", "sensitiveDataOrigin"] as const)
      assert.ok(hasAttribute(area, set), set)
    assert.ok(hasAttribute(area, "adminWithPolicy"))
    assert.is(hasAttribute(area, "userWithAuth"), !lowRange)
    for (const clear of ["sign", "stClear", "noDA", "encryptedDuplication", "x509sign"] as const)
      assert.not(hasAttribute(area, clear), clear)
  })
const KEYS = { "P-256": "p256", "P-384": "p384", "P-521": "p521" } as const

const genuine: [template: EkTemplateName, file: string][] = [
  ["L-1", "ek-rsa2048"],
  ["L-2", "ek-p256"],
  ["H-3", "ek-p384"],
]
for (const [template, file] of genuine)
  needs("vectors", test)(`${template} rebuilds the area of a TPM's own key byte for byte`, () => {
    const bytes = vector(`swtpm/ek/${file}.pub`)
    const { key, bytes: area } = parseSizedPublic(bytes)
    assert.is(toHex(ekAreaOf(template, key).bytes), toHex(area))
    assert.ok(ekTemplatesFor(key).includes(template))
  })

const sizes: [template: EkTemplateName, bytes: number][] = [
  ["L-1", 314],
  ["L-2", 122],
  ["H-1", 314],
  ["H-2", 122],
  ["H-3", 170],
  ["H-4", 222],
  ["H-6", 458],
  ["H-7", 586],
]
for (const [template, bytes] of sizes)
  test(`${template} makes areas of ${bytes} bytes`, () => {
    const { key }: EkTemplate = EK_TEMPLATES[template]
    const made =
      key.kind === "rsa"
        ? { kind: key.kind, keyBits: key.keyBits, exponent: 65537, modulus: new Uint8Array(key.keyBits / 8) }
        : generateKeys(KEYS[key.curve]).publicKey
    assert.is(ekAreaOf(template, made).bytes.length, bytes)
  })

test("are found by the kind of key, the low range first", () => {
  assert.equal(ekTemplatesFor({ kind: "rsa", keyBits: 2048 }), ["L-1", "H-1"])
  assert.equal(ekTemplatesFor({ kind: "ecc", curve: "P-256" }), ["L-2", "H-2"])
  assert.equal(ekTemplatesFor({ kind: "ecc", curve: "P-521" }), ["H-4"])
  assert.equal(ekTemplatesFor({ kind: "rsa", keyBits: 4096 }), ["H-7"])
  assert.equal(ekTemplatesFor({ kind: "rsa", keyBits: 1024 }), [])
})

test.run()
