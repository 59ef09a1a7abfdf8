import type { Code } from "../errors.ts"

/** Trustworthiness tiers (AR4SI, 3.2), from nothing known to the worst. */
export type Tier = "none" | "affirming" | "warning" | "contraindicated"

const RANK: Readonly<Record<Tier, number>> = { none: 0, affirming: 1, warning: 2, contraindicated: 3 }

/** The worst of all tiers; `none` of no tiers. */
export const worstTier = (tiers: Iterable<Tier>): Tier => {
  let worst: Tier = "none"
  for (const tier of tiers) if (RANK[tier] > RANK[worst]) worst = tier
  return worst
}

const WORST_FIRST: readonly Tier[] = ["contraindicated", "warning", "affirming", "none"]

/** Findings as people read them: the worst first, those of one tier in their order. */
export const worstFirst = (findings: readonly Finding[]): Finding[] => {
  const ordered: Finding[] = []
  for (const tier of WORST_FIRST)
    for (const finding of findings) if (finding.tier === tier) ordered.push(finding)
  return ordered
}

/** The claims of an AR4SI trustworthiness vector (AR4SI, 2.3; names as in EAR). */
export const TRUST_CLAIMS = [
  "instance-identity",
  "configuration",
  "executables",
  "file-system",
  "hardware",
  "runtime-opaque",
  "storage-opaque",
  "sourced-data",
] as const

/** One of the claims. */
export type TrustClaim = (typeof TRUST_CLAIMS)[number]

/** A trustworthiness vector: signed 8-bit values; a claim that is absent says nothing. */
export type TrustVector = Readonly<Partial<Record<TrustClaim, number>>>

/** 99 always means that cryptographic validation failed. */
export const CRYPTO_VALIDATION_FAILED = 99

/** What one check or rule found. */
export interface Finding {
  readonly rule: string
  readonly tier: Tier
  /** Absent if there is nothing to say. */
  readonly code?: Code
  readonly expected?: string
  readonly actual?: string
  /** Where: a field, a PCR, an event. */
  readonly location?: string
  /** The claim that it moves, and to what. */
  readonly claim?: readonly [TrustClaim, number]
}

/** The tier that a value of a trustworthiness claim belongs to (AR4SI, 2.3.1). Private, negative values end one lower. */
export const tierOf = (value: number): Tier => {
  if (value >= -1 && value <= 1) return "none"
  const magnitude = value < 0 ? -value - 1 : value
  if (magnitude >= 96) return "contraindicated"
  return magnitude >= 32 ? "warning" : "affirming"
}

/** The vector that the findings add up to: of several values for one claim, the worst wins. */
export const vectorOf = (findings: Iterable<Finding>): TrustVector => {
  const vector: Partial<Record<TrustClaim, number>> = {}
  for (const { claim } of findings) {
    if (claim === undefined) continue
    const [name, value] = claim
    const before = vector[name]
    if (before === undefined || Math.abs(value) > Math.abs(before)) vector[name] = value
  }
  return vector
}
