/** Every check of `assay check quote`, one at a time, on genuine quotes and on a software device's. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat } from "../../src/bytes.ts"
import { encodePublic } from "../../src/device/encode.ts"
import {
  checkQuote,
  QUOTE_CHECKS,
  type QuoteCheckName,
  type QuoteInput,
} from "../../src/service/check-quote.ts"
import { flipped } from "../support/core.ts"
import {
  attestationFixture,
  QUOTE_FIXTURES,
  type QuoteFixtureName,
  quoteFixture,
} from "../support/fixtures.ts"
import { testDevice } from "../support/world.ts"

const test = suite("checkQuote")

const inputOf = (name: QuoteFixtureName): QuoteInput => {
  const { attest, signature, akPublic, nonce, pcrFile } = quoteFixture(name)
  return {
    attest,
    signature,
    signatureScheme: undefined,
    key: akPublic,
    nonce,
    pcrs: pcrFile,
    eventLog: undefined,
  }
}

const good = inputOf("p256-sha256")

/** The checks that did not hold, in their order; and those that could not be made. */
const failedOf = (input: QuoteInput): QuoteCheckName[] => {
  const { held } = checkQuote(input)
  return QUOTE_CHECKS.filter((check) => held[check] === false)
}
const unknownOf = (input: QuoteInput): QuoteCheckName[] => {
  const { held } = checkQuote(input)
  return QUOTE_CHECKS.filter((check) => held[check] === undefined)
}

for (const name of QUOTE_FIXTURES.filter((fixture) => fixture !== "p256-empty-nonce"))
  test(`accepts ${name}`, () => {
    const result = checkQuote(inputOf(name))
    assert.equal([result.accepted, result.code, result.findings], [true, undefined, []])
    assert.equal(unknownOf(inputOf(name)), ["replay"])
  })

const device = testDevice({
  sharedKeys: true,
  selection: [{ hash: "sha256", pcrs: [0, 1, 2, 3, 4, 5, 6, 7] }],
})
const nonce = new Uint8Array(20).fill(7)
const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
const ownQuote = (extraData = nonce): QuoteInput => {
  const { attest, signature, pcrBanks, eventLog } = device.attest({ extraData })
  return {
    attest,
    signature,
    signatureScheme: undefined,
    key: device.akPublic,
    nonce: extraData,
    pcrs: concat(...pcrBanks.map(({ values }) => values)),
    eventLog,
  }
}

test("accepts a quote with its log, values one after another", () => {
  const result = checkQuote(ownQuote())
  assert.equal([result.accepted, result.held.replay, result.mismatches], [true, true, []])
})

const changes: readonly [
  name: string,
  change: Partial<QuoteInput>,
  failed: QuoteCheckName[],
  code: string,
][] = [
  ["Q-16 a changed clock", { attest: flipped(good.attest, 90) }, ["signature"], "SIGNATURE"],
  [
    "Q-16 another digest",
    { attest: flipped(good.attest, good.attest.length - 1) },
    ["signature", "digest"],
    "SIGNATURE",
  ],
  [
    "Q-15 a changed s",
    { signature: flipped(good.signature, good.signature.length - 1) },
    ["signature"],
    "SIGNATURE",
  ],
  ["Q-01 another magic", { attest: flipped(good.attest, 0) }, ["structure", "signature"], "QUOTE_MAGIC"],
  [
    "Q-11 a byte too many",
    { attest: concat(good.attest, Uint8Array.of(0)) },
    ["structure", "signature"],
    "FRAMING",
  ],
  [
    "Q-11 a signature with a byte too many",
    { signature: concat(good.signature, Uint8Array.of(0)) },
    ["structure"],
    "FRAMING",
  ],
  [
    "Q-14 SHA-1 in the signature",
    { signature: withHash(good.signature, 0x04) },
    ["scheme", "signature"],
    "SIG_ALG",
  ],
  [
    "Q-14 SHA-384 in the signature",
    { signature: withHash(good.signature, 0x0c) },
    ["scheme", "signature"],
    "SIG_ALG",
  ],
  [
    "Q-13 a scheme that nobody verifies",
    { signature: withScheme(good.signature, 0x1a) },
    ["scheme", "signature"],
    "SIG_ALG",
  ],
  [
    "Q-13 another algorithm than the key's",
    { key: inputOf("rsa2048-sha256").key },
    ["scheme", "signature"],
    "SIG_ALG",
  ],
  ["another key", { key: device.akPublic }, ["signature"], "SIGNATURE"],
  ["N-03 another nonce", { nonce: flipped(nonceOf(good), 31) }, ["nonce"], "NONCE_MISMATCH"],
  ["N-03 a shorter nonce", { nonce: nonceOf(good).subarray(1) }, ["nonce"], "NONCE_MISMATCH"],
  ["N-03 a longer nonce", { nonce: concat(nonceOf(good), Uint8Array.of(0)) }, ["nonce"], "NONCE_MISMATCH"],
  ["N-03 no nonce", { nonce: undefined }, ["nonce"], "NONCE_MISSING"],
  ["N-03 an empty nonce", { nonce: new Uint8Array() }, ["nonce"], "NONCE_MISSING"],
  ["values that are not there", { pcrs: undefined }, ["selection"], "PCR_SELECTION"],
  ["Q-05 values of another selection", { pcrs: inputOf("p256-24-pcrs").pcrs }, ["selection"], "PCR_UNQUOTED"],
  ["Q-05 values of another bank", { pcrs: inputOf("p256-two-banks").pcrs }, ["selection"], "PCR_SELECTION"],
  ["values that are no file", { pcrs: Uint8Array.of(1, 2, 3) }, ["structure"], "FRAMING"],
  ["Q-10 a changed value", { pcrs: withValue(good, 4) }, ["digest"], "PCR_DIGEST"],
  ["a key that is no key", { key: Uint8Array.of(0, 1, 2) }, ["structure"], "FRAMING"],
  ["a log of another machine", { eventLog: device.eventLog }, ["replay"], "EVENT_LOG_REPLAY"],
  ["a log that is none", { eventLog: Uint8Array.of(1) }, ["structure"], "FRAMING"],
]

