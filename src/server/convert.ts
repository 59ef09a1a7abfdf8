/** Between the messages of the contract and the values of the service. Nothing is decided here. */
import { create } from "@bufbuild/protobuf"
import { timestampFromDate } from "@bufbuild/protobuf/wkt"
import type { Finding, Tier } from "../appraisal/finding.ts"
import { fromHex } from "../bytes.ts"
import { AssayError, type ChallengeState } from "../errors.ts"
import type { RawCertification } from "../evidence/certification.ts"
import type { RawEvidence } from "../evidence/evidence.ts"
import type { HashName } from "../evidence/tpm/algorithm.ts"
import type { SessionKey, Transcript } from "../evidence/transcript.ts"
import type { TpmSpecification } from "../evidence/x509/tpm-attributes.ts"
import * as admin from "../gen/assay/v1/admin_pb.ts"
import * as attestation from "../gen/assay/v1/attestation_pb.ts"
import * as evidence from "../gen/assay/v1/evidence_pb.ts"
import * as results from "../gen/assay/v1/result_pb.ts"
import type { EndorsementResult } from "../result/endorsement.ts"
import type { AssignPolicyInput } from "../service/policy.ts"
import type { Epoch, PolicyRecord } from "../service/ports.ts"
import type { ChallengeInput, CreatedChallenge, FreshnessInput, VerifyInput } from "../service/service.ts"
import type { RevocationStatus } from "../verification/revocation.ts"

/** What the rules of the schema exclude, and the types do not. */
export const absent = (location: string): AssayError =>
  new AssayError("FIELD", `${location}: value is required`, { location })

/** Bytes that are there: on the wire, none and absent are one. */
export const presentBytes = (bytes: Uint8Array): Uint8Array | undefined =>
  bytes.length === 0 ? undefined : bytes

/** @throws {AssayError} FIELD. */
export const challengeInputFromProto = (request: attestation.CreateChallengeRequest): ChallengeInput => ({
  device: request.device,
  audience: request.audience,
  confirmation: request.confirmation && confirmationFromProto(request.confirmation),
  policy: request.policy,
})

function confirmationFromProto({ method }: attestation.Confirmation): SessionKey {
  switch (method.case) {
    case "x5tS256":
      return { method: "x5t#S256", digest: method.value }
    case "jkt":
      return { method: "jkt", digest: method.value }
    case "keyName":
      return { method: "name", name: method.value }
    case undefined:
      throw absent("confirmation.method")
  }
}

/** @throws {AssayError} FIELD. */
export const verifyInputFromProto = (request: attestation.VerifyRequest): VerifyInput => ({
  freshness: freshnessFromProto(request.freshness),
  evidence: evidenceFromProto(request.evidence, request.certification),
})

function freshnessFromProto(freshness: attestation.VerifyRequest["freshness"]): FreshnessInput {
  switch (freshness.case) {
    case "challenge":
      return { kind: "challenge", challenge: freshness.value }
    case "nonce":
      return { kind: "nonce", nonce: freshness.value }
    case "epoch":
      return { kind: "epoch", number: Number(freshness.value) }
    case undefined:
      throw absent("freshness")
  }
}

/** @throws {AssayError} FIELD. */
export function evidenceFromProto(
  message: evidence.Evidence | undefined,
  certification?: attestation.KeyCertification,
): RawEvidence {
  if (message === undefined) throw absent("evidence")
  const { kind } = message
  switch (kind.case) {
    case "tpm": {
      const { akName, attest, signature, pcrBanks, eventLog, eventLogDigest, akCertificateChain } = kind.value
      return {
        akName,
        attest,
        signature,
        pcrBanks: pcrBanks.map(({ hash, values }, i) => ({ hash: hashFromProto(hash, i), values })),
        eventLog: presentBytes(eventLog),
        eventLogDigest,
        akCertificateChain,
        certification: certification && certificationFromProto(certification),
      }
    }
    case undefined:
      throw absent("evidence.kind")
  }
}

const certificationFromProto = ({
  csr,
  keyPublic,
  attest,
  signature,
}: attestation.KeyCertification): RawCertification => ({ csr, keyPublic, attest, signature })

function hashFromProto(hash: evidence.HashAlgorithm, index: number): HashName {
  switch (hash) {
    case evidence.HashAlgorithm.SHA1:
      return "sha1"
    case evidence.HashAlgorithm.SHA256:
      return "sha256"
    case evidence.HashAlgorithm.SHA384:
      return "sha384"
    case evidence.HashAlgorithm.SHA512:
      return "sha512"
    default:
      throw absent(`evidence.tpm.pcr_banks[${index}].hash`)
  }
}

/** Nothing stands for what a policy is not assigned to by itself. */
export const assignmentFromProto = ({
  policy,
  device,
  group,
}: admin.AssignPolicyRequest): AssignPolicyInput => ({
  policy,
  device: device === "" ? undefined : device,
  group: group === "" ? undefined : group,
})

