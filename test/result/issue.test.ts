import { decodeJwt, decodeProtectedHeader } from "jose"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Appraisal } from "../../src/appraisal/appraise.ts"
import type { Tier } from "../../src/appraisal/finding.ts"
import { endorsementsOf } from "../../src/result/endorsement.ts"
import { type Issue, issue, sessionEndOf } from "../../src/result/issue.ts"
import type { TokenSigner } from "../../src/result/token.ts"
import { NO_ENDORSEMENTS } from "../../src/verification/endorsements.ts"
import { policyWith } from "../support/core.ts"
import { AK_PATH, EK_PATH } from "../support/endorsements.ts"

const test = suite("issue")

const AT = new Date("2026-11-21T12:00:00.750Z")
const IAT = Math.floor(AT.getTime() / 1000)
const LIFETIME = 600
const RESULT_LIFETIME = 300

const signerUntil = (notAfter: Date): TokenSigner => ({
  algorithm: "ES256",
  keyId: "key-1",
  notAfter,
  sign: () => new Uint8Array(64).fill(1),
})
const signer = signerUntil(new Date("2030-01-01T00:00:00Z"))

const appraisalOf = (tier: Tier): Appraisal => ({ tier, vector: {}, findings: [] })
const confirmation = { method: "x5t#S256", digest: new Uint8Array(32).fill(7) } as const

const requestWith = (changes: Partial<Issue> = {}, terms: Readonly<Record<string, unknown>> = {}): Issue => ({
  id: "id-1",
  tenant: "default",
  caller: "edge-1",
  device: "device-1",
  deviceRevision: 5,
  policy: { name: "fleet", revision: 3, terms: policyWith(terms) },
  evaluatedAt: AT,
  evidenceDigest: new Uint8Array(32),
  freshness: "challenge",
  challengeState: "spent",
  nonce: undefined,
  evidenceAgeMs: undefined,
  endorsements: [],
  session: { audience: "gateway", confirmation },
  issuer: "https://assay.example",
  build: "assay 0.1.0",
  earForm: () => "2023",
  ...changes,
})
const tokenOf = (tier: Tier, request: Issue, by: TokenSigner = signer) => {
  const { token, ...result } = issue(appraisalOf(tier), request, by)
  return { ...result, token, header: decodeProtectedHeader(token.compact), claims: decodeJwt(token.compact) }
}

// Which tier opens which policy, and nothing else does.

const table: [tier: Tier, admit: "affirming" | "warning", session: boolean][] = [
  ["affirming", "affirming", true],
  ["affirming", "warning", true],
  ["warning", "warning", true],
  ["warning", "affirming", false],
  ["contraindicated", "affirming", false],
  ["contraindicated", "warning", false],
  ["none", "affirming", false],
  ["none", "warning", false],
]
for (const [tier, admit, session] of table)
  test(`${session ? "grants" : "refuses T-08"} a session to a device that is ${tier} where the policy admits ${admit}`, () => {
    const { token, header, claims } = tokenOf(tier, requestWith({}, { "session.admit": admit }))
    assert.is(token.kind, session ? "session" : "result")
    assert.is(header.typ, session ? "assay-session+jwt" : "ear+jwt")
    assert.is(claims["aud"], session ? "gateway" : "edge-1")
    assert.is("cnf" in claims, session)
  })

test("refuses T-08 a session for a tier that there is not", () => {
  const unknown = "excellent" as Tier
  assert.is(tokenOf(unknown, requestWith()).token.kind, "result")
})

test("refuses T-08 a session without a policy, whatever the tier", () => {
  const { token, header, claims } = tokenOf("affirming", requestWith({ policy: undefined }))
  assert.is(token.kind, "result")
  assert.is(header.typ, "ear+jwt")
  assert.not("cnf" in claims)
})

for (const freshness of ["nonce", "epoch"] as const)
  test(`refuses T-08 a session that was not asked for, ${freshness}`, () => {
    const { token, claims } = tokenOf("affirming", requestWith({ freshness, session: undefined }))
    assert.is(token.kind, "result")
    assert.is(claims["aud"], "edge-1")
    assert.not("cnf" in claims)
  })

