import type { HashName } from "../evidence/tpm/algorithm.ts"
import type { ClockInfo } from "../evidence/tpm/attest.ts"
import type { PcrValues, UntrustedPcrs } from "../evidence/tpm/pcrs.ts"
import type { SchemeName } from "../evidence/tpm/signature.ts"
import type { CertifiedKey } from "./certification.ts"
import { type Endorsements, NO_ENDORSEMENTS } from "./endorsements.ts"
import type { AttestationKey } from "./key.ts"
import type { LogOutcome } from "./log-outcome.ts"
import { type Quote, verifyPcrs } from "./quote.ts"
import { type Replay, verifyReplay } from "./replay.ts"
import { type Verified, vouch } from "./verified.ts"

/** What is true of the device, as far as its evidence proves it. */
export interface Claims {
  readonly ak: { readonly scheme: SchemeName; readonly hash: HashName }
  readonly pcrs: PcrValues
  readonly clockInfo: ClockInfo
  readonly firmwareVersion: bigint
  /** Absent if the device showed no log. */
  readonly replay: Replay | undefined
  /** What vouches for the device's keys. */
  readonly endorsements: Endorsements
  /** The key of the TPM that the session is to be bound to, if there is one. */
  readonly certifiedKey: CertifiedKey | undefined
}

/**
 * Everything that a proven quote vouches for: its PCR values, and the log that leads to them.
 *
 * @throws {AssayError} as `verifyPcrs` and `verifyReplay`.
 */
export function verifyClaims(
  quote: Verified<Quote>,
  shown: { readonly pcrs: UntrustedPcrs; readonly eventLog: LogOutcome | undefined },
  ak: Verified<AttestationKey>,
  endorsements: Verified<Endorsements> = NO_ENDORSEMENTS,
  certifiedKey?: Verified<CertifiedKey>,
): Verified<Claims> {
  const pcrs = verifyPcrs(quote, shown.pcrs)
  const replay = shown.eventLog === undefined ? undefined : verifyReplay(pcrs, shown.eventLog)
  const { clockInfo, firmwareVersion } = quote
  return vouch({
    ak: { scheme: ak.scheme.kind, hash: ak.scheme.hash },
    pcrs,
    clockInfo,
    firmwareVersion,
    replay,
    endorsements,
    certifiedKey,
  })
}
