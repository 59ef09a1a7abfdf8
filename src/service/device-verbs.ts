import { AssayError } from "../errors.ts"
import { actOf } from "./act.ts"
import { askedDigest } from "./asked.ts"
import { type Change, type ChangeInput, decided } from "./change-device.ts"
import type { DeviceView } from "./device-view.ts"
import type { Caller, DeviceChange, DeviceRecord, DeviceState, JournalAct, Ports } from "./ports.ts"

/** What moves a device from one state to another. */
export type DeviceVerb =
  | "approve"
  | "suspend"
  | "resume"
  | "revoke"
  | "retire"
  | "transfer"
  | "acceptFirmware"

interface Move {
  readonly act: JournalAct
  /** The states that a device may be in. */
  readonly from: readonly DeviceState[]
  readonly change: DeviceChange
}

/**
 * Every verb. A pending device cannot be suspended, for to resume it would let it in without approval. A revoked one cannot be
 * transferred: whoever is no longer trusted gets no new id with the same keys.
 */
const MOVES: Readonly<Record<DeviceVerb, Move>> = {
  approve: { act: "approve-device", from: ["pending"], change: { state: "active" } },
  suspend: { act: "suspend-device", from: ["active"], change: { state: "suspended", endsSessions: true } },
  resume: { act: "resume-device", from: ["suspended"], change: { state: "active" } },
  revoke: {
    act: "revoke-device",
    from: ["pending", "active", "suspended"],
    change: { state: "revoked", permit: { granted: undefined }, endsSessions: true },
  },
  retire: {
    act: "retire-device",
    from: ["pending", "active", "suspended"],
    change: { state: "retired", permit: { granted: undefined }, endsSessions: true },
  },
  transfer: {
    act: "transfer-device",
    from: ["pending", "active", "suspended", "retired"],
    change: { state: "retired", permit: { granted: undefined }, releaseKeys: true, endsSessions: true },
  },
  acceptFirmware: {
    act: "accept-firmware",
    from: ["pending", "active", "suspended"],
    change: { forgetsFirmware: true },
  },
}

/**
 * Changes where a device stands.
 *
 * @throws {AssayError} DEVICE_NOT_FOUND; ETAG; DEVICE_STATE for a device that the verb is not for; REGISTRY, JOURNAL.
 */
export const createMoveDevice =
  (ports: Ports, change: Change) =>
  (verb: DeviceVerb, input: ChangeInput, caller: Caller): Promise<DeviceView> => {
    const { act, from, change: made } = MOVES[verb]
    const { state, ...rest } = made
    const asked = askedDigest(input.id, input.etag)
    return change(input, caller, actOf(ports, caller, act, asked), (device) => {
      checkState(device, from)
      return device.state === state ? rest : made
    })
  }

/**
 * Forgets a device, whatever its state. Its sessions end, and its id is never given again.
 *
 * @throws {AssayError} DEVICE_NOT_FOUND; ETAG; REGISTRY, JOURNAL.
 */
export const createDeleteDevice =
  (ports: Ports) =>
  (input: ChangeInput, caller: Caller): Promise<void> => {
    const act = actOf(ports, caller, "delete-device", askedDigest(input.id, input.etag))
    return decided(ports, input, caller, ({ id, revision }) =>
      ports.devices.remove(caller.tenant, id, revision, act),
    )
  }

/** @throws {AssayError} DEVICE_STATE. */
export const checkState = ({ id, state }: DeviceRecord, allowed: readonly DeviceState[]): void => {
  if (!allowed.includes(state))
    throw new AssayError("DEVICE_STATE", `${id} is ${state}`, {
      location: "id",
      expected: `a device that is ${allowed.join(" or ")}`,
      actual: state,
    })
}
