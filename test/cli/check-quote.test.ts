/** `assay check quote` with files as tpm2-tools write them, and tpm2_checkquote as the judge beside it. */
import { spawnSync } from "node:child_process"
import { createPublicKey } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, toHex } from "../../src/bytes.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import { createKeyObject } from "../../src/verification/key.ts"
import { flipped } from "../support/core.ts"
import { QUOTE_FIXTURES, type QuoteFixtureName, quoteFixture } from "../support/fixtures.ts"
import { needs } from "../support/vectors.ts"
import { testDevice } from "../support/world.ts"
import { assay, checkQuoteFiles, fileOf, jsonOf, type QuoteFiles, quoteArguments } from "./run.ts"

const test = suite("assay check quote")
const withTools = needs("swtpm", test)

const filesOf = (
  name: QuoteFixtureName,
): QuoteFiles & { readonly pcrs: Uint8Array; readonly nonce: string } => {
  const { attest, signature, akPublic, pcrFile, expected } = quoteFixture(name)
  return { attest, signature, key: akPublic, pcrs: pcrFile, nonce: expected.nonce }
}
const pemOf = (akPublic: Uint8Array): string =>
  String(createKeyObject(parsePublic(akPublic).key).export({ type: "spki", format: "pem" }))

const SIGNED = QUOTE_FIXTURES.filter((name) => name !== "p256-empty-nonce")

const checkquoteTool = (quote: QuoteFiles, hash: string): boolean => {
  const { attest, signature, key, pcrs = "", nonce = "" } = quote
  const files = ["-u", fileOf(key), "-m", fileOf(attest), "-s", fileOf(signature), "-f", fileOf(pcrs)]
  return spawnSync("tpm2_checkquote", [...files, "-g", hash, "-q", nonce], { stdio: "ignore" }).status === 0
}

const alterations: readonly [name: string, alter: (quote: ReturnType<typeof filesOf>) => QuoteFiles][] = [
  ["as it is", (quote) => quote],
  ["with another clock", (quote) => ({ ...quote, attest: flipped(quote.attest, quote.attest.length - 60) })],
  ["with another digest", (quote) => ({ ...quote, attest: flipped(quote.attest, quote.attest.length - 1) })],
  [
    "with another signature",
    (quote) => ({ ...quote, signature: flipped(quote.signature, quote.signature.length - 1) }),
  ],
  ["with another nonce", (quote) => ({ ...quote, nonce: `ff${quote.nonce.slice(2)}` })],
  [
    "with another value of the first PCR",
    (quote) => ({ ...quote, pcrs: flipped(quote.pcrs, 132 + 4 + 4 + 2) }),
  ],
  ["with another key", (quote) => ({ ...quote, key: testDevice().akPublic })],
]
for (const name of SIGNED)
  withTools(`agrees with tpm2_checkquote on ${name}, as it is and altered`, async () => {
    const quote = filesOf(name)
    const { hash } = quoteFixture(name).expected
    for (const [alteration, alter] of alterations) {
      const altered = alter(quote)
      // The tool takes keys in PEM, ours in either form.
      const key = altered.key instanceof Uint8Array ? pemOf(altered.key) : altered.key
      const { accepted, code } = await checkQuoteFiles({ ...altered, key })
      assert.is(accepted, checkquoteTool({ ...altered, key }, hash), `${alteration}: ${code}`)
      assert.is((await checkQuoteFiles(altered)).accepted, accepted, alteration)
      assert.is(accepted, alteration === "as it is", alteration)
    }
  })