function withHash(signature: Uint8Array, id: number): Uint8Array {
  return signature.map((byte, i) => (i === 3 ? id : byte))
}
function withScheme(signature: Uint8Array, id: number): Uint8Array {
  return signature.map((byte, i) => (i === 1 ? id : byte))
}
function nonceOf(input: QuoteInput): Uint8Array {
  return input.nonce ?? new Uint8Array()
}
/** The values of a fixture as JSON, with one of them changed. */
function withValue(input: QuoteInput, pcr: number): Uint8Array {
  const { pcrs } = checkQuote(input)
  const entries = [...(pcrs?.get("sha256") ?? [])].map(([index, value]) => {
    const shown = index === pcr ? flipped(value, 0) : value
    return [index, Buffer.from(shown).toString("hex")]
  })
  return json({ sha256: Object.fromEntries(entries) })
}

for (const [name, change, failed, code] of changes)
  test(`refuses ${name}, and says what held all the same`, () => {
    const result = checkQuote({ ...good, ...change })
    assert.equal([result.accepted, result.code], [false, code])
    assert.equal(failedOf({ ...good, ...change }), failed)
    for (const check of failed) assert.ok(result.findings.some((finding) => finding.check === check))
  })

for (const kind of ["certify", "creation", "time"] as const)
  test(`refuses Q-02 ${kind}, though the key signed it`, () => {
    const { attest, signature, expected } = attestationFixture(kind)
    const asked = new Uint8Array(Buffer.from(expected.nonce, "hex"))
    const result = checkQuote({ ...good, attest, signature, nonce: asked })
    assert.equal([result.accepted, result.code, result.held.signature], [false, "ATTEST_TYPE", true])
    assert.equal([result.held.selection, result.held.digest], [undefined, undefined])
  })

test("refuses a genuine quote without nonce, whatever nonce is asked for", () => {
  const empty = inputOf("p256-empty-nonce")
  assert.is(checkQuote(empty).code, "NONCE_MISSING")
  assert.is(checkQuote({ ...empty, nonce: undefined }).code, "NONCE_MISSING")
  assert.is(checkQuote({ ...empty, nonce: Uint8Array.of(0) }).code, "NONCE_MISMATCH")
  assert.equal(failedOf(empty), ["nonce"])
})

const SIGN_RESTRICTED = 0x00050072
const unfit: readonly [name: string, make: () => ReturnType<typeof testDevice>, code: string][] = [
  [
    "K-01 a key that is not restricted",
    () => testDevice({ attributes: SIGN_RESTRICTED & ~(1 << 16) }),
    "AK_ATTRIBUTES",
  ],
  [
    "K-01 a key that can leave its TPM",
    () => testDevice({ attributes: SIGN_RESTRICTED & ~(1 << 1) }),
    "AK_ATTRIBUTES",
  ],
  [
    "K-01 a key that also decrypts",
    () => testDevice({ attributes: SIGN_RESTRICTED | (1 << 17) }),
    "AK_ATTRIBUTES",
  ],
  ["Q-14 a key named by SHA-1", () => testDevice({ nameAlg: "sha1" }), "SIG_ALG"],
]
for (const [name, make, code] of unfit)
  test(`refuses ${name}, and says that its signature is right`, () => {
    const unfitDevice = make()
    const { attest, signature, pcrBanks } = unfitDevice.attest({ extraData: nonce })
    const result = checkQuote({
      ...ownQuote(),
      attest,
      signature,
      key: unfitDevice.akPublic,
      pcrs: concat(...pcrBanks.map(({ values }) => values)),
    })
    assert.equal([result.accepted, result.code, result.held.key], [false, code, false])
    assert.equal([result.held.scheme, result.held.signature, result.held.digest], [true, true, true])
  })

