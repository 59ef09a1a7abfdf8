import { create } from "@bufbuild/protobuf"
import { AssayError } from "../errors.ts"
import {
  challengeExtraData,
  epochExtraData,
  nonceExtraData,
  type SessionKey,
} from "../evidence/transcript.ts"
import {
  type CreateChallengeResponse,
  type KeyCertification,
  type VerifyRequest,
  VerifyRequestSchema,
} from "../gen/assay/v1/attestation_pb.ts"
import type { CompleteEnrollmentRequest } from "../gen/assay/v1/enrollment_pb.ts"
import type { TpmEvidence } from "../gen/assay/v1/evidence_pb.ts"
import { answerEnrollmentWith, type Endorsed, type EnrollmentParts } from "./enrollment.ts"
import { evidenceOf, type Quoted } from "./quoted.ts"

/**
 * What a device takes of a challenge. Audience and confirmation are missing on purpose: those it fills in
 * itself, so that it cannot be made to answer a challenge for somebody else's service or key.
 */
export interface ChallengeParts {
  /** The sealed challenge, handed back unchanged. */
  readonly challenge: Uint8Array
  readonly random: Uint8Array
  readonly tenant: string
  readonly device: string
  readonly policy: string
}

/** What a device knows by its own configuration, and takes from nobody. */
export interface Own {
  /** The service that its session is for. */
  readonly audience: string
  /** The key that its session is bound to, if it has one. */
  readonly confirmation: SessionKey | undefined
}

/**
 * A device that proves its state with a TPM 2.0.
 *
 * It quotes only what it has computed itself. There is no method that quotes bytes of a caller's choice: whoever
 * could have those quoted could pass a challenge of his own as a nonce and collect the session.
 */
export interface Attester extends Endorsed {
  /** TPM2B_PUBLIC of the attestation key. */
  readonly akPublic: Uint8Array
  readonly akName: Uint8Array
  readonly qualifiedName: Uint8Array
  /**
   * A key of the TPM, the same each time, with what a certificate of it is asked for by, made anew. Its Name goes into the
   * challenge and the device's own part of the transcript, the rest into the answer.
   */
  certifyKey(): Promise<CertifiedKey>
  /** Evidence that answers a challenge, over a transcript with the device's own audience and key. */
  answer(parts: ChallengeParts, own: Own): Promise<VerifyRequest>
  /** Evidence over a relying party's nonce of 16 to 64 bytes. Never yields a session. */
  answerNonce(tenant: string, nonce: Uint8Array): Promise<VerifyRequest>
  /** Evidence over an epoch, which may be shown to many services. Never yields a session. */
  answerEpoch(
    tenant: string,
    epoch: { readonly number: bigint; readonly value: Uint8Array },
  ): Promise<VerifyRequest>
  /** What ends an enrollment: the answer to the credential, and a quote over a transcript of the device's own keys. */
  answerEnrollment(parts: EnrollmentParts): Promise<CompleteEnrollmentRequest>
}

/** A key that the device's TPM made and keeps, and the attestation key's word for it. */
export interface CertifiedKey {
  readonly name: Uint8Array
  /** What goes into `VerifyRequest.certification`, beside an answer whose transcript has the name. */
  readonly certification: KeyCertification
}

/**
 * The parts of a challenge that a device may take from the answer to CreateChallenge.
 *
 * @throws {AssayError} FIELD if the answer has no transcript.
 */
export function challengeParts({ challenge, transcript }: CreateChallengeResponse): ChallengeParts {
  if (transcript === undefined)
    throw new AssayError("FIELD", "the challenge came without its transcript: ask for another", {
      location: "CreateChallengeResponse.transcript",
    })
  const { random, tenant, device, policy } = transcript
  return { challenge, random, tenant, device, policy }
}

type Answers = Pick<Attester, "answer" | "answerNonce" | "answerEpoch" | "answerEnrollment">

/** All ways to answer, over a function that quotes extraData of 32 bytes and stays private to the device. */
export const answersWith = (
  akName: Uint8Array,
  ek: Pick<Endorsed, "ekPublic" | "activate">,
  quote: (extraData: Uint8Array) => Quoted | Promise<Quoted>,
): Answers => {
  const request = async (
    freshness: VerifyRequest["freshness"],
    extraData: Uint8Array,
  ): Promise<VerifyRequest> =>
    create(VerifyRequestSchema, { freshness, evidence: evidenceOf(akName, await quote(extraData)) })
  return {
    answer({ challenge, random, tenant, device, policy }, { audience, confirmation }) {
      const transcript = { random, tenant, device, audience, confirmation, policy }
      return request({ case: "challenge", value: challenge }, challengeExtraData(transcript))
    },
    answerNonce: (tenant, nonce) => request({ case: "nonce", value: nonce }, nonceExtraData(tenant, nonce)),
    answerEpoch: (tenant, { number, value }) =>
      request({ case: "epoch", value: number }, epochExtraData(tenant, value)),
    answerEnrollment: (parts) => answerEnrollmentWith(parts, akName, ek, quote),
  }
}

/** The TPM evidence of a request. */
export function tpmEvidence(request: VerifyRequest): TpmEvidence {
  const kind = request.evidence?.kind
  if (kind?.case !== "tpm") throw new TypeError("the request carries no TPM evidence")
  return kind.value
}
