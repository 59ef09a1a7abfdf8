import { execFileSync } from "node:child_process"
import { checkPrimeSync, createPublicKey, generateKeyPairSync, hash, X509Certificate } from "node:crypto"
import { globSync, readFileSync } from "node:fs"
import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, toHex } from "../../src/bytes.ts"
import type { Code } from "../../src/errors.ts"
import { parseDeniedKeys } from "../../src/verification/denied-keys.ts"
import { checkNotDenied, checkPoint, checkRsa, isRoca } from "../../src/verification/weak-key.ts"
import { throwsCode } from "../support/assert.ts"
import { rsaPair } from "../support/rsa.ts"
import { needs, VECTORS } from "../support/vectors.ts"

const WHERE = "a certificate"

const fromBase64Url = (text: string | undefined): Uint8Array =>
  new Uint8Array(Buffer.from(text ?? "", "base64url"))
const octets = (n: bigint): Uint8Array => {
  const hex = n.toString(16)
  return new Uint8Array(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex"))
}
const integer = (bytes: Uint8Array): bigint => BigInt(`0x${toHex(bytes)}`)

/** The same bytes at every run, another stream for every label. */
const seeded = (label: string, size: number): Uint8Array =>
  concat(
    ...Array.from({ length: Math.ceil(size / 32) }, (_, i) => hash("sha256", `${label} ${i}`, "buffer")),
  ).slice(0, size)

/** An odd number of that many bits, of no key that anybody made. */
const odd = (bits: number): Uint8Array => {
  const bytes = seeded("odd", Math.ceil(bits / 8))
  const last = bytes.length - 1
  const top = 1 << ((bits - 1) % 8)
  bytes[0] = top | ((bytes[0] ?? 0) & (top - 1))
  bytes[last] = (bytes[last] ?? 0) | 1
  return bytes
}
const even = (): Uint8Array => octets(integer(odd(2048)) - 1n)

const rsa = suite("checkRsa")

const refusedRsa: readonly [name: string, modulus: Uint8Array, exponent: bigint | number, code: Code][] = [
  ["K-07 a modulus without an octet", new Uint8Array(), 65537, "WEAK_KEY"],
  ["K-07 a modulus of 0", Uint8Array.of(0), 65537, "WEAK_KEY"],
  ["K-07 a modulus of 256 zero octets", new Uint8Array(256), 65537, "WEAK_KEY"],
  ["K-07 a modulus of 1", Uint8Array.of(1), 65537, "WEAK_KEY"],
  ["K-07 an even modulus", even(), 65537, "WEAK_KEY"],
  ["K-07 512 bits", odd(512), 65537, "WEAK_KEY"],
  ["K-07 768 bits", odd(768), 65537, "WEAK_KEY"],
  ["K-07 1023 bits", odd(1023), 65537, "WEAK_KEY"],
  ["K-07 512 bits behind 192 zero octets", concat(new Uint8Array(192), odd(512)), 65537, "WEAK_KEY"],
  ["K-07 X-10 1024 bits", odd(1024), 65537, "WEAK_ALG"],
  ["K-07 X-10 1024 bits behind 128 zero octets", concat(new Uint8Array(128), odd(1024)), 65537, "WEAK_ALG"],
  ["K-07 8200 bits", odd(8200), 65537, "WEAK_KEY"],
  ["K-07 8193 bits", odd(8193), 65537, "WEAK_KEY"],
  ["K-07 16384 bits", odd(16384), 65537, "WEAK_KEY"],
  ["K-07 a megabyte", odd(8_388_608), 65537, "WEAK_KEY"],
  ["K-07 an exponent of 0", odd(2048), 0, "WEAK_KEY"],
  ["K-07 an exponent of 1: the signature is the message", odd(2048), 1, "WEAK_KEY"],
  ["K-07 an exponent of 1 in a bigint", odd(2048), 1n, "WEAK_KEY"],
  ["K-07 an exponent of 2", odd(2048), 2, "WEAK_KEY"],
  ["K-07 an even exponent", odd(2048), 65536, "WEAK_KEY"],
  ["K-07 an even exponent of 2048 bits", odd(2048), integer(even()), "WEAK_KEY"],
  ["K-07 an exponent below 0", odd(2048), -65537n, "WEAK_KEY"],
  ["X-10 1536 bits", odd(1536), 65537, "WEAK_ALG"],
  ["X-10 2047 bits", odd(2047), 65537, "WEAK_ALG"],
  ["X-10 2050 bits", odd(2050), 65537, "WEAK_ALG"],
  ["X-10 an exponent of 3", odd(2048), 3, "WEAK_ALG"],
  ["X-10 an exponent of 17", odd(2048), 17n, "WEAK_ALG"],
  ["X-10 an exponent of 65535", odd(2048), 65535, "WEAK_ALG"],
  ["X-10 an exponent of 2^32 + 1", odd(2048), 2 ** 32 + 1, "WEAK_ALG"],
  ["X-10 an exponent as long as the modulus", odd(2048), integer(odd(2048)), "WEAK_ALG"],
]
for (const [name, modulus, exponent, code] of refusedRsa)
  rsa(`refuses ${name}`, () => {
    assert.is(throwsCode(() => checkRsa(modulus, exponent, WHERE), code).location, WHERE)
  })

rsa("accepts 2048 to 8192 bits, the exponents 65537 and up to 2^32, and one zero octet in front", () => {
  for (const bits of [2048, 3072, 4096, 8192]) checkRsa(odd(bits), 65537, WHERE)
  for (const exponent of [65539n, 2n ** 32n - 1n]) checkRsa(odd(2048), exponent, WHERE)
  checkRsa(concat(Uint8Array.of(0), odd(2048)), 65537n, WHERE)
})

rsa("K-07 ends with a modulus of 16384 bits and an exponent of 8192 within 1 ms", () => {
  const [modulus, exponent] = [odd(16_384), integer(odd(8192))]
  const times = Array.from({ length: 20 }, () => {
    const start = performance.now()
    throwsCode(() => checkRsa(modulus, exponent, WHERE), "WEAK_KEY")
    return performance.now() - start
  })
  assert.ok(Math.min(...times) < 1, `${Math.min(...times)} ms`)
})

rsa.run()

const roca = suite("isRoca")

const primesUpTo = (last: number): number[] =>
  Array.from({ length: last - 1 }, (_, i) => i + 2).filter((n) =>
    Array.from({ length: Math.floor(Math.sqrt(n)) - 1 }, (_, i) => i + 2).every((d) => n % d !== 0),
  )
const productOf = (primes: readonly number[]): bigint => primes.reduce((m, p) => m * BigInt(p), 1n)
const power = (base: bigint, exponent: bigint, modulus: bigint): bigint => {
  let result = 1n
  for (let e = exponent, b = base % modulus; e > 0n; e >>= 1n, b = (b * b) % modulus)
    if ((e & 1n) === 1n) result = (result * b) % modulus
  return result
}

/** The constant of RSALib for keys of these sizes: the product of the first 39, 71 and 126 primes. */
const M: readonly [bitsMin: number, constant: bigint][] = [
  [1984, productOf(primesUpTo(701))],
  [992, productOf(primesUpTo(353))],
  [512, productOf(primesUpTo(167))],
]
const constantFor = (bits: number): bigint => M.find(([bitsMin]) => bits >= bitsMin)?.[1] ?? 1n

/** A prime as RSALib makes them: k·M + (65537^a mod M), with its two highest bits set. */
const rocaPrime = (bits: number, constant: bigint, label: string): bigint => {
  const [low, high] = [3n << BigInt(bits - 2), 1n << BigInt(bits)]
  for (let attempt = 0; ; attempt++) {
    const a = integer(seeded(`${label} a ${attempt}`, 16))
    const start = low + (integer(seeded(`${label} k ${attempt}`, bits / 8)) % (high - low))
    const candidate = (start / constant) * constant + power(65537n, a, constant)
    if (candidate >= low && candidate < high && checkPrimeSync(candidate)) return candidate
  }
}
const rocaModulus = (bits: number): Uint8Array =>
  octets(
    rocaPrime(bits / 2, constantFor(bits), `p ${bits}`) * rocaPrime(bits / 2, constantFor(bits), `q ${bits}`),
  )

for (const bits of [512, 768, 1024, 1536, 2048])
  roca(`K-08 recognizes a modulus of ${bits} bits made as RSALib makes them`, () => {
    const modulus = rocaModulus(bits)
    assert.is(8 * modulus.length, bits)
    assert.ok(isRoca(modulus))
    assert.ok(isRoca(concat(Uint8Array.of(0), modulus)))
  })

const refusedRoca: readonly [name: string, modulus: Uint8Array, code: Code][] = [
  ["a key of 2048 bits made as RSALib makes them", rocaModulus(2048), "ROCA"],
  ["a key of 1536 bits made so, though it is also too short", rocaModulus(1536), "ROCA"],
  // github.com/pcengines/apu2-documentation, docs/research/ROCA.md: of an SLB 9665 with firmware 5.61.
  [
    "a key that an Infineon SLB 9665 with firmware 5.61 made",
    octets(
      0x94b79a35a5d47040df1503670080a7714ae1ee751aeb32071b3db388b3bf80b11f661c4b8819ebd1c716239c9ec5a202b08a2aa3c17ad6cd17075ba49fcd005d8b8fa50c29433db35c1421727472deddd77bced7e6438db4d447008b11cdb018139bfef2e06c4b4a3e672543a7e9333040fd881815e14b1f1338e90180fd0865n,
    ),
    "ROCA",
  ],
  // github.com/badkeys/badkeys, tests/data/rsa-roca.key.
  [
    "a key of 2048 bits that others publish as an example",
    fromBase64Url(
      "kTKtIR_MDftNrkgyashkwifks5Swm9HEkw4ZcCijyQdpTStInk9pdUrq4zjG6tk5xX9AaYXLu47fmiBVzClGvAXTZbpn6JbG1IERUs-i0pBRT5CzUu7vJ_63L72NzVvJFaT0SUE5zByhCjJE-pflMnX1e1UptOdnN5AHeY4RKkugVse3XO2xMs3yH3vTyZdtnaOIFRU0d6E7PrsgRtEAqFHcAGmPUw0ZOW8A--8sS_FlnrxMf9lVa1_8k_A8otPfrNIipfAoq0MKJ-oxE2wML1DDxIGTGmNaN3gPANJyeuca7ptA-NGq5oU1x3pWMXgSvrVSXUooNk8xIkrKxSz3LQ",
    ),
    "ROCA",
  ],
  ["a short one, which is refused for that", rocaModulus(512), "WEAK_KEY"],
]
for (const [name, modulus, code] of refusedRoca)
  roca(`refuses K-08 ${name}`, () => {
    throwsCode(() => checkRsa(modulus, 65537, WHERE), code)
  })

roca("acquits a modulus that one of the 38 primes tells from a power of 65537", () => {
  const modulus = integer(rocaModulus(2048))
  const constant = productOf(primesUpTo(167))
  for (const prime of primesUpTo(167).slice(1)) {
    // Changes the residue of this prime alone, to 0: no power of anything.
    const step = constant / BigInt(prime)
    let other = modulus
    while (other % BigInt(prime) !== 0n) other += step
    assert.not.ok(isRoca(octets(other)), String(prime))
  }
})

roca("acquits a modulus whose residues are powers of 65537, but not of one exponent", () => {
  const constant = productOf(primesUpTo(167))
  // 65537 times itself, but for 97, where it is 65537^2: the orders of 97 and of others have divisors in common.
  const step = constant / 97n
  let other = integer(rocaModulus(2048))
  const wanted = (other * 65537n) % 97n
  while (other % 97n !== wanted) other += step
  assert.not.ok(isRoca(octets(other)))
})

roca("acquits every key that is random", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 128, maxLength: 512 }), (modulus) => !isRoca(modulus)),
    { numRuns: 300, seed: 9 },
  )
})

