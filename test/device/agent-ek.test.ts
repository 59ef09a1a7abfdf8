import { tmpdir } from "node:os"
import { create } from "@bufbuild/protobuf"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { type AgentOptions, createAgent } from "../../src/device/agent.ts"
import type { Attester } from "../../src/device/attester.ts"
import { enrollmentParts } from "../../src/device/enrollment.ts"
import { run } from "../../src/device/programs.ts"
import type { Swtpm } from "../../src/device/swtpm.ts"
import { parseAttest } from "../../src/evidence/tpm/attest.ts"
import type { EkTemplateName } from "../../src/evidence/tpm/ek-template.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import { enrollmentExtraData } from "../../src/evidence/transcript.ts"
import { parseNvCertificate } from "../../src/evidence/x509/nv.ts"
import { BeginEnrollmentResponseSchema } from "../../src/gen/assay/v1/enrollment_pb.ts"
import { verifyActivation } from "../../src/verification/activation.ts"
import { makeCredential } from "../../src/verification/credential.ts"
import { verifyEndorsementKey } from "../../src/verification/ek.ts"
import { checkSameKey } from "../../src/verification/endorsements.ts"
import { rejectsCode } from "../support/assert.ts"
import { NOTHING_DENIED } from "../support/chain.ts"
import { flipped, keyOf } from "../support/core.ts"
import { RANDOM } from "../support/credential.ts"
import { copiedSwtpm } from "../support/swtpm.ts"
import { needs } from "../support/vectors.ts"

const test = suite("agent's endorsement key")

const started = new Map<string, Promise<Swtpm>>()
/** A TPM with certified endorsement keys, RSA-2048 and P-384 at their handles, or with none at all. */
const tpm = (kind: "certified" | "bare"): Promise<Swtpm> => {
  const swtpm = started.get(kind) ?? copiedSwtpm(["sha256"], { certified: kind === "certified" })
  started.set(kind, swtpm)
  return swtpm
}
test.after(async () => {
  for (const swtpm of started.values()) await (await swtpm).stop()
})

const agentOf = async (kind: "certified" | "bare", options: AgentOptions = {}): Promise<Attester> =>
  createAgent({ tcti: (await tpm(kind)).tcti, ...options })

/** A credential by the core for the two keys that the agent shows, as the service makes it. */
const credentialFor = async (agent: Attester, ak: Attester = agent) => {
  const area = parsePublic(await agent.ekPublic())
  const ek = verifyEndorsementKey({ path: undefined, area }, NOTHING_DENIED)
  const secret = RANDOM(32)
  return { ek, secret, ...makeCredential(ek, keyOf(ak), secret, RANDOM) }
}

/** What a TPM without a resource manager still holds. */
const leftovers = async (kind: "certified" | "bare"): Promise<string> => {
  const at = { folder: tmpdir(), timeoutMs: 20_000, tcti: (await tpm(kind)).tcti }
  const printed = await Promise.all(
    ["handles-transient", "handles-loaded-session", "handles-saved-session"].map((what) =>
      run("tpm2_getcap", [what], at),
    ),
  )
  return printed.join("").trim()
}

const kinds: readonly (readonly [EkTemplateName, "certified" | "bare", where: string])[] = [
  ["L-1", "certified", "at its handle"],
  ["H-3", "certified", "at its handle"],
  ["L-1", "bare", "made anew"],
  ["L-2", "bare", "made anew"],
  ["H-1", "bare", "made anew"],
  ["H-3", "bare", "made anew"],
  ["H-4", "bare", "made anew"],
  ["H-6", "bare", "made anew"],
]
for (const [ekTemplate, kind, where] of kinds)
  needs("swtpm", test)(`TPM2_ActivateCredential says the secret, ${ekTemplate} ${where}`, async () => {
    const agent = await agentOf(kind, { ekTemplate })
    const { ek, secret, credentialBlob, encryptedSecret } = await credentialFor(agent)
    assert.is(ek.template, ekTemplate)
    assert.is(toHex(await agent.activate(credentialBlob, encryptedSecret)), toHex(secret))
    assert.is(await leftovers(kind), "")
  })

for (const ekTemplate of ["L-1", "H-3"] as const)
  needs("swtpm", test)(`shows the key that its certificate is of, ${ekTemplate}`, async () => {
    const agent = await agentOf("certified", { ekTemplate })
    const [leaf] = await agent.ekCertificateChain()
    assert.ok(leaf)
    checkSameKey(parseNvCertificate(leaf), parsePublic(await agent.ekPublic()).key)
  })

needs("swtpm", test)("takes the key that has a certificate, and RSA-2048 where none has", async () => {
  for (const kind of ["certified", "bare"] as const) {
    const { key } = parsePublic(await (await agentOf(kind)).ekPublic())
    assert.is(key.kind, "rsa")
  }
  assert.equal(await (await agentOf("bare")).ekCertificateChain(), [])
  assert.equal(await (await agentOf("certified", { ekTemplate: "L-2" })).ekCertificateChain(), [])
})

needs("swtpm", test)("answers an enrollment over its own keys", async () => {
  const agent = await agentOf("certified", { ekTemplate: "H-3" })
  const { ek, secret, credentialBlob, encryptedSecret } = await credentialFor(agent)
  const random = RANDOM(32)
  const sent = { enrollment: Uint8Array.of(1), random, tenant: "default", credentialBlob, encryptedSecret }
  const answer = await agent.answerEnrollment(enrollmentParts(create(BeginEnrollmentResponseSchema, sent)))
  const transcript = { random, tenant: "default", ekDigest: ek.digest, akName: agent.akName }
  const { activation, evidence } = answer
  assert.is(activation.case, "activationHmac")
  verifyActivation({ kind: "mac", value: activation.value ?? new Uint8Array() }, secret, transcript)
  const { extraData } = parseAttest(evidence?.kind.value?.attest ?? new Uint8Array())
  assert.is(toHex(extraData), toHex(enrollmentExtraData(transcript)))
  assert.is(await leftovers("certified"), "")
})

for (const ekTemplate of ["L-2", "H-3"] as const)
  needs("swtpm", test)(
    `refuses K-05 what was not made for both keys, and leaves nothing, ${ekTemplate}`,
    async () => {
      const agent = await agentOf("bare", { ekTemplate })
      const other = await agentOf("bare", { ekTemplate, handle: 0x81010207, algorithm: "p384" })
      const foreign = await agentOf("certified", { ekTemplate })
      const { credentialBlob, encryptedSecret } = await credentialFor(agent)
      const last = credentialBlob.length - 1
      const wrong = [
        await credentialFor(agent, other),
        await credentialFor(foreign, agent),
        { credentialBlob: flipped(credentialBlob, last), encryptedSecret },
        { credentialBlob, encryptedSecret: flipped(encryptedSecret, 20) },
        { credentialBlob: credentialBlob.subarray(0, last), encryptedSecret },
      ]
      for (const one of wrong)
        await rejectsCode(() => agent.activate(one.credentialBlob, one.encryptedSecret), "TPM")
      assert.is(await leftovers("bare"), "")
    },
  )

needs("swtpm", test)("refuses a TPM that cannot make the key", async () => {
  const agent = await agentOf("bare", { ekTemplate: "H-7" })
  await rejectsCode(() => agent.ekPublic(), "TPM")
  assert.is(await leftovers("bare"), "")
})

test.run()
