import { hash as digest } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat } from "../../src/bytes.ts"
import {
  type AttestFields,
  encodeAttest,
  encodeQuoted,
  type RawSelection,
  rawSelection,
  u16,
  u32,
} from "../../src/device/encode.ts"
import { createSoftwareDevice, type SoftwareDevice } from "../../src/device/software.ts"
import { AssayError, type Code } from "../../src/errors.ts"
import { parseEvidence, type RawEvidence } from "../../src/evidence/evidence.ts"
import { HASHES, type HashName } from "../../src/evidence/tpm/algorithm.ts"
import type { PcrValues } from "../../src/evidence/tpm/pcrs.ts"
import type { PcrSelection } from "../../src/evidence/tpm/selection.ts"
import { checkPcrDigest, proveQuote, selectValues, verifyPcrs } from "../../src/verification/quote.ts"
import { throwsCode } from "../support/assert.ts"
import {
  BOOT_PCRS,
  BOOT_SELECTION,
  claimsOf,
  evidenceOf,
  flipped,
  keyOf,
  NONCE,
  p256Device,
  rsaDevice,
  withBanks,
} from "../support/core.ts"

const test = suite("proveQuote, verifyPcrs")

const device = p256Device()
const ak = keyOf(device)
const genuine = evidenceOf(device)

/** A quote with some fields changed before the key signed it: forged, and signed. */
const forged = (change: (fields: AttestFields) => AttestFields | Uint8Array): RawEvidence =>
  evidenceOf(device, { tamper: change })
/** A quote over any selection, with the digest that belongs to `values`. */
const forgedSelection = (select: readonly RawSelection[], values: Uint8Array): RawEvidence =>
  forged((fields) => ({ ...fields, attested: encodeQuoted(select, digest("sha256", values, "buffer")) }))
const values = (selection: readonly PcrSelection[]): Uint8Array => device.pcrValues(selection)
const all = values(BOOT_SELECTION)

const refused = (name: string, evidence: () => RawEvidence, code: Code): void =>
  test(`refuses ${name}`, () => {
    throwsCode(() => claimsOf(evidence(), ak), code)
  })

test("accepts a quote by each kind of key, and gives what was signed", () => {
  for (const algorithm of ["rsa-2048", "p256", "p384", "p521"] as const) {
    const other = createSoftwareDevice({ algorithm, sharedKeys: true, selection: BOOT_SELECTION })
    const claims = claimsOf(evidenceOf(other), keyOf(other), { qualifiedSigner: other.qualifiedName })
    assert.equal([...(claims.pcrs.get("sha256")?.keys() ?? [])], BOOT_PCRS)
    const { firmwareVersion, ...clockInfo } = other.state
    assert.equal(claims.clockInfo, clockInfo)
    assert.is(claims.firmwareVersion, firmwareVersion)
  }
})

test("accepts a quote by RSAPSS", () => {
  const other = createSoftwareDevice({ algorithm: "rsa-2048", scheme: "rsapss", sharedKeys: true })
  assert.is(claimsOf(evidenceOf(other), keyOf(other)).ak.scheme, "rsapss")
})

// not made by a TPM.
const magics: [name: string, magic: number][] = [
  ["Q-01 a signed structure with magic zero", 0],
  ["Q-01 a signed structure with one bit of the magic changed", 0xff544346],
  ["Q-01 a signed structure with the magic's bytes reversed", 0x474354ff],
  ["Q-01 a signed structure with the magic of a TPM 1.2 quote", 0x51554f54],
  ["Q-01 a signed structure with magic of all ones", 0xffffffff],
]
for (const [name, magic] of magics)
  refused(name, () => forged((fields) => ({ ...fields, magic })), "QUOTE_MAGIC")
refused(
  "Q-01 text that the key was made to sign",
  () => forged(() => new TextEncoder().encode("this is no attestation at all")),
  "QUOTE_MAGIC",
)