/** A challenge, for its maker. */
export const challengeToProto = ({
  sealed,
  transcript,
  expiresAt,
}: CreatedChallenge): attestation.CreateChallengeResponse =>
  create(attestation.CreateChallengeResponseSchema, {
    challenge: sealed,
    transcript: transcriptToProto(transcript),
    expireTime: timestampFromDate(expiresAt),
  })

const transcriptToProto = ({ confirmation, ...parts }: Transcript): attestation.Transcript =>
  create(attestation.TranscriptSchema, {
    random: parts.random,
    tenant: parts.tenant,
    device: parts.device,
    audience: parts.audience,
    policy: parts.policy,
    ...(confirmation && { confirmation: { method: methodToProto(confirmation) } }),
  })

function methodToProto(key: SessionKey): attestation.Confirmation["method"] {
  switch (key.method) {
    case "x5t#S256":
      return { case: "x5tS256", value: key.digest }
    case "jkt":
      return { case: "jkt", value: key.digest }
    case "name":
      return { case: "keyName", value: key.name }
  }
}

/** What the certificates of one key proved. */
export const endorsementToProto = (endorsement: EndorsementResult): results.Endorsement => {
  const { tpm } = endorsement
  return create(results.EndorsementSchema, {
    key: endorsement.key === "ak" ? results.EndorsedKey.AK : results.EndorsedKey.EK,
    manufacturer: tpm?.manufacturer ?? "",
    vendor: tpm?.vendor ?? "",
    model: tpm?.model ?? "",
    version: tpm?.version ?? "",
    specification: specificationText(tpm?.specification),
    anchor: endorsement.anchor,
    anchorDigest: fromHex(endorsement.anchorId) ?? new Uint8Array(),
    revocation: endorsement.revocation.map(revocationToProto),
    deviations: [...endorsement.deviations],
    expired: endorsement.expired,
    validUntil: timestampFromDate(endorsement.validUntil),
    ...(tpm?.securityAssertions && {
      securityAssertions: {
        version: tpm.securityAssertions.version,
        fieldUpgradable: tpm.securityAssertions.fieldUpgradable,
        ekGenerationType: tpm.securityAssertions.ekGenerationType ?? "",
      },
    }),
  })
}

const specificationText = (specification: TpmSpecification | undefined): string =>
  specification === undefined
    ? ""
    : `${specification.family} level ${specification.level} revision ${specification.revision}`

const REVOCATION_STATUS: Readonly<Record<RevocationStatus["status"], results.RevocationStatus>> = {
  good: results.RevocationStatus.GOOD,
  "not-published": results.RevocationStatus.NOT_PUBLISHED,
  "not-checked": results.RevocationStatus.NOT_CHECKED,
}

const revocationToProto = ({
  fingerprint,
  status,
  thisUpdate,
  nextUpdate,
}: RevocationStatus): results.Revocation =>
  create(results.RevocationSchema, {
    certificateDigest: fromHex(fingerprint) ?? new Uint8Array(),
    status: REVOCATION_STATUS[status],
    ...(thisUpdate && { thisUpdate: timestampFromDate(thisUpdate) }),
    ...(nextUpdate && { nextUpdate: timestampFromDate(nextUpdate) }),
  })

/** Tiers by their names. */
export const TIER: Readonly<Record<Tier, results.Tier>> = {
  none: results.Tier.UNSPECIFIED,
  affirming: results.Tier.AFFIRMING,
  warning: results.Tier.WARNING,
  contraindicated: results.Tier.CONTRAINDICATED,
}

/** What became of a challenge, by its name. */
export const CHALLENGE_STATE: Readonly<Record<ChallengeState, attestation.ChallengeState>> = {
  none: attestation.ChallengeState.UNSPECIFIED,
  unspent: attestation.ChallengeState.UNSPENT,
  spent: attestation.ChallengeState.SPENT,
}

/** What a rule found. */
export const findingToProto = (finding: Finding): results.Finding =>
  create(results.FindingSchema, {
    rule: finding.rule,
    tier: TIER[finding.tier],
    code: finding.code ?? "",
    expected: finding.expected ?? "",
    actual: finding.actual ?? "",
    location: finding.location ?? "",
  })

/** The epoch, and the same as a token. */
export const epochToProto = ({
  epoch,
  token,
}: {
  readonly epoch: Epoch
  readonly token: string
}): attestation.GetEpochResponse =>
  create(attestation.GetEpochResponseSchema, {
    number: BigInt(epoch.number),
    value: epoch.value,
    startTime: timestampFromDate(epoch.startsAt),
    endTime: timestampFromDate(epoch.endsAt),
    token,
  })

/** A policy. */
export const policyToProto = (policy: PolicyRecord): admin.Policy =>
  create(admin.PolicySchema, {
    name: policy.name,
    revision: BigInt(policy.revision),
    document: policy.document,
    digest: policy.digest,
  })
