import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, fromHex, toHex } from "../../../src/bytes.ts"
import type { Code } from "../../../src/errors.ts"
import { parseSignature, schemeName } from "../../../src/evidence/tpm/signature.ts"
import { patched, tpm2b, u16, withTrailing } from "../../fixtures/evidence/build.ts"
import { refusesEveryPrefix, survivesAnything } from "../../fixtures/evidence/hostile.ts"
import { throwsCode } from "../../support/assert.ts"
import { QUOTE_FIXTURES, quoteFixture } from "../../support/fixtures.ts"
import { needs, vector, vectorJson } from "../../support/vectors.ts"

const test = suite("parseSignature")
const withVectors = needs("vectors", test)

const rsa = quoteFixture("rsa2048-sha256").signature
const ecdsa = quoteFixture("p256-sha256").signature
/** Where the sizes of `ecdsa`, 72 bytes long, are. */
const AT = { r: 4, s: 38 }

const ecdsaOf = (r: Uint8Array, s: Uint8Array): Uint8Array =>
  concat(u16(0x0018), u16(0x000b), tpm2b(r), tpm2b(s))

for (const name of QUOTE_FIXTURES)
  test(`accepts the signature of ${name}`, () => {
    const { signature, expected } = quoteFixture(name)
    const parsed = parseSignature(signature)
    assert.is(parsed.kind, expected.scheme)
    if (parsed.kind === "unsupported") throw new Error("unsupported")
    assert.is(parsed.hash, expected.hash)
    const values = parsed.kind === "ecdsa" ? [parsed.r, parsed.s] : [parsed.value]
    // Re-encoded, it is the same bytes again.
    assert.equal(concat(signature.subarray(0, 4), ...values.map(tpm2b)), signature)
  })

test("accepts short and padded r and s as they are, for the curve is the verifier's to know", () => {
  const short = parseSignature(ecdsaOf(new Uint8Array(31).fill(1), new Uint8Array(1).fill(2)))
  assert.equal(short.kind === "ecdsa" && [short.r.length, short.s.length], [31, 1])
  const padded = parseSignature(ecdsaOf(new Uint8Array(66), new Uint8Array(0)))
  assert.equal(padded.kind === "ecdsa" && [padded.r.length, padded.s.length], [66, 0])
})

const unsupported: [name: string, hex: string, sigAlg: number, hashAlg: number | undefined][] = [
  ["HMAC", "0005000b", 0x0005, undefined],
  ["ECDAA", "001a000b", 0x001a, undefined],
  ["SM2", "001b0012", 0x001b, undefined],
  ["NULL", "0010", 0x0010, undefined],
  ["a DER sequence in its place", "30450220", 0x3045, undefined],
  ["ECDSA over SM3", "00180012", 0x0018, 0x0012],
  ["RSASSA over SHA3-256", "00140027", 0x0014, 0x0027],
]
for (const [name, hex, sigAlg, hashAlg] of unsupported)
  test(`says Q-13 that it does not support ${name}`, () =>
    assert.equal(parseSignature(fromHex(hex) ?? rsa), { kind: "unsupported", sigAlg, hashAlg }))

const refused: [name: string, bytes: Uint8Array, code: Code][] = [
  ["Q-11 one byte behind an RSA signature", withTrailing(rsa), "FRAMING"],
  ["Q-11 one byte behind an ECDSA signature", withTrailing(ecdsa), "FRAMING"],
  ["Q-11 an RSA size one too large", patched(rsa, 4, u16(257)), "FRAMING"],
  ["Q-11 an RSA size one too small", patched(rsa, 4, u16(255)), "FRAMING"],
  ["Q-11 r one byte longer than it is", patched(ecdsa, AT.r, u16(33)), "LENGTH"],
  ["Q-11 s one byte longer than it is", patched(ecdsa, AT.s, u16(33)), "FRAMING"],
  ["Q-11 s one byte shorter than it is", patched(ecdsa, AT.s, u16(31)), "FRAMING"],
  ["Q-11 an ECDSA signature called RSASSA", patched(ecdsa, 0, u16(0x0014)), "FRAMING"],
  ["Q-11 a single byte", new Uint8Array(1), "FRAMING"],
  ["Q-12 an RSA size of 0xffff", patched(rsa, 4, u16(0xffff)), "LENGTH"],
  ["Q-12 an RSA size of 1025", patched(rsa, 4, u16(1025)), "LENGTH"],
  ["Q-12 r of 0xffff bytes", patched(ecdsa, AT.r, u16(0xffff)), "LENGTH"],
  ["Q-12 r of 67 bytes", patched(ecdsa, AT.r, u16(67)), "LENGTH"],
  ["Q-12 s of 0xffff bytes", patched(ecdsa, AT.s, u16(0xffff)), "LENGTH"],
  ["Q-12 s of 0x8000 bytes", patched(ecdsa, AT.s, u16(0x8000)), "LENGTH"],
]
for (const [name, bytes, code] of refused)
  test(`refuses ${name}`, () => void throwsCode(() => parseSignature(bytes), code))

for (const name of QUOTE_FIXTURES)
  test(`refuses Q-11 every proper prefix of the signature of ${name}`, () =>
    refusesEveryPrefix(parseSignature, quoteFixture(name).signature))

test("throws nothing but refusals, whatever the bytes", () =>
  survivesAnything(parseSignature, [rsa, ecdsa, quoteFixture("p384-sha384").signature]))

test("knows the three schemes and no other", () =>
  assert.equal([0x14, 0x16, 0x18, 0x1a, 0x05].map(schemeName), [
    "rsassa",
    "rsapss",
    "ecdsa",
    undefined,
    undefined,
  ]))

withVectors("accepts the signatures of the vectors and reads scheme and hash as expected", () => {
  const expected = vectorJson<Record<string, { scheme: string; hash: string }>>("swtpm/expected.json")
  for (const [name, { scheme, hash }] of Object.entries(expected)) {
    if (!name.startsWith("quotes/")) continue
    const signature = parseSignature(vector(`swtpm/${name}/signature.bin`))
    assert.equal([signature.kind, signature.kind !== "unsupported" && signature.hash], [scheme, hash], name)
  }
  const stripped = parseSignature(vector("swtpm/quotes/ecdsa-p256-leading-zero-s/signature-stripped.bin"))
  assert.equal(stripped.kind === "ecdsa" && [stripped.r.length, stripped.s.length], [32, 31])
  const whole = parseSignature(vector("swtpm/quotes/ecdsa-p256-leading-zero-s/signature.bin"))
  assert.is(whole.kind === "ecdsa" && toHex(whole.s), stripped.kind === "ecdsa" && `00${toHex(stripped.s)}`)
  assert.is(parseSignature(vector("quotes/keylime-set/quotesig.out")).kind, "rsassa")
  assert.is(parseSignature(vector("quotes/enacttrust-basic.token").subarray(-72)).kind, "ecdsa")
})

withVectors("takes Q-13 the bare RSA value of another maker for no TPMT_SIGNATURE that it supports", () => {
  const { signature } = vectorJson<{ signature: string }>("quotes/azure-snp-tpm-quote-v1.json")
  assert.is(parseSignature(fromHex(signature) ?? rsa).kind, "unsupported")
})

test.run()
