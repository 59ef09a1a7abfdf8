import { hash } from "node:crypto"
import { parsePolicy } from "../appraisal/policy.ts"
import { lengthPrefixed, utf8 } from "../bytes.ts"
import { actOf } from "./act.ts"
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

/**
 * Assigns a policy to a device, or to every device of the tenant that has none of its own.
 *
 * @throws {AssayError} POLICY_NOT_FOUND, DEVICE_NOT_FOUND; REGISTRY, JOURNAL.
 */
export const createAssignPolicy =
  (ports: Ports) =>
  async (
    { policy, device }: { policy: string; device: string | undefined },
    caller: Caller,
  ): Promise<void> => {
    const target: PolicyTarget = device === undefined ? { kind: "default" } : { kind: "device", id: device }
    const asked = hash("sha256", lengthPrefixed(...[policy, target.kind, device ?? ""].map(utf8)), "buffer")
    const act = actOf(ports, caller, "assign-policy", asked)
    await ports.registry.assignPolicy(caller.tenant, policy, target, act)
  }
