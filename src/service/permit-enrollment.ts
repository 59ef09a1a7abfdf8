import { sameBytes, toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { parseName } from "../evidence/tpm/public.ts"
import { actOf } from "./act.ts"
import { askedDigest } from "./asked.ts"
import type { Change, ChangeInput } from "./change-device.ts"
import { checkState } from "./device-verbs.ts"
import type { DeviceView } from "./device-view.ts"
import type { Caller, DeviceRecord, Permit, PermittedKey, Ports } from "./ports.ts"

/** What a device may enroll again for, once. */
export interface PermitEnrollmentInput extends ChangeInput {
  readonly kind: Permit["kind"]
  /** Of a board swap: the new endorsement key's digest, 32 bytes. Nothing otherwise. */
  readonly ek: Uint8Array | undefined
  /**
   * Of a device whose endorsement key is not known, unless its board is swapped: the Name of the attestation key that it will
   * come with. Nothing otherwise.
   */
  readonly akName: Uint8Array | undefined
  readonly lifetimeMs: number
}

const ACTS = {
  "re-enrollment": "permit-re-enrollment",
  "ak-rotation": "permit-ak-rotation",
  "board-swap": "permit-board-swap",
} as const

const DIGEST_BYTES = 32
/** No attestation key has a Name by SHA-1. */
const NAME_BYTES: readonly number[] = [34, 50, 66]

/**
 * Allows a device to enroll once more, with the endorsement key that it has, or after a board swap with that of the new
 * board alone. A device that no endorsement key is known of enrolls by a certificate of the attestation key that is named
 * here, and of no other. A permit that was there is replaced. Identity changes by this verb and by no other.
 *
 * @throws {AssayError} DEVICE_NOT_FOUND; ETAG; DEVICE_STATE for a device that is revoked or retired; EK_MISSING for one
 *   whose endorsement key is not known, and no attestation key is named; FIELD for a key that does not fit the reason or the
 *   device; DEVICE_EXISTS if another device has a permit for this key; REGISTRY, JOURNAL.
 */
export const createPermitEnrollment =
  (ports: Ports, change: Change) =>
  async (input: PermitEnrollmentInput, caller: Caller): Promise<DeviceView> => {
    const { id, etag, kind, ek, akName, lifetimeMs } = input
    checkFields(input)
    const asked = askedDigest(id, etag, ek ?? "", akName ?? "", String(lifetimeMs))
    const act = actOf(ports, caller, ACTS[kind], asked)
    return change(input, caller, act, (device) => {
      checkState(device, ["pending", "active", "suspended"])
      const expiresAt = new Date(act.at.getTime() + lifetimeMs)
      return { permit: { granted: { kind, ...keyFor(device, input), expiresAt } } }
    })
  }

const checkFields = ({ kind, ek, akName }: PermitEnrollmentInput): void => {
  const isSwap = kind === "board-swap"
  if (isSwap ? ek?.length !== DIGEST_BYTES : ek !== undefined)
    throw unfit(
      "ek_digest",
      isSwap ? "SHA-256 of the new board's endorsement key" : "nothing: it keeps its own",
      ek,
    )
  if (akName === undefined) return
  if (isSwap) throw unfit("ak_name", "nothing: the new board's endorsement key says who may come", akName)
  if (!isName(akName))
    throw unfit("ak_name", "a Name: an algorithm identifier and a digest of its size", akName)
}

const isName = (bytes: Uint8Array): boolean => {
  try {
    return NAME_BYTES.includes(parseName(bytes).length)
  } catch (error) {
    if (error instanceof AssayError) return false
    throw error
  }
}

const unfit = (location: string, expected: string, given: Uint8Array | undefined): AssayError =>
  new AssayError("FIELD", `${location} does not fit the reason`, {
    location,
    expected,
    actual: given === undefined ? "nothing" : `${given.length} bytes`,
  })

const keyFor = (device: DeviceRecord, { kind, ek, akName }: PermitEnrollmentInput): PermittedKey => {
  if (ek !== undefined) return { ek: otherBoard(device, ek) }
  if (device.ek === undefined) return { akName: namedKey(device, kind, akName) }
  if (akName !== undefined)
    throw unfit("ak_name", `nothing: the endorsement key of ${device.id} says who may come`, akName)
  return { ek: device.ek }
}

const otherBoard = ({ id, ek }: DeviceRecord, other: Uint8Array): Uint8Array => {
  if (ek === undefined || !sameBytes(other, ek)) return other
  throw new AssayError("FIELD", `${id} has this endorsement key already: it needs no other board`, {
    location: "ek_digest",
    expected: "the endorsement key of another board",
    actual: toHex(other),
  })
}

const namedKey = (device: DeviceRecord, kind: Permit["kind"], akName: Uint8Array | undefined): Uint8Array => {
  if (akName === undefined)
    throw new AssayError(
      "EK_MISSING",
      `the endorsement key of ${device.id} is not known, and so not who may come`,
      {
        location: "id",
        expected: "the Name of the attestation key that it will come with, or a board swap",
      },
    )
  // A TPM that was cleared may make the same key again, of a seed that it keeps. A rotation is to another one.
  if (kind === "ak-rotation" && sameBytes(akName, device.akName))
    throw new AssayError("FIELD", `${device.id} has this attestation key already: there is no other`, {
      location: "ak_name",
      expected: "the Name of another attestation key",
      actual: toHex(akName),
    })
  return akName
}
