import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toBase64Url, utf8 } from "../../src/bytes.ts"
import { AssayError } from "../../src/errors.ts"
import { verifyCompact } from "../../src/jwt/compact.ts"
import { type JsonWebKeySet, prepareKeySet } from "../../src/jwt/keyset.ts"
import { throwsCode } from "../support/assert.ts"
import { signedToken, testSigner } from "../support/signer.ts"
import { needs, vectorJson } from "../support/vectors.ts"

const test = suite("verifyCompact")

interface Vectors {
  readonly numberOfTests: number
  readonly testGroups: readonly {
    readonly public?: object
    readonly private?: object
    readonly tests: readonly {
      readonly tcId: number
      readonly jws: string
      readonly result: "valid" | "invalid"
    }[]
  }[]
}

/** Valid ones that Assay could verify: ES256 over P-256, 18 and 378 of the signatures. */
const OURS: Readonly<Record<string, readonly number[]>> = {
  "json_web_signature_test.json": [18, 378],
  "json_web_key_test.json": [],
}

const holds = (jws: string, jwks: JsonWebKeySet): boolean => {
  try {
    verifyCompact(jws, prepareKeySet(jwks))
    return true
  } catch (error) {
    if (!(error instanceof AssayError) || !error.code.startsWith("TOKEN_")) throw error
    return false
  }
}

for (const [file, ours] of Object.entries(OURS))
  needs("vectors", test)(`agrees with ${file} of Wycheproof on T-01 to T-05`, () => {
    const { numberOfTests, testGroups } = vectorJson<Vectors>(`wycheproof/${file}`)
    const accepted: number[] = []
    let seen = 0
    for (const group of testGroups)
      for (const { tcId, jws, result } of group.tests) {
        seen += 1
        for (const key of [group.public, group.private]) {
          if (key === undefined) continue
          const jwks = "keys" in key && Array.isArray(key.keys) ? { keys: key.keys } : { keys: [key] }
          // Private and symmetric keys are refused as such: they are tried without their secret, too.
          for (const set of [jwks, { keys: jwks.keys.map(withoutSecret) }])
            if (holds(jws, set)) {
              assert.is(result, "valid", `accepted ${tcId}`)
              accepted.push(tcId)
            }
        }
      }
    assert.is(seen, numberOfTests)
    assert.equal([...new Set(accepted)], ours)
  })

const withoutSecret = (jwk: object): object =>
  Object.fromEntries(
    Object.entries(jwk).filter(([name]) => !["d", "k", "p", "q", "dp", "dq", "qi"].includes(name)),
  )

interface SignatureVectors {
  readonly testGroups: readonly {
    readonly publicKey: { readonly uncompressed: string }
    readonly tests: readonly {
      readonly tcId: number
      readonly msg: string
      readonly sig: string
      readonly result: "valid" | "invalid"
    }[]
  }[]
}

needs("vectors", test)(
  "refuses T-04 every signature of Wycheproof's P-256 vectors, in a token's place",
  () => {
    const { testGroups } = vectorJson<SignatureVectors>("wycheproof/ecdsa_secp256r1_sha256_p1363_test.json")
    const header = toBase64Url(utf8('{"alg":"ES256","kid":"k"}'))
    let tried = 0
    for (const { publicKey, tests } of testGroups) {
      const x = Buffer.from(publicKey.uncompressed.slice(2, 66), "hex").toString("base64url")
      const y = Buffer.from(publicKey.uncompressed.slice(66), "hex").toString("base64url")
      const jwks = { keys: [{ kty: "EC", crv: "P-256", x, y, kid: "k", alg: "ES256" }] }
      for (const { sig } of tests) {
        tried += 1
        // None of them was made over a token, so that not one may hold here: above all not the blank ones.
        assert.not(holds(`${header}.AAAA.${Buffer.from(sig, "hex").toString("base64url")}`, jwks))
      }
    }
    assert.ok(tried > 250)
  },
)

