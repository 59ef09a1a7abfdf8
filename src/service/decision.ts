import { isRollback } from "../appraisal/rules/clock-order.ts"
import { toBase64Url } from "../bytes.ts"
import type { Code } from "../errors.ts"
import type { Evidence } from "../evidence/evidence.ts"
import type { AttestationResult } from "../result/result.ts"
import type { Quote } from "../verification/quote.ts"
import type { Unbound } from "./certify.ts"
import type { Freshness } from "./freshness.ts"
import type {
  Caller,
  Commit,
  Context,
  Counters,
  FoundContext,
  JournalRecord,
  Judged,
  Ports,
  Verdict,
} from "./ports.ts"

/** Everything that a result tells beside the appraisal, but for its session. @throws {AssayError} RNG. */
export const draft = (
  { endorsements }: Pick<Verdict, "endorsements">,
  { digest }: Pick<Evidence, "digest">,
  { snapshot, policy }: Context,
  freshness: Freshness,
  caller: Caller,
  at: Date,
  { random, settings }: Ports,
): Unbound => ({
  id: toBase64Url(random.bytes(ID_BYTES)),
  tenant: caller.tenant,
  caller: caller.id,
  device: snapshot.device.id,
  deviceRevision: snapshot.device.revision,
  policy: snapshot.policy &&
    policy && { name: snapshot.policy.name, revision: snapshot.policy.revision, terms: policy.terms },
  evaluatedAt: at,
  evidenceDigest: digest,
  freshness: freshness.kind,
  challengeState: freshness.state,
  nonce: freshness.nonce,
  evidenceAgeMs: freshness.evidenceAgeMs,
  endorsements,
  issuer: settings.issuer,
  build: settings.build,
  earForm: settings.earForm,
})

const ID_BYTES = 16

/** What the journal keeps of a result. */
export const record = (
  result: AttestationResult,
  { snapshot }: Context,
  trust: number | undefined,
  caller: Caller,
): JournalRecord => ({
  at: result.evaluatedAt,
  tenant: caller.tenant,
  caller: caller.id,
  act: "verify",
  device: result.device,
  outcome: result.tier,
  codes: codesOf(result),
  evidenceDigest: result.evidenceDigest,
  policyDigest: snapshot.policy?.digest,
  revisions: { device: result.deviceRevision, policy: result.policy, trust },
  tokenId: result.id,
})

/** The worst first. */
const codesOf = ({ findings }: AttestationResult): Code[] => {
  const codes: Code[] = []
  for (const { code } of findings) if (code !== undefined) codes.push(code)
  return codes
}

/** What is confirmed, and what moves, in the journal's transaction. Nothing moves but by evidence that answered a challenge. */
export const commit = (
  { proven, clock }: Pick<Judged, "proven" | "clock">,
  { context: { snapshot }, isRemembered }: FoundContext,
  trust: number | undefined,
  freshness: Freshness,
  result: AttestationResult,
): Commit => {
  const { id, revision, counters } = snapshot.device
  const { freshSince } = freshness
  const answer = freshness.kind === "challenge" ? proven?.quote : undefined
  return {
    device: id,
    revisions: {
      device: revision,
      policy: snapshot.policy && { name: snapshot.policy.name, revision: snapshot.policy.revision },
      // Whether there is any trust at all is part of what was remembered.
      trust: isRemembered ? snapshot.trustGeneration : trust,
    },
    remembered: isRemembered ? { before: counters, clock } : undefined,
    freshSince,
    known: counters !== undefined,
    counters: answer && moved(answer, counters, freshSince, result.evaluatedAt),
    result: answer && {
      at: result.evaluatedAt,
      tier: result.tier,
      code: result.findings.find(({ code }) => code !== undefined)?.code,
      admitted: result.token.kind === "session",
    },
  }
}

/** The device's counters after this quote: never back, and firmwareVersion stays as it was first seen. */
const moved = (
  quote: Quote,
  before: Counters | undefined,
  freshSince: Date,
  recordedAt: Date,
): Counters | undefined =>
  isRollback(quote.clockInfo, { before, freshSince })
    ? undefined
    : {
        ...quote.clockInfo,
        firmwareVersion: before?.firmwareVersion ?? quote.firmwareVersion,
        recordedAt,
      }
