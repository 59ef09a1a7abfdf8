import type { ClockInfo } from "../../evidence/tpm/attest.ts"
import { AFFIRMING, type Circumstances, type Rule } from "./rule.ts"

/**
 * The quote is not older than one that the device has already answered with, and its TPM was not cleared since.
 *
 * Quotes are ordered by (resetCount, restartCount), then clock. Across a reset the clock says nothing: after a loss
 * of power it may lie below a value that was already reported.
 */
export const clockOrder: Rule =
  () =>
  ({ clockInfo }, circumstances) => {
    const { before } = circumstances
    return before === undefined || !isRollback(clockInfo, circumstances)
      ? AFFIRMING
      : {
          tier: "contraindicated",
          code: "CLOCK_INFO_ROLLBACK",
          location: "TPMS_ATTEST.clockInfo",
          expected: `not before ${shown(before)}`,
          actual: shown(clockInfo),
          claim: ["instance-identity", 96],
        }
  }

/**
 * Whether `now` is of an earlier boot than the device has answered from, or of an earlier time in the same boot.
 *
 * Within a boot an earlier time is a rollback only if what came before was recorded before this evidence can have been
 * made. Otherwise two answers were under way at a time and arrived in the other order, and neither is older than its
 * own challenge: whoever attests a device must not spoil what others are about to show of it.
 */
export const isRollback = (
  now: ClockInfo,
  { before, freshSince }: Pick<Circumstances, "before" | "freshSince">,
): boolean => {
  if (before === undefined) return false
  const boots = advance(before.resetCount, now.resetCount) || advance(before.restartCount, now.restartCount)
  if (boots !== 0) return boots < 0
  return now.clockMs < before.clockMs && before.recordedAt < freshSince
}

/**
 * How far a 32-bit counter moved, modulo 2^32: keys outside the endorsement hierarchy add a constant to it, so that
 * it may wrap and only differences are right.
 */
export const advance = (then: number, now: number): number => (now - then) | 0

const shown = ({ resetCount, restartCount, clockMs }: ClockInfo): string =>
  `reset ${resetCount}, restart ${restartCount}, clock ${clockMs} ms`
