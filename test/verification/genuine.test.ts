/** Genuine quotes of many makers, with the values that their publishers give: accepted, and refused one change away. */
import { createPublicKey } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, fromHex, toHex } from "../../src/bytes.ts"
import { encodePublic, sized, u16 } from "../../src/device/encode.ts"
import { AK_ATTRIBUTES } from "../../src/device/tpm.ts"
import type { Code } from "../../src/errors.ts"
import { type EventLog, parseEventLog } from "../../src/evidence/eventlog/eventlog.ts"
import { HASHES, type HashName, hashName } from "../../src/evidence/tpm/algorithm.ts"
import { parseAttest } from "../../src/evidence/tpm/attest.ts"
import { type PcrValues, parsePcrFile } from "../../src/evidence/tpm/pcrs.ts"
import { type PublicKey, parsePublic } from "../../src/evidence/tpm/public.ts"
import { parseSignature } from "../../src/evidence/tpm/signature.ts"
import { verifyClaims } from "../../src/verification/claims.ts"
import { createAttestationKey } from "../../src/verification/key.ts"
import { createLogOutcome } from "../../src/verification/log-outcome.ts"
import { checkPcrDigest, checkType, proveQuote, selectValues } from "../../src/verification/quote.ts"
import { compareBank, replayBank } from "../../src/verification/replay.ts"
import { throwsCode } from "../support/assert.ts"
import { flipped } from "../support/core.ts"
import { needs, vector, vectorJson } from "../support/vectors.ts"

const test = suite("genuine quotes")
const withVectors = needs("vectors", test)

/** A quote as its publisher has it. */
interface Published {
  /** TPM2B_PUBLIC or TPMT_PUBLIC. */
  readonly akPublic: Uint8Array
  readonly attest: Uint8Array
  readonly signature: Uint8Array
  readonly nonce: Uint8Array
  readonly pcrs: PcrValues
  readonly qualifiedSigner?: Uint8Array
  readonly eventLog?: Uint8Array
}

const verify = (quote: Published) => {
  const ak = createAttestationKey(parsePublic(quote.akPublic))
  const { attest: attestBytes, qualifiedSigner, eventLog } = quote
  const signed = {
    attest: parseAttest(attestBytes),
    attestBytes,
    signature: parseSignature(quote.signature),
  }
  const shown = {
    pcrs: { kind: "indexed" as const, banks: quote.pcrs },
    eventLog: eventLog === undefined ? undefined : createLogOutcome(() => parseEventLog(eventLog)),
  }
  return verifyClaims(proveQuote(signed, ak, { extraData: quote.nonce, qualifiedSigner }), shown, ak)
}

/** What must be refused of every one of them. */
const refusesChanges = (quote: Published): void => {
  throwsCode(() => verify({ ...quote, nonce: flipped(quote.nonce, 0) }), "NONCE_MISMATCH")
  throwsCode(() => verify({ ...quote, nonce: quote.nonce.subarray(1) }), ["NONCE_MISMATCH", "NONCE_MISSING"])
  const last = quote.signature.length - 1
  throwsCode(() => verify({ ...quote, signature: flipped(quote.signature, last) }), "SIGNATURE")
  throwsCode(() => verify({ ...quote, attest: flipped(quote.attest, quote.attest.length - 1) }), "SIGNATURE")
  throwsCode(() => verify({ ...quote, qualifiedSigner: new Uint8Array(34) }), "QUALIFIED_SIGNER")
  for (const [hash, bank] of quote.pcrs)
    for (const [pcr, value] of bank) {
      const changed = (to: Map<number, Uint8Array>): PcrValues => new Map([...quote.pcrs, [hash, to]])
      const withValue = new Map([...bank, [pcr, flipped(value, 0, 0x80)]])
      throwsCode(() => verify({ ...quote, pcrs: changed(withValue) }), "PCR_DIGEST")
      const without = new Map([...bank].filter(([index]) => index !== pcr))
      throwsCode(() => verify({ ...quote, pcrs: changed(without) }), "PCR_SELECTION")
    }
}

const bytes = (hex: string): Uint8Array => {
  const value = fromHex(hex)
  if (value === undefined) throw new TypeError(`not hexadecimal: ${hex}`)
  return value
}
const base64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"))
type Values = Readonly<Record<string, string>>
const bankOf = (values: Values, decode: (text: string) => Uint8Array) =>
  new Map(Object.entries(values).map(([pcr, value]) => [Number(pcr), decode(value)]))