roca("acquits and accepts the keys of OpenSSL and of Node", () => {
  for (const bits of ["2048", "2048", "3072"]) {
    const pem = execFileSync("openssl", ["genrsa", bits], { stdio: ["ignore", "pipe", "ignore"] })
    const { n } = createPublicKey(pem).export({ format: "jwk" })
    checkRsa(fromBase64Url(n), 65537, WHERE)
  }
  const { publicKey } = rsaPair()
  checkRsa(fromBase64Url(publicKey.export({ format: "jwk" }).n), 65537, WHERE)
})

/** The keys of a PEM file's certificates that Node can read. */
const keysIn = (file: string) =>
  (
    readFileSync(file, "utf8").match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  ).flatMap((pem) => {
    try {
      return [new X509Certificate(pem).publicKey.export({ format: "jwk" })]
    } catch {
      return []
    }
  })

needs("vectors", roca)("acquits and accepts the keys of every genuine certificate of a TPM maker", () => {
  const keys = globSync(`${VECTORS}/{tpm-roots,ek-certs}/**/*.pem`).flatMap(keysIn)
  let [rsaKeys, points] = [0, 0]
  for (const { kty, n, e, crv, x, y } of keys)
    if (kty === "RSA") {
      assert.not.ok(isRoca(fromBase64Url(n)))
      checkRsa(fromBase64Url(n), integer(fromBase64Url(e)), WHERE)
      rsaKeys++
    } else if (crv === "P-256" || crv === "P-384" || crv === "P-521") {
      checkPoint(crv, fromBase64Url(x), fromBase64Url(y), WHERE)
      points++
    }
  assert.ok(rsaKeys > 50 && points > 20, `${rsaKeys} RSA keys, ${points} points`)
})

