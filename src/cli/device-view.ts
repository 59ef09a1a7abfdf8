/** How devices are shown, and the words of their options. */

import { toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import {
  type CloudInstance,
  type Device,
  EnrollmentReason,
  Freshness,
  KeyBinding,
} from "../gen/assay/v1/device_pb.ts"
import { DeviceState } from "../gen/assay/v1/enrollment_pb.ts"
import { TIERS } from "./gateway.ts"
import { fieldLines, type Report } from "./output.ts"
import { instantOf } from "./trust-view.ts"

/** Where a device can stand. */
export const STATES = ["pending", "active", "suspended", "revoked", "retired"] as const

/** How lately a device can have attested. */
export const FRESHNESSES = ["fresh", "due", "overdue", "silent"] as const

/** What a device can be allowed to enroll again for. */
export const REASONS = ["re-enrollment", "ak-rotation", "board-swap"] as const

const STATE_WORDS: Readonly<Record<number, (typeof STATES)[number]>> = {
  [DeviceState.PENDING]: "pending",
  [DeviceState.ACTIVE]: "active",
  [DeviceState.SUSPENDED]: "suspended",
  [DeviceState.REVOKED]: "revoked",
  [DeviceState.RETIRED]: "retired",
}

const FRESHNESS_WORDS: Readonly<Record<number, (typeof FRESHNESSES)[number]>> = {
  [Freshness.FRESH]: "fresh",
  [Freshness.DUE]: "due",
  [Freshness.OVERDUE]: "overdue",
  [Freshness.SILENT]: "silent",
}

const BINDING_WORDS: Readonly<Record<number, string>> = {
  [KeyBinding.ACTIVATION]: "activation",
  [KeyBinding.CERTIFICATE]: "certificate",
  [KeyBinding.OPERATOR]: "operator",
}

const REASON_OF: Readonly<Record<(typeof REASONS)[number], EnrollmentReason>> = {
  "re-enrollment": EnrollmentReason.RE_ENROLLMENT,
  "ak-rotation": EnrollmentReason.AK_ROTATION,
  "board-swap": EnrollmentReason.BOARD_SWAP,
}

/** The reason with this name. */
export const reasonToProto = (name: (typeof REASONS)[number]): EnrollmentReason => REASON_OF[name]

const hexOrNull = (bytes: Uint8Array): string | null => (bytes.length === 0 ? null : toHex(bytes))
const textOrNull = (text: string): string | null => (text === "" ? null : text)

const instanceJson = ({ provider, project, zone, id, name }: CloudInstance) => ({
  provider,
  project,
  zone,
  id,
  name,
})

const instanceText = ({ provider, project, zone, id, name }: ReturnType<typeof instanceJson>): string =>
  `${name}, ${id} of ${project}, ${provider} ${zone}`

/** A device. What this program has no word for is null. */
export const deviceJson = (device: Device) => ({
  id: device.id,
  state: STATE_WORDS[device.state] ?? null,
  freshness: FRESHNESS_WORDS[device.freshness] ?? null,
  group: textOrNull(device.group),
  labels: device.labels,
  policy: textOrNull(device.policy),
  claimedName: textOrNull(device.claimedName),
  akName: hexOrNull(device.akName),
  ekDigest: hexOrNull(device.ekDigest),
  binding: BINDING_WORDS[device.binding] ?? null,
  tpm:
    device.tpm === undefined
      ? null
      : {
          manufacturer: device.tpm.manufacturer,
          model: device.tpm.model,
          version: device.tpm.version,
        },
  instance: device.instance === undefined ? null : instanceJson(device.instance),
  createdAt: instantOf(device.createTime),
  attestedAt: instantOf(device.attestTime),
  tier: device.attestTime === undefined ? null : (TIERS[device.attestTier] ?? null),
  code: textOrNull(device.attestCode),
  sessionAt: instantOf(device.sessionTime),
  clock:
    device.clock === undefined
      ? null
      : {
          clockMs: String(device.clock.clockMs),
          resetCount: device.clock.resetCount,
          restartCount: device.clock.restartCount,
          safe: device.clock.safe,
          firmwareVersion:
            device.clock.firmwareVersion === undefined
              ? null
              : device.clock.firmwareVersion.toString(16).padStart(16, "0"),
        },
  permit:
    device.permit === undefined
      ? null
      : {
          reason: REASONS.find((name) => REASON_OF[name] === device.permit?.reason) ?? null,
          ekDigest: hexOrNull(device.permit.ekDigest),
          akName: hexOrNull(device.permit.akName),
          expiresAt: instantOf(device.permit.expireTime),
        },
  revision: Number(device.revision),
  etag: device.etag,
})

/** As `deviceJson` gives it. */
export type DeviceJson = ReturnType<typeof deviceJson>

/** Labels as `key=value`, in the order of the keys. */
export const labelTexts = (labels: Readonly<Record<string, string>>): readonly string[] =>
  Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)

