import { hash } from "node:crypto"
import { parseName, parsePublic } from "../evidence/tpm/public.ts"
import { createAttestationKey } from "../verification/key.ts"
import type { Caller, DeviceRecord, Ports } from "./ports.ts"
import type { RegisterDeviceInput } from "./service.ts"

/**
 * Registers a device by its attestation key, on its operator's word alone. The key must be an attestation key; that
 * it lives in a TPM is not proven by this, and every appraisal says so (AK_BINDING_UNPROVEN).
 *
 * @throws {AssayError} PUBLIC_AREA, FRAMING, LENGTH, AK_ATTRIBUTES, SIG_ALG, WEAK_KEY, DEVICE_EXISTS; REGISTRY, JOURNAL.
 */
export const createRegisterDevice =
  ({ clock, registry, journal }: Ports) =>
  async (input: RegisterDeviceInput, { tenant, id: caller }: Caller): Promise<DeviceRecord> => {
    const at = clock.now()
    const area = parsePublic(input.akPublic)
    createAttestationKey(area)
    const qualifiedName = input.qualifiedName === undefined ? undefined : parseName(input.qualifiedName)
    const device = await registry.registerDevice({
      tenant,
      id: input.id,
      akPublic: area.bytes,
      akName: area.name,
      qualifiedName,
      createdAt: at,
    })
    await journal.append({
      at,
      tenant,
      caller,
      act: "register-device",
      device: device.id,
      outcome: "done",
      codes: [],
      evidenceDigest: hash("sha256", area.bytes, "buffer"),
      policyDigest: undefined,
      revisions: { device: device.revision, policy: undefined },
      tokenId: undefined,
    })
    return device
  }