test("confirms the key that the challenge was made for, and only in a session", () => {
  const { claims } = tokenOf("affirming", requestWith())
  assert.equal(claims["cnf"], { "x5t#S256": Buffer.alloc(32, 7).toString("base64url") })
  const jkt = { audience: "gateway", confirmation: { ...confirmation, method: "jkt" as const } }
  assert.equal(tokenOf("affirming", requestWith({ session: jkt })).claims["cnf"], {
    jkt: Buffer.alloc(32, 7).toString("base64url"),
  })
  const bare = { audience: "gateway", confirmation: undefined }
  const without = tokenOf("affirming", requestWith({ session: bare }))
  assert.is(without.token.kind, "session")
  assert.not("cnf" in without.claims)
})

test("tells who, for whom, of whom and under what", () => {
  const { claims, policy, tier } = tokenOf("affirming", requestWith())
  assert.is(claims["iss"], "https://assay.example")
  assert.is(claims["sub"], "device-1")
  assert.is(claims["jti"], "id-1")
  assert.is(claims["tenant"], "default")
  assert.is(claims["device_revision"], 5)
  assert.match(JSON.stringify(claims), '"ear.appraisal-policy-id":"fleet:3"')
  assert.equal(policy, { name: "fleet", revision: 3 })
  assert.is(tier, "affirming")
})

test("writes the form that the audience of the token reads", () => {
  const earForm: Issue["earForm"] = (audience) => (audience === "gateway" ? "2026" : "2023")
  const session = tokenOf("affirming", requestWith({ earForm }))
  assert.match(String(session.claims["eat_profile"]), "ietf.org,2026")
  const refused = tokenOf("contraindicated", requestWith({ earForm }))
  assert.match(String(refused.claims["eat_profile"]), "veraison")
})

// T-07: exp is the earliest of all bounds, and all times are whole seconds.

const until = (second: number): Date => new Date((IAT + second) * 1000 + 250)
const bounds: [
  name: string,
  tier: Tier,
  terms: Readonly<Record<string, unknown>>,
  notAfter: Date,
  lifetime: number,
][] = [
  ["T-07 a session by the policy's lifetime", "affirming", {}, until(1e6), LIFETIME],
  [
    "T-07 a session by another lifetime of the policy",
    "affirming",
    { "session.lifetimeSeconds": 10 },
    until(1e6),
    10,
  ],
  ["T-07 a session by the signing key's end", "affirming", {}, until(77), 77],
  [
    "T-07 a session by the signing key's end, a second before the policy's",
    "affirming",
    {},
    until(LIFETIME - 1),
    LIFETIME - 1,
  ],
  [
    "T-07 a session by the policy's lifetime, a second before the key's end",
    "affirming",
    {},
    until(LIFETIME + 1),
    LIFETIME,
  ],
  ["T-07 a result by its own short lifetime", "contraindicated", {}, until(1e6), RESULT_LIFETIME],
  [
    "T-07 a result by the policy's lifetime, if that is shorter",
    "contraindicated",
    { "session.lifetimeSeconds": 10 },
    until(1e6),
    10,
  ],
  ["T-07 a result by the signing key's end", "contraindicated", {}, until(5), 5],
]
for (const [name, tier, terms, notAfter, lifetime] of bounds)
  test(`bounds ${name}`, () => {
    const { token, claims } = tokenOf(tier, requestWith({}, terms), signerUntil(notAfter))
    assert.is(claims["exp"], IAT + lifetime)
    assert.is(claims["iat"], IAT)
    assert.is(claims["nbf"], IAT)
    assert.is(token.expiresAt.getTime(), (IAT + lifetime) * 1000)
  })

test("bounds T-07 a result without a policy by its own short lifetime", () => {
  const { claims } = tokenOf("contraindicated", requestWith({ policy: undefined }))
  assert.is(claims["exp"], IAT + RESULT_LIFETIME)
})

