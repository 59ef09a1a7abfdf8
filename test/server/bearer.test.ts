import { createHmac } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toBase64Url, utf8 } from "../../src/bytes.ts"
import type { Code } from "../../src/errors.ts"
import { prepareForeignKeySet } from "../../src/jwt/keyset.ts"
import { createKnowBearer, type TokenRule } from "../../src/server/bearer.ts"
import { throwsCode } from "../support/assert.ts"
import { headerOf, type Issuer, makeIssuer, tokenOf } from "../support/tokens.ts"

const test = suite("createKnowBearer")
const AT = new Date("2026-11-21T12:00:00Z")
const NOW = AT.getTime() / 1000

const ISSUERS = (["ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512"] as const).map((one) =>
  makeIssuer(one),
)
const [es256 = makeIssuer("ES256"), es384 = es256, , rs256 = es256] = ISSUERS
const foreign = makeIssuer("ES256", "foreign")

const ruleOf = (changed: Partial<TokenRule> = {}): TokenRule => ({
  name: "idp",
  issuer: "https://idp.example",
  audience: "assay",
  types: ["JWT", "at+jwt"],
  role: { kind: "fixed", value: "gateway" },
  tenant: { kind: "fixed", value: "acme" },
  lifetimeSecondsMax: 3600,
  clockToleranceSeconds: 30,
  keys: prepareForeignKeySet({ keys: ISSUERS.map(({ jwk }) => jwk) }),
  ...changed,
})
const RULE = ruleOf()
const OTHER = ruleOf({
  name: "other",
  issuer: "https://other.example",
  role: { kind: "fixed", value: "operator" },
  keys: prepareForeignKeySet({ keys: [foreign.jwk] }),
})
const knowing = (rules: readonly TokenRule[], at = () => AT) => createKnowBearer(() => rules, at)
const know = knowing([RULE, OTHER])

const CLAIMS = { iss: "https://idp.example", aud: "assay", sub: "edge-1", iat: NOW - 60, exp: NOW + 600 }
const token = (claims: object | string = {}, header: object = {}, issuer: Issuer = es256): string =>
  tokenOf(issuer, headerOf(issuer, header), typeof claims === "string" ? claims : { ...CLAIMS, ...claims })

for (const issuer of ISSUERS)
  test(`knows the holder of a token by ${issuer.algorithm}`, () => {
    assert.equal(know(token({}, {}, issuer)), { tenant: "acme", id: "jwt:idp:edge-1", role: "gateway" })
  })
test("takes a token as others write it: with white space, with nbf, in a list of one audience", () => {
  const spaced = JSON.stringify({ ...CLAIMS, nbf: NOW, aud: ["assay"], name: "caf\u00e9" }, null, 2)
  assert.is(know(token(spaced, { typ: "at+jwt" })).id, "jwt:idp:edge-1")
})
test("takes a token without a type where the operator says so", () => {
  const untyped = tokenOf(es256, { alg: "ES256", kid: "ES256" }, CLAIMS)
  throwsCode(() => know(untyped), "TOKEN_FORMAT")
  assert.is(knowing([ruleOf({ types: ["none"] })])(untyped).role, "gateway")
})
test("bears a clock that is off by the tolerance, and no more", () => {
  const at = (claims: object) => () => know(token(claims))
  at({ iat: NOW + 30, exp: NOW + 600 })()
  at({ iat: NOW - 600, exp: NOW - 29 })()
  throwsCode(at({ iat: NOW + 31, exp: NOW + 600 }), "TOKEN_TIME")
  throwsCode(at({ iat: NOW - 600, exp: NOW - 30 }), "TOKEN_TIME")
})

const [head = "", body = "", signature = ""] = token().split(".")
const unsigned = (alg: string) =>
  `${toBase64Url(utf8(JSON.stringify({ alg, typ: "JWT", kid: "ES256" })))}.${body}`
