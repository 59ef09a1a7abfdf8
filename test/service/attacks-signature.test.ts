/**
 * against the whole service: signatures of another kind than the key's, weaker ones and forged ones, and
 * each check of a quote alone.
 */
import { constants, hash as digest, privateEncrypt } from "node:crypto"
import { suite } from "uvu"
import { concat, fromHex, utf8 } from "../../src/bytes.ts"
import { standardBoot } from "../../src/device/boot.ts"
import { encodeQuoted, encodeSignature, rawSelection, u16 } from "../../src/device/encode.ts"
import { type SigningScheme, sharedKeysOf } from "../../src/device/keys.ts"
import type { HashName } from "../../src/evidence/tpm/algorithm.ts"
import { type Attack, attackTable, malformed, spent, unspent } from "../support/attack.ts"
import { BOOT_PCRS, flipped } from "../support/core.ts"
import {
  answeredBy,
  attackedDevice,
  P256,
  P384,
  quoting,
  RSAPSS,
  RSASSA,
  showing,
  showingBanks,
  tampered,
  type Victim,
  victimOf,
} from "../support/victim.ts"

const test = suite("attacks on the signature")

/** The honest quote under another signature, made of what was signed and of the genuine one. */
const signedAs = (make: (attest: Uint8Array, genuine: Uint8Array) => Uint8Array): Attack["forge"] =>
  showing(({ attest, signature }) => ({ signature: make(attest, signature) }))
/** The genuine signature under another sigAlg or hash. */
const tagged = (sigAlg: number, hashAlg?: number): Attack["forge"] =>
  signedAs((_, genuine) =>
    concat(u16(sigAlg), hashAlg === undefined ? genuine.subarray(2, 4) : u16(hashAlg), genuine.subarray(4)),
  )
/** A genuine signature by the key that `by` has, over the same bytes. */
const genuine = (by: Victim, scheme?: SigningScheme): Attack["forge"] =>
  signedAs((attest) => by.device.sign(attest, scheme))

attackTable(test, "Q-13", unspent("SIG_ALG"), [
  ["a genuine ECDSA signature by another device's key", RSASSA, genuine(P256)],
  ["a genuine RSASSA signature by another device's key", P256, genuine(RSASSA)],
  ["a genuine RSAPSS signature by another device's key", P384, genuine(RSAPSS)],
  [
    "a part of its value as r and s of ECDSA",
    RSAPSS,
    signedAs((_, own) =>
      encodeSignature({ kind: "ecdsa", hash: "sha256", r: own.subarray(6, 38), s: own.subarray(38, 70) }),
    ),
  ],
  [
    "its r and s as the value of RSASSA",
    P384,
    signedAs((_, own) => encodeSignature({ kind: "rsassa", hash: "sha384", value: own.subarray(4) })),
  ],
  // What is no signature of the kind that it says it is ends before any key is looked at.
  ["its signature said to be ECDSA, bytes and all", RSASSA, tagged(0x0018), malformed("LENGTH")],
  ["its signature said to be RSASSA, bytes and all", P256, tagged(0x0014), malformed("FRAMING")],
  ["its signature said to be an HMAC", RSASSA, tagged(0x0005)],
  [
    "an HMAC with the public key as its key",
    P256,
    signedAs((attest) =>
      concat(u16(0x0005), u16(0x000b), digest("sha256", concat(P256.device.akPublic, attest), "buffer")),
    ),
  ],
  ["its signature said to be ECDAA", P256, tagged(0x001a)],
  ["its signature said to be SM2", P384, tagged(0x001b)],
  ["its signature said to be a Schnorr signature", P256, tagged(0x001c)],
  ["TPM_ALG_NULL and nothing more", RSAPSS, signedAs(() => u16(0x0010))],
  ["its signature said to be of no scheme", RSASSA, tagged(0x0010)],
  [
    "a DER sequence in place of a TPMT_SIGNATURE",
    P384,
    signedAs((_, own) => concat(Uint8Array.of(0x30, own.length), own)),
  ],
])

