import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  privateEncrypt,
  sign,
} from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, fromHex } from "../../src/bytes.ts"
import { HASHES, type HashName } from "../../src/evidence/tpm/algorithm.ts"
import type { Signature } from "../../src/evidence/tpm/signature.ts"
import { verifySignature } from "../../src/verification/signature.ts"
import { flipped } from "../support/core.ts"
import { rsaPair } from "../support/rsa.ts"
import { needs, vectorJson } from "../support/vectors.ts"

const test = suite("verifySignature")

const message = new TextEncoder().encode("what the TPM signed")
const rsaKeys = rsaPair()
const eccKeys = generateKeyPairSync("ec", { namedCurve: "P-256" })

const bytes = (hex: string): Uint8Array => {
  const value = fromHex(hex)
  if (value === undefined) throw new TypeError(`not hexadecimal: ${hex}`)
  return value
}

// All vectors of Wycheproof for the schemes that a quote can have.

interface VectorFile {
  readonly testGroups: readonly {
    readonly publicKeyPem: string
    readonly tests: readonly {
      readonly tcId: number
      readonly comment: string
      readonly msg: string
      readonly sig: string
      readonly result: "valid" | "invalid" | "acceptable"
    }[]
  }[]
}

/** r and s, each half of what came; a value of an odd length has no halves and is given whole as r. */
const halves = (hash: HashName, value: Uint8Array): Signature => {
  const middle = value.length % 2 === 0 ? value.length / 2 : value.length
  return { kind: "ecdsa", hash, r: value.subarray(0, middle), s: value.subarray(middle) }
}

/**
 * Where a TPM's signature is genuine and the vector's is not, by their numbers; everywhere else ours agrees.
 * P1363 fixes the size of r and s, a TPMT_SIGNATURE says it: right values without their leading zeros are accepted.
 * The PSS vectors are for salts of 32 bytes alone: ours also takes the greatest that fits, 222, as older TPMs make it.
 */
const SHORT_P256 = [121, 123, 125, 127, 129, 131, 133, 135, 145, 147, 149, 151]
const SHORT_P384 = [153, 155, 157, 159, 161, 163, 173, 175, 177, 179]
const SALT_222 = [72]

const wycheproof: [
  file: string,
  total: number,
  genuine: readonly number[],
  signature: (value: Uint8Array) => Signature,
][] = [
  ["ecdsa_secp256r1_sha256_p1363", 262, SHORT_P256, (value) => halves("sha256", value)],
  ["ecdsa_secp384r1_sha384_p1363", 280, SHORT_P384, (value) => halves("sha384", value)],
  ["rsa_signature_2048_sha256", 259, [], (value) => ({ kind: "rsassa", hash: "sha256", value })],
  ["rsa_pss_2048_sha256_mgf1_32", 108, SALT_222, (value) => ({ kind: "rsapss", hash: "sha256", value })],
]
for (const [file, total, genuine, signature] of wycheproof)
  needs("vectors", test)(`agrees Q-15 with each of the ${total} vectors of ${file}`, () => {
    const { testGroups } = vectorJson<VectorFile>(`wycheproof/${file}_test.json`)
    const disagreements: string[] = []
    let count = 0
    for (const { publicKeyPem, tests } of testGroups) {
      const key = createPublicKey(publicKeyPem)
      for (const { tcId, comment, msg, sig, result } of tests) {
        count += 1
        const held = verifySignature(key, signature(bytes(sig)), bytes(msg))
        // "acceptable" is PKCS#1 v1.5 without the NULL of the algorithm's parameters: strict is to refuse it.
        const expected = result === "valid" || genuine.includes(tcId)
        if (held !== expected) disagreements.push(`${tcId} ${result} ${comment}`)
      }
    }
    assert.equal(disagreements, [])
    assert.is(count, total)
  })

// ECDSA.