const hmac = (secret: string): string => {
  const input = unsigned("HS256")
  return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`
}
const raw = Buffer.from(signature, "base64url")
const der = Buffer.concat([
  Buffer.from([0x30, 0x44, 0x02, 0x20]),
  raw.subarray(0, 32),
  Buffer.from([0x02, 0x20]),
  raw.subarray(32),
])
const withSignature = (bytes: Uint8Array): string => `${head}.${body}.${toBase64Url(bytes)}`
const publicPem = JSON.stringify(es256.jwk)

const refused: [name: string, token: string, code: Code][] = [
  ["T-01 alg none without a signature", `${unsigned("none")}.`, "TOKEN_ALG"],
  ["T-01 alg None with the signature of another", `${unsigned("None")}.${signature}`, "TOKEN_ALG"],
  ["T-01 no alg", tokenOf(es256, { typ: "JWT", kid: "ES256" }, CLAIMS), "TOKEN_ALG"],
  ["T-01 HMAC with the public key", hmac(publicPem), "TOKEN_ALG"],
  ["T-01 RS256 under the key of ES256", token({}, { alg: "RS256" }), "TOKEN_ALG"],
  ["T-01 ES256 under the key of RS256", token({}, { alg: "ES256", kid: "RS256" }, rs256), "TOKEN_ALG"],
  ["T-01 RS512 under the key of RS256", token({}, { alg: "RS512", kid: "RS256" }, rs256), "TOKEN_ALG"],
  ["T-01 ES256 under the key of ES384", token({}, { alg: "ES256", kid: "ES384" }, es384), "TOKEN_ALG"],
  ["T-01 PS256", token({}, { alg: "PS256", kid: "RS256" }, rs256), "TOKEN_ALG"],
  ["T-01 alg that every object has", token({}, { alg: "constructor" }), "TOKEN_ALG"],
  ["T-02 an unknown kid", token({}, { kid: "ES257" }), "TOKEN_KEY"],
  ["T-02 no kid", tokenOf(es256, { alg: "ES256", typ: "JWT" }, CLAIMS), "TOKEN_KEY"],
  ["T-02 the kid of another issuer", token({}, { kid: "foreign" }, foreign), "TOKEN_KEY"],
  ["T-02 a kid with a path", token({}, { kid: "../../dev/null" }), "TOKEN_KEY"],
  ["T-02 a kid that every object has", token({}, { kid: "__proto__" }), "TOKEN_KEY"],
  [
    "T-02 a key that it brings along",
    token({}, { jwk: foreign.jwk }, { ...foreign, kid: "ES256" }),
    "TOKEN_KEY",
  ],
  ["T-02 a URL of keys", token({}, { jku: "https://idp.example/keys" }), "TOKEN_KEY"],
  ["T-02 a URL of certificates", token({}, { x5u: "https://idp.example/certificates" }), "TOKEN_KEY"],
  ["T-02 certificates", token({}, { x5c: ["MIIB"] }), "TOKEN_KEY"],
  ["T-02 a thumbprint", token({}, { x5t: "AAAA" }), "TOKEN_KEY"],
  ["T-03 crit", token({}, { crit: ["exp"] }), "TOKEN_FORMAT"],
  ["T-03 b64 false", token({}, { b64: false }), "TOKEN_FORMAT"],
  ["T-03 an unknown header", token({}, { cty: "JWT" }), "TOKEN_FORMAT"],
  [
    "T-03 a header with alg twice",
    tokenOf(es256, '{"alg":"ES256","alg":"ES256","typ":"JWT","kid":"ES256"}', CLAIMS),
    "TOKEN_FORMAT",
  ],
  [
    "T-03 a role twice, once spelled otherwise",
    token(`${JSON.stringify(CLAIMS).slice(0, -1)},"\\u0073ub":"operator"}`),
    "TOKEN_FORMAT",
  ],
  [
    "T-03 a member twice further in",
    token(`${JSON.stringify(CLAIMS).slice(0, -1)},"a":[{"b":1,"b":2}]}`),
    "TOKEN_FORMAT",
  ],
  ["T-03 claims that are a list", token("[]"), "TOKEN_FORMAT"],
  ["T-03 claims that are no JSON", token("{"), "TOKEN_FORMAT"],
  [
    "T-03 claims in another encoding",
    `${head}.${Buffer.from([0x7b, 0xff, 0x7d]).toString("base64url")}.${signature}`,
    "TOKEN_FORMAT",
  ],
  ["T-03 padding", `${head}.${body}.${signature}==`, "TOKEN_FORMAT"],
  ["T-03 a second spelling of the last character", `${head}.${body}.${twin(signature)}`, "TOKEN_FORMAT"],
  ["T-03 two parts", `${head}.${body}`, "TOKEN_FORMAT"],
  ["T-03 an empty payload", `${head}..${signature}`, "TOKEN_FORMAT"],
  ["T-03 a token of another type", token({}, { typ: "ID" }), "TOKEN_FORMAT"],
  ["T-03 a type in other case", token({}, { typ: "jwt" }), "TOKEN_FORMAT"],
  ["T-03 a session token of Assay", token({}, { typ: "assay-session+jwt" }), "TOKEN_FORMAT"],
  ["T-04 a signature of zeros", withSignature(new Uint8Array(64)), "TOKEN_SIGNATURE"],
  ["T-04 a signature in DER", withSignature(der), "TOKEN_SIGNATURE"],
  ["T-04 a byte behind the signature", withSignature(Buffer.concat([raw, Buffer.of(0)])), "TOKEN_SIGNATURE"],
  ["T-04 no signature", `${head}.${body}.`, "TOKEN_SIGNATURE"],
  [
    "T-04 a signature over other claims",
    `${head}.${toBase64Url(utf8(JSON.stringify({ ...CLAIMS, sub: "root" })))}.${signature}`,
    "TOKEN_SIGNATURE",
  ],
  [
    "T-04 a signature of another key",
    tokenOf({ ...foreign, kid: "ES256" }, headerOf(es256), CLAIMS),
    "TOKEN_SIGNATURE",
  ],
  ["T-05 five parts", `${head}.${body}.${signature}.${body}.${signature}`, "TOKEN_FORMAT"],
  ["T-05 compressed claims", token({}, { zip: "DEF" }), "TOKEN_FORMAT"],
  ["T-06 an issuer that nobody configured", token({ iss: "https://evil.example" }), "TOKEN_CLAIMS"],
  ["T-06 an issuer with a slash behind", token({ iss: "https://idp.example/" }), "TOKEN_CLAIMS"],
  ["T-06 no issuer", token({ iss: undefined }), "TOKEN_CLAIMS"],
  ["T-06 the other issuer's name under this one's key", token({ iss: "https://other.example" }), "TOKEN_KEY"],
  ["T-06 another audience", token({ aud: "billing" }), "TOKEN_CLAIMS"],
  ["T-06 another audience beside this one", token({ aud: ["assay", "billing"] }), "TOKEN_CLAIMS"],
  ["T-06 an empty list of audiences", token({ aud: [] }), "TOKEN_CLAIMS"],
  ["T-06 no audience", token({ aud: undefined }), "TOKEN_CLAIMS"],
  ["T-06 a token that is bound to a key", token({ cnf: { jkt: "AAAA" } }), "TOKEN_CLAIMS"],
  ["T-06 no subject", token({ sub: undefined }), "TOKEN_CLAIMS"],
  ["T-07 no exp", token({ exp: undefined }), "TOKEN_TIME"],
  ["T-07 no iat", token({ iat: undefined }), "TOKEN_TIME"],
  ["T-07 exp as text", token({ exp: String(NOW + 600) }), "TOKEN_TIME"],
  ["T-07 exp with a fraction", token({ exp: NOW + 600.5 }), "TOKEN_TIME"],
  [
    "T-07 exp beyond all numbers",
    token(JSON.stringify({ ...CLAIMS, exp: 0 }).replace(/"exp":0/, '"exp":1e999')),
    "TOKEN_TIME",
  ],
  ["T-07 a negative iat", token({ iat: -1, exp: 3000 }), "TOKEN_TIME"],
  ["T-07 nbf as text", token({ nbf: "now" }), "TOKEN_TIME"],
  ["T-07 nbf in the future", token({ nbf: NOW + 31 }), "TOKEN_TIME"],
  ["T-07 a life that is too long", token({ iat: NOW - 60, exp: NOW - 60 + 3601 }), "TOKEN_TIME"],
  ["T-07 a token that is over", token({ iat: NOW - 600, exp: NOW - 31 }), "TOKEN_TIME"],
]
for (const [name, text, code] of refused)
  test(`refuses ${name}`, () => {
    const error = throwsCode(() => know(text), code)
    assert.not.match(error.message, /edge-1|eyJ/)
  })
/** The same bytes with another last character, whose spare bits are not zero. */
function twin(base64url: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
  return base64url.slice(0, -1) + (alphabet[alphabet.indexOf(base64url.slice(-1)) + 1] ?? "")
}

const subjects: [name: string, sub: unknown][] = [
  ["an empty name", ""],
  ["a space", "edge 1"],
  ["a line feed", "edge\n1"],
  ["a terminal's escape", "\u001b[2Jedge"],
  ["a Cyrillic letter", "\u0435dge"],
  ["a letter in another normal form", "cafe\u0301"],
  ["a NUL", "edge\0"],
  ["256 characters", "e".repeat(256)],
  ["a number", 7],
  ["a list", ["edge"]],
]
for (const [name, sub] of subjects)
  test(`refuses G-12 a token whose subject is ${name}`, () => {
    throwsCode(() => know(token({ sub })), "TOKEN_CLAIMS")
  })

const ROLES: TokenRule["role"] = {
  kind: "claim",
  claim: "roles",
  values: new Map([
    ["assay-ops", "operator"],
    ["assay-admins", "operator"],
    ["assay-audit", "auditor"],
  ]),
}
const TENANTS = { kind: "claim", claim: "org", values: new Map([["Acme Ltd.", "acme"]]) } as const
const mapped = knowing([ruleOf({ role: ROLES, tenant: TENANTS })])
test("reads role and tenant from claims, as the operator has said what they mean", () => {
  const { role, tenant } = mapped(token({ roles: ["users", "assay-ops", "assay-admins"], org: "Acme Ltd." }))
  assert.equal([role, tenant], ["operator", "acme"])
})
const meanings: [name: string, claims: object][] = [
  ["no role", { org: "Acme Ltd." }],
  ["a role that means nothing here", { roles: ["admin"], org: "Acme Ltd." }],
  ["the name of a role that is none of its values", { roles: "operator", org: "Acme Ltd." }],
  ["two roles", { roles: ["assay-ops", "assay-audit"], org: "Acme Ltd." }],
  ["a role in an object", { roles: { "assay-ops": true }, org: "Acme Ltd." }],
  ["no tenant", { roles: "assay-ops" }],
  ["a tenant's own name", { roles: "assay-ops", org: "acme" }],
  ["a tenant in other case", { roles: "assay-ops", org: "ACME LTD." }],
]
for (const [name, claims] of meanings)
  test(`refuses T-06 a token with ${name}`, () => {
    throwsCode(() => mapped(token(claims)), "TOKEN_CLAIMS")
  })
test("refuses T-06 a claim that every object has, in place of a role", () => {
  const inherited = knowing([ruleOf({ role: { ...ROLES, claim: "constructor" } })])
  throwsCode(() => inherited(token()), "TOKEN_CLAIMS")
})

test("remembers a token until it ends, its issuer's keys change or its rule does", () => {
  let at = AT
  let rules = [RULE, OTHER]
  const again = createKnowBearer(
    () => rules,
    () => at,
  )
  const text = token()
  const first = again(text)
  assert.is(again(text), first, "the same object: nothing was verified anew")
  at = new Date((NOW + 630) * 1000 - 1)
  assert.is(again(text), first)
  at = new Date((NOW + 630) * 1000)
  throwsCode(() => again(text), "TOKEN_TIME")
  at = AT
  again(text)
  rules = [ruleOf({ keys: prepareForeignKeySet({ keys: [foreign.jwk] }) }), OTHER]
  throwsCode(() => again(text), "TOKEN_KEY")
  rules = [ruleOf({ role: { kind: "fixed", value: "auditor" } }), OTHER]
  assert.is(again(text).role, "auditor")
})
test.run()
