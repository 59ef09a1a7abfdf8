import { type Appraisal, appraise, refuted } from "../appraisal/appraise.ts"
import { isRollback } from "../appraisal/rules/clock-order.ts"
import { toBase64Url } from "../bytes.ts"
import { AssayError, type ChallengeState } from "../errors.ts"
import { type Evidence, parseEvidence } from "../evidence/evidence.ts"
import { issue } from "../result/issue.ts"
import type { AttestationResult } from "../result/result.ts"
import { verifyClaims } from "../verification/claims.ts"
import { proveQuote, type Quote } from "../verification/quote.ts"
import type { Verified } from "../verification/verified.ts"
import { type Freshness, openFreshness } from "./freshness.ts"
import type { Caller, Commit, Context, Counters, JournalRecord, Ports } from "./ports.ts"
import type { VerifyInput } from "./service.ts"

/**
 * Verifies evidence: read, gather, prove, spend, judge, record. Everything from outside is fetched before judging,
 * in one snapshot; everything is written after it; the one write between is the challenge, spent as soon as the
 * evidence is proven to answer it and not before. A refutation is an answer; any other error is not ours to catch.
 *
 * @throws {AssayError} of every kind but `refuted`; each says whether the challenge was spent.
 */
export const createVerify =
  (ports: Ports) =>
  async (input: VerifyInput, caller: Caller): Promise<AttestationResult> => {
    const at = ports.clock.now()
    let opened: Freshness | undefined
    try {
      const evidence = parseEvidence(input.evidence) // read
      const freshness = openFreshness(ports, input.freshness, caller, at) // no write yet
      opened = freshness
      const snapshot = await ports.registry.snapshotFor(caller.tenant, evidence.akName) // gather
      const context = ports.compile(snapshot)
      const quote = refutable(() => prove(evidence, context, freshness)) // prove
      if (!(quote instanceof AssayError)) await freshness.spend() // now, and never unspent
      const appraisal =
        quote instanceof AssayError ? refuted(quote) : judge(quote, evidence, context, freshness) // judge
      const result = tell(appraisal, evidence, context, freshness, caller, at, ports)
      await ports.journal.append(record(result, context, caller), commit(quote, context, freshness)) // record
      return result
    } catch (error) {
      if (error instanceof AssayError) error.challenge = opened?.state ?? stateUnopened(input, error)
      throw error
    }
  }

/** What is known of a challenge that this call did not even open. */
const stateUnopened = ({ freshness }: VerifyInput, { code }: AssayError): ChallengeState => {
  if (freshness.kind !== "challenge") return "none"
  return code === "NONCE_SPENT" ? "spent" : "unspent"
}

/** What `act` gives, or the refutation that it ends in. Any other error is thrown on. */
const refutable = <T>(act: () => T): T | AssayError => {
  try {
    return act()
  } catch (error) {
    if (error instanceof AssayError && error.kind === "refuted") return error
    throw error
  }
}

const prove = (evidence: Evidence, context: Context, freshness: Freshness): Verified<Quote> =>
  proveQuote(evidence, context.ak, {
    extraData: freshness.expectedFor(context),
    qualifiedSigner: context.snapshot.device.qualifiedName,
  })

const judge = (
  quote: Verified<Quote>,
  evidence: Evidence,
  context: Context,
  freshness: Freshness,
): Appraisal => {
  const claims = refutable(() => verifyClaims(quote, evidence, context.ak))
  if (claims instanceof AssayError) return refuted(claims)
  return appraise(claims, context.policy, {
    before: context.snapshot.device.counters,
    akBinding: "operator",
    audience: freshness.session()?.audience,
  })
}

const tell = (
  appraisal: Appraisal,
  evidence: Evidence,
  { snapshot, policy }: Context,
  freshness: Freshness,
  caller: Caller,
  at: Date,
  { random, signer, settings }: Ports,
): AttestationResult =>
  issue(
    appraisal,
    {
      id: toBase64Url(random.bytes(ID_BYTES)),
      tenant: caller.tenant,
      caller: caller.id,
      device: snapshot.device.id,
      deviceRevision: snapshot.device.revision,
      policy: snapshot.policy && policy && { ...snapshot.policy, terms: policy },
      evaluatedAt: at,
      evidenceDigest: evidence.digest,
      freshness: freshness.kind,
      challengeState: freshness.state,
      nonce: freshness.nonce,
      evidenceAgeMs: freshness.evidenceAgeMs,
      session: freshness.session(),
      issuer: settings.issuer,
      build: settings.build,
      earForm: settings.earForm,
    },
    signer,
  )

const ID_BYTES = 16

const record = (result: AttestationResult, { snapshot }: Context, caller: Caller): JournalRecord => ({
  at: result.evaluatedAt,
  tenant: caller.tenant,
  caller: caller.id,
  act: "verify",
  device: result.device,
  outcome: result.tier,
  codes: result.findings.flatMap((finding) => finding.code ?? []),
  evidenceDigest: result.evidenceDigest,
  policyDigest: snapshot.policy?.digest,
  revisions: { device: result.deviceRevision, policy: result.policy },
  tokenId: result.id,
})

/** What is confirmed, and what moves, in the journal's transaction. */
const commit = (
  quote: Verified<Quote> | AssayError,
  { snapshot }: Context,
  freshness: Freshness,
): Commit => ({
  device: snapshot.device.id,
  revisions: { device: snapshot.device.revision, policy: snapshot.policy },
  counters:
    quote instanceof AssayError || freshness.kind !== "challenge"
      ? undefined
      : moved(quote, snapshot.device.counters),
})

/** The device's counters after this quote: never back, and firmwareVersion stays as it was first seen. */
const moved = (quote: Quote, before: Counters | undefined): Counters | undefined =>
  before !== undefined && isRollback(before, quote.clockInfo)
    ? undefined
    : { ...quote.clockInfo, firmwareVersion: before?.firmwareVersion ?? quote.firmwareVersion }
