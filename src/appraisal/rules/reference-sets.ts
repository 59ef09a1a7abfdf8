import { fromHex, sameBytes, toHex } from "../../bytes.ts"
import type { HashName } from "../../evidence/tpm/algorithm.ts"
import type { PcrValues } from "../../evidence/tpm/pcrs.ts"
import type { Policy, ReferenceSet } from "../policy.ts"
import type { Found, MeasuredRule } from "./rule.ts"

/**
 * The quote matches one reference set as a whole: each value of the set is quoted and equal, and the set has a value
 * for each PCR that the policy requires. Never PCR 0 of one set with PCR 7 of another.
 *
 * Of several sets that do not match, the finding is about the nearest: the one with the fewest differences.
 */
export const referenceSets: MeasuredRule = (policy) => {
  const complete = policy.references.filter((set) => firstUncovered(set, policy) === undefined).map(golden)
  const [uncovered = "references"] = policy.references.flatMap((set) => firstUncovered(set, policy) ?? [])
  return ({ pcrs }) =>
    complete.some((set) => isMatch(set, pcrs)) ? MATCHED : mismatch(complete, uncovered, pcrs)
}

const MATCHED: Found = { tier: "affirming", claim: ["executables", 3] }

/** A reference set as bytes. Nobody else has them: bytes cannot be frozen, as the policy is. */
interface GoldenSet {
  readonly name: string
  readonly values: readonly GoldenValue[]
}

interface GoldenValue {
  readonly bank: HashName
  readonly pcr: number
  readonly value: Uint8Array
}

const golden = ({ name, values }: ReferenceSet): GoldenSet => ({
  name,
  values: values.map(({ bank, pcr, value }) => ({ bank, pcr, value: fromHex(value) ?? NO_VALUE })),
})

/** No PCR has it. */
const NO_VALUE = new Uint8Array()

const isMatch = ({ values }: GoldenSet, pcrs: PcrValues): boolean =>
  values.every((value) => isQuoted(value, pcrs))

const isQuoted = (golden: GoldenValue, pcrs: PcrValues): boolean => {
  const quoted = quotedValue(golden, pcrs)
  return quoted !== undefined && sameBytes(quoted, golden.value)
}

const quotedValue = ({ bank, pcr }: GoldenValue, pcrs: PcrValues): Uint8Array | undefined =>
  pcrs.get(bank)?.get(pcr)

/** The first required PCR that the set has no value for. */
const firstUncovered = (set: ReferenceSet, { evidence }: Policy): string | undefined => {
  for (const bank of evidence.banks)
    for (const pcr of evidence.pcrs)
      if (!set.values.some((value) => value.bank === bank && value.pcr === pcr)) return `${bank}:${pcr}`
  return undefined
}

const REFUSAL = { tier: "contraindicated", claim: ["executables", 96] } as const

/** What to say of a quote that matches none of the sets that cover what is required. */
const mismatch = (complete: readonly GoldenSet[], uncovered: string, pcrs: PcrValues): Found => {
  const [nearest] = complete
    .flatMap((set) => differencesOf(set, pcrs) ?? [])
    .toSorted((a, b) => a.places.length - b.places.length)
  if (nearest === undefined) return noReference(complete, uncovered, pcrs)
  const { name, places, expected, actual } = nearest
  return { ...REFUSAL, code: "REFERENCE_SET", location: `${places.join(" ")} of ${name}`, expected, actual }
}

/** Where a quote differs from a set, and how at the first of these places; nothing if not all of the set is quoted. */
const differencesOf = ({ name, values }: GoldenSet, pcrs: PcrValues) => {
  if (values.some((value) => quotedValue(value, pcrs) === undefined)) return undefined
  const differing = values.filter((value) => !isQuoted(value, pcrs))
  const [first] = differing
  const quoted = first && quotedValue(first, pcrs)
  return (
    first &&
    quoted && { name, places: differing.map(placeOf), expected: toHex(first.value), actual: toHex(quoted) }
  )
}

const placeOf = ({ bank, pcr }: GoldenValue): string => `${bank}:${pcr}`

/** Either no set covers what is required, or each that does names a PCR that was not quoted. */
const noReference = (complete: readonly GoldenSet[], uncovered: string, pcrs: PcrValues): Found => {
  const refusal = { ...REFUSAL, code: "NO_REFERENCE" } as const
  const [unquoted] = complete.flatMap(({ values }) =>
    values.filter((value) => quotedValue(value, pcrs) === undefined),
  )
  return unquoted === undefined
    ? { ...refusal, location: uncovered, expected: "a reference value", actual: "none in any set" }
    : { ...refusal, location: placeOf(unquoted), expected: toHex(unquoted.value), actual: "not quoted" }
}