// another kind of attestation, with the caller's extraData.
const kinds: [name: string, signed: () => { attest: Uint8Array; signature: Uint8Array }][] = [
  ["Q-02 a certification of a key, over the right nonce", () => device.certify(NONCE)],
  ["Q-02 a proof of creation, over the right nonce", () => device.certifyCreation(NONCE)],
  ["Q-02 the time, over the right nonce", () => device.getTime(NONCE)],
]
for (const [name, signed] of kinds) refused(name, () => ({ ...genuine, ...signed() }), "ATTEST_TYPE")
const types: [name: string, type: number][] = [
  ["Q-02 an NV certification, over the right nonce", 0x8014],
  ["Q-02 a command audit, over the right nonce", 0x8015],
  ["Q-02 a session audit, over the right nonce", 0x8016],
  ["Q-02 an NV digest, over the right nonce", 0x801c],
  ["Q-02 a structure of an unknown type, over the right nonce", 0x8018 + 0x100],
]
for (const [name, type] of types)
  refused(name, () => forged((fields) => ({ ...fields, type })), "ATTEST_TYPE")

// nothing selected.
const empty: [name: string, select: readonly RawSelection[]][] = [
  ["Q-03 a quote over no bank", []],
  ["Q-03 a quote over a bank without any PCR", [{ hash: HASHES.sha256.id, bitmap: new Uint8Array(3) }]],
  [
    "Q-03 a quote over two banks without any PCR",
    [
      { hash: HASHES.sha256.id, bitmap: new Uint8Array(3) },
      { hash: HASHES.sha384.id, bitmap: new Uint8Array(3) },
    ],
  ],
]
for (const [name, select] of empty) {
  refused(`${name}, with values beside it`, () => forgedSelection(select, new Uint8Array()), "PCR_SELECTION")
  refused(
    `${name}, without values`,
    () => withBanks(forgedSelection(select, new Uint8Array()), () => []),
    "PCR_SELECTION",
  )
  refused(`${name}, with the digest of all values`, () => forgedSelection(select, all), "PCR_SELECTION")
}

// less selected than is shown. What the policy requires is test/appraisal/rules/pcr-selection.test.ts.
for (const dropped of BOOT_PCRS) {
  const selection: readonly PcrSelection[] = [
    { hash: "sha256", pcrs: BOOT_PCRS.filter((pcr) => pcr !== dropped) },
  ]
  refused(
    `Q-04 a quote without PCR ${dropped} whose value is shown all the same`,
    () => ({ ...evidenceOf(device, { selection }), pcrBanks: genuine.pcrBanks }),
    "PCR_UNQUOTED",
  )
}

// values that ride along.
const sha384 = { hash: "sha384", values: new Uint8Array(48) } as const
const riders: [name: string, evidence: () => RawEvidence][] = [
  [
    "Q-05 the value of one more PCR",
    () => withBanks(genuine, () => [{ hash: "sha256", values: concat(all, new Uint8Array(32)) }]),
  ],
  [
    "Q-05 the values of all 24 PCRs for a quote over eight",
    () => withBanks(genuine, () => [{ hash: "sha256", values: concat(all, new Uint8Array(16 * 32)) }]),
  ],
  ["Q-05 a bank that was not quoted", () => withBanks(genuine, (banks) => [...banks, sha384])],
  [
    "Q-05 a bank that was not quoted, before the one that was",
    () => withBanks(genuine, (banks) => [sha384, ...banks]),
  ],
  [
    "Q-05 the SHA-1 bank beside a quote over SHA-256",
    () => withBanks(genuine, (banks) => [...banks, { hash: "sha1", values: new Uint8Array(8 * 20) }]),
  ],
  [
    "Q-05 values for a bank that was quoted without any PCR",
    () =>
      withBanks(
        forgedSelection(
          [rawSelection({ hash: "sha256", pcrs: BOOT_PCRS }), rawSelection({ hash: "sha384", pcrs: [] })],
          all,
        ),
        (banks) => [...banks, sha384],
      ),
  ],
]
for (const [name, evidence] of riders) refused(name, evidence, "PCR_UNQUOTED")

