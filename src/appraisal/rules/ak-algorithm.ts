import { AFFIRMING, type Rule } from "./rule.ts"

/** The attestation key signs by a scheme and a hash that the policy accepts. */
export const akAlgorithm: Rule = (claims, { ak }) => {
  const { scheme, hash } = claims.ak
  const fits =
    (ak.schemes?.includes(scheme) ?? true) && (ak.hashes?.some((allowed) => allowed === hash) ?? true)
  return fits
    ? AFFIRMING
    : {
        tier: "contraindicated",
        code: "AK_ALGORITHM",
        location: "attestation key",
        expected: `${ak.schemes?.join(" or ") ?? "any scheme"} with ${ak.hashes?.join(" or ") ?? "any hash"}`,
        actual: `${scheme} with ${hash}`,
        claim: ["instance-identity", 96],
      }
}
