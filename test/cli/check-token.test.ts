import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toBase64Url, toHex } from "../../src/bytes.ts"
import { signedToken, testSigner, tokenHeader } from "../support/signer.ts"
import { assay, fileOf, jsonOf, NOW } from "./run.ts"

const test = suite("assay check token")

const signer = testSigner()
const now = NOW.getTime() / 1000
const digest = hash("sha256", "a certificate", "buffer")
const claims = {
  iss: "https://assay.example",
  sub: "gate-7",
  aud: "orders",
  iat: now - 10,
  nbf: now - 10,
  exp: now + 290,
  jti: "0f8fad5b",
  tenant: "default",
  device_revision: 3,
  eat_profile: "tag:ietf.org,2026:rats/ear#03",
  ear_verifier_id: { developer: "assay", build: "0" },
  ear_status: "affirming",
  submods: {
    tpm: {
      ear_status: "affirming",
      ear_trustworthiness_vector: { executables: 3 },
      ear_appraisal_policy_ids: ["fleet:1"],
    },
  },
}
const bound = { ...claims, cnf: { "x5t#S256": toBase64Url(digest) } }
const token = (payload: object = claims, typ?: string): string =>
  signedToken(signer, tokenHeader(signer, typ), payload)

const jwks = fileOf(signer.jwks)
const check = async (text: string, ...options: readonly string[]) => {
  const ran = await assay([
    "check",
    "token",
    fileOf(text),
    "--jwks",
    jwks,
    "--audience",
    "orders",
    ...options,
  ])
  const { accepted, code, checked, session } = jsonOf<{
    accepted?: boolean
    code?: string | null
    checked?: object
    session?: Readonly<Record<string, unknown>>
    error?: { code: string }
  }>(ran)
  return { status: ran.status, accepted, code, checked, session }
}

test("accepts a session token, and says that its issuer was not checked", async () => {
  const { status, accepted, code, checked, session } = await check(`${token()}\n`)
  assert.equal([status, accepted, code], [0, true, null])
  assert.equal(checked, { issuer: false, confirmation: true })
  assert.equal(
    [session?.["device"], session?.["tier"], session?.["confirmation"]],
    ["gate-7", "affirming", null],
  )
  const { out } = await assay(
    ["check", "token", "-", "--jwks", jwks, "--audience", "orders", "-o", "table"],
    {
      stdin: new TextEncoder().encode(token()),
    },
  )
  assert.match(out, /^accepted\nthe issuer was not checked/)
})

test("accepts it for its issuer and no other", async () => {
  const right = await check(token(), "--issuer", "https://assay.example")
  assert.equal([right.status, right.checked], [0, { issuer: true, confirmation: true }])
  assert.equal(
    await check(token(), "--issuer", "https://other.example").then(({ status, code }) => [status, code]),
    [1, "TOKEN_CLAIMS"],
  )
})

test("accepts a bound token only for its key, or where the caller takes that upon itself", async () => {
  assert.is((await check(token(bound))).code, "TOKEN_CLAIMS")
  assert.is((await check(token(bound), "--confirmation", `x5t#S256:${toHex(digest)}`)).status, 0)
  assert.is((await check(token(bound), "--confirmation", `jkt:${toHex(digest)}`)).code, "TOKEN_CLAIMS")
  assert.is((await check(token(bound), "--confirmation", `x5t#S256:${"00".repeat(32)}`)).code, "TOKEN_CLAIMS")
  assert.is((await check(token(), "--confirmation", `x5t#S256:${toHex(digest)}`)).code, "TOKEN_CLAIMS")
  const unchecked = await check(token(bound), "--confirmation", "unchecked")
  assert.equal([unchecked.status, unchecked.checked], [0, { issuer: false, confirmation: false }])
  assert.is(unchecked.session?.["confirmation"], `x5t#S256:${toHex(digest)}`)
})

test("checks at the instant that it is told", async () => {
  assert.is((await check(token(), "--at", "2026-03-01T12:04:49Z")).status, 0)
  assert.is((await check(token(), "--at", "2026-03-01T13:04:50+01:00")).code, "TOKEN_TIME")
  assert.is((await check(token(), "--at", "2026-03-01T11:59:00Z")).code, "TOKEN_TIME")
})

const refused: readonly [name: string, text: string, code: string][] = [
  [
    "T-01 no algorithm",
    signedToken(signer, { alg: "none", kid: signer.keyId, typ: "assay-session+jwt" }, claims),
    "TOKEN_ALG",
  ],
  ["T-02 an unknown key", signedToken(signer, { ...tokenHeader(signer), kid: "x" }, claims), "TOKEN_KEY"],
  ["T-03 a signed refusal", token(claims, "ear+jwt"), "TOKEN_FORMAT"],
  ["T-03 no token", "e30.e30", "TOKEN_FORMAT"],
  ["T-04 a changed signature", `${token().slice(0, -6)}AAAAAA`, "TOKEN_SIGNATURE"],
  ["T-07 an expired token", token({ ...claims, exp: now }), "TOKEN_TIME"],
  ["another audience", token({ ...claims, aud: "billing" }), "TOKEN_CLAIMS"],
  ["no issuer at all", token({ ...claims, iss: "" }), "TOKEN_CLAIMS"],
]
for (const [name, text, code] of refused)
  test(`refuses ${name}`, async () => {
    const result = await check(text)
    assert.equal([result.status, result.accepted, result.code], [1, false, code])
  })

const wrong: readonly [name: string, argv: readonly string[]][] = [
  ["a key set that is none", ["--jwks", fileOf({ keys: 1 })]],
  ["a key set that is no JSON", ["--jwks", fileOf("keys")]],
  ["a list instead of a key set", ["--jwks", fileOf([])]],
  ["a confirmation of an unknown method", ["--confirmation", "kid:00"]],
  ["a confirmation that is too short", ["--confirmation", "jkt:00"]],
  ["an instant without offset", ["--at", "2026-03-01T12:00:00"]],
  ["an instant that is none", ["--at", "2026-13-01T12:00:00Z"]],
]
for (const [name, argv] of wrong)
  test(`ends with 2 for ${name}`, async () => {
    const rest = argv[0] === "--jwks" ? [] : ["--jwks", jwks]
    const { status } = await assay([
      "check",
      "token",
      fileOf(token()),
      "--audience",
      "orders",
      ...rest,
      ...argv,
    ])
    assert.is(status, 2)
  })

test("refuses a key set with a secret in it", async () => {
  const { status, code } = await assay([
    ...["check", "token", fileOf(token()), "--audience", "orders"],
    ...["--jwks", fileOf({ keys: [{ ...signer.jwks.keys[0], d: "x" }] })],
  ]).then((ran) => ({ status: ran.status, code: jsonOf(ran)["code"] }))
  assert.equal([status, code], [1, "TOKEN_KEY"])
})

test.run()
