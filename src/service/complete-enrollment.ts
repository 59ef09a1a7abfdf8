import { hash } from "node:crypto"
import { lengthPrefixed, sameBytes, toBase32 } from "../bytes.ts"
import { AssayError, type ChallengeState, type Kind } from "../errors.ts"
import { type Evidence, parseEvidence, type RawEvidence } from "../evidence/evidence.ts"
import { enrollmentExtraData } from "../evidence/transcript.ts"
import { type ActivationAnswer, verifyActivation } from "../verification/activation.ts"
import { proveQuote, type Quote, verifyPcrs } from "../verification/quote.ts"
import type { Verified } from "../verification/verified.ts"
import { enrollmentTokenOf, transcriptOf } from "./begin-enrollment.ts"
import { checkKeys, type EligibleKeys, type ShownKeys } from "./enroll-keys.ts"
import type { Act, Caller, DeviceRecord, EnrolledDevice, Ports } from "./ports.ts"
import { type Enrollment, type OpenedEnrollment, openEnrollment } from "./sealed-enrollment.ts"

/** What ends an enrollment. */
export interface CompleteEnrollmentInput {
  /** As it was handed out. */
  readonly enrollment: Uint8Array
  /** What the credential said; nothing where there was none. */
  readonly activation: ActivationAnswer | undefined
  /** A quote over the enrollment's transcript. No log and no certificates: what was booted is not judged here. */
  readonly evidence: RawEvidence
}

/**
 * Completes an enrollment: open, count the try, gather, prove, spend, make the device. Certificates are public and prove
 * nothing about who sends them. So what has to hold is that the TPM of the endorsement key opened the credential, and that
 * the attestation key quotes over this very transcript; the keys are verified again, under the trust of now, which the
 * store confirms as it makes the device. Only then, and to nobody else, is it told whether a key is some other device's.
 *
 * Each refusal is journaled, and bounded by the tries of its enrollment.
 *
 * @throws {AssayError} of every kind; each says whether the enrollment can still be completed.
 */
export const createCompleteEnrollment =
  (ports: Ports) =>
  async (input: CompleteEnrollmentInput, caller: Caller): Promise<DeviceRecord> => {
    const at = ports.clock.now()
    let opened: OpenedEnrollment | undefined
    try {
      ports.confirm()
      const evidence = ports.meter.run(caller, () => parseEvidence(input.evidence))
      checkPlain(evidence)
      opened = await openEnrollment(ports.singleUse, input.enrollment, at)
      checkContext(opened.enrollment, input, caller)
      await opened.attempt()
      const attempt = { ...input, evidence, opened, at, act: actOf(opened.enrollment, evidence, caller, at) }
      return await journalingRefusals(ports, attempt, () => enroll(ports, attempt))
    } catch (thrown) {
      const error =
        thrown instanceof AssayError
          ? thrown
          : new AssayError("INTERNAL", "internal error", { cause: thrown })
      error.challenge = opened?.state ?? stateUnopened(error)
      throw error
    }
  }

/** One answer to an enrollment. */
interface Attempt {
  readonly opened: OpenedEnrollment
  readonly activation: ActivationAnswer | undefined
  readonly evidence: Evidence
  readonly at: Date
  readonly act: Act
}

/** What is known of an enrollment that this call did not even open. */
const stateUnopened = ({ code }: AssayError): ChallengeState => (code === "NONCE_SPENT" ? "spent" : "unspent")

const enroll = async (ports: Ports, attempt: Attempt): Promise<DeviceRecord> => {
  const { opened, at, act } = attempt
  const { tenant, caller, keys } = opened.enrollment
  const who = { tenant, id: caller }
  const eligible = await checkKeys(ports, keys, who, at) // gather
  const quote = ports.meter.run(who, () => prove(attempt, eligible)) // prove
  await opened.spend() // now, and never unspent
  ports.confirm() // still: no device is made by a wrong clock or a past revision
  return ports.devices.enroll(newDevice(ports, attempt, eligible, quote), act) // record
}

/**
 * Proves that whoever answers holds both keys, now.
 *
 * @throws {AssayError} AK_BINDING, ACTIVATION; as `proveQuote` and `verifyPcrs`.
 */
const prove = ({ opened, activation, evidence }: Attempt, keys: EligibleKeys): Verified<Quote> => {
  const { enrollment } = opened
  const { random, tenant, secret } = enrollment
  const transcript = transcriptOf(random, tenant, keys)
  if (!sameBytes(evidence.akName, transcript.akName))
    throw unbound("evidence.tpm.ak_name", "the attestation key that the enrollment was begun with", "another")
  if (secret !== undefined) {
    if (activation === undefined) throw unbound("activation", "what the credential says", "nothing")
    verifyActivation(activation, secret, transcript)
  }
  const expected = {
    extraData: enrollmentExtraData(transcript),
    qualifiedSigner: enrollment.keys.qualifiedName,
  }
  const quote = proveQuote(evidence, keys.ak, expected)
  verifyPcrs(quote, evidence.pcrs)
  return quote
}