// what is shown claims to be another selection than the signed one.
const indexed = (banks: readonly (readonly [HashName, readonly number[]])[]): PcrValues =>
  new Map(
    banks.map(([hash, pcrs]) => [
      hash,
      new Map(pcrs.map((pcr) => [pcr, new Uint8Array(HASHES[hash].sizeBytes)])),
    ]),
  )
const claimedSelections: [name: string, claimed: PcrValues, code: Code][] = [
  [
    "Q-06 values said to be of PCRs 0 to 6 for a quote over 0 to 7",
    indexed([["sha256", [0, 1, 2, 3, 4, 5, 6]]]),
    "PCR_SELECTION",
  ],
  [
    "Q-06 values said to be of PCRs 1 to 8 for a quote over 0 to 7",
    indexed([["sha256", [1, 2, 3, 4, 5, 6, 7, 8]]]),
    "PCR_SELECTION",
  ],
  [
    "Q-06 values said to be of PCRs 0 to 8 for a quote over 0 to 7",
    indexed([["sha256", [0, 1, 2, 3, 4, 5, 6, 7, 8]]]),
    "PCR_UNQUOTED",
  ],
  ["Q-06 values said to be of another bank", indexed([["sha384", BOOT_PCRS]]), "PCR_SELECTION"],
  [
    "Q-06 values said to be of two banks",
    indexed([
      ["sha256", BOOT_PCRS],
      ["sha512", [0]],
    ]),
    "PCR_UNQUOTED",
  ],
  ["Q-06 values said to be of no bank", indexed([]), "PCR_SELECTION"],
]
for (const [name, banks, code] of claimedSelections)
  test(`refuses ${name}`, () => {
    throwsCode(() => selectValues(BOOT_SELECTION, { kind: "indexed", banks }), code)
  })
test("refuses Q-06 a value that has the size of another bank's", () => {
  const short = indexed([["sha256", BOOT_PCRS]])
  const banks = new Map([
    ...short,
    ["sha256" as const, new Map([...(short.get("sha256") ?? []), [7, new Uint8Array(20)]])],
  ])
  throwsCode(() => selectValues(BOOT_SELECTION, { kind: "indexed", banks }), "PCR_SELECTION")
})
const lengths: [name: string, evidence: () => RawEvidence, code: Code][] = [
  [
    "Q-06 one value too few",
    () => withBanks(genuine, () => [{ hash: "sha256", values: all.subarray(32) }]),
    "PCR_SELECTION",
  ],
  ["Q-06 no bank at all", () => withBanks(genuine, () => []), "PCR_SELECTION"],
  [
    "Q-06 the values under the name of another bank",
    () => withBanks(genuine, () => [{ hash: "sha512", values: all }]),
    "PCR_SELECTION",
  ],
]
for (const [name, evidence, code] of lengths) refused(name, evidence, code)

// a selection that cannot be read in one way only.
const twoBytes = Uint8Array.of(0xff, 0)
const malformed: [name: string, select: readonly RawSelection[]][] = [
  [
    "Q-07 one bank twice, with other PCRs",
    [
      rawSelection({ hash: "sha256", pcrs: [0, 1, 2, 3] }),
      rawSelection({ hash: "sha256", pcrs: [4, 5, 6, 7] }),
    ],
  ],
  [
    "Q-07 one bank twice, with the same PCRs",
    [rawSelection({ hash: "sha256", pcrs: BOOT_PCRS }), rawSelection({ hash: "sha256", pcrs: BOOT_PCRS })],
  ],
  [
    "Q-07 one bank twice, once without PCRs",
    [rawSelection({ hash: "sha256", pcrs: BOOT_PCRS }), rawSelection({ hash: "sha256", pcrs: [] })],
  ],
  ["Q-07 a bitmap of four bytes", [{ hash: HASHES.sha256.id, bitmap: Uint8Array.of(0xff, 0, 0, 0) }]],
  ["Q-07 a bitmap with a PCR over 23", [{ hash: HASHES.sha256.id, bitmap: Uint8Array.of(0xff, 0, 0, 1) }]],
  ["Q-07 a bitmap of two bytes", [{ hash: HASHES.sha256.id, bitmap: twoBytes }]],
  ["Q-07 a bitmap of no bytes", [{ hash: HASHES.sha256.id, bitmap: new Uint8Array() }]],
  ["Q-07 a bank of an unknown hash", [{ hash: 0x0012, bitmap: Uint8Array.of(0xff, 0, 0) }]],
]
for (const [name, select] of malformed)
  refused(name, () => forgedSelection(select, all), "PCR_SELECTION_MALFORMED")
