import type { Appraisal } from "../appraisal/appraise.ts"
import { endorsementsOf } from "../result/endorsement.ts"
import type { Endorsements } from "../verification/endorsements.ts"
import { logAtHand, logOf } from "./event-logs.ts"
import type { Judged, LogOwner, Ports, Proven, Showing, Standing, Verdict, Verdicts, Who } from "./ports.ts"

/** Every verdict is worked out for the call that asks for it. */
export const createVerdicts = (): Verdicts => ({
  knows: () => false,
  remembered: () => undefined,
  verdictOn: (_showing, judge) => judge(),
})

/**
 * The verdict on evidence that was judged before, if it is remembered. Whether its device may still name the log is no part of
 * that: if the log is not at hand, `verdictOn` asks.
 */
export const recallVerdict = (
  { verdicts, logs }: Pick<Ports, "verdicts" | "logs">,
  showing: Showing,
  owner: LogOwner,
): Verdict | undefined => {
  const verdict = verdicts.remembered(showing)
  const { log } = showing.evidence
  if (verdict?.answers !== true || log.kind !== "named") return verdict
  return logAtHand(logs, { log }, undefined, owner) === undefined ? undefined : verdict
}

/** The verdict, remembered or not. @throws {AssayError} EVENT_LOG_NEEDED, REGISTRY; and as `judge`. */
export const verdictOn = async (
  ports: Pick<Ports, "verdicts" | "logs" | "meter">,
  showing: Showing,
  owner: LogOwner,
  who: Who,
  judge: () => Promise<Judged>,
): Promise<Judged> => {
  const { evidence } = showing
  const judged = await ports.verdicts.verdictOn(showing, judge)
  if (judged.answers && judged.proven === undefined && evidence.log.kind === "named")
    await logOf(ports, evidence, undefined, owner, who)
  return judged
}

/**
 * What came of evidence, out of what it came of.
 *
 * @param isEndorsed Whether there were certificates or listed keys to judge.
 * @param proven Nothing if the quote was refuted.
 * @param endorsements Nothing if anything was refuted.
 */
export const verdictFrom = (
  appraisal: Appraisal,
  isEndorsed: boolean,
  proven?: Proven,
  endorsements?: Endorsements,
): Judged => {
  const answers = proven !== undefined
  const verdict = {
    appraisal,
    endorsements: endorsements === undefined ? [] : endorsementsOf(endorsements),
    isEndorsed,
    answers,
    clock: proven?.quote.clockInfo,
  }
  return { ...verdict, standing: standingOf(verdict, endorsements), proven }
}

/**
 * How long a verdict stands. One whose certificates failed may pass when the clock has moved on, and so may a rule that
 * failed; past its notAfter a certificate holds by what the policy bears, and by another path perhaps.
 */
const standingOf = (
  { appraisal, isEndorsed, answers }: Pick<Verdict, "appraisal" | "isEndorsed" | "answers">,
  endorsements: Endorsements | undefined,
): Standing => {
  if (appraisal.findings.some(({ code }) => code === "RULE_FAILED")) return { kind: "passing" }
  if (endorsements === undefined) return { kind: answers && isEndorsed ? "passing" : "refuted" }
  if (endorsements.ak === undefined && endorsements.ek === undefined) return FOR_GOOD
  const paths = [endorsements.ak, endorsements.ek].flatMap((path) => path ?? [])
  if (paths.some(({ expired }) => expired)) return { kind: "passing" }
  const ends = paths.map(({ validUntil }) => validUntil.getTime())
  return { kind: "proven", until: new Date(Math.min(...ends)) }
}

/** Of what rests on no certificate. */
const FOR_GOOD: Standing = { kind: "proven", until: undefined }
