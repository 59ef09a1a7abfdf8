import { sign } from "node:crypto"
import type { HashName } from "../evidence/tpm/algorithm.ts"
import { nameOf } from "../evidence/tpm/public.ts"
import { certificationRequest, type RequestAlgorithm, requestInfo } from "./csr.ts"
import { encodePublic, type PublicFields, sized } from "./encode.ts"
import { generateKeys, type KeyAlgorithm, type KeyPair } from "./keys.ts"

/** fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, sign. */
export const TLS_KEY_ATTRIBUTES = 0x00040072

/** What kind of key to make. */
export interface SoftwareKeyOptions {
  /** By default P-256. */
  readonly algorithm?: KeyAlgorithm
  /** The key's pair, of that algorithm. By default a new one. */
  readonly keys?: KeyPair
  /** Of the public area; by default those of a key for TLS, by SHA-256, without a scheme of its own. */
  readonly fields?: Partial<Omit<PublicFields, "key">>
}

/** A signing key of a software TPM, for TLS. */
export interface SoftwareKey {
  /** TPM2B_PUBLIC. */
  readonly keyPublic: Uint8Array
  readonly name: Uint8Array
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
  /** Of any bytes, as certificates have it, by `algorithm`. */
  sign(bytes: Uint8Array): Uint8Array
  readonly algorithm: RequestAlgorithm
}

const SIGNS_BY: Readonly<Record<KeyAlgorithm, readonly [algorithm: RequestAlgorithm, hash: HashName]>> = {
  "rsa-2048": ["rsassa-sha256", "sha256"],
  "rsa-3072": ["rsassa-sha256", "sha256"],
  "rsa-4096": ["rsassa-sha256", "sha256"],
  p256: ["ecdsa-sha256", "sha256"],
  p384: ["ecdsa-sha384", "sha384"],
  p521: ["ecdsa-sha512", "sha512"],
}

/** Makes a key. */
export function createSoftwareKey(options: SoftwareKeyOptions = {}): SoftwareKey {
  const { algorithm = "p256", keys = generateKeys(algorithm), fields = {} } = options
  const { privateKey, publicKey, spki } = keys
  const area: PublicFields = {
    nameAlg: "sha256",
    attributes: TLS_KEY_ATTRIBUTES,
    authPolicy: new Uint8Array(),
    symmetric: undefined,
    scheme: undefined,
    ...fields,
    key: publicKey,
  }
  const bytes = encodePublic(area)
  const [by, hash] = SIGNS_BY[algorithm]
  return {
    keyPublic: sized(bytes),
    name: nameOf(area.nameAlg, bytes),
    spki,
    sign: (message) => new Uint8Array(sign(hash, message, privateKey)),
    algorithm: by,
  }
}

/** The key's request for a certificate. */
export const requestOf = ({ spki, sign: signBy, algorithm }: SoftwareKey): Uint8Array => {
  const info = requestInfo(spki)
  return certificationRequest(info, algorithm, signBy(info))
}
