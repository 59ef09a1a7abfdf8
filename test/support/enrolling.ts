import type { SoftwareDevice } from "../../src/device/software.ts"
import {
  activationMac,
  type EnrollmentTranscript,
  enrollmentExtraData,
} from "../../src/evidence/transcript.ts"
import type { BegunEnrollment } from "../../src/service/begin-enrollment.ts"
import type { CompleteEnrollmentInput } from "../../src/service/complete-enrollment.ts"
import type { ShownKeys } from "../../src/service/enroll-keys.ts"
import type { Caller, DeviceRecord, EnrollmentTokenRecord, TrustImport } from "../../src/service/ports.ts"
import { akChainOf, NOTHING } from "./endorsed.ts"
import { ekChainFor, ekDigestOf } from "./newcomer.ts"
import { digestOf, newAct, SETUP } from "./ports/samples.ts"
import { evidenceOver, GATEWAY, type TestService } from "./service.ts"

/** Adds to what a tenant trusts, beside the service. */
export const trusts = async (
  { trust, now }: Pick<TestService, "trust" | "now">,
  parts: Partial<TrustImport>,
  tenant = "default",
): Promise<void> => {
  const act = newAct("import-trust", { at: now(), caller: SETUP })
  await trust.importTrust(tenant, { ...NOTHING, ...parts }, act)
}

/** Takes something away from what a tenant trusts, beside the service. */
export const distrusts = async ({ trust, now }: TestService, id: string): Promise<void> => {
  await trust.removeTrust("default", id, newAct("remove-trust", { at: now(), caller: SETUP }))
}

/** Lets devices enroll with a token, beside the service. Gives who comes with it. */
export const tokenHolder = async (
  { ports, now }: TestService,
  id: string,
  changed: Partial<EnrollmentTokenRecord> = {},
): Promise<Caller> => {
  const lasting = { createdAt: now(), expiresAt: new Date(now().getTime() + 3_600_000) }
  const token = {
    tenant: "default",
    id,
    digest: digestOf(id),
    usesMax: 100,
    ...lasting,
    group: "",
    labels: new Map(),
  }
  const { uses: _, revoked: __, ...fresh } = { uses: 0, revoked: false, ...token, ...changed }
  await ports.devices.addEnrollmentToken(
    fresh,
    newAct("create-enrollment-token", { at: now(), caller: SETUP }),
  )
  return { tenant: "default", id: `token:${id}`, own: { kind: "enrollment", token: id } }
}

/** What a device shows of itself: a certified endorsement key beside its attestation key, but for the changes. */
export const shownBy = async (
  device: SoftwareDevice,
  changed: Partial<ShownKeys> = {},
): Promise<ShownKeys> => ({
  akPublic: device.akPublic,
  qualifiedName: undefined,
  ekPublic: await device.ekPublic(),
  ekCertificateChain: await ekChainFor(device),
  akCertificateChain: [],
  ...changed,
})

/** What a virtual device shows: a certified attestation key, and no endorsement key. */
export const certifiedBy = (device: SoftwareDevice, changed: Partial<ShownKeys> = {}): ShownKeys => ({
  akPublic: device.akPublic,
  qualifiedName: undefined,
  ekPublic: undefined,
  ekCertificateChain: [],
  akCertificateChain: akChainOf(device),
  ...changed,
})

/** What a device shows of itself, and who brings it. */
export interface Coming {
  readonly keys?: ShownKeys
  readonly claimedName?: string
  readonly caller?: Caller
}

/** The first step. */
export const begin = async (
  { service }: TestService,
  device: SoftwareDevice,
  { keys, claimedName = "", caller = GATEWAY }: Coming = {},
): Promise<BegunEnrollment> =>
  service.beginEnrollment({ keys: keys ?? (await shownBy(device)), claimedName }, caller)

/** The transcript as the device puts it together, of keys that are its own. */
export const transcriptBy = async (
  device: SoftwareDevice,
  { transcript: { random, tenant }, credential }: BegunEnrollment,
): Promise<EnrollmentTranscript> => ({
  random,
  tenant,
  ekDigest: credential === undefined ? new Uint8Array() : await ekDigestOf(device),
  akName: device.akName,
})

/** What the credential says to a device. @throws {AssayError} TPM if it was made for another. */
export const secretOf = async (
  device: SoftwareDevice,
  { credential }: BegunEnrollment,
): Promise<Uint8Array> => {
  if (credential === undefined) throw new TypeError("there is no credential")
  return device.activate(credential.credentialBlob, credential.encryptedSecret)
}

/** The honest answer of a device. */
export const answerOf = async (
  device: SoftwareDevice,
  begun: BegunEnrollment,
): Promise<CompleteEnrollmentInput> => {
  const transcript = await transcriptBy(device, begun)
  return {
    enrollment: begun.sealed,
    activation:
      begun.credential === undefined
        ? undefined
        : { kind: "mac", value: activationMac(await secretOf(device, begun), transcript) },
    evidence: { ...evidenceOver(device, enrollmentExtraData(transcript)), eventLog: undefined },
  }
}

/** Both steps. */
export const enrolls = async (
  world: TestService,
  device: SoftwareDevice,
  coming: Coming = {},
): Promise<DeviceRecord> => {
  const begun = await begin(world, device, coming)
  return world.service.completeEnrollment(await answerOf(device, begun), coming.caller ?? GATEWAY)
}
