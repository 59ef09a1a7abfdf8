import { createPublicKey, hash, X509Certificate } from "node:crypto"
import { globSync, readFileSync } from "node:fs"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import {
  advisoriesFor,
  firmwareOfCertificate,
  firmwareOfQuote,
  parseAdvisories,
} from "../src/verification/advisory.ts"
import { parseDeniedKeys } from "../src/verification/denied-keys.ts"
import { checkNotDenied } from "../src/verification/weak-key.ts"
import { throwsCode } from "./support/assert.ts"
import { needs, VECTORS } from "./support/vectors.ts"

const test = suite("data")

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../data/${name}`, import.meta.url), "utf8"))
const denied = parseDeniedKeys(read("denied-keys.json"))
const advisories = parseAdvisories(read("tpm-advisories.json"))

test("has the denied keys, each with a source", () => {
  assert.ok(denied.size >= 5)
})

/** Keys that are on the list, as others publish them. */
const LEAKED: readonly [name: string, jwk: Readonly<Record<string, string>>][] = [
  [
    "AMI's test platform key 01, of CERT/CC's updateamipk.ps1",
    {
      kty: "RSA",
      e: "AQAB",
      n: "zA-osFsMsLMUsmt0PJKU5BM-g3IMyNLacE_QN6WCnHPcZOP3Gphr72NLy22h_NRsFX5yXJY_MnWyi5om0fbCVr9N7zBo_YyMCTaBcpFMefz5oHDvusJTbI8NU497Bdi1kqN3ejZy-tB1geKn9GewOI4izQ4VUZY8P4P2QHJKt18jxbZJgj7L8zWE8r-3jClGmkBRN0lrHhMWDGgzoKVHrqBrpDOAsGy2gv07SdgyWx9oVU8OwLn4wJnqSPbrjuDoT4_e9_USUbuW5djcLY0uOGcje9z-AWViKJ2LGIOR09VLoOOGpWHQOn2kCZ9oRujape-1JSQFRdAYtMV_qUkoYw",
    },
  ],
  [
    "the EC authority of IBM's simulator, of ibmtss' cacertecc.pem",
    {
      kty: "EC",
      crv: "P-256",
      x: "ahnfxuCQ-NsMcDIe8GZxIiFSX65CXICk6zc3NLRPbPs",
      y: "6k6EXSGp2j9eE0-nru-hZDQ827bGOj0jIFTU3gAJ3xo",
    },
  ],
  [
    "the endorsement key of swtpm's tests, of ecpubek.pem",
    {
      kty: "EC",
      crv: "P-256",
      x: "ne14S57Dr9tYfw2PtsVoaC0IrHjiEFKihkvMeimuYRU",
      y: "cWJGYeZJmX8HDiCpRmsAKNSYVIAN4mEpS4t4aO9WqtI",
    },
  ],
]
for (const [name, jwk] of LEAKED)
  test(`refuses K-08 ${name}`, () => {
    const spki = createPublicKey({ key: jwk, format: "jwk" }).export({ type: "spki", format: "der" })
    throwsCode(() => checkNotDenied(spki, denied, "a certificate"), "KEY_DENIED")
  })

const named: readonly [
  name: string,
  manufacturer: string,
  version: bigint,
  id: string,
  fixedIn: string | undefined,
][] = [
  ["an Infineon TPM before the ROCA update", "IFX", 0x0005_003d_000a_e100n, "CVE-2017-15361", "5.62"],
  ["an STMicroelectronics TPM open to TPM-FAIL", "STM", 0x0049_0004_0000_0000n, "CVE-2019-16863", "73.20"],
  [
    "an Intel TPM open to TPM-FAIL, as 11.8.50.3426",
    "INTC",
    0x000b_0008_0032_0d62n,
    "CVE-2019-11090",
    "11.8.70",
  ],
  ["a Nuvoton TPM with 1.3.2.8", "NTC", 0x0001_0003_0002_0008n, "CVE-2023-1017", "1.3.2.20"],
  ["an AMD firmware TPM of Zen 3", "AMD", 0x0003_0053_0002_0005n, "arXiv:2304.14717", undefined],
]
for (const [name, manufacturer, version, id, fixedIn] of named)
  test(`knows K-08 ${name}`, () => {
    const found = advisoriesFor(advisories, { manufacturer, firmware: firmwareOfQuote(version) })
    assert.equal(
      found.map((match) => [match.id, match.fixedIn]),
      [[id, fixedIn]],
    )
  })

const spared: readonly [name: string, manufacturer: string, version: bigint][] = [
  ["an Infineon TPM after the ROCA update, 5.62.3126", "IFX", 0x0005_003e_000c_3600n],
  ["an Infineon TPM with 7.85", "IFX", 0x0007_0055_0000_0000n],
  ["an STMicroelectronics TPM with 74.20", "STM", 0x004a_0014_0000_0000n],
  ["an Intel TPM with 11.8.70", "INTC", 0x000b_0008_0046_0000n],
  ["a Nuvoton TPM with 7.2.4.1", "NTC", 0x0007_0002_0004_0001n],
  ["a Google vTPM", "GOOG", 0x2016_0511_0016_2800n],
]
for (const [name, manufacturer, version] of spared)
  test(`has nothing against ${name}`, () => {
    assert.equal(advisoriesFor(advisories, { manufacturer, firmware: firmwareOfQuote(version) }), [])
  })

test("is not sure of a Nuvoton TPM whose EK certificate says 7.2", () => {
  const firmware = firmwareOfCertificate("id:00070002")
  const found = advisoriesFor(advisories, { manufacturer: "NTC", model: "NPCT75x", firmware })
  assert.equal(
    found.map(({ id }) => id),
    ["CVE-2020-25082", "CVE-2025-2884", "CVE-2026-6923"],
  )
  assert.not.ok(found.some(({ certain }) => certain))
})

needs("vectors", test)("denies no key of a genuine TPM maker, and none of our own swtpm", () => {
  const pems = globSync(`${VECTORS}/{tpm-roots,ek-certs}/**/*.pem`).flatMap(
    (file) =>
      readFileSync(file, "utf8").match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [],
  )
  const files = globSync(`${VECTORS}/swtpm/ek/*.der`).map((file) => readFileSync(file))
  let count = 0
  for (const certificate of [...pems, ...files]) {
    const spki = spkiOf(new X509Certificate(certificate))
    if (spki === undefined) continue
    assert.is(denied.find(hash("sha256", spki, "hex")), undefined)
    count++
  }
  assert.ok(count > 100, `${count} keys`)
})

/** Nothing for a key that Node does not read, such as one under id-RSAES-OAEP. */
const spkiOf = (certificate: X509Certificate): Buffer | undefined => {
  try {
    return certificate.publicKey.export({ type: "spki", format: "der" })
  } catch {
    return undefined
  }
}

test.run()