const banksOf = (banks: Readonly<Record<string, Values>>): PcrValues =>
  new Map(Object.entries(banks).map(([name, values]) => [hashOf(name), bankOf(values, bytes)]))
const hashOf = (name: string): HashName => {
  const hash = hashName(HASHES[name as HashName]?.id ?? Number(name))
  if (hash === undefined) throw new TypeError(`no hash: ${name}`)
  return hash
}

/** The public area that a key without a published one would have; the Name is another, the key is the same. */
const areaOf = (pem: string): Uint8Array => {
  const jwk = createPublicKey(pem).export({ format: "jwk" })
  const member = (name: "n" | "x" | "y") => new Uint8Array(Buffer.from(String(jwk[name]), "base64url"))
  const key: PublicKey =
    jwk.kty === "RSA"
      ? { kind: "rsa", keyBits: 8 * member("n").length, exponent: 65537, modulus: member("n") }
      : { kind: "ecc", curve: "P-256", x: member("x"), y: member("y") }
  return encodePublic({
    nameAlg: "sha256",
    attributes: AK_ATTRIBUTES,
    authPolicy: new Uint8Array(),
    symmetric: undefined,
    scheme: { kind: jwk.kty === "RSA" ? "rsassa" : "ecdsa", hash: "sha256" },
    key,
  })
}

// swtpm, every scheme and bank.

interface SwtpmQuote {
  readonly nonce: string
  readonly scheme: string
  readonly hash: string
  readonly akName: string
  readonly qualifiedName: string
  readonly pcrDigest: string
  readonly clock: number
  readonly resetCount: number
  readonly restartCount: number
  readonly safe: 0 | 1
  readonly firmwareVersion: string
}
const SWTPM = [
  "rsassa-sha256",
  "rsapss-sha256",
  "rsassa-sha384-over-sha256-bank",
  "rsapss3072-sha512",
  "rsassa-explicit-exponent",
  "ecdsa-p256-three-banks",
  "ecdsa-p384-sha384-bank",
  "ecdsa-p521-sha512",
  "ecdsa-p256-leading-zero-s",
  "ecdsa-p256-owner",
]
const swtpmQuote = (name: string, signature = "signature.bin"): [Published, SwtpmQuote] => {
  const folder = `swtpm/quotes/${name}`
  const expected = vectorJson<Record<string, SwtpmQuote>>("swtpm/expected.json")[`quotes/${name}`]
  if (expected === undefined) throw new TypeError(`no expected values for ${name}`)
  const quote = {
    akPublic: vector(`${folder}/ak.pub`),
    attest: vector(`${folder}/attest.bin`),
    signature: vector(`${folder}/${signature}`),
    nonce: bytes(expected.nonce),
    pcrs: banksOf(vectorJson(`${folder}/pcrs.json`)),
    qualifiedSigner: bytes(expected.qualifiedName),
  }
  return [quote, expected]
}
for (const name of SWTPM) {
  withVectors(`accepts ${name} of swtpm, with the published counters`, () => {
    const [quote, expected] = swtpmQuote(name)
    const claims = verify(quote)
    assert.equal(claims.ak, { scheme: expected.scheme, hash: expected.hash })
    assert.equal(claims.clockInfo, {
      clockMs: BigInt(expected.clock),
      resetCount: expected.resetCount,
      restartCount: expected.restartCount,
      safe: expected.safe === 1,
    })
    assert.is(claims.firmwareVersion, BigInt(`0x${expected.firmwareVersion}`))
    assert.is(toHex(createAttestationKey(parsePublic(quote.akPublic)).area.name), expected.akName)
    assert.equal(claims.pcrs, quote.pcrs)
    assert.is(claims.replay, undefined)
  })
  withVectors(`refuses ${name} of swtpm with any part changed`, () => refusesChanges(swtpmQuote(name)[0]))
}
withVectors("accepts s without its leading zero", () => {
  verify(swtpmQuote("ecdsa-p256-leading-zero-s", "signature-stripped.bin")[0])
})

// Machines in the field: Google's and Microsoft's clouds, laptops, servers.

const pcrFile = (path: string): PcrValues => parsePcrFile(vector(path))
const keylime = (): Published => ({
  akPublic: vector("quotes/keylime-set/ak.pub"),
  attest: vector("quotes/keylime-set/quote.out"),
  signature: vector("quotes/keylime-set/quotesig.out"),
  nonce: bytes("db1db298db6d60e6385b7231743e9c3056a18003"),
  pcrs: pcrFile("quotes/keylime-set/quotepcr.out"),
})

