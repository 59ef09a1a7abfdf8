import { execFileSync } from "node:child_process"
import { createECDH } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, toHex, utf8 } from "../../src/bytes.ts"
import { sized, u16 } from "../../src/device/encode.ts"
import { createSoftwareDevice } from "../../src/device/software.ts"
import { activateCredential, createSoftwareEk, type SoftwareEk } from "../../src/device/software-ek.ts"
import { AssayError } from "../../src/errors.ts"
import { HASHES } from "../../src/evidence/tpm/algorithm.ts"
import type { EkTemplateName } from "../../src/evidence/tpm/ek-template.ts"
import { CURVES } from "../../src/evidence/tpm/public.ts"
import { type Credential, protectCredential } from "../../src/verification/credential.ts"
import { encapsulate } from "../../src/verification/encapsulate.ts"
import { throwsCode } from "../support/assert.ts"
import { flipped } from "../support/core.ts"
import { drawing, EK_KEYS, ekOf, ekPairOf, RANDOM } from "../support/credential.ts"
import { ownKeys } from "../support/rsa.ts"
import { needs } from "../support/vectors.ts"
import { withFiles } from "./judges.ts"

const test = suite("activateCredential")

const NAME = concat(u16(HASHES.sha256.id), new Uint8Array(32).fill(7))
const OTHER_NAME = concat(u16(HASHES.sha256.id), new Uint8Array(32).fill(8))
const softwareEk = (template: EkTemplateName): SoftwareEk => createSoftwareEk(template, ekPairOf(template))
const made = (template: EkTemplateName, name = NAME, secret = RANDOM(32)): Credential =>
  protectCredential(ekOf(template), name, secret, RANDOM)
const open = (template: EkTemplateName, { credentialBlob, encryptedSecret }: Credential, name = NAME) =>
  activateCredential(softwareEk(template), name, credentialBlob, encryptedSecret)

for (const [template] of EK_KEYS)
  test(`opens what was made for its key and its object, whatever the secret, ${template}`, () => {
    const { nameAlg } = ekOf(template)
    const limit = HASHES[nameAlg].sizeBytes
    const secrets = fc.uint8Array({ minLength: 1, maxLength: limit })
    const names = fc
      .constantFrom("sha1", "sha256", "sha384", "sha512")
      .chain((hash) =>
        fc
          .uint8Array({ minLength: HASHES[hash].sizeBytes, maxLength: HASHES[hash].sizeBytes })
          .map((digest) => concat(u16(HASHES[hash].id), digest)),
      )
    fc.assert(
      fc.property(secrets, names, (secret, name) => {
        assert.is(toHex(open(template, made(template, name, secret), name)), toHex(secret))
      }),
      { numRuns: ekPairOf(template).publicKey.kind === "rsa" ? 8 : 30 },
    )
  })

test("opens credentials whose coordinates begin with zeros", () => {
  for (const [template, curve, size] of [
    ["L-2", "prime256v1", 32],
    ["H-4", "secp521r1", 66],
  ] as const) {
    const ephemeral = createECDH(curve)
    let zeros = 0
    for (let n = 1; n < 5000 && zeros < 2; n++) {
      const scalar = new Uint8Array(size)
      new DataView(scalar.buffer).setUint16(size - 2, n)
      ephemeral.setPrivateKey(scalar)
      // Behind the byte that says how it is written.
      if (ephemeral.getPublicKey()[1] !== 0) continue
      const credential = protectCredential(ekOf(template), NAME, RANDOM(32), drawing(scalar))
      assert.is(credential.encryptedSecret[4], 0)
      zeros++
      assert.is(open(template, credential).length, 32)
    }
    assert.is(zeros, 2, template)
  }
})

/** Every way to change a credential for a template that keeps it readable, or does not. */
const refusals: readonly (readonly [
  name: string,
  change: (one: Credential, template: EkTemplateName) => Credential,
])[] = [
  ["another object's", (_, template) => made(template, OTHER_NAME)],
  ["a Name without its algorithm", (_, template) => made(template, NAME.subarray(2))],
  ["a Name with its size before it", (_, template) => made(template, sized(NAME))],
  [
    "another credential's secret",
    (one, template) => ({ ...one, encryptedSecret: made(template).encryptedSecret }),
  ],
  [
    "another credential's blob",
    (one, template) => ({ ...one, credentialBlob: made(template).credentialBlob }),
  ],
  ["a blob cut by a byte", (one) => ({ ...one, credentialBlob: one.credentialBlob.subarray(0, -1) })],
  ["a blob with a byte behind it", (one) => ({ ...one, credentialBlob: concat(one.credentialBlob, u16(0)) })],
  ["a secret cut by a byte", (one) => ({ ...one, encryptedSecret: one.encryptedSecret.subarray(0, -1) })],
  [
    "a secret with a byte behind it",
    (one) => ({ ...one, encryptedSecret: concat(one.encryptedSecret, u16(0)) }),
  ],
  ["no blob", (one) => ({ ...one, credentialBlob: new Uint8Array() })],
  ["no secret", (one) => ({ ...one, encryptedSecret: new Uint8Array() })],
  ["an empty secret", (one) => ({ ...one, encryptedSecret: u16(0) })],
  [
    "no HMAC",
    (one, template) => {
      const { sizeBytes } = HASHES[ekOf(template).nameAlg]
      return { ...one, credentialBlob: sized(concat(u16(0), one.credentialBlob.subarray(4 + sizeBytes))) }
    },
  ],
  [
    "an HMAC cut by a byte",
    (one, template) => {
      const { sizeBytes } = HASHES[ekOf(template).nameAlg]
      const hmac = one.credentialBlob.subarray(4, 3 + sizeBytes)
      return {
        ...one,
        credentialBlob: sized(concat(sized(hmac), one.credentialBlob.subarray(4 + sizeBytes))),
      }
    },
  ],
  [
    "the header of tpm2-tools before it",
    (one) => ({ ...one, credentialBlob: concat(utf8("\xba\xdc\xc0\xde"), one.credentialBlob) }),
  ],
]
for (const template of ["L-1", "L-2", "H-3", "H-4"] as const)
  for (const [name, change] of refusals)
    test(`refuses K-05 a credential with ${name}, ${template}`, () => {
      const changed = change(made(template), template)
      throwsCode(() => open(template, changed), ["TPM", "FRAMING", "LENGTH"])
    })

