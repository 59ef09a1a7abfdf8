/**
 * Attacks on the whole service, and what has to be true after each of them, whatever it was: the universal
 * postconditions U1 to U4 of the attack catalogue.
 */
import { decodeJwt, decodeProtectedHeader } from "jose"
import type { suite } from "uvu"
import * as assert from "uvu/assert"
import { sameBytes } from "../../src/bytes.ts"
import { verifySessionToken } from "../../src/client/session.ts"
import { AssayError, type ChallengeState, type Code, type Kind } from "../../src/errors.ts"
import type { AttestationResult } from "../../src/result/result.ts"
import type { Caller, JournalRecord } from "../../src/service/ports.ts"
import type { VerifyInput } from "../../src/service/service.ts"
import { assertVerdict, attemptOn, type Scene, sceneFor, watch } from "./scene.ts"
import { codesOf, GATEWAY, type Session } from "./service.ts"
import type { Attempt, Victim } from "./victim.ts"

/** How an attack has to end. */
export interface Refusal {
  readonly code: Code
  /** `refuted` is an answer; every other kind is thrown. */
  readonly ends: Kind
  /** What the answer, or the error, says of the challenge. */
  readonly challenge: ChallengeState
  /** Of the error or of the finding, if it is told: all of it. */
  readonly location?: string
  /** Codes that come with it and cannot but come with it. */
  readonly also?: readonly Code[]
  /** Of the answer; contraindicated unless told. */
  readonly tier?: AttestationResult["tier"]
  /** What the honest answer to this challenge gets afterwards. By default NONCE_SPENT if it was spent, else a session. */
  readonly afterwards?: "session" | Code
}

/** One variant of a class. */
export interface Attack {
  /** Begins with the class's id. */
  readonly name: string
  readonly of: Victim
  readonly forge: (attempt: Attempt) => VerifyInput | Promise<VerifyInput>
  readonly refusal: Refusal
  /** Who presents it; by default the caller that made the challenge. */
  readonly as?: Caller
  /** What the challenge was asked for. */
  readonly session?: Session
}

export const malformed = (code: Code): Refusal => ({ code, ends: "malformed", challenge: "unspent" })
/** Refused before signature and extraData held. */
export const unspent = (code: Code): Refusal => ({ code, ends: "refuted", challenge: "unspent" })
/** Refused after they held. */
export const spent = (code: Code, ...also: readonly Code[]): Refusal => ({
  code,
  ends: "refuted",
  challenge: "spent",
  also,
})

/** U1 of an answer: what it carries is the signed result, and nobody takes that for a session. */
export const assertNoSession = ({ world }: Scene, { token, certificateChain }: AttestationResult): void => {
  assert.equal(certificateChain, [])
  assert.is(token.kind, "result")
  assert.is(decodeProtectedHeader(token.compact).typ, "ear+jwt")
  assert.not.ok("cnf" in decodeJwt(token.compact))
  for (const audience of ["orders", GATEWAY.id])
    assert.throws(
      () =>
        verifySessionToken(token.compact, {
          keys: world.jwks,
          issuer: "https://assay.example",
          audience,
          at: world.now(),
          confirmation: "checked-elsewhere",
        }),
      (error: unknown) => error instanceof AssayError && error.code === "TOKEN_FORMAT",
    )
}

/** The refusal as an answer, with its one record in the journal. */
const assertAnswer = (
  scene: Scene,
  { value: result }: PromiseFulfilledResult<AttestationResult>,
  journaled: readonly JournalRecord[],
  { code, also = [], tier = "contraindicated", challenge, location }: Refusal,
): void => {
  assert.is(result.findings[0]?.code, code)
  if (location !== undefined) assert.is(result.findings[0]?.location, location)
  const refusals = result.findings.filter((finding) => finding.tier === tier).flatMap((f) => f.code ?? [])
  assert.equal([...new Set(refusals)], [...new Set([code, ...also])])
  assert.is(result.tier, tier)
  assert.is(result.challengeState, challenge)
  assertNoSession(scene, result)
  const [record] = journaled
  assert.is(journaled.length, 1, "U2: one record")
  assert.is(record?.tokenId, result.id)
  assert.is(record?.outcome, tier)
  assert.equal(record?.codes, codesOf(result))
  assert.ok(record !== undefined && sameBytes(record.evidenceDigest, result.evidenceDigest))
}

