import type { ClockInfo } from "../../evidence/tpm/attest.ts"
import { AFFIRMING, type Rule } from "./rule.ts"

/**
 * The quote is not older than one that the device has already answered with, and its TPM was not cleared since.
 *
 * Quotes are ordered by (resetCount, restartCount), then clock. Across a reset the clock says nothing: after a loss
 * of power it may lie below a value that was already reported.
 */
export const clockOrder: Rule = ({ clockInfo }, _policy, { before }) =>
  before === undefined || !isRollback(before, clockInfo)
    ? AFFIRMING
    : {
        tier: "contraindicated",
        code: "CLOCK_INFO_ROLLBACK",
        location: "TPMS_ATTEST.clockInfo",
        expected: `not before ${shown(before)}`,
        actual: shown(clockInfo),
        claim: ["instance-identity", 96],
      }

/** Whether `now` lies before `then`: an older quote, or a TPM that was cleared. */
export const isRollback = (then: ClockInfo, now: ClockInfo): boolean => {
  const resets = advance(then.resetCount, now.resetCount)
  if (resets !== 0) return resets < 0
  const restarts = advance(then.restartCount, now.restartCount)
  if (restarts !== 0) return restarts < 0
  return now.clockMs < then.clockMs
}

/**
 * How far a 32-bit counter moved, modulo 2^32: keys outside the endorsement hierarchy add a constant to it, so that
 * it may wrap and only differences are right.
 */
export const advance = (then: number, now: number): number => (now - then) | 0

const shown = ({ resetCount, restartCount, clockMs }: ClockInfo): string =>
  `reset ${resetCount}, restart ${restartCount}, clock ${clockMs} ms`
