import { AFFIRMING, type Rule } from "./rule.ts"

/** The session that is asked for is for a service that the policy names. */
export const audience: Rule =
  ({ session: { audiences } }) =>
  (_claims, { audience }) =>
    audience === undefined || audiences.includes(audience)
      ? AFFIRMING
      : {
          tier: "contraindicated",
          code: "AUDIENCE",
          location: "audience",
          expected: audiences.join(" or "),
          actual: audience,
        }