roca.run()

const point = suite("checkPoint")

const SIZES = { "P-256": 32, "P-384": 48, "P-521": 66 } as const
type CurveName = keyof typeof SIZES
const CURVE_NAMES: readonly CurveName[] = ["P-256", "P-384", "P-521"]

interface Point {
  readonly x: Uint8Array
  readonly y: Uint8Array
}
const randomPoint = (namedCurve: CurveName): Point => {
  const { x, y } = generateKeyPairSync("ec", { namedCurve }).publicKey.export({ format: "jwk" })
  return { x: fromBase64Url(x), y: fromBase64Url(y) }
}
const flipped = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((b, i) => (i === at ? b ^ 1 : b))
const p256 = randomPoint("P-256")
const p521 = randomPoint("P-521")
const P: Readonly<Record<CurveName, bigint>> = {
  "P-256": 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
  "P-384": 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
  "P-521": 2n ** 521n - 1n,
}
const zero = (size: number): Uint8Array => new Uint8Array(size)
const padded = (bytes: Uint8Array): Uint8Array => concat(Uint8Array.of(0), bytes)

const refusedPoints: readonly [name: string, curve: CurveName, x: Uint8Array, y: Uint8Array][] = [
  ["a point off P-256", "P-256", p256.x, flipped(p256.y, 31)],
  ["a point off P-521", "P-521", flipped(p521.x, 65), p521.y],
  ["a point of P-256 with its coordinates exchanged", "P-256", p256.y, p256.x],
  ["the point at infinity, as no octets", "P-256", zero(0), zero(0)],
  ["the point at infinity, as zeros", "P-256", zero(32), zero(32)],
  ["the point at infinity of P-521, as zeros", "P-521", zero(66), zero(66)],
  ["coordinates of P-521 that are an octet short", "P-521", p521.x.subarray(1), p521.y.subarray(1)],
  ["a y of P-521 that is an octet short", "P-521", p521.x, p521.y.subarray(1)],
  ["an x of P-521 that is an octet short", "P-521", p521.x.subarray(1), p521.y],
  ["an x of P-521 with an octet of padding", "P-521", padded(p521.x), p521.y],
  ["a y of P-521 with an octet of padding", "P-521", p521.x, padded(p521.y)],
  ["coordinates of P-521 with an octet of padding", "P-521", padded(p521.x), padded(p521.y)],
  ["coordinates of P-256 with an octet of padding", "P-256", padded(p256.x), padded(p256.y)],
  ["coordinates of P-256 called P-384", "P-384", p256.x, p256.y],
  [
    "an x of P-521 that is p too large, else on the curve",
    "P-521",
    octets(integer(p521.x) + P["P-521"]),
    p521.y,
  ],
  [
    "a y of P-521 that is p too large, else on the curve",
    "P-521",
    p521.x,
    octets(integer(p521.y) + P["P-521"]),
  ],
  ["an x that is p", "P-256", octets(P["P-256"]), p256.y],
  ["a y of all ones", "P-256", p256.x, zero(32).fill(0xff)],
]
for (const [name, curve, x, y] of refusedPoints)
  point(`refuses K-07 ${name}`, () => {
    assert.is(throwsCode(() => checkPoint(curve, x, y, WHERE), "WEAK_KEY").location, WHERE)
  })

