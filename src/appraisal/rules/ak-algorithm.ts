import { AFFIRMING, type Rule } from "./rule.ts"

/** The attestation key signs by a scheme and a hash that the policy accepts. */
export const akAlgorithm: Rule =
  ({ ak: { schemes, hashes } }) =>
  ({ ak: { scheme, hash } }) => {
    const fits = (schemes?.includes(scheme) ?? true) && (hashes?.some((allowed) => allowed === hash) ?? true)
    return fits
      ? AFFIRMING
      : {
          tier: "contraindicated",
          code: "AK_ALGORITHM",
          location: "attestation key",
          expected: `${schemes?.join(" or ") ?? "any scheme"} with ${hashes?.join(" or ") ?? "any hash"}`,
          actual: `${scheme} with ${hash}`,
          claim: ["instance-identity", 96],
        }
  }
