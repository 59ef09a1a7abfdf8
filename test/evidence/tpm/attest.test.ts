import { suite } from "uvu"
import * as assert from "uvu/assert"
import { fromHex, toHex } from "../../../src/bytes.ts"
import type { Code } from "../../../src/errors.ts"
import type { HashName } from "../../../src/evidence/tpm/algorithm.ts"
import { type Attest, parseAttest } from "../../../src/evidence/tpm/attest.ts"
import { patched, spliced, u16, u32, withTrailing } from "../../fixtures/evidence/build.ts"
import { refusesEveryPrefix, survivesAnything } from "../../fixtures/evidence/hostile.ts"
import { throwsCode } from "../../support/assert.ts"
import { attestationFixture, QUOTE_FIXTURES, quoteFixture } from "../../support/fixtures.ts"
import { needs, vector, vectorJson } from "../../support/vectors.ts"

const test = suite("parseAttest")
const withVectors = needs("vectors", test)

/** One bank, a 34-byte signer, 32 bytes of extraData: 145 bytes. */
const quote = quoteFixture("p256-sha256").attest
/** Where the fields of `quote` begin. */
const AT = { magic: 0, type: 4, signer: 6, extraData: 42, clock: 76, safe: 92, count: 101, digest: 111 }

const quoted = (attest: Attest) => {
  if (attest.attested.kind !== "quote") throw new Error(`expected a quote, got ${attest.attested.kind}`)
  return attest.attested
}

for (const name of QUOTE_FIXTURES)
  test(`accepts the quote ${name} and reads what tpm2-tools read`, () => {
    const { attest: bytes, expected } = quoteFixture(name)
    const attest = parseAttest(bytes)
    assert.is(toHex(attest.qualifiedSigner), expected.qualifiedName)
    assert.is(toHex(attest.extraData), expected.nonce)
    assert.equal(attest.clockInfo, {
      clockMs: BigInt(expected.clockMs),
      resetCount: expected.resetCount,
      restartCount: expected.restartCount,
      safe: expected.safe,
    })
    assert.is(attest.firmwareVersion, BigInt(`0x${expected.firmwareVersion}`))
    assert.equal(quoted(attest).pcrSelect, expected.selection)
    assert.is(toHex(quoted(attest).pcrDigest), expected.pcrDigest)
  })

test("accepts a certification", () => {
  const { attest, expected } = attestationFixture("certify")
  const { attested, extraData } = parseAttest(attest)
  assert.is(toHex(extraData), expected.nonce)
  assert.is(attested.kind === "certify" && toHex(attested.objectName), expected.name)
  assert.is(attested.kind === "certify" && toHex(attested.qualifiedName), expected.qualifiedName)
})

test("accepts a certification of creation", () => {
  const { attest, expected } = attestationFixture("creation")
  const { attested, extraData } = parseAttest(attest)
  assert.is(toHex(extraData), expected.nonce)
  assert.is(attested.kind === "creation" && toHex(attested.objectName), expected.name)
  assert.is(attested.kind === "creation" && toHex(attested.creationHash), expected.creationHash)
})

test("accepts an attestation of time", () => {
  const { attest, expected } = attestationFixture("time")
  const { attested, extraData, clockInfo, firmwareVersion } = parseAttest(attest)
  assert.is(toHex(extraData), expected.nonce)
  assert.is(clockInfo.clockMs, BigInt(expected.clockMs ?? 0))
  if (attested.kind !== "time") throw new Error("not a time")
  assert.equal(attested.clockInfo, clockInfo)
  assert.is(attested.firmwareVersion, firmwareVersion)
})

test("accepts a type that it has no use for, and says which", () => {
  const nv = parseAttest(patched(quote, AT.type, u16(0x8014)))
  assert.equal(nv.attested, { kind: "other", type: 0x8014 })
})