/** Endorsements whose paths hold until so many seconds from now. */
const endorsedUntil = (...ends: readonly number[]): Pick<Issue, "endorsements"> => ({
  endorsements: endorsementsOf({ ...NO_ENDORSEMENTS, ak: AK_PATH, ek: EK_PATH }).map((endorsement, i) => ({
    ...endorsement,
    validUntil: until(ends[i] ?? 1e6),
  })),
})
const rests: [name: string, tier: Tier, ends: readonly number[], notAfter: Date, lifetime: number][] = [
  ["T-07 a session by the end of the attestation key's path", "affirming", [88], until(1e6), 88],
  ["T-07 a session by the end of the endorsement key's path", "affirming", [1e6, 66], until(1e6), 66],
  ["T-07 a session by the earlier of two ends", "affirming", [66, 88], until(1e6), 66],
  ["T-07 a session by the signing key's end before all of them", "affirming", [66, 88], until(55), 55],
  [
    "T-07 a session by the policy's lifetime before all of them",
    "affirming",
    [LIFETIME + 1, 1e6],
    until(1e6),
    LIFETIME,
  ],
  ["T-07 a result by the end of a path", "contraindicated", [44], until(1e6), 44],
]
for (const [name, tier, ends, notAfter, lifetime] of rests)
  test(`bounds ${name}`, () => {
    const { token, claims } = tokenOf(tier, requestWith(endorsedUntil(...ends)), signerUntil(notAfter))
    assert.is(claims["exp"], IAT + lifetime)
    assert.is(token.expiresAt.getTime(), (IAT + lifetime) * 1000)
  })

// A certificate that was made for the session.

const chain = [Uint8Array.of(1), Uint8Array.of(2)] as const
for (const [seconds, lifetime] of [
  [33, 33],
  [LIFETIME + 60, LIFETIME],
] as const)
  test(`bounds T-07 a session by the end of its certificate in ${seconds} seconds`, () => {
    const certificate = { chain, notAfter: until(seconds) }
    const { claims, certificateChain } = tokenOf("affirming", requestWith({ certificate }))
    assert.is(claims["exp"], IAT + lifetime)
    assert.equal(certificateChain, chain)
  })
for (const [name, tier, changes] of [
  ["a refusal", "contraindicated", {}],
  ["a result that no session was asked for with", "affirming", { session: undefined }],
  ["a result without a policy", "affirming", { policy: undefined }],
] as const)
  test(`refuses T-08 a certificate in ${name}`, () => {
    const certificate = { chain, notAfter: until(33) }
    assert.equal(tokenOf(tier, requestWith({ certificate, ...changes })).certificateChain, [])
  })

test("tells when a session will end, and that there will be none", () => {
  const endOf = (tier: Tier, request: Issue, notAfter = until(1e6)) =>
    sessionEndOf(appraisalOf(tier), request, { notAfter })?.getTime()
  assert.is(endOf("affirming", requestWith()), (IAT + LIFETIME) * 1000)
  assert.is(endOf("affirming", requestWith(), until(7)), (IAT + 7) * 1000)
  assert.is(endOf("affirming", requestWith(endorsedUntil(9))), (IAT + 9) * 1000)
  assert.is(endOf("warning", requestWith({}, { "session.admit": "affirming" })), undefined)
  assert.is(endOf("contraindicated", requestWith()), undefined)
  assert.is(endOf("affirming", requestWith({ policy: undefined })), undefined)
})

test("asks for the next attestation before the session ends", () => {
  const { attestAt } = tokenOf("affirming", requestWith())
  assert.is(attestAt.getTime(), (IAT + 400) * 1000)
  const short = tokenOf("affirming", requestWith(), signerUntil(until(90)))
  assert.is(short.attestAt.getTime(), (IAT + 60) * 1000)
})

test("lets the failure of the signer out, and no token", () => {
  const broken: TokenSigner = {
    ...signer,
    sign: () => {
      throw new RangeError("no key")
    },
  }
  assert.throws(() => issue(appraisalOf("affirming"), requestWith(), broken), RangeError)
})

test.run()
