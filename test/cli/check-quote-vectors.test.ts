/** Genuine quotes of many makers through `assay check quote`, and what it must refuse of them. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { needs, vector, vectorJson } from "../support/vectors.ts"
import {
  azureEvidence,
  azureQuote,
  enacttrustQuote,
  gceQuotes,
  guardKey,
  guardQuote,
  keylimeQuote,
  trusteeQuote,
  windowsQuote,
} from "./published.ts"
import { checkQuoteFiles, type QuoteFiles } from "./run.ts"

const test = suite("assay check quote, with the quotes of others")
const withVectors = needs("vectors", test)

/** What held in a quote that is right throughout. A bare key says nothing of its attributes. */
const all = (key: true | null, replay: true | null) => ({
  structure: true,
  key,
  scheme: true,
  signature: true,
  type: true,
  nonce: true,
  selection: true,
  bank: true,
  digest: true,
  replay,
})

const accepted: readonly [name: string, quote: () => QuoteFiles, held: ReturnType<typeof all>][] = [
  ["trustee, 64 bytes of nonce", trusteeQuote, all(null, null)],
  ["azure, a bare signature", azureQuote, all(null, null)],
  ["azure, in its wrapper", () => azureEvidence("v1"), all(null, null)],
  ["azure, over user data", () => azureEvidence("v2"), all(null, null)],
  ["keylime, a public area", keylimeQuote, all(true, null)],
  [
    "keylime, PEM",
    () => ({ ...keylimeQuote(), key: vector("quotes/keylime-set/akpub.pem") }),
    all(null, null),
  ],
  ["a laptop with its log", () => guardQuote("guard-good-1.json", ""), all(null, true)],
  ["a laptop, 24 PCRs", () => guardQuote("guard-issue926-x1carbon-ancient.json", ""), all(null, true)],
  [
    "a server, SHA-1 beside SHA-256 in one quote",
    () => guardQuote("guard-IMN-SUPERMICRO-no-epp.json", ""),
    all(null, null),
  ],
  ["a Windows host", () => guardQuote("guard-DESKTOP-MIMU51J-EPP-ESET.json", ""), all(null, null)],
]
for (const [name, quote, held] of accepted)
  withVectors(`accepts ${name}`, async () => {
    const result = await checkQuoteFiles(quote())
    assert.equal(result.held, held)
    assert.equal([result.status, result.accepted, result.code, result.findings], [0, true, null, []])
  })

withVectors(
  "accepts two of a cloud machine's three quotes, each with the log that leads to its bank, and refuses Q-08 the one over SHA-1 alone",
  async () => {
    const quotes = gceQuotes()
    assert.equal(
      quotes.map(({ bank }) => bank),
      ["sha1", "sha256", "sha384"],
    )
    for (const quote of quotes) {
      const bank = quote.bank !== "sha1"
      const result = await checkQuoteFiles(quote)
      assert.equal([result.status, result.held], [bank ? 0 : 1, { ...all(true, true), bank }])
      const byCertificate = await checkQuoteFiles({ ...quote, key: quote.certificate })
      assert.equal([byCertificate.status, byCertificate.held], [bank ? 0 : 1, { ...all(null, true), bank }])
    }
  },
)

withVectors("refuses a log that does not lead to PCR 0 and says from which event on", async () => {
  const result = await checkQuoteFiles(guardQuote("guard-failed-1.json", ""))
  assert.equal(
    [result.status, result.code, result.held],
    [1, "EVENT_LOG_REPLAY", { ...all(null, true), replay: false }],
  )
  assert.equal(
    result.replay.mismatches.map(({ bank, pcr }) => [bank, pcr]),
    [["sha256", 0]],
  )
  assert.type(result.replay.mismatches[0]?.event, "number")
})

for (const [name, replay] of [
  ["guard-ludmilla.json", true],
  ["guard-hahuri-no-eventlog.json", null],
] as const)
  withVectors(`says that all but the signature holds of ${name}, whose key was not published`, async () => {
    const result = await checkQuoteFiles(guardQuote(name, guardKey()))
    assert.equal([result.status, result.code], [1, "SIGNATURE"])
    assert.equal(result.held, { ...all(null, replay), signature: false })
  })

withVectors(
  "refuses SHA-1 and the missing nonce of a Windows quote, and says that the rest holds",
  async () => {
    const result = await checkQuoteFiles(windowsQuote())
    assert.equal([result.status, result.accepted, result.code], [1, false, "SIG_ALG"])
    assert.equal(result.held, { ...all(true, true), key: false, scheme: false, nonce: false, bank: false })
  },
)

withVectors(
  "Q-03 N-03 refuses a quote without nonce and without values, and says that its signature holds",
  async () => {
    const bare = await checkQuoteFiles(enacttrustQuote())
    assert.equal([bare.status, bare.code], [1, "NONCE_MISSING"])
    assert.equal(bare.held, { ...all(null, null), nonce: false, selection: false, bank: null, digest: null })
    assert.is((await checkQuoteFiles({ ...enacttrustQuote(), nonce: "" })).code, "NONCE_MISSING")
    assert.is((await checkQuoteFiles({ ...enacttrustQuote(), nonce: "00" })).code, "NONCE_MISMATCH")
  },
)

const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 9 ? byte ^ 1 : byte))

