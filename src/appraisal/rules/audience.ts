import { AFFIRMING, type Rule } from "./rule.ts"

/** The session that is asked for is for a service that the policy names. */
export const audience: Rule = (_claims, { session }, circumstances) =>
  circumstances.audience === undefined || session.audiences.includes(circumstances.audience)
    ? AFFIRMING
    : {
        tier: "contraindicated",
        code: "AUDIENCE",
        location: "audience",
        expected: session.audiences.join(" or "),
        actual: circumstances.audience,
      }