refused(
  "Q-07 the values of one bank twice",
  () => withBanks(genuine, (banks) => [...banks, ...banks]),
  "FIELD",
)

// values that are not those of the digest, and digests by the wrong hash.
const digests: [name: string, evidence: () => RawEvidence][] = [
  [
    "Q-10 a value with one bit changed",
    () => withBanks(genuine, () => [{ hash: "sha256", values: flipped(all, 0) }]),
  ],
  [
    "Q-10 two values exchanged",
    () =>
      withBanks(genuine, () => [
        { hash: "sha256", values: concat(all.subarray(32, 64), all.subarray(0, 32), all.subarray(64)) },
      ]),
  ],
  [
    "Q-10 all values zero",
    () => withBanks(genuine, () => [{ hash: "sha256", values: new Uint8Array(all.length) }]),
  ],
  [
    "Q-10 a digest that was cut short",
    () =>
      forged((fields) => ({
        ...fields,
        attested: encodeQuoted(
          BOOT_SELECTION.map(rawSelection),
          digest("sha256", all, "buffer").subarray(0, 20),
        ),
      })),
  ],
  [
    "Q-10 an empty digest",
    () =>
      forged((fields) => ({
        ...fields,
        attested: encodeQuoted(BOOT_SELECTION.map(rawSelection), new Uint8Array()),
      })),
  ],
  [
    "Q-10 a digest by SHA-1 where the scheme's hash is due",
    () =>
      forged((fields) => ({
        ...fields,
        attested: encodeQuoted(BOOT_SELECTION.map(rawSelection), digest("sha1", all, "buffer")),
      })),
  ],
  [
    "Q-10 a digest by SHA-384 where the scheme's hash is due",
    () =>
      forged((fields) => ({
        ...fields,
        attested: encodeQuoted(BOOT_SELECTION.map(rawSelection), digest("sha384", all, "buffer")),
      })),
  ],
  [
    "Q-10 a digest over the digests of the values",
    () => forgedSelection(BOOT_SELECTION.map(rawSelection), digest("sha256", all, "buffer")),
  ],
]
for (const [name, evidence] of digests) refused(name, evidence, "PCR_DIGEST")

/** A P-256 key that signs by SHA-256 over a SHA-384 bank, and a P-384 key that signs by SHA-384 over a SHA-256 bank. */
const mixed: [name: string, device: SoftwareDevice, bank: HashName][] = [
  [
    "of the bank, SHA-384, where the scheme's is SHA-256",
    createSoftwareDevice({ algorithm: "p256", sharedKeys: true, banks: ["sha384"] }),
    "sha384",
  ],
  [
    "of the bank, SHA-256, where the scheme's is SHA-384",
    createSoftwareDevice({ algorithm: "p384", sharedKeys: true, banks: ["sha256"] }),
    "sha256",
  ],
]
for (const [name, other, bank] of mixed)
  test(`refuses Q-10 a digest by the hash ${name}`, () => {
    claimsOf(evidenceOf(other), keyOf(other))
    const selection = [{ hash: bank, pcrs: [0, 1] }]
    const attested = encodeQuoted(
      selection.map(rawSelection),
      digest(bank, other.pcrValues(selection), "buffer"),
    )
    const evidence = evidenceOf(other, { selection, tamper: (fields) => ({ ...fields, attested }) })
    throwsCode(() => claimsOf(evidence, keyOf(other)), "PCR_DIGEST")
  })