/** A device, all of it. */
export const deviceReport = (device: DeviceJson): Report => ({
  accepted: true,
  json: device,
  table: () =>
    fieldLines([
      ["id", device.id],
      ["state", device.state ?? "?"],
      ["freshness", device.freshness ?? "?"],
      ["group", device.group ?? "none"],
      ...labelTexts(device.labels).map((label, i) => [i === 0 ? "labels" : "", label] as const),
      ["policy", device.policy ?? "none of its own"],
      ["called itself", device.claimedName ?? undefined],
      ["key", device.akName ?? "none any more: it was transferred"],
      ["endorsement key", device.ekDigest ?? undefined],
      ["bound by", device.binding ?? "?"],
      [
        "TPM",
        device.tpm === null
          ? undefined
          : `${device.tpm.manufacturer} ${device.tpm.model} ${device.tpm.version}`,
      ],
      ["instance", device.instance === null ? undefined : instanceText(device.instance)],
      ["registered", device.createdAt ?? undefined],
      ["attested", attestedText(device)],
      ["last session", device.sessionAt ?? "never"],
      ["clock", device.clock === null ? undefined : clockText(device.clock)],
      ["firmware", device.clock === null ? undefined : (device.clock.firmwareVersion ?? "the next one seen")],
      [
        "may enroll for",
        device.permit === null ? undefined : `${device.permit.reason} until ${device.permit.expiresAt}`,
      ],
      ["with endorsement key", device.permit?.ekDigest ?? undefined],
      ["with key", device.permit?.akName ?? undefined],
      ["revision", device.revision],
    ]),
})

const attestedText = ({ attestedAt, tier, code }: DeviceJson): string =>
  attestedAt === null ? "never" : `${attestedAt}, ${tier}${code === null ? "" : `, ${code}`}`

const clockText = ({ clockMs, resetCount, restartCount, safe }: NonNullable<DeviceJson["clock"]>): string =>
  `${clockMs} ms, ${resetCount} resets, ${restartCount} restarts${safe ? "" : ", not safe"}`

const LABEL = /^([a-z0-9][a-z0-9._-]{0,62})=(.*)$/s

/** Labels of options, `key=value` each, each key once. @throws {AssayError} INPUT. */
export const parseLabels = (options: readonly string[] = []): Record<string, string> => {
  const labels: Record<string, string> = {}
  for (const option of options) {
    const [, key, value] = LABEL.exec(option) ?? []
    if (key === undefined || value === undefined || Object.hasOwn(labels, key))
      throw new AssayError("INPUT", "a label is KEY=VALUE, and each key is given once", {
        location: "--label",
        expected: "site=north, say: keys of a-z 0-9 . _ -",
        actual: option,
      })
    labels[key] = value
  }
  return labels
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** A time span of an option, as `90s`, `30m`, `12h` or `7d`. @throws {AssayError} INPUT. */
export const parseSpan = (
  text: string,
  location: string,
): { readonly seconds: bigint; readonly nanos: number } => {
  const [, digits, unit = ""] = /^([1-9]\d{0,8})([smhd])$/.exec(text) ?? []
  const seconds = Number(digits) * (UNITS[unit] ?? Number.NaN)
  if (Number.isNaN(seconds))
    throw new AssayError("INPUT", `${location} is not a time span`, {
      location,
      expected: "90s, 30m, 12h or 7d",
      actual: text,
    })
  return { seconds: BigInt(seconds), nanos: 0 }
}
