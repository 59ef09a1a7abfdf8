/** Between the messages of DeviceService and EnrollmentTokenService and the values of the service. Nothing is decided here. */
import { create } from "@bufbuild/protobuf"
import {
  type Duration,
  durationMs,
  type Timestamp,
  timestampDate,
  timestampFromDate,
} from "@bufbuild/protobuf/wkt"
import { AssayError } from "../errors.ts"
import * as pb from "../gen/assay/v1/device_pb.ts"
import { DeviceState } from "../gen/assay/v1/enrollment_pb.ts"
import { Tier as ProtoTier } from "../gen/assay/v1/result_pb.ts"
import type { ChangeInput } from "../service/change-device.ts"
import type { Freshness } from "../service/device-freshness.ts"
import type { DeviceView } from "../service/device-view.ts"
import type { CreateEnrollmentTokenInput, EnrollmentTokenView } from "../service/enrollment-tokens.ts"
import type { ImportDeviceInput } from "../service/import-devices.ts"
import type { ListDevicesInput } from "../service/list-devices.ts"
import type { PermitEnrollmentInput } from "../service/permit-enrollment.ts"
import type * as ports from "../service/ports.ts"
import type { RegisterDeviceInput } from "../service/service.ts"
import type { UpdateDeviceInput } from "../service/update-device.ts"
import { TIER } from "./convert.ts"

const PAGE_SIZE = 100
const PERMIT_MS = 3_600_000
const TOKEN_MS = 86_400_000

/** A copy: bytes of a message are views on the buffer that it was received in. */
const optionalBytes = (bytes: Uint8Array): Uint8Array | undefined =>
  bytes.length === 0 ? undefined : bytes.slice()
const optionalText = (text: string): string | undefined => (text === "" ? undefined : text)
const copies = (chain: readonly Uint8Array[]): Uint8Array[] => chain.map((certificate) => certificate.slice())
const labelsFromProto = (labels: Readonly<Record<string, string>>): ReadonlyMap<string, string> =>
  new Map(Object.entries(labels))
const labelsToProto = (labels: ReadonlyMap<string, string>): Record<string, string> =>
  Object.fromEntries(labels)

/** What the rules of the schema exclude, and the types do not. */
const impossible = (location: string): AssayError =>
  new AssayError("FIELD", `${location}: no such value`, { location })

const lifetimeMs = (lifetime: Duration | undefined, otherwise: number): number =>
  lifetime === undefined ? otherwise : durationMs(lifetime)

/** @throws {AssayError} FIELD for what is no instant. */
const instantFromProto = (time: Timestamp, location: string): Date => {
  const at = timestampDate(time)
  if (Number.isNaN(at.getTime()) || at.getTime() < 0 || time.nanos < 0 || time.nanos > 999_999_999)
    throw new AssayError("FIELD", `${location}: not an instant from 1970 on`, { location })
  return at
}

/** What was registered. */
export const registerDeviceInputFromProto = (request: pb.RegisterDeviceRequest): RegisterDeviceInput => ({
  id: request.id,
  akPublic: request.akPublic.slice(),
  qualifiedName: optionalBytes(request.qualifiedName),
  endorsement: {
    ekCertificateChain: copies(request.ekCertificateChain),
    akCertificateChain: copies(request.akCertificateChain),
    ekPublic: optionalBytes(request.ekPublic),
  },
})

/** Which page. */
export const listDevicesInputFromProto = ({
  pageSize,
  pageToken,
  filter,
  orderBy,
}: pb.ListDevicesRequest): ListDevicesInput => ({
  pageSize: pageSize || PAGE_SIZE,
  pageToken,
  filter,
  orderBy,
})

/** Which page of enrollment tokens. */
export const pageFromProto = ({ pageSize, pageToken }: pb.ListEnrollmentTokensRequest) => ({
  pageSize: pageSize || PAGE_SIZE,
  pageToken,
})

/** Which device. */
export const changeInputFromProto = ({ id, etag }: ChangeInput): ChangeInput => ({ id, etag })