const unbound = (location: string, expected: string, actual: string): AssayError =>
  new AssayError("AK_BINDING", "the attestation key is not proven to live in this TPM", {
    location,
    expected,
    actual,
  })

const ID_BYTES = 15

/** The device as it is known from now on: nothing of it is what it says of itself, but for the label. */
const newDevice = (
  { random, settings }: Ports,
  { opened, evidence, at }: Attempt,
  { ak, ek, generation }: EligibleKeys,
  { clockInfo, firmwareVersion }: Quote,
): EnrolledDevice => {
  const { tenant, token, claimedName, keys } = opened.enrollment
  return {
    tenant,
    id: `d-${toBase32(random.bytes(ID_BYTES))}`,
    akPublic: ak.area.bytes,
    akName: ak.area.name,
    // The TPM itself says it, and the key signed it: from now on it says the same, or it is another.
    qualifiedName: evidence.attest.qualifiedSigner,
    ek: ek?.digest,
    binding: ek === undefined ? "certificate" : "activation",
    endorsement: endorsementOf(keys, ek?.path === undefined ? ek?.digest : undefined),
    group: "",
    labels: new Map(),
    claimedName,
    state: settings.enrollment.approval === "operator" ? "pending" : "active",
    createdAt: at,
    counters: { ...clockInfo, firmwareVersion, recordedAt: at },
    trust: generation,
    token,
  }
}

const endorsementOf = (
  { ekCertificateChain, akCertificateChain }: ShownKeys,
  ekDigest: Uint8Array | undefined,
): EnrolledDevice["endorsement"] => ({ ekCertificateChain, akCertificateChain, ekDigest })

const SURPLUS_LOG: Readonly<Record<Evidence["log"]["kind"], string | undefined>> = {
  none: undefined,
  sent: "event_log",
  named: "event_log_digest",
}

/** What an enrollment has no use for is not taken and forgotten. @throws {AssayError} FIELD. */
const checkPlain = ({ log, akCertificateChain }: Evidence): void => {
  const surplus =
    SURPLUS_LOG[log.kind] ?? (akCertificateChain.length > 0 ? "ak_certificate_chain" : undefined)
  if (surplus === undefined) return
  const location = `evidence.tpm.${surplus}`
  throw new AssayError("FIELD", `${location}: has no place in an enrollment`, {
    location,
    expected: "nothing",
  })
}

/** Whoever completes an enrollment has begun it, with a credential or without one. @throws {AssayError} NONCE_CONTEXT, FIELD. */
const checkContext = (
  enrollment: Enrollment,
  { activation }: CompleteEnrollmentInput,
  caller: Caller,
): void => {
  const isHis =
    enrollment.tenant === caller.tenant &&
    enrollment.caller === caller.id &&
    enrollment.token === enrollmentTokenOf(caller)
  if (!isHis)
    throw new AssayError("NONCE_CONTEXT", "the enrollment was begun by another caller", {
      location: "caller",
      expected: "the credential or the connection that began the enrollment",
      actual: caller.id,
    })
  if (enrollment.secret === undefined && activation !== undefined)
    throw new AssayError("FIELD", "activation: there was no credential to activate", {
      location: "activation",
      expected: "nothing",
    })
}

const actOf = ({ keys }: Enrollment, { digest }: Evidence, { id }: Caller, at: Date): Act => {
  const { akPublic, ekPublic = new Uint8Array(), ekCertificateChain, akCertificateChain } = keys
  const chains = [lengthPrefixed(...ekCertificateChain), lengthPrefixed(...akCertificateChain)]
  const asked = lengthPrefixed(digest, akPublic, ekPublic, ...chains)
  return { at, caller: id, act: "enroll-device", evidenceDigest: hash("sha256", asked, "buffer") }
}

/** Kinds that say something of who asked, and not of us. */
const JOURNALED: readonly Kind[] = ["refuted", "stale", "denied"]

/** Whoever tried to prove possession and did not is on record, without a word of what he sent. @throws {AssayError} JOURNAL. */
const journalingRefusals = async <T>(
  { journal }: Ports,
  { opened, act }: Attempt,
  attempt: () => Promise<T>,
): Promise<T> => {
  try {
    return await attempt()
  } catch (error) {
    if (error instanceof AssayError && JOURNALED.includes(error.kind))
      await journal.append({
        ...act,
        tenant: opened.enrollment.tenant,
        device: "",
        outcome: "refused",
        codes: [error.code],
        policyDigest: undefined,
        revisions: undefined,
        tokenId: undefined,
      })
    throw error
  }
}
