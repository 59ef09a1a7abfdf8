import { AssayError } from "../errors.ts"
import type { Counters } from "../service/ports.ts"
import { instant, instantColumn, integer, optional, type Row, u64 } from "./row.ts"
import { u64Bytes } from "./u64.ts"

/** The counters in a row that has all columns of that table. */
export const countersFrom = (row: Row): Counters => ({
  clockMs: u64(row, "clock_ms"),
  resetCount: integer(row, "reset_count"),
  restartCount: integer(row, "restart_count"),
  safe: integer(row, "safe") === 1,
  firmwareVersion: optional(u64, row, "firmware_version"),
  recordedAt: instant(row, "recorded_at"),
})

/** The columns of counters. */
export const counterColumns = (counters: Counters) => ({
  clock_ms: u64Bytes(counters.clockMs),
  reset_count: counters.resetCount,
  restart_count: counters.restartCount,
  safe: counters.safe ? 1 : 0,
  firmware_version: counters.firmwareVersion === undefined ? null : u64Bytes(counters.firmwareVersion),
  recorded_at: instantColumn(counters.recordedAt),
})

/**
 * What is to be stored after a device answered with `ours` while `stored` was there: the later of both.
 *
 * Boots are ordered by (resetCount, restartCount), within a boot the clock orders. Both counts may carry a constant
 * that only the TPM knows, so that they wrap anywhere: of two counts the later is the one less than 2^31 ahead,
 * modulo 2^32. Across a reset neither the restart count nor the clock says anything.
 *
 * @param known Whether the evidence was judged with any counters before it. If not, and there are some now, two first
 *   answers raced: then ours was compared with nothing, and holds only if there was nothing to find.
 * @throws {AssayError} SNAPSHOT_MOVED if `stored` is of a later boot: the device has meanwhile answered from it; or if
 *   two first answers differ.
 * @see TPM 2.0 Library, Part 2: Structures, 10.11.1 (TPMS_CLOCK_INFO).
 */
export function laterCounters(stored: Counters | undefined, ours: Counters, known: boolean): Counters {
  if (stored === undefined) return ours
  const boots =
    wrappedDifference(ours.resetCount, stored.resetCount) ||
    wrappedDifference(ours.restartCount, stored.restartCount)
  if (boots < 0)
    throw new AssayError(
      "SNAPSHOT_MOVED",
      "the device has meanwhile answered from a later boot: attest again",
    )
  if ((!known && boots !== 0) || isOther(stored.firmwareVersion, ours.firmwareVersion))
    throw new AssayError(
      "SNAPSHOT_MOVED",
      "the device has meanwhile answered for the first time, from another boot or firmware: attest again",
    )
  return boots === 0 && stored.clockMs > ours.clockMs ? stored : ours
}

/**
 * The higher of both, of each that orders: of boots and clock the later, as `laterCounters` says, of firmware versions the
 * greater. For what was kept in two places of one TPM.
 */
export const higherCounters = (a: Counters | undefined, b: Counters | undefined): Counters | undefined => {
  if (a === undefined || b === undefined) return a ?? b
  const boots =
    wrappedDifference(a.resetCount, b.resetCount) || wrappedDifference(a.restartCount, b.restartCount)
  const later = boots > 0 || (boots === 0 && a.clockMs >= b.clockMs) ? a : b
  const [one, other] = [a.firmwareVersion, b.firmwareVersion]
  const firmwareVersion =
    one === undefined || other === undefined ? (one ?? other) : one > other ? one : other
  return { ...later, firmwareVersion }
}

/** A firmware version is seen once: two that differ were both judged as the first. */
const isOther = (stored: bigint | undefined, ours: bigint | undefined): boolean =>
  stored !== undefined && stored !== ours

/** a − b modulo 2^32, from −2^31 to 2^31 − 1: exactly half a turn counts as behind. */
const wrappedDifference = (a: number, b: number): number => (a - b) | 0
