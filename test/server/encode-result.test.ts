import { fromBinary, toBinary } from "@bufbuild/protobuf"
import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Finding } from "../../src/appraisal/finding.ts"
import { TRUST_CLAIMS } from "../../src/appraisal/finding.ts"
import { VerifyResponseSchema, VerifyStreamResponseSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import type { EndorsementResult } from "../../src/result/endorsement.ts"
import type { AttestationResult } from "../../src/result/result.ts"
import type { Encoded } from "../../src/rpc.ts"
import { encodeResult, encodeStreamResult } from "../../src/server/encode-result.ts"
import { character } from "../support/arbitrary.ts"
import { resultToProto } from "./result-message.ts"

const test = suite("encodeResult")

/** As whoever is answered reads it; the library would give views of a Buffer as such. */
const readAnswer = ({ bytes }: Encoded) => fromBinary(VerifyResponseSchema, new Uint8Array(bytes))
const expected = (told: AttestationResult) =>
  fromBinary(VerifyResponseSchema, toBinary(VerifyResponseSchema, resultToProto(told)))

const text = fc.string({ unit: "grapheme", maxLength: 300 })
const bytes = fc.uint8Array({ maxLength: 300 })
const revision = fc.maxSafeNat()
const instant = fc.date({ min: new Date(0), max: new Date("9999-12-31T23:59:59Z"), noInvalidDate: true })
const tier = fc.constantFrom("none", "affirming", "warning", "contraindicated")
const shared: Finding = { rule: "ek", tier: "affirming" }
const finding = fc.oneof(
  fc.record({ rule: text, tier, expected: text, actual: fc.string({ unit: character }), location: text }),
  fc.constant(shared),
)
const endorsement: fc.Arbitrary<EndorsementResult> = fc.record({
  key: fc.constantFrom("ak", "ek"),
  tpm: fc.constant(undefined),
  anchor: text,
  anchorId: fc.constant("00ff".repeat(16)),
  revocation: fc.constant([]),
  deviations: fc.constant([]),
  expired: fc.boolean(),
  validUntil: instant,
})
const result: fc.Arbitrary<AttestationResult> = fc.record({
  id: text,
  tenant: text,
  tier,
  vector: fc.dictionary(fc.constantFrom(...TRUST_CLAIMS), fc.integer({ min: -128, max: 127 })),
  findings: fc.array(finding, { maxLength: 20 }),
  device: text,
  deviceRevision: revision,
  policy: fc.option(fc.record({ name: text, revision }), { nil: undefined }),
  evaluatedAt: instant,
  evidenceDigest: bytes,
  freshness: fc.constantFrom("challenge", "nonce", "epoch"),
  challengeState: fc.constantFrom("none", "unspent", "spent"),
  endorsements: fc.array(endorsement, { maxLength: 2 }),
  nonce: fc.option(bytes, { nil: undefined }),
  evidenceAgeMs: fc.option(fc.nat(), { nil: undefined }),
  certificateChain: fc.array(fc.uint8Array({ maxLength: 5000 }), { maxLength: 2 }),
  token: fc.record({ kind: fc.constantFrom("session", "result"), compact: text, expiresAt: instant }),
  attestAt: instant,
})

test("is on the wire what the message is, whatever is told, also when some of it was told before", () =>
  fc.assert(
    fc.property(result, (told) => assert.equal(readAnswer(encodeResult(told)), expected(told))),
    { numRuns: 300 },
  ))

test("is the same as an answer in a stream, under its request's id", () =>
  fc.assert(
    fc.property(text, result, (id, told) => {
      const read = fromBinary(VerifyStreamResponseSchema, new Uint8Array(encodeStreamResult(id, told).bytes))
      assert.is(read.id, id)
      assert.equal(read.outcome, { case: "response", value: expected(told) })
    }),
    { numRuns: 100 },
  ))

test("writes what is larger than anything before, and small again after it", () =>
  fc.assert(
    fc.property(result, (told) => {
      const large = { ...told, certificateChain: [new Uint8Array(100_000)] }
      for (const one of [large, told]) assert.equal(readAnswer(encodeResult(one)), expected(one))
    }),
    { numRuns: 20 },
  ))

test.run()
