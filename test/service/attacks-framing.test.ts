/** against the whole service: structures that end elsewhere than they should, and lengths that lie. */
import { suite } from "uvu"
import { concat } from "../../src/bytes.ts"
import { encodeAttest, encodeQuoted, rawSelection, sized, u16, u32 } from "../../src/device/encode.ts"
import { u32le } from "../../src/device/eventlog.ts"
import type { RawEvidence } from "../../src/evidence/evidence.ts"
import { type Attack, attackTable, malformed } from "../support/attack.ts"
import { P256, P384, RSAPSS, RSASSA, showing, showingBanks, tampered } from "../support/victim.ts"

const test = suite("attacks on framing and lengths")

/** The whole structure changed before the key signed it. */
const signed = (change: (whole: Uint8Array) => Uint8Array): Attack["forge"] =>
  tampered((fields) => change(encodeAttest(fields)))
/** One part of the evidence changed after the quote was signed. */
const part = (
  name: "akName" | "attest" | "signature" | "eventLog",
  change: (whole: Uint8Array) => Uint8Array,
): Attack["forge"] =>
  showing((evidence: RawEvidence) => ({ [name]: change(evidence[name] ?? new Uint8Array()) }))

const ZERO = Uint8Array.of(0)
const longer = (whole: Uint8Array): Uint8Array => concat(whole, ZERO)
const shorter = (whole: Uint8Array): Uint8Array => whole.subarray(0, -1)
/** Adds to the last byte of a big-endian number that ends before `end`. */
const adding = (end: number, by: number) => (whole: Uint8Array) =>
  whole.map((byte, i) => (i === end - 1 ? byte + by : byte))
const patched = (at: number, by: Uint8Array) => (whole: Uint8Array) => {
  const start = at < 0 ? whole.length + at : at
  return concat(whole.subarray(0, start), by, whole.subarray(start + by.length))
}

/** Where things stand in a quote by a key with a SHA-256 Name over 32 bytes. */
const SIGNER = 6
const EXTRA_DATA = SIGNER + 36
const SAFE = EXTRA_DATA + 34 + 16
const SELECT = SAFE + 1 + 8
/** The first record of a log, its header, has 32 bytes before its data; its banks are counted in byte 24 of that. */
const LOG_HEADER_SIZE = 28
const LOG_BANKS = 32 + 24
/** The digests of the second record, behind a header with three banks, are counted in its bytes 8 to 11. */
const LOG_DIGESTS = LOG_BANKS + 4 + 3 * 4 + 1 + 8

// A size that is wrong by one makes the next field begin elsewhere: what is found there first is the fault that is named.
attackTable(test, "Q-11", malformed("FRAMING"), [
  ["a signed quote with a byte behind it", RSASSA, signed(longer)],
  ["a signed quote cut short by a byte", P256, signed(shorter)],
  ["a signed quote cut within its clock", P384, signed((whole) => whole.subarray(0, SAFE - 3))],
  ["a signed quote cut behind its magic", RSAPSS, signed((whole) => whole.subarray(0, 4))],
  [
    "a signed quote with a signer one byte shorter than it is",
    P384,
    signed(adding(SIGNER + 2, -1)),
    malformed("LENGTH"),
  ],
  [
    "a signed quote with extraData one byte longer than it is",
    RSASSA,
    signed(adding(EXTRA_DATA + 2, 1)),
    malformed("LENGTH"),
  ],
  ["a signed quote with a digest one byte longer than it is", P256, signed(adding(SELECT + 4 + 6 + 2, 1))],
  [
    "a signed quote with a digest one byte shorter than it is",
    RSAPSS,
    signed(adding(SELECT + 4 + 12 + 2, -1)),
  ],
  [
    "a signed quote with one bank more than it lists",
    P384,
    signed(adding(SELECT + 4, 1)),
    malformed("PCR_SELECTION_MALFORMED"),
  ],
  ["a signed quote with one bank less than it lists", RSAPSS, signed(adding(SELECT + 4, -1))],
  ["a signed quote that is neither safe nor unsafe", RSASSA, signed(patched(SAFE, Uint8Array.of(2)))],
  ["a quote with a byte behind it", P256, part("attest", longer)],
  ["no quote", P384, part("attest", () => new Uint8Array())],
  ["a signature with a byte behind it", P256, part("signature", longer)],
  ["a signature cut short by a byte", RSAPSS, part("signature", shorter)],
  [
    "a signature with r one byte longer than it is",
    P256,
    part("signature", adding(6, 1)),
    malformed("LENGTH"),
  ],
  ["a signature with s one byte shorter than it is", P384, part("signature", adding(4 + 50 + 2, -1))],
  ["an RSA signature one byte shorter than it is", RSASSA, part("signature", adding(6, -1))],
  ["no signature", RSAPSS, part("signature", () => new Uint8Array())],
  ["a Name with a byte behind it", RSASSA, part("akName", longer)],
  ["a log cut short by a byte", P256, part("eventLog", shorter)],
  ["a log with a header cut short", P384, part("eventLog", (whole) => whole.subarray(0, LOG_BANKS))],
  [
    "a log with zeros behind it",
    RSASSA,
    part("eventLog", (whole) => concat(whole, new Uint8Array(64))),
    malformed("EVENT"),
  ],
])

