import { appraise, refuted } from "../appraisal/appraise.ts"
import { AssayError, type ChallengeState, type Kind } from "../errors.ts"
import { type Evidence, parseEvidence } from "../evidence/evidence.ts"
import { issue } from "../result/issue.ts"
import type { AttestationResult } from "../result/result.ts"
import { type CertifiedKey, verifyCertification } from "../verification/certification.ts"
import { verifyClaims } from "../verification/claims.ts"
import { proveQuote, type Quote } from "../verification/quote.ts"
import type { Verified } from "../verification/verified.ts"
import { checkNotDenied } from "../verification/weak-key.ts"
import { bindSession, certify } from "./certify.ts"
import { commit, draft, type Judgment, record } from "./decision.ts"
import { advisoriesOf, chainsOf, type Endorsing, gatherEndorsing, proveEndorsements } from "./endorse.ts"
import { isLeading, logOf, readSent, rememberLog } from "./event-logs.ts"
import { type Freshness, openFreshness } from "./freshness.ts"
import { readOwn } from "./own-device.ts"
import type { Caller, Context, FoundContext, LogOwner, Ports, ReadLog, Snapshot } from "./ports.ts"
import type { VerifyInput } from "./service.ts"

/**
 * Verifies evidence: open, read, gather, prove, spend, judge, record. Everything from outside is fetched before judging,
 * in one snapshot; everything is written after it; the one write between is the challenge, spent as soon as the
 * evidence is proven to answer it and not before. A refutation is an answer; any other error is not ours to catch.
 *
 * @throws {AssayError} EVENT_LOG_NEEDED before the challenge is spent; of every kind but `refuted`; each says whether the challenge was spent.
 */
export const createVerify =
  (ports: Ports) =>
  async (input: VerifyInput, caller: Caller): Promise<AttestationResult> => {
    const at = ports.clock.now()
    let opened: Freshness | undefined
    try {
      ports.confirm()
      const freshness = await openFreshness(ports, input.freshness, caller, at) // no write yet
      opened = freshness
      const evidence = parseEvidence(input.evidence) // read
      const sent = readSent(ports.logs, evidence, caller.tenant)
      checkCertificationShown(evidence, freshness)
      const call = { evidence, sent, freshness, caller, at, spend: once(freshness.spend) }
      return await decideByWhatIs(ports, call, await gather(ports, evidence, caller))
    } catch (thrown) {
      const error = asAssayError(thrown)
      error.challenge = opened?.state ?? stateUnopened(input, error)
      throw error
    }
  }

/** One call, read and not judged yet. */
interface Call {
  readonly evidence: Evidence
  /** The event log that came with it. */
  readonly sent: ReadLog | undefined
  readonly freshness: Freshness
  readonly caller: Caller
  readonly at: Date
  /** Spends the challenge, and does nothing once it has. */
  readonly spend: () => Promise<void>
}

/** Runs `act` until it has come to its end. */
const once = (act: () => Promise<void>): (() => Promise<void>) => {
  let isDone = false
  return async () => {
    if (isDone) return
    await act()
    isDone = true
  }
}

/**
 * Decides by what was gathered. What was only remembered, and turns out not to be so any more, is gathered anew: whatever was
 * refused by it may be good, and what was good by it was not written.
 */
const decideByWhatIs = async (ports: Ports, call: Call, found: FoundContext): Promise<AttestationResult> => {
  try {
    return await decide(ports, call, found)
  } catch (error) {
    if (!found.isRemembered || !(error instanceof AssayError) || !dependsOnContext(error)) throw error
    const { evidence, caller } = call
    const context = await owned(caller, () => ports.contexts.readContext(caller.tenant, evidence.akName))
    if (error.code !== "SNAPSHOT_MOVED" && isSame(context.snapshot, found.context.snapshot)) throw error
    return decide(ports, call, { context, isRemembered: false })
  }
}

/** Whether another context may end otherwise; a store that is away is away for all of them. */
const dependsOnContext = ({ kind, code }: AssayError): boolean =>
  JUDGED.includes(kind) || code === "TRUST" || code === "REVOCATION"
const JUDGED: readonly Kind[] = ["stale", "denied", "missing"]

const isSame = (a: Snapshot, b: Snapshot): boolean =>
  a.device.revision === b.device.revision &&
  a.policy?.name === b.policy?.name &&
  a.policy?.revision === b.policy?.revision &&
  a.trustGeneration === b.trustGeneration