test("accepts what only a later check can judge: no bank, an empty bitmap, no extraData", () => {
  const none = parseAttest(spliced(quote, AT.count, AT.digest, u32(0)))
  assert.equal(quoted(none).pcrSelect, [])
  const empty = parseAttest(patched(quote, AT.digest - 3, new Uint8Array(3)))
  assert.equal(quoted(empty).pcrSelect, [{ hash: "sha256", pcrs: [] }])
  assert.is(parseAttest(quoteFixture("p256-empty-nonce").attest).extraData.length, 0)
})

const refused: [name: string, bytes: Uint8Array, code: Code][] = [
  ["Q-01 a magic number of zeros", patched(quote, AT.magic, u32(0)), "QUOTE_MAGIC"],
  ["Q-01 a magic number of another byte order", patched(quote, AT.magic, u32(0x474354ff)), "QUOTE_MAGIC"],
  ["Q-01 a magic number with one bit changed", patched(quote, AT.magic, u32(0xff544346)), "QUOTE_MAGIC"],
  ["Q-01 a magic number without its sign bit", patched(quote, AT.magic, u32(0x7f544347)), "QUOTE_MAGIC"],
  ["Q-01 a structure that begins with its type", quote.subarray(4), "QUOTE_MAGIC"],
  ["Q-01 text", new TextEncoder().encode("ff54434780180022000b"), "QUOTE_MAGIC"],
  ["Q-11 one byte too many", withTrailing(quote), "FRAMING"],
  ["Q-11 the structure twice", Uint8Array.of(...quote, ...quote), "FRAMING"],
  ["Q-11 the size of a TPM2B before it", Uint8Array.of(0, quote.length, ...quote), "QUOTE_MAGIC"],
  ["Q-11 a signer one byte longer than it is", patched(quote, AT.signer, u16(35)), "LENGTH"],
  ["Q-11 a signer one byte shorter than it is", patched(quote, AT.signer, u16(33)), "LENGTH"],
  ["Q-11 a digest one byte longer than it is", patched(quote, AT.digest, u16(33)), "FRAMING"],
  ["Q-11 a digest one byte shorter than it is", patched(quote, AT.digest, u16(31)), "FRAMING"],
  ["Q-11 extraData one byte longer than it is", patched(quote, AT.extraData, u16(33)), "FRAMING"],
  ["Q-11 extraData one byte shorter than it is", patched(quote, AT.extraData, u16(31)), "LENGTH"],
  ["Q-11 a flag that is neither YES nor NO", patched(quote, AT.safe, Uint8Array.of(2)), "FRAMING"],
  ["Q-11 the body of a quote called a certification", patched(quote, AT.type, u16(0x8017)), "FRAMING"],
  [
    "Q-11 the body of a certification called a quote",
    patched(attestationFixture("certify").attest, 4, u16(0x8018)),
    "LENGTH",
  ],
  ["Q-12 a signer of 0xffff bytes", patched(quote, AT.signer, u16(0xffff)), "LENGTH"],
  ["Q-12 a signer of 67 bytes", patched(quote, AT.signer, u16(67)), "LENGTH"],
  ["Q-12 extraData of 0xffff bytes", patched(quote, AT.extraData, u16(0xffff)), "LENGTH"],
  ["Q-12 2^31 banks", patched(quote, AT.count, u32(0x80000000)), "LENGTH"],
  ["Q-12 0xffffffff banks", patched(quote, AT.count, u32(0xffffffff)), "LENGTH"],
  ["Q-12 17 banks", patched(quote, AT.count, u32(17)), "LENGTH"],
  ["Q-12 a digest of 0xffff bytes", patched(quote, AT.digest, u16(0xffff)), "LENGTH"],
  ["Q-12 a digest of 65 bytes", patched(quote, AT.digest, u16(65)), "LENGTH"],
]
for (const [name, bytes, code] of refused)
  test(`refuses ${name}`, () => void throwsCode(() => parseAttest(bytes), code))

for (const name of QUOTE_FIXTURES)
  test(`refuses Q-11 every proper prefix of ${name}`, () =>
    refusesEveryPrefix(parseAttest, quoteFixture(name).attest))