attackTable(test, "Q-14", unspent("SIG_ALG"), [
  ["a genuine signature by SHA-1", RSASSA, genuine(RSASSA, { kind: "rsassa", hash: "sha1" })],
  ["a genuine signature by SHA-1", RSAPSS, genuine(RSAPSS, { kind: "rsapss", hash: "sha1" })],
  ["a genuine signature by SHA-1", P256, genuine(P256, { kind: "ecdsa", hash: "sha1" })],
  [
    "a genuine signature by SHA-256 where the key's hash is SHA-384",
    P384,
    genuine(P384, { kind: "ecdsa", hash: "sha256" }),
  ],
  [
    "a genuine signature by SHA-512 where the key's hash is SHA-256",
    P256,
    genuine(P256, { kind: "ecdsa", hash: "sha512" }),
  ],
  [
    "a genuine RSASSA signature where the key's scheme is RSAPSS",
    RSAPSS,
    genuine(RSAPSS, { kind: "rsassa", hash: "sha256" }),
  ],
  [
    "a genuine RSAPSS signature where the key's scheme is RSASSA",
    RSASSA,
    genuine(RSASSA, { kind: "rsapss", hash: "sha256" }),
  ],
  ["its signature said to be by SHA-1", P384, tagged(0x0018, 0x0004)],
  ["its signature said to be by SM3", P256, tagged(0x0018, 0x0012)],
  ["its signature said to be by SHA3-256", RSASSA, tagged(0x0014, 0x0027)],
  ["its signature said to be by a hash that there is not", RSAPSS, tagged(0x0016, 0x7fff)],
  ["its signature said to be by no hash", P384, tagged(0x0018, 0x0010)],
])

// values that are no signatures, under the right scheme and hash.