test("accepts two banks in the order of the quote, and refuses Q-10 the digest of the other order", () => {
  const other = createSoftwareDevice({ algorithm: "p256", sharedKeys: true, banks: ["sha256", "sha384"] })
  const selection: readonly PcrSelection[] = [
    { hash: "sha384", pcrs: [0, 7] },
    { hash: "sha256", pcrs: [0, 7] },
  ]
  const evidence = evidenceOf(other, { selection })
  claimsOf(evidence, keyOf(other))
  claimsOf(
    withBanks(evidence, (banks) => banks.toReversed()),
    keyOf(other),
  )
  const attested = encodeQuoted(
    selection.map(rawSelection),
    digest("sha256", other.pcrValues(selection.toReversed()), "buffer"),
  )
  const reversed = evidenceOf(other, { selection, tamper: (fields) => ({ ...fields, attested }) })
  throwsCode(() => claimsOf(reversed, keyOf(other)), "PCR_DIGEST")
})

// Q-11 and Q-12 in a quote that the key signed; the parsers' own tests take every structure apart.
const framings: [name: string, change: (whole: Uint8Array) => Uint8Array, code: Code][] = [
  ["Q-11 a signed quote with a byte behind it", (whole) => concat(whole, Uint8Array.of(0)), "FRAMING"],
  ["Q-11 a signed quote cut short by a byte", (whole) => whole.subarray(0, -1), "FRAMING"],
  ["Q-11 a signed quote with its size before it", (whole) => concat(u16(whole.length), whole), "QUOTE_MAGIC"],
  ["Q-11 a signed quote of the signer's size plus one", (whole) => flipped(whole, 7, 0x22 ^ 0x23), "LENGTH"],
  [
    "Q-11 a signed quote that is neither safe nor unsafe",
    (whole) => whole.map((b, i) => (i === 6 + 36 + 34 + 16 ? 2 : b)),
    "FRAMING",
  ],
  ["Q-12 a signed quote with a signer of 65535 bytes", (whole) => patched(whole, 6, u16(0xffff)), "LENGTH"],
  ["Q-12 a signed quote with extraData of 67 bytes", (whole) => patched(whole, 6 + 36, u16(67)), "LENGTH"],
  [
    "Q-12 a signed quote with 2^31 banks",
    (whole) => patched(whole, 6 + 36 + 34 + 17 + 8, u32(0x80000000)),
    "LENGTH",
  ],
  [
    "Q-12 a signed quote with 2^32 - 1 banks",
    (whole) => patched(whole, 6 + 36 + 34 + 17 + 8, u32(0xffffffff)),
    "LENGTH",
  ],
  [
    "Q-12 a signed quote with a digest of 65535 bytes",
    (whole) => patched(whole, whole.length - 34, u16(0xffff)),
    "LENGTH",
  ],
]
const patched = (whole: Uint8Array, at: number, by: Uint8Array): Uint8Array =>
  concat(whole.subarray(0, at), by, whole.subarray(at + by.length))
for (const [name, change, code] of framings)
  refused(name, () => forged((fields) => change(encodeAttest(fields))), code)

// the signature says another scheme than the key.
const headers: [name: string, signature: () => Uint8Array][] = [
  ["Q-13 an RSASSA signature for an ECDSA key", () => rsaDevice().sign(genuine.attest)],
  [
    "Q-13 an RSAPSS signature for an ECDSA key",
    () => rsaDevice().sign(genuine.attest, { kind: "rsapss", hash: "sha256" }),
  ],
  ["Q-13 an HMAC for an ECDSA key", () => patched(genuine.signature, 0, u16(0x0005))],
  ["Q-13 an ECDAA signature", () => patched(genuine.signature, 0, u16(0x001a))],
  ["Q-13 an SM2 signature", () => patched(genuine.signature, 0, u16(0x001b))],
  ["Q-13 a Schnorr signature", () => patched(genuine.signature, 0, u16(0x001c))],
  ["Q-13 no signature at all, TPM_ALG_NULL", () => u16(0x0010)],
  ["Q-14 a signature that says SHA-1", () => patched(genuine.signature, 2, u16(0x0004))],
  ["Q-14 a genuine signature by SHA-1", () => device.sign(genuine.attest, { kind: "ecdsa", hash: "sha1" })],
  [
    "Q-14 a genuine signature by a stronger hash than the key's",
    () => device.sign(genuine.attest, { kind: "ecdsa", hash: "sha384" }),
  ],
  ["Q-14 a signature that says SM3", () => patched(genuine.signature, 2, u16(0x0012))],
  ["Q-14 a signature that says an unknown hash", () => patched(genuine.signature, 2, u16(0x7fff))],
]
for (const [name, signature] of headers)
  refused(name, () => ({ ...genuine, signature: signature() }), "SIG_ALG")