const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const integer = (value: bigint, size = 32): Uint8Array => bytes(value.toString(16).padStart(2 * size, "0"))
const numberOf = (value: Uint8Array): bigint => BigInt(`0x${Buffer.from(value).toString("hex")}`)
/** A new signature by the key, in its two halves. */
const genuineEcdsa = (): { readonly r: Uint8Array; readonly s: Uint8Array } => {
  const value = sign("sha256", message, { key: eccKeys.privateKey, dsaEncoding: "ieee-p1363" })
  return { r: new Uint8Array(value.subarray(0, 32)), s: new Uint8Array(value.subarray(32)) }
}
const { r, s } = genuineEcdsa()
const ecdsa = (change: { readonly r?: Uint8Array; readonly s?: Uint8Array }): Signature => ({
  kind: "ecdsa",
  hash: "sha256",
  r,
  s,
  ...change,
})

test("accepts an ECDSA signature, and the one with the other of the two s", () => {
  assert.ok(verifySignature(eccKeys.publicKey, ecdsa({}), message))
  assert.ok(verifySignature(eccKeys.publicKey, ecdsa({ s: integer(P256_ORDER - numberOf(s)) }), message))
})

test("accepts r and s without leading zeros", () => {
  let found = genuineEcdsa()
  while (found.r[0] !== 0) found = genuineEcdsa()
  assert.ok(verifySignature(eccKeys.publicKey, ecdsa({ r: found.r, s: found.s }), message))
  assert.ok(verifySignature(eccKeys.publicKey, ecdsa({ r: found.r.subarray(1), s: found.s }), message))
})

const forgedEcdsa: [name: string, change: { readonly r?: Uint8Array; readonly s?: Uint8Array }][] = [
  ["r = 0", { r: new Uint8Array(32) }],
  ["s = 0", { s: new Uint8Array(32) }],
  ["r = s = 0", { r: new Uint8Array(32), s: new Uint8Array(32) }],
  ["r = s = 0 in one byte each", { r: new Uint8Array(1), s: new Uint8Array(1) }],
  ["r = the order", { r: integer(P256_ORDER) }],
  ["s = the order", { s: integer(P256_ORDER) }],
  ["r = s = the order", { r: integer(P256_ORDER), s: integer(P256_ORDER) }],
  ["r over the order", { r: integer(P256_ORDER + 1n) }],
  ["s over the order", { s: new Uint8Array(32).fill(0xff) }],
  ["r = s = 1", { r: integer(1n), s: integer(1n) }],
  ["no r", { r: new Uint8Array() }],
  ["no s", { s: new Uint8Array() }],
  ["r with a leading zero beyond the curve's size", { r: Uint8Array.of(0, ...r) }],
  ["s with a leading zero beyond the curve's size", { s: Uint8Array.of(0, ...s) }],
  ["r of the size of a larger curve", { r: Uint8Array.of(...new Uint8Array(34), ...r) }],
  ["r and s exchanged", { r: s, s: r }],
  ["r with a byte behind it", { r: Uint8Array.of(...r.subarray(1), 0) }],
]
for (const [name, change] of forgedEcdsa)
  test(`refuses Q-15 an ECDSA signature with ${name}`, () => {
    assert.not(verifySignature(eccKeys.publicKey, ecdsa(change), message))
  })

// RSA.

const rsassa = (value: Uint8Array, hash: HashName = "sha256"): Signature => ({ kind: "rsassa", hash, value })
const rsapss = (value: Uint8Array, hash: HashName = "sha256"): Signature => ({ kind: "rsapss", hash, value })
/** The private operation over any encoded message: what an attacker who can choose it would have signed. */
const raw = (encoded: Uint8Array, key: KeyObject = rsaKeys.privateKey): Uint8Array =>
  privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, encoded)

const DIGEST_INFO = bytes("3031300d060960864801650304020105000420")
const digest = createHash("sha256").update(message).digest()
const SIZE = 256
/** 00 01 ff… 00 and the rest; `padding` short of the size leaves room for garbage behind. */
const pkcs1 = (rest: Uint8Array, padding = SIZE - 3 - rest.length): Uint8Array =>
  concat(Uint8Array.of(0, 1), new Uint8Array(padding).fill(0xff), Uint8Array.of(0), rest)
const filled = (encoded: Uint8Array): Uint8Array => concat(encoded, new Uint8Array(SIZE - encoded.length))

test("accepts an RSASSA signature, also one made by the bare private operation", () => {
  assert.ok(verifySignature(rsaKeys.publicKey, rsassa(sign("sha256", message, rsaKeys.privateKey)), message))
  assert.ok(verifySignature(rsaKeys.publicKey, rsassa(raw(pkcs1(concat(DIGEST_INFO, digest)))), message))
})