for (const template of ["L-1", "L-2", "H-3"] as const)
  test(`refuses K-05 a credential with a bit changed anywhere, ${template}`, () => {
    const one = made(template)
    for (const part of ["credentialBlob", "encryptedSecret"] as const)
      for (let at = 0; at < one[part].length; at += template === "L-1" ? 5 : 1) {
        const changed = { ...one, [part]: flipped(one[part], at, 1 << (at % 8)) }
        throwsCode(() => open(template, changed), ["TPM", "FRAMING", "LENGTH"])
      }
  })

test("refuses K-02 a credential for another endorsement key by the same template", () => {
  for (const [template, algorithm] of [
    ["L-1", "rsa-2048"],
    ["L-2", "p256"],
    ["H-3", "p384"],
    ["H-4", "p521"],
  ] as const) {
    const { credentialBlob, encryptedSecret } = made(template)
    const other = createSoftwareEk(template, ownKeys(algorithm))
    throwsCode(() => activateCredential(other, NAME, credentialBlob, encryptedSecret), "TPM")
  }
})

for (const label of ["IDENTITY\0", "IDENTITY ", "identity", "DUPLICATE", "SECRET", ""])
  for (const template of ["L-1", "L-2"] as const)
    test(`refuses K-05 a credential under the label ${JSON.stringify(label)}, ${template}`, () => {
      const { area, keyObject } = ekOf(template)
      const { secret } = encapsulate({ key: area.key, keyObject }, area.nameAlg, label, RANDOM)
      throwsCode(() => open(template, { ...made(template), encryptedSecret: sized(secret) }), "TPM")
    })

test("refuses K-05 a point without its leading zero: a TPM hashes it as it arrives", () => {
  for (;;) {
    const one = made("L-2")
    const point = one.encryptedSecret.subarray(2)
    if (point[2] !== 0) continue
    const { sizeBytes } = CURVES["P-256"]
    const [x, y] = [point.subarray(2, 2 + sizeBytes), point.subarray(4 + sizeBytes)]
    const short = sized(concat(sized(x.subarray(1)), sized(y)))
    throwsCode(() => open("L-2", { ...one, encryptedSecret: short }), "TPM")
    break
  }
})

test("refuses a point off the curve, and one at zero", () => {
  const one = made("L-2")
  for (const point of [new Uint8Array(64).fill(1), new Uint8Array(64), new Uint8Array(64).fill(0xff)]) {
    const secret = concat(sized(point.subarray(0, 32)), sized(point.subarray(32)))
    throwsCode(() => open("L-2", { ...one, encryptedSecret: sized(secret) }), "TPM")
  }
})

test("never ends but with the secret or with a code", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 300 }), (blob, secret) => {
      try {
        open("L-2", { credentialBlob: blob, encryptedSecret: secret })
        assert.unreachable()
      } catch (error) {
        assert.instance(error, AssayError)
      }
    }),
  )
})

for (const template of ["L-1", "L-2", "H-3", "H-4", "H-6"] as const)
  needs("swtpm", test)(`opens what tpm2_makecredential made, ${template}`, async () => {
    const device = createSoftwareDevice({
      algorithm: "p256",
      ekTemplate: template,
      ekKeys: ekPairOf(template),
    })
    const secret = RANDOM(32)
    const file = withFiles({ "ek.pub": await device.ekPublic(), secret }, (folder) => {
      const name = ["-n", toHex(device.akName)]
      const files = ["-T", "none", "-u", "ek.pub", "-s", "secret", "-o", "credential"]
      execFileSync("tpm2_makecredential", [...files, ...name], { cwd: folder, stdio: "pipe" })
      return new Uint8Array(readFileSync(join(folder, "credential")))
    })
    assert.is(toHex(file.subarray(0, 8)), "badcc0de00000001")
    const blobEnd = 10 + ((file[8] ?? 0) << 8) + (file[9] ?? 0)
    const opened = await device.activate(file.subarray(8, blobEnd), file.subarray(blobEnd))
    assert.is(toHex(opened), toHex(secret))
  })

test("of a device is by the template it was told, and the same each time", async () => {
  const device = createSoftwareDevice({ algorithm: "p256", ekTemplate: "H-3" })
  const area = await device.ekPublic()
  assert.is(toHex(area), toHex(await device.ekPublic()))
  assert.is(toHex((await device.endorsement()).ekPublic), toHex(area))
  assert.is(area.length, 172)
  assert.equal(await device.ekCertificateChain(), [(await device.endorsement()).certificate])
})

test.run()
