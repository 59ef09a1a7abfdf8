/** RSA key pairs for tests: to find primes takes longer than what most tests do with them. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { generateKeys, type KeyAlgorithm, type KeyPair, keyPairOf } from "../../src/device/keys.ts"

/** Both halves of a key. */
export interface RsaPair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

const EXPONENT = 65_537
const KEY = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\n/g

const kept = new Map<number, string[]>()
/** Those of `test/fixtures/keys` that this process has not taken yet. */
const left = (bits: number): string[] => {
  const known = kept.get(bits)
  if (known !== undefined) return known
  const file = new URL(`../fixtures/keys/rsa${bits}.pem`, import.meta.url)
  const keys = existsSync(file) ? (readFileSync(file, "utf8").match(KEY) ?? []) : []
  kept.set(bits, keys)
  return keys
}

/** A pair that this process has not had before: a fixed one, or a new one when there is none left of its kind. */
export const rsaPair = (bits = 2048, exponent = EXPONENT): RsaPair => {
  const pem = exponent === EXPONENT ? left(bits).shift() : undefined
  if (pem === undefined) return generateKeyPairSync("rsa", { modulusLength: bits, publicExponent: exponent })
  const privateKey = createPrivateKey(pem)
  return { privateKey, publicKey: createPublicKey(privateKey) }
}

/** As `generateKeys` of a software TPM, with an RSA pair that need not be found. */
export const ownKeys = (algorithm: KeyAlgorithm): KeyPair =>
  algorithm.startsWith("rsa-")
    ? keyPairOf(algorithm, rsaPair(Number(algorithm.slice("rsa-".length))))
    : generateKeys(algorithm)
