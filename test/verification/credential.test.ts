import { constants, createPrivateKey, privateDecrypt } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { fromHex, toHex } from "../../src/bytes.ts"
import { encodePublic } from "../../src/device/encode.ts"
import { generateKeys } from "../../src/device/keys.ts"
import type { EkTemplateName } from "../../src/evidence/tpm/ek-template.ts"
import { kdfa } from "../../src/evidence/tpm/kdf.ts"
import { type PublicArea, parsePublicArea, parseSizedPublic } from "../../src/evidence/tpm/public.ts"
import { makeCredential, protectCredential } from "../../src/verification/credential.ts"
import { createKeyObject } from "../../src/verification/key.ts"
import { keyOf, p256Device } from "../support/core.ts"
import { drawing, EK_KEYS, ekOf, RANDOM } from "../support/credential.ts"
import { needs, vectorJson } from "../support/vectors.ts"

interface Vector {
  readonly name: string
  readonly ekPublic: string
  readonly ekPrivatePem: string
  readonly objectName: string
  readonly secret: string
  readonly seed: string
  readonly ephemeralPrivate?: string
  readonly symKey: string
  readonly hmacKey: string
  readonly credentialBlob: string
  readonly encryptedSecret: string
}

const bytesOf = (hex: string): Uint8Array => fromHex(hex) ?? new Uint8Array()
const recipientOf = (area: PublicArea) => ({ area, keyObject: createKeyObject(area.key) })

const test = suite("makeCredential")

const vectors = [
  "rsa2048-sha256-aes128",
  "p256-sha256-aes128",
  "p256-leading-zero-z",
  "p256-leading-zero-ephemeral-x",
  "p384-sha384-aes256",
  "p521-sha512-aes256",
  "p521-leading-zero-z",
  "rsa3072-sha384-aes256",
] as const
for (const wanted of vectors)
  needs("vectors", test)(`makes what a TPM opened, ${wanted}`, () => {
    const all = vectorJson<Vector[]>("swtpm/makecredential.json")
    assert.equal(
      all.map(({ name }) => name),
      [...vectors],
    )
    const vector = all.find(({ name }) => name === wanted)
    assert.ok(vector)
    const area = parseSizedPublic(bytesOf(vector.ekPublic))
    const name = bytesOf(vector.objectName)
    const seed = bytesOf(vector.seed)
    const { ephemeralPrivate } = vector
    const random =
      ephemeralPrivate === undefined ? drawing(seed, RANDOM(seed.length)) : drawing(bytesOf(ephemeralPrivate))
    const made = protectCredential(recipientOf(area), name, bytesOf(vector.secret), random)
    assert.is(toHex(made.credentialBlob), vector.credentialBlob)
    if (ephemeralPrivate !== undefined) assert.is(toHex(made.encryptedSecret), vector.encryptedSecret)
    else {
      const oaepLabel = Buffer.from("IDENTITY\0")
      const key = { key: createPrivateKey(vector.ekPrivatePem), oaepHash: area.nameAlg, oaepLabel }
      const padding = constants.RSA_PKCS1_OAEP_PADDING
      const opened = privateDecrypt({ ...key, padding }, made.encryptedSecret.subarray(2))
      assert.is(toHex(opened), vector.seed)
      assert.is(made.encryptedSecret.length, vector.encryptedSecret.length / 2)
    }
    const empty = new Uint8Array()
    const storage = { label: "STORAGE", contextU: name, contextV: empty }
    const keyBits = area.symmetric?.keyBits ?? 0
    assert.is(toHex(kdfa(area.nameAlg, seed, { ...storage, bits: keyBits })), vector.symKey)
  })

const sizes: readonly (readonly [EkTemplateName, blob: number, secret: number])[] = [
  ["L-1", 70, 258],
  ["L-2", 70, 70],
  ["H-1", 70, 258],
  ["H-2", 70, 70],
  ["H-3", 86, 102],
  ["H-4", 102, 138],
  ["H-6", 86, 386],
  ["H-7", 86, 514],
]
const ak = keyOf(p256Device())
test("is tried with every template", () => assert.is(sizes.length, EK_KEYS.length))
for (const [template, blob, secret] of sizes)
  test(`has the size of a TPM's own for ${template}`, () => {
    const made = makeCredential(ekOf(template), ak, RANDOM(32), RANDOM)
    assert.equal([made.credentialBlob.length, made.encryptedSecret.length], [blob, secret])
  })

test("asks for all that is random, and for no more", () => {
  const asked: number[] = []
  const counting = (sizeBytes: number): Uint8Array => {
    asked.push(sizeBytes)
    return RANDOM(sizeBytes)
  }
  for (const template of ["L-1", "H-3", "H-6", "H-4"] as const)
    makeCredential(ekOf(template), ak, RANDOM(32), counting)
  assert.equal(asked, [32, 32, 48, 48, 48, 66])
})

test("is the same for the same random numbers, and another for any other", () => {
  const secret = RANDOM(32)
  const [one, two] = [RANDOM(32), RANDOM(32)]
  const hex = (seed: Uint8Array): string => {
    const { credentialBlob, encryptedSecret } = makeCredential(ekOf("L-2"), ak, secret, drawing(seed))
    return toHex(credentialBlob) + toHex(encryptedSecret)
  }
  assert.is(hex(one), hex(one))
  assert.is.not(hex(one), hex(two))
})

for (const size of [0, 16, 31, 33, 64])
  test(`K-05 takes no secret of ${size} bytes: a short one can be guessed, a long one is more than a TPM should open`, () => {
    assert.throws(
      () => makeCredential(ekOf("H-4"), ak, new Uint8Array(size), RANDOM),
      (error: unknown) => error instanceof TypeError,
    )
  })

for (const [template, limit] of [
  ["L-1", 32],
  ["H-3", 48],
  ["H-4", 64],
] as const)
  test(`K-05 takes for ${template} no secret that is longer than the ${limit} bytes of its nameAlg, and not an empty one`, () => {
    const ek = ekOf(template)
    protectCredential(ek, ak.area.name, new Uint8Array(limit), RANDOM)
    for (const size of [0, limit + 1])
      assert.throws(
        () => protectCredential(ek, ak.area.name, new Uint8Array(size), RANDOM),
        (error: unknown) => error instanceof TypeError,
      )
  })

const { publicKey } = generateKeys("p256")
const others: readonly (readonly [name: string, symmetric: PublicArea["symmetric"]])[] = [
  ["no symmetric algorithm", undefined],
  ["AES-192", { algorithm: 6, keyBits: 192, mode: 0x43 }],
  ["AES in CBC mode", { algorithm: 6, keyBits: 128, mode: 0x42 }],
  ["Camellia", { algorithm: 0x26, keyBits: 128, mode: 0x43 }],
]
for (const [name, symmetric] of others)
  test(`protects nothing by a key with ${name}`, () => {
    const fields = { nameAlg: "sha256", attributes: 0x300b2, authPolicy: new Uint8Array() } as const
    const area = parsePublicArea(encodePublic({ ...fields, symmetric, scheme: undefined, key: publicKey }))
    assert.throws(
      () => protectCredential(recipientOf(area), ak.area.name, RANDOM(32), RANDOM),
      (error: unknown) => error instanceof TypeError,
    )
  })

test.run()