for (const curve of CURVE_NAMES)
  point(`agrees with node:crypto about points of ${curve}, and accepts both of an x`, () => {
    for (let i = 0; i < 10; i++) {
      const { x, y } = randomPoint(curve)
      checkPoint(curve, x, y, WHERE)
      const jwk = { kty: "EC", crv: curve, x: Buffer.from(x).toString("base64url") }
      const other = flipped(y, SIZES[curve] - 1)
      assert.throws(() =>
        createPublicKey({ key: { ...jwk, y: Buffer.from(other).toString("base64url") }, format: "jwk" }),
      )
      throwsCode(() => checkPoint(curve, x, other, WHERE), "WEAK_KEY")
    }
    const { x, y } = randomPoint(curve)
    const opposite = octets(P[curve] - integer(y))
    checkPoint(curve, x, concat(zero(SIZES[curve] - opposite.length), opposite), WHERE)
  })

point.run()

const denied = suite("parseDeniedKeys")

const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }))
const entry = {
  spkiSha256: hash("sha256", spki, "hex"),
  subject: "CN=Test",
  reason: "its private half is in a source tree",
  source: "https://example.com/advisory",
  published: "2024-08-26",
  derivation: "made for this test",
}
const document = { version: 1, keys: [entry] }

denied("refuses K-08 a key that is on the list, and says why and who says so", () => {
  const error = throwsCode(() => checkNotDenied(spki, parseDeniedKeys(document), WHERE), "KEY_DENIED")
  assert.is(error.location, WHERE)
  assert.match(error.message, entry.reason)
  assert.match(error.actual ?? "", entry.source)
})

