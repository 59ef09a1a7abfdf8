import { toHex } from "../../bytes.ts"
import type { PcrValues } from "../../evidence/tpm/pcrs.ts"
import type { Finding } from "../finding.ts"
import type { Policy, ReferenceSet, ReferenceValue } from "../policy.ts"
import type { MeasuredRule } from "./rule.ts"

/**
 * The quote matches one reference set as a whole: each value of the set is quoted and equal, and the set has a value
 * for each PCR that the policy requires. Never PCR 0 of one set with PCR 7 of another.
 *
 * Of several sets that do not match, the finding is about the nearest: the one with the fewest differences.
 */
export const referenceSets: MeasuredRule = ({ pcrs }, policy) => {
  const complete = policy.references.filter((set) => firstUncovered(set, policy) === undefined)
  const comparable = complete.filter((set) =>
    set.values.every((value) => quotedValue(pcrs, value) !== undefined),
  )
  const [nearest] = comparable
    .map((set) => ({ set, differences: differencesOf(set, pcrs) }))
    .toSorted((a, b) => a.differences.length - b.differences.length)
  if (nearest === undefined) return noReference(complete, pcrs, policy)
  const [difference] = nearest.differences
  if (difference === undefined) return { tier: "affirming", claim: ["executables", 3] }
  return {
    tier: "contraindicated",
    code: "REFERENCE_SET",
    location: `${nearest.differences.map(({ bank, pcr }) => `${bank}:${pcr}`).join(" ")} of ${nearest.set.name}`,
    expected: difference.value,
    actual: quotedValue(pcrs, difference) ?? "",
    claim: ["executables", 96],
  }
}

const quotedValue = (pcrs: PcrValues, { bank, pcr }: ReferenceValue): string | undefined => {
  const value = pcrs.get(bank)?.get(pcr)
  return value === undefined ? undefined : toHex(value)
}

const differencesOf = (set: ReferenceSet, pcrs: PcrValues): ReferenceValue[] =>
  set.values.filter((reference) => quotedValue(pcrs, reference) !== reference.value)

/** The first required PCR that the set has no value for. */
const firstUncovered = (set: ReferenceSet, { evidence }: Policy): string | undefined => {
  for (const bank of evidence.banks)
    for (const pcr of evidence.pcrs)
      if (!set.values.some((value) => value.bank === bank && value.pcr === pcr)) return `${bank}:${pcr}`
  return undefined
}

/** Either no set covers what is required, or each that does names a PCR that was not quoted. */
const noReference = (
  complete: readonly ReferenceSet[],
  pcrs: PcrValues,
  policy: Policy,
): Omit<Finding, "rule"> => {
  const refusal = { tier: "contraindicated", code: "NO_REFERENCE", claim: ["executables", 96] } as const
  const unquoted = complete.flatMap((set) =>
    set.values.filter((value) => quotedValue(pcrs, value) === undefined),
  )[0]
  if (unquoted !== undefined)
    return {
      ...refusal,
      location: `${unquoted.bank}:${unquoted.pcr}`,
      expected: unquoted.value,
      actual: "not quoted",
    }
  const location = policy.references.flatMap((set) => firstUncovered(set, policy) ?? [])[0] ?? "references"
  return { ...refusal, location, expected: "a reference value", actual: "none in any set" }
}
