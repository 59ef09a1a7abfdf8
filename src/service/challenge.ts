import { AssayError } from "../errors.ts"
import type { Caller, PolicyRecord, Ports } from "./ports.ts"
import { sealChallenge } from "./sealed-challenge.ts"
import type { ChallengeInput, CreatedChallenge } from "./service.ts"

const RANDOM_BYTES = 32

/**
 * Makes a challenge. What the session will be for is fixed here and sealed: the caller that may use it, the device,
 * the audience, the key, the policy and its lowest acceptable revision. Nothing is stored.
 *
 * @throws {AssayError} DEVICE_NOT_FOUND, POLICY_NOT_FOUND, NONCE_CONTEXT; RNG, REGISTRY, NONCE_STORE, CLOCK.
 */
export const createCreateChallenge =
  ({ clock, random, registry, singleUse, settings }: Ports) =>
  async (input: ChallengeInput, caller: Caller): Promise<CreatedChallenge> => {
    const { tenant } = caller
    const issuedAt = clock.now()
    const policy = await policyOf(registry, input, tenant)
    const transcript = { random: random.bytes(RANDOM_BYTES), tenant, ...input }
    const expiresAt = new Date(issuedAt.getTime() + settings.challengeLifetimeMs)
    const sealed = await sealChallenge(singleUse, {
      ...transcript,
      caller: caller.id,
      policyRevision: policy?.revision ?? 0,
      issuedAt,
      expiresAt,
    })
    return { sealed, transcript, expiresAt }
  }

/** The policy that will judge, as far as the request determines it. */
const policyOf = async (
  registry: Ports["registry"],
  { device, policy }: ChallengeInput,
  tenant: string,
): Promise<PolicyRecord | undefined> => {
  // Whichever device answers may have a policy of its own, whose revisions are counted apart.
  if (device === "" && policy === "") return undefined
  const found = device === "" ? undefined : await registry.device(tenant, device)
  const own = found?.policy
  if (policy !== "" && own !== undefined && own !== policy)
    throw new AssayError("NONCE_CONTEXT", "the device has another policy than the one that was asked for", {
      location: "policy",
      actual: policy, // and not which one it is: that is nobody's business who has to ask
    })
  const name = policy === "" ? own : policy
  return name === undefined ? registry.groupPolicy(tenant, found?.group ?? "") : registry.policy(tenant, name)
}
