import { AFFIRMING, type MeasuredRule } from "./rule.ts"

/**
 * Every bank that the policy requires is quoted, with every PCR that it requires. What is required comes from the
 * policy alone, never from the message.
 */
export const pcrSelection: MeasuredRule = ({ evidence: { banks, pcrs: required } }) => {
  return ({ pcrs }) => {
    for (const bank of banks) {
      const quoted = pcrs.get(bank)
      if (quoted === undefined)
        return {
          ...REFUSAL,
          code: "PCR_BANK",
          location: bank,
          expected: `bank ${bank}`,
          actual: [...pcrs.keys()].join(", "),
        }
      if (required.every((pcr) => quoted.has(pcr))) continue
      return {
        ...REFUSAL,
        code: "PCR_SELECTION",
        location: `${bank}:${required.filter((pcr) => !quoted.has(pcr)).join(",")}`,
        expected: `PCR ${required.join(",")} of ${bank}`,
        actual: `PCR ${[...quoted.keys()].join(",")}`,
      }
    }
    return AFFIRMING
  }
}

const REFUSAL = { tier: "contraindicated", claim: ["executables", 96] } as const
