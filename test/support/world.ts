import type { Policy } from "../../src/appraisal/policy.ts"
import { parsePolicy } from "../../src/appraisal/policy.ts"
import { toHex } from "../../src/bytes.ts"
import {
  createSoftwareDevice,
  type SoftwareDevice,
  type SoftwareDeviceOptions,
} from "../../src/device/software.ts"
import type { HashName } from "../../src/evidence/tpm/algorithm.ts"

/** What a policy for tests says beside its reference values; members win over the defaults. */
export interface PolicyOptions {
  readonly name?: string
  readonly banks?: readonly HashName[]
  readonly pcrs?: readonly number[]
  readonly evidence?: Readonly<Record<string, unknown>>
  readonly ak?: Readonly<Record<string, unknown>>
  readonly tpm?: Readonly<Record<string, unknown>>
  readonly clock?: Readonly<Record<string, unknown>>
  readonly session?: Readonly<Record<string, unknown>>
}

/** The reference values of a device as it is now, in a policy's form. */
export const referenceValues = (
  device: SoftwareDevice,
  banks: readonly HashName[],
  pcrs: readonly number[],
): Record<string, Record<string, string>> =>
  Object.fromEntries(
    banks.map((hash) => [
      hash,
      Object.fromEntries(pcrs.map((pcr) => [String(pcr), toHex(device.pcrValues([{ hash, pcrs: [pcr] }]))])),
    ]),
  )

/** A policy document that lets `device` in exactly as it is now. */
export const policyDocument = (device: SoftwareDevice, options: PolicyOptions = {}): string => {
  const { name = "test", banks = ["sha256"], pcrs = [0, 1, 2, 3, 4, 5, 6, 7] } = options
  return JSON.stringify({
    version: 1,
    name,
    evidence: { banks, pcrs, eventLog: "required", ...options.evidence },
    references: [{ name: "release-1", pcrs: referenceValues(device, banks, pcrs) }],
    ak: { binding: "operator", ...options.ak },
    tpm: { ...options.tpm },
    clock: { ...options.clock },
    session: { lifetimeSeconds: 300, admit: "warning", audiences: ["orders"], ...options.session },
  })
}

/** As `policyDocument`, parsed. */
export const policyFor = (device: SoftwareDevice, options: PolicyOptions = {}): Policy =>
  parsePolicy(policyDocument(device, options))

/** A software device whose key is quick to make. */
export const testDevice = (options: Partial<SoftwareDeviceOptions> = {}): SoftwareDevice =>
  createSoftwareDevice({ algorithm: "p256", ...options })
