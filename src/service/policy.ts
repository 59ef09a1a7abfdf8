import { hash } from "node:crypto"
import { parsePolicy } from "../appraisal/policy.ts"
import { utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { actOf } from "./act.ts"
import { askedDigest } from "./asked.ts"
import type { Caller, PolicyRecord, PolicyTarget, Ports } from "./ports.ts"

/**
 * Stores a policy document as the next revision of its name. A document that does not say everything that it must
 * is refused here, with the path of the fault, and never becomes a policy. One that was there before is a new revision too:
 * no revision ever comes back.
 *
 * @throws {AssayError} POLICY_SCHEMA; REGISTRY, JOURNAL.
 */
export const createSetPolicy =
  (ports: Ports) =>
  async (document: string, caller: Caller): Promise<PolicyRecord> => {
    const { name } = parsePolicy(document)
    const digest = hash("sha256", utf8(document), "buffer")
    const { tenant } = caller
    return ports.registry.setPolicy(
      { tenant, name, document, digest },
      actOf(ports, caller, "set-policy", digest),
    )
  }

/** Which policy, and whom it judges: a device, a group, or with neither every device that nothing else is assigned to. */
export interface AssignPolicyInput {
  readonly policy: string
  readonly device?: string | undefined
  readonly group?: string | undefined
}

/**
 * Assigns a policy to a device, to every device of a group that has none of its own, or to every device of the tenant that
 * has neither.
 *
 * @throws {AssayError} FIELD for a device and a group at once; POLICY_NOT_FOUND, DEVICE_NOT_FOUND; REGISTRY, JOURNAL.
 */
export const createAssignPolicy =
  (ports: Ports) =>
  async ({ policy, device, group }: AssignPolicyInput, caller: Caller): Promise<void> => {
    const target = targetOf(device, group)
    const asked = askedDigest(policy, target.kind, device ?? group ?? "")
    const act = actOf(ports, caller, "assign-policy", asked)
    await ports.registry.assignPolicy(caller.tenant, policy, target, act)
  }

/** @throws {AssayError} FIELD. */
const targetOf = (device: string | undefined, group: string | undefined): PolicyTarget => {
  if (device !== undefined && group !== undefined)
    throw new AssayError("FIELD", "a policy is assigned to a device or to a group, not to both at once", {
      location: "group",
      expected: "a device or a group",
    })
  if (device !== undefined) return { kind: "device", id: device }
  return group === undefined ? { kind: "default" } : { kind: "group", name: group }
}
