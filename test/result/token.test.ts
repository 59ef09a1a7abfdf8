import { generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto"
import { compactVerify, decodeProtectedHeader, jwtVerify } from "jose"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { fromBase64Url, utf8 } from "../../src/bytes.ts"
import {
  encodeToken,
  type RegisteredClaims,
  seconds,
  type TokenSigner,
  type TokenType,
} from "../../src/result/token.ts"

const test = suite("encodeToken")

const keys = {
  ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: generateKeyPairSync("ed25519"),
}
const signBy = (algorithm: keyof typeof keys, key: KeyObject, input: Uint8Array): Uint8Array =>
  algorithm === "ES256" ? sign("sha256", input, { key, dsaEncoding: "ieee-p1363" }) : sign(null, input, key)
const signerOf = (algorithm: keyof typeof keys): TokenSigner => ({
  algorithm,
  keyId: "key-1",
  notAfter: new Date("2030-01-01T00:00:00Z"),
  sign: (input) => signBy(algorithm, keys[algorithm].privateKey, input),
})

const claims: RegisteredClaims = {
  iss: "https://assay.example",
  sub: "device-1",
  aud: "gateway",
  iat: 1_700_000_000,
  nbf: 1_700_000_000,
  exp: 1_700_000_600,
  jti: "id-1",
  text: 'zwölf ✓ "quoted" \\ \u0000',
  nested: { list: [1, null, true, "a"] },
}

for (const algorithm of ["ES256", "EdDSA"] as const) {
  test(`is verified by jose, ${algorithm}`, async () => {
    const compact = encodeToken("assay-session+jwt", claims, signerOf(algorithm))
    const { payload, protectedHeader } = await jwtVerify(compact, keys[algorithm].publicKey, {
      algorithms: [algorithm],
      issuer: "https://assay.example",
      audience: "gateway",
      typ: "assay-session+jwt",
      requiredClaims: ["exp", "iat", "nbf", "jti", "sub"],
      currentDate: new Date(1_700_000_100_000),
    })
    assert.equal(payload, claims)
    assert.equal(protectedHeader, { alg: algorithm, kid: "key-1", typ: "assay-session+jwt" })
  })

  test(`is verified by node:crypto over exactly its first two parts, ${algorithm}`, () => {
    const compact = encodeToken("ear+jwt", claims, signerOf(algorithm))
    const [header = "", payload = "", signature = "", ...more] = compact.split(".")
    assert.equal(more, [])
    const value = fromBase64Url(signature)
    assert.is(value?.length, 64)
    const input = utf8(`${header}.${payload}`)
    const { publicKey } = keys[algorithm]
    const held = (bytes: Uint8Array): boolean =>
      algorithm === "ES256"
        ? verify("sha256", bytes, { key: publicKey, dsaEncoding: "ieee-p1363" }, value ?? new Uint8Array())
        : verify(null, bytes, publicKey, value ?? new Uint8Array())
    assert.ok(held(input))
    assert.not(held(utf8(`${header}.${payload.slice(0, -1)}`)))
  })
}

test("names C-01 the key that signs it, as what it is, whatever was signed before", () => {
  const [one, other] = [signerOf("ES256"), signerOf("EdDSA")]
  let current = "key-2"
  const changing: TokenSigner = {
    ...one,
    get keyId() {
      return current
    },
  }
  const headerBy = (signer: TokenSigner, type: TokenType) =>
    decodeProtectedHeader(encodeToken(type, claims, signer))
  for (const typ of ["assay-session+jwt", "ear+jwt", "assay-session+jwt"] as const) {
    assert.equal(headerBy(one, typ), { alg: "ES256", kid: "key-1", typ })
    assert.equal(headerBy(other, typ), { alg: "EdDSA", kid: "key-1", typ })
    for (const kid of ["key-2", "key-3", "key-2"]) {
      current = kid
      assert.equal(headerBy(changing, typ), { alg: "ES256", kid, typ })
    }
  }
})

test("is refused by jose with any of its parts changed", async () => {
  const compact = encodeToken("ear+jwt", claims, signerOf("ES256"))
  const { publicKey } = keys.ES256
  await compactVerify(compact, publicKey)
  for (const at of [0, compact.indexOf(".") + 3, compact.lastIndexOf(".") + 3]) {
    const changed = `${compact.slice(0, at)}${compact[at] === "A" ? "B" : "A"}${compact.slice(at + 1)}`
    let refused = false
    await compactVerify(changed, publicKey).catch(() => {
      refused = true
    })
    assert.ok(refused, `at ${at}`)
  }
})

test("has a header of three members in one order, so that there is one spelling", () => {
  const compact = encodeToken("ear+jwt", claims, signerOf("ES256"))
  assert.equal(Object.keys(decodeProtectedHeader(compact)), ["alg", "kid", "typ"])
  const [header = ""] = compact.split(".")
  assert.is(Buffer.from(header, "base64url").toString(), '{"alg":"ES256","kid":"key-1","typ":"ear+jwt"}')
})

const instants: [at: string, expected: number][] = [
  ["1970-01-01T00:00:00Z", 0],
  ["2026-11-21T12:00:00.999Z", 1_795_262_400],
  ["2026-11-21T12:00:01Z", 1_795_262_401],
]
for (const [at, expected] of instants)
  test(`counts whole seconds up to ${at}`, () => assert.is(seconds(new Date(at)), expected))

test.run()
