import { create } from "@bufbuild/protobuf"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { type ChallengeParts, challengeParts, type Own, tpmEvidence } from "../../src/device/attester.ts"
import { createSoftwareDevice } from "../../src/device/software.ts"
import { parseAttest } from "../../src/evidence/tpm/attest.ts"
import { challengeExtraData } from "../../src/evidence/transcript.ts"
import {
  CreateChallengeResponseSchema,
  type VerifyRequest,
  VerifyRequestSchema,
} from "../../src/gen/assay/v1/attestation_pb.ts"
import { throwsCode } from "../support/assert.ts"

const device = createSoftwareDevice({ algorithm: "p256" })
const random = Uint8Array.from({ length: 32 }, (_, i) => i)
const digest = new Uint8Array(32).fill(0xab)
const parts: ChallengeParts = {
  challenge: Uint8Array.of(1, 2, 3),
  random,
  tenant: "default",
  device: "dev-1",
  policy: "strict",
}
const own: Own = { audience: "https://api.example", confirmation: { method: "jkt", digest } }

const quoted = (request: VerifyRequest): string => toHex(parseAttest(tpmEvidence(request).attest).extraData)

const answers = suite("answer")

// Made with python3's struct and hashlib alone: sha256 of the parts, each behind its length as ">I".
const known: [name: string, parts: ChallengeParts, own: Own, extraData: string][] = [
  ["a key thumbprint", parts, own, "e541f8f4ae1d9a125cc6c97b6f46b658fae653aa57b7956f7ed6bd9d979e65c9"],
  [
    "a certificate",
    parts,
    { ...own, confirmation: { method: "x5t#S256", digest } },
    "0106a418709f908de64c8f079410901cbd4f309029b734e5435532bbaf39dcfa",
  ],
  [
    "no key, any device and any policy",
    { ...parts, device: "", policy: "" },
    { ...own, confirmation: undefined },
    "065e9cde464872382e627d44d192c580291ca8df973de10f4a9e1d4a45860276",
  ],
]
for (const [name, given, mine, extraData] of known)
  answers(`quotes the transcript that another program computes, with ${name}`, async () => {
    assert.is(quoted(await device.answer(given, mine)), extraData)
  })

answers("hands the sealed challenge back and shows its bank and its log", async () => {
  const request = await device.answer(parts, own)
  assert.equal(request.freshness, { case: "challenge", value: parts.challenge })
  const evidence = tpmEvidence(request)
  assert.equal(evidence.akName, device.akName)
  assert.equal(
    evidence.pcrBanks.map(({ values }) => values),
    [device.pcrValues()],
  )
  assert.equal(evidence.eventLog, device.eventLog)
})

// Whoever relays a challenge of his own wants the quote that would answer it: over his audience and his key.
const theirs = {
  audience: "https://attacker.example",
  confirmation: { method: "jkt", digest: random },
} as const
const relayed: [name: string, wanted: Own][] = [
  ["for another audience", { ...own, audience: theirs.audience }],
  ["for another key", { ...own, confirmation: theirs.confirmation }],
  ["for another audience and key", theirs],
  ["for a certificate of the same digest", { ...own, confirmation: { method: "x5t#S256", digest } }],
  ["for no key at all", { ...own, confirmation: undefined }],
]
for (const [name, wanted] of relayed)
  answers(`N-06 N-03 quotes another digest than a relayed challenge ${name} needs`, async () => {
    const needed = toHex(challengeExtraData({ ...parts, ...wanted }))
    const response = create(CreateChallengeResponseSchema, {
      challenge: parts.challenge,
      transcript: { random, tenant: "default", device: "dev-1", audience: wanted.audience, policy: "strict" },
    })
    assert.is.not(quoted(await device.answer(challengeParts(response), own)), needed)
  })

answers("N-06 quotes no digest that is handed to it as a nonce or as an epoch", async () => {
  const needed = challengeExtraData({ ...parts, ...theirs })
  const answered = [
    await device.answerNonce("default", needed),
    await device.answerEpoch("default", { number: 1n, value: needed }),
    await device.answer({ ...parts, random: needed }, own),
  ]
  for (const request of answered) assert.is.not(quoted(request), toHex(needed))
})
answers.run()

const oneWay = suite("answerNonce and answerEpoch")
oneWay("quote what another program computes", async () => {
  const nonce = random.subarray(0, 16)
  const withNonce = await device.answerNonce("default", nonce)
  assert.equal(withNonce.freshness, { case: "nonce", value: nonce })
  assert.is(quoted(withNonce), "afc9d7cd293aad7dba0065c3adf22b939d1a42b7a2dc2b4f06d641b075b921bf")
  const withEpoch = await device.answerEpoch("default", { number: 7n, value: random })
  assert.equal(withEpoch.freshness, { case: "epoch", value: 7n })
  assert.is(quoted(withEpoch), "15bb35faf48fb4ad7627baaeaf1c07f5b3e934c832f69816671ad593727aff3d")
})
oneWay.run()

const taken = suite("challengeParts")
taken("takes neither audience nor key of the answer", () => {
  const response = create(CreateChallengeResponseSchema, {
    challenge: parts.challenge,
    transcript: {
      random,
      tenant: "default",
      device: "dev-1",
      audience: theirs.audience,
      confirmation: { method: { case: "jkt", value: random } },
      policy: "strict",
    },
  })
  assert.equal(challengeParts(response), parts)
})
taken("refuses a challenge without its transcript", () => {
  throwsCode(() => challengeParts(create(CreateChallengeResponseSchema, { challenge: random })), "FIELD")
})
taken.run()

const evidence = suite("tpmEvidence")
evidence("refuses a request without evidence of a TPM", () => {
  assert.throws(
    () => tpmEvidence(create(VerifyRequestSchema, {})),
    (error: unknown) => error instanceof TypeError,
  )
})
evidence.run()