/** What is new about a device. */
export const updateDeviceInputFromProto = ({
  id,
  etag,
  group,
  labels,
  policy,
  updateMask,
}: pb.UpdateDeviceRequest): UpdateDeviceInput => ({
  id,
  etag,
  group,
  labels: labelsFromProto(labels),
  policy,
  mask: updateMask?.paths ?? [],
})

/** What is allowed. @throws {AssayError} FIELD. */
export const permitEnrollmentInputFromProto = (
  request: pb.PermitEnrollmentRequest,
): PermitEnrollmentInput => ({
  id: request.id,
  etag: request.etag,
  kind: nameOf(PERMITS, request.reason, "reason"),
  ek: optionalBytes(request.ekDigest),
  akName: optionalBytes(request.akName),
  lifetimeMs: lifetimeMs(request.lifetime, PERMIT_MS),
})

/** What a token is to let in. */
export const enrollmentTokenInputFromProto = ({
  usesMax,
  lifetime,
  group,
  labels,
}: pb.CreateEnrollmentTokenRequest): CreateEnrollmentTokenInput => ({
  usesMax: usesMax || 1,
  lifetimeMs: lifetimeMs(lifetime, TOKEN_MS),
  group,
  labels: labelsFromProto(labels),
})

/** A device of an import, which errors call `where`. @throws {AssayError} FIELD. */
export const importDeviceInputFromProto = (
  device: pb.DeviceExport | undefined,
  where: string,
): ImportDeviceInput => {
  if (device?.createTime === undefined) throw impossible(where)
  return {
    id: device.id,
    akPublic: device.akPublic.slice(),
    qualifiedName: optionalBytes(device.qualifiedName),
    ek: optionalBytes(device.ekDigest),
    ekCertificateChain: copies(device.ekCertificateChain),
    akCertificateChain: copies(device.akCertificateChain),
    binding: nameOf(BINDINGS, device.binding, `${where}.binding`),
    state: nameOf(STATES, device.state, `${where}.state`),
    group: device.group,
    labels: labelsFromProto(device.labels),
    claimedName: device.claimedName,
    policy: optionalText(device.policy),
    createdAt: instantFromProto(device.createTime, `${where}.create_time`),
    counters: countersFromProto(device, where),
  }
}

function countersFromProto(
  { clock, attestTime }: pb.DeviceExport,
  where: string,
): ports.Counters | undefined {
  if (clock === undefined && attestTime === undefined) return undefined
  if (clock === undefined || attestTime === undefined)
    throw new AssayError("FIELD", "clock and attest_time: one without the other", {
      location: `${where}.${clock === undefined ? "clock" : "attest_time"}`,
      expected: "both, or neither",
    })
  const { clockMs, resetCount, restartCount, safe, firmwareVersion } = clock
  const recordedAt = instantFromProto(attestTime, `${where}.attest_time`)
  return { clockMs, resetCount, restartCount, safe, firmwareVersion, recordedAt }
}

/** A device as it is exported. */
export const deviceExportToProto = (device: ports.DeviceRecord): pb.DeviceExport =>
  create(pb.DeviceExportSchema, {
    id: device.id,
    akPublic: device.akPublic,
    ...(device.qualifiedName && { qualifiedName: device.qualifiedName }),
    ...(device.ek && { ekDigest: device.ek }),
    ekCertificateChain: [...device.endorsement.ekCertificateChain],
    akCertificateChain: [...device.endorsement.akCertificateChain],
    binding: BINDINGS[device.binding],
    state: STATES[device.state],
    group: device.group,
    labels: labelsToProto(device.labels),
    claimedName: device.claimedName,
    policy: device.policy ?? "",
    createTime: timestampFromDate(device.createdAt),
    ...(device.counters && {
      clock: clockToProto(device.counters),
      attestTime: timestampFromDate(device.counters.recordedAt),
    }),
  })