const bytes = (hex: string): Uint8Array => fromHex(hex) ?? new Uint8Array()
const ORDER = {
  sha256: bytes("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
  sha384: bytes(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
  ),
} as const
/** ECDSA with r and s replaced, by what they were. */
const ecdsa = (
  hash: "sha256" | "sha384",
  change: (r: Uint8Array, s: Uint8Array) => readonly [Uint8Array, Uint8Array],
): Attack["forge"] =>
  signedAs((_, own) => {
    const size = ORDER[hash].length
    const [r, s] = change(own.subarray(6, 6 + size), own.subarray(8 + size))
    return encodeSignature({ kind: "ecdsa", hash, r, s })
  })
const zero = (like: Uint8Array): Uint8Array => new Uint8Array(like.length)
const padded = (integer: Uint8Array): Uint8Array => concat(Uint8Array.of(0), integer)

const SIZE = 256
/** The bare private operation over any encoded message of the modulus' size. */
const rawRsa = (encoded: Uint8Array): Uint8Array =>
  privateEncrypt({ key: sharedKeysOf("rsa-2048").privateKey, padding: constants.RSA_NO_PADDING }, encoded)
const rsa = (kind: "rsassa" | "rsapss", make: (attest: Uint8Array, genuine: Uint8Array) => Uint8Array) =>
  signedAs((attest, own) => encodeSignature({ kind, hash: "sha256", value: make(attest, own.subarray(6)) }))
const DIGEST_INFO = bytes("3031300d060960864801650304020105000420")
const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => digest("sha256", concat(...parts), "buffer")
/** PKCS#1 v1.5 of any contents, with that much padding and garbage up to the size of the modulus. */
const pkcs1 = (make: (digested: Uint8Array) => Uint8Array, padding?: number): Attack["forge"] =>
  rsa("rsassa", (attest) => {
    const contents = make(sha256(attest))
    const ones = padding ?? SIZE - 3 - contents.length
    const encoded = concat(Uint8Array.of(0, 1), new Uint8Array(ones).fill(0xff), Uint8Array.of(0), contents)
    return rawRsa(concat(encoded, new Uint8Array(SIZE - encoded.length).fill(0x5a)))
  })
/** EMSA-PSS (RFC 8017, 9.1.1) with a salt of any size and an MGF1 of any hash. */
const pss = (saltBytes: number, mgf: HashName = "sha256", trailer = 0xbc): Attack["forge"] =>
  rsa("rsapss", (attest) => {
    const salt = new Uint8Array(saltBytes).fill(7)
    const h = sha256(new Uint8Array(8), sha256(attest), salt)
    const db = concat(new Uint8Array(SIZE - 34 - saltBytes), Uint8Array.of(1), salt)
    const mask = concat(
      ...Array.from({ length: 12 }, (_, i) => digest(mgf, concat(h, Uint8Array.of(0, 0, 0, i)), "buffer")),
    )
    const masked = db.map((byte, i) => (byte ^ (mask[i] ?? 0)) & (i === 0 ? 0x7f : 0xff))
    return rawRsa(concat(masked, h, Uint8Array.of(trailer)))
  })
const whole = (digested: Uint8Array): Uint8Array => concat(DIGEST_INFO, digested)

attackTable(test, "Q-15", unspent("SIGNATURE"), [
  ["r = 0", P256, ecdsa("sha256", (r, s) => [zero(r), s])],
  ["s = 0", P384, ecdsa("sha384", (r, s) => [r, zero(s)])],
  ["r = s = 0", P256, ecdsa("sha256", (r, s) => [zero(r), zero(s)])],
  ["r = s = 0 in one byte each", P384, ecdsa("sha384", () => [new Uint8Array(1), new Uint8Array(1)])],
  ["r = the order", P384, ecdsa("sha384", (_, s) => [ORDER.sha384, s])],
  ["s = the order", P256, ecdsa("sha256", (r) => [r, ORDER.sha256])],
  ["r = s = the order", P256, ecdsa("sha256", () => [ORDER.sha256, ORDER.sha256])],
  ["s over the order", P384, ecdsa("sha384", (r, s) => [r, zero(s).fill(0xff)])],
  ["r with a zero beyond the curve's size", P256, ecdsa("sha256", (r, s) => [padded(r), s])],
  ["s with a zero beyond the curve's size", P384, ecdsa("sha384", (r, s) => [r, padded(s)])],
  ["no r", P256, ecdsa("sha256", (_, s) => [new Uint8Array(), s])],
  ["r and s exchanged", P384, ecdsa("sha384", (r, s) => [s, r])],
  ["an RSA value of zero", RSASSA, rsa("rsassa", () => new Uint8Array(SIZE))],
  ["an RSA value over the modulus", RSAPSS, rsa("rsapss", () => new Uint8Array(SIZE).fill(0xff))],
  ["an RSA value with a leading zero too many", RSASSA, rsa("rsassa", (_, own) => padded(own))],
  ["an RSA value without its first byte", RSAPSS, rsa("rsapss", (_, own) => own.subarray(1))],
  ["no RSA value", RSASSA, rsa("rsassa", () => new Uint8Array())],
  ["garbage behind the digest, under eight bytes of padding", RSASSA, pkcs1(whole, 8)],
  ["garbage behind the digest, under all but one byte of padding", RSASSA, pkcs1(whole, SIZE - 4 - 51)],
  ["no padding at all", RSASSA, pkcs1(whole, 0)],
  ["the digest without its algorithm", RSASSA, pkcs1((digested) => digested)],
  [
    "the algorithm without its parameters",
    RSASSA,
    pkcs1((digested) => concat(bytes("302f300b06096086480165030402010420"), digested)),
  ],
  [
    "the algorithm SHA-512 over a SHA-256 digest",
    RSASSA,
    pkcs1((digested) => concat(bytes("3031300d060960864801650304020305000420"), digested)),
  ],
  ["a salt of no byte", RSAPSS, pss(0)],
  ["a salt of 20 bytes", RSAPSS, pss(20)],
  ["a salt of one byte less than fits", RSAPSS, pss(221)],
  ["a mask by MGF1 of SHA-1", RSAPSS, pss(32, "sha1")],
  ["a mask by MGF1 of SHA-384", RSAPSS, pss(32, "sha384")],
  ["another trailer", RSAPSS, pss(32, "sha256", 0xcc)],
  [
    "an RSASSA signature said to be RSAPSS",
    RSAPSS,
    rsa("rsapss", (attest) => RSASSA.device.sign(attest).subarray(6)),
  ],
])

// everything right but one thing. Each changes the verdict, and the answer names it.

const strict = victimOf("strict", "P-521", attackedDevice({ algorithm: "p521" }), {
  clock: { unsafe: "refused", resetsMax: 2 },
  tpm: { firmwareChange: "refused" },
})
const other = attackedDevice({ algorithm: "p256" })
other.boot(standardBoot({ kernel: "another kernel", bootLoader: "another loader" }))
const weak = attackedDevice({ algorithm: "p256", sharedKeys: false })
const clock = (change: Parameters<typeof strict.device.setState>[0]) =>
  tampered((fields) => ({ ...fields, clockInfo: { ...fields.clockInfo, ...change } }))

attackTable(test, "Q-16", unspent("SIGNATURE"), [
  ["the signature's last bit changed", RSASSA, signedAs((_, own) => flipped(own, own.length - 1))],
  ["the signature's first bit changed", RSAPSS, signedAs((_, own) => flipped(own, 6, 0x80))],
  ["the last bit of r changed", P256, signedAs((_, own) => flipped(own, 37))],
  ["the last bit of s changed", P384, signedAs((_, own) => flipped(own, own.length - 1))],
  [
    "the last bit of what was signed changed",
    RSASSA,
    showing(({ attest }) => ({ attest: flipped(attest, attest.length - 1) })),
  ],
  [
    "one bit of the signed clock changed",
    RSAPSS,
    showing(({ attest }) => ({ attest: flipped(attest, 6 + 36 + 34 + 7) })),
  ],
  [
    "one bit of the signed challenge changed",
    P256,
    showing(({ attest }) => ({ attest: flipped(attest, 6 + 36 + 2) })),
  ],
  ["the signature of another quote", P384, signedAs((attest) => P384.device.sign(flipped(attest, 50)))],
  [
    "a quote by a key that nobody registered, under the registered Name",
    P256,
    ({ honest, extraData }) => ({
      ...honest,
      evidence: { ...honest.evidence, ...weak.quote({ extraData }) },
    }),
  ],
  [
    "another parent of the key",
    RSASSA,
    tampered((fields) => ({ ...fields, qualifiedSigner: flipped(fields.qualifiedSigner, 33) })),
    unspent("QUALIFIED_SIGNER"),
  ],
  [
    "another challenge",
    P384,
    tampered((fields) => ({ ...fields, extraData: flipped(fields.extraData, 31) })),
    unspent("NONCE_MISMATCH"),
  ],
  ["another scheme", RSAPSS, signedAs((attest) => RSASSA.device.sign(attest)), unspent("SIG_ALG")],
  ["another type", P256, tampered((fields) => ({ ...fields, type: 0x8014 })), unspent("ATTEST_TYPE")],
  [
    "an empty selection",
    RSASSA,
    tampered((fields) => ({ ...fields, attested: encodeQuoted([], digest("sha256", "", "buffer")) })),
    spent("PCR_SELECTION"),
  ],
  [
    "another digest",
    RSAPSS,
    tampered((fields) => ({
      ...fields,
      attested: encodeQuoted(
        RSAPSS.device.selection.map(rawSelection),
        digest("sha256", utf8("other"), "buffer"),
      ),
    })),
    spent("PCR_DIGEST"),
  ],
  [
    "another PCR value",
    P384,
    showingBanks((banks) => banks.map(({ hash, values }) => ({ hash, values: flipped(values, 4 * 48) }))),
    spent("PCR_DIGEST"),
  ],
  ["the log of another boot", P256, showing(() => ({ eventLog: other.eventLog })), spent("EVENT_LOG_REPLAY")],
  [
    "no log where one is required",
    RSASSA,
    showing(() => ({ eventLog: undefined })),
    spent("EVENT_LOG_MISSING"),
  ],
  ["another boot, with its own log", P256, answeredBy(other), spent("REFERENCE_SET")],
  [
    "one PCR less",
    P384,
    quoting({ selection: [{ hash: "sha384", pcrs: BOOT_PCRS.slice(1) }] }),
    spent("PCR_SELECTION", "NO_REFERENCE"),
  ],
  ["an older clock", strict, clock({ clockMs: 1n }), spent("CLOCK_INFO_ROLLBACK")],
  ["an earlier boot", strict, clock({ resetCount: 0 }), spent("CLOCK_INFO_ROLLBACK")],
  ["an unsafe clock", strict, clock({ safe: false }), spent("CLOCK_INFO_UNSAFE")],
  [
    "another firmware of the TPM",
    strict,
    tampered((fields) => ({ ...fields, firmwareVersion: 1n })),
    spent("TPM_FIRMWARE"),
  ],
])

test.run()