test("names every PCR that a log does not lead to, with the event from which on", () => {
  const other = testDevice({ sharedKeys: true, selection: [{ hash: "sha256", pcrs: [0, 1, 4, 7] }] })
  const { attest, signature, pcrBanks } = other.attest({ extraData: nonce })
  other.extend(4, new Uint8Array(32))
  other.extend(7, new Uint8Array(32))
  const later = other.attest({ extraData: nonce })
  const quoteOf = (quoted: typeof later): QuoteInput => ({
    ...ownQuote(),
    attest: quoted.attest,
    signature: quoted.signature,
    key: other.akPublic,
    pcrs: concat(...quoted.pcrBanks.map(({ values }) => values)),
    eventLog: other.eventLog,
  })
  assert.is(checkQuote(quoteOf({ ...later, attest, signature, pcrBanks })).accepted, true)
  const { accepted, code, mismatches, held } = checkQuote(quoteOf(later))
  assert.equal([accepted, code, held.replay, held.digest], [false, "EVENT_LOG_REPLAY", false, true])
  assert.equal(
    mismatches.map(({ bank, pcr }) => `${bank}:${pcr}`),
    ["sha256:4", "sha256:7"],
  )
})

test("takes a bank that a log leaves out for untouched only if it is", () => {
  const both = testDevice({ banks: ["sha256", "sha384"], sharedKeys: true })
  const sha256Log = testDevice({ banks: ["sha256"], sharedKeys: true }).eventLog
  const over = (pcrs: readonly number[], reset: boolean): QuoteInput => {
    if (reset) both.boot([])
    const quoted = both.attest({ extraData: nonce, selection: [{ hash: "sha384", pcrs }] })
    return {
      ...ownQuote(),
      attest: quoted.attest,
      signature: quoted.signature,
      key: both.akPublic,
      pcrs: concat(...quoted.pcrBanks.map(({ values }) => values)),
      eventLog: sha256Log,
    }
  }
  assert.equal(
    [checkQuote(over([0, 7], false)).code, checkQuote(over([0, 7], true)).code],
    ["EVENT_LOG_BANK", undefined],
  )
  assert.is(checkQuote(over([16], true)).code, "EVENT_LOG_BANK", "nothing that the log speaks of is quoted")
})

test("keeps what it says of a key alone apart: its attributes are unknown", () => {
  assert.equal(unknownOf(good), ["replay"])
  assert.equal(unknownOf({ ...good, key: pemOf(good) }), ["key", "replay"])
  assert.is(checkQuote({ ...good, key: pemOf(good) }).accepted, true)
})

/** The key of a quote, without what its TPM says about it. */
function pemOf(input: QuoteInput): Uint8Array {
  const { key } = checkQuote(input)
  if (key?.kind !== "area" || key.area.key.kind !== "ecc") throw new TypeError("an ECC key was expected")
  const { x, y } = key.area.key
  const point = concat(Uint8Array.of(4), x, y)
  const head = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d030107034200", "hex")
  const body = Buffer.from(concat(head, point)).toString("base64")
  return new TextEncoder().encode(`-----BEGIN PUBLIC KEY-----\n${body}\n-----END PUBLIC KEY-----\n`)
}

test("refuses SHA-1 in the signature of a bare key too", () => {
  const { held, code } = checkQuote({ ...good, key: pemOf(good), signature: withHash(good.signature, 0x04) })
  assert.equal([held.scheme, held.signature, code], [false, false, "SIG_ALG"])
})

test("refuses every change of a single bit in attestation and signature", () => {
  for (const part of ["attest", "signature"] as const)
    for (let bit = 0; bit < 8 * good[part].length; bit += 5) {
      const changed = { ...good, [part]: flipped(good[part], bit >> 3, 1 << (bit & 7)) }
      assert.is(checkQuote(changed).accepted, false, `${part}, bit ${bit}`)
    }
})

test("refuses every proper prefix of each input", () => {
  for (const part of ["attest", "signature", "key", "pcrs"] as const) {
    const bytes = good[part] ?? new Uint8Array()
    for (let size = 0; size < bytes.length; size += part === "pcrs" ? 7 : 1)
      assert.is(
        checkQuote({ ...good, [part]: bytes.subarray(0, size) }).accepted,
        false,
        `${part}, ${size} bytes`,
      )
  }
})

test("a weak key leaves its signature unchecked", () => {
  const modulus = new Uint8Array(128).fill(0xff)
  const weak = encodePublic({
    nameAlg: "sha256",
    attributes: SIGN_RESTRICTED,
    authPolicy: new Uint8Array(),
    symmetric: undefined,
    scheme: { kind: "rsassa", hash: "sha256" },
    key: { kind: "rsa", keyBits: 1024, exponent: 65537, modulus },
  })
  const result = checkQuote({ ...good, key: weak })
  assert.equal([result.code, result.held.key, result.held.signature], ["WEAK_KEY", false, undefined])
  assert.is(result.accepted, false)
})

test.run()
