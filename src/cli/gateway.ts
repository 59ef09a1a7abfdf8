/** Both ends of an attestation, as the demo and the agent's commands see them. */
import type { MessageInitShape } from "@bufbuild/protobuf"
import { timestampDate } from "@bufbuild/protobuf/wkt"
import { toHex } from "../bytes.ts"
import { AssayError, printable } from "../errors.ts"
import type { Transcript as DeviceTranscript, SessionKey } from "../evidence/transcript.ts"
import type {
  CreateChallengeRequestSchema,
  CreateChallengeResponse,
  KeyCertification,
  Transcript,
  VerifyRequest,
  VerifyResponse,
} from "../gen/assay/v1/attestation_pb.ts"
import type { TpmEvidence } from "../gen/assay/v1/evidence_pb.ts"
import { EndorsedKey, type Endorsement, RevocationStatus, Tier } from "../gen/assay/v1/result_pb.ts"

/** What a device takes of a challenge. */
type ChallengeParts = Pick<CreateChallengeResponse, "challenge"> &
  Pick<Transcript, "random" | "tenant" | "device" | "policy">

/** What a device knows by itself, and takes from nobody. */
export interface Own {
  readonly audience: string
  readonly confirmation: SessionKey | undefined
}

/** A device that answers. */
export interface DeviceSide {
  readonly akPublic: Uint8Array
  readonly qualifiedName: Uint8Array
  answer(parts: ChallengeParts, own: Own): Promise<VerifyRequest>
  answerNonce(tenant: string, nonce: Uint8Array): Promise<VerifyRequest>
  /** A key of its TPM, by its Name, and what a certificate of it is asked for by. */
  certifyKey(): Promise<{ readonly name: Uint8Array; readonly certification: KeyCertification }>
}

/** A gateway's connection. */
export interface Gateway {
  createChallenge(
    request: MessageInitShape<typeof CreateChallengeRequestSchema>,
  ): Promise<CreateChallengeResponse>
  verify(request: VerifyRequest): Promise<VerifyResponse>
  close(): void
}

/** What a device answered, and to what. */
export interface Answer {
  readonly request: VerifyRequest
  readonly evidence: TpmEvidence
  /** What the quote's extraData is the digest of: the challenge's parts, and the device's own. */
  readonly transcript: DeviceTranscript
}

/**
 * A challenge, and the device's answer to it.
 *
 * @param wanted The device and the policy that the challenge is to be for; empty for any.
 */
export async function challengeAndAnswer(
  gateway: Gateway,
  attester: DeviceSide,
  own: Own,
  wanted: { readonly device: string; readonly policy: string },
): Promise<Answer> {
  const { audience, confirmation } = own
  const { challenge, transcript } = await gateway.createChallenge({
    ...wanted,
    audience,
    ...(confirmation && { confirmation: { method: methodOf(confirmation) } }),
  })
  if (transcript === undefined) throw new AssayError("FIELD", "the challenge came without its transcript")
  const { random, tenant, device, policy } = transcript
  const request = await attester.answer({ challenge, random, tenant, device, policy }, own)
  return { request, evidence: tpmOf(request), transcript: { random, tenant, device, policy, ...own } }
}

/** The key as requests name it. */
const methodOf = (key: SessionKey) => {
  switch (key.method) {
    case "x5t#S256":
      return { case: "x5tS256", value: key.digest } as const
    case "jkt":
      return { case: "jkt", value: key.digest } as const
    case "name":
      return { case: "keyName", value: key.name } as const
  }
}

/** The TPM evidence of a request. @throws {AssayError} FIELD. */
export const tpmOf = ({ evidence }: VerifyRequest): TpmEvidence => {
  if (evidence?.kind.case !== "tpm") throw new AssayError("FIELD", "the answer carries no TPM evidence")
  return evidence.kind.value
}

/** Names of the tiers. */
export const TIERS: Readonly<Record<number, string>> = {
  [Tier.UNSPECIFIED]: "none",
  [Tier.AFFIRMING]: "affirming",
  [Tier.WARNING]: "warning",
  [Tier.CONTRAINDICATED]: "contraindicated",
}

/** A verdict for people: the tier, then each finding with a code. */
export const verdictLines = ({ result }: Pick<VerifyResponse, "result">): string[] => [
  `Verdict: ${TIERS[result?.tier ?? Tier.UNSPECIFIED]}`,
  ...(result?.findings ?? [])
    .filter(({ code }) => code !== "")
    .flatMap(({ code, location, expected, actual }) => [
      `${code} at ${printable(location)}`,
      `  expected  ${printable(expected)}`,
      `  found     ${printable(actual)}`,
    ]),
  ...(result?.endorsements ?? []).map(
    ({ key, vendor, manufacturer, model, anchor }) =>
      `Certificate of the ${KEYS[key]}: a TPM by ${printable(vendor || manufacturer)}, ${printable(model)}; trusted by ${printable(anchor)}`,
  ),
]

const KEYS: Readonly<Record<number, string>> = {
  [EndorsedKey.AK]: "attestation key",
  [EndorsedKey.EK]: "endorsement key",
}

const STATUSES: Readonly<Record<number, string>> = {
  [RevocationStatus.GOOD]: "good",
  [RevocationStatus.NOT_PUBLISHED]: "not-published",
  [RevocationStatus.NOT_CHECKED]: "not-checked",
}

/** What the certificates of a device's keys proved. */
export const endorsementJson = ({
  key,
  anchorDigest,
  revocation,
  validUntil,
  securityAssertions,
  $typeName: _,
  $unknown: __,
  ...rest
}: Endorsement) => ({
  key: KEYS[key],
  ...rest,
  securityAssertions:
    securityAssertions === undefined
      ? null
      : {
          version: securityAssertions.version,
          fieldUpgradable: securityAssertions.fieldUpgradable,
          ekGenerationType: securityAssertions.ekGenerationType,
        },
  anchorDigest: toHex(anchorDigest),
  revocation: revocation.map(({ status }) => STATUSES[status]),
  validUntil: validUntil === undefined ? null : timestampDate(validUntil).toISOString(),
})

/** The claims of a token, decoded and not verified. */
export const claimsOf = (token: string): unknown =>
  token === "" ? {} : JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString())
