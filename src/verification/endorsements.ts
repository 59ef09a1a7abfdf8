import { hash } from "node:crypto"
import { concat, sameBytes, toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { PublicKey } from "../evidence/tpm/public.ts"
import { type Certificate, certificateText } from "../evidence/x509/certificate.ts"
import type { CloudInstance } from "../evidence/x509/gce-instance.ts"
import type { SubjectPublicKey } from "../evidence/x509/public-key.ts"
import { keyObjectOf } from "./certificate-key.ts"
import { type CertificatePath, type ChainOptions, verifyChain } from "./chain.ts"
import type { AttestationKey } from "./key.ts"
import type { TpmIdentity } from "./tpm-identity.ts"
import type { Trust } from "./trust.ts"
import { type Verified, vouch } from "./verified.ts"

/** What vouches for a device's keys, proven. */
export interface Endorsements {
  /** The attestation key's own certificate: with it the key is bound to its TPM. */
  readonly ak: Verified<CertificatePath> | undefined
  /** The endorsement key's certificate. That the attestation key lives beside it is not proven by this. */
  readonly ek: Verified<CertificatePath> | undefined
  /** The endorsement key has no certificate, and is on the tenant's list. */
  readonly ekListed: boolean
  /** When the device enrolled, its TPM showed that it holds the attestation key beside this endorsement key. */
  readonly activated: boolean
  /** The machine of a cloud that the certificates say it is, if they do. */
  readonly instance: CloudInstance | undefined
}

/** Nothing vouches for the device's keys but its operator. */
export const NO_ENDORSEMENTS: Verified<Endorsements> = vouch({
  ak: undefined,
  ek: undefined,
  ekListed: false,
  activated: false,
  instance: undefined,
})

/** What a device shows or was registered with: chains with the leaf first, empty if there are none. */
export interface UntrustedEndorsements {
  readonly akChain: readonly Certificate[]
  readonly ekChain: readonly Certificate[]
  readonly ekListed: boolean
  /** The endorsement key that the device enrolled with; nothing for one that only its operator speaks of. */
  readonly enrolled?: EnrolledEk | undefined
}

/** What a record says of the endorsement key that a device enrolled with. */
export interface EnrolledEk {
  /** SHA-256 of its SubjectPublicKeyInfo, 32 bytes. */
  readonly digest: Uint8Array
  /** Whether the attestation key was proven to live beside it. */
  readonly activated: boolean
}

/**
 * Verifies the certificates of a device's keys: each leads to a trust anchor of its purpose, and the AK's is that of the
 * key that signed.
 *
 * @throws {AssayError} as `verifyChain`; AK_NAME for a certificate of another key; AK_BINDING for the certificate of another
 *   endorsement key than the one that the device enrolled with, or of two instances; NAME if the two certificates name
 *   different manufacturers.
 */
export function verifyEndorsements(
  shown: UntrustedEndorsements,
  ak: Verified<AttestationKey>,
  trust: Trust,
  options: Pick<ChainOptions, "at" | "expiredLeaf">,
): Verified<Endorsements> {
  const { at, expiredLeaf = "refuse" } = options
  const akPath = pathOf(shown.akChain, trust, { purpose: "ak", at })
  if (akPath !== undefined) checkSameKey(akPath.leaf, ak.area.key)
  const ekPath = pathOf(shown.ekChain, trust, { purpose: "ek", at, expiredLeaf })
  if (ekPath !== undefined && shown.enrolled !== undefined) checkSameEk(ekPath.leaf, shown.enrolled)
  checkSameMaker(ekPath?.tpm, akPath)
  // Beside a key that nobody vouches for any more, an activation says nothing.
  const activated = shown.enrolled?.activated === true && (ekPath !== undefined || shown.ekListed)
  const instance = instanceOf(ekPath, akPath)
  return vouch({ ak: akPath, ek: ekPath, ekListed: shown.ekListed, activated, instance })
}

/** The certificate is of the endorsement key that the attestation key was bound to, and of no other. */
const checkSameEk = (leaf: Certificate, enrolled: EnrolledEk): void => {
  const digest = hash("sha256", keyObjectOf(leaf).export({ type: "spki", format: "der" }), "buffer")
  if (sameBytes(digest, enrolled.digest)) return
  throw new AssayError("AK_BINDING", "the certificate is of another endorsement key than the enrolled one", {
    location: certificateText(leaf),
    expected: `SHA-256 ${toHex(enrolled.digest)}`,
    actual: `SHA-256 ${toHex(digest)}`,
  })
}

const pathOf = (
  [leaf, ...others]: readonly Certificate[],
  trust: Trust,
  options: ChainOptions,
): Verified<CertificatePath> | undefined =>
  leaf === undefined ? undefined : verifyChain(leaf, others, trust, options)

/**
 * The certificate's key is the public area's: modulus and exponent, or curve and point. Compared as numbers, for the two
 * are encoded in different ways.
 *
 * @throws {AssayError} AK_NAME.
 */
export function checkSameKey(certificate: Certificate, key: PublicKey): void {
  if (isSameKey(certificate.publicKey, key)) return
  throw new AssayError("AK_NAME", "the certificate is of another key than the one that signs", {
    location: certificateText(certificate),
    expected: "the attestation key",
    actual: "another key",
  })
}

const isSameKey = (certified: SubjectPublicKey, key: PublicKey): boolean => {
  if (certified.kind === "rsa" && key.kind === "rsa")
    return (
      sameBytes(certified.modulus, key.modulus) &&
      certified.exponent.reduce((sum, octet) => sum * 256 + octet, 0) === key.exponent
    )
  if (certified.kind !== "ec" || key.kind !== "ecc" || certified.curve !== key.curve) return false
  return sameBytes(certified.point, concat(UNCOMPRESSED, key.x, key.y))
}

const UNCOMPRESSED = Uint8Array.of(0x04)

/** What the certificates name, the attestation key's before the other; both the same, if both name one. */
const instanceOf = (
  ek: CertificatePath | undefined,
  ak: CertificatePath | undefined,
): CloudInstance | undefined => {
  const [other, own] = [ek?.leaf.extensions.instance, ak?.leaf.extensions.instance]
  if (ak === undefined || own === undefined || other === undefined) return own ?? other
  if (other.project === own.project && other.id === own.id) return own
  throw new AssayError("AK_BINDING", "the certificates of the two keys are of different instances", {
    location: certificateText(ak.leaf),
    expected: `${other.project} ${other.id}`,
    actual: `${own.project} ${own.id}`,
  })
}

const checkSameMaker = (ek: TpmIdentity | undefined, ak: CertificatePath | undefined): void => {
  const other = ak?.tpm
  if (ek === undefined || ak === undefined || other === undefined) return
  if (ek.manufacturer.toLowerCase() === other.manufacturer.toLowerCase()) return
  throw new AssayError("NAME", "the certificates of the two keys name different manufacturers", {
    location: certificateText(ak.leaf),
    expected: ek.manufacturer,
    actual: other.manufacturer,
  })
}
