import { AFFIRMING, affirm, type Found, type Rule } from "./rule.ts"

/** The TPM was shut down before it last lost power. Pulling the plug is usual; it is not betrayal. */
export const clockSafe: Rule = ({ clock }) => {
  if (clock.unsafe === "ignored") return affirm
  const refused = clock.unsafe === "refused"
  const unsafe: Found = {
    tier: refused ? "contraindicated" : "warning",
    code: "CLOCK_INFO_UNSAFE",
    location: "TPMS_ATTEST.clockInfo.safe",
    expected: "yes",
    actual: "no",
    claim: ["configuration", refused ? 96 : 32],
  }
  return ({ clockInfo }) => (clockInfo.safe ? AFFIRMING : unsafe)
}
