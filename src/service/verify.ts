import { appraise, refuted } from "../appraisal/appraise.ts"
import { AssayError, type ChallengeState, type Kind } from "../errors.ts"
import { type CopiedEvidence, copyEvidence, type Evidence, parseCopied } from "../evidence/evidence.ts"
import { issue } from "../result/issue.ts"
import type { AttestationResult } from "../result/result.ts"
import { type CertifiedKey, verifyCertification } from "../verification/certification.ts"
import { verifyClaims } from "../verification/claims.ts"
import { proveQuote, type Quote } from "../verification/quote.ts"
import type { Verified } from "../verification/verified.ts"
import { checkDigestNotDenied, checkNotDenied } from "../verification/weak-key.ts"
import { bindSession, certify } from "./certify.ts"
import { commit, draft, record } from "./decision.ts"
import { advisoriesOf, chainsOf, type Endorsing, gatherEndorsing, proveEndorsements } from "./endorse.ts"
import {
  isLeading,
  leftToReplay,
  logAtHand,
  logOf,
  readSent,
  rememberLog,
  replayInSlices,
} from "./event-logs.ts"
import { type Freshness, openFreshness } from "./freshness.ts"
import { isOwn, readOwn } from "./own-device.ts"
import type { Caller, Context, FoundContext, Judged, Ports, ReadLog, Snapshot } from "./ports.ts"
import type { VerifyInput } from "./service.ts"
import { recallVerdict, verdictFrom, verdictOn } from "./verdicts.ts"

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
      const copy = copyEvidence(input.evidence)
      const read = readLater(ports, copy, caller)
      const isKnown = freshness.epoch !== undefined && ports.verdicts.knows(caller.tenant, copy)
      if (!isKnown) read()
      checkCertificationShown(copy, freshness)
      const call = { copy, read, freshness, caller, at }
      const found = remembered(ports, copy, caller) ?? (await gather(ports, copy, caller))
      return await decideByWhatIs(ports, call, found)
    } catch (thrown) {
      const error = asAssayError(thrown)
      error.challenge = opened?.state ?? stateUnopened(input, error)
      throw error
    }
  }

/** One call, not judged yet. */
interface Call {
  readonly copy: CopiedEvidence
  /** Reads what the copy holds: the first time that it is asked to, for what was judged before need not be read. */
  readonly read: () => ReadEvidence
  readonly freshness: Freshness
  readonly caller: Caller
  readonly at: Date
}

interface ReadEvidence {
  readonly evidence: Evidence
  /** The event log that came with it. */
  readonly sent: ReadLog | undefined
}

const readLater = ({ logs, meter }: Ports, copy: CopiedEvidence, caller: Caller): (() => ReadEvidence) => {
  let known: ReadEvidence | undefined
  const read = (): ReadEvidence => {
    const evidence = parseCopied(copy)
    return { evidence, sent: readSent(logs, evidence, caller.tenant) }
  }
  return () => {
    known ??= meter.run(caller, read)
    return known
  }
}

/**
 * Decides by what was gathered. What was only remembered, and turns out not to be so any more, is gathered anew: whatever was
 * refused by it may be good, and what was good by it was not written.
 */
const decideByWhatIs = (ports: Ports, call: Call, found: FoundContext): Promise<AttestationResult> =>
  decide(ports, call, found).catch(async (error: unknown) => {
    if (!found.isRemembered || !(error instanceof AssayError) || !dependsOnContext(error)) throw error
    const { copy, caller } = call
    const context = await owned(caller, () => ports.contexts.readContext(caller.tenant, copy.akName))
    if (error.code !== "SNAPSHOT_MOVED" && isSame(context.snapshot, found.context.snapshot)) throw error
    return decide(ports, call, { context, isRemembered: false })
  })

/** Whether another context may end otherwise; a store that is away is away for all of them. */
const dependsOnContext = ({ kind, code }: AssayError): boolean =>
  JUDGED.includes(kind) || code === "TRUST" || code === "REVOCATION"
const JUDGED: readonly Kind[] = ["stale", "denied", "missing"]

/** Each device counts its own revisions: a key that is of another device now may have come to the same one again. */
const isSame = (a: Snapshot, b: Snapshot): boolean =>
  a.device.id === b.device.id &&
  a.device.revision === b.device.revision &&
  a.policy?.name === b.policy?.name &&
  a.policy?.revision === b.policy?.revision &&
  a.trustGeneration === b.trustGeneration

