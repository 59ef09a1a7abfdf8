import { suite } from "uvu"
import * as assert from "uvu/assert"
import { prepareForeignKeySet, prepareKeySet } from "../../src/jwt/keyset.ts"
import type { TokenAlgorithm } from "../../src/jwt/signature.ts"
import { throwsCode } from "../support/assert.ts"
import { rsaPair } from "../support/rsa.ts"
import { makeIssuer } from "../support/tokens.ts"

const test = suite("prepareForeignKeySet")
const ALL: readonly TokenAlgorithm[] = ["ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512"]
const keys = ALL.map((algorithm) => makeIssuer(algorithm).jwk)
const withoutAlg = keys.map(({ alg: _, ...jwk }) => jwk)

test("takes keys of every algorithm, each for its own alone", () => {
  const set = prepareForeignKeySet({ keys })
  assert.equal(
    ALL.map((algorithm) => set.find(algorithm)?.algorithm),
    ALL,
  )
  assert.is(set.size, 6)
})
test("takes a key that does not say what it is for by its kind: RSA for RS256", () => {
  const set = prepareForeignKeySet({ keys: withoutAlg })
  assert.equal(
    ALL.map((kid) => set.find(kid)?.algorithm),
    ["ES256", "ES384", "EdDSA", "RS256", "RS256", "RS256"],
  )
})
test("T-01 takes of Assay's own keys ES256 and EdDSA alone, and none that does not say so", () => {
  const set = prepareKeySet({ keys })
  assert.equal([set.size, set.isFor("RS256"), set.isFor("ES256")], [2, false, true])
  assert.is(prepareKeySet({ keys: withoutAlg }).size, 0)
})
test("passes over keys that are for something else", () => {
  const [rsa = {}] = keys.slice(3)
  const others = [
    { ...rsa, alg: "PS256" },
    { ...rsa, alg: "RSA-OAEP", kid: "b" },
    { ...rsa, use: "enc", kid: "c" },
    { ...rsa, key_ops: ["encrypt"], kid: "d" },
    { kty: "EC", crv: "secp256k1", x: "AA", y: "AA", kid: "e" },
  ]
  assert.is(prepareForeignKeySet({ keys: others }).size, 0)
})

const rsaOf = (bits: number, exponent = 65_537) => makeIssuer("RS256", "rsa", { bits, exponent }).jwk
const [es256 = {}, es384 = {}] = keys
const huge = rsaPair().publicKey.export({ format: "jwk" })
/** No key at all, but as long as one of more bits than are verified with. */
const n = Buffer.concat([Buffer.from([0xc1]), Buffer.alloc(1100, 0x5b), Buffer.of(0x07)]).toString(
  "base64url",
)
const refused: [name: string, jwk: object][] = [
  ["T-01 an RSA key of 1024 bits", rsaOf(1024)],
  ["T-01 an RSA key of more than 8192 bits", { ...huge, n, kid: "rsa", alg: "RS256" }],
  ["T-01 an RSA key with the exponent 3", rsaOf(2048, 3)],
  ["T-01 an RSA key with an even exponent", { ...rsaOf(2048), e: "AQAC" }],
  ["T-01 an RSA key without its modulus", { ...rsaOf(2048), n: undefined }],
  ["T-01 a key of P-384 for ES256", { ...es384, alg: "ES256" }],
  ["T-01 a key of P-256 for RS256", { ...es256, alg: "RS256" }],
  ["T-01 a key off its curve", { ...es384, y: es384["x"] }],
  ["T-02 a key without a kid", { ...es256, kid: undefined }],
  ["T-02 a private key", { ...es256, d: "AAAA" }],
  ["T-02 a symmetric key", { kty: "oct", k: "AAAA", kid: "a", alg: "HS256" }],
]
for (const [name, jwk] of refused)
  test(`refuses ${name}`, () => {
    throwsCode(() => prepareForeignKeySet({ keys: [jwk] }), "TOKEN_KEY")
  })
test("refuses T-02 a kid twice", () => {
  throwsCode(() => prepareForeignKeySet({ keys: [es256, { ...es384, kid: "ES256" }] }), "TOKEN_KEY")
})
test.run()