for (const [name, quote] of accepted)
  withVectors(`refuses ${name} with another nonce, signature or value`, async () => {
    const good = quote()
    const { nonce = "" } = good
    const other = await checkQuoteFiles({
      ...good,
      nonce: `${nonce.slice(0, -2)}${nonce.endsWith("00") ? "01" : "00"}`,
    })
    assert.equal([other.status, other.code], [1, "NONCE_MISMATCH"])
    const shorter = nonce.length > 2 ? nonce.slice(0, -2) : "900900"
    assert.is((await checkQuoteFiles({ ...good, nonce: shorter })).code, "NONCE_MISMATCH")
    const signed = await checkQuoteFiles({ ...good, signature: flipped(good.signature) })
    assert.equal([signed.status, signed.code, signed.held["signature"]], [1, "SIGNATURE", false])
    if (good.pcrs instanceof Uint8Array) return
    const [[bank = "", values = {}] = []] = Object.entries(good.pcrs ?? {})
    const [[pcr = "", value = ""] = []] = Object.entries<string>(values)
    const changed = {
      ...good.pcrs,
      [bank]: { ...values, [pcr]: `${value.startsWith("0") ? "1" : "0"}${value.slice(1)}` },
    }
    const altered = await checkQuoteFiles({ ...good, pcrs: changed })
    assert.equal([altered.status, altered.code, altered.held["digest"]], [1, "PCR_DIGEST", false])
  })

interface SwtpmQuote {
  readonly nonce: string
  readonly clock: number
  readonly akName: string
}

withVectors("accepts every quote of swtpm, with the key as public area and as PEM", async () => {
  const expected = vectorJson<Record<string, SwtpmQuote>>("swtpm/expected.json")
  const names = Object.keys(expected).filter((name) => name.startsWith("quotes/"))
  assert.is(names.length, 10)
  for (const name of names) {
    const quote = {
      attest: vector(`swtpm/${name}/attest.bin`),
      signature: vector(`swtpm/${name}/signature.bin`),
      key: vector(`swtpm/${name}/ak.pub`),
      nonce: expected[name]?.nonce,
      pcrs: vectorJson<object>(`swtpm/${name}/pcrs.json`),
    }
    const result = await checkQuoteFiles(quote)
    assert.equal([name, result.status, result.held], [name, 0, all(true, null)])
    assert.is(result.attest?.["clock"], expected[name]?.clock)
    const pem = await checkQuoteFiles({ ...quote, key: vector(`swtpm/${name}/ak.pem`) })
    assert.equal([name, pem.status, pem.held], [name, 0, all(null, null)])
  }
  const stripped = "swtpm/quotes/ecdsa-p256-leading-zero-s"
  const short = await checkQuoteFiles({
    attest: vector(`${stripped}/attest.bin`),
    signature: vector(`${stripped}/signature-stripped.bin`),
    key: vector(`${stripped}/ak.pub`),
    nonce: expected["quotes/ecdsa-p256-leading-zero-s"]?.nonce,
    pcrs: vectorJson<object>(`${stripped}/pcrs.json`),
  })
  assert.is(short.status, 0)
})

interface Negative {
  readonly id: string
  readonly reason: string
  readonly class: string
  readonly attest: string
  readonly signature: string
  readonly akPublic: string
  readonly pcrs: object
  readonly nonce: string
}

/** What each reason of the list is called by Assay. */
const CODES: Readonly<Record<string, readonly string[]>> = {
  signature: ["SIGNATURE", "FRAMING", "LENGTH", "QUOTE_MAGIC"],
  malformed: ["FRAMING", "LENGTH", "SIGNATURE", "SIG_ALG"],
  downgrade: ["SIG_ALG"],
  freshness: ["NONCE_MISMATCH", "NONCE_MISSING"],
  selection: ["PCR_SELECTION", "PCR_UNQUOTED", "PCR_SELECTION_MALFORMED"],
  "pcr-mismatch": ["PCR_DIGEST"],
  "not-a-quote": ["ATTEST_TYPE"],
  "ak-attributes": ["AK_ATTRIBUTES", "QUOTE_MAGIC"],
}

/** Wrong only by what a policy or a registry knows; `assay appraise` is told, and refuses them. */
const NEEDS_MORE: readonly string[] = [
  "required-pcr-not-quoted",
  "required-bank-not-quoted",
  "quote-sha1-bank-only",
  "quote-unallocated-bank",
  "qualified-signer-of-owner",
]

withVectors("refuses every negative of swtpm by a code of its class", async () => {
  const negatives = vectorJson<readonly Negative[]>("swtpm/negatives.json")
  assert.is(negatives.length, 44)
  for (const negative of negatives) {
    if (NEEDS_MORE.includes(negative.id)) continue
    const result = await checkQuoteFiles({
      attest: new Uint8Array(Buffer.from(negative.attest, "hex")),
      signature: new Uint8Array(Buffer.from(negative.signature, "hex")),
      key: new Uint8Array(Buffer.from(negative.akPublic, "hex")),
      nonce: negative.nonce,
      pcrs: negative.pcrs,
    })
    assert.is(result.accepted, false, negative.id)
    assert.ok(result.status === 1 || result.status === 2, negative.id)
    const { code } = result
    assert.ok(
      code !== null && CODES[negative.reason]?.includes(code),
      `${negative.class} ${negative.id}: ${code}`,
    )
  }
})

test.run()