const rsa = rsaDevice()
const rsaGenuine = evidenceOf(rsa)
const rsaHeaders: [name: string, signature: () => Uint8Array][] = [
  ["Q-13 an ECDSA signature for an RSA key", () => device.sign(rsaGenuine.attest)],
  [
    "Q-14 a genuine RSAPSS signature where the key's scheme is RSASSA",
    () => rsa.sign(rsaGenuine.attest, { kind: "rsapss", hash: "sha256" }),
  ],
  [
    "Q-14 a genuine RSASSA signature by SHA-1",
    () => rsa.sign(rsaGenuine.attest, { kind: "rsassa", hash: "sha1" }),
  ],
  [
    "Q-14 a genuine RSASSA signature by SHA-512",
    () => rsa.sign(rsaGenuine.attest, { kind: "rsassa", hash: "sha512" }),
  ],
]
for (const [name, signature] of rsaHeaders)
  test(`refuses ${name}`, () => {
    throwsCode(() => claimsOf({ ...rsaGenuine, signature: signature() }, keyOf(rsa)), "SIG_ALG")
  })

// N-03: the comparison of extraData.
const encoded = new TextEncoder()
const nonces: [name: string, extraData: Uint8Array][] = [
  ["N-03 empty extraData", new Uint8Array()],
  ["N-03 extraData of zeros", new Uint8Array(32)],
  ["N-03 a prefix of what was asked for", NONCE.subarray(0, 31)],
  ["N-03 what was asked for and a zero", concat(NONCE, Uint8Array.of(0))],
  ["N-03 what was asked for, padded to 64 bytes", concat(NONCE, new Uint8Array(32))],
  ["N-03 what was asked for, padded in front", concat(new Uint8Array(32), NONCE)],
  ["N-03 what was asked for with its last bit changed", flipped(NONCE, 31)],
  ["N-03 what was asked for with its first bit changed", flipped(NONCE, 0, 0x80)],
  ["N-03 what was asked for in base64", encoded.encode(Buffer.from(NONCE).toString("base64"))],
  ["N-03 what was asked for in hexadecimal", encoded.encode(Buffer.from(NONCE).toString("hex"))],
  ["N-03 the digest of what was asked for", digest("sha256", NONCE, "buffer")],
]
for (const [name, extraData] of nonces)
  refused(name, () => forged((fields) => ({ ...fields, extraData })), "NONCE_MISMATCH")
test("refuses N-03 any quote where nothing was asked for, also one over nothing", () => {
  throwsCode(() => claimsOf(genuine, ak, { extraData: new Uint8Array() }), "NONCE_MISSING")
  const over = forged((fields) => ({ ...fields, extraData: new Uint8Array() }))
  throwsCode(() => claimsOf(over, ak, { extraData: new Uint8Array() }), "NONCE_MISSING")
})
test("keeps the expected extraData to itself", () => {
  const error = throwsCode(
    () => claimsOf(genuine, ak, { extraData: new Uint8Array(32).fill(9) }),
    "NONCE_MISMATCH",
  )
  assert.not.match(`${error.message} ${error.expected} ${error.actual}`, /0909/)
})

// The qualified signer.
const signers: [name: string, qualifiedSigner: Uint8Array][] = [
  ["K-03 a signer below another parent", flipped(device.qualifiedName, 33)],
  ["K-03 a signer that is not named", new Uint8Array()],
  ["K-03 a signer by its Name alone", device.akName],
  ["K-03 a signer whose name is cut short", device.qualifiedName.subarray(0, 33)],
]
for (const [name, qualifiedSigner] of signers)
  test(`refuses ${name}`, () => {
    const evidence = forged((fields) => ({ ...fields, qualifiedSigner }))
    throwsCode(() => claimsOf(evidence, ak, { qualifiedSigner: device.qualifiedName }), "QUALIFIED_SIGNER")
    claimsOf(evidence, ak)
  })

