import {
  constants,
  createDecipheriv,
  createHmac,
  createPublicKey,
  diffieHellman,
  privateDecrypt,
  timingSafeEqual,
} from "node:crypto"
import { concat, toBase64Url, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { Reader } from "../evidence/reader.ts"
import { DIGEST_BYTES_MAX, HASHES } from "../evidence/tpm/algorithm.ts"
import { EK_TEMPLATES, type EkTemplate, type EkTemplateName, ekAreaOf } from "../evidence/tpm/ek-template.ts"
import { sized } from "../evidence/tpm/encode.ts"
import { kdfa, kdfe } from "../evidence/tpm/kdf.ts"
import { CURVES, type PublicArea } from "../evidence/tpm/public.ts"
import { generateKeys, type KeyAlgorithm, type KeyPair } from "./keys.ts"

/** An endorsement key of a software TPM. */
export interface SoftwareEk {
  readonly template: EkTemplateName
  readonly keys: KeyPair
  readonly area: PublicArea
  /** TPM2B_PUBLIC. */
  readonly ekPublic: Uint8Array
}

/** Makes an endorsement key by a template, with a key pair of its own unless there is one. */
export const createSoftwareEk = (template: EkTemplateName, keys?: KeyPair): SoftwareEk => {
  const pair = keys ?? generateKeys(algorithmOf(EK_TEMPLATES[template]))
  const area = ekAreaOf(template, pair.publicKey)
  return { template, keys: pair, area, ekPublic: sized(area.bytes) }
}

const CURVE_KEYS = { "P-256": "p256", "P-384": "p384", "P-521": "p521" } as const
const RSA_KEYS: ReadonlyMap<number, KeyAlgorithm> = new Map([
  [2048, "rsa-2048"],
  [3072, "rsa-3072"],
  [4096, "rsa-4096"],
])
const algorithmOf = ({ key }: EkTemplate): KeyAlgorithm =>
  key.kind === "ecc" ? CURVE_KEYS[key.curve] : (RSA_KEYS.get(key.keyBits) ?? "rsa-2048")

/** TPM2B_ID_OBJECT: a digest and what it is over. A TPM refuses longer ones. */
const ID_OBJECT_BYTES_MAX = 2 * (2 + DIGEST_BYTES_MAX)
/** RSA with 4096 bits; two coordinates of P-521 are shorter. */
const ENCRYPTED_SECRET_BYTES_MAX = 512
const COORDINATE_BYTES_MAX = 66

/**
 * TPM2_ActivateCredential: what the credential says, if it was made for this endorsement key and for an object of this
 * Name. Like a TPM it believes nothing before the outer HMAC has been compared.
 *
 * @throws {AssayError} TPM for a credential of another key or another Name, or with a bit changed; FRAMING, LENGTH.
 * @see TPM 2.0 Library, Part 3: Commands, 12.5; Part 1: Architecture, 24.
 */
export function activateCredential(
  ek: SoftwareEk,
  objectName: Uint8Array,
  credentialBlob: Uint8Array,
  encryptedSecret: Uint8Array,
): Uint8Array {
  const { nameAlg, symmetric } = ek.area
  const outer = new Reader(credentialBlob, "TPM2B_ID_OBJECT")
  const object = new Reader(outer.sized("credential", ID_OBJECT_BYTES_MAX), "TPMS_ID_OBJECT")
  outer.end()
  const integrity = object.sized("integrityHMAC", DIGEST_BYTES_MAX)
  const encIdentity = object.rest()

  const seed = openSeed(ek, encryptedSecret)
  const empty = new Uint8Array()
  const bits = 8 * HASHES[nameAlg].sizeBytes
  const hmacKey = kdfa(nameAlg, seed, { label: "INTEGRITY", contextU: empty, contextV: empty, bits })
  const expected = createHmac(nameAlg, hmacKey).update(encIdentity).update(objectName).digest()
  if (integrity.length !== expected.length || !timingSafeEqual(integrity, expected))
    throw refused("integrity check failed (0x1DF)")

  const keyBits = symmetric?.keyBits ?? 0
  const storage = { label: "STORAGE", contextU: objectName, contextV: empty, bits: keyBits }
  const decipher = createDecipheriv(`aes-${keyBits}-cfb`, kdfa(nameAlg, seed, storage), new Uint8Array(16))
  const identity = new Reader(concat(decipher.update(encIdentity), decipher.final()), "TPM2B_DIGEST")
  const secret = identity.sized("certInfo", DIGEST_BYTES_MAX)
  identity.end()
  return secret
}

/** The seed that the credential's keys are derived from. What is not one of ours gives another seed, or none. */
const openSeed = ({ keys, area }: SoftwareEk, encryptedSecret: Uint8Array): Uint8Array => {
  const { nameAlg, key } = area
  const outer = new Reader(encryptedSecret, "TPM2B_ENCRYPTED_SECRET")
  const secret = outer.sized("secret", ENCRYPTED_SECRET_BYTES_MAX)
  outer.end()
  try {
    if (key.kind === "rsa") {
      const oaep = {
        oaepHash: nameAlg,
        oaepLabel: utf8("IDENTITY\0"),
        padding: constants.RSA_PKCS1_OAEP_PADDING,
      }
      return privateDecrypt({ key: keys.privateKey, ...oaep }, secret)
    }
    const r = new Reader(secret, "TPMS_ECC_POINT")
    const [x, y] = [r.sized("x", COORDINATE_BYTES_MAX), r.sized("y", COORDINATE_BYTES_MAX)]
    r.end()
    const { sizeBytes } = CURVES[key.curve]
    const jwk = { kty: "EC", crv: key.curve, x: padded(x, sizeBytes), y: padded(y, sizeBytes) }
    const publicKey = createPublicKey({ key: jwk, format: "jwk" })
    const z = diffieHellman({ privateKey: keys.privateKey, publicKey })
    // As a TPM, over x as it arrived: without its leading zeros it gives another seed.
    const bits = 8 * HASHES[nameAlg].sizeBytes
    return kdfe(nameAlg, z, { label: "IDENTITY", contextU: x, contextV: key.x, bits })
  } catch (cause) {
    if (cause instanceof AssayError) throw cause
    throw refused("the encrypted secret is none of this key's", cause)
  }
}

const padded = (octets: Uint8Array, sizeBytes: number): string =>
  toBase64Url(concat(new Uint8Array(Math.max(0, sizeBytes - octets.length)), octets))

const refused = (message: string, cause?: unknown): AssayError =>
  new AssayError("TPM", `TPM2_ActivateCredential: ${message}`, { location: "TPM2_ActivateCredential", cause })
