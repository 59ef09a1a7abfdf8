import { suite } from "uvu"
import * as assert from "uvu/assert"
import {
  activationMac,
  type EnrollmentTranscript,
  enrollmentExtraData,
} from "../../src/evidence/transcript.ts"
import { type ActivationAnswer, verifyActivation } from "../../src/verification/activation.ts"
import { throwsCode } from "../support/assert.ts"
import { flipped } from "../support/core.ts"

const test = suite("verifyActivation")

const secret = new Uint8Array(32).map((_, i) => i)
const transcript: EnrollmentTranscript = {
  random: new Uint8Array(32).fill(1),
  tenant: "default",
  ekDigest: new Uint8Array(32).fill(2),
  akName: new Uint8Array(34).fill(3),
}
const mac = (value: Uint8Array): ActivationAnswer => ({ kind: "mac", value })
const plain = (value: Uint8Array): ActivationAnswer => ({ kind: "secret", value })

test("accepts the HMAC by the secret over the enrollment's transcript, and the secret itself", () => {
  const { tenant, ekDigest, akName } = transcript
  for (const answer of [mac(activationMac(secret, transcript)), plain(secret)])
    assert.equal({ ...verifyActivation(answer, secret, transcript) }, { tenant, ekDigest, akName })
})

const other = new Uint8Array(32).fill(9)
const over = (changed: Partial<EnrollmentTranscript>): ActivationAnswer =>
  mac(activationMac(secret, { ...transcript, ...changed }))
const refused: readonly (readonly [name: string, answer: ActivationAnswer])[] = [
  ["the HMAC by the secret of another enrollment", mac(activationMac(other, transcript))],
  ["the HMAC by no secret", mac(activationMac(new Uint8Array(), transcript))],
  ["the HMAC over another enrollment's random value", over({ random: other })],
  ["the HMAC over another tenant", over({ tenant: "other" })],
  ["the HMAC over another endorsement key", over({ ekDigest: other })],
  ["the HMAC over no endorsement key", over({ ekDigest: new Uint8Array() })],
  ["the HMAC over another attestation key", over({ akName: new Uint8Array(34) })],
  ["the digest that is quoted", mac(enrollmentExtraData(transcript))],
  ["the HMAC, cut", mac(activationMac(secret, transcript).subarray(0, 31))],
  ["the HMAC with a byte behind it", mac(Uint8Array.of(...activationMac(secret, transcript), 0))],
  ["no HMAC", mac(new Uint8Array())],
  ["an HMAC of zeros", mac(new Uint8Array(32))],
  ["the secret as an HMAC", mac(secret)],
  ["the HMAC as a secret", plain(activationMac(secret, transcript))],
  ["another secret", plain(other)],
  ["the secret, cut", plain(secret.subarray(0, 31))],
  ["the secret with a byte behind it", plain(Uint8Array.of(...secret, 0))],
  ["no secret", plain(new Uint8Array())],
  ["a secret of zeros", plain(new Uint8Array(32))],
]
for (const [name, answer] of refused)
  test(`refuses K-05 ${name}`, () => {
    throwsCode(() => verifyActivation(answer, secret, transcript), "ACTIVATION")
  })

test("refuses K-05 a bit that is changed anywhere", () => {
  for (const answer of [mac(activationMac(secret, transcript)), plain(secret)])
    for (let at = 0; at < 32; at++)
      throwsCode(
        () => verifyActivation({ ...answer, value: flipped(answer.value, at, 0x80) }, secret, transcript),
        "ACTIVATION",
      )
})

for (const size of [0, 31, 33])
  test(`K-05 judges nothing by a secret of ${size} bytes, which anybody might have`, () => {
    const held = new Uint8Array(size)
    for (const answer of [mac(activationMac(held, transcript)), plain(held)])
      assert.throws(
        () => verifyActivation(answer, held, transcript),
        (error: unknown) => error instanceof TypeError,
      )
  })

test.run()
