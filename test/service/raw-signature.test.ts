import { generateKeyPairSync, sign } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { parseRawSignature, parseSignatureScheme } from "../../src/service/raw-signature.ts"
import { verifySignature } from "../../src/verification/signature.ts"
import { throwsCode } from "../support/assert.ts"
import { rsaPair } from "../support/rsa.ts"

const test = suite("parseRawSignature")

const message = new Uint8Array(100).fill(1)

for (const [namedCurve, hash] of [
  ["P-256", "sha256"],
  ["P-384", "sha384"],
  ["P-521", "sha512"],
] as const)
  test(`reads what ${namedCurve} signs, as DER and as r and s`, () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve })
    for (let i = 0; i < 20; i++)
      for (const dsaEncoding of ["der", "ieee-p1363"] as const) {
        const bytes = sign(hash, message, { key: privateKey, dsaEncoding })
        const signature = parseRawSignature(bytes, { kind: "ecdsa", hash })
        assert.ok(verifySignature(publicKey, signature, message), `${dsaEncoding} ${bytes.toString("hex")}`)
      }
  })

test("reads an RSA signature as it is", () => {
  const { privateKey, publicKey } = rsaPair()
  const signature = parseRawSignature(sign("sha256", message, privateKey), { kind: "rsassa", hash: "sha256" })
  assert.ok(verifySignature(publicKey, signature, message))
})

const ecdsa = { kind: "ecdsa", hash: "sha256" } as const

test("takes DER with anything behind it for no DER", () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const der = sign("sha256", message, privateKey)
  for (const extra of [1, 2]) {
    const bytes = new Uint8Array(der.length + extra)
    bytes.set(der)
    throwsCode(() => parseRawSignature(bytes, ecdsa), "LENGTH")
  }
})

test("refuses what no signature is as long as", () => {
  for (const size of [0, 1025]) throwsCode(() => parseRawSignature(new Uint8Array(size), ecdsa), "LENGTH")
  for (const size of [62, 63, 66, 94, 130, 133])
    throwsCode(() => parseRawSignature(new Uint8Array(size), ecdsa), "LENGTH")
})

test("reads the schemes that Assay verifies", () => {
  assert.equal(parseSignatureScheme("rsapss:sha384"), { kind: "rsapss", hash: "sha384" })
  for (const text of [
    "",
    "rsassa",
    "rsassa:md5",
    "dsa:sha256",
    "rsassa:sha256:x",
    "RSASSA:sha256",
    "sha256:rsassa",
  ])
    throwsCode(() => parseSignatureScheme(text), "INPUT")
})

test.run()
