import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, toHex } from "../../src/bytes.ts"
import { readEkCertificateChain } from "../../src/device/nv.ts"
import { run } from "../../src/device/programs.ts"
import { type Swtpm, startSwtpm } from "../../src/device/swtpm.ts"
import { parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { parseNvCertificate } from "../../src/evidence/x509/nv.ts"
import { readItems } from "../../src/service/certificate-file.ts"
import { verifyChain } from "../../src/verification/chain.ts"
import { createTrust } from "../../src/verification/trust.ts"
import { rejectsCode } from "../support/assert.ts"
import { copiedSwtpm } from "../support/swtpm.ts"
import { needs } from "../support/vectors.ts"

const test = suite("readEkCertificateChain")
let certified: Swtpm | undefined
const tpm = async (): Promise<Swtpm> => {
  certified ??= await startSwtpm(["sha256"], { certified: true })
  return certified
}
test.after(() => certified?.stop())

const derOf = (file: string): Uint8Array =>
  readItems(readFileSync(file), file, "certificate")[0]?.der ?? new Uint8Array()

/** Writes the NV chain anew, over as many indices as there are parts. */
const writeChain = async ({ folder, tcti }: Swtpm, ...parts: readonly Uint8Array[]): Promise<void> => {
  const at = { folder, tcti, timeoutMs: 20_000 }
  for (const [i, part] of parts.entries()) {
    const index = `0x${(0x01c00100 + i).toString(16)}`
    const attributes = "ownerread|ownerwrite|authread|authwrite"
    writeFileSync(join(folder, "part"), part)
    await run("tpm2_nvundefine", ["-C", "o", index], at).catch(() => "")
    await run("tpm2_nvdefine", ["-Q", index, "-C", "o", "-s", String(part.length), "-a", attributes], at)
    await run("tpm2_nvwrite", ["-C", "o", "-i", "part", index], at)
  }
}

needs("swtpm", test)("reads a certificate that leads to the CA which made it", async () => {
  const { tcti, authorities } = await tpm()
  const [issuer, root] = authorities.map((file) => parseCertificate(derOf(file)))
  assert.ok(issuer && root)
  const [leaf] = (await readEkCertificateChain({ tcti })).map((der) => parseNvCertificate(der))
  assert.ok(leaf)
  const trust = createTrust({
    anchors: [{ certificate: root, purpose: "ek", revocation: "when-published" }],
    intermediates: [],
    crls: [],
    denied: { size: 0, find: () => undefined },
  })
  const { tpm: identity, deviations } = verifyChain(leaf, [issuer], trust, { purpose: "ek", at: new Date() })
  assert.is(identity?.model, "swtpm")
  assert.equal(identity?.specification, { family: "2.0", level: 0, revision: 164 })
  assert.equal(deviations, ["no-expiry"])
})

needs("swtpm", test)(
  "reads the issuers of the NV chain, over two indices and with padding behind",
  async () => {
    const swtpm = await tpm()
    const [issuer, root] = swtpm.authorities.map(derOf)
    assert.ok(issuer && root)
    const whole = concat(issuer, root, new Uint8Array(40).fill(0xff))
    await writeChain(swtpm, whole.subarray(0, 700), whole.subarray(700))
    const [, ...chain] = await readEkCertificateChain({ tcti: swtpm.tcti })
    assert.equal(chain.map(toHex), [issuer, root].map(toHex))
  },
)

needs("swtpm", test)("refuses X-14 an NV chain that is no list of certificates", async () => {
  const swtpm = await tpm()
  await writeChain(swtpm, Uint8Array.of(0x30, 0x82, 0x10, 0x00, 1, 2, 3), new Uint8Array(1))
  await rejectsCode(() => readEkCertificateChain({ tcti: swtpm.tcti }), "FRAMING")
})

needs("swtpm", test)("gives nothing of a TPM without certificates", async () => {
  const bare = await copiedSwtpm(["sha256"])
  try {
    assert.equal(await readEkCertificateChain({ tcti: bare.tcti }), [])
  } finally {
    await bare.stop()
  }
})
test.run()