interface Gce {
  readonly akPub_TPMT_PUBLIC: string
  readonly eventLog: string
  readonly quotes: readonly {
    readonly bank: string
    readonly quote_TPMS_ATTEST: string
    readonly signature_TPMT_SIGNATURE: string
    readonly pcrs: Values
  }[]
}
const gce = (bank: HashName): Published => {
  const file = vectorJson<Gce>("quotes/gce-cos-85-nonce9009.json")
  const quote = file.quotes.find((one) => one.bank === bank)
  if (quote === undefined) throw new TypeError(`no quote over ${bank}`)
  return {
    akPublic: bytes(file.akPub_TPMT_PUBLIC),
    attest: bytes(quote.quote_TPMS_ATTEST),
    signature: bytes(quote.signature_TPMT_SIGNATURE),
    nonce: bytes("9009"),
    pcrs: new Map([[bank, bankOf(quote.pcrs, bytes)]]),
    eventLog: base64(file.eventLog),
  }
}

interface RawQuote {
  readonly message: string
  readonly signature: string
  readonly pcrs: readonly string[]
}
interface Known {
  readonly nonce: string
  readonly akPublicPem: string
  readonly extraData: string
  readonly qualifiedSigner: string
}
const known = (name: string): Known => {
  const expected = vectorJson<Record<string, Known>>("quotes/expected.json")[`${name}.json`]
  if (expected === undefined) throw new TypeError(`no expected values for ${name}`)
  return expected
}
const indexed = (values: readonly string[]): PcrValues =>
  new Map([["sha256", new Map(values.map((value, pcr) => [pcr, bytes(value)]))]])

const trustee = (): Published => {
  const file = vectorJson<{ ak_public: string; tpm_quote: RawQuote }>("quotes/trustee-swtpm-evidence.json")
  const pem = `-----BEGIN PUBLIC KEY-----\n${file.ak_public}\n-----END PUBLIC KEY-----\n`
  return {
    akPublic: areaOf(pem),
    attest: base64(file.tpm_quote.message),
    signature: base64(file.tpm_quote.signature),
    nonce: bytes(known("trustee-swtpm-evidence").nonce),
    pcrs: indexed(file.tpm_quote.pcrs),
  }
}
/** A bare RSASSA value gets the header of the TPMT_SIGNATURE that it would have had: RSASSA with SHA-256. */
const azure = (): Published => {
  const file = vectorJson<RawQuote>("quotes/azure-snp-tpm-quote-v1.json")
  const { nonce, akPublicPem } = known("azure-snp-tpm-quote-v1")
  return {
    akPublic: areaOf(akPublicPem),
    attest: bytes(file.message),
    signature: concat(u16(0x0014), u16(0x000b), sized(bytes(file.signature))),
    nonce: bytes(nonce),
    pcrs: indexed(file.pcrs),
  }
}

interface Guard {
  readonly quote_TPMS_ATTEST: string
  readonly signature_TPMT_SIGNATURE: string
  readonly algorithm: string
  readonly pcrs: Values
  readonly allpcrs: Readonly<Record<string, Values>> | null
  readonly event_log?: string
}
const guard = (name: string): Published => {
  const file = vectorJson<Guard>(`quotes/${name}.json`)
  const { akPublicPem, extraData, qualifiedSigner } = known(name)
  const attest = base64(file.quote_TPMS_ATTEST)
  const quoted = new Set(checkType(parseAttest(attest)).pcrSelect.map(({ hash }) => hash))
  const log = file.event_log ?? ""
  return {
    akPublic: akPublicPem === undefined ? new Uint8Array() : areaOf(akPublicPem),
    attest,
    signature: base64(file.signature_TPMT_SIGNATURE),
    nonce: bytes(extraData),
    pcrs: new Map(
      Object.entries(file.allpcrs ?? { [file.algorithm]: file.pcrs })
        .map(([id, values]): [HashName, ReadonlyMap<number, Uint8Array>] => [
          hashOf(id),
          bankOf(values, base64),
        ])
        .filter(([hash]) => quoted.has(hash)),
    ),
    qualifiedSigner: bytes(qualifiedSigner),
    ...(log !== "" && { eventLog: base64(log) }),
  }
}

