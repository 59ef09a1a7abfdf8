import { timingSafeEqual } from "node:crypto"
import { AssayError } from "../errors.ts"
import { activationMac, type EnrollmentTranscript } from "../evidence/transcript.ts"
import { ACTIVATION_SECRET_BYTES } from "./credential.ts"
import { type Verified, vouch } from "./verified.ts"

/** What a device says that its TPM got out of the credential. */
export type ActivationAnswer =
  /** `activationMac` by the secret, which stays in the device. */
  | { readonly kind: "mac"; readonly value: Uint8Array }
  /** The secret itself, from tools that can do no better. */
  | { readonly kind: "secret"; readonly value: Uint8Array }

/** What was activated: the TPM with this endorsement key holds an object of this Name. */
export type Activation = Pick<EnrollmentTranscript, "tenant" | "ekDigest" | "akName">

/**
 * Checks the answer to a credential, in constant time. It proves that the two keys are in one TPM; it says nothing of the
 * boot, and nothing of who asked: the quote over the same transcript does.
 *
 * @param secret What the credential was made over; 32 bytes, of this enrollment alone.
 * @throws {AssayError} ACTIVATION for any other answer.
 */
export function verifyActivation(
  answer: ActivationAnswer,
  secret: Uint8Array,
  transcript: EnrollmentTranscript,
): Verified<Activation> {
  // Under an empty secret anybody could answer.
  if (secret.length !== ACTIVATION_SECRET_BYTES)
    throw new TypeError(`a credential's secret has ${ACTIVATION_SECRET_BYTES} bytes`)
  const expected = answer.kind === "mac" ? activationMac(secret, transcript) : secret
  if (answer.value.length !== expected.length || !timingSafeEqual(answer.value, expected))
    throw new AssayError("ACTIVATION", "this is not what the credential holds", {
      location: answer.kind === "mac" ? "activation_hmac" : "activation_secret",
    })
  const { tenant, ekDigest, akName } = transcript
  return vouch({ tenant, ekDigest, akName })
}
