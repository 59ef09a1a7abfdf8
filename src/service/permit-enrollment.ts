import { sameBytes, toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { actOf } from "./act.ts"
import { askedDigest } from "./asked.ts"
import type { Change, ChangeInput } from "./change-device.ts"
import { checkState } from "./device-verbs.ts"
import type { DeviceView } from "./device-view.ts"
import type { Caller, DeviceRecord, Permit, Ports } from "./ports.ts"

/** What a device may enroll again for, once. */
export interface PermitEnrollmentInput extends ChangeInput {
  readonly kind: Permit["kind"]
  /** Of a board swap: the new endorsement key's digest, 32 bytes. Nothing otherwise. */
  readonly ek: Uint8Array | undefined
  readonly lifetimeMs: number
}

const ACTS = {
  "re-enrollment": "permit-re-enrollment",
  "ak-rotation": "permit-ak-rotation",
  "board-swap": "permit-board-swap",
} as const

const DIGEST_BYTES = 32

/**
 * Allows a device to enroll once more, with the endorsement key that it has, or after a board swap with that of the new
 * board alone. A permit that was there is replaced. Identity changes by this verb and by no other.
 *
 * @throws {AssayError} DEVICE_NOT_FOUND; ETAG; DEVICE_STATE for a device that is revoked or retired; EK_MISSING for one
 *   whose endorsement key is not known; FIELD for a digest that does not fit the kind; REGISTRY, JOURNAL.
 */
export const createPermitEnrollment =
  (ports: Ports, change: Change) =>
  async (input: PermitEnrollmentInput, caller: Caller): Promise<DeviceView> => {
    const { id, etag, kind, ek, lifetimeMs } = input
    checkDigest(input)
    const asked = askedDigest(id, etag, ek ?? "", String(lifetimeMs))
    const act = actOf(ports, caller, ACTS[kind], asked)
    return change(input, caller, act, (device) => {
      checkState(device, ["pending", "active", "suspended"])
      const expiresAt = new Date(act.at.getTime() + lifetimeMs)
      return { permit: { granted: { kind, ek: keyFor(device, input), expiresAt } } }
    })
  }

const checkDigest = ({ kind, ek }: PermitEnrollmentInput): void => {
  if (kind === "board-swap" ? ek?.length === DIGEST_BYTES : ek === undefined) return
  throw new AssayError("FIELD", "ek_digest does not fit the reason", {
    location: "ek_digest",
    expected:
      kind === "board-swap" ? "SHA-256 of the new board's endorsement key" : "nothing: it keeps its own",
    actual: ek === undefined ? "nothing" : `${ek.length} bytes`,
  })
}

const keyFor = (device: DeviceRecord, { kind, ek }: PermitEnrollmentInput): Uint8Array => {
  if (kind === "board-swap") {
    if (ek === undefined || (device.ek !== undefined && sameBytes(ek, device.ek)))
      throw new AssayError(
        "FIELD",
        `${device.id} has this endorsement key already: it needs no other board`,
        {
          location: "ek_digest",
          expected: "the endorsement key of another board",
          ...(ek !== undefined && { actual: toHex(ek) }),
        },
      )
    return ek
  }
  if (device.ek === undefined)
    throw new AssayError(
      "EK_MISSING",
      `the endorsement key of ${device.id} is not known, and so not who may come`,
      {
        location: "id",
        expected: "a board swap, with the endorsement key's digest",
      },
    )
  return device.ek
}
