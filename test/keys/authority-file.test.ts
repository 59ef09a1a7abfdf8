import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex, utf8 } from "../../src/bytes.ts"
import { certificatePem } from "../../src/evidence/x509/certificate.ts"
import { generateAuthority } from "../../src/keys/authority.ts"
import {
  decodeAuthority,
  encodeAuthority,
  ensureAuthorityFile,
  readAuthorityFile,
} from "../../src/keys/authority-file.ts"
import { encryptedPkcs8 } from "../../src/keys/pkcs8.ts"
import { createPrivateFile } from "../../src/keys/privatefile.ts"
import { createRandom } from "../../src/keys/random.ts"
import { output, withFiles } from "../device/judges.ts"
import { throwsCode } from "../support/assert.ts"

const test = suite("files of the device authority")

/** As people choose one: it is stretched, which takes 0.1 s each time. */
const CHOSEN = "grüne Wiese, 1 Pferd"
const PASSPHRASE = `random-256-bit.${"a".repeat(43)}`
const AT = new Date("2026-01-01T00:00:00Z")
const random = createRandom()
const making = { clock: { now: () => AT }, random }
const folder = mkdtempSync(join(tmpdir(), "assay-authority-"))
test.after(() => rmSync(folder, { recursive: true }))

const authority = await generateAuthority("fleet.example", AT, random)
const other = await generateAuthority("fleet.example", AT, random)
const whole = encodeAuthority(authority, PASSPHRASE)
const [certificate = "", key = ""] = whole.split(/(?<=-----END CERTIFICATE-----\n)/)

test("gives back the authority that was written", () => {
  for (const read of [
    decodeAuthority("here", whole, PASSPHRASE),
    decodeAuthority("here", encodeAuthority(authority, CHOSEN), CHOSEN),
  ]) {
    assert.ok(read.privateKey.equals(authority.privateKey))
    assert.is(toHex(read.certificate.bytes), toHex(authority.certificate.bytes))
    assert.is(read.trustDomain, "fleet.example")
  }
})

test("writes what openssl reads, and nothing that the key can be read from", () => {
  withFiles({ file: utf8(whole) }, (at) => {
    const args = ["pkey", "-in", "file", "-passin", `pass:${PASSPHRASE}`, "-pubout", "-outform", "PEM"]
    const publicKey = output(at, "openssl", "x509", "-in", "file", "-noout", "-pubkey")
    assert.is(output(at, "openssl", ...args), publicKey)
  })
  const { d } = authority.privateKey.export({ format: "jwk" })
  assert.not(whole.includes(d ?? whole))
  assert.not(whole.includes(PASSPHRASE))
})

const bad: readonly [name: string, text: string][] = [
  ["nothing", ""],
  ["the certificate alone", certificate],
  ["the key alone", key],
  ["the key above the certificate", key + certificate],
  ["two of them", whole + whole],
  ["text behind it", `${whole}more`],
  ["no line feed at its end", whole.slice(0, -1)],
  ["carriage returns", whole.replaceAll("\n", "\r\n")],
  [
    "the key in the clear",
    certificate + authority.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  ],
  ["another authority's certificate", certificatePem(other.certificate.bytes) + key],
  ["another authority's key", certificate + encryptedPkcs8(other.privateKey, PASSPHRASE)],
  ["a certificate with one character changed", whole.replace("MII", "MIJ")],
  ["a certificate that is cut off", certificatePem(authority.certificate.bytes.subarray(0, 200)) + key],
]
for (const [name, text] of bad)
  test(`refuses ${name}`, () => {
    assert.is.not(text, whole)
    const error = throwsCode(() => decodeAuthority("here", text, PASSPHRASE), "SIGNER")
    assert.is(error.location, "here")
  })

test("refuses every file that is cut short", () => {
  for (let size = 0; size < whole.length; size += 29)
    throwsCode(() => decodeAuthority("here", whole.slice(0, size), PASSPHRASE), "SIGNER")
})

test("refuses another passphrase, and says nothing of what is in it", () => {
  const error = throwsCode(() => decodeAuthority("here", whole, "another"), "SIGNER")
  assert.is(error.cause, undefined)
  throwsCode(() => decodeAuthority("here", whole, ""), "SIGNER")
})

test("makes one where there is none, for its owner alone, and finds it again", async () => {
  const path = join(folder, "new", "device-ca.pem")
  const made = await ensureAuthorityFile(path, PASSPHRASE, "fleet.example", making)
  assert.is(statSync(path).mode & 0o777, 0o600)
  assert.equal(readdirSync(join(folder, "new")), ["device-ca.pem"])
  const found = await ensureAuthorityFile(path, PASSPHRASE, "another.example", making)
  assert.is(toHex(found.certificate.bytes), toHex(made.certificate.bytes))
  assert.is(found.trustDomain, "fleet.example")
})

test("takes the authority of whoever was first", async () => {
  const path = join(folder, "raced.pem")
  const racing = {
    ...making,
    random: {
      bytes: (size: number) => {
        // Between the look for the file and its writing.
        createPrivateFile(path, utf8(whole), random)
        return random.bytes(size)
      },
    },
  }
  const found = await ensureAuthorityFile(path, PASSPHRASE, "fleet.example", racing)
  assert.is(toHex(found.certificate.bytes), toHex(authority.certificate.bytes))
  assert.is(readFileSync(path, "utf8"), whole)
})

test("tells an absent file from one that others can read", () => {
  assert.is(readAuthorityFile(join(folder, "absent"), PASSPHRASE), undefined)
  const path = join(folder, "open.pem")
  writeFileSync(path, whole)
  chmodSync(path, 0o644)
  throwsCode(() => readAuthorityFile(path, PASSPHRASE), "SIGNER")
})

test.run()