const whole = concat(DIGEST_INFO, digest)
const forgedRsassa: [name: string, encoded: Uint8Array][] = [
  ["garbage behind the digest, under eight bytes of padding", filled(pkcs1(whole, 8))],
  [
    "garbage behind the digest, under all but one byte of padding",
    filled(pkcs1(whole, SIZE - 4 - whole.length)),
  ],
  ["no padding at all", filled(pkcs1(whole, 0))],
  ["padding of other bytes than ff", pkcs1(whole).map((b, i) => (i === 40 ? 0xfe : b))],
  ["padding that ends without zero", pkcs1(whole).map((b, i) => (i === SIZE - whole.length - 1 ? 0xff : b))],
  ["block type 0", pkcs1(whole).map((b, i) => (i === 1 ? 0 : b))],
  ["block type 2", pkcs1(whole).map((b, i) => (i === 1 ? 2 : b))],
  ["the digest alone, without its algorithm", pkcs1(digest)],
  ["parameters that are left out", pkcs1(concat(bytes("302f300b06096086480165030402010420"), digest))],
  [
    "garbage in the parameters",
    pkcs1(concat(bytes("3035301106096086480165030402010504deadbeef0420"), digest)),
  ],
  ["a length in its long form", pkcs1(concat(bytes("308131300d060960864801650304020105000420"), digest))],
  [
    "the algorithm SHA-1 over the right digest",
    pkcs1(concat(bytes("3031300906052b0e03021a05000420"), digest)),
  ],
  [
    "the algorithm SHA-512 over the right digest",
    pkcs1(concat(bytes("3031300d060960864801650304020305000420"), digest)),
  ],
  [
    "a digest cut short",
    pkcs1(concat(bytes("3030300d06096086480165030402010500041f"), digest.subarray(0, 31))),
  ],
  ["one byte behind the digest info", pkcs1(concat(whole, Uint8Array.of(0)))],
]
for (const [name, encoded] of forgedRsassa)
  test(`refuses Q-15 PKCS#1 v1.5 with ${name}`, () => {
    assert.not(verifySignature(rsaKeys.publicKey, rsassa(raw(encoded)), message))
  })

test("refuses Q-15 the cube root of an encoded message with garbage, which any key with exponent 3 would open", () => {
  // Such a key is WEAK_KEY at creation; against a key with 65537 the root is nothing.
  const target = numberOf(filled(pkcs1(whole, 8)))
  let low = 0n
  let high = 1n << 700n
  while (low < high) {
    const middle = (low + high + 1n) >> 1n
    if (middle ** 3n <= target) low = middle
    else high = middle - 1n
  }
  assert.not(verifySignature(rsaKeys.publicKey, rsassa(integer(low, SIZE)), message))
})

const signedRsa = new Uint8Array(sign("sha256", message, rsaKeys.privateKey))
const modulus = Buffer.from(String(rsaKeys.publicKey.export({ format: "jwk" }).n), "base64url")
const sizes: [name: string, value: Uint8Array][] = [
  ["no byte", new Uint8Array()],
  ["a byte less", signedRsa.subarray(1)],
  ["a leading zero too many", Uint8Array.of(0, ...signedRsa)],
  ["a byte behind it", Uint8Array.of(...signedRsa, 0)],
  ["the modulus itself", modulus],
  ["a value over the modulus", new Uint8Array(SIZE).fill(0xff)],
  ["zero", new Uint8Array(SIZE)],
  ["one", integer(1n, SIZE)],
]
for (const [name, value] of sizes)
  test(`refuses Q-15 an RSA signature with ${name}, by either scheme`, () => {
    assert.not(verifySignature(rsaKeys.publicKey, rsassa(value), message))
    assert.not(verifySignature(rsaKeys.publicKey, rsapss(value), message))
  })

const pss = (hash: HashName, saltLength: number): Uint8Array =>
  sign(hash, message, {
    key: rsaKeys.privateKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength,
  })

