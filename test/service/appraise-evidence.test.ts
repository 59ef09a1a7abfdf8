/** Evidence judged without a service, and that a service says the same. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { parsePolicy } from "../../src/appraisal/policy.ts"
import { concat, fromHex, sameBytes } from "../../src/bytes.ts"
import { HASH_NAMES, HASHES, type HashName } from "../../src/evidence/tpm/algorithm.ts"
import type { PcrValues } from "../../src/evidence/tpm/pcrs.ts"
import { appraiseEvidence, type OfflineEvidence } from "../../src/service/appraise-evidence.ts"
import { parsePcrJson } from "../../src/service/pcr-file.ts"
import { throwsCode } from "../support/assert.ts"
import { flipped } from "../support/core.ts"
import { needs, vectorJson } from "../support/vectors.ts"
import { policyFor, testDevice } from "../support/world.ts"

const test = suite("appraiseEvidence")
const withVectors = needs("vectors", test)

const BOOT_PCRS = [0, 1, 2, 3, 4, 5, 6, 7]
const device = testDevice({ sharedKeys: true, selection: [{ hash: "sha256", pcrs: BOOT_PCRS }] })
const nonce = new Uint8Array(32).fill(3)

const valuesOf = (hash: HashName, pcrs: readonly number[], values: Uint8Array): PcrValues => {
  const { sizeBytes } = HASHES[hash]
  return new Map([
    [hash, new Map(pcrs.map((pcr, i) => [pcr, values.subarray(i * sizeBytes, (i + 1) * sizeBytes)]))],
  ])
}

const evidenceOf = (of: typeof device): OfflineEvidence => {
  const { attest, signature, pcrBanks, eventLog } = of.attest({ extraData: nonce })
  return {
    akPublic: of.akPublic,
    qualifiedName: undefined,
    attest,
    signature,
    pcrs: valuesOf("sha256", BOOT_PCRS, concat(...pcrBanks.map(({ values }) => values))),
    eventLog,
    nonce,
  }
}

const good = evidenceOf(device)
const policy = policyFor(device)
const codeOf = (evidence: OfflineEvidence, by = policy): string | undefined =>
  appraiseEvidence(evidence, by).findings[0]?.code

test("lets in a device that the policy accepts, on its operator's word", () => {
  const result = appraiseEvidence(good, policy)
  assert.equal([result.admitted, result.tier], [true, "warning"])
  assert.is(result.findings[0]?.code, "AK_BINDING_UNPROVEN")
  assert.ok(sameBytes(result.akName, device.akName))
})

test("does not let in a tier that the policy does not admit", () => {
  for (const strict of [
    policyFor(device, { session: { admit: "affirming" } }),
    policyFor(device, { ak: { binding: "proven" } }),
  ])
    assert.is(appraiseEvidence(good, strict).admitted, false)
})

const refused: readonly [name: string, change: Partial<OfflineEvidence>, code: string][] = [
  ["Q-16 a changed attestation", { attest: flipped(good.attest, good.attest.length - 1) }, "SIGNATURE"],
  ["N-03 another nonce", { nonce: flipped(nonce, 0) }, "NONCE_MISMATCH"],
  ["N-03 an empty nonce", { nonce: new Uint8Array() }, "NONCE_MISSING"],
  [
    "another place in the TPM",
    { qualifiedName: concat(Uint8Array.of(0, 0x0b), new Uint8Array(32)) },
    "QUALIFIED_SIGNER",
  ],
  ["Q-10 a changed value", { pcrs: changed(good.pcrs, 3) }, "PCR_DIGEST"],
  ["Q-10 values of other PCRs in the right order", { pcrs: shifted(good.pcrs) }, "PCR_SELECTION"],
  ["Q-05 no values", { pcrs: new Map() }, "PCR_SELECTION"],
  ["P-01 no log where one is required", { eventLog: undefined }, "EVENT_LOG_MISSING"],
  ["a log of another boot", { eventLog: otherLog() }, "EVENT_LOG_REPLAY"],
  ["K-03 another key", { akPublic: testDevice().akPublic }, "SIGNATURE"],
  [
    "K-01 an unrestricted key",
    { akPublic: testDevice({ attributes: 0x00040072 }).akPublic },
    "AK_ATTRIBUTES",
  ],
]

function changed(pcrs: PcrValues, pcr: number): PcrValues {
  return new Map(
    [...pcrs].map(([hash, values]) => [
      hash,
      new Map([...values].map(([index, value]) => [index, index === pcr ? flipped(value, 0) : value])),
    ]),
  )
}
function shifted(pcrs: PcrValues): PcrValues {
  return new Map(
    [...pcrs].map(([hash, values]) => [hash, new Map([...values].map(([pcr, value]) => [pcr + 1, value]))]),
  )
}
function otherLog(): Uint8Array {
  const other = testDevice({ sharedKeys: true })
  other.boot([])
  return other.eventLog
}

for (const [name, change, code] of refused)
  test(`refuses ${name}`, () => {
    const result = appraiseEvidence({ ...good, ...change }, policy)
    assert.equal([result.admitted, result.tier, result.findings[0]?.code], [false, "contraindicated", code])
  })

test("refuses P-05 another software state than the references", () => {
  const updated = testDevice({ sharedKeys: true, selection: [{ hash: "sha256", pcrs: BOOT_PCRS }] })
  updated.boot([])
  assert.is(appraiseEvidence(evidenceOf(updated), policy).admitted, false)
})

test("throws what is malformed, with the member at fault", () => {
  throwsCode(() => appraiseEvidence({ ...good, attest: good.attest.subarray(1) }, policy), "QUOTE_MAGIC")
  throwsCode(
    () => appraiseEvidence({ ...good, signature: good.signature.subarray(0, -1) }, policy),
    ["FRAMING", "LENGTH"],
  )
  throwsCode(() => appraiseEvidence({ ...good, akPublic: new Uint8Array(3) }, policy), "FRAMING")
  throwsCode(() => appraiseEvidence({ ...good, qualifiedName: new Uint8Array(3) }, policy), "FRAMING")
  throwsCode(() => appraiseEvidence({ ...good, eventLog: Uint8Array.of(1) }, policy), "FRAMING")
})

interface Negative {
  readonly id: string
  readonly reason: string
  readonly attest: string
  readonly signature: string
  readonly akPublic: string
  readonly pcrs: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly nonce: string
  readonly qualifiedName?: string
  readonly required: Readonly<Record<string, readonly number[]>>
}

const bytes = (text: string): Uint8Array => fromHex(text) ?? new Uint8Array()

/** A policy that asks for what the record requires, with whatever it shows as reference where that can be one. */
const policyOf = ({ required, pcrs }: Negative) => {
  const banks = HASH_NAMES.filter((bank) => bank !== "sha1" && bank in required)
  const wanted = [...new Set(banks.flatMap((bank) => required[bank] ?? []))]
  const reference = (bank: HashName): Record<string, string> =>
    Object.fromEntries(
      wanted.map((pcr) => {
        const digits = 2 * HASHES[bank].sizeBytes
        return [pcr, (pcrs[bank]?.[pcr] ?? "").padEnd(digits, "0").slice(0, digits)]
      }),
    )
  return parsePolicy(
    JSON.stringify({
      version: 1,
      name: "negatives",
      evidence: { banks, pcrs: wanted, eventLog: "optional", sha1Bank: "tolerated" },
      references: [{ name: "shown", pcrs: Object.fromEntries(banks.map((bank) => [bank, reference(bank)])) }],
      ak: { binding: "operator" },
      session: { lifetimeSeconds: 300, admit: "warning", audiences: ["orders"] },
    }),
  )
}

