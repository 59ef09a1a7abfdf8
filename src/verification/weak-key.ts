import { hash } from "node:crypto"
import { toHex } from "../bytes.ts"
import { AssayError, type Code } from "../errors.ts"

/** Longer keys cost more than they are worth: 8192 bits take 20 times the work of 2048. */
const RSA_BITS_MAX = 8192
const RSA_BITS_MIN = 2048
/** Shorter keys are not weak but broken: 829 bits have been factored. */
const RSA_BITS_BROKEN = 1024
const RSA_EXPONENT_MIN = 65537n
/** What a TPM can hold: TPMS_RSA_PARMS.exponent is 32 bits wide. */
const RSA_EXPONENT_MAX = 2n ** 32n

/**
 * Checks an RSA public key, big-endian octets, leading zeros allowed. Size and parity come first, in constant time,
 * so that nothing is computed with a modulus over the limit.
 *
 * The broken come before the weak: who lets a WEAK_ALG pass for an old root has still been told of everything worse.
 *
 * @throws {AssayError} WEAK_KEY for a modulus that is zero, even, under 1024 or over 8192 bits, and for an exponent
 *   under 3 or even; ROCA; WEAK_ALG for less than 2048 bits, for bits that fill no octets, and for an exponent under
 *   65537 or over 2^32.
 * @see FIPS 186-5, 5.1 and A.1.1; CVE-2017-15361.
 */
export function checkRsa(modulus: Uint8Array, exponent: bigint | number, location: string): void {
  const refuse = (code: Code, expected: string, actual: string): AssayError =>
    new AssayError(code, "the RSA key is too weak, or none at all", { location, expected, actual })
  const octets = modulus.subarray(leadingZeros(modulus))
  const [first] = octets
  if (first === undefined) throw refuse("WEAK_KEY", "a modulus", "zero")
  const bits = 8 * octets.length - (Math.clz32(first) - 24)
  if (bits > RSA_BITS_MAX) throw refuse("WEAK_KEY", `at most ${RSA_BITS_MAX} bits`, `${bits} bits`)
  if (bits < RSA_BITS_BROKEN) throw refuse("WEAK_KEY", `at least ${RSA_BITS_MIN} bits`, `${bits} bits`)
  if (((octets.at(-1) ?? 0) & 1) === 0) throw refuse("WEAK_KEY", "an odd modulus", "an even one")
  const e = BigInt(exponent)
  if (e < 3n || e % 2n === 0n) throw refuse("WEAK_KEY", "an odd exponent of 3 or more", shown(e))
  if (isRoca(octets)) throw refuse("ROCA", "primes at random", "the primes of CVE-2017-15361")
  if (bits < RSA_BITS_MIN) throw refuse("WEAK_ALG", `at least ${RSA_BITS_MIN} bits`, `${bits} bits`)
  if (bits % 8 !== 0) throw refuse("WEAK_ALG", "a multiple of 8 bits", `${bits} bits`)
  if (e < RSA_EXPONENT_MIN || e > RSA_EXPONENT_MAX)
    throw refuse("WEAK_ALG", `an exponent from ${RSA_EXPONENT_MIN} to 2^32`, shown(e))
}

const leadingZeros = (octets: Uint8Array): number => {
  const at = octets.findIndex((octet) => octet !== 0)
  return at < 0 ? octets.length : at
}

/** The sender chose its size: a number of many digits is not written out. */
const shown = (exponent: bigint): string =>
  exponent > RSA_EXPONENT_MAX || exponent < 0n ? "out of range" : String(exponent)

const ROCA_GENERATOR = 65537

/** One of the odd primes up to 167: what divides the constant M of RSALib for every size of key. */
interface RocaPrime {
  readonly prime: number
  /** Of the generator, modulo `prime`. */
  readonly order: number
  /** By residue: the power of the generator that it is, or -1. */
  readonly logarithms: Int16Array
}

const rocaPrime = (prime: number): RocaPrime => {
  const logarithms = new Int16Array(prime).fill(-1)
  let order = 0
  for (let power = 1; logarithms[power] === -1; power = (power * ROCA_GENERATOR) % prime)
    logarithms[power] = order++
  return { prime, order, logarithms }
}

/** The primes that tell most come first: a random residue is a power of the generator once in (prime - 1) / order. */
const ROCA_PRIMES: readonly RocaPrime[] = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
  109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
]
  .map(rocaPrime)
  .sort((a, b) => (b.prime - 1) / b.order - (a.prime - 1) / a.order)

/** A remainder below this, times 256, plus an octet, fits the 31 bits that the engine computes with fastest. */
const PRODUCT_MAX = 2 ** 23

interface RocaGroup {
  readonly product: number
  readonly primes: readonly RocaPrime[]
}