/** The refusal as an error, without a trace. What is malformed is named by the path of its field. */
export const assertError = (
  reason: unknown,
  journaled: readonly JournalRecord[],
  { code, ends, challenge, location }: Refusal,
): void => {
  if (!(reason instanceof AssayError)) throw reason
  assert.is(reason.code, code, reason.message)
  assert.is(reason.kind, ends)
  assert.is(reason.challenge, challenge)
  if (ends === "malformed") assert.match(reason.location ?? "", /^(evidence\.tpm\.[a-z_]+|certification)/)
  if (location !== undefined) assert.is(reason.location, location)
  assert.not.match(`${reason.message}${reason.location}${reason.expected}${reason.actual}`, /eyJ/)
  assert.equal(journaled, [], "U2: no record")
}

/** What the honest answer gets: a session, the victim's own verdict, or an error. */
export const assertHonest = async (
  scene: Scene,
  { verdict }: Victim,
  honest: VerifyInput,
  afterwards: "session" | Code,
): Promise<void> => {
  const [outcome] = await Promise.allSettled([scene.world.service.verify(honest, GATEWAY)])
  if (afterwards !== "session") {
    assert.is(outcome.status === "rejected" ? outcome.reason.code : "an answer", afterwards)
    return
  }
  if (outcome.status === "rejected") throw outcome.reason
  assertVerdict(outcome.value, verdict)
}

/** One attack, and U1 to U4 after it. */
export const refuses = async (
  scene: Scene,
  { of, forge, refusal, as = GATEWAY, session }: Attack,
): Promise<void> => {
  const attempt = await attemptOn(scene, of, session)
  const input = await forge(attempt)
  const answers = refusal.ends === "refuted" && refusal.challenge === "spent" ? of.id : undefined
  const call = () => scene.world.service.verify(input, as)
  const { outcomes, journaled } = await watch(scene, [call], answers === undefined ? {} : { answers })
  const [outcome] = outcomes
  assert.is(outcome?.status, refusal.ends === "refuted" ? "fulfilled" : "rejected")
  if (outcome?.status === "fulfilled") assertAnswer(scene, outcome, journaled, refusal)
  if (outcome?.status === "rejected") assertError(outcome.reason, journaled, refusal)
  // U3, and U2 of the cache: the same device gets the same answers as ever.
  const afterwards = refusal.afterwards ?? (refusal.challenge === "spent" ? "NONCE_SPENT" : "session")
  await assertHonest(scene, of, attempt.honest, afterwards)
  if (afterwards !== "session") await assertHonest(scene, of, (await attemptOn(scene, of)).honest, "session")
}

type Suite = ReturnType<typeof suite>

/** A test for each attack, all on one service. */
export const attackTests = (
  test: Suite,
  attacks: readonly Attack[],
  scene: () => Promise<Scene> = sceneFor(test, [...new Set(attacks.map(({ of }) => of))]),
): void => {
  for (const attack of attacks)
    test(`refuses ${attack.name}, ${attack.of.label}`, async () => refuses(await scene(), attack))
}

/** A row of a class's table. What it does not say is as usual for the class. */
export type Row = readonly [
  name: string,
  of: Victim,
  forge: Attack["forge"],
  refusal?: Refusal,
  more?: Pick<Attack, "as" | "session">,
]

/** A test for each row of one class, all on one service. */
export const attackTable = (test: Suite, id: string, usual: Refusal, table: readonly Row[]): void =>
  attackTests(
    test,
    table.map(([name, of, forge, refusal = usual, more]) => ({
      name: `${id} ${name}`,
      of,
      forge,
      refusal,
      ...more,
    })),
  )
