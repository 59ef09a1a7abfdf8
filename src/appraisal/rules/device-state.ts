import { AFFIRMING, type Rule } from "./rule.ts"

/**
 * The device is active, as its operator has it. One that waits for approval, is suspended, revoked or retired is
 * recognized, and not to be trusted, whatever its evidence says.
 */
export const deviceState: Rule =
  () =>
  (_claims, { state }) =>
    state === "active"
      ? AFFIRMING
      : {
          tier: "contraindicated",
          code: "DEVICE_STATE",
          location: "device",
          expected: "active",
          actual: state,
          claim: ["instance-identity", UNTRUSTED],
        }

/** Recognized, but not trusted (AR4SI, 2.3.3). */
const UNTRUSTED = 96
