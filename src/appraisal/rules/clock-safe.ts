import { AFFIRMING, type Rule } from "./rule.ts"

/** The TPM was shut down before it last lost power. Pulling the plug is usual; it is not betrayal. */
export const clockSafe: Rule = ({ clockInfo }, { clock }) => {
  if (clockInfo.safe || clock.unsafe === "ignored") return AFFIRMING
  const refused = clock.unsafe === "refused"
  return {
    tier: refused ? "contraindicated" : "warning",
    code: "CLOCK_INFO_UNSAFE",
    location: "TPMS_ATTEST.clockInfo.safe",
    expected: "yes",
    actual: "no",
    claim: ["configuration", refused ? 96 : 32],
  }
}
