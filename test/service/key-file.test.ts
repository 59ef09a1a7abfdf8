import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat } from "../../src/bytes.ts"
import { parseKeyFile } from "../../src/service/key-file.ts"
import { createKeyObject } from "../../src/verification/key.ts"
import { throwsCode } from "../support/assert.ts"
import { quoteFixture } from "../support/fixtures.ts"
import { rsaPair } from "../support/rsa.ts"
import { needs, vector } from "../support/vectors.ts"

const test = suite("parseKeyFile")
const withVectors = needs("vectors", test)

const rsa = rsaPair()
const ecc = (namedCurve: string) => generateKeyPairSync("ec", { namedCurve })
const pem = (key: KeyObject): Uint8Array => Buffer.from(key.export({ type: "spki", format: "pem" }))
const der = (key: KeyObject): Uint8Array => new Uint8Array(key.export({ type: "spki", format: "der" }))

const keys: readonly [name: string, key: KeyObject][] = [
  ["RSA-2048", rsa.publicKey],
  ["P-256", ecc("P-256").publicKey],
  ["P-384", ecc("P-384").publicKey],
  ["P-521", ecc("P-521").publicKey],
]
for (const [name, key] of keys)
  for (const [form, bytes] of [
    ["PEM", pem(key)],
    ["PEM behind other text", concat(Buffer.from("the key:\n"), pem(key))],
    ["DER", der(key)],
  ] as const)
    test(`reads ${name} in ${form}`, () => {
      const file = parseKeyFile(bytes)
      assert.is(file.kind, "bare")
      if (file.kind === "bare") assert.ok(createKeyObject(file.key).equals(key))
    })

test("reads PKCS#1 in PEM", () => {
  const file = parseKeyFile(Buffer.from(rsa.publicKey.export({ type: "pkcs1", format: "pem" })))
  assert.is(file.kind, "bare")
})

test("reads a public area in both forms as what it is", () => {
  const { akPublic, expected } = quoteFixture("p384-sha384")
  for (const bytes of [akPublic, akPublic.subarray(2)]) {
    const file = parseKeyFile(bytes)
    assert.is(file.kind === "area" && Buffer.from(file.area.name).toString("hex"), expected.name)
  }
})

withVectors("reads the key of a certificate, in DER and in PEM", () => {
  for (const name of ["ek/root.pem", "ek/issuer.pem", "ek/ek-rsa2048.der", "ek/ek-p384.der"])
    assert.is(parseKeyFile(vector(`swtpm/${name}`)).kind, "bare", name)
})

const bare = (key: KeyObject) => parseKeyFile(pem(key))

test("leaves it to verification to weigh a short key", () => {
  const short = bare(rsaPair(1024).publicKey)
  throwsCode(() => short.kind === "bare" && createKeyObject(short.key), "WEAK_KEY")
  const exponent = bare(rsaPair(2048, 3).publicKey)
  throwsCode(() => exponent.kind === "bare" && createKeyObject(exponent.key), "WEAK_KEY")
})

const privateKey = Buffer.from(rsa.privateKey.export({ type: "pkcs8", format: "pem" }))
const refused: readonly [name: string, bytes: Uint8Array, code: Parameters<typeof throwsCode>[1]][] = [
  ["a private key", privateKey, "INPUT"],
  ["a private key in DER", rsa.privateKey.export({ type: "pkcs8", format: "der" }), "INPUT"],
  ["an Ed25519 key", pem(generateKeyPairSync("ed25519").publicKey), "INPUT"],
  ["PEM of something else", Buffer.from("-----BEGIN CERTIFICATE REQUEST-----\n"), "INPUT"],
  ["PEM without its content", Buffer.from("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"), "INPUT"],
  ["DER that is cut short", der(rsa.publicKey).subarray(0, 100), "INPUT"],
  ["a curve that no AK has", pem(ecc("secp256k1").publicKey), "WEAK_KEY"],
  ["nothing", new Uint8Array(), ["FRAMING", "PUBLIC_AREA", "LENGTH"]],
  ["text", Buffer.from("hello, world"), ["FRAMING", "PUBLIC_AREA", "LENGTH"]],
]
for (const [name, bytes, code] of refused)
  test(`refuses ${name}`, () => {
    throwsCode(() => parseKeyFile(bytes), code)
  })

test("refuses a key in private hands even with its public half before it", () => {
  const both = concat(privateKey, pem(createPublicKey(rsa.privateKey)))
  throwsCode(() => parseKeyFile(both), "INPUT")
})

test.run()