/** Prove, spend, judge, tell, record: all by one context. */
const decide = async (ports: Ports, call: Call, found: FoundContext): Promise<AttestationResult> => {
  const { copy, freshness, caller, at } = call
  const { context } = found
  const { snapshot } = context
  const judged = await judgedBy(ports, call, context)
  const { appraisal, isEndorsed, proven } = judged
  const told = draft(judged, copy, context, freshness, caller, at, ports)
  const made = freshness.keyName === undefined ? undefined : await certify(judged, told, caller, ports)
  const { session, certificate } = bindSession(freshness, made)
  const result = issue(appraisal, { ...told, session, certificate }, ports.signer) // tell
  ports.confirm() // still: nothing that was judged by a wrong clock or a past revision leaves
  const trust = isEndorsed ? snapshot.trustGeneration : undefined
  const committed = commit(judged, found, trust, freshness, result)
  await ports.journal.append(record(result, context, trust, caller), committed) // record
  if (committed.counters !== undefined) ports.contexts.moved(context, committed.counters)
  if (proven?.held !== undefined) rememberLog(ports.logs, context.owner, proven.held, freshness, at)
  return result
}

/** Judges the evidence; what answers an epoch, and was judged before by all that it is judged by now, is not judged again. */
const judgedBy = (ports: Ports, call: Call, context: Context): Judged | Promise<Judged> => {
  const { copy, freshness, caller, at } = call
  const { snapshot, owner } = context
  const { epoch } = freshness
  if (epoch === undefined) return proveAndJudge(ports, call, context)
  const showing = { evidence: copy, epoch, snapshot, at }
  return (
    recallVerdict(ports, showing, owner) ??
    verdictOn(ports, showing, owner, caller, () => proveAndJudge(ports, call, context))
  )
}

const proveAndJudge = async (ports: Ports, call: Call, context: Context): Promise<Judged> => {
  const { freshness, caller } = call
  const { owner } = context
  const { meter } = ports
  const { evidence, sent } = call.read()
  const gathering = gatherEndorsing(ports, evidence, context)
  const endorsing = gathering && (await gathering)
  const quote = meter.run(caller, () => refutable(() => prove(evidence, context, freshness))) // prove
  const isEndorsed = endorsing !== undefined
  if (quote instanceof AssayError) return verdictFrom(refuted(quote), isEndorsed)
  const log =
    logAtHand(ports.logs, evidence, sent, owner) ?? (await logOf(ports, evidence, sent, owner, caller))
  await freshness.spend() // now, and never unspent
  const slices = log && leftToReplay(log, evidence)
  if (slices !== undefined) await replayInSlices(slices, ports, caller)
  if (endorsing !== undefined)
    for (const chain of chainsOf(endorsing)) ports.want(caller.tenant, chain, context.snapshot.device.id)
  return meter.run(caller, () => judge(quote, evidence, log, endorsing, context, call, ports)) // judge
}

/** A certification is shown where the challenge names a key, and nowhere else: none is accepted and ignored. @throws {AssayError} FIELD. */
const checkCertificationShown = (
  { certification }: Pick<CopiedEvidence, "certification">,
  { keyName }: Freshness,
): void => {
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

/** What is remembered of a device that the caller may ask for; of another, the key may be the caller's by now. */
const remembered = (
  { contexts }: Ports,
  { akName }: CopiedEvidence,
  caller: Caller,
): FoundContext | undefined => {
  const context = contexts.remembered(caller.tenant, akName)
  return context !== undefined && isOwn(caller, context.snapshot.device)
    ? { context, isRemembered: true }
    : undefined
}

const gather = ({ contexts }: Ports, { akName }: CopiedEvidence, caller: Caller): Promise<FoundContext> =>
  readOwn(
    caller,
    async () => {
      const found = await contexts.contextFor(caller.tenant, akName)
      if (!found.isRemembered || isOwn(caller, found.context.snapshot.device)) return found
      // By now the key may be of another device, which is the caller's.
      return { context: await contexts.readContext(caller.tenant, akName), isRemembered: false }
    },
    ({ context }) => context.snapshot.device,
  )

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
  { freshness, at }: Call,
  ports: Ports,
): Judged => {
  const { advisoriesFor, denied, measure } = ports
  const isEndorsed = endorsing !== undefined
  const claims = refutable(() => {
    checkDigestNotDenied(context.ak.spkiDigest, denied, "attestation key")
    const endorsements = proveEndorsements(ports, endorsing, context, at)
    const key = proveKey(quote, evidence, context, freshness)
    if (key !== undefined) checkNotDenied(key.spki, denied, "certification.key_public")
    const shown = { pcrs: evidence.pcrs, eventLog: log?.outcome }
    return verifyClaims(quote, shown, context.ak, endorsements, key)
  })
  if (claims instanceof AssayError) return verdictFrom(refuted(claims), isEndorsed, { quote })
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
  const held = isLeading(claims.replay) ? log : undefined
  return verdictFrom(appraisal, isEndorsed, { quote, certifiedKey, held }, endorsements)
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
