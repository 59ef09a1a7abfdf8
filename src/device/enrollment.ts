import { createPublicKey, hash } from "node:crypto"
import { create } from "@bufbuild/protobuf"
import { toBase64Url } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { type PublicKey, parsePublic } from "../evidence/tpm/public.ts"
import { activationMac, type EnrollmentTranscript, enrollmentExtraData } from "../evidence/transcript.ts"
import {
  type BeginEnrollmentResponse,
  type CompleteEnrollmentRequest,
  CompleteEnrollmentRequestSchema,
} from "../gen/assay/v1/enrollment_pb.ts"
import { evidenceOf, type Quoted } from "./quoted.ts"

/**
 * What a device takes of the answer to BeginEnrollment. The digest of its endorsement key is missing on purpose, as are
 * the Names: those it puts into the transcript by itself, so that it speaks for no other key than its own.
 */
export interface EnrollmentParts {
  /** Handed back unchanged. */
  readonly enrollment: Uint8Array
  readonly random: Uint8Array
  readonly tenant: string
  /** TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET; nothing where an AK certificate stands for the endorsement key. */
  readonly credential: { readonly blob: Uint8Array; readonly encryptedSecret: Uint8Array } | undefined
}

/** The endorsement key of a device's TPM. */
export interface Endorsed {
  /** TPM2B_PUBLIC of the endorsement key. */
  ekPublic(): Promise<Uint8Array>
  /** DER, its own certificate first, then what the TPM has of its issuers'; none if the TPM has none. */
  ekCertificateChain(): Promise<readonly Uint8Array[]>
  /**
   * TPM2_ActivateCredential for the attestation key: the secret of a TPM2B_ID_OBJECT and a TPM2B_ENCRYPTED_SECRET that
   * were made for both keys of this TPM.
   *
   * @throws {AssayError} TPM for any other.
   */
  activate(credentialBlob: Uint8Array, encryptedSecret: Uint8Array): Promise<Uint8Array>
}

/**
 * The parts of an enrollment that a device may take from the answer to BeginEnrollment.
 *
 * @throws {AssayError} FIELD for one half of a credential without the other.
 */
export function enrollmentParts(response: BeginEnrollmentResponse): EnrollmentParts {
  const { enrollment, random, tenant, credentialBlob: blob, encryptedSecret } = response
  if ((blob.length === 0) !== (encryptedSecret.length === 0))
    throw new AssayError("FIELD", "the credential came in one half: begin the enrollment again", {
      location: "BeginEnrollmentResponse.encrypted_secret",
    })
  return { enrollment, random, tenant, credential: blob.length === 0 ? undefined : { blob, encryptedSecret } }
}

/**
 * The answer that ends an enrollment: an HMAC by what the credential holds, which itself stays in the device, and a quote
 * over the enrollment's transcript. Both are over the device's own keys, whatever the other side may think they are.
 *
 * @throws {AssayError} TPM if the credential does not open: nothing is quoted then.
 */
export const answerEnrollmentWith = async (
  { enrollment, random, tenant, credential }: EnrollmentParts,
  akName: Uint8Array,
  { ekPublic, activate }: Pick<Endorsed, "ekPublic" | "activate">,
  quote: (extraData: Uint8Array) => Quoted | Promise<Quoted>,
): Promise<CompleteEnrollmentRequest> => {
  const ekDigest = credential === undefined ? new Uint8Array() : ekDigestOf(await ekPublic())
  const transcript: EnrollmentTranscript = { random, tenant, ekDigest, akName }
  const activation =
    credential === undefined
      ? undefined
      : activationMac(await activate(credential.blob, credential.encryptedSecret), transcript)
  // What the device booted is not judged here, and a log may be long.
  const quoted = { ...(await quote(enrollmentExtraData(transcript))), eventLog: new Uint8Array() }
  return create(CompleteEnrollmentRequestSchema, {
    enrollment,
    ...(activation !== undefined && { activation: { case: "activationHmac", value: activation } }),
    evidence: evidenceOf(akName, quoted),
  })
}

/** What an endorsement key is known by: SHA-256 of its SubjectPublicKeyInfo. */
const ekDigestOf = (ekPublic: Uint8Array): Uint8Array => hash("sha256", spkiOf(ekPublic), "buffer")

/** SubjectPublicKeyInfo, DER, of the key of a TPM2B_PUBLIC. */
export const spkiOf = (sizedPublic: Uint8Array): Uint8Array => {
  const key = createPublicKey({ key: jwkOf(parsePublic(sizedPublic).key), format: "jwk" })
  return new Uint8Array(key.export({ type: "spki", format: "der" }))
}

const jwkOf = (key: PublicKey) =>
  key.kind === "rsa"
    ? { kty: "RSA", n: toBase64Url(key.modulus), e: "AQAB" }
    : { kty: "EC", crv: key.curve, x: toBase64Url(key.x), y: toBase64Url(key.y) }
