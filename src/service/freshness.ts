import { AssayError, type ChallengeState } from "../errors.ts"
import { challengeExtraData, epochExtraData, nonceExtraData } from "../evidence/transcript.ts"
import type { FreshnessKind } from "../result/result.ts"
import type { Caller, Challenge, Context, Ports } from "./ports.ts"
import { openChallenge } from "./sealed-challenge.ts"
import type { FreshnessInput } from "./service.ts"

/** What proves that evidence is fresh, opened and not yet spent. */
export interface Freshness {
  readonly kind: FreshnessKind
  /** What became of the challenge so far. */
  readonly state: ChallengeState
  /** extraData that the quote must have. @throws {AssayError} NONCE_CONTEXT, POLICY_VERSION. */
  expectedFor(context: Context): Uint8Array
  /**
   * Spends the challenge, if there is one; once it has, it does nothing.
   *
   * @throws {AssayError} NONCE_SPENT, NONCE_EXPIRED, NONCE_FENCED, CHALLENGES_FULL; NONCE_STORE, CLOCK.
   */
  spend(): Promise<void>
  /** The session that may follow; nothing unless a challenge was spent. */
  session(): SessionAsked | undefined
  /** Name of the key that a certificate is asked for, if the challenge names one. */
  readonly keyName: Uint8Array | undefined
  readonly nonce: Uint8Array | undefined
  /** Value of the epoch, if it is one. */
  readonly epoch: Uint8Array | undefined
  readonly evidenceAgeMs: number | undefined
  /** Before this instant the evidence cannot have been made: nobody knew what it had to answer. */
  readonly freshSince: Date
}

/** A session as its challenge asked for it. */
export type SessionAsked = Pick<Challenge, "audience" | "confirmation">

/** When a relying party chose its nonce, only it knows. This is how long its evidence may have been under way. */
const NONCE_AGE_MS = 300_000

type FreshnessPorts = Pick<Ports, "singleUse" | "epochs">

/**
 * Opens one of the three modes, without a write.
 *
 * @throws {AssayError} NONCE_UNKNOWN, NONCE_EXPIRED, NONCE_SPENT, NONCE_CONTEXT, EPOCH; NONCE_STORE, CLOCK.
 */
export const openFreshness = (
  ports: FreshnessPorts,
  input: FreshnessInput,
  caller: Caller,
  at: Date,
): Promise<Freshness> => {
  switch (input.kind) {
    case "challenge":
      return answering(ports, input.challenge, caller, at)
    case "nonce":
      return Promise.resolve(quotingNonce(input.nonce, caller, at))
    case "epoch":
      return quotingEpoch(ports, input.number, caller, at)
  }
}

const quotingNonce = (nonce: Uint8Array, { tenant }: Caller, at: Date): Freshness => ({
  ...withoutChallenge("nonce"),
  nonce,
  freshSince: new Date(at.getTime() - NONCE_AGE_MS),
  expectedFor: ({ policy }) =>
    policy?.terms.evidence.rawNonce === true ? nonce : nonceExtraData(tenant, nonce),
})

const quotingEpoch = async (
  { epochs }: FreshnessPorts,
  number: number,
  { tenant }: Caller,
  at: Date,
): Promise<Freshness> => {
  const { value, startsAt } = await epochs.accepted(tenant, number, at)
  return {
    ...withoutChallenge("epoch"),
    epoch: value,
    evidenceAgeMs: at.getTime() - startsAt.getTime(),
    freshSince: startsAt,
    expectedFor: () => epochExtraData(tenant, value),
  }
}

const withoutChallenge = <Kind extends "nonce" | "epoch">(kind: Kind) => ({
  kind,
  state: "none" as const,
  spend: async () => {},
  session: () => undefined,
  keyName: undefined,
  nonce: undefined,
  epoch: undefined,
  evidenceAgeMs: undefined,
})

const answering = async (
  { singleUse }: FreshnessPorts,
  sealed: Uint8Array,
  caller: Caller,
  at: Date,
): Promise<Freshness> => {
  const { challenge, value } = await openChallenge(singleUse, sealed, at)
  if (challenge.tenant !== caller.tenant || challenge.caller !== caller.id)
    throw contextError("caller", "the credential or the connection that made the challenge", caller.id)
  /** By this call, and not by another. */
  let isSpent = false
  const freshness: Freshness & { state: ChallengeState } = {
    kind: "challenge",
    // No getter: each would give its object a shape of its own, which stays until everything is collected.
    state: "unspent",
    expectedFor: (context) => {
      checkContext(challenge, context)
      return challengeExtraData(challenge)
    },
    spend: async () => {
      if (isSpent) return
      try {
        await singleUse.spend(value, at)
      } catch (error) {
        // Only a full store leaves it unspent for certain; an answer that was lost may have spent it.
        if (!(error instanceof AssayError && error.code === "CHALLENGES_FULL")) freshness.state = "spent"
        throw error
      }
      isSpent = true
      freshness.state = "spent"
    },
    session: () =>
      freshness.state === "spent"
        ? { audience: challenge.audience, confirmation: challenge.confirmation }
        : undefined,
    keyName: challenge.confirmation?.method === "name" ? challenge.confirmation.name : undefined,
    nonce: undefined,
    epoch: undefined,
    evidenceAgeMs: undefined,
    freshSince: challenge.issuedAt,
  }
  return freshness
}

/** The evidence is of the device and under the policy that the challenge was made for. */
const checkContext = (challenge: Challenge, { snapshot: { device, policy } }: Context): void => {
  if (challenge.device !== "" && challenge.device !== device.id)
    throw contextError("device", challenge.device, device.id)
  if (challenge.policy !== "" && challenge.policy !== policy?.name)
    throw contextError("policy", challenge.policy, policy?.name ?? "none")
  if (policy !== undefined && policy.revision < challenge.policyRevision)
    throw new AssayError("POLICY_VERSION", "the policy is older than when the challenge was made", {
      location: "policy",
      expected: `revision ${challenge.policyRevision} or later`,
      actual: `revision ${policy.revision}`,
    })
}

const contextError = (location: string, expected: string, actual: string): AssayError =>
  new AssayError("NONCE_CONTEXT", `the challenge was made for another ${location}`, {
    location,
    expected,
    actual,
  })
