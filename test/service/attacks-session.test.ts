/** T-08 against the whole service: tokens on half an appraisal. */
import { suite } from "uvu"
import { type CompiledPolicy, compilePolicy } from "../../src/appraisal/compile.ts"
import type { Policy } from "../../src/appraisal/policy.ts"
import { AssayError } from "../../src/errors.ts"
import { epochExtraData, nonceExtraData } from "../../src/evidence/transcript.ts"
import type { Ports } from "../../src/service/ports.ts"
import { type Attack, attackTests, type Refusal, spent } from "../support/attack.ts"
import { sceneFor } from "../support/scene.ts"
import { evidenceOver, GATEWAY } from "../support/service.ts"
import { attackedDevice, P256, P384, RSAPSS, RSASSA, VICTIMS, victimOf } from "../support/victim.ts"

const test = suite("attacks on sessions")

/** What goes wrong next, once, and for nobody but the attacked device. */
let fault: string | undefined
const strikes = (name: string, device: string): boolean => {
  if (fault !== name || device === "bystander") return false
  fault = undefined
  return true
}
const failWith = (error: unknown): never => {
  throw error
}
const RULES_READ: readonly (keyof Policy)[] = ["evidence", "references", "ak", "tpm", "clock"]
/** The policy with a part that cannot be read: the rules that read it fail. */
const unreadable = ({ terms }: CompiledPolicy, part: keyof Policy): CompiledPolicy =>
  compilePolicy(
    Object.defineProperty({ ...terms }, part, { get: () => failWith(new RangeError(`no ${part}`)) }),
  )
const subjectOf = (signed: Uint8Array): string =>
  String(
    JSON.parse(Buffer.from(Buffer.from(signed).toString().split(".")[1] ?? "", "base64url").toString()).sub,
  )

const faulty = ({ contexts, journal, singleUse, signer }: Ports): Partial<Ports> => ({
  contexts: {
    ...contexts,
    remembered: () => undefined,
    contextFor: async (tenant, akName) => {
      const found = await contexts.contextFor(tenant, akName)
      const { context } = found
      const { id } = context.snapshot.device
      if (strikes("registry", id)) throw new AssayError("REGISTRY", "gone")
      if (strikes("record", id)) throw new AssayError("REGISTRY", "a stored record is damaged")
      const part = RULES_READ.find((name) => strikes(name, id))
      if (part === undefined || context.policy === undefined) return found
      return { ...found, context: { ...context, policy: unreadable(context.policy, part) } }
    },
  },
  singleUse: {
    ...singleUse,
    spend: async (value, at) => {
      await singleUse.spend(value, at)
      const of = Buffer.from(value.content).includes("bystander") ? "bystander" : ""
      if (strikes("spend", of)) throw new AssayError("NONCE_STORE", "the reply was lost")
    },
  },
  journal: {
    append: async (record, commit) => {
      if (strikes("journal", record.device)) throw new AssayError("JOURNAL", "disk full")
      if (strikes("disk", record.device)) throw "disk on fire"
      return journal.append(record, commit)
    },
  },
  signer: {
    ...signer,
    notAfter: signer.notAfter,
    sign: (input) => {
      if (fault === "signer" && strikes("signer", subjectOf(input))) throw new AssayError("SIGNER", "no")
      return signer.sign(input)
    },
  },
})

const NONCE = new Uint8Array(32).fill(5)
const p521 = attackedDevice({ algorithm: "p521" })
const withheld = (code: Refusal["code"], challenge: Refusal["challenge"] = "spent"): Refusal => ({
  code,
  ends: "refuted",
  challenge,
  tier: "warning",
})
const failing =
  (name: string) =>
  ({ honest }: Parameters<Attack["forge"]>[0]) => {
    fault = name
    return honest
  }
const unavailable = (code: Refusal["code"], challenge: Refusal["challenge"]): Refusal => ({
  code,
  ends: "unavailable",
  challenge,
})
const KINDS = [RSASSA, RSAPSS, P256, P384, P256]

attackTests(
  test,
  [
    ...RULES_READ.map(
      (part, i): Attack => ({
        name: `T-08 an honest device when the rules that read a policy's ${part} fail`,
        of: KINDS[i] ?? P256,
        forge: failing(part),
        refusal: spent("RULE_FAILED"),
      }),
    ),
    {
      name: "T-08 a token when the registry is away",
      of: RSASSA,
      forge: failing("registry"),
      refusal: unavailable("REGISTRY", "unspent"),
    },
    {
      name: "T-08 a token when a stored record is damaged",
      of: P384,
      forge: failing("record"),
      refusal: unavailable("REGISTRY", "unspent"),
    },
    {
      name: "T-08 a token when nobody knows whether the challenge was spent",
      of: P256,
      forge: failing("spend"),
      refusal: unavailable("NONCE_STORE", "spent"),
    },
    {
      name: "T-08 a token when the journal cannot be written",
      of: RSAPSS,
      forge: failing("journal"),
      refusal: unavailable("JOURNAL", "spent"),
    },
    {
      name: "T-08 a token when the journal throws what is no error",
      of: P256,
      forge: failing("disk"),
      refusal: { code: "INTERNAL", ends: "fault", challenge: "spent" },
    },
    {
      name: "T-08 a token when the signing key does not prove itself",
      of: P384,
      forge: failing("signer"),
      refusal: unavailable("SIGNER", "spent"),
    },
    {
      name: "T-08 a session for an audience that the policy does not name",
      of: RSASSA,
      forge: ({ honest }) => honest,
      session: { audience: "billing" },
      refusal: spent("AUDIENCE"),
    },
    {
      name: "T-08 a session in answer to a nonce",
      of: RSAPSS,
      forge: ({ device }) => ({
        freshness: { kind: "nonce", nonce: NONCE },
        evidence: evidenceOver(device, nonceExtraData("default", NONCE)),
      }),
      refusal: withheld("AK_BINDING_UNPROVEN", "none"),
    },
    {
      name: "T-08 a session in answer to an epoch",
      of: P384,
      forge: async ({ device, world }) => {
        const { epoch } = await world.service.epoch(GATEWAY)
        return {
          freshness: { kind: "epoch", number: epoch.number },
          evidence: evidenceOver(device, epochExtraData("default", epoch.value)),
        }
      },
      refusal: withheld("AK_BINDING_UNPROVEN", "none"),
    },
  ],
  sceneFor(test, VICTIMS, { ports: faulty }),
)

// Devices that no session is for, however honest they are.
for (const [name, policy, refusal] of [
  [
    "on a warning, where the policy admits none",
    { session: { admit: "affirming" } },
    withheld("AK_BINDING_UNPROVEN"),
  ],
  [
    "for a key that only its operator vouches for",
    { ak: { binding: "proven" } },
    spent("AK_BINDING_UNPROVEN"),
  ],
  ["for a device that quotes raw nonces", { evidence: { rawNonce: true } }, spent("SESSION_KEY_UNCERTIFIED")],
] as const)
  attackTests(test, [
    {
      name: `T-08 a session ${name}`,
      of: { ...victimOf("excluded", "P-521", p521, policy), verdict: refusal.code },
      forge: ({ honest }) => honest,
      refusal,
    },
  ])

test.run()
