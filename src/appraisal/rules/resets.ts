import { advance } from "./clock-order.ts"
import { AFFIRMING, affirm, type Rule } from "./rule.ts"

/**
 * Not more resets lie between two attestations than the policy allows. Several where the device reports one boot
 * are suspicious: a TPM that is reset under a running system can be fed good measurements again.
 */
export const resets: Rule = ({ clock: { resetsMax } }) => {
  if (resetsMax === undefined) return affirm
  return ({ clockInfo }, { before }) => {
    if (before === undefined) return AFFIRMING
    const count = advance(before.resetCount, clockInfo.resetCount)
    return count <= resetsMax
      ? AFFIRMING
      : {
          tier: "contraindicated",
          code: "CLOCK_INFO_RESETS",
          location: "TPMS_ATTEST.clockInfo.resetCount",
          expected: `at most ${resetsMax} since the last attestation`,
          actual: String(count),
          claim: ["configuration", 96],
        }
  }
}
