import { akAlgorithm } from "./ak-algorithm.ts"
import { akBinding } from "./ak-binding.ts"
import { audience } from "./audience.ts"
import { clockOrder } from "./clock-order.ts"
import { clockSafe } from "./clock-safe.ts"
import { deviceState } from "./device-state.ts"
import { ek } from "./ek.ts"
import { eventLog } from "./event-log.ts"
import { pcrSelection } from "./pcr-selection.ts"
import { referenceSets } from "./reference-sets.ts"
import { resets } from "./resets.ts"
import type { MeasuredRule, Rule } from "./rule.ts"
import { sessionKey } from "./session-key.ts"
import { sha1Bank } from "./sha1-bank.ts"
import { tpmAdvisories } from "./tpm-advisories.ts"
import { tpmFirmware } from "./tpm-firmware.ts"
import { tpmMaker } from "./tpm-maker.ts"
import { unextendedBootPcrs } from "./unextended-boot-pcrs.ts"

/** Rules by the names that their findings carry. All of them run on every appraisal. */
type Rules<R> = Readonly<Record<string, R>>

/** Whether the device is in service at all. */
export const STATE_RULES: Rules<Rule> = { "device-state": deviceState }

/** What was measured: these rules read the quoted values, the replay of the log and the policy, and nothing else. */
export const MEASURED_RULES: Rules<MeasuredRule> = {
  "sha1-bank": sha1Bank,
  "pcr-selection": pcrSelection,
  "unextended-boot-pcrs": unextendedBootPcrs,
  "reference-sets": referenceSets,
  "event-log": eventLog,
}

/** Who measured it, when, and for whom. */
export const OTHER_RULES: Rules<Rule> = {
  "ak-binding": akBinding,
  "ak-algorithm": akAlgorithm,
  ek,
  "tpm-maker": tpmMaker,
  "tpm-advisories": tpmAdvisories,
  "tpm-firmware": tpmFirmware,
  "clock-order": clockOrder,
  "clock-safe": clockSafe,
  resets,
  audience,
  "session-key": sessionKey,
}

/** Every rule; of findings of one tier the first rule's comes first. */
export const RULES: Rules<Rule> = { ...STATE_RULES, ...MEASURED_RULES, ...OTHER_RULES }
