/** Verify requests of which one field is wrong, as bytes, for some cannot be said with the messages of the contract. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf"
import { concat, utf8 } from "../../src/bytes.ts"
import { tpmEvidence } from "../../src/device/attester.ts"
import type { VerifyRequest } from "../../src/gen/assay/v1/attestation_pb.ts"
import { HashAlgorithm, TpmEvidenceSchema } from "../../src/gen/assay/v1/evidence_pb.ts"

/** One wrong field: what is wrong, its path, and a good request with that fault. */
export interface WrongField {
  readonly name: string
  readonly path: string
  readonly bytes: (good: VerifyRequest) => Uint8Array
}

/** A varint: seven bits a byte, the lowest first. */
const varint = (value: number): number[] =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)]
/** A length-delimited field. */
const field = (number: number, content: Uint8Array): Uint8Array =>
  concat(Uint8Array.of(...varint((number << 3) | 2), ...varint(content.length)), content)
/** A varint field. */
const integer = (number: number, value: number): Uint8Array =>
  Uint8Array.of(...varint(number << 3), ...varint(value))

const CHALLENGE = 1
const EVIDENCE = 4
const TPM = 1

const challengeOf = ({ freshness }: VerifyRequest): Uint8Array =>
  freshness.case === "challenge" ? freshness.value : new Uint8Array()
const tpmOf = (request: VerifyRequest): Uint8Array => toBinary(TpmEvidenceSchema, tpmEvidence(request))
const whole = (challenge: Uint8Array, tpm: Uint8Array): Uint8Array =>
  concat(field(CHALLENGE, challenge), field(EVIDENCE, field(TPM, tpm)))

const ones = (size: number): Uint8Array => new Uint8Array(size).fill(1)
const bank = (size: number) => ({ hash: HashAlgorithm.SHA256, values: ones(size) })

type TpmInit = Omit<MessageInitShape<typeof TpmEvidenceSchema>, "$typeName" | "$unknown">
const replaced: readonly [name: string, path: string, change: TpmInit][] = [
  ["an oversized AK name", "ak_name", { akName: ones(67) }],
  ["an absent AK name", "ak_name", { akName: ones(0) }],
  ["an AK name of no known hash", "ak_name", { akName: ones(34) }],
  ["an oversized attest", "attest", { attest: ones(1025) }],
  ["an absent attest", "attest", { attest: ones(0) }],
  ["an attest that no TPM made", "attest", { attest: ones(129) }],
  ["an oversized signature", "signature", { signature: ones(1101) }],
  ["an absent signature", "signature", { signature: ones(0) }],
  ["no bank", "pcr_banks", { pcrBanks: [] }],
  ["five banks", "pcr_banks", { pcrBanks: [1, 2, 3, 4, 5].map(() => bank(32)) }],
  ["one bank twice", "pcr_banks[1].hash", { pcrBanks: [bank(32), bank(32)] }],
  [
    "a bank of an unknown hash",
    "pcr_banks[0].hash",
    { pcrBanks: [{ ...bank(32), hash: 9 as HashAlgorithm }] },
  ],
  ["an empty bank", "pcr_banks[0].values", { pcrBanks: [bank(0)] }],
  ["an oversized bank", "pcr_banks[0].values", { pcrBanks: [bank(1537)] }],
  ["a bank of no whole values", "pcr_banks[0].values", { pcrBanks: [bank(33)] }],
  ["an oversized event log", "event_log", { eventLog: ones(1_048_577) }],
  ["an event log that is none", "event_log", { eventLog: ones(100) }],
]

const addedToTpm: readonly [name: string, path: string, added: Uint8Array][] = [
  ["a list in the reserved field 6", "6", field(6, utf8("list"))],
  ["a chain that is none", "ak_certificate_chain[0]", field(7, utf8("chain"))],
  ["a log that is both there and named", "event_log_digest", field(8, ones(32))],
  ["an offset in the reserved field 9", "9", integer(9, 1)],
  ["an empty reserved field", "6", field(6, ones(0))],
  ["an unknown field of the evidence", "15", field(15, ones(9))],
  ["a second AK name", "ak_name", field(1, ones(34))],
  ["a second attest", "attest", field(2, ones(129))],
  ["a second signature", "signature", field(3, ones(72))],
  ["a second event log", "event_log", field(5, ones(9))],
]

const addedToRequest: readonly [name: string, path: string, added: Uint8Array][] = [
  ["a second challenge", "challenge", field(CHALLENGE, ones(100))],
  ["a nonce beside the challenge", "nonce", field(2, ones(16))],
  ["an epoch beside the challenge", "epoch", integer(3, 7)],
  ["a second evidence behind the first", "evidence", field(EVIDENCE, ones(0))],
  ["an unknown field of the request", "15", field(15, ones(1))],
]

/** Every one of them. Each path is the field's, from the request's root. */
export const WRONG_FIELDS: readonly WrongField[] = [
  ...replaced.map(([name, path, change]) => ({
    name,
    path: `evidence.tpm.${path}`,
    bytes: (good: VerifyRequest) => {
      const { akName, attest, signature, pcrBanks, eventLog } = tpmEvidence(good)
      const evidence = create(TpmEvidenceSchema, { akName, attest, signature, pcrBanks, eventLog, ...change })
      return whole(challengeOf(good), toBinary(TpmEvidenceSchema, evidence))
    },
  })),
  ...addedToTpm.map(([name, path, added]) => ({
    name,
    path: `evidence.tpm.${path}`,
    bytes: (good: VerifyRequest) => whole(challengeOf(good), concat(tpmOf(good), added)),
  })),
  ...addedToRequest.map(([name, path, added]) => ({
    name,
    path,
    bytes: (good: VerifyRequest) => concat(whole(challengeOf(good), tpmOf(good)), added),
  })),
  {
    name: "an oversized challenge",
    path: "challenge",
    bytes: (good) => whole(ones(2049), tpmOf(good)),
  },
  { name: "an empty challenge", path: "challenge", bytes: (good) => whole(ones(0), tpmOf(good)) },
  { name: "no freshness", path: "freshness", bytes: (good) => field(EVIDENCE, field(TPM, tpmOf(good))) },
  { name: "no evidence", path: "evidence", bytes: (good) => field(CHALLENGE, challengeOf(good)) },
  {
    name: "evidence of no kind",
    path: "evidence.kind",
    bytes: (good) => concat(field(CHALLENGE, challengeOf(good)), field(EVIDENCE, ones(0))),
  },
  {
    name: "evidence of an unknown kind",
    path: "evidence.2",
    bytes: (good) => concat(field(CHALLENGE, challengeOf(good)), field(EVIDENCE, field(2, tpmOf(good)))),
  },
  {
    name: "evidence twice",
    path: "evidence.tpm",
    bytes: (good) => {
      const tpm = field(TPM, tpmOf(good))
      return concat(field(CHALLENGE, challengeOf(good)), field(EVIDENCE, concat(tpm, tpm)))
    },
  },
]
