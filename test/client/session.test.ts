import { createHmac, createPrivateKey, hash, sign } from "node:crypto"
import * as fc from "fast-check"
import { CompactEncrypt, createLocalJWKSet, jwtVerify } from "jose"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toBase64Url, utf8 } from "../../src/bytes.ts"
import { prepareKeySet, type SessionTokenOptions, verifySessionToken } from "../../src/client/index.ts"
import { AssayError, type Code } from "../../src/errors.ts"
import { character } from "../support/arbitrary.ts"
import { throwsCode } from "../support/assert.ts"
import { rsaPair } from "../support/rsa.ts"
import { SIGNER_TIME, signedToken, testSigner, tokenHeader } from "../support/signer.ts"

const test = suite("verifySessionToken")

const ec = testSigner("ES256")
const ed = testSigner("EdDSA")
const stranger = testSigner("ES256")
const jwks = { keys: [...ec.jwks.keys, ...ed.jwks.keys] }
const now = SIGNER_TIME.getTime() / 1000
const options: SessionTokenOptions = {
  keys: prepareKeySet(jwks),
  issuer: "https://assay.example",
  audience: "orders",
  at: SIGNER_TIME,
}
const digest = hash("sha256", "a certificate", "buffer")
const x5t = toBase64Url(digest)

const claims2023 = {
  iss: "https://assay.example",
  sub: "device-1",
  aud: "orders",
  iat: now - 10,
  nbf: now - 10,
  exp: now + 290,
  jti: "0f8fad5b",
  tenant: "default",
  device_revision: 3,
  eat_profile: "tag:github.com,2023:veraison/ear",
  "ear.verifier-id": { developer: "Assay", build: "0.1.0" },
  submods: {
    tpm: {
      "ear.status": "affirming",
      "ear.trustworthiness-vector": { "instance-identity": 2, executables: 3 },
      "ear.appraisal-policy-id": "boot/1",
    },
  },
}
const appraisal2026 = {
  ear_status: "warning",
  ear_trustworthiness_vector: { executables: 33 },
  ear_appraisal_policy_ids: ["boot/1"],
}
const { "ear.verifier-id": verifier, ...common } = claims2023
const claims2026 = {
  ...common,
  eat_profile: "tag:ietf.org,2026:rats/ear#03",
  ear_verifier_id: verifier,
  ear_status: "warning",
  submods: { tpm: appraisal2026 },
}

/** A token by the ES256 key with some claims exchanged; a claim that is `undefined` is left out. */
const tokenWith = (changes: object, base: object = claims2023): string =>
  signedToken(ec, tokenHeader(ec), { ...base, ...changes })
const token = tokenWith({})
const [headerPart = "", payloadPart = "", signaturePart = ""] = token.split(".")
const part = (text: string): string => toBase64Url(utf8(text))

/** A token by the ES256 key, whatever its header says. */
const tokenHeaded = (header: object | string): string => signedToken(ec, header, claims2023)

const refuses = (name: string, bad: string, code: Code, changes: Partial<SessionTokenOptions> = {}): void =>
  test(`refuses ${name}`, () => {
    throwsCode(() => verifySessionToken(bad, { ...options, ...changes }), code)
  })

for (const signer of [ec, ed])
  for (const [form, claims] of [
    ["2023", claims2023],
    ["2026", claims2026],
  ] as const)
    test(`accepts a session token in ${signer.algorithm} and the EAR form of ${form}, as jose does`, async () => {
      const good = signedToken(signer, tokenHeader(signer), claims)
      assert.equal(verifySessionToken(good, options), {
        issuer: "https://assay.example",
        audience: "orders",
        id: "0f8fad5b",
        device: "device-1",
        tenant: "default",
        deviceRevision: 3,
        issuedAt: new Date((now - 10) * 1000),
        expiresAt: new Date((now + 290) * 1000),
        tier: form === "2023" ? "affirming" : "warning",
        vector: form === "2023" ? { "instance-identity": 2, executables: 3 } : { executables: 33 },
        policies: ["boot/1"],
        confirmation: undefined,
      })
      const judged = await jwtVerify(
        good,
        createLocalJWKSet({ keys: jwks.keys.map((key) => ({ ...key })) }),
        {
          algorithms: [signer.algorithm],
          issuer: options.issuer,
          audience: options.audience,
          typ: "assay-session+jwt",
          requiredClaims: ["iat", "nbf", "exp", "jti", "sub"],
          currentDate: SIGNER_TIME,
        },
      )
      assert.equal(judged.payload, claims)
    })

