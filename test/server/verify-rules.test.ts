import {
  create,
  type DescMessage,
  getOption,
  hasOption,
  type MessageInitShape,
  toJson,
} from "@bufbuild/protobuf"
import { createValidator } from "@bufbuild/protovalidate"
import {
  FieldRulesSchema,
  field as fieldRules,
  message as messageRules,
  OneofRulesSchema,
  oneof as oneofRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js"
import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import {
  KeyCertificationSchema,
  VerifyRequestSchema,
  VerifyStreamRequestSchema,
} from "../../src/gen/assay/v1/attestation_pb.ts"
import { keepsRules, streamKeepsRules } from "../../src/server/verify-rules.ts"
import { character } from "../support/arbitrary.ts"

const test = suite("keepsRules")
const validator = createValidator()

/** Sizes on both sides of each bound that the schema has. */
const sized = (...bounds: readonly number[]) =>
  fc
    .constantFrom(...bounds.flatMap((bound) => [bound - 1, bound, bound + 1]).filter((size) => size >= 0))
    .map((size) => new Uint8Array(size))

const bank = fc.record({ hash: fc.constantFrom(-1, 0, 1, 2, 3, 4, 5, 6), values: sized(1, 32, 1536) })
const tpm = fc.record({
  akName: sized(34, 50, 66),
  attest: sized(1, 1024),
  signature: sized(1, 1100),
  pcrBanks: fc.array(bank, { maxLength: 5 }),
  eventLog: sized(0, 100, 1_048_576),
  eventLogDigest: fc.option(sized(32), { nil: undefined }),
  akCertificateChain: fc.array(sized(1, 16_384), { maxLength: 9 }),
})
const sound = {
  akName: new Uint8Array(34),
  attest: new Uint8Array(100),
  signature: new Uint8Array(70),
  pcrBanks: [{ hash: 2, values: new Uint8Array(32) }],
}
const good = {
  freshness: { case: "challenge", value: new Uint8Array(99) },
  evidence: { kind: { case: "tpm", value: sound } },
} as const

const freshness = fc.oneof(
  fc.record({ case: fc.constant("challenge" as const), value: sized(1, 2048) }),
  fc.record({ case: fc.constant("nonce" as const), value: sized(16, 64) }),
  fc.record({
    case: fc.constant("epoch" as const),
    value: fc.constantFrom(0n, 1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 64n - 1n),
  }),
  fc.constant({ case: undefined }),
)
/** One part at a time is random: else hardly any request would be good. */
const request = fc.oneof(
  freshness.map((one) => ({ ...good, freshness: one })),
  tpm.map((value) => ({ ...good, evidence: { kind: { case: "tpm" as const, value } } })),
  ...(
    ["akName", "attest", "signature", "pcrBanks", "eventLog", "eventLogDigest", "akCertificateChain"] as const
  ).map((name) =>
    tpm.map((value) => ({
      ...good,
      evidence: { kind: { case: "tpm" as const, value: { ...sound, [name]: value[name] } } },
    })),
  ),
  fc.constantFrom(
    { ...good, evidence: undefined },
    { ...good, evidence: { kind: { case: undefined } } },
    { ...good, certification: {} },
  ),
) as fc.Arbitrary<MessageInitShape<typeof VerifyRequestSchema>>

test("holds where all rules of the schema do, and nowhere else", () =>
  fc.assert(
    fc.property(request, (init) => {
      const message = create(VerifyRequestSchema, init)
      const { kind } = validator.validate(VerifyRequestSchema, message)
      assert.is(keepsRules(message), kind === "valid")
    }),
    { numRuns: 2000 },
  ))

test("leaves a certification to the rules themselves", () => {
  const size = new Uint8Array(9)
  const certification = { csr: size, keyPublic: size, attest: size, signature: size }
  const message = create(VerifyRequestSchema, good as MessageInitShape<typeof VerifyRequestSchema>)
  message.certification = create(KeyCertificationSchema, certification)
  assert.is(validator.validate(VerifyRequestSchema, message).kind, "valid")
  assert.not(keepsRules(message))
})

test("holds for a request of a stream where all rules do, and nowhere else", () => {
  const id = fc.oneof(
    fc.string({ unit: character, maxLength: 3 }),
    fc.constantFrom("", "a", "~", "!", " ", "a\n", "é", "😀", "a".repeat(64), "a".repeat(65)),
  )
  fc.assert(
    fc.property(id, fc.option(request, { nil: undefined }), (named, init) => {
      const message = create(VerifyStreamRequestSchema, { id: named, ...(init && { request: init }) })
      const { kind } = validator.validate(VerifyStreamRequestSchema, message)
      assert.is(streamKeepsRules(message), kind === "valid")
    }),
    { numRuns: 1000 },
  )
})

/** Each rule of a message and of those in it, by its field. */
const rulesOf = (schema: DescMessage, seen = new Set<string>()): string[] => {
  if (seen.has(schema.typeName)) return []
  seen.add(schema.typeName)
  return [
    ...(hasOption(schema, messageRules) ? [`${schema.name} has rules of its own`] : []),
    ...schema.oneofs.flatMap((oneof) =>
      hasOption(oneof, oneofRules)
        ? [
            `${schema.name}.${oneof.name} ${JSON.stringify(toJson(OneofRulesSchema, getOption(oneof, oneofRules)))}`,
          ]
        : [],
    ),
    ...schema.fields.flatMap((one) => [
      ...(hasOption(one, fieldRules)
        ? [
            `${schema.name}.${one.name} ${JSON.stringify(toJson(FieldRulesSchema, getOption(one, fieldRules)))}`,
          ]
        : []),
      ...(one.message === undefined ? [] : rulesOf(one.message, seen)),
    ]),
  ]
}

const RULES = [
  'VerifyStreamRequest.id {"string":{"maxLen":"64","pattern":"^[!-~]+$"},"required":true}',
  'VerifyStreamRequest.request {"required":true}',
  'VerifyRequest.freshness {"required":true}',
  'VerifyRequest.challenge {"bytes":{"minLen":"1","maxLen":"2048"}}',
  'VerifyRequest.nonce {"bytes":{"minLen":"16","maxLen":"64"}}',
  'VerifyRequest.epoch {"uint64":{"lte":"9007199254740991"}}',
  'VerifyRequest.evidence {"required":true}',
  'Evidence.kind {"required":true}',
  'TpmEvidence.ak_name {"bytes":{"minLen":"34","maxLen":"66"},"required":true}',
  'TpmEvidence.attest {"bytes":{"maxLen":"1024"},"required":true}',
  'TpmEvidence.signature {"bytes":{"maxLen":"1100"},"required":true}',
  'TpmEvidence.pcr_banks {"repeated":{"minItems":"1","maxItems":"4"}}',
  'PcrBank.hash {"enum":{"definedOnly":true,"notIn":[0]}}',
  'PcrBank.values {"bytes":{"maxLen":"1536"},"required":true}',
  'TpmEvidence.event_log {"bytes":{"maxLen":"1048576"}}',
  'TpmEvidence.event_log_digest {"bytes":{"len":"32"}}',
  'TpmEvidence.ak_certificate_chain {"repeated":{"maxItems":"8","items":{"bytes":{"minLen":"1","maxLen":"16384"}}}}',
]

test("was written for exactly these rules: who changes one looks at both", () => {
  const rules = rulesOf(VerifyStreamRequestSchema).filter((rule) => !rule.startsWith("KeyCertification"))
  assert.equal(rules, RULES)
})

test.run()