const signer = testSigner("ES256")
const { key } = signer
const ed = testSigner("EdDSA").key
const jwk = key.publicJwk

for (const typ of [7, null, ["t"], {}])
  test(`refuses T-03 a typ of ${JSON.stringify(typ)}`, () => {
    const token = signedToken(signer, { alg: "ES256", kid: jwk.kid, typ }, "payload")
    throwsCode(() => verifyCompact(token, prepareKeySet({ keys: [jwk] })), "TOKEN_FORMAT")
  })

test("accepts every signature of ours, short r and s among them", () => {
  const keys = prepareKeySet({ keys: [jwk] })
  let short = 0
  for (let i = 0; i < 1000; i++) {
    const token = signedToken(signer, { alg: "ES256", kid: jwk.kid, typ: "t" }, `${i}`)
    const signature = Buffer.from(token.split(".")[2] ?? "", "base64url")
    if (signature[0] === 0 || signature[32] === 0) short += 1
    assert.equal(verifyCompact(token, keys), { typ: "t", payload: utf8(`${i}`) })
  }
  // One in 128; none of 1000 is less likely than 1 in 2500.
  assert.ok(short > 0)
})

for (const [name, keys] of [
  ["a key twice", [jwk, jwk]],
  ["one kid for two keys", [jwk, { ...ed.publicJwk, kid: jwk.kid }]],
  ["one kid for a key of ours and a foreign one", [jwk, { kty: "RSA", kid: jwk.kid, alg: "RS256" }]],
  ["a private key", [{ ...jwk, ...key.privateKey.export({ format: "jwk" }) }]],
  ["a symmetric key", [{ kty: "oct", k: "AAAA", kid: "a", alg: "HS256" }]],
  ["a key without a kid", [{ ...jwk, kid: undefined }]],
  ["an empty kid", [{ ...jwk, kid: "" }]],
  ["ES256 over another curve", [{ ...jwk, crv: "P-384" }]],
  ["ES256 over an Ed25519 key", [{ ...ed.publicJwk, alg: "ES256" }]],
  ["EdDSA over Ed448", [{ ...ed.publicJwk, crv: "Ed448" }]],
  ["a point off the curve", [{ ...jwk, x: jwk.y }]],
  ["a point without y", [{ ...jwk, y: undefined }]],
  ["a point of no bytes", [{ ...jwk, x: "", y: "" }]],
  ["a short Ed25519 key", [{ ...ed.publicJwk, x: "AAAA" }]],
  ["a key that is null", [null]],
  ["65 keys", Array.from({ length: 65 }, () => ({}))],
] as const)
  test(`refuses T-02 a key set with ${name}`, () => {
    throwsCode(() => prepareKeySet(JSON.parse(JSON.stringify({ keys }))), "TOKEN_KEY")
  })

for (const text of ["null", "{}", "[]", '{"keys":{}}', '{"keys":null}', '"keys"', "7"])
  test(`refuses T-02 ${text} for a key set`, () => {
    throwsCode(() => prepareKeySet(JSON.parse(text)), "TOKEN_KEY")
  })

for (const [name, other] of [
  ["an algorithm of later", { kty: "AKP", alg: "ML-DSA-65", kid: "later" }],
  ["RS256", { kty: "RSA", alg: "RS256", kid: "rsa", n: "AQAB", e: "AQAB" }],
  ["encryption", { ...jwk, kid: "enc", use: "enc" }],
  ["signing operations alone", { ...jwk, kid: "ops", key_ops: ["sign"] }],
  ["no named algorithm", { ...jwk, kid: "any", alg: undefined }],
] as const)
  test(`leaves out a key of ${name}`, () => {
    const keys = prepareKeySet({ keys: [jwk, other] })
    assert.ok(keys.find(jwk.kid))
    assert.is(keys.find(other.kid), undefined)
  })

test.run()