test("takes bare signatures with their scheme, of ECDSA in both forms", async () => {
  const ecdsa = filesOf("p256-sha256")
  const rs = concat(ecdsa.signature.subarray(6, 38), ecdsa.signature.subarray(40))
  const integer = (value: Uint8Array): number[] => {
    const content = (value[0] ?? 0) >= 0x80 ? [0, ...value] : [...value]
    return [2, content.length, ...content]
  }
  const both = [...integer(rs.subarray(0, 32)), ...integer(rs.subarray(32))]
  for (const signature of [rs, Uint8Array.of(0x30, both.length, ...both)])
    assert.is((await checkQuoteFiles({ ...ecdsa, signature, signatureScheme: "ecdsa:sha256" })).code, null)
  const rsa = filesOf("rsa2048-sha256")
  const bare = { ...rsa, signature: rsa.signature.subarray(6) }
  assert.is((await checkQuoteFiles({ ...bare, signatureScheme: "rsassa:sha256" })).status, 0)
  assert.is((await checkQuoteFiles({ ...bare, signatureScheme: "rsapss:sha256" })).code, "SIG_ALG")
  assert.is((await checkQuoteFiles({ ...bare, signatureScheme: "rsassa:sha384" })).code, "SIG_ALG")
  assert.is((await checkQuoteFiles(bare)).accepted, false)
})

test("takes values one after another, as tpm2_quote -F values writes them", async () => {
  const quote = filesOf("p256-two-banks")
  const { pcrs } = quoteFixture("p256-two-banks")
  const values = concat(...[...pcrs.values()].flatMap((bank) => [...bank.values()]))
  assert.is((await checkQuoteFiles({ ...quote, pcrs: values })).status, 0)
  assert.is((await checkQuoteFiles({ ...quote, pcrs: flipped(values, 0) })).code, "PCR_DIGEST")
})

test("ends with 2 for what is malformed, and still says what held", async () => {
  const quote = filesOf("p256-sha256")
  const ran = await assay(quoteArguments({ ...quote, pcrs: Uint8Array.of(1) }))
  const result = jsonOf<{ held: object; accepted: boolean; code: string }>(ran)
  assert.equal([ran.status, result.accepted, result.code], [2, false, "FRAMING"])
  assert.equal(result.held, {
    structure: false,
    key: true,
    scheme: true,
    signature: true,
    type: true,
    nonce: true,
    selection: null,
    bank: null,
    digest: null,
    replay: null,
  })
})

test("says with each finding what was expected and what was found", async () => {
  const quote = filesOf("p256-sha256")
  const { findings } = jsonOf<{ findings: object[] }>(
    await assay(quoteArguments({ ...quote, pcrs: filesOf("p256-24-pcrs").pcrs })),
  )
  assert.equal(findings, [
    {
      check: "selection",
      code: "PCR_UNQUOTED",
      message: "there are values of sha256:8 that the quote does not cover",
      location: "sha256:8",
      expected: "the values of the signed selection and no others",
      actual: "a PCR that is not in the quote",
    },
  ])
})

test("tells a person what held and what did not", async () => {
  const quote = filesOf("p256-sha256")
  const good = await assay([...quoteArguments(quote), "-o", "table"])
  assert.is(good.status, 0)
  assert.match(good.out, /^accepted\n\nstructure +held\nkey +held\n/)
  const bad = await assay([
    ...quoteArguments({ ...quote, nonce: undefined, key: pemOf(quoteFixture("p256-sha256").akPublic) }),
    "-o",
    "table",
  ])
  assert.is(bad.status, 1)
  assert.match(bad.out, /^refused: NONCE_MISSING\n\nstructure +held\nkey +not checked\n/)
  assert.match(bad.out, /^nonce +failed$/m)
  assert.match(bad.out, /^nonce: NONCE_MISSING: /m)
})

test("gives a device's log back with every PCR that it does not lead to", async () => {
  const device = testDevice({ sharedKeys: true, selection: [{ hash: "sha256", pcrs: [0, 7] }] })
  const before = device.eventLog
  device.extend(7, new Uint8Array(32))
  const nonce = new Uint8Array(16).fill(1)
  const { attest, signature, pcrBanks } = device.attest({ extraData: nonce })
  const result = await checkQuoteFiles({
    attest,
    signature,
    key: createPublicKey(pemOf(device.akPublic)).export({ type: "spki", format: "pem" }).toString(),
    nonce: toHex(nonce),
    pcrs: concat(...pcrBanks.map(({ values }) => values)),
    eventLog: before,
  })
  assert.equal([result.status, result.code, result.held["replay"]], [1, "EVENT_LOG_REPLAY", false])
  assert.equal(
    result.replay.mismatches.map(({ pcr }) => pcr),
    [7],
  )
})

test.run()
