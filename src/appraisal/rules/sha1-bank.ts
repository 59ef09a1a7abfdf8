import { AFFIRMING, type MeasuredRule } from "./rule.ts"

/** A SHA-1 bank in the quote satisfies nothing; whether it may be there at all is the policy's to say. */
export const sha1Bank: MeasuredRule = ({ pcrs }, { evidence }) => {
  if (!pcrs.has("sha1")) return AFFIRMING
  const refused = evidence.sha1Bank === "refused"
  return {
    tier: refused ? "contraindicated" : "warning",
    code: "PCR_BANK",
    location: "sha1",
    expected: "sha256 or stronger",
    actual: "sha1",
    claim: ["configuration", refused ? 96 : 32],
  }
}
