/**
 * Two judges of the same quotes: `tpm2_checkquote`, and Assay. A real TPM implementation makes the quotes, with RSA-2048
 * and P-256 keys over SHA-256 and SHA-384 banks; each is shown to both as it is and with one thing altered.
 *
 * Where tpm2_checkquote 5.4 is known to say something else, and what is therefore not compared here:
 *
 * - It refuses genuine RSAPSS quotes; openssl judges those (test/device/tpm.test.ts).
 * - It takes an RSA key's scheme from the key alone: a TPMT_SIGNATURE that says RSAPSS over an RSASSA value passes.
 *   So the two bytes of the scheme are left as they are.
 * - It stops reading where it has enough: bytes behind the structure or the signature pass.
 * - It does not look at the magic number (Q-01, CVE-2024-29038), nor at which PCRs the values in the file say that they
 *   are of (Q-06, CVE-2024-29039), nor at clock, firmware and the key's attributes. What is signed or hashed cannot be
 *   altered afterwards without failing at both; what the key itself signs wrongly is for Assay alone to refuse.
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, toHex } from "../../src/bytes.ts"
import { type AgentAlgorithm, createAgent } from "../../src/device/agent.ts"
import { type Attester, tpmEvidence } from "../../src/device/attester.ts"
import { pcrFile } from "../../src/device/pcrfile.ts"
import type { Swtpm } from "../../src/device/swtpm.ts"
import { AssayError } from "../../src/errors.ts"
import { parseEvidence } from "../../src/evidence/evidence.ts"
import { HASHES, type HashName } from "../../src/evidence/tpm/algorithm.ts"
import { parseAttest } from "../../src/evidence/tpm/attest.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import { nonceExtraData } from "../../src/evidence/transcript.ts"
import { createAttestationKey } from "../../src/verification/key.ts"
import { proveQuote, verifyPcrs } from "../../src/verification/quote.ts"
import { flipped } from "../support/core.ts"
import { seededRandom } from "../support/ports/random.ts"
import { copiedSwtpm } from "../support/swtpm.ts"
import { isThere, needs } from "../support/vectors.ts"
import { assayHere, inFolder, run } from "./programs.ts"

const GENUINE = 10
const ALTERED = 30
/** Keys of one TPM each need a handle of their own. */
const HANDLES: Readonly<Record<"rsa-2048" | "p256", number>> = { "rsa-2048": 0x81010201, p256: 0x81010202 }
const PCRS = [0, 1, 2, 3, 4, 7, 10, 16, 17, 23]

/** A quote as both judges are shown it. */
interface Shown {
  readonly attest: Uint8Array
  readonly signature: Uint8Array
  /** Of the one bank, in ascending order of PCR. */
  readonly values: Uint8Array
  /** What extraData has to be. */
  readonly nonce: Uint8Array
}

const test = suite("tpm2_checkquote and Assay")
let swtpm: Swtpm
test.before(async () => {
  if (!isThere("swtpm")) return
  swtpm = await copiedSwtpm(["sha256", "sha384"])
  for (const pcr of [0, 4, 7, 10, 23])
    await swtpm.extendPcr(
      pcr,
      new Map([
        ["sha256", new Uint8Array(32).fill(pcr + 1)],
        ["sha384", new Uint8Array(48).fill(pcr + 1)],
      ]),
    )
})
test.after(async () => {
  if (isThere("swtpm")) await swtpm.stop()
})

/** What the attester's TPM quotes over another nonce each time. */
const quote = async (attester: Attester, nonce: Uint8Array): Promise<Shown> => {
  const { attest, signature, pcrBanks } = tpmEvidence(await attester.answerNonce("default", nonce))
  const values = concat(...pcrBanks.map(({ values }) => values))
  return { attest, signature, values, nonce: nonceExtraData("default", nonce) }
}

/** The scheme of a TPMT_SIGNATURE. */
const SCHEME_BYTES = 2