/** Prove, spend, judge, tell, record: all by one context. */
const decide = async (ports: Ports, call: Call, found: FoundContext): Promise<AttestationResult> => {
  const { evidence, sent, freshness, caller, at } = call
  const { context } = found
  const { snapshot } = context
  const endorsing = await gatherEndorsing(ports, evidence, context)
  const quote = refutable(() => prove(evidence, context, freshness)) // prove
  const owner = ownerOf(context)
  const log = quote instanceof AssayError ? undefined : await logOf(ports.logs, evidence, sent, owner)
  if (!(quote instanceof AssayError)) await call.spend() // now, and never unspent
  if (!(quote instanceof AssayError) && endorsing !== undefined)
    for (const chain of chainsOf(endorsing)) ports.want(caller.tenant, chain, snapshot.device.id)
  const judgment: Judgment =
    quote instanceof AssayError
      ? refuted(quote)
      : judge(quote, evidence, log, endorsing, context, freshness, at, ports) // judge
  const told = draft(judgment, evidence, context, freshness, caller, at, ports)
  const certificate = await certify(judgment, told, freshness, ports)
  const result = issue(judgment, { ...told, ...bindSession(freshness, certificate) }, ports.signer) // tell
  ports.confirm() // still: nothing that was judged by a wrong clock or a past revision leaves
  const trust = endorsing === undefined ? undefined : snapshot.trustGeneration
  const committed = commit(quote, found, trust, freshness, result)
  await ports.journal.append(record(result, context, trust, caller), committed) // record
  if (committed.counters !== undefined) ports.contexts.moved(context, committed.counters)
  if (log !== undefined && judgment.held === true) rememberLog(ports.logs, owner, log, freshness, at)
  return result
}

/** A certification is shown where the challenge names a key, and nowhere else: none is accepted and ignored. @throws {AssayError} FIELD. */
const checkCertificationShown = ({ certification }: Evidence, { keyName }: Freshness): void => {
  if ((certification === undefined) !== (keyName === undefined))
    throw new AssayError(
      "FIELD",
      keyName === undefined
        ? "certification: no key was named to be certified"
        : "certification: the challenge names a key that has to be certified",
      { location: "certification" },
    )
}

/** Whatever was thrown. What is not one of ours is a fault, and must say what became of the challenge all the same. */
const asAssayError = (thrown: unknown): AssayError =>
  thrown instanceof AssayError ? thrown : new AssayError("INTERNAL", "internal error", { cause: thrown })

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

const gather = ({ contexts }: Ports, { akName }: Evidence, caller: Caller): Promise<FoundContext> =>
  readOwn(
    caller,
    () => contexts.contextFor(caller.tenant, akName),
    ({ context }) => context.snapshot.device,
  )

const ownerOf = ({ snapshot: { device } }: Context): LogOwner => ({
  tenant: device.tenant,
  device: device.id,
  akName: device.akName,
})
const owned = (caller: Caller, read: () => Promise<Context>): Promise<Context> =>
  readOwn(caller, read, ({ snapshot }) => snapshot.device)

const prove = (evidence: Evidence, context: Context, freshness: Freshness): Verified<Quote> =>
  proveQuote(evidence, context.ak, {
    extraData: freshness.expectedFor(context),
    qualifiedSigner: context.snapshot.device.qualifiedName,
  })

const judge = (
  quote: Verified<Quote>,
  evidence: Evidence,
  log: ReadLog | undefined,
  endorsing: Endorsing | undefined,
  context: Context,
  freshness: Freshness,
  at: Date,
  ports: Ports,
): Judgment => {
  const { advisoriesFor, denied, measure } = ports
  const claims = refutable(() => {
    checkNotDenied(context.ak.spki, denied, "attestation key")
    const endorsements = proveEndorsements(ports, endorsing, context, at)
    const key = proveKey(quote, evidence, context, freshness)
    if (key !== undefined) checkNotDenied(key.spki, denied, "certification.key_public")
    const shown = { pcrs: evidence.pcrs, eventLog: log?.outcome }
    return verifyClaims(quote, shown, context.ak, endorsements, key)
  })
  if (claims instanceof AssayError) return refuted(claims)
  const { endorsements, certifiedKey } = claims
  const circumstances = {
    before: context.snapshot.device.counters,
    freshSince: freshness.freshSince,
    advisories: advisoriesOf(endorsements, quote, context, advisoriesFor),
    freshness: freshness.kind,
    state: context.snapshot.device.state,
    audience: freshness.session()?.audience,
  }
  const appraisal = appraise(claims, context.policy, circumstances, (policy) =>
    measure(quote, claims, policy),
  )
  return { ...appraisal, endorsements, certifiedKey, held: isLeading(claims.replay) }
}

/** The key that the challenge names, if it names one. */
const proveKey = (
  quote: Verified<Quote>,
  { certification }: Evidence,
  { ak, snapshot }: Context,
  { keyName }: Freshness,
): Verified<CertifiedKey> | undefined =>
  certification === undefined || keyName === undefined
    ? undefined
    : verifyCertification(certification, ak, { quote, keyName, device: snapshot.device.id })
