import { createHash } from "node:crypto"
import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex, utf8 } from "../../src/bytes.ts"
import {
  challengeExtraData,
  epochExtraData,
  nonceExtraData,
  type Transcript,
} from "../../src/evidence/transcript.ts"

const test = suite("transcript")

const transcript: Transcript = {
  random: new Uint8Array(32).fill(7),
  tenant: "default",
  device: "laptop-1",
  audience: "https://gateway.example",
  confirmation: { method: "jkt", digest: new Uint8Array(32).fill(9) },
  policy: "laptops",
}

/** Written a second time, as an agent in another language would. */
const sha256OfParts = (...parts: (string | Uint8Array)[]): string => {
  const hash = createHash("sha256")
  for (const part of parts) {
    const bytes = Buffer.from(part)
    const size = Buffer.alloc(4)
    size.writeUInt32BE(bytes.length)
    hash.update(size).update(bytes)
  }
  return hash.digest("hex")
}

test("digests a challenge over label, random, tenant, device, audience, key and policy", () => {
  const { random, tenant, device, audience, policy } = transcript
  const key = Buffer.concat([utf8("jkt"), new Uint8Array(32).fill(9)])
  assert.is(
    toHex(challengeExtraData(transcript)),
    sha256OfParts("assay/v1/challenge", random, tenant, device, audience, key, policy),
  )
  assert.is(
    toHex(challengeExtraData({ ...transcript, confirmation: undefined })),
    sha256OfParts("assay/v1/challenge", random, tenant, device, audience, "", policy),
  )
})

test("digests a nonce and an epoch each with its tenant under a label of its own", () => {
  const value = new Uint8Array(32).fill(3)
  assert.is(toHex(nonceExtraData("default", value)), sha256OfParts("assay/v1/nonce", "default", value))
  assert.is(toHex(epochExtraData("default", value)), sha256OfParts("assay/v1/epoch", "default", value))
})

const others: [name: string, other: Partial<Transcript>][] = [
  ["another random value", { random: new Uint8Array(32).fill(8) }],
  ["a random value cut short", { random: new Uint8Array(31).fill(7) }],
  ["another tenant", { tenant: "other" }],
  ["another device", { device: "laptop-2" }],
  ["no device", { device: "" }],
  ["another audience", { audience: "https://backend.example" }],
  ["no confirmation", { confirmation: undefined }],
  [
    "another confirmation method",
    { confirmation: { method: "x5t#S256", digest: new Uint8Array(32).fill(9) } },
  ],
  ["another key", { confirmation: { method: "jkt", digest: new Uint8Array(32).fill(8) } }],
  ["another policy", { policy: "servers" }],
  ["a character moved from one field to the next", { tenant: "defaul", device: "tlaptop-1" }],
]
for (const [name, other] of others)
  test(`tells N-04 ${name} apart`, () =>
    assert.not(
      toHex(challengeExtraData({ ...transcript, ...other })) === toHex(challengeExtraData(transcript)),
    ))

test("never digests a nonce like an epoch or a challenge", () => {
  fc.assert(
    fc.property(fc.string(), fc.uint8Array({ minLength: 16, maxLength: 64 }), (tenant, value) => {
      const digests = [
        nonceExtraData(tenant, value),
        epochExtraData(tenant, value),
        challengeExtraData({ ...transcript, tenant, random: value }),
      ].map(toHex)
      assert.is(new Set(digests).size, 3)
      assert.ok(digests.every((digest) => digest.length === 64))
    }),
  )
})

test.run()
