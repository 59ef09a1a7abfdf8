import type { Appraisal } from "../appraisal/appraise.ts"
import type { Policy } from "../appraisal/policy.ts"
import { toBase64Url } from "../bytes.ts"
import type { Confirmation } from "../evidence/transcript.ts"
import { withEar } from "./ear.ts"
import type { AttestationResult, EarForm, FreshnessKind, Token } from "./result.ts"
import { encodeToken, type RegisteredClaims, seconds, type TokenSigner } from "./token.ts"

/** A session that was asked for, and that only the appraisal can grant. */
export interface SessionRequest {
  readonly audience: string
  readonly confirmation: Confirmation | undefined
}

/** A client certificate that was made for the session, and when it ends. */
export interface SessionCertificate {
  /** DER: the device's own, then that of its issuer. */
  readonly chain: readonly [leaf: Uint8Array, issuer: Uint8Array]
  readonly notAfter: Date
}

/** Everything that a result tells beside the appraisal. */
export interface Issue
  extends Omit<
    AttestationResult,
    "tier" | "vector" | "findings" | "token" | "attestAt" | "policy" | "certificateChain"
  > {
  readonly policy: { readonly name: string; readonly revision: number; readonly terms: Policy } | undefined
  readonly freshness: FreshnessKind
  /** Only in challenge mode, and only after the challenge was spent. */
  readonly session: SessionRequest | undefined
  /** What the session's confirmation is the digest of, if Assay issued it. Told with the session and never without it. */
  readonly certificate?: SessionCertificate | undefined
  /** Whom a result without session is for. */
  readonly caller: string
  readonly issuer: string
  readonly build: string
  readonly earForm: (audience: string) => EarForm
}

/** How long a result without session is valid at most: long enough to be handed on, and no more. */
const RESULT_LIFETIME_SECONDS = 300

/**
 * Tells the appraisal as a result with its one token.
 *
 * A session only for evidence that answered a challenge and whose tier the policy lets in; otherwise the signed
 * result, which is of another type and confirms no key. `exp` is never later than the policy's lifetime, the
 * signing key's own end, and the end of every certificate and list that the result rests on, the session's own among them.
 *
 * @throws {AssayError} SIGNER.
 */
export function issue(appraisal: Appraisal, request: Issue, signer: TokenSigner): AttestationResult {
  const { policy, session, certificate, evaluatedAt } = request
  const { tier, vector, findings } = appraisal
  const judgedBy = policy === undefined ? undefined : { name: policy.name, revision: policy.revision }
  const granted = session !== undefined && isAdmitted(policy, appraisal) ? session : undefined
  const lifetime = policy?.terms.session.lifetimeSeconds ?? RESULT_LIFETIME_SECONDS
  const validity = granted === undefined ? Math.min(lifetime, RESULT_LIFETIME_SECONDS) : lifetime
  const audience = granted?.audience ?? request.caller
  const iat = seconds(evaluatedAt)
  const exp = endOf(validity, request, signer)
  const registered: RegisteredClaims = {
    iss: request.issuer,
    sub: request.device,
    aud: audience,
    iat,
    nbf: iat,
    exp,
    jti: request.id,
    tenant: request.tenant,
    device_revision: request.deviceRevision,
    cnf: confirmationClaim(granted?.confirmation),
  }
  const told = { tier, vector, policy: judgedBy, nonce: request.nonce }
  const claims = withEar(registered, told, request.earForm(audience), request.build)
  const kind = granted === undefined ? "result" : "session"
  const token: Token = {
    kind,
    compact: encodeToken(kind === "session" ? "assay-session+jwt" : "ear+jwt", claims, signer),
    expiresAt: new Date(exp * 1000),
  }
  const due = granted === undefined ? lifetime : exp - iat
  return {
    id: request.id,
    tenant: request.tenant,
    tier,
    vector,
    findings,
    device: request.device,
    deviceRevision: request.deviceRevision,
    policy: judgedBy,
    evaluatedAt,
    evidenceDigest: request.evidenceDigest,
    freshness: request.freshness,
    challengeState: request.challengeState,
    endorsements: request.endorsements,
    nonce: request.nonce,
    evidenceAgeMs: request.evidenceAgeMs,
    certificateChain: granted === undefined ? [] : (certificate?.chain ?? []),
    token,
    attestAt: new Date((iat + Math.floor((due * 2) / 3)) * 1000),
  }
}

/**
 * When a session ends that the appraisal grants, whatever it is bound to; nothing if it grants none. For what has to be
 * made before the token, and may not outlive it.
 */
export const sessionEndOf = (
  appraisal: Appraisal,
  request: Bounds & Pick<Issue, "policy">,
  signer: Pick<TokenSigner, "notAfter">,
): Date | undefined => {
  const { policy } = request
  return isAdmitted(policy, appraisal)
    ? new Date(endOf(policy.terms.session.lifetimeSeconds, request, signer) * 1000)
    : undefined
}

/** What a token may not outlive. */
type Bounds = Pick<Issue, "evaluatedAt" | "endorsements" | "certificate">

/** `exp` of a token that is to be valid for so many seconds. */
const endOf = (
  validity: number,
  { evaluatedAt, endorsements, certificate }: Bounds,
  { notAfter }: Pick<TokenSigner, "notAfter">,
): number => {
  let end = Math.min(seconds(evaluatedAt) + validity, seconds(notAfter))
  if (certificate !== undefined) end = Math.min(end, seconds(certificate.notAfter))
  for (const { validUntil } of endorsements) end = Math.min(end, seconds(validUntil))
  return end
}

const isAdmitted = (policy: Issue["policy"], appraisal: Appraisal): policy is NonNullable<Issue["policy"]> =>
  policy !== undefined && admits(policy.terms, appraisal)

/** Whether the policy lets a device of this tier in. Nothing but these two tiers is ever let in. */
export const admits = ({ session }: Policy, { tier }: Appraisal): boolean => {
  switch (tier) {
    case "affirming":
      return true
    case "warning":
      return session.admit === "warning"
    case "contraindicated":
    case "none":
      return false
  }
}

const confirmationClaim = (
  confirmation: Confirmation | undefined,
): { readonly [method: string]: string } | undefined =>
  confirmation && { [confirmation.method]: toBase64Url(confirmation.digest) }
