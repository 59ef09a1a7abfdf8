import { execFileSync } from "node:child_process"
import { tmpdir } from "node:os"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { createAgent } from "../../src/device/agent.ts"
import type { Attester } from "../../src/device/attester.ts"
import { run } from "../../src/device/programs.ts"
import { createSoftwareDevice } from "../../src/device/software.ts"
import { createSoftwareKey, requestOf } from "../../src/device/software-key.ts"
import type { Swtpm } from "../../src/device/swtpm.ts"
import { type Certification, parseCertification } from "../../src/evidence/certification.ts"
import { parseEvidence } from "../../src/evidence/evidence.ts"
import { parseAttest } from "../../src/evidence/tpm/attest.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import { nonceExtraData } from "../../src/evidence/transcript.ts"
import { verifyInputFromProto } from "../../src/server/convert.ts"
import { type CertifiedKey, verifyCertification } from "../../src/verification/certification.ts"
import { createAttestationKey } from "../../src/verification/key.ts"
import { proveQuote } from "../../src/verification/quote.ts"
import { rejectsCode } from "../support/assert.ts"
import { ownKeys } from "../support/rsa.ts"
import { copiedSwtpm } from "../support/swtpm.ts"
import { needs } from "../support/vectors.ts"
import { withFiles } from "./judges.ts"

const NONCE = new Uint8Array(32).fill(7)

/** What the service does with what a device shows of its key. */
const verified = async (attester: Attester): Promise<{ key: CertifiedKey; shown: Certification }> => {
  const { name, certification } = await attester.certifyKey()
  const request = await attester.answerNonce("default", NONCE)
  const evidence = parseEvidence(verifyInputFromProto(request).evidence)
  const ak = createAttestationKey(parsePublic(attester.akPublic))
  const extraData = nonceExtraData("default", NONCE)
  const quote = proveQuote(evidence, ak, { extraData, qualifiedSigner: attester.qualifiedName })
  const shown = parseCertification(certification)
  return { key: verifyCertification(shown, ak, { quote, keyName: name, device: "gate-7" }), shown }
}

const csrOf = async (attester: Attester): Promise<Uint8Array> =>
  (await attester.certifyKey()).certification.csr

/** What openssl says of a request: that its signature holds, its subject, and its key. */
const openssl = (csr: Uint8Array): string =>
  withFiles({ csr }, (folder) => {
    const what = ["-inform", "DER", "-in", "csr", "-verify", "-noout", "-subject", "-text"]
    return execFileSync("openssl", ["req", ...what], { cwd: folder, encoding: "utf8", stdio: "pipe" })
  })

const test = suite("certifyKey")
let swtpm: Swtpm | undefined
const tpm = async (): Promise<Swtpm> => {
  swtpm ??= await copiedSwtpm(["sha256"])
  return swtpm
}
test.after(() => swtpm?.stop())

for (const [i, algorithm] of (["p256", "p384", "rsa-2048"] as const).entries())
  needs("swtpm", test)(`has the TPM sign and certify, by an attestation key of ${algorithm}`, async () => {
    const { tcti } = await tpm()
    const agent = await createAgent({ tcti, algorithm, handle: 0x81010201 + i })
    const { key, shown } = await verified(agent)
    assert.equal(key.name, shown.area.name)
    assert.is(toHex(shown.attest.extraData), "00ff55aa")
    assert.match(openssl(await csrOf(agent)), /Version: 1 \(0x0\)[\s\S]*prime256v1/)
  })

needs("swtpm", test)("keeps one key, also over a reboot, and certifies it anew", async () => {
  const { tcti, reboot } = await tpm()
  const agent = await createAgent({ tcti, handle: 0x81010201 })
  const before = await verified(agent)
  await reboot()
  const after = await verified(agent)
  assert.is(toHex(after.key.name), toHex(before.key.name))
  assert.is.not(after.shown.attest.clockInfo.resetCount, before.shown.attest.clockInfo.resetCount)
})

needs("swtpm", test)("makes another key at another handle, and leaves nothing in the TPM", async () => {
  const { tcti } = await tpm()
  const [one, other] = [0x81008200, 0x81008201]
  const keys = []
  for (const tlsKeyHandle of [one, other, one])
    keys.push(await (await createAgent({ tcti, handle: 0x81010201, tlsKeyHandle })).certifyKey())
  assert.is(new Set(keys.map(({ name }) => toHex(name))).size, 2)
  const handles = await run("tpm2_getcap", ["handles-transient"], { folder: tmpdir(), timeoutMs: 5000, tcti })
  assert.is(handles.trim(), "")
})

needs("swtpm", test)("refuses a handle with a key that was not made for TLS", async () => {
  const { tcti } = await tpm()
  await createAgent({ tcti, handle: 0x81010205, algorithm: "p384" })
  const agent = await createAgent({ tcti, handle: 0x81010201, tlsKeyHandle: 0x81010205 })
  await rejectsCode(() => agent.certifyKey(), "TPM")
})

for (const algorithm of ["p256", "p384", "p521", "rsa-2048"] as const)
  test(`makes a request in software that openssl accepts, ${algorithm}`, () => {
    const text = openssl(requestOf(createSoftwareKey({ algorithm, keys: ownKeys(algorithm) })))
    assert.match(text, /Attributes:\s*(\(none\))?/)
    assert.match(text, /subject=\s*\n/)
  })

test("has the software device certify its key as a TPM does", async () => {
  const device = createSoftwareDevice({ algorithm: "p256" })
  const { key, shown } = await verified(device)
  assert.equal(parseAttest(shown.attestBytes).attested.kind, "certify")
  assert.equal((await device.certifyKey()).name, key.name)
})

test.run()
