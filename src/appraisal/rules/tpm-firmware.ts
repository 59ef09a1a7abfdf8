import { AFFIRMING, type Rule } from "./rule.ts"

/**
 * The TPM's firmware is one that the policy lists, and the one that the device had when it was first seen, or first seen
 * after its operator accepted another. Keys outside the endorsement hierarchy carry a secret constant in firmwareVersion, so that only equality says anything.
 */
export const tpmFirmware: Rule = ({ firmwareVersion }, { tpm }, { before }) => {
  if (tpm.firmwareVersions !== undefined && !tpm.firmwareVersions.includes(shown(firmwareVersion)))
    return {
      tier: "contraindicated",
      code: "TPM_FIRMWARE",
      location: "TPMS_ATTEST.firmwareVersion",
      expected: tpm.firmwareVersions.join(" or "),
      actual: shown(firmwareVersion),
      claim: ["hardware", 96],
    }
  const first = before?.firmwareVersion
  if (first === undefined || first === firmwareVersion || tpm.firmwareChange === "ignored") return AFFIRMING
  const refused = tpm.firmwareChange === "refused"
  return {
    tier: refused ? "contraindicated" : "warning",
    code: "TPM_FIRMWARE",
    location: "TPMS_ATTEST.firmwareVersion",
    expected: shown(first),
    actual: shown(firmwareVersion),
    claim: ["hardware", refused ? 96 : 32],
  }
}

const shown = (firmwareVersion: bigint): string => firmwareVersion.toString(16).padStart(16, "0")
