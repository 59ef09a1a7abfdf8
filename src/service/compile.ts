import { type CompiledPolicy, compilePolicy } from "../appraisal/compile.ts"
import { parsePolicy } from "../appraisal/policy.ts"
import { sameBytes } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { parseChain } from "../evidence/evidence.ts"
import { parsePublicArea } from "../evidence/tpm/public.ts"
import { type AttestationKey, createAttestationKey } from "../verification/key.ts"
import type { Verified } from "../verification/verified.ts"
import type { Context, DeviceRecord, LogOwner, PolicyRecord, Snapshot } from "./ports.ts"

/**
 * The key that quotes of a device are verified with, of its TPMT_PUBLIC, which was accepted once.
 *
 * @throws {AssayError} as `parsePublicArea` and `createAttestationKey`.
 */
export const compileKey = (akPublic: Uint8Array): Verified<AttestationKey> =>
  createAttestationKey(parsePublicArea(akPublic))

/** Whose the event logs of a device are: no other device's, and not those of another key. */
export const ownerOf = ({ tenant, id, akName }: DeviceRecord): LogOwner => ({ tenant, device: id, akName })

/** Reads a policy and compiles it. @throws {AssayError} as `parsePolicy`. */
export type ReadPolicy = (policy: PolicyRecord) => CompiledPolicy

/** Reads a policy anew. */
export const readPolicy: ReadPolicy = ({ document }) => compilePolicy(parsePolicy(document))

/**
 * Makes the records of a snapshot ready to judge by. The key is held to the same rules as at registration.
 *
 * @throws {AssayError} REGISTRY if a stored record is not what was once accepted.
 */
export const compile = (snapshot: Snapshot, read: ReadPolicy = readPolicy): Context => {
  try {
    const { endorsement } = snapshot.device
    const area = parsePublicArea(snapshot.device.akPublic)
    if (!sameBytes(area.name, snapshot.device.akName)) throw new Error("the key is not the one of its Name")
    // Contexts are remembered by the hundred thousand: what says the same twice is held once.
    const device = { ...snapshot.device, akPublic: area.bytes, akName: area.name }
    return {
      snapshot: { ...snapshot, device },
      ak: createAttestationKey(area),
      policy: snapshot.policy === undefined ? undefined : read(snapshot.policy),
      owner: ownerOf(device),
      akChain: parseChain(endorsement.akCertificateChain, "ak_certificate_chain"),
      ekChain: parseChain(endorsement.ekCertificateChain, "ek_certificate_chain"),
    }
  } catch (cause) {
    throw new AssayError("REGISTRY", "a stored record is damaged", { cause })
  }
}
