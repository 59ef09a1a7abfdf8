/**
 * Every proper prefix and every single-bit flip of a genuine bundle, made by a real TPM, is refused: with a coded error, which
 * for a refutation becomes a contraindicated result. Nothing else is ever thrown, and nothing is accepted.
 */
import { readFileSync } from "node:fs"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, fromHex } from "../../src/bytes.ts"
import { AssayError } from "../../src/errors.ts"
import { parseEventLog } from "../../src/evidence/eventlog/eventlog.ts"
import type { RawEvidence } from "../../src/evidence/evidence.ts"
import { type PcrValues, parsePcrFile } from "../../src/evidence/tpm/pcrs.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import type { AttestationKey } from "../../src/verification/key.ts"
import { createAttestationKey } from "../../src/verification/key.ts"
import type { Verified } from "../../src/verification/verified.ts"
import { throwsCode } from "../support/assert.ts"
import { claimsOf, evidenceOf, flipped, keyOf, p256Device } from "../support/core.ts"

const test = suite("a genuine bundle")

const FIXTURES = "test/fixtures/quotes"
const file = (path: string): Uint8Array => new Uint8Array(readFileSync(`${FIXTURES}/${path}`))

const nonce = fromHex(JSON.parse(readFileSync(`${FIXTURES}/p256-sha256/expected.json`, "utf8")).nonce)
if (nonce === undefined) throw new TypeError("the fixtures have a nonce")

interface Bundle {
  readonly evidence: RawEvidence
  readonly ak: Verified<AttestationKey>
}

const concatenated = (pcrs: PcrValues): RawEvidence["pcrBanks"] =>
  [...pcrs].map(([hash, bank]) => ({ hash, values: concat(...bank.values()) }))

const bundleOf = (name: string): Bundle => {
  const area = parsePublic(file(`${name}/ak.pub`))
  return {
    ak: createAttestationKey(area),
    evidence: {
      akName: area.name,
      attest: file(`${name}/attest.bin`),
      signature: file(`${name}/signature.bin`),
      pcrBanks: concatenated(parsePcrFile(file(`${name}/pcrs.bin`))),
      eventLog: undefined,
    },
  }
}

const accepts = ({ evidence, ak }: Bundle): void => {
  claimsOf(evidence, ak, { extraData: nonce })
}

/** Fails unless the bundle is refused with a coded error that says what was wrong with the evidence. */
const refuses = ({ evidence, ak }: Bundle, what: string): void => {
  try {
    claimsOf(evidence, ak, { extraData: nonce })
  } catch (error) {
    if (!(error instanceof AssayError)) throw new Error(`${what}: threw something else`, { cause: error })
    if (error.kind !== "refuted" && error.kind !== "malformed") assert.unreachable(`${what}: ${error.code}`)
    return
  }
  assert.unreachable(`${what}: accepted`)
}

type Part = "attest" | "signature" | "pcrs"
const partOf = ({ evidence }: Bundle, part: Part, bank = 0): Uint8Array =>
  part === "pcrs" ? (evidence.pcrBanks[bank]?.values ?? new Uint8Array()) : evidence[part]
const withPart = (bundle: Bundle, part: Part, bytes: Uint8Array, bank = 0): Bundle => ({
  ...bundle,
  evidence:
    part === "pcrs"
      ? {
          ...bundle.evidence,
          pcrBanks: bundle.evidence.pcrBanks.map((one, i) => (i === bank ? { ...one, values: bytes } : one)),
        }
      : { ...bundle.evidence, [part]: bytes },
})

/** All bits for one bundle of each kind of key; P-384 is too dear for more than a bit of each byte. */
const SAMPLES: [name: string, bits: readonly number[]][] = [
  ["p256-sha256", [0, 1, 2, 3, 4, 5, 6, 7]],
  ["rsa2048-sha256", [0, 1, 2, 3, 4, 5, 6, 7]],
  ["p256-two-banks", [0]],
  ["p384-sha384", [7]],
]
for (const [name, bits] of SAMPLES) {
  const bundle = bundleOf(name)
  test(`of a real TPM is accepted as it is: ${name}`, () => accepts(bundle))

  for (const part of ["attest", "signature", "pcrs"] as const)
    test(`refuses Q-11 every proper prefix of its ${part}: ${name}`, () => {
      for (const bank of bundle.evidence.pcrBanks.keys()) {
        const whole = partOf(bundle, part, bank)
        for (let size = 0; size < whole.length; size++)
          refuses(withPart(bundle, part, whole.subarray(0, size), bank), `${part} of ${size} bytes`)
      }
    })

  for (const part of ["attest", "signature", "pcrs"] as const)
    test(`refuses Q-16 ${bits.length === 8 ? "every single-bit flip" : "one bit changed in every byte"} of its ${part}: ${name}`, () => {
      for (const bank of bundle.evidence.pcrBanks.keys()) {
        const whole = partOf(bundle, part, bank)
        for (let at = 0; at < whole.length; at++)
          for (const bit of bits)
            refuses(
              withPart(bundle, part, flipped(whole, at, 1 << bit), bank),
              `${part} byte ${at} bit ${bit}`,
            )
      }
    })

  test(`refuses Q-11 one byte more in any part: ${name}`, () => {
    for (const part of ["attest", "signature", "pcrs"] as const)
      for (const byte of [0x00, 0xff])
        refuses(
          withPart(bundle, part, concat(partOf(bundle, part), Uint8Array.of(byte))),
          `${part} and ${byte}`,
        )
  })
}

test("refuses Q-16 every byte changed in the digests of its event log", () => {
  const device = p256Device()
  const evidence = evidenceOf(device)
  const ak = keyOf(device)
  const log = evidence.eventLog ?? new Uint8Array()
  // Only PCRs 0 to 7 are quoted, and the header record is not extended.
  const quoted = parseEventLog(log).events.filter(({ pcr, sequence }) => sequence > 0 && pcr <= 7)
  assert.ok(quoted.length > 16)
  for (const { sequence, digests } of quoted) {
    const digest = digests.get("sha256") ?? new Uint8Array()
    for (let at = 0; at < digest.length; at++) {
      const eventLog = flipped(log, digest.byteOffset - log.byteOffset + at, 0x10)
      const error = throwsCode(() => claimsOf({ ...evidence, eventLog }, ak), "EVENT_LOG_REPLAY")
      assert.match(error.location ?? "", /event \d+$/, `event ${sequence}, byte ${at}`)
    }
  }
})

test("refuses every proper prefix of its event log, unless it ends between two events of PCRs over 7", () => {
  const device = p256Device()
  const evidence = evidenceOf(device)
  const ak = keyOf(device)
  const log = evidence.eventLog ?? new Uint8Array()
  for (let size = 1; size < log.length; size++)
    try {
      const { replay } = claimsOf({ ...evidence, eventLog: log.subarray(0, size) }, ak)
      assert.equal(replay?.explained.get("sha256")?.toSorted(), [0, 1, 2, 3, 4, 5, 6, 7], `${size} bytes`)
    } catch (error) {
      if (!(error instanceof AssayError)) throw error
    }
})

test.run()