const clockToProto = (counters: ports.Counters): pb.ClockState =>
  create(pb.ClockStateSchema, {
    clockMs: counters.clockMs,
    resetCount: counters.resetCount,
    restartCount: counters.restartCount,
    safe: counters.safe,
    ...(counters.firmwareVersion !== undefined && { firmwareVersion: counters.firmwareVersion }),
  })

/** A device as its operator sees it. */
export const deviceToProto = (device: DeviceView): pb.Device => {
  const { lastResult, counters, permit, tpm, instance } = device
  return create(pb.DeviceSchema, {
    id: device.id,
    akName: device.akName,
    revision: BigInt(device.revision),
    policy: device.policy ?? "",
    createTime: timestampFromDate(device.createdAt),
    state: STATES[device.state],
    freshness: FRESHNESS[device.freshness],
    group: device.group,
    labels: labelsToProto(device.labels),
    claimedName: device.claimedName,
    ...(device.ek && { ekDigest: device.ek }),
    binding: BINDINGS[device.binding],
    ...(tpm && {
      tpm: { manufacturer: tpm.vendor ?? tpm.manufacturer, model: tpm.model, version: tpm.version },
    }),
    ...(lastResult && {
      attestTime: timestampFromDate(lastResult.at),
      attestTier: TIER_BY_NAME.get(lastResult.tier) ?? ProtoTier.UNSPECIFIED,
      attestCode: lastResult.code ?? "",
    }),
    ...(lastResult?.admittedAt && { sessionTime: timestampFromDate(lastResult.admittedAt) }),
    ...(counters && { clock: clockToProto(counters) }),
    ...(permit && {
      permit: {
        reason: PERMITS[permit.kind],
        ...(permit.ek && { ekDigest: permit.ek }),
        ...(permit.akName && { akName: permit.akName }),
        expireTime: timestampFromDate(permit.expiresAt),
      },
    }),
    etag: device.etag,
    ...(instance && { instance }),
  })
}

/** A token, without its secret. */
export const enrollmentTokenToProto = (token: EnrollmentTokenView): pb.EnrollmentToken =>
  create(pb.EnrollmentTokenSchema, {
    id: token.id,
    usesMax: token.usesMax,
    uses: token.uses,
    createTime: timestampFromDate(token.createdAt),
    expireTime: timestampFromDate(token.expiresAt),
    revoked: token.revoked,
    group: token.group,
    labels: labelsToProto(token.labels),
  })

/** The name of a value. @throws {AssayError} FIELD. */
const nameOf = <T extends string>(
  values: Readonly<Record<T, number>>,
  value: number,
  location: string,
): T => {
  for (const name in values) if (values[name] === value) return name
  throw impossible(location)
}

const TIER_BY_NAME: ReadonlyMap<string, ProtoTier> = new Map(Object.entries(TIER))

const STATES: Readonly<Record<ports.DeviceState, DeviceState>> = {
  pending: DeviceState.PENDING,
  active: DeviceState.ACTIVE,
  suspended: DeviceState.SUSPENDED,
  revoked: DeviceState.REVOKED,
  retired: DeviceState.RETIRED,
}

const BINDINGS: Readonly<Record<ports.KeyBinding, pb.KeyBinding>> = {
  activation: pb.KeyBinding.ACTIVATION,
  certificate: pb.KeyBinding.CERTIFICATE,
  operator: pb.KeyBinding.OPERATOR,
}

const FRESHNESS: Readonly<Record<Freshness, pb.Freshness>> = {
  fresh: pb.Freshness.FRESH,
  due: pb.Freshness.DUE,
  overdue: pb.Freshness.OVERDUE,
  silent: pb.Freshness.SILENT,
}

const PERMITS: Readonly<Record<ports.Permit["kind"], pb.EnrollmentReason>> = {
  "re-enrollment": pb.EnrollmentReason.RE_ENROLLMENT,
  "ak-rotation": pb.EnrollmentReason.AK_ROTATION,
  "board-swap": pb.EnrollmentReason.BOARD_SWAP,
}
