/** Devices as their operators see them. */
import { hash } from "node:crypto"
import { parsePolicy } from "../appraisal/policy.ts"
import { lengthPrefixed, toBase64Url, toHex, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { parseChain } from "../evidence/evidence.ts"
import type { CloudInstance } from "../evidence/x509/gce-instance.ts"
import { type TpmIdentity, tpmIdentityOf } from "../verification/tpm-identity.ts"
import { type Freshness, freshnessOf } from "./device-freshness.ts"
import { recordedInstance } from "./instance.ts"
import type { DeviceRecord, PolicyRecord, Ports, Who } from "./ports.ts"

/** A device, and what follows from its record, its policy and the time. */
export interface DeviceView extends DeviceRecord {
  readonly freshness: Freshness
  /** Its TPM as the certificate of its endorsement or attestation key says, if it has one that says it. */
  readonly tpm: TpmIdentity | undefined
  /** The machine of a cloud that it is, as those certificates say, if they say it. */
  readonly instance: CloudInstance | undefined
  readonly etag: string
}

const ETAG_BYTES = 16

/** Names one revision of one device. */
export const etagOf = ({ tenant, id, revision }: DeviceRecord): string =>
  toBase64Url(
    hash(
      "sha256",
      lengthPrefixed(utf8("assay/v1/etag"), utf8(tenant), utf8(id), utf8(String(revision))),
      "buffer",
    ).subarray(0, ETAG_BYTES),
  )

/** Views of devices of the caller's tenant. Of many, each policy is read once. */
export type ViewDevices = (who: Who, devices: readonly DeviceRecord[]) => Promise<readonly DeviceView[]>

/** Between which as many devices others get their turn: a certificate takes about 0.1 ms. */
const BREATH = 32

/** How devices are viewed. @throws {AssayError} REGISTRY. */
export const createViewDevices = (
  ports: Pick<Ports, "registry" | "clock" | "settings" | "breathe" | "meter">,
): ViewDevices => {
  const lifetimeOf = createLifetimes()
  return async (who, devices) => {
    const at = ports.clock.now()
    const policies = policiesOf(ports, who.tenant)
    const viewOf = (device: DeviceRecord, policy: PolicyRecord | undefined): DeviceView => ({
      ...device,
      freshness: freshnessOf(
        device.lastResult?.admittedAt,
        policy === undefined ? undefined : lifetimeOf(policy),
        ports.settings.silenceMs,
        at,
      ),
      tpm: tpmOf(device),
      instance: recordedInstance(device.endorsement),
      etag: etagOf(device),
    })
    const views: DeviceView[] = []
    for (let start = 0; start < devices.length; start += BREATH) {
      if (start > 0) await ports.breathe()
      const some = devices.slice(start, start + BREATH)
      const judgedBy: (PolicyRecord | undefined)[] = []
      for (const device of some) judgedBy.push(await policies(device))
      views.push(...ports.meter.run(who, () => some.map((device, i) => viewOf(device, judgedBy[i]))))
    }
    return views
  }
}

/** The policy that a device is judged by: each is asked for once. */
const policiesOf = ({ registry }: Pick<Ports, "registry">, tenant: string) => {
  const asked = new Map<string, Promise<PolicyRecord | undefined>>()
  return ({ policy, group }: DeviceRecord): Promise<PolicyRecord | undefined> => {
    const key = policy === undefined ? `group ${group}` : `policy ${policy}`
    const answer =
      asked.get(key) ??
      (policy === undefined ? registry.groupPolicy(tenant, group) : registry.policy(tenant, policy))
    asked.set(key, answer)
    return answer
  }
}

const LIFETIMES_MAX = 1000

/** How long sessions live under a policy. A document never changes, so that it is parsed once. */
const createLifetimes = () => {
  const known = new Map<string, number>()
  return ({ document, digest }: PolicyRecord): number => {
    const key = toHex(digest)
    const lifetimeMs = known.get(key) ?? parsePolicy(document).session.lifetimeSeconds * 1000
    if (known.size >= LIFETIMES_MAX) known.clear()
    known.set(key, lifetimeMs)
    return lifetimeMs
  }
}

/** What a certificate says that does not say it as the profile wants is nothing to tell. */
const tpmOf = ({ endorsement }: DeviceRecord): TpmIdentity | undefined => {
  const chains = [
    ...endorsement.ekCertificateChain.slice(0, 1),
    ...endorsement.akCertificateChain.slice(0, 1),
  ]
  try {
    const [leaf] = parseChain(chains.slice(0, 1), "certificate")
    return leaf === undefined ? undefined : tpmIdentityOf(leaf)
  } catch (error) {
    if (error instanceof AssayError) return undefined
    throw error
  }
}