for (const name of ["certify", "creation", "time"] as const)
  test(`refuses Q-11 every proper prefix of an attestation of ${name}, and a byte behind it`, () => {
    const { attest } = attestationFixture(name)
    refusesEveryPrefix(parseAttest, attest)
    throwsCode(() => parseAttest(withTrailing(attest)), "FRAMING")
  })

test("says which field is at fault, and at which byte", () => {
  const { location } = throwsCode(() => parseAttest(quote.subarray(0, AT.extraData + 10)), "FRAMING")
  assert.is(location, "TPMS_ATTEST.extraData at byte 44")
})

test("throws nothing but refusals, whatever the bytes", () =>
  survivesAnything(parseAttest, [
    ...QUOTE_FIXTURES.map((name) => quoteFixture(name).attest),
    attestationFixture("certify").attest,
    attestationFixture("time").attest,
  ]))

interface ExpectedAttest {
  readonly polarity: string
  readonly qualifiedName: string
  readonly name: string
  readonly nonce: string
  readonly extraData: string
  readonly selection: readonly (readonly [HashName, readonly number[]])[]
  readonly pcrSelect: readonly unknown[]
  readonly pcrDigest: string
  readonly qualifiedSigner: string
  readonly clock: number
  readonly resetCount: number
  readonly restartCount: number
  readonly safe: number
  readonly firmwareVersion: string
  readonly creationHash: string
}
type Expected = Readonly<Record<string, ExpectedAttest>>

withVectors("accepts the quotes of the vectors and reads what is expected", () => {
  let read = 0
  for (const [name, expected] of Object.entries(vectorJson<Expected>("swtpm/expected.json"))) {
    if (!name.startsWith("quotes/")) continue
    const attest = parseAttest(vector(`swtpm/${name}/attest.bin`))
    assert.is(toHex(attest.qualifiedSigner), expected.qualifiedName, name)
    assert.is(toHex(attest.extraData), expected.nonce, name)
    assert.equal(
      { ...attest.clockInfo, safe: Number(attest.clockInfo.safe) },
      {
        clockMs: BigInt(expected.clock),
        resetCount: expected.resetCount,
        restartCount: expected.restartCount,
        safe: expected.safe,
      },
      name,
    )
    assert.is(attest.firmwareVersion, BigInt(`0x${expected.firmwareVersion}`), name)
    assert.equal(
      quoted(attest).pcrSelect.map(({ hash, pcrs }) => [hash, pcrs]),
      expected.selection,
      name,
    )
    assert.is(toHex(quoted(attest).pcrDigest), expected.pcrDigest, name)
    read++
  }
  assert.ok(read >= 10)
})

withVectors("accepts the certifications of the vectors, whatever they certify", () => {
  let read = 0
  for (const [name, expected] of Object.entries(vectorJson<Expected>("swtpm/expected.json"))) {
    if (!/^(certify|creation)\/.*attest\.bin$/.test(name)) continue
    const { attested, extraData } = parseAttest(vector(`swtpm/${name}`))
    if (attested.kind !== "certify" && attested.kind !== "creation") throw new Error(attested.kind)
    assert.is(toHex(extraData), expected.extraData, name)
    assert.is(toHex(attested.objectName), expected.name, name)
    if (attested.kind === "certify") assert.is(toHex(attested.qualifiedName), expected.qualifiedName, name)
    else assert.is(toHex(attested.creationHash), expected.creationHash, name)
    read++
  }
  assert.ok(read >= 5)
})

