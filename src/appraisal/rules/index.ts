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
import type { Rule } from "./rule.ts"
import { sessionKey } from "./session-key.ts"
import { sha1Bank } from "./sha1-bank.ts"
import { tpmAdvisories } from "./tpm-advisories.ts"
import { tpmFirmware } from "./tpm-firmware.ts"
import { tpmMaker } from "./tpm-maker.ts"
import { unextendedBootPcrs } from "./unextended-boot-pcrs.ts"

/**
 * Every rule, by the name that its findings carry. All of them run on every appraisal; of findings of one tier the
 * first rule's comes first.
 */
export const RULES: Readonly<Record<string, Rule>> = {
  "device-state": deviceState,
  "sha1-bank": sha1Bank,
  "pcr-selection": pcrSelection,
  "unextended-boot-pcrs": unextendedBootPcrs,
  "reference-sets": referenceSets,
  "event-log": eventLog,
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