test("accepts RSAPSS with a salt of the digest's size, and with the greatest that fits", () => {
  for (const hash of ["sha256", "sha384", "sha512"] as const)
    for (const salt of [HASHES[hash].sizeBytes, SIZE - HASHES[hash].sizeBytes - 2])
      assert.ok(verifySignature(rsaKeys.publicKey, rsapss(pss(hash, salt), hash), message), `${hash} ${salt}`)
})

for (const salt of [0, 1, 20, 31, 33, 64, 221])
  test(`refuses Q-15 RSAPSS with a salt of ${salt} bytes, which no TPM makes`, () => {
    assert.not(verifySignature(rsaKeys.publicKey, rsapss(pss("sha256", salt)), message))
  })

/** A signature by EMSA-PSS with an MGF1 of another hash, which node:crypto does not make. RFC 8017, 9.1.1. */
const pssWithMgf = (mgfHash: string): Uint8Array => {
  const salt = new Uint8Array(32).fill(7)
  const h = createHash("sha256")
    .update(concat(new Uint8Array(8), digest, salt))
    .digest()
  const db = concat(new Uint8Array(SIZE - 32 - 32 - 2), Uint8Array.of(1), salt)
  const masks: Uint8Array[] = []
  for (let counter = 0; counter < 16; counter++)
    masks.push(
      createHash(mgfHash)
        .update(concat(h, Uint8Array.of(0, 0, 0, counter)))
        .digest(),
    )
  const mask = concat(...masks)
  const masked = db.map((byte, i) => byte ^ (mask[i] ?? 0))
  masked[0] = (masked[0] ?? 0) & 0x7f
  return raw(concat(masked, h, Uint8Array.of(0xbc)))
}

test("accepts an RSAPSS signature composed by hand with MGF1 of the same hash", () => {
  assert.ok(verifySignature(rsaKeys.publicKey, rsapss(pssWithMgf("sha256")), message))
})
for (const hash of ["sha1", "sha384", "sha512"])
  test(`refuses Q-15 RSAPSS with MGF1 of ${hash}`, () => {
    assert.not(verifySignature(rsaKeys.publicKey, rsapss(pssWithMgf(hash)), message))
  })

test("refuses Q-15 RSAPSS made with another hash than it says", () => {
  assert.not(verifySignature(rsaKeys.publicKey, rsapss(pss("sha384", 32)), message))
  assert.not(verifySignature(rsaKeys.publicKey, rsapss(pss("sha384", 48)), message))
  assert.not(verifySignature(rsaKeys.publicKey, rsapss(pss("sha256", 32), "sha384"), message))
})

test("refuses Q-15 a genuine signature by one scheme as one of the other", () => {
  assert.not(verifySignature(rsaKeys.publicKey, rsapss(signedRsa), message))
  assert.not(verifySignature(rsaKeys.publicKey, rsassa(pss("sha256", 32)), message))
})

test("refuses Q-13 a signature of a kind that the key is not of, without an exception", () => {
  assert.not(verifySignature(rsaKeys.publicKey, ecdsa({}), message))
  assert.not(verifySignature(eccKeys.publicKey, rsassa(signedRsa), message))
  assert.not(verifySignature(eccKeys.publicKey, rsapss(signedRsa), message))
  const ed25519 = generateKeyPairSync("ed25519").publicKey
  assert.not(verifySignature(ed25519, ecdsa({}), message))
  assert.not(verifySignature(ed25519, rsassa(signedRsa), message))
  const unsupported: Signature = { kind: "unsupported", sigAlg: 0x0005, hashAlg: 0x000b }
  for (const key of [rsaKeys.publicKey, eccKeys.publicKey, ed25519])
    assert.not(verifySignature(key, unsupported, message))
})

test("refuses Q-16 a genuine signature over another message, or by another key", () => {
  const other = createPrivateKey(
    generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "pem", type: "pkcs8" }),
  )
  assert.not(verifySignature(eccKeys.publicKey, ecdsa({}), flipped(message, 3)))
  assert.not(verifySignature(createPublicKey(other), ecdsa({}), message))
  assert.not(verifySignature(rsaKeys.publicKey, rsassa(signedRsa), flipped(message, 0, 0x80)))
  assert.not(verifySignature(rsaKeys.publicKey, rsassa(signedRsa), message.subarray(1)))
})

test.run()