denied("accepts a key that is not on it, and every key if it is empty", () => {
  const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey
  checkNotDenied(other.export({ type: "spki", format: "der" }), parseDeniedKeys(document), WHERE)
  checkNotDenied(spki, parseDeniedKeys({ version: 1, keys: [] }), WHERE)
})

denied("finds a digest of either case, and cannot be changed", () => {
  const keys = parseDeniedKeys(document)
  const { reason, source } = entry
  assert.equal(keys.find(entry.spkiSha256), { reason, source })
  assert.equal(keys.find(entry.spkiSha256.toUpperCase()), { reason, source })
  assert.is(keys.find("00"), undefined)
  assert.is(keys.size, 1)
  assert.ok(Object.isFrozen(keys) && Object.isFrozen(keys.find(entry.spkiSha256)))
})

denied("refuses K-08 a key that its certificate spells id-RSAES-OAEP, by what its KeyObject exports", () => {
  const jwk = rsaPair().publicKey.export({ format: "jwk" })
  const exported = createPublicKey({ key: jwk, format: "jwk" }).export({ type: "spki", format: "der" })
  const keys = parseDeniedKeys({
    version: 1,
    keys: [{ ...entry, spkiSha256: hash("sha256", exported, "hex") }],
  })
  throwsCode(() => checkNotDenied(exported, keys, WHERE), "KEY_DENIED")
  const rsaEncryption = Buffer.from("2a864886f70d010101", "hex")
  const oaep = Uint8Array.from(exported)
  oaep[exported.indexOf(rsaEncryption) + 8] = 7
  assert.is(keys.find(hash("sha256", oaep, "hex")), undefined)
})

const { derivation: _, ...underived } = entry
const faults: readonly [name: string, document: unknown, location: string][] = [
  ["nothing", undefined, "(document)"],
  ["a list without a version", { keys: [] }, "version"],
  ["a list of another version", { ...document, version: 2 }, "version"],
  ["a list with an unknown member", { ...document, allow: [] }, "(document)"],
  ["a digest of another length", { version: 1, keys: [{ ...entry, spkiSha256: "00" }] }, "keys.0.spkiSha256"],
  [
    "a digest in capitals",
    { version: 1, keys: [{ ...entry, spkiSha256: "A".repeat(64) }] },
    "keys.0.spkiSha256",
  ],
  ["a key twice", { version: 1, keys: [entry, { ...entry, reason: "another" }] }, "keys"],
  [
    "a source without https",
    { version: 1, keys: [{ ...entry, source: "http://example.com" }] },
    "keys.0.source",
  ],
  ["a date that is none", { version: 1, keys: [{ ...entry, published: "2024-02-30" }] }, "keys.0.published"],
  ["a key of unknown derivation", { version: 1, keys: [underived] }, "keys.0.derivation"],
  ["a key without a reason", { version: 1, keys: [{ ...entry, reason: "" }] }, "keys.0.reason"],
]
for (const [name, faulty, location] of faults)
  denied(`refuses ${name}`, () => {
    assert.is(throwsCode(() => parseDeniedKeys(faulty), "INPUT").location, location)
  })

denied.run()
