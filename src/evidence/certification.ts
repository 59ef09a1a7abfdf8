import { inField } from "../errors.ts"
import { type Attest, parseAttest } from "./tpm/attest.ts"
import { type PublicArea, parsePublic } from "./tpm/public.ts"
import { parseSignature, type Signature } from "./tpm/signature.ts"
import { type CertificateRequest, parseCertificateRequest } from "./x509/certificate-request.ts"

/** What a device shows of a key that it wants certified, as it arrives. */
export interface RawCertification {
  /** CertificationRequest, DER. */
  readonly csr: Uint8Array
  /** TPMT_PUBLIC or TPM2B_PUBLIC of the key. */
  readonly keyPublic: Uint8Array
  /** TPMS_ATTEST, byte for byte as the attestation key signed it. */
  readonly attest: Uint8Array
  /** TPMT_SIGNATURE of the attestation key. */
  readonly signature: Uint8Array
}

/** A certification that is well formed in every part. Nothing in it is proven. */
export interface Certification {
  readonly csr: CertificateRequest
  readonly area: PublicArea
  readonly attest: Attest
  /** What the signature is over. */
  readonly attestBytes: Uint8Array
  readonly signature: Signature
}

/**
 * Reads everything that a device shows of a key. What comes back are views on the input.
 *
 * @throws {AssayError} DER, OID, DEPTH, TRAILING, CSR; PUBLIC_AREA, QUOTE_MAGIC, PCR_SELECTION_MALFORMED, FRAMING, LENGTH;
 *   `location` is the field's path in the request.
 */
export const parseCertification = ({
  csr,
  keyPublic,
  attest,
  signature,
}: RawCertification): Certification => ({
  csr: inField("certification.csr", () => parseCertificateRequest(csr)),
  area: inField("certification.key_public", () => parsePublic(keyPublic)),
  attest: inField("certification.attest", () => parseAttest(attest)),
  attestBytes: attest,
  signature: inField("certification.signature", () => parseSignature(signature)),
})