withVectors("accepts quotes of other makers and reads what is expected", () => {
  const expected = vectorJson<Expected>("quotes/expected.json")
  let read = 0
  for (const [
    name,
    { pcrSelect, pcrDigest, qualifiedSigner, extraData, clock, resetCount },
  ] of Object.entries(expected)) {
    if (!name.startsWith("guard-")) continue
    const json = vectorJson<{ quote_TPMS_ATTEST: string }>(`quotes/${name}`)
    const attest = parseAttest(Buffer.from(json.quote_TPMS_ATTEST, "base64"))
    assert.equal(quoted(attest).pcrSelect, pcrSelect, name)
    assert.is(toHex(quoted(attest).pcrDigest), pcrDigest, name)
    assert.is(toHex(attest.qualifiedSigner), qualifiedSigner, name)
    assert.is(toHex(attest.extraData), extraData, name)
    assert.equal([attest.clockInfo.clockMs, attest.clockInfo.resetCount], [BigInt(clock), resetCount], name)
    read++
  }
  assert.ok(read >= 7)

  const keylime = parseAttest(vector("quotes/keylime-set/quote.out"))
  assert.is(toHex(keylime.extraData), expected["keylime-set/quote.out"]?.nonce)
  assert.equal(quoted(keylime).pcrSelect, [{ hash: "sha256", pcrs: [15, 16, 22] }])
  assert.is(toHex(quoted(keylime).pcrDigest), expected["keylime-set/quote.out"]?.pcrDigest)

  const trustee = vectorJson<{ tpm_quote: { message: string } }>("quotes/trustee-swtpm-evidence.json")
  const trusteeAttest = parseAttest(Buffer.from(trustee.tpm_quote.message, "base64"))
  assert.is(toHex(trusteeAttest.extraData), expected["trustee-swtpm-evidence.json"]?.nonce)

  const azure = vectorJson<{ message: string }>("quotes/azure-snp-tpm-quote-v1.json")
  assert.is(Buffer.from(parseAttest(fromHex(azure.message) ?? quote).extraData).toString(), "challenge")

  const windows = vectorJson<{ Quote: { Quote: string }; AK: { CreateAttestation: string } }>(
    "quotes/windows-gcp-shielded-vm.json",
  )
  const windowsQuote = quoted(parseAttest(Buffer.from(windows.Quote.Quote, "base64")))
  assert.equal(windowsQuote.pcrSelect[0]?.hash, "sha1")
  assert.is(parseAttest(Buffer.from(windows.AK.CreateAttestation, "base64")).attested.kind, "creation")

  const gce = vectorJson<{ quotes: { bank: string; quote_TPMS_ATTEST: string }[] }>(
    "quotes/gce-cos-85-nonce9009.json",
  )
  for (const { bank, quote_TPMS_ATTEST } of gce.quotes) {
    const attest = parseAttest(fromHex(quote_TPMS_ATTEST) ?? quote)
    assert.is(toHex(attest.extraData), "9009")
    assert.equal(
      quoted(attest).pcrSelect.map(({ hash, pcrs }) => [hash, pcrs.length]),
      [[bank, 24]],
    )
  }

  // NODE_ID and a size come before it, an ECDSA signature of 72 bytes behind it.
  const enacttrust = parseAttest(vector("quotes/enacttrust-basic.token").subarray(18, -72))
  assert.equal(quoted(enacttrust).pcrSelect, [{ hash: "sha256", pcrs: [1, 2, 3, 4] }])
  assert.is(toHex(quoted(enacttrust).pcrDigest), expected["enacttrust-basic.token"]?.pcrDigest)
})

withVectors(
  "refuses the negatives of the vectors whose structure is at fault, and reads all the others",
  () => {
    const codes: Readonly<Record<string, Code>> = {
      "attest-magic-changed": "QUOTE_MAGIC",
      "magic-wrong-signed": "QUOTE_MAGIC",
      "attest-with-tpm2b-size": "QUOTE_MAGIC",
      "attest-trailing-byte": "FRAMING",
      "attest-truncated": "FRAMING",
      "quote-duplicate-bank": "PCR_SELECTION_MALFORMED",
      "quote-duplicate-pcr": "PCR_SELECTION_MALFORMED",
    }
    for (const { id, attest } of vectorJson<{ id: string; attest: string }[]>("swtpm/negatives.json")) {
      const parse = () => parseAttest(fromHex(attest) ?? new Uint8Array())
      const code = codes[id]
      if (code === undefined) parse()
      else throwsCode(parse, code)
    }
  },
)

test.run()