const field: [name: string, quote: () => Published, replayed: readonly HashName[]][] = [
  ["keylime's set, in the files of tpm2-tools", keylime, []],
  ["a cloud machine of Google, sha256", () => gce("sha256"), ["sha256"]],
  ["a cloud machine of Google, sha384", () => gce("sha384"), ["sha384"]],
  ["a cloud machine of Google, sha1", () => gce("sha1"), ["sha1"]],
  ["trustee's swtpm, with a nonce of 64 bytes", trustee, []],
  ["a confidential machine of Microsoft, with a bare signature", azure, []],
  ["guard-good-1, a laptop", () => guard("guard-good-1"), ["sha256"]],
  ["guard-issue926-x1carbon-ancient", () => guard("guard-issue926-x1carbon-ancient"), ["sha256"]],
  ["guard-DESKTOP-MIMU51J-EPP-ESET, without a log", () => guard("guard-DESKTOP-MIMU51J-EPP-ESET"), []],
  ["guard-IMN-SUPERMICRO-no-epp, two banks", () => guard("guard-IMN-SUPERMICRO-no-epp"), []],
]
for (const [name, quote, replayed] of field) {
  withVectors(`accepts ${name}`, () => {
    const claims = verify(quote())
    assert.equal([...(claims.replay?.explained.keys() ?? [])], replayed)
  })
  withVectors(`refuses ${name}, with any part changed`, () => refusesChanges(quote()))
}

withVectors("refuses guard-failed-1, whose log does not lead to PCR 0, and names the event", () => {
  const error = throwsCode(() => verify(guard("guard-failed-1")), "EVENT_LOG_REPLAY")
  assert.match(error.location ?? "", /^sha256:0, event \d+$/)
  const { eventLog, ...withoutLog } = guard("guard-failed-1")
  assert.is(verify(withoutLog).replay, undefined)
  if (eventLog === undefined) throw new TypeError("the vector has a log")
  assert.equal(mismatchedPcrs(parseEventLog(eventLog), withoutLog.pcrs), ["sha256:0"])
})

const mismatchedPcrs = (log: EventLog, pcrs: PcrValues): string[] =>
  [...pcrs].flatMap(([bank, quoted]) =>
    compareBank(
      createLogOutcome(() => log),
      bank,
      replayBank(log, bank).values,
      quoted,
    ).map(({ pcr }) => `${bank}:${pcr}`),
  )

// Their keys were not published: structure, digest and log alone.
const keyless: [name: string, banks: readonly HashName[], replays: boolean][] = [
  ["guard-ludmilla", ["sha256", "sha384", "sha1"], true],
  ["guard-hahuri-no-eventlog", ["sha256"], false],
]
for (const [name, banks, replays] of keyless)
  withVectors(`accepts the PCR values of ${name}, in all banks`, () => {
    const { attest, pcrs, eventLog } = guard(name)
    const { pcrSelect, pcrDigest } = checkType(parseAttest(attest))
    const values = selectValues(pcrSelect, { kind: "indexed", banks: pcrs })
    assert.equal([...values.keys()], banks)
    checkPcrDigest({ hash: "sha256", pcrDigest }, values)
    if (replays && eventLog !== undefined) assert.equal(mismatchedPcrs(parseEventLog(eventLog), values), [])
    else assert.is(eventLog, undefined)
  })

interface Windows {
  readonly AK: { readonly Public: string }
  readonly Quote: { readonly Quote: string }
  readonly Log: {
    readonly PCRs: readonly { readonly Index: number; readonly Digest: string }[]
    readonly Raw: string
  }
}
withVectors("refuses Q-08 a Windows machine whose key hashes with SHA-1, though digest and log hold", () => {
  const file = vectorJson<Windows>("quotes/windows-gcp-shielded-vm.json")
  throwsCode(() => createAttestationKey(parsePublic(base64(file.AK.Public))), "SIG_ALG")
  const pcrs = new Map(file.Log.PCRs.map(({ Index, Digest }) => [Index, base64(Digest)]))
  const { pcrSelect, pcrDigest } = checkType(parseAttest(base64(file.Quote.Quote)))
  const values = selectValues(pcrSelect, { kind: "indexed", banks: new Map([["sha1", pcrs]]) })
  checkPcrDigest({ hash: "sha1", pcrDigest }, values)
  assert.equal(mismatchedPcrs(parseEventLog(base64(file.Log.Raw)), values), [])
})

