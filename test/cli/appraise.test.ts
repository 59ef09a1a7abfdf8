import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, toHex } from "../../src/bytes.ts"
import { policyDocument, referenceValues, testDevice } from "../support/world.ts"
import { assay, fileOf, jsonOf } from "./run.ts"

const test = suite("assay appraise")

const BOOT_PCRS = [0, 1, 2, 3, 4, 5, 6, 7]
const device = testDevice({ sharedKeys: true, selection: [{ hash: "sha256", pcrs: BOOT_PCRS }] })
const nonce = new Uint8Array(32).fill(9)
const { attest, signature, eventLog } = device.attest({ extraData: nonce })
const evidence = {
  akPublic: toHex(device.akPublic),
  attest: toHex(attest),
  signature: toHex(signature),
  pcrs: referenceValues(device, ["sha256"], BOOT_PCRS),
  eventLog: toHex(eventLog),
  nonce: toHex(nonce),
}
const policy = fileOf(policyDocument(device), "yaml")

interface Appraised {
  readonly admitted: boolean
  readonly tier: string
  readonly vector: Readonly<Record<string, number>>
  readonly findings: readonly { readonly code: string | null; readonly rule: string }[]
  readonly evaluatedAt: string
}

const appraise = (shown: object, ...options: readonly string[]) =>
  assay(["appraise", "--evidence", fileOf(shown), "--policy", policy, ...options])

test("lets a device in that the policy accepts, with tier, vector and findings", async () => {
  const ran = await appraise(evidence, "--at", "2026-02-01T00:00:00Z")
  assert.equal([ran.status, ran.err], [0, ""])
  const { admitted, tier, vector, findings, evaluatedAt } = jsonOf<Appraised>(ran)
  assert.equal([admitted, tier, evaluatedAt], [true, "warning", "2026-02-01T00:00:00.000Z"])
  assert.is(vector["executables"], 3)
  assert.is(findings[0]?.code, "AK_BINDING_UNPROVEN")
  assert.ok(findings.length > 5)
})

test("takes what the demo adds for other programs", async () => {
  const { akPem, ...more } = {
    akPem: "x",
    akName: "x",
    signatureScheme: "x",
    pcrSelection: "x",
    pcrFile: "x",
  }
  assert.is((await appraise({ ...evidence, akPem, ...more })).status, 0)
})

test("refuses a policy that does not let the tier in", async () => {
  const strict = fileOf(policyDocument(device, { session: { admit: "affirming" } }), "yaml")
  const ran = await assay(["appraise", "--evidence", fileOf(evidence), "--policy", strict])
  assert.equal([ran.status, jsonOf<Appraised>(ran).admitted], [1, false])
})

const pcr0 = evidence.pcrs["sha256"]?.["0"] ?? ""
const refused: readonly [name: string, change: object, code: string][] = [
  ["N-03 another nonce", { nonce: "00".repeat(32) }, "NONCE_MISMATCH"],
  ["N-03 an empty nonce", { nonce: "" }, "NONCE_MISSING"],
  ["Q-16 another signature", { signature: `${toHex(signature).slice(0, -2)}00` }, "SIGNATURE"],
  [
    "Q-10 another value",
    { pcrs: { sha256: { ...evidence.pcrs["sha256"], 0: `${pcr0.slice(2)}00` } } },
    "PCR_DIGEST",
  ],
  ["another place in the TPM", { qualifiedName: `000b${"00".repeat(32)}` }, "QUALIFIED_SIGNER"],
  ["no log", { eventLog: undefined }, "EVENT_LOG_MISSING"],
]
for (const [name, change, code] of refused)
  test(`refuses ${name}`, async () => {
    const ran = await appraise({ ...evidence, ...change })
    const { admitted, tier, findings } = jsonOf<Appraised>(ran)
    assert.equal([ran.status, admitted, tier, findings[0]?.code], [1, false, "contraindicated", code])
  })

const malformed: readonly [name: string, shown: object, code: string][] = [
  ["no nonce", { ...evidence, nonce: undefined }, "INPUT"],
  ["no key", { ...evidence, akPublic: undefined }, "INPUT"],
  ["a member that nobody reads", { ...evidence, imaList: "" }, "INPUT"],
  ["a member that is no text", { ...evidence, attest: 1 }, "INPUT"],
  ["half a byte", { ...evidence, attest: "f" }, "INPUT"],
  ["values in a list", { ...evidence, pcrs: [] }, "INPUT"],
  ["a list", [evidence], "INPUT"],
  ["a cut attestation", { ...evidence, attest: toHex(attest.subarray(0, -1)) }, "FRAMING"],
  ["bytes behind the log", { ...evidence, eventLog: toHex(concat(eventLog, new Uint8Array(4))) }, "EVENT"],
]
for (const [name, shown, code] of malformed)
  test(`ends with 2 for ${name}`, async () => {
    const ran = await appraise(shown)
    assert.equal([ran.status, jsonOf<{ error: { code: string } }>(ran).error.code], [2, code])
  })

test("ends with 2 for a policy that is none", async () => {
  for (const text of [
    "",
    "{}",
    "version: 1",
    "a: [",
    policyDocument(device).replace('"version":1', '"version":2'),
  ]) {
    const ran = await assay(["appraise", "--evidence", fileOf(evidence), "--policy", fileOf(text, "yaml")])
    assert.equal([ran.status, jsonOf<{ error: { code: string } }>(ran).error.code], [2, "POLICY_SCHEMA"])
  }
})

test("tells a person the tier first", async () => {
  const { out } = await appraise(evidence, "-o", "table")
  assert.match(out, /^warning, let in by policy test\n/)
  assert.match(out, /^warning +ak-binding +AK_BINDING_UNPROVEN/m)
  const { out: bad } = await appraise({ ...evidence, nonce: "" }, "-o", "table")
  assert.match(bad, /^contraindicated, not let in by policy test\n/)
})

test.run()