/** One bit of one part, never the same twice: `turn` chooses the part, `random` the bit. */
const alteredBy = (shown: Shown, turn: number, random: (below: number) => number): [what: string, Shown] => {
  const flip = (bytes: Uint8Array, from = 0): Uint8Array =>
    flipped(bytes, from + random(bytes.length - from), 1 << random(8))
  switch (turn % 4) {
    case 0:
      return ["a bit of the attested structure", { ...shown, attest: flip(shown.attest) }]
    case 1:
      return ["a bit of the signature", { ...shown, signature: flip(shown.signature, SCHEME_BYTES) }]
    case 2:
      return ["a bit of a PCR value", { ...shown, values: flip(shown.values) }]
    default:
      return ["a bit of the nonce", { ...shown, nonce: flip(shown.nonce) }]
  }
}

const selectionOf = (bank: HashName) => [{ hash: bank, pcrs: PCRS }]

/** Of one quote, whether each judge accepts it. */
const judge = async (folder: string, akPublic: Uint8Array, bank: HashName, shown: Shown) => {
  const { attest, signature, values, nonce } = shown
  const files = { "ak.pub": akPublic, attest, signature, pcrs: pcrFile(selectionOf(bank), values) }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
  const file = (name: string): string => join(folder, name)
  const theirs = run("tpm2_checkquote", [
    ...["-u", file("ak.pub"), "-m", file("attest"), "-s", file("signature"), "-f", file("pcrs")],
    ...["-g", "sha256", "-q", toHex(nonce)],
  ])
  const ours = await assayHere([
    ...["check", "quote", "--attest", file("attest"), "--signature", file("signature")],
    ...["--key", file("ak.pub"), "--pcrs", file("pcrs"), "--nonce", toHex(nonce)],
  ])
  return {
    checkquote: (await theirs).status === 0,
    assay: ours.status === 0,
    verification: verifies(akPublic, bank, shown),
  }
}

/** What the service does with it. */
const verifies = (akPublic: Uint8Array, bank: HashName, shown: Shown): boolean => {
  const area = parsePublic(akPublic)
  try {
    const { attest, signature, values, nonce } = shown
    const pcrBanks = [{ hash: bank, values }]
    const evidence = parseEvidence({ akName: area.name, attest, signature, pcrBanks, eventLog: undefined })
    const ak = createAttestationKey(area)
    verifyPcrs(proveQuote(evidence, ak, { extraData: nonce, qualifiedSigner: undefined }), evidence.pcrs)
    return true
  } catch (error) {
    if (error instanceof AssayError) return false
    throw error
  }
}

const cases: readonly [algorithm: "rsa-2048" | "p256", bank: HashName][] = [
  ["rsa-2048", "sha256"],
  ["rsa-2048", "sha384"],
  ["p256", "sha256"],
  ["p256", "sha384"],
]
for (const [algorithm, bank] of cases)
  needs("swtpm", test)(
    `agree on ${GENUINE} genuine and ${ALTERED} altered quotes by ${algorithm} over ${bank}`,
    () =>
      inFolder(async (folder) => {
        const attester = await createAgent({
          tcti: swtpm.tcti,
          algorithm: algorithm satisfies AgentAlgorithm,
          handle: HANDLES[algorithm],
          selection: selectionOf(bank),
        })
        const source = seededRandom(`${algorithm} ${bank}`)
        const random = (below: number): number => Buffer.from(source.bytes(4)).readUInt32BE() % below
        const genuine: Shown[] = []
        for (let i = 0; i < GENUINE; i++) genuine.push(await quote(attester, source.bytes(16 + i)))
        for (const shown of genuine) {
          const { attested } = parseAttest(shown.attest)
          assert.ok(attested.kind === "quote" && attested.pcrSelect[0]?.hash === bank)
          assert.is(shown.values.length, PCRS.length * HASHES[bank].sizeBytes)
          const all = { checkquote: true, assay: true, verification: true }
          assert.equal(await judge(folder, attester.akPublic, bank, shown), all)
        }
        const none = { checkquote: false, assay: false, verification: false }
        for (let i = 0; i < ALTERED / GENUINE; i++)
          for (const [j, original] of genuine.entries()) {
            const [what, shown] = alteredBy(original, i * GENUINE + j, random)
            assert.equal(await judge(folder, attester.akPublic, bank, shown), none, `${what}, number ${j}`)
          }
      }),
  )

test.run()