withVectors("refuses N-03 a synthetic quote with empty extraData, whatever is expected", () => {
  const token = vector("quotes/enacttrust-basic.token")
  const size = new DataView(token.buffer, token.byteOffset).getUint16(16)
  const attest = token.subarray(18, 18 + size)
  const quote = {
    akPublic: areaOf(Buffer.from(vector("quotes/enacttrust-basic.pem.pub")).toString()),
    attest,
    signature: token.subarray(18 + size),
    pcrs: new Map(),
  }
  throwsCode(() => verify({ ...quote, nonce: new Uint8Array() }), "NONCE_MISSING")
  throwsCode(() => verify({ ...quote, nonce: new Uint8Array(32) }), "NONCE_MISMATCH")
})

// The negative records of swtpm: what a TPM signs without complaint, and what an attacker changes.

interface Negative {
  readonly id: string
  readonly attest: string
  readonly signature: string
  readonly akPublic: string
  readonly pcrs: Readonly<Record<string, Values>>
  readonly nonce: string
  readonly qualifiedName: string
}
/** The policy's own refusals come after this: `undefined` is for test/appraisal, which reads the same records. */
const negatives: Readonly<Record<string, Code | undefined>> = {
  "signature-bit": "SIGNATURE",
  "attest-bit-pcrdigest": "SIGNATURE",
  "attest-bit-clock": "SIGNATURE",
  "attest-magic-changed": "QUOTE_MAGIC",
  "attest-trailing-byte": "FRAMING",
  "attest-truncated": "FRAMING",
  "attest-with-tpm2b-size": "QUOTE_MAGIC",
  "signature-trailing-byte": "FRAMING",
  "signature-rsa-short": "SIGNATURE",
  "signature-rsa-leading-zero": "SIGNATURE",
  "signature-says-sha1": "SIG_ALG",
  "signature-says-rsapss": "SIG_ALG",
  "signature-of-other-key": "SIGNATURE",
  "nonce-of-other-challenge": "NONCE_MISMATCH",
  "nonce-missing-on-our-side": "NONCE_MISSING",
  "required-pcr-not-quoted": undefined,
  "required-bank-not-quoted": undefined,
  "extra-pcr-value": "PCR_UNQUOTED",
  "missing-pcr-value": "PCR_SELECTION",
  "pcr-value-changed": "PCR_DIGEST",
  "pcr-values-swapped": "PCR_DIGEST",
  "pcr-values-shifted": "PCR_SELECTION",
  "bank-left-out": "PCR_SELECTION",
  "ecdsa-r-overlong": "SIGNATURE",
  "ecdsa-zero-r": "SIGNATURE",
  "ecdsa-empty-s": "SIGNATURE",
  "ecdsa-r-is-n": "SIGNATURE",
  "ecdsa-der-in-place": "SIG_ALG",
  "quote-no-bank": "PCR_SELECTION",
  "quote-empty-bitmap": "PCR_SELECTION",
  "quote-unallocated-bank": "PCR_SELECTION",
  "quote-duplicate-bank": "PCR_SELECTION_MALFORMED",
  "quote-duplicate-pcr": "PCR_SELECTION_MALFORMED",
  "quote-empty-extradata": "NONCE_MISMATCH",
  "quote-nonce-plus-byte": "NONCE_MISMATCH",
  "quote-sha1-bank-only": undefined,
  "qualified-signer-of-owner": "QUALIFIED_SIGNER",
  "type-certify": "ATTEST_TYPE",
  "type-time": "ATTEST_TYPE",
  "type-creation": "ATTEST_TYPE",
  "ak-not-restricted": "AK_ATTRIBUTES",
  "ak-not-restricted-forged": "AK_ATTRIBUTES",
  "magic-wrong-signed": "AK_ATTRIBUTES",
  "ak-sha1-scheme": "SIG_ALG",
}
withVectors("refuses each negative record of swtpm with its code", () => {
  const records = vectorJson<readonly Negative[]>("swtpm/negatives.json")
  assert.equal(
    records.map(({ id }) => id),
    Object.keys(negatives),
  )
  for (const { id, ...record } of records) {
    const code = negatives[id]
    const quote = {
      akPublic: bytes(record.akPublic),
      attest: bytes(record.attest),
      signature: bytes(record.signature),
      nonce: bytes(record.nonce),
      pcrs: banksOf(record.pcrs),
      qualifiedSigner: bytes(record.qualifiedName),
    }
    if (code === undefined) verify(quote)
    else assert.is(throwsCode(() => verify(quote), code).code, code, id)
  }
})

test.run()
