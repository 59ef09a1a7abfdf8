import { AFFIRMING, affirm, type Rule } from "./rule.ts"

/**
 * A device that quotes any nonce it is handed answers relying parties' nonces and nothing else: it would answer
 * another's challenge or epoch without noticing. A session for it needs a key that its TPM certified: whoever made it quote
 * his own challenge then has a session that only the device can use.
 */
export const sessionKey: Rule = ({ evidence }) => {
  if (!evidence.rawNonce) return affirm
  return ({ certifiedKey }, { freshness }) =>
    freshness === "nonce" || (freshness === "challenge" && certifiedKey !== undefined)
      ? AFFIRMING
      : {
          tier: "contraindicated",
          code: freshness === "challenge" ? "SESSION_KEY_UNCERTIFIED" : "RAW_NONCE",
          location: "confirmation",
          expected:
            freshness === "challenge"
              ? "a session key that the device's TPM certified"
              : "a relying party's nonce",
          actual: "a policy that lets the device quote raw nonces",
        }
}
