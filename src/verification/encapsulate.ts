import {
  constants,
  createECDH,
  hash as digestOf,
  type ECDH,
  type KeyObject,
  publicEncrypt,
} from "node:crypto"
import { concat, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { HASHES, type HashName } from "../evidence/tpm/algorithm.ts"
import { sized, u32 } from "../evidence/tpm/encode.ts"
import { kdfe } from "../evidence/tpm/kdf.ts"
import { CURVES, type CurveName, type PublicKey } from "../evidence/tpm/public.ts"

/** Gives `sizeBytes` random bytes that nobody can guess. The core has no randomness of its own. */
export type RandomSource = (sizeBytes: number) => Uint8Array

/** A public key to encrypt to, which has been checked: a modulus of full size, or a point on its curve. */
export interface Recipient {
  readonly key: PublicKey
  readonly keyObject: KeyObject
}

/** A seed, and what the holder of the private key gets it back from. */
export interface Encapsulated {
  /** As long as the hash. Secret. */
  readonly seed: Uint8Array
  /** Content of a TPM2B_ENCRYPTED_SECRET: the ciphertext of RSA, or the TPMS_ECC_POINT of the ephemeral key. */
  readonly secret: Uint8Array
}

/**
 * Makes a seed that only the holder of the recipient's private key can learn.
 *
 * RSA: the seed is random and encrypted with OAEP, hash and MGF1 by `hash`, the label followed by a zero byte. ECC: the
 * seed is KDFe of the secret that an ephemeral key shares with the recipient's. Coordinates keep their leading zeros, on
 * the wire as in the derivation: the TPM hashes them as they arrive.
 *
 * @throws {AssayError} RNG if `random` gives nothing that can be a private key; whatever `random` throws.
 * @see TPM 2.0 Library, Part 1: Architecture, B.10.3 and B.4 (RSA), C.6.3 (ECC).
 */
export const encapsulate = (
  { key, keyObject }: Recipient,
  hash: HashName,
  label: string,
  random: RandomSource,
): Encapsulated => {
  switch (key.kind) {
    case "rsa": {
      const { sizeBytes } = HASHES[hash]
      const seed = random(sizeBytes)
      const padded = padOaep(hash, utf8(`${label}\0`), seed, random(sizeBytes), key.modulus.length)
      return { seed, secret: publicEncrypt({ key: keyObject, padding: constants.RSA_NO_PADDING }, padded) }
    }
    case "ecc": {
      const { sizeBytes } = CURVES[key.curve]
      const ephemeral = ephemeralKey(key.curve, random)
      const point = new Uint8Array(ephemeral.getPublicKey()).subarray(1)
      const [x, y] = [point.subarray(0, sizeBytes), point.subarray(sizeBytes)]
      const z = ephemeral.computeSecret(concat(Uint8Array.of(UNCOMPRESSED), key.x, key.y))
      const inputs = { label, contextU: x, contextV: key.x, bits: 8 * HASHES[hash].sizeBytes }
      return { seed: kdfe(hash, z, inputs), secret: concat(sized(x), sized(y)) }
    }
  }
}

const UNCOMPRESSED = 0x04

/**
 * EME-OAEP. By ourselves, for OpenSSL takes its salt from a random source of its own: with both random numbers handed in,
 * the published vectors say byte for byte whether this is right.
 *
 * @see RFC 8017, 7.1.1.
 */
const padOaep = (
  hash: HashName,
  label: Uint8Array,
  message: Uint8Array,
  salt: Uint8Array,
  sizeBytes: number,
): Uint8Array => {
  const labelHash = digestOf(hash, label, "buffer")
  const block = new Uint8Array(sizeBytes - 1 - salt.length)
  block.set(labelHash)
  block.set(Uint8Array.of(1), block.length - message.length - 1)
  block.set(message, block.length - message.length)
  const masked = xor(block, mgf1(hash, salt, block.length))
  return concat(Uint8Array.of(0), xor(salt, mgf1(hash, masked, salt.length)), masked)
}

/** RFC 8017, B.2.1. */
const mgf1 = (hash: HashName, seed: Uint8Array, sizeBytes: number): Uint8Array => {
  const blocks = Array.from({ length: Math.ceil(sizeBytes / HASHES[hash].sizeBytes) }, (_, i) =>
    digestOf(hash, concat(seed, u32(i)), "buffer"),
  )
  return concat(...blocks).subarray(0, sizeBytes)
}

const xor = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((octet, i) => octet ^ (b[i] ?? 0))

const OPENSSL_CURVES: Readonly<Record<CurveName, string>> = {
  "P-256": "prime256v1",
  "P-384": "secp384r1",
  "P-521": "secp521r1",
}
/** One number in 2^32 is no private key of P-256, far fewer of the others. That many in a row are no accident. */
const CANDIDATES_MAX = 4

/** A key pair by testing candidates (FIPS 186-5, A.2.2): numbers that are zero or not below the order are drawn again. */
const ephemeralKey = (curve: CurveName, random: RandomSource): ECDH => {
  const ecdh = createECDH(OPENSSL_CURVES[curve])
  for (let i = 0; i < CANDIDATES_MAX; i++) {
    const candidate = new Uint8Array(random(CURVES[curve].sizeBytes))
    // The order of P-521 has 521 bits, its octets have 528.
    if (curve === "P-521") candidate[0] = (candidate[0] ?? 0) & 1
    try {
      ecdh.setPrivateKey(candidate)
      return ecdh
    } catch {
      // Not a private key of this curve.
    }
  }
  throw new AssayError("RNG", "the random numbers are none that a private key can be made of")
}
