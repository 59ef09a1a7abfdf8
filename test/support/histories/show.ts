/** What is shown in a history: the same bytes to both services. */

import type { RawEvidence } from "../../../src/evidence/evidence.ts"
import { challengeExtraData, epochExtraData, nonceExtraData } from "../../../src/evidence/transcript.ts"
import type { Caller } from "../../../src/service/ports.ts"
import type { VerifyInput } from "../../../src/service/service.ts"
import { flipped } from "../core.ts"
import { validity } from "../endorsed.ts"
import { logDigest } from "../logs.ts"
import { evidenceOver, GATEWAY } from "../service.ts"
import { NOT_AFTER, NOT_BEFORE } from "../x509.ts"
import { chainOf } from "./acts.ts"
import type { Step } from "./steps.ts"
import type { Pair, Slot } from "./world.ts"

/** How much of what was shown may be shown again. */
const SHOWN_MAX = 12
/** Certificates begin and end while epochs last. */
const SOON_MS = 70_000
const NONCE = new Uint8Array(32).fill(7)

const slotOf = ({ slots }: Pair, { device }: Step): Slot => {
  const slot = slots[device]
  if (slot === undefined) throw new TypeError("no such device")
  return slot
}

/** Who shows it. */
export const callerOf = (pair: Pair, step: Step): Caller => {
  const { id } = slotOf(pair, step)
  switch (step.caller) {
    case "gateway":
      return GATEWAY
    case "other":
      return { tenant: "default", id: "another gateway" }
    case "device":
      return { tenant: "default", id, own: { kind: "device", id } }
    case "stranger":
      return { tenant: "default", id: "stranger", own: { kind: "device", id: "stranger" } }
  }
}

const logOf = ({ device, earlier }: Slot, { log }: Step): Uint8Array => {
  const own = device.eventLog
  switch (log) {
    case "own":
      return own
    case "earlier":
      return earlier
    case "bit":
      return flipped(own, own.length - 90)
    case "byte less":
      return own.subarray(0, -1)
    case "byte more":
      return Uint8Array.of(...own, 0)
    case "junk":
      return Uint8Array.of(1, 2, 3)
  }
}

const chainFor = (pair: Pair, slot: Slot, { chain, n }: Step): readonly Uint8Array[] => {
  const later = new Date(pair.shared.now.getTime() + SOON_MS * (n + 1))
  const earlier = new Date(pair.shared.now.getTime() - 60_000)
  switch (chain) {
    case "none":
      return []
    case "good":
      return chainOf(slot.device)
    case "ending":
      return chainOf(slot.device, validity(NOT_BEFORE, later))
    case "not yet":
      return chainOf(slot.device, validity(later, NOT_AFTER))
    case "expired":
      return chainOf(slot.device, validity(NOT_BEFORE, earlier))
    case "another's":
      return chainOf(slot.keys[1])
  }
}

const asked = async ({ worlds }: Pair, { mode }: Step, caller: Caller) => {
  const [{ elsewhere }] = worlds
  switch (mode) {
    case "challenge": {
      const ask = { device: "", audience: "orders", confirmation: undefined, policy: "" }
      const { sealed, transcript } = await elsewhere.createChallenge(ask, {
        tenant: caller.tenant,
        id: caller.id,
      })
      return {
        freshness: { kind: "challenge", challenge: sealed },
        extraData: challengeExtraData(transcript),
      } as const
    }
    case "nonce":
      return {
        freshness: { kind: "nonce", nonce: NONCE },
        extraData: nonceExtraData("default", NONCE),
      } as const
    case "epoch": {
      const { epoch } = await elsewhere.epoch(caller)
      const extraData = epochExtraData("default", epoch.value)
      return { freshness: { kind: "epoch", number: epoch.number }, extraData } as const
    }
  }
}

const madeFor = async (pair: Pair, step: Step): Promise<VerifyInput> => {
  const slot = slotOf(pair, step)
  const { freshness, extraData } = await asked(pair, step, callerOf(pair, step))
  const over = step.flaw === "another's answer" ? extraData.map((byte) => byte ^ 1) : extraData
  const evidence = { ...evidenceOver(slot.device, over), akCertificateChain: chainFor(pair, slot, step) }
  return { freshness, evidence: flawed(withLog(evidence, step, logOf(slot, step)), step) }
}

const flawed = (evidence: RawEvidence, { flaw }: Step): RawEvidence => ({
  ...evidence,
  ...(flaw === "signature" && { signature: flipped(evidence.signature, 40) }),
  ...(flaw === "values" && {
    pcrBanks: evidence.pcrBanks.map(({ hash, values }) => ({ hash, values: flipped(values, 3) })),
  }),
})

const withLog = (evidence: RawEvidence, { form }: Step, log: Uint8Array): RawEvidence => ({
  ...evidence,
  eventLog: form === "sent" ? log : undefined,
  eventLogDigest: form === "named" ? logDigest(log) : undefined,
})

/** What was shown before, with the log in another form, for another epoch, or with another flaw. */
const altered = (pair: Pair, step: Step, { freshness, evidence }: VerifyInput): VerifyInput => {
  const log = evidence.eventLog ?? logOf(slotOf(pair, step), step)
  if (step.n === 0) return { freshness, evidence: withLog(evidence, step, log) }
  if (step.n === 1) return { freshness, evidence: flawed(evidence, step) }
  const other = freshness.kind === "epoch" ? { ...freshness, number: freshness.number - 1 } : freshness
  return { freshness: other, evidence }
}

/** The evidence of a step. */
export const showing = async (pair: Pair, step: Step): Promise<VerifyInput> => {
  const { shown } = pair
  const last = shown.at(-1)
  if (step.shown !== "new" && last !== undefined) {
    if (step.shown === "again") return last
    const one = shown[(step.n * 5 + step.device) % shown.length] ?? last
    if (step.shown === "earlier") return one
    return altered(pair, step, last)
  }
  const made = await madeFor(pair, step)
  shown.push(made)
  if (shown.length > SHOWN_MAX) shown.shift()
  return made
}