test("accepts a key set that was not prepared", () => {
  assert.is(verifySessionToken(token, { ...options, keys: jwks }).id, "0f8fad5b")
})

test("accepts names in any script", () => {
  assert.is(verifySessionToken(tokenWith({ sub: "Gerät-7 \u{1f512}" }), options).device, "Gerät-7 \u{1f512}")
})

const publicPem = ec.key.publicKey.export({ type: "spki", format: "pem" }).toString()
const hmacToken = (secret: string | Uint8Array): string => {
  const input = `${part(JSON.stringify({ alg: "HS256", kid: ec.keyId, typ: "assay-session+jwt" }))}.${payloadPart}`
  return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`
}
const rsaToken = (): string => {
  const input = `${part(JSON.stringify({ alg: "RS256", kid: ec.keyId, typ: "assay-session+jwt" }))}.${payloadPart}`
  const { privateKey } = rsaPair()
  return `${input}.${toBase64Url(sign("sha256", utf8(input), privateKey))}`
}
const { kid, typ } = tokenHeader(ec)
for (const [name, bad] of [
  ["alg none", tokenHeaded({ alg: "none", kid, typ })],
  ["alg none without a signature", `${part(JSON.stringify({ alg: "none", kid, typ }))}.${payloadPart}.`],
  ["alg None", tokenHeaded({ alg: "None", kid, typ })],
  ["alg nOnE", tokenHeaded({ alg: "nOnE", kid, typ })],
  ["no alg", tokenHeaded({ kid, typ })],
  ["alg none and no kid", tokenHeaded({ alg: "none", typ })],
  ["an empty alg", tokenHeaded({ alg: "", kid, typ })],
  ["alg null", tokenHeaded({ alg: null, kid, typ })],
  ["a list of algs", tokenHeaded({ alg: ["ES256"], kid, typ })],
  ["alg es256 in small letters", tokenHeaded({ alg: "es256", kid, typ })],
  ["HS256 keyed with the public key in PEM", hmacToken(publicPem)],
  ["HS256 keyed with the coordinate of the public key", hmacToken(ec.key.publicJwk.x)],
  ["HS256 keyed with nothing", hmacToken("")],
  ["RS256 by a key of its own", rsaToken()],
  ["ES384 over a P-256 key", tokenHeaded({ alg: "ES384", kid, typ })],
  ["ES256K over a P-256 key", tokenHeaded({ alg: "ES256K", kid, typ })],
  ["EdDSA under the kid of the P-256 key", signedToken(ed, { alg: "EdDSA", kid, typ }, claims2023)],
  ["ES256 under the kid of the Ed25519 key", tokenHeaded({ alg: "ES256", kid: ed.keyId, typ })],
  ["Ed25519 by its new name", signedToken(ed, { alg: "Ed25519", kid: ed.keyId, typ }, claims2023)],
  ["a JWE algorithm in three parts", tokenHeaded({ alg: "PBES2-HS256+A128KW", kid, typ })],
] as const)
  refuses(`T-01 ${name}`, bad, "TOKEN_ALG")

const alg = "ES256"
const strangeKid = stranger.keyId
for (const [name, bad] of [
  ["a kid with a path", tokenHeaded({ alg, kid: "../../../dev/null", typ })],
  ["a kid with SQL", tokenHeaded({ alg, kid: "' UNION SELECT 'key", typ })],
  ["a kid of __proto__", tokenHeaded(`{"alg":"ES256","kid":"__proto__","typ":"assay-session+jwt"}`)],
  ["a kid of constructor", tokenHeaded({ alg, kid: "constructor", typ })],
  ["an unknown kid", tokenHeaded({ alg, kid: strangeKid, typ })],
  ["the kid of a stranger's good token", signedToken(stranger, tokenHeader(stranger), claims2023)],
  ["no kid", tokenHeaded({ alg, typ })],
  ["an empty kid", tokenHeaded({ alg, kid: "", typ })],
  ["a kid that is no text", tokenHeaded({ alg, kid: 0, typ })],
  ["a kid with a space after it", tokenHeaded({ alg, kid: `${kid} `, typ })],
  ["a key in the header", signedToken(stranger, { alg, kid, typ, jwk: stranger.key.publicJwk }, claims2023)],
  [
    "a key in the header and no kid",
    signedToken(stranger, { alg, typ, jwk: stranger.key.publicJwk }, claims2023),
  ],
  ["an address of a key set", tokenHeaded({ alg, kid, typ, jku: "https://evil.example/jwks.json" })],
  ["an address of a certificate", tokenHeaded({ alg, kid, typ, x5u: "https://evil.example/cert.pem" })],
  ["certificates", tokenHeaded({ alg, kid, typ, x5c: ["MIIB"] })],
  ["a certificate's thumbprint", tokenHeaded({ alg, kid, typ, "x5t#S256": x5t })],
] as const)
  refuses(`T-02 ${name}`, bad, "TOKEN_KEY")
refuses("T-02 a retired key", token, "TOKEN_KEY", { keys: ed.jwks })
refuses("T-02 every token by an empty key set", token, "TOKEN_KEY", { keys: { keys: [] } })
refuses("T-02 every token by an object that only inherits its keys", token, "TOKEN_KEY", {
  keys: { keys: [Object.create(ec.key.publicJwk)] },
})

const payloadText = JSON.stringify(claims2023)
const signedText = (payload: string): string => signedToken(ec, tokenHeader(ec), payload)
const goodHeader = JSON.stringify(tokenHeader(ec))
for (const [name, bad] of [
  ["an unknown crit", tokenHeaded({ alg, kid, typ, crit: ["exp"], exp: 1 })],
  ["an empty crit", tokenHeaded({ alg, kid, typ, crit: [] })],
  ["b64 false", tokenHeaded({ alg, kid, typ, b64: false, crit: ["b64"] })],
  ["b64 true", tokenHeaded({ alg, kid, typ, b64: true })],
  ["cty of a nested token", tokenHeaded({ alg, kid, typ, cty: "JWT" })],
  ["an unknown header member", tokenHeaded({ alg, kid, typ, "": 0 })],
  ["a header member __proto__", tokenHeaded(`${goodHeader.slice(0, -1)},"__proto__":{"alg":"none"}}`)],
  ["alg twice in the header", tokenHeaded(goodHeader.replace("{", '{"alg":"none",'))],
  ["kid twice in the header", tokenHeaded(goodHeader.replace("}", `,"kid":"${kid}"}`))],
  ["white space in the header", tokenHeaded(goodHeader.replace(":", ": "))],
  ["white space after the header", tokenHeaded(`${goodHeader}\n`)],
  ["an escape in the header", tokenHeaded(goodHeader.replace("alg", "\\u0061lg"))],
  ["a byte order mark in the header", tokenHeaded(`\ufeff${goodHeader}`)],
  ["a header that is a list", tokenHeaded(`[${goodHeader}]`)],
  ["a header that is null", tokenHeaded("null")],
  ["a header that is no JSON", tokenHeaded("{alg:ES256}")],
  ["a header of 10000 brackets", tokenHeaded("[".repeat(10_000))],
  ["an empty header", `.${payloadPart}.${signaturePart}`],
  ["no payload", `${headerPart}..${signaturePart}`],
  ["a claim twice", signedText(payloadText.replace("{", '{"sub":"device-2",'))],
  [
    "a claim twice, in submods",
    signedText(payloadText.replace('{"ear.status"', '{"ear.status":"none","ear.status"')),
  ],
  ["white space in the payload", signedText(payloadText.replace(",", ", "))],
  ["an escape in the payload", signedText(payloadText.replace("orders", "\\u006frders"))],
  ["a payload that is text", signedText('"claims"')],
  ["a payload that is a list", signedText(`[${payloadText}]`)],
  ["a payload that is a token", signedText(token)],
  ["a payload of 8000 brackets", signedText("[".repeat(8000))],
  ["padding", `${token}=`],
  ["padding in the header", token.replace(".", "=.")],
  ["a line feed at the end", `${token}\n`],
  ["a space in front", ` ${token}`],
  ["the alphabet of plain base64", `${headerPart}.${payloadPart}.${"+".repeat(86)}`],
  ["a letter that only looks like one of the alphabet", token.replace("e", "\u0435")],
  ["a character that is one of the alphabet in its low byte", token.replace("e", "\u0165")],
  ["bits to spare in the signature", `${token.slice(0, -1)}${token.endsWith("A") ? "B" : "z"}`],
  ["two parts", `${headerPart}.${payloadPart}`],
  ["four parts", `${token}.`],
  ["a dot in front", `.${token}`],
  ["nothing", ""],
  ["dots alone", ".."],
  ["a scheme in front", `Bearer ${token}`],
  [
    "the flattened JSON serialization",
    JSON.stringify({ protected: headerPart, payload: payloadPart, signature: signaturePart }),
  ],
  [
    "the general JSON serialization",
    JSON.stringify({
      payload: payloadPart,
      signatures: [{ protected: headerPart, signature: signaturePart }],
    }),
  ],
  ["more than 16384 characters", tokenWith({ sub: "x".repeat(13_000) })],
] as const)
  refuses(`T-03 ${name}`, bad, "TOKEN_FORMAT")

test("refuses T-03 a payload that is not UTF-8", () => {
  const input = `${headerPart}.${toBase64Url(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d))}`
  const bad = `${input}.${toBase64Url(ec.sign(utf8(input)))}`
  throwsCode(() => verifySessionToken(bad, options), "TOKEN_FORMAT")
})

const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const L = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3edn
const scalar = (value: bigint): string => value.toString(16).padStart(64, "0")
const withSignature = (hex: string, of = token): string =>
  `${of.slice(0, of.lastIndexOf("."))}.${Buffer.from(hex, "hex").toString("base64url")}`
const signatureHex = Buffer.from(signaturePart, "base64url").toString("hex")
const r = signatureHex.slice(0, 64)
const s = signatureHex.slice(64)
const der = sign(
  "sha256",
  utf8(`${headerPart}.${payloadPart}`),
  createPrivateKey(ec.key.privateKey.export({ type: "pkcs8", format: "pem" })),
)
/** A good token but for one byte: the zero that its s begins with. */
const shortened = ((): string => {
  for (let jti = 0; ; jti++) {
    const found = tokenWith({ jti: `${jti}` })
    const raw = Buffer.from(found.split(".")[2] ?? "", "base64url")
    if (raw[32] === 0) return withSignature(raw.toString("hex", 0, 32) + raw.toString("hex", 33), found)
  }
})()
const edToken = signedToken(ed, tokenHeader(ed), claims2023)
const edHex = Buffer.from(edToken.split(".")[2] ?? "", "base64url").toString("hex")
const edS = BigInt(`0x${Buffer.from(edHex.slice(64), "hex").reverse().toString("hex")}`)
const edTwin = Buffer.from(scalar(edS + L), "hex")
  .reverse()
  .toString("hex")
for (const [name, bad] of [
  ["r = s = 0", withSignature("00".repeat(64))],
  ["r = 0", withSignature(scalar(0n) + s)],
  ["s = 0", withSignature(r + scalar(0n))],
  ["r = s = 1", withSignature(scalar(1n) + scalar(1n))],
  ["r = n", withSignature(scalar(N) + s)],
  ["s = n", withSignature(r + scalar(N))],
  ["s + 1", withSignature(r + scalar(BigInt(`0x${s}`) + 1n))],
  ["n - r", withSignature(scalar(N - BigInt(`0x${r}`)) + s)],
  ["s and r", withSignature(s + r)],
  ["all ones", withSignature("ff".repeat(64))],
  ["DER instead of r and s", withSignature(der.toString("hex"))],
  ["one byte too many", withSignature(`${signatureHex}00`)],
  ["one byte too many in front", withSignature(`00${signatureHex}`)],
  ["one byte too few", withSignature(signatureHex.slice(2))],
  ["r and s of 33 bytes each", withSignature(`00${r}00${s}`)],
  ["s of 33 bytes", withSignature(`${r}00${s}`)],
  ["s without its leading zero", shortened],
  ["no signature", withSignature("")],
  ["the signature twice", withSignature(signatureHex + signatureHex)],
  ["the signature of another token", withSignature(Buffer.from(ec.sign(utf8("other"))).toString("hex"))],
  ["another key's signature under our kid", signedToken(stranger, tokenHeader(ec), claims2023)],
  ["an Ed25519 signature with S + L", withSignature(edHex.slice(0, 64) + edTwin, edToken)],
  ["a blank Ed25519 signature", withSignature("00".repeat(64), edToken)],
  ["an Ed25519 signature with the neutral point", withSignature(`01${"00".repeat(63)}`, edToken)],
  ["an Ed25519 signature that is one byte longer", withSignature(`${edHex}00`, edToken)],
] as const)
  refuses(`T-04 ${name}`, bad, "TOKEN_SIGNATURE")

test("accepts the twin (r, n - s) of T-04 as the same token, by its jti", () => {
  const twin = withSignature(r + scalar(N - BigInt(`0x${s}`)))
  assert.is.not(twin, token)
  assert.equal(verifySessionToken(twin, options), verifySessionToken(token, options))
})

for (const [name, header] of [
  ["zip", { alg, kid, typ, zip: "DEF" }],
  ["zip of nothing", { alg, kid, typ, zip: "" }],
  ["enc", { alg, kid, typ, enc: "A256GCM" }],
  ["a huge p2c", { alg, kid, typ, p2c: 2 ** 31, p2s: "AAAA" }],
  ["an ephemeral key", { alg, kid, typ, epk: { kty: "EC" } }],
] as const)
  refuses(`T-05 a token with ${name}`, tokenHeaded(header), "TOKEN_FORMAT")
for (const [name, bad] of [
  ["of five empty parts", "...."],
  [
    "of our header in five parts",
    `${headerPart}.${payloadPart}.${payloadPart}.${payloadPart}.${signaturePart}`,
  ],
  [
    "with PBES2 and a huge p2c",
    `${part(JSON.stringify({ alg: "PBES2-HS512+A256KW", enc: "A256GCM", p2c: 2 ** 31, p2s: "AAAA" }))}.AA.AA.AA.AA`,
  ],
] as const)
  refuses(`T-05 a JWE ${name}`, bad, "TOKEN_FORMAT")
test("refuses T-05 a JWE that jose made, compressed in its header or not", async () => {
  for (const header of [
    { alg: "dir", enc: "A256GCM" },
    { alg: "dir", enc: "A256GCM", kid },
  ]) {
    const jwe = await new CompactEncrypt(utf8(token)).setProtectedHeader(header).encrypt(digest)
    throwsCode(() => verifySessionToken(jwe, options), "TOKEN_FORMAT")
  }
})

for (const [name, changes] of [
  ["another audience", { aud: "billing" }],
  ["a list with our audience", { aud: ["orders"] }],
  ["our audience in capitals", { aud: "Orders" }],
  ["our audience with a slash", { aud: "orders/" }],
  ["no audience", { aud: undefined }],
  ["another issuer", { iss: "https://evil.example" }],
  ["our issuer with a slash", { iss: "https://assay.example/" }],
  ["no issuer", { iss: undefined }],
  ["an issuer in a list", { iss: ["https://assay.example"] }],
  ["no jti", { jti: undefined }],
  ["an empty jti", { jti: "" }],
  ["a jti that is a number", { jti: 1 }],
  ["no device", { sub: undefined }],
  ["an empty device", { sub: "" }],
  ["no tenant", { tenant: undefined }],
  ["a tenant that is a list", { tenant: ["default"] }],
  ["no device revision", { device_revision: undefined }],
  ["a device revision that is text", { device_revision: "3" }],
  ["a negative device revision", { device_revision: -1 }],
  ["half a device revision", { device_revision: 1.5 }],
  ["a confirmation that nobody proved", { cnf: { "x5t#S256": x5t } }],
  ["a confirmation by jkt that nobody proved", { cnf: { jkt: x5t } }],
  ["an empty confirmation", { cnf: {} }],
  ["a confirmation that is null", { cnf: null }],
  ["no profile", { eat_profile: undefined }],
  ["an unknown profile", { eat_profile: "tag:example.org,2020:ear" }],
  ["the profile of the other form", { eat_profile: "tag:ietf.org,2026:rats/ear#03" }],
  ["no submods", { submods: undefined }],
  ["empty submods", { submods: {} }],
  ["submods that are a list", { submods: [claims2023.submods.tpm] }],
  ["submods without our own", { submods: { other: claims2023.submods.tpm } }],
] as const)
  refuses(`T-06 ${name}`, tokenWith(changes), "TOKEN_CLAIMS")

const submod2023 = (changes: object) => ({ submods: { tpm: { ...claims2023.submods.tpm, ...changes } } })
for (const [name, bad] of [
  ["a contraindicated device", tokenWith(submod2023({ "ear.status": "contraindicated" }))],
  ["a device of no tier", tokenWith(submod2023({ "ear.status": "none" }))],
  ["a status as a number", tokenWith(submod2023({ "ear.status": 2 }))],
  ["a status in capitals", tokenWith(submod2023({ "ear.status": "Affirming" }))],
  ["no status", tokenWith(submod2023({ "ear.status": undefined }))],
  ["no vector", tokenWith(submod2023({ "ear.trustworthiness-vector": undefined }))],
  ["a vector of text", tokenWith(submod2023({ "ear.trustworthiness-vector": { executables: "2" } }))],
  ["a vector beyond 8 bits", tokenWith(submod2023({ "ear.trustworthiness-vector": { executables: 128 } }))],
  ["no policy", tokenWith(submod2023({ "ear.appraisal-policy-id": undefined }))],
  ["an empty policy", tokenWith(submod2023({ "ear.appraisal-policy-id": "" }))],
  [
    "a second submodule that is contraindicated",
    tokenWith({ submods: { ...claims2023.submods, ima: { "ear.status": "contraindicated" } } }),
  ],
  ["a second submodule of no status", tokenWith({ submods: { ...claims2023.submods, ima: {} } })],
  ["a worse status at the top", tokenWith({ ear_status: "contraindicated" }, claims2026)],
  ["an unknown status at the top", tokenWith({ ear_status: null }, claims2026)],
  [
    "an empty list of policies",
    tokenWith({ submods: { tpm: { ...appraisal2026, ear_appraisal_policy_ids: [] } } }, claims2026),
  ],
  [
    "a list with an empty policy",
    tokenWith({ submods: { tpm: { ...appraisal2026, ear_appraisal_policy_ids: ["a", ""] } } }, claims2026),
  ],
  ["the old status under the new profile", tokenWith({ submods: claims2023.submods }, claims2026)],
] as const)
  refuses(`T-06 ${name}`, bad, "TOKEN_CLAIMS")

for (const type of [
  "ear+jwt",
  "assay-epoch+jwt",
  "assay-key+jwt",
  "JWT",
  "at+jwt",
  "ASSAY-SESSION+JWT",
  "",
  7,
])
  refuses(
    `T-06 a token of type ${JSON.stringify(type)}`,
    tokenHeaded({ alg, kid, typ: type }),
    "TOKEN_FORMAT",
  )
refuses("T-06 a token of no type", tokenHeaded({ alg, kid }), "TOKEN_FORMAT")

const bound = tokenWith({ cnf: { "x5t#S256": x5t } })
const boundByJkt = tokenWith({ cnf: { jkt: x5t } })
const proven = { method: "x5t#S256", digest } as const
test("accepts a bound token with its key, or for the caller to compare", () => {
  for (const confirmation of [proven, "checked-elsewhere"] as const)
    assert.equal(verifySessionToken(bound, { ...options, confirmation }).confirmation, {
      method: "x5t#S256",
      digest: new Uint8Array(digest),
    })
  const byJkt = verifySessionToken(boundByJkt, { ...options, confirmation: { method: "jkt", digest } })
  assert.is(byJkt.confirmation?.method, "jkt")
  assert.is(
    verifySessionToken(token, { ...options, confirmation: "checked-elsewhere" }).confirmation,
    undefined,
  )
})
const otherDigest = hash("sha256", "another certificate", "buffer")
for (const [name, bad, confirmation] of [
  ["a stolen token with another key", bound, { method: "x5t#S256", digest: otherDigest }],
  ["a key of another method", bound, { method: "jkt", digest }],
  ["a certificate where a key was bound", boundByJkt, proven],
  ["a shorter digest", bound, { method: "x5t#S256", digest: digest.subarray(0, 31) }],
  ["no digest", bound, { method: "x5t#S256", digest: new Uint8Array() }],
  ["a bearer token where a key was proven", token, proven],
  ["two methods", tokenWith({ cnf: { "x5t#S256": x5t, jkt: x5t } }), proven],
  ["an unknown method", tokenWith({ cnf: { kid: x5t } }), "checked-elsewhere"],
  ["a key in full", tokenWith({ cnf: { jwk: ec.key.publicJwk } }), "checked-elsewhere"],
  [
    "a digest of 31 bytes in the token",
    tokenWith({ cnf: { jkt: toBase64Url(digest.subarray(1)) } }),
    "checked-elsewhere",
  ],
  ["a digest with padding in the token", tokenWith({ cnf: { jkt: `${x5t}=` } }), "checked-elsewhere"],
  ["a digest that is no text", tokenWith({ cnf: { jkt: [x5t] } }), "checked-elsewhere"],
  ["a confirmation that is a list", tokenWith({ cnf: [x5t] }), "checked-elsewhere"],
] as const)
  refuses(`T-06 ${name}`, bad, "TOKEN_CLAIMS", { confirmation })

/** So that it is not the length of the life that refuses. */
const anyLife = { lifetimeSecondsMax: Number.MAX_SAFE_INTEGER }
for (const name of ["iat", "nbf", "exp"])
  for (const [what, value] of [
    ["absent", undefined],
    ["null", null],
    ["text", `${now}`],
    ["a fraction", now + 0.5],
    ["negative", -1],
    ["2^53", 2 ** 53],
    ["beyond every date", 8_640_000_000_001],
    ["a list", [now]],
    ["true", true],
  ] as const)
    refuses(`T-07 ${name} that is ${what}`, tokenWith({ [name]: value }), "TOKEN_TIME", anyLife)
refuses("T-07 an exponent", signedText(payloadText.replace(`${now + 290}`, "1e+300")), "TOKEN_TIME")
for (const [name, changes] of [
  ["a token that expires now", { exp: now }],
  ["a token that has expired", { exp: now - 1 }],
  ["a token that was issued in the future", { iat: now + 1, nbf: now + 1 }],
  ["a token that is not valid yet", { nbf: now + 1 }],
  ["nbf before iat", { nbf: now - 11 }],
  ["exp before nbf", { iat: now - 20, nbf: now - 5, exp: now - 10 }],
  ["exp in milliseconds", { exp: (now + 290) * 1000 }],
  ["a life of more than a day", { exp: now - 10 + 86_401 }],
] as const)
  refuses(`T-07 ${name}`, tokenWith(changes), "TOKEN_TIME")
refuses("T-07 a longer life than the caller grants", token, "TOKEN_TIME", { lifetimeSecondsMax: 299 })
refuses("T-07 a token after the clock was set back", token, "TOKEN_TIME", { at: new Date((now - 11) * 1000) })
refuses("T-07 a token when the clock has moved on", token, "TOKEN_TIME", { at: new Date((now + 290) * 1000) })
refuses(
  "T-07 exp before nbf, both within the tolerance",
  tokenWith({ nbf: now + 30, exp: now + 20 }),
  "TOKEN_TIME",
  {
    clockToleranceSeconds: 60,
  },
)
refuses("T-07 a token beyond the tolerance", tokenWith({ exp: now - 60 }), "TOKEN_TIME", {
  clockToleranceSeconds: 60,
})

test("accepts each bound of T-07 to the millisecond, and the tolerance when it is asked for", () => {
  const at = (seconds: number, more: object = {}) =>
    verifySessionToken(token, { ...options, at: new Date(seconds * 1000), ...more }).id
  assert.ok(at(now - 10))
  assert.ok(at(now + 289.999))
  assert.ok(at(now, { lifetimeSecondsMax: 300 }))
  assert.ok(at(now - 70, { clockToleranceSeconds: 60 }))
  assert.ok(at(now + 349.999, { clockToleranceSeconds: 60 }))
})

for (const [name, changes] of [
  ["an invalid date", { at: new Date(Number.NaN) }],
  ["a negative tolerance", { clockToleranceSeconds: -1 }],
  ["a tolerance of more than a minute", { clockToleranceSeconds: 61 }],
  ["a tolerance that is no number", { clockToleranceSeconds: Number.NaN }],
  ["no end to life", { lifetimeSecondsMax: Number.POSITIVE_INFINITY }],
  ["an empty audience", { audience: "" }],
  ["an empty issuer", { issuer: "" }],
] as const)
  test(`throws a TypeError for ${name}`, () =>
    assert.throws(
      () => verifySessionToken(token, { ...options, ...changes }),
      (error: unknown) => error instanceof TypeError,
    ))

const CODES: readonly Code[] = ["TOKEN_FORMAT", "TOKEN_ALG", "TOKEN_KEY", "TOKEN_SIGNATURE"]
for (const [name, good] of [
  ["an ES256 token", token],
  ["an EdDSA token", edToken],
] as const) {
  test(`refuses ${name} with any one character changed, left out or added`, () => {
    fc.assert(
      fc.property(
        fc.nat(good.length - 1),
        fc.oneof(fc.constantFrom(..."ABab019-_.=+/ \n\0é"), character),
        fc.constantFrom(0, 1),
        (at, character, removed) => {
          const bad = good.slice(0, at) + character + good.slice(at + removed)
          if (bad !== good) throwsCode(() => verifySessionToken(bad, options), CODES)
          throwsCode(() => verifySessionToken(good.slice(0, at), options), CODES)
        },
      ),
      { numRuns: 1000 },
    )
  })
  test(`refuses ${name} with any one character exchanged for its neighbor`, () => {
    for (let at = 0; at < good.length; at++) {
      const bad = good.slice(0, at) + (good[at] === "A" ? "B" : "A") + good.slice(at + 1)
      throwsCode(() => verifySessionToken(bad, options), CODES)
    }
  })
}

test("refuses whatever else it is given with a coded error", () => {
  fc.assert(
    fc.property(fc.string({ unit: character }), fc.jsonValue(), fc.jsonValue(), (text, header, payload) => {
      for (const bad of [
        text,
        `${text}.${text}.${text}`,
        signedToken(ec, { ...Object(header) }, Object(payload)),
      ])
        assert.ok(codeOf(bad)?.startsWith("TOKEN_"))
      assert.ok(codeOf(signedToken(ec, tokenHeader(ec), Object(payload)))?.startsWith("TOKEN_"))
    }),
    { numRuns: 300 },
  )
})

const codeOf = (bad: string): Code | undefined => {
  try {
    verifySessionToken(bad, options)
    return undefined
  } catch (error) {
    if (error instanceof AssayError) return error.code
    throw error
  }
}

test("repeats nothing of the token in its errors", () => {
  const error = throwsCode(
    () => verifySessionToken(tokenWith({ sub: "", jti: "a-secret" }), options),
    "TOKEN_CLAIMS",
  )
  assert.not(
    JSON.stringify([error.message, error.location, error.expected, error.actual]).includes("a-secret"),
  )
})

test.run()
