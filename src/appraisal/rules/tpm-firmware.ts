import { AFFIRMING, type Rule } from "./rule.ts"

/**
 * The TPM's firmware is one that the policy lists, and the one that the device had when it was first seen, or first seen
 * after its operator accepted another. Keys outside the endorsement hierarchy carry a secret constant in firmwareVersion, so that only equality says anything.
 */
export const tpmFirmware: Rule = ({ tpm: { firmwareVersions, firmwareChange } }) => {
  const listed = firmwareVersions && new Set(firmwareVersions.map((version) => BigInt(`0x${version}`)))
  const refused = firmwareChange === "refused"
  return ({ firmwareVersion }, { before }) => {
    if (listed !== undefined && !listed.has(firmwareVersion))
      return {
        tier: "contraindicated",
        code: "TPM_FIRMWARE",
        location: "TPMS_ATTEST.firmwareVersion",
        expected: [...listed].map(shown).join(" or "),
        actual: shown(firmwareVersion),
        claim: ["hardware", 96],
      }
    const first = before?.firmwareVersion
    if (first === undefined || first === firmwareVersion || firmwareChange === "ignored") return AFFIRMING
    return {
      tier: refused ? "contraindicated" : "warning",
      code: "TPM_FIRMWARE",
      location: "TPMS_ATTEST.firmwareVersion",
      expected: shown(first),
      actual: shown(firmwareVersion),
      claim: ["hardware", refused ? 96 : 32],
    }
  }
}

const shown = (firmwareVersion: bigint): string => firmwareVersion.toString(16).padStart(16, "0")
