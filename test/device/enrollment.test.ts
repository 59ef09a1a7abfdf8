import { create } from "@bufbuild/protobuf"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { challengeParts } from "../../src/device/attester.ts"
import { type EnrollmentParts, enrollmentParts } from "../../src/device/enrollment.ts"
import { createSoftwareDevice, type SoftwareDevice } from "../../src/device/software.ts"
import { parseAttest } from "../../src/evidence/tpm/attest.ts"
import type { EkTemplateName } from "../../src/evidence/tpm/ek-template.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import {
  challengeExtraData,
  type EnrollmentTranscript,
  enrollmentExtraData,
} from "../../src/evidence/transcript.ts"
import { CreateChallengeResponseSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import {
  BeginEnrollmentResponseSchema,
  type CompleteEnrollmentRequest,
} from "../../src/gen/assay/v1/enrollment_pb.ts"
import { type ActivationAnswer, verifyActivation } from "../../src/verification/activation.ts"
import { makeCredential } from "../../src/verification/credential.ts"
import { type EndorsementKey, verifyEndorsementKey } from "../../src/verification/ek.ts"
import type { Verified } from "../../src/verification/verified.ts"
import { rejectsCode, throwsCode } from "../support/assert.ts"
import { NOTHING_DENIED } from "../support/chain.ts"
import { flipped, keyOf } from "../support/core.ts"
import { ekPairOf, RANDOM } from "../support/credential.ts"

const deviceWith = (ekTemplate: EkTemplateName = "L-2", shared = false): SoftwareDevice =>
  createSoftwareDevice({ algorithm: "p256", ekTemplate, ...(shared && { ekKeys: ekPairOf(ekTemplate) }) })

const ekOf = async (device: SoftwareDevice): Promise<Verified<EndorsementKey>> =>
  verifyEndorsementKey({ path: undefined, area: parsePublic(await device.ekPublic()) }, NOTHING_DENIED)

/** What the service keeps of an enrollment between the two calls, and what it sends. */
const begin = async (ekHolder: SoftwareDevice, akHolder: SoftwareDevice = ekHolder, tenant = "default") => {
  const ek = await ekOf(ekHolder)
  const ak = keyOf(akHolder)
  const secret = RANDOM(32)
  const random = RANDOM(32)
  const { credentialBlob, encryptedSecret } = makeCredential(ek, ak, secret, RANDOM)
  const transcript: EnrollmentTranscript = {
    random,
    tenant,
    ekDigest: ek.digest,
    akName: ak.area.name,
  }
  const enrollment = Uint8Array.of(1, 2, 3)
  const sent = { enrollment, random, tenant, credentialBlob, encryptedSecret, ekDigest: ek.digest }
  return { secret, transcript, parts: enrollmentParts(create(BeginEnrollmentResponseSchema, sent)) }
}

const answerOf = ({ activation }: CompleteEnrollmentRequest): ActivationAnswer => {
  assert.is(activation.case, "activationHmac")
  return { kind: "mac", value: activation.value ?? new Uint8Array() }
}
const quoted = ({ evidence }: CompleteEnrollmentRequest): string =>
  toHex(parseAttest(evidence?.kind.value?.attest ?? new Uint8Array()).extraData)

const test = suite("answerEnrollment")

for (const template of ["L-1", "L-2", "H-3", "H-4"] as const)
  test(`proves that both keys are in one TPM, and quotes the enrollment, ${template}`, async () => {
    const device = deviceWith(template, true)
    const { secret, transcript, parts } = await begin(device)
    const answer = await device.answerEnrollment(parts)
    assert.equal(answer.enrollment, parts.enrollment)
    verifyActivation(answerOf(answer), secret, transcript)
    assert.is(quoted(answer), toHex(enrollmentExtraData(transcript)))
    assert.is(JSON.stringify(answer).includes(toHex(secret)), false)
    assert.is(answer.evidence?.kind.value?.eventLog.length, 0)
  })

test("quotes an enrollment without an endorsement key, and answers no credential then", async () => {
  const device = deviceWith()
  const { transcript, parts } = await begin(device)
  const answer = await device.answerEnrollment({ ...parts, credential: undefined })
  assert.is(answer.activation.case, undefined)
  assert.is(quoted(answer), toHex(enrollmentExtraData({ ...transcript, ekDigest: new Uint8Array() })))
})

const others: readonly (readonly [name: string, change: (parts: EnrollmentParts) => EnrollmentParts])[] = [
  ["another random value", (parts) => ({ ...parts, random: RANDOM(32) })],
  ["another tenant", (parts) => ({ ...parts, tenant: "other" })],
]
for (const [name, change] of others)
  test(`K-05 answers nothing that would do for an enrollment with ${name}`, async () => {
    const device = deviceWith()
    const { secret, transcript, parts } = await begin(device)
    const answer = await device.answerEnrollment(change(parts))
    throwsCode(() => verifyActivation(answerOf(answer), secret, transcript), "ACTIVATION")
    assert.is.not(quoted(answer), toHex(enrollmentExtraData(transcript)))
  })

// The certificate of a genuine TPM, and an attestation key that lives elsewhere: K-02.
const binding: readonly (readonly [name: string, who: "ek" | "ak"])[] = [
  ["by the TPM of the endorsement key", "ek"],
  ["by whoever holds the attestation key", "ak"],
]
for (const template of ["L-1", "L-2", "H-3"] as const)
  for (const [name, who] of binding)
    test(`refuses K-02 the endorsement key of one TPM with the attestation key of another, ${name}, ${template}`, async () => {
      const genuine = deviceWith(template, true)
      const software = deviceWith(template)
      const { parts } = await begin(genuine, software)
      await rejectsCode(() => (who === "ek" ? genuine : software).answerEnrollment(parts), "TPM")
    })

const forged: readonly (readonly [
  name: string,
  answer: (device: SoftwareDevice) => Promise<ActivationAnswer>,
])[] = [
  ["that was guessed", async () => ({ kind: "mac", value: new Uint8Array(32) })],
  ["that is random", async () => ({ kind: "secret", value: RANDOM(32) })],
  ["that is missing", async () => ({ kind: "secret", value: new Uint8Array() })],
  [
    "of the same device's enrollment in another tenant",
    async (device) => answerOf(await device.answerEnrollment((await begin(device, device, "other")).parts)),
  ],
  [
    "of the same device's enrollment before",
    async (device) => answerOf(await device.answerEnrollment((await begin(device)).parts)),
  ],
  [
    "of another device's enrollment",
    async () => {
      const other = deviceWith()
      return answerOf(await other.answerEnrollment((await begin(other)).parts))
    },
  ],
]
for (const [name, answer] of forged)
  test(`refuses K-02 an activation ${name}`, async () => {
    const device = deviceWith()
    const { secret, transcript } = await begin(device)
    const value = await answer(device)
    throwsCode(() => verifyActivation(value, secret, transcript), "ACTIVATION")
  })

test("refuses K-05 the credential of another device, and quotes nothing then", async () => {
  const [device, other] = [deviceWith(), deviceWith()]
  const { parts } = await begin(other)
  let quotes = 0
  const counted = Object.assign(deviceWith(), {
    attest: () => {
      quotes++
      throw new Error("quoted")
    },
  })
  await rejectsCode(() => device.answerEnrollment(parts), "TPM")
  await rejectsCode(() => counted.answerEnrollment(parts), "TPM")
  assert.is(quotes, 0)
})

test("refuses K-05 a credential with a bit changed", async () => {
  const device = deviceWith()
  const { parts } = await begin(device)
  assert.ok(parts.credential)
  const { blob, encryptedSecret } = parts.credential
  for (const credential of [
    { blob: flipped(blob, blob.length - 1), encryptedSecret },
    { blob: flipped(blob, 4), encryptedSecret },
    { blob, encryptedSecret: flipped(encryptedSecret, encryptedSecret.length - 1) },
  ])
    await rejectsCode(() => device.answerEnrollment({ ...parts, credential }), "TPM")
})

test("N-06 quotes no digest that is handed to it as a random value, and none that answers a challenge", async () => {
  const device = deviceWith()
  const { parts } = await begin(device)
  const wanted = { audience: "https://attacker.example", confirmation: undefined }
  const sent = { challenge: Uint8Array.of(9), transcript: { random: parts.random, tenant: "default" } }
  const challenge = challengeParts(create(CreateChallengeResponseSchema, sent))
  const needed = challengeExtraData({ ...challenge, ...wanted })
  for (const random of [needed, parts.random])
    assert.is.not(quoted(await device.answerEnrollment({ ...parts, random })), toHex(needed))
})

const taken = suite("enrollmentParts")
taken("takes no Name and no digest of the answer", async () => {
  const device = deviceWith()
  const { parts } = await begin(device)
  assert.equal(Object.keys(parts).sort(), ["credential", "enrollment", "random", "tenant"])
})
taken("has no credential where none was sent, and refuses one half of it", () => {
  const half = Uint8Array.of(1)
  const response = (credentialBlob: Uint8Array, encryptedSecret: Uint8Array) =>
    create(BeginEnrollmentResponseSchema, { credentialBlob, encryptedSecret })
  assert.is(enrollmentParts(response(new Uint8Array(), new Uint8Array())).credential, undefined)
  throwsCode(() => enrollmentParts(response(half, new Uint8Array())), "FIELD")
  throwsCode(() => enrollmentParts(response(new Uint8Array(), half)), "FIELD")
})

test.run()
taken.run()
