import { toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { HASHES, hashName } from "../evidence/tpm/algorithm.ts"
import { readOwn } from "./own-device.ts"
import type { Caller, DeviceRecord, PolicyRecord, Ports } from "./ports.ts"
import { sealChallenge } from "./sealed-challenge.ts"
import type { ChallengeInput, CreatedChallenge } from "./service.ts"

const RANDOM_BYTES = 32

/**
 * Makes a challenge. What the session will be for is fixed here and sealed: the caller that may use it, the device,
 * the audience, the key, the policy and its lowest acceptable revision. Nothing is stored.
 *
 * A device gets challenges for itself alone, whether it names itself or not.
 *
 * @throws {AssayError} FIELD for a Name that is none; DEVICE_NOT_FOUND, POLICY_NOT_FOUND, NONCE_CONTEXT; PERMISSION for the
 *   device of somebody else; RNG, REGISTRY, NONCE_STORE, CLOCK, REVISION_UNCONFIRMED.
 */
export const createCreateChallenge =
  ({ clock, random, confirm, registry, singleUse, settings }: Ports) =>
  async (asked: ChallengeInput, caller: Caller): Promise<CreatedChallenge> => {
    confirm()
    const { tenant } = caller
    const issuedAt = clock.now()
    if (asked.confirmation?.method === "name") checkKeyName(asked.confirmation.name)
    const input = { ...asked, device: deviceOf(asked, caller) }
    const policy = await policyOf(registry, input, caller)
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

/** A Name by which a key can be told from every other. @throws {AssayError} FIELD. */
const checkKeyName = (name: Uint8Array): void => {
  const hash = hashName(((name[0] ?? 0) << 8) | (name[1] ?? 0))
  if (hash !== undefined && hash !== "sha1" && name.length === 2 + HASHES[hash].sizeBytes) return
  const location = "confirmation.key_name"
  throw new AssayError("FIELD", `${location}: not the Name of a key that can be certified`, {
    location,
    expected: "nameAlg of SHA-256, SHA-384 or SHA-512, and a digest of its size",
    actual: `${toHex(name.subarray(0, 2))} and ${Math.max(name.length - 2, 0)} bytes`,
  })
}

const deviceFor = (registry: Ports["registry"], id: string, caller: Caller): Promise<DeviceRecord> =>
  readOwn(
    caller,
    () => registry.device(caller.tenant, id),
    (device) => device,
  )

/** The device that the challenge is for; empty for any. @throws {AssayError} PERMISSION. */
const deviceOf = ({ device }: ChallengeInput, { own }: Caller): string => {
  if (device !== "" || own === undefined) return device
  if (own.kind === "device") return own.id
  throw new AssayError(
    "PERMISSION",
    "with an enrollment token, a challenge names the device that it is for",
    {
      location: "device",
      expected: "a device that was enrolled with the token",
      actual: "none",
    },
  )
}

/** The policy that will judge, as far as the request determines it. */
const policyOf = async (
  registry: Ports["registry"],
  { device, policy }: ChallengeInput,
  caller: Caller,
): Promise<PolicyRecord | undefined> => {
  const { tenant } = caller
  // Whichever device answers may have a policy of its own, whose revisions are counted apart.
  if (device === "" && policy === "") return undefined
  const found = device === "" ? undefined : await deviceFor(registry, device, caller)
  const own = found?.policy
  if (policy !== "" && own !== undefined && own !== policy)
    throw new AssayError("NONCE_CONTEXT", "the device has another policy than the one that was asked for", {
      location: "policy",
      actual: policy, // and not which one it is: that is nobody's business who has to ask
    })
  const name = policy === "" ? own : policy
  return name === undefined ? registry.groupPolicy(tenant, found?.group ?? "") : registry.policy(tenant, name)
}
