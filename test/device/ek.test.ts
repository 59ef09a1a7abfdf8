import { hash, X509Certificate } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toBase64Url, toHex } from "../../src/bytes.ts"
import { generateKeys, sharedKeysOf } from "../../src/device/keys.ts"
import { createSoftwareDevice } from "../../src/device/software.ts"
import { createSoftwareEk } from "../../src/device/software-ek.ts"
import { hasAttribute, parsePublic } from "../../src/evidence/tpm/public.ts"
import { verifyEndorsementKey } from "../../src/verification/ek.ts"
import { NOTHING_DENIED, trustIn, verifyCase } from "../support/chain.ts"
import { needs } from "../support/vectors.ts"
import { accepts, output, withFiles } from "./judges.ts"

const devices = {
  rsa: createSoftwareDevice({ algorithm: "rsa-2048", sharedKeys: true }),
  ecc: createSoftwareDevice({ algorithm: "p256" }),
}

const test = suite("endorsement")
for (const [kind, device] of Object.entries(devices)) {
  test(`certifies the ${kind} endorsement key by the one anchor`, async () => {
    const { ekPublic, certificate, anchor } = await device.endorsement()
    const [leaf, root] = [new X509Certificate(certificate), new X509Certificate(anchor)]
    assert.ok(leaf.verify(root.publicKey) && leaf.checkIssued(root))
    assert.not.ok(leaf.ca)
    assert.equal(leaf.keyUsage, ["2.23.133.8.1"])
    assert.is(leaf.validTo, "Dec 31 23:59:59 9999 GMT")

    const area = parsePublic(ekPublic)
    assert.ok(hasAttribute(area, "restricted") && hasAttribute(area, "decrypt"))
    assert.not.ok(hasAttribute(area, "sign"))
    const jwk = leaf.publicKey.export({ format: "jwk" })
    const { key } = area
    assert.is(jwk[key.kind === "rsa" ? "n" : "x"], toBase64Url(key.kind === "rsa" ? key.modulus : key.x))
  })

  needs("swtpm", test)(`of ${kind} is one that openssl reads and verifies`, async () => {
    const { certificate, anchor } = await device.endorsement()
    withFiles({ "ek.der": certificate, "anchor.der": anchor }, (folder) => {
      for (const name of ["ek", "anchor"])
        output(folder, "openssl", "x509", "-inform", "der", "-in", `${name}.der`, "-out", `${name}.pem`)
      assert.ok(accepts(folder, "openssl", "verify", "-x509_strict", "-CAfile", "anchor.pem", "ek.pem"))
      const text = output(folder, "openssl", "x509", "-in", "ek.pem", "-noout", "-text")
      assert.match(text, /Subject Alternative Name: critical\s+DirName:\/2\.23\.133\.2\.1=id:41535359/)
      assert.match(text, /2\.23\.133\.2\.2=software\/2\.23\.133\.2\.3=id:00010000/)
      assert.match(text, /Extended Key Usage:\s+2\.23\.133\.8\.1/)
    })
  })
}

for (const ekTemplate of ["L-1", "L-2", "H-1", "H-3", "H-4", "H-6"] as const)
  test(`by the template ${ekTemplate} is one that the core takes for that, below its anchor`, async () => {
    const device = createSoftwareDevice({ algorithm: "p256", ekTemplate })
    const { certificate, anchor, ekPublic } = await device.endorsement()
    const path = verifyCase({ leaf: certificate, trust: trustIn([anchor]), options: { purpose: "ek" } })
    const { template, digest } = verifyEndorsementKey({ path, area: parsePublic(ekPublic) }, NOTHING_DENIED)
    assert.is(template, ekTemplate)
    const spki = new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" })
    assert.is(toHex(digest), hash("sha256", spki))
  })

test("is made once for each device", async () => {
  const { ecc } = devices
  assert.is(await ecc.endorsement(), await ecc.endorsement())
})

test("follows the low-range templates of the TCG EK Credential Profile", () => {
  const policyA = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa"
  const rsa = toHex(createSoftwareEk("L-1", sharedKeysOf("rsa-2048")).ekPublic)
  assert.ok(rsa.startsWith(`013a0001000b000300b20020${policyA}00060080004300100800000000000100`))
  assert.is(rsa.length, 2 * (2 + 314))
  const ecc = toHex(createSoftwareEk("L-2", generateKeys("p256")).ekPublic)
  assert.ok(ecc.startsWith(`007a0023000b000300b20020${policyA}0006008000430010000300100020`))
  assert.is(ecc.length, 2 * (2 + 122))
})

test.run()
