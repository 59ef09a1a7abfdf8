import { AssayError } from "../errors.ts"
import { type Certificate, certificateText } from "../evidence/x509/certificate.ts"
import { KEY_USAGE } from "../evidence/x509/extensions.ts"
import { valuesOf } from "../evidence/x509/name.ts"
import { type TpmIdentity, tpmIdentityOf } from "./tpm-identity.ts"

/** What a path is verified for: an endorsement key, an attestation key, or nothing in particular. */
export type Purpose = "ek" | "ak" | "any"

/** tcg-kp-EKCertificate and tcg-kp-AIKCertificate. */
const EKU_EK = "2.23.133.8.1"
const EKU_AK = "2.23.133.8.3"
const ANY_EKU = "2.5.29.37.0"
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
const ORGANIZATION = "2.5.4.10"

/**
 * Holds the leaf to its purpose.
 *
 * An `ek` and an `ak` are no CA and carry the TPM's manufacturer, model and version in the alternative name. An EK
 * encrypts: keyEncipherment for RSA, keyAgreement for ECC; where its purposes are listed, 2.23.133.8.1 is among them.
 * An AK signs: digitalSignature, and 2.23.133.8.3 is among its purposes. keyUsage is asked where there is one: older EK
 * certificates have none. Nothing is both.
 *
 * Google's AK certificates carry the EK's purpose with digitalSignature; they are taken for what they are, of that
 * issuer alone, and the result says so.
 *
 * @throws {AssayError} KEY_USAGE, EKU, NAME.
 * @see TCG EK Credential Profile 2.5, 3.2; attestation keys: TPM 2.0 Keys for Device Identity and Attestation, 8.
 */
export function checkPurpose(leaf: Certificate, purpose: Purpose): TpmIdentity | undefined {
  if (leaf.extensions.extKeyUsage?.length === 0) throw eku(leaf, "a purpose", "an empty list")
  if (purpose === "any") return undefined
  const { basicConstraints, keyUsage, extKeyUsage } = leaf.extensions
  if (basicConstraints?.ca === true) throw usage(leaf, "no CA", "a CA")
  const needed = purpose === "ak" ? "digitalSignature" : isRsa(leaf) ? "keyEncipherment" : "keyAgreement"
  if (keyUsage !== undefined && (keyUsage & KEY_USAGE[needed]) === 0) throw usage(leaf, needed, "without it")
  const [wanted, other] = purpose === "ek" ? [EKU_EK, EKU_AK] : [EKU_AK, EKU_EK]
  const listed =
    extKeyUsage === undefined
      ? purpose === "ek"
      : extKeyUsage.includes(wanted) && !extKeyUsage.includes(other)
  if (!listed && !isGoogleAk(leaf, purpose)) throw eku(leaf, wanted, extKeyUsage?.join(", ") ?? "no purposes")
  return tpmIdentityOf(leaf)
}

const isRsa = ({ publicKey }: Certificate): boolean => publicKey.kind === "rsa"

/** An AK certificate under the EK's purpose, by the one issuer that is known for it. */
export const isGoogleAk = ({ issuer, extensions }: Certificate, purpose: Purpose): boolean =>
  purpose === "ak" &&
  extensions.keyUsage === KEY_USAGE.digitalSignature &&
  extensions.extKeyUsage?.includes(EKU_EK) === true &&
  valuesOf(issuer, ORGANIZATION).includes("Google LLC")

/**
 * Whether a CA's own list of purposes leaves room for what it is used for here: purposes of a CA narrow the whole path
 * below it.
 *
 * @throws {AssayError} EKU.
 */
export function checkNestedPurpose(
  ca: Certificate,
  leaf: Certificate,
  purpose: Purpose,
  server: boolean,
): void {
  const { extKeyUsage } = ca.extensions
  if (extKeyUsage === undefined || extKeyUsage.includes(ANY_EKU)) return
  if (extKeyUsage.length === 0) throw eku(ca, "a purpose", "an empty list")
  const wanted = server
    ? [SERVER_AUTH]
    : purpose === "any"
      ? (leaf.extensions.extKeyUsage ?? [])
      : purpose === "ek" || isGoogleAk(leaf, purpose)
        ? [EKU_EK]
        : [EKU_AK]
  // A leaf that lists nothing is narrowed by its CA to what nobody asked for here.
  if (wanted.length === 0 || wanted.some((oid) => extKeyUsage.includes(oid))) return
  throw eku(ca, wanted.join(" or "), extKeyUsage.join(", "))
}

const eku = (certificate: Certificate, expected: string, actual: string): AssayError =>
  new AssayError("EKU", "the certificate is not for this purpose (extKeyUsage)", {
    location: certificateText(certificate),
    expected,
    actual,
  })

const usage = (certificate: Certificate, expected: string, actual: string): AssayError =>
  new AssayError("KEY_USAGE", "the certificate's key is not for this use", {
    location: certificateText(certificate),
    expected,
    actual,
  })
