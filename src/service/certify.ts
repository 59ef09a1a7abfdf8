import { hash } from "node:crypto"
import type { Confirmation } from "../evidence/transcript.ts"
import { type Issue, type SessionCertificate, sessionEndOf } from "../result/issue.ts"
import type { Freshness } from "./freshness.ts"
import type { Judged, Ports, Who } from "./ports.ts"

/** What a result tells that is bound to nothing yet. */
export type Unbound = Omit<Issue, "session" | "certificate">

/** What writing and checking a certificate takes, about, in many parts with something else between. */
const ISSUE_MS = 3

/**
 * The certificate of the key that the challenge names: for a session that the appraisal grants, and never without one. It
 * ends with the session at the latest. Nobody has it before the journal does.
 *
 * @throws {AssayError} SIGNER, RNG.
 */
export const certify = async (
  { appraisal, proven }: Judged,
  told: Unbound,
  caller: Who,
  { deviceAuthority, signer, meter }: Ports,
): Promise<SessionCertificate | undefined> => {
  const certifiedKey = proven?.certifiedKey
  if (certifiedKey === undefined) return undefined
  const notAfter = sessionEndOf(appraisal, told, signer)
  if (notAfter === undefined) return undefined
  meter.charge(caller, ISSUE_MS)
  const { tenant, device, evaluatedAt: at } = told
  return deviceAuthority.issue({ tenant, device, spki: certifiedKey.spki, at, notAfter })
}

/** What the session is asked for, bound to the key that its challenge names: no certificate of it, no session. */
export const bindSession = (
  freshness: Pick<Freshness, "session">,
  certificate: SessionCertificate | undefined,
): Pick<Issue, "session" | "certificate"> => {
  const asked = freshness.session()
  if (asked === undefined) return { session: undefined }
  const { audience, confirmation } = asked
  if (confirmation?.method !== "name") return { session: { audience, confirmation } }
  if (certificate === undefined) return { session: undefined }
  return { session: { audience, confirmation: confirmationOf(certificate) }, certificate }
}

/** RFC 8705, 3.1. */
const confirmationOf = ({ chain: [leaf] }: SessionCertificate): Confirmation => ({
  method: "x5t#S256",
  digest: hash("sha256", leaf, "buffer"),
})
