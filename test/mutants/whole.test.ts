/** What only the whole path from a request to its result can show, for mutants of what joins the parts. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { challengeExtraData } from "../../src/evidence/transcript.ts"
import {
  attest,
  codesOf,
  createTestService,
  enroll,
  evidenceOver,
  GATEWAY,
  type TestService,
} from "../support/service.ts"
import { policyDocument, testDevice } from "../support/world.ts"

const test = suite("the whole of one verification")

const device = testDevice({ selection: [{ hash: "sha256", pcrs: [0, 1, 2, 3, 4, 5, 6, 7] }] })

const CHALLENGE = { device: "", audience: "orders", confirmation: undefined, policy: "" }

const withService = async (act: (world: TestService) => Promise<void>): Promise<void> => {
  const world = createTestService()
  try {
    await enroll(world.service, device, policyDocument(device))
    await act(world)
  } finally {
    world.close()
  }
}

test("refuses K-03 a quote by the registered key below another parent than the registered one", () =>
  withService(async ({ service }) => {
    assert.is((await attest(service, device)).token.kind, "session")
    const { sealed, transcript } = await service.createChallenge(CHALLENGE, GATEWAY)
    const freshness = { kind: "challenge", challenge: sealed } as const
    const evidence = evidenceOver(device, challengeExtraData(transcript), {
      tamper: (fields) => ({ ...fields, qualifiedSigner: fields.qualifiedSigner.toReversed() }),
    })
    const result = await service.verify({ freshness, evidence }, GATEWAY)
    assert.is(result.token.kind, "result")
    assert.equal(codesOf(result), ["QUALIFIED_SIGNER"])
  }))

test("refuses N-04 the answer to a challenge as one to a nonce that is the challenge's own digest", () =>
  withService(async ({ service }) => {
    const { transcript } = await service.createChallenge(CHALLENGE, GATEWAY)
    const digest = challengeExtraData(transcript)
    const evidence = evidenceOver(device, digest)
    const result = await service.verify({ freshness: { kind: "nonce", nonce: digest }, evidence }, GATEWAY)
    assert.is(result.tier, "contraindicated")
    assert.equal(codesOf(result), ["NONCE_MISMATCH"])
  }))

test.run()
