import { sameBytes, toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { Evidence } from "../evidence/evidence.ts"
import { qualifiedNameOf } from "../evidence/tpm/public.ts"
import type { Certificate } from "../evidence/x509/certificate.ts"

import { type AdvisoryMatch, firmwareOfCertificate, firmwareOfQuote } from "../verification/advisory.ts"
import {
  type Endorsements,
  type EnrolledEk,
  NO_ENDORSEMENTS,
  type UntrustedEndorsements,
  verifyEndorsements,
} from "../verification/endorsements.ts"
import type { Quote } from "../verification/quote.ts"
import type { Trust } from "../verification/trust.ts"
import type { Verified } from "../verification/verified.ts"
import { checkDigestNotDenied } from "../verification/weak-key.ts"
import type { Context, Ports, Snapshot } from "./ports.ts"

/** What a verification needs to judge certificates by; nothing of it for a device without any. */
export interface Endorsing {
  readonly shown: UntrustedEndorsements
  /** Whether all of it is of the registration: then it is the same in every call. */
  readonly isRegistered: boolean
  readonly trust: Trust
}

/**
 * Gathers what vouches for the device's keys, and the trust to verify it against. The chain that came with the evidence
 * comes before the one of the registration.
 *
 * @returns Nothing for a device that has nothing of the kind.
 * @throws {AssayError} TRUST if the tenant has no trust anchor at all, at once, or if its trust cannot be read; REGISTRY.
 */
export function gatherEndorsing(
  ports: Pick<Ports, "trust" | "loadTrust">,
  evidence: Evidence,
  { snapshot, akChain, ekChain }: Context,
): Promise<Endorsing> | undefined {
  checkAnchors(snapshot)
  const isRegistered = evidence.akCertificateChain.length === 0
  const shownChain = isRegistered ? akChain : evidence.akCertificateChain
  const { ekDigest } = snapshot.device.endorsement
  return shownChain.length === 0 && ekChain.length === 0 && ekDigest === undefined
    ? undefined
    : gather(ports, { akChain: shownChain, ekChain }, isRegistered, snapshot)
}

const gather = async (
  ports: Pick<Ports, "trust" | "loadTrust">,
  chains: Pick<UntrustedEndorsements, "akChain" | "ekChain">,
  isRegistered: boolean,
  snapshot: Snapshot,
): Promise<Endorsing> => {
  const { tenant, endorsement, ek, binding } = snapshot.device
  const { ekDigest } = endorsement
  const ekListed = ekDigest !== undefined && (await ports.trust.listedEk(tenant, ekDigest)) !== undefined
  const trust = await ports.loadTrust(tenant, snapshot.trustGeneration)
  const enrolled = ek === undefined ? undefined : { digest: ek, activated: binding === "activation" }
  return { shown: { ...chains, ekListed, enrolled }, isRegistered, trust }
}

/** The chains that somebody who answered a challenge showed, or was registered with. */
export const chainsOf = ({ shown }: Endorsing): readonly (readonly Certificate[])[] =>
  [shown.akChain, shown.ekChain].filter((chain) => chain.length > 0)

/** A service without a single anchor has been told nothing about whom to trust, and trusts nobody. */
const checkAnchors = ({ anchors }: Snapshot): void => {
  if (anchors === 0)
    throw new AssayError("TRUST", "no trust anchor is installed: import one with `assay trust import`", {
      expected: "at least one trust anchor",
      actual: "none",
    })
}

/** Proves what was gathered. @throws {AssayError} as `verifyEndorsements`; UNTRUSTED_ROOT for a key taken off the list, AK_BINDING, KEY_DENIED. */
export function proveEndorsements(
  ports: Pick<Ports, "verifyEndorsements">,
  endorsing: Endorsing | undefined,
  { snapshot, ak, policy }: Context,
  at: Date,
): Verified<Endorsements> {
  if (endorsing === undefined) return NO_ENDORSEMENTS
  const { shown, isRegistered, trust } = endorsing
  if (snapshot.device.endorsement.ekDigest !== undefined && !shown.ekListed)
    throw new AssayError("UNTRUSTED_ROOT", "the endorsement key is no longer on the list", {
      location: "endorsement key",
      expected: "a listed key",
    })
  const { ekDigest } = snapshot.device.endorsement
  checkSameDigest(ekDigest, shown.enrolled)
  if (ekDigest !== undefined) checkDigestNotDenied(toHex(ekDigest), trust.denied, "endorsement key")
  const expiredLeaf = policy === undefined || policy.terms.ek.expired === "refused" ? "refuse" : "allow"
  // What came with evidence never comes again: remembered, it would only take room.
  const verify = isRegistered ? ports.verifyEndorsements : verifyEndorsements
  return verify(shown, ak, trust, { at, expiredLeaf })
}

/** The listed key is the one that the device enrolled with. @throws {AssayError} AK_BINDING. */
const checkSameDigest = (listed: Uint8Array | undefined, enrolled: EnrolledEk | undefined): void => {
  if (listed === undefined || enrolled === undefined || sameBytes(listed, enrolled.digest)) return
  throw new AssayError("AK_BINDING", "the listed endorsement key is another than the enrolled one", {
    location: "endorsement key",
    expected: `SHA-256 ${toHex(enrolled.digest)}`,
    actual: `SHA-256 ${toHex(listed)}`,
  })
}

/** TPM_RH_ENDORSEMENT. */
const ENDORSEMENT_HIERARCHY = Uint8Array.of(0x40, 0, 0, 0x0b)

/**
 * Weaknesses that are published of the TPM. Its certificate says make and model, and the firmware that it was made with;
 * a primary key of the endorsement hierarchy says the firmware of today.
 */
export function advisoriesOf(
  endorsements: Endorsements,
  quote: Quote,
  { snapshot, ak }: Context,
  advisoriesFor: Ports["advisoriesFor"],
): readonly AdvisoryMatch[] {
  const identity = endorsements.ak?.tpm ?? endorsements.ek?.tpm
  if (identity?.vendor === undefined) return []
  const { qualifiedName } = snapshot.device
  const { name, nameAlg } = ak.area
  const tellsFirmware =
    qualifiedName !== undefined &&
    sameBytes(qualifiedName, qualifiedNameOf(ENDORSEMENT_HIERARCHY, name, nameAlg))
  return advisoriesFor({
    manufacturer: identity.vendor,
    model: identity.model,
    firmware: tellsFirmware
      ? firmwareOfQuote(quote.firmwareVersion)
      : firmwareOfCertificate(identity.version),
  })
}
