import { hash } from "node:crypto"
import { parsePolicy } from "../appraisal/policy.ts"
import { utf8 } from "../bytes.ts"
import type { Caller, JournalRecord, PolicyRecord, Ports } from "./ports.ts"

/**
 * Stores a policy document as the next revision of its name. A document that does not say everything that it must
 * is refused here, with the path of the fault, and never becomes a policy.
 *
 * @throws {AssayError} POLICY_SCHEMA; REGISTRY, JOURNAL.
 */
export const createSetPolicy =
  ({ clock, registry, journal }: Ports) =>
  async (document: string, caller: Caller): Promise<PolicyRecord> => {
    const at = clock.now()
    const { name } = parsePolicy(document)
    const digest = hash("sha256", utf8(document), "buffer")
    const policy = await registry.setPolicy({ tenant: caller.tenant, name, document, digest })
    await journal.append(record("set-policy", policy, "", caller, at))
    return policy
  }

/**
 * Assigns a policy to a device, or to every device of the tenant that has none of its own.
 *
 * @throws {AssayError} POLICY_NOT_FOUND, DEVICE_NOT_FOUND; REGISTRY, JOURNAL.
 */
export const createAssignPolicy =
  ({ clock, registry, journal }: Ports) =>
  async (input: { policy: string; device: string | undefined }, caller: Caller): Promise<void> => {
    const at = clock.now()
    await registry.assignPolicy(caller.tenant, input.policy, input.device)
    const policy = await registry.policy(caller.tenant, input.policy)
    await journal.append(record("assign-policy", policy, input.device ?? "", caller, at))
  }

const record = (
  act: "set-policy" | "assign-policy",
  policy: PolicyRecord,
  device: string,
  caller: Caller,
  at: Date,
): JournalRecord => ({
  at,
  tenant: caller.tenant,
  caller: caller.id,
  act,
  device,
  outcome: "done",
  codes: [],
  evidenceDigest: policy.digest,
  policyDigest: policy.digest,
  revisions: undefined,
  tokenId: undefined,
})
