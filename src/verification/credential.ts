import { createCipheriv, createHmac } from "node:crypto"
import { concat } from "../bytes.ts"
import { HASHES, TPM_ALG_AES, TPM_ALG_CFB } from "../evidence/tpm/algorithm.ts"
import { sized } from "../evidence/tpm/encode.ts"
import { kdfa } from "../evidence/tpm/kdf.ts"
import type { PublicArea } from "../evidence/tpm/public.ts"
import type { EndorsementKey } from "./ek.ts"
import { encapsulate, type RandomSource } from "./encapsulate.ts"
import type { AttestationKey } from "./key.ts"
import type { Verified } from "./verified.ts"

/** What TPM2_ActivateCredential takes. */
export interface Credential {
  /** TPM2B_ID_OBJECT: 70, 86 or 102 bytes for an endorsement key of SHA-256, SHA-384 or SHA-512. */
  readonly credentialBlob: Uint8Array
  /** TPM2B_ENCRYPTED_SECRET: 258, 386 or 514 bytes for RSA, 70, 102 or 138 for P-256, P-384, P-521. */
  readonly encryptedSecret: Uint8Array
}

/** Random bytes of a credential's secret: what fits the digest of every known endorsement key. */
export const ACTIVATION_SECRET_BYTES = 32

/**
 * TPM2_MakeCredential, without a TPM: encrypts `secret` so that only a TPM that holds both keys will say it. Whoever
 * says it has shown that the TPM of this endorsement key also holds an object of exactly this Name.
 *
 * That the endorsement key is a genuine TPM's is not shown by this, but by who vouches for it.
 *
 * @param secret 32 random bytes, made for this one credential.
 * @throws {AssayError} RNG; whatever `random` throws.
 * @see TPM 2.0 Library, Part 1: Architecture, 24; Part 3: Commands, 12.6.
 */
export const makeCredential = (
  ek: Verified<EndorsementKey>,
  ak: Verified<AttestationKey>,
  secret: Uint8Array,
  random: RandomSource,
): Credential => {
  if (secret.length !== ACTIVATION_SECRET_BYTES)
    throw new TypeError(`a credential's secret has ${ACTIVATION_SECRET_BYTES} bytes`)
  return protectCredential(ek, ak.area.name, secret, random)
}

/**
 * As `makeCredential`, for any storage key and any Name.
 *
 * @param secret Not empty, and not longer than the key's nameAlg digest: TPM2_ActivateCredential would open both, so that
 *   the limit is ours to keep.
 */
export const protectCredential = (
  { area, keyObject }: Pick<EndorsementKey, "area" | "keyObject">,
  objectName: Uint8Array,
  secret: Uint8Array,
  random: RandomSource,
): Credential => {
  const { nameAlg } = area
  const { sizeBytes } = HASHES[nameAlg]
  if (secret.length === 0 || secret.length > sizeBytes)
    throw new TypeError(`a secret for this key has 1 to ${sizeBytes} bytes`)
  const keyBits = aesBitsOf(area)
  const { seed, secret: encryptedSeed } = encapsulate(
    { key: area.key, keyObject },
    nameAlg,
    "IDENTITY",
    random,
  )
  const empty = new Uint8Array()
  const storage = { label: "STORAGE", contextU: objectName, contextV: empty, bits: keyBits }
  const cipher = createCipheriv(`aes-${keyBits}-cfb`, kdfa(nameAlg, seed, storage), new Uint8Array(16))
  // Also the size is encrypted, and the Name is hashed without its own.
  const encIdentity = concat(cipher.update(sized(secret)), cipher.final())
  const integrity = { label: "INTEGRITY", contextU: empty, contextV: empty, bits: 8 * sizeBytes }
  const hmac = createHmac(nameAlg, kdfa(nameAlg, seed, integrity))
    .update(encIdentity)
    .update(objectName)
  return {
    credentialBlob: sized(concat(sized(hmac.digest()), encIdentity)),
    encryptedSecret: sized(encryptedSeed),
  }
}

const aesBitsOf = ({ symmetric }: PublicArea): 128 | 256 => {
  const { algorithm, keyBits, mode } = symmetric ?? {}
  if (algorithm !== TPM_ALG_AES || mode !== TPM_ALG_CFB || (keyBits !== 128 && keyBits !== 256))
    throw new TypeError("a credential is protected by a storage key with AES-128-CFB or AES-256-CFB")
  return keyBits
}