attackTable(test, "Q-12", malformed("LENGTH"), [
  ["a signed quote with a signer of 65535 bytes", RSASSA, signed(patched(SIGNER, u16(0xffff)))],
  [
    "a signed quote with a signer one byte over the largest Name",
    P256,
    tampered((fields) => ({ ...fields, qualifiedSigner: new Uint8Array(67) })),
  ],
  ["a signed quote with extraData of 65535 bytes", P384, signed(patched(EXTRA_DATA, u16(0xffff)))],
  [
    "a signed quote with extraData of 67 bytes",
    RSAPSS,
    tampered((fields) => ({ ...fields, extraData: new Uint8Array(67) })),
  ],
  ["a signed quote with 17 banks", P256, signed(patched(SELECT, u32(17)))],
  ["a signed quote with 2^31 banks", RSASSA, signed(patched(SELECT, u32(0x80000000)))],
  ["a signed quote with 2^32 - 1 banks", P384, signed(patched(SELECT, u32(0xffffffff)))],
  ["a signed quote with a digest of 65535 bytes", RSASSA, signed(patched(-34, u16(0xffff)))],
  [
    "a signed quote with a digest of 65 bytes",
    P256,
    tampered((fields) => ({
      ...fields,
      attested: encodeQuoted(P256.device.selection.map(rawSelection), new Uint8Array(65)),
    })),
  ],
  ["an RSA signature of 65535 bytes", RSAPSS, part("signature", patched(4, u16(0xffff)))],
  [
    "an RSA signature of 1025 bytes",
    RSASSA,
    part("signature", (whole) => concat(whole.subarray(0, 4), sized(new Uint8Array(1025)))),
  ],
  ["r of 65535 bytes", P256, part("signature", patched(4, u16(0xffff)))],
  [
    "s of 67 bytes",
    P384,
    part("signature", (whole) => concat(whole.subarray(0, 54), sized(new Uint8Array(67)))),
  ],
  [
    "a log with a header of 2^32 - 1 bytes",
    RSASSA,
    part("eventLog", patched(LOG_HEADER_SIZE, u32le(0xffffffff))),
  ],
  ["a log with 2^31 banks", P256, part("eventLog", patched(LOG_BANKS, u32le(0x80000000)))],
  [
    "a log with 2^32 - 1 digests for an event",
    P384,
    part("eventLog", patched(LOG_DIGESTS, u32le(0xffffffff))),
  ],
  ["a bank of 25 values", P256, showingBanks(() => [{ hash: "sha256", values: new Uint8Array(25 * 32) }])],
  [
    "a bank of seven values and a half",
    RSASSA,
    showingBanks(() => [{ hash: "sha256", values: new Uint8Array(7 * 32 + 16) }]),
  ],
  ["a bank of no values", P384, showingBanks(() => [{ hash: "sha384", values: new Uint8Array() }])],
])

test.run()
