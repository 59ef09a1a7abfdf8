import { AFFIRMING, type Rule } from "./rule.ts"

/**
 * A device that quotes any nonce it is handed gets no session: it would answer another's challenge without noticing.
 */
export const sessionKey: Rule = (_claims, { evidence }, circumstances) =>
  circumstances.audience === undefined || !evidence.rawNonce
    ? AFFIRMING
    : {
        tier: "contraindicated",
        code: "SESSION_KEY_UNCERTIFIED",
        location: "confirmation",
        expected: "a session key that the device's TPM certified",
        actual: "none, and the policy lets the device quote raw nonces",
      }