// each check alone decides, and the first that fails is the one that is told.
const broken: [name: string, evidence: () => RawEvidence, code: Code][] = [
  ["the scheme", () => ({ ...genuine, signature: patched(genuine.signature, 2, u16(0x000c)) }), "SIG_ALG"],
  ["the signature", () => ({ ...genuine, signature: flipped(genuine.signature, 10) }), "SIGNATURE"],
  [
    "the signer: another device's key",
    () => ({ ...genuine, signature: createSoftwareDevice({ algorithm: "p256" }).sign(genuine.attest) }),
    "SIGNATURE",
  ],
  ["the signed bytes", () => ({ ...genuine, attest: flipped(genuine.attest, 60) }), "SIGNATURE"],
  ["the magic", () => forged((fields) => ({ ...fields, magic: 1 })), "QUOTE_MAGIC"],
  ["the type", () => ({ ...genuine, ...device.certify(NONCE) }), "ATTEST_TYPE"],
  [
    "the qualified signer",
    () => forged((fields) => ({ ...fields, qualifiedSigner: new Uint8Array(34) })),
    "QUALIFIED_SIGNER",
  ],
  ["extraData", () => forged((fields) => ({ ...fields, extraData: new Uint8Array(32) })), "NONCE_MISMATCH"],
  ["the selection", () => forgedSelection([], new Uint8Array()), "PCR_SELECTION"],
  [
    "the values' number",
    () => withBanks(genuine, () => [{ hash: "sha256", values: all.subarray(32) }]),
    "PCR_SELECTION",
  ],
  [
    "the values",
    () => withBanks(genuine, () => [{ hash: "sha256", values: flipped(all, 40) }]),
    "PCR_DIGEST",
  ],
  [
    "the log",
    () => ({ ...genuine, eventLog: new Uint8Array(p256WithOtherBoot().eventLog) }),
    "EVENT_LOG_REPLAY",
  ],
]
const p256WithOtherBoot = (): SoftwareDevice => {
  const other = p256Device()
  other.boot([])
  return other
}
for (const [name, evidence, code] of broken)
  test(`refuses Q-16 a quote in which one check fails and all others hold: ${name}`, () => {
    const expected = { qualifiedSigner: device.qualifiedName }
    claimsOf(genuine, ak, expected)
    throwsCode(() => claimsOf(evidence(), ak, expected), code)
  })

test("refuses Q-16 by the signature first, whatever else is wrong behind it", () => {
  const evidence = { ...forged((fields) => ({ ...fields, type: 0x8017 - 1, extraData: new Uint8Array() })) }
  const unsigned = { ...evidence, signature: flipped(evidence.signature, 12) }
  throwsCode(() => claimsOf(unsigned, ak), "SIGNATURE")
})

test("gives no values where the digest does not match, however they are asked for", () => {
  const quote = proveQuote(parseEvidence(genuine), ak, { extraData: NONCE, qualifiedSigner: undefined })
  const wrong = {
    kind: "concatenated" as const,
    banks: [{ hash: "sha256" as const, values: flipped(all, 9) }],
  }
  throwsCode(() => verifyPcrs(quote, wrong), "PCR_DIGEST")
  throwsCode(() => checkPcrDigest(quote, selectValues(quote.pcrSelect, wrong)), "PCR_DIGEST")
})

test("throws nothing but coded errors, each with a place", () => {
  for (const [name, evidence] of broken)
    try {
      claimsOf(evidence(), ak, { qualifiedSigner: device.qualifiedName })
      assert.unreachable(name)
    } catch (error) {
      assert.instance(error, AssayError, name)
      if (error instanceof AssayError) assert.ok(error.location, name)
    }
})

test.run()
