import { AFFIRMING, type MeasuredRule } from "./rule.ts"

/**
 * Every bank that the policy requires is quoted, with every PCR that it requires. What is required comes from the
 * policy alone, never from the message.
 */
export const pcrSelection: MeasuredRule = ({ pcrs }, { evidence }) => {
  for (const bank of evidence.banks) {
    const quoted = pcrs.get(bank)
    if (quoted === undefined)
      return {
        tier: "contraindicated",
        code: "PCR_BANK",
        location: bank,
        expected: `bank ${bank}`,
        actual: [...pcrs.keys()].join(", "),
        claim: ["executables", 96],
      }
    const absent = evidence.pcrs.filter((pcr) => !quoted.has(pcr))
    if (absent.length > 0)
      return {
        tier: "contraindicated",
        code: "PCR_SELECTION",
        location: `${bank}:${absent.join(",")}`,
        expected: `PCR ${evidence.pcrs.join(",")} of ${bank}`,
        actual: `PCR ${[...quoted.keys()].join(",")}`,
        claim: ["executables", 96],
      }
  }
  return AFFIRMING
}
