import { AssayError } from "../errors.ts"
import type { DeviceChange, DeviceRecord, DeviceState } from "../service/ports.ts"

/** Where a device can go from each state. Nobody comes back from the last two. */
const NEXT: Readonly<Record<DeviceState, readonly DeviceState[]>> = {
  pending: ["active", "revoked", "retired"],
  active: ["suspended", "revoked", "retired"],
  suspended: ["active", "revoked", "retired"],
  revoked: [],
  retired: [],
}

/** Whether a device of this state is never let in again. */
export const isFinal = (state: DeviceState): boolean => NEXT[state].length === 0

/**
 * A device after a change, with its next revision.
 *
 * @throws {AssayError} DEVICE_STATE for a state that it cannot go to; for keys or a permit of a device that never comes back;
 *   and for taking the keys off one that may.
 */
export const changedDevice = (before: DeviceRecord, change: DeviceChange): DeviceRecord => {
  const { state = before.state } = change
  if (change.state !== undefined && !NEXT[before.state].includes(change.state))
    throw refusal(before, `cannot become ${change.state}`, NEXT[before.state])
  const givesKeys = change.keys !== undefined || change.permit?.granted !== undefined
  if (givesKeys && isFinal(state)) throw refusal(before, "cannot get keys", ["active"])
  if (change.releaseKeys === true && !isFinal(state))
    throw refusal(before, "cannot be without its keys", ["revoked", "retired"])
  const keys = change.releaseKeys === true ? NO_KEYS : change.keys
  return {
    ...before,
    ...keys,
    state,
    group: change.group ?? before.group,
    labels: change.labels ?? before.labels,
    policy: change.policy === undefined ? before.policy : change.policy.name,
    permit: isFinal(state) ? undefined : change.permit === undefined ? before.permit : change.permit.granted,
    counters: countersAfter(before, change),
    revision: before.revision + 1,
  }
}

const countersAfter = ({ counters }: DeviceRecord, change: DeviceChange): DeviceRecord["counters"] => {
  const after = change.counters === undefined ? counters : change.counters.from
  return change.forgetsFirmware === true && after !== undefined
    ? { ...after, firmwareVersion: undefined }
    : after
}

const NO_KEYS = {
  akPublic: new Uint8Array(),
  akName: new Uint8Array(),
  qualifiedName: undefined,
  ek: undefined,
  endorsement: { ekCertificateChain: [], akCertificateChain: [], ekDigest: undefined },
}

const refusal = ({ id, state }: DeviceRecord, what: string, expected: readonly DeviceState[]): AssayError =>
  new AssayError("DEVICE_STATE", `the device ${id} is ${state} and ${what}`, {
    expected: expected.length === 0 ? "nothing: it never comes back" : expected.join(" or "),
    actual: state,
  })