/** Primes whose residues come from one pass over the modulus. The first pass acquits all but 1 in 5,760 random moduli. */
const rocaGroups = (): readonly RocaGroup[] => {
  const groups: { product: number; primes: RocaPrime[] }[] = []
  for (const next of ROCA_PRIMES) {
    const last = groups.at(-1)
    if (last === undefined || last.product * next.prime >= PRODUCT_MAX)
      groups.push({ product: next.prime, primes: [next] })
    else {
      last.product *= next.prime
      last.primes.push(next)
    }
  }
  return groups
}
const ROCA_GROUPS = rocaGroups()

/**
 * Whether a modulus, big-endian, has the ROCA fingerprint. Infineon's RSALib made its primes as k·M + (65537^a mod M),
 * M the product of the first 39 primes or more, so that the modulus is a power of 65537 modulo each of them, and of one
 * exponent. The first half is the published per-prime test, which takes 1 in 2^28 random moduli for one of these; with
 * the second it is 1 in 2^154.
 *
 * @see Nemec et al., The Return of Coppersmith's Attack, CCS 2017, 2.2.
 */
export function isRoca(modulus: Uint8Array): boolean {
  const logarithms: number[] = []
  for (const { product, primes } of ROCA_GROUPS) {
    const residue = remainder(modulus, product)
    for (const { prime, logarithms: table } of primes) {
      const logarithm = table[residue % prime] ?? -1
      if (logarithm < 0) return false
      logarithms.push(logarithm)
    }
  }
  return ROCA_PRIMES.every(({ order }, i) =>
    ROCA_PRIMES.slice(0, i).every(
      (other, j) => ((logarithms[i] ?? 0) - (logarithms[j] ?? 0)) % gcd(order, other.order) === 0,
    ),
  )
}

const remainder = (octets: Uint8Array, divisor: number): number => {
  let rest = 0
  for (let i = 0; i < octets.length; i++) rest = (rest * 256 + (octets[i] ?? 0)) % divisor
  return rest
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))

interface Curve {
  readonly sizeBytes: number
  readonly p: bigint
  readonly b: bigint
}

/** y² = x³ - 3x + b modulo p. */
const CURVES = {
  "P-256": {
    sizeBytes: 32,
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  },
  "P-384": {
    sizeBytes: 48,
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
  },
  "P-521": {
    sizeBytes: 66,
    p: 2n ** 521n - 1n,
    b: 0x51953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
  },
} as const satisfies Record<string, Curve>

/**
 * Checks the affine coordinates of a point, big-endian octets of the curve's full size. The cofactor of these curves
 * is 1: every point on them is of the right order, and the point at infinity has no coordinates.
 *
 * @throws {AssayError} WEAK_KEY for coordinates of another size, not below p, or off the curve.
 * @see NIST SP 800-56A rev. 3, 5.6.2.3.3; SP 800-186, 3.2.1.
 */
export function checkPoint(curve: keyof typeof CURVES, x: Uint8Array, y: Uint8Array, location: string): void {
  const { sizeBytes, p, b } = CURVES[curve]
  const refuse = (expected: string, actual: string): AssayError =>
    new AssayError("WEAK_KEY", `the public key is no point of ${curve}`, { location, expected, actual })
  if (x.length !== sizeBytes || y.length !== sizeBytes)
    throw refuse(`coordinates of ${sizeBytes} octets`, `${x.length} and ${y.length}`)
  const [px, py] = [toInteger(x), toInteger(y)]
  if (px >= p || py >= p) throw refuse("coordinates below p", "one that is not")
  if ((py * py - (px * px - 3n) * px - b) % p !== 0n) throw refuse("a point on the curve", "one off it")
}

const toInteger = (octets: Uint8Array): bigint => BigInt(`0x${toHex(octets)}`)

/** Why a key is denied, and who says so. */
export interface DeniedKey {
  readonly reason: string
  /** The https address of the advisory. */
  readonly source: string
}

/** Keys whose private half is known to others, as `data/denied-keys.json` lists them. */
export interface DeniedKeys {
  readonly size: number
  /** By SHA-256 of the SubjectPublicKeyInfo, in hexadecimal of either case. */
  find(spkiSha256: string): DeniedKey | undefined
}

/**
 * Refuses a key that is on the list.
 *
 * @param spki DER of the SubjectPublicKeyInfo in its one usual form: rsaEncryption with NULL, or a named curve with an
 *   uncompressed point. The same key under id-RSAES-OAEP has another digest: give what its `KeyObject` exports.
 * @throws {AssayError} KEY_DENIED, with the reason and its source.
 */
export const checkNotDenied = (spki: Uint8Array, denied: DeniedKeys, location: string): void =>
  checkDigestNotDenied(hash("sha256", spki, "hex"), denied, location)

/** As `checkNotDenied`, by the digest in lowercase hexadecimal. @throws {AssayError} KEY_DENIED. */
export function checkDigestNotDenied(digest: string, denied: DeniedKeys, location: string): void {
  const key = denied.find(digest)
  if (key === undefined) return
  throw new AssayError("KEY_DENIED", `the key is on the list of denied keys: ${key.reason}`, {
    location,
    expected: "a key that nobody else holds",
    actual: `one that is known: ${key.source}`,
  })
}