withVectors("lets in none of the negatives of swtpm", () => {
  const negatives = vectorJson<readonly Negative[]>("swtpm/negatives.json")
  assert.is(negatives.length, 44)
  for (const negative of negatives) {
    const { id, attest, signature, akPublic, pcrs, nonce: asked, qualifiedName } = negative
    let admitted = true
    try {
      admitted = appraiseEvidence(
        {
          akPublic: bytes(akPublic),
          qualifiedName: qualifiedName === undefined ? undefined : bytes(qualifiedName),
          attest: bytes(attest),
          signature: bytes(signature),
          pcrs: parsePcrJson(pcrs),
          eventLog: undefined,
          nonce: bytes(asked),
        },
        policyOf(negative),
      ).admitted
    } catch (error) {
      throwsCode(() => {
        throw error
      }, ["FRAMING", "LENGTH", "QUOTE_MAGIC", "PCR_SELECTION_MALFORMED", "PUBLIC_AREA"])
      admitted = false
    }
    assert.is(admitted, false, id)
  }
})

test("says NO_REFERENCE or PCR_SELECTION where the policy wants more than was quoted", () => {
  const wider = policyFor(device, { pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 9] })
  assert.ok(["PCR_SELECTION", "NO_REFERENCE"].includes(codeOf(good, wider) ?? ""))
})

test.run()
