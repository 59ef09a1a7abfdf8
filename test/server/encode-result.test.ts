import { fromBinary, toBinary } from "@bufbuild/protobuf"
import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Finding } from "../../src/appraisal/finding.ts"
import { VerifyResponseSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import { resultToProto } from "../../src/server/convert.ts"
import { resultToWire } from "../../src/server/encode-result.ts"
import { attest, enroll, withService } from "../support/service.ts"
import { policyDocument, testDevice } from "../support/world.ts"

const test = suite("resultToWire")
const device = testDevice()

test("is on the wire what the message is, whatever was found, also when it was told before", () =>
  withService(async ({ service }) => {
    await enroll(service, device, policyDocument(device))
    const result = await attest(service, device)
    const finding: fc.Arbitrary<Finding> = fc.record({
      rule: fc.string({ unit: "grapheme" }),
      tier: fc.constantFrom("affirming", "warning", "contraindicated"),
      expected: fc.string(),
      actual: fc.string({ unit: "binary" }),
      location: fc.string(),
    })
    const shared: Finding = { rule: "ek", tier: "affirming" }
    fc.assert(
      fc.property(fc.array(fc.oneof(finding, fc.constant(shared))), (findings) => {
        const told = { ...result, findings }
        const read = (message: ReturnType<typeof resultToProto>) =>
          fromBinary(VerifyResponseSchema, toBinary(VerifyResponseSchema, message))
        assert.equal(read(resultToWire(told)), read(resultToProto(told)))
      }),
      { numRuns: 100 },
    )
  }))

test.run()
