import { toHex } from "../../bytes.ts"
import { BOOT_PCR_MAX, isResetValue } from "../../verification/replay.ts"
import { AFFIRMING, type MeasuredRule } from "./rule.ts"

/**
 * No required boot PCR is still at its reset value. Firmware extends each of PCR 0 to 7 at least with a separator;
 * in a bank that it never extends, anybody can replay any log (CVE-2021-42299).
 */
export const unextendedBootPcrs: MeasuredRule = ({ evidence }) => {
  const refused = evidence.unextendedBootPcrs === "refused"
  const bootPcrs = evidence.pcrs.filter((pcr) => pcr <= BOOT_PCR_MAX)
  return ({ pcrs }) => {
    for (const bank of evidence.banks)
      for (const pcr of bootPcrs) {
        const value = pcrs.get(bank)?.get(pcr)
        if (value === undefined || !isResetValue(pcr, value)) continue
        return {
          tier: refused ? "contraindicated" : "warning",
          code: "PCR_BANK",
          location: `${bank}:${pcr}`,
          expected: "a value that the firmware extended",
          actual: toHex(value),
          claim: ["executables", refused ? 96 : 32],
        }
      }
    return AFFIRMING
  }
}
