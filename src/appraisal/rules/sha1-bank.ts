import { AFFIRMING, type Found, type MeasuredRule } from "./rule.ts"

/** A SHA-1 bank in the quote satisfies nothing; whether it may be there at all is the policy's to say. */
export const sha1Bank: MeasuredRule = ({ evidence }) => {
  const refused = evidence.sha1Bank === "refused"
  const present: Found = {
    tier: refused ? "contraindicated" : "warning",
    code: "PCR_BANK",
    location: "sha1",
    expected: "sha256 or stronger",
    actual: "sha1",
    claim: ["configuration", refused ? 96 : 32],
  }
  return ({ pcrs }) => (pcrs.has("sha1") ? present : AFFIRMING)
}
