import { generateKeyPairSync, X509Certificate } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex, utf8 } from "../../src/bytes.ts"
import { certificatePem, parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { KEY_USAGE } from "../../src/evidence/x509/extensions.ts"
import { nameText } from "../../src/evidence/x509/name.ts"
import { type Authority, authorityOf, generateAuthority } from "../../src/keys/authority.ts"
import { createDeviceAuthority, deviceOfUri, deviceUri } from "../../src/keys/device-authority.ts"
import { createRandom } from "../../src/keys/random.ts"
import type { NewDeviceCertificate } from "../../src/service/ports.ts"
import { verifyChain } from "../../src/verification/chain.ts"
import { createTrust } from "../../src/verification/trust.ts"
import { accepts, output, withFiles } from "../device/judges.ts"
import { rejectsCode, throwsCode } from "../support/assert.ts"
import { rsaPair } from "../support/rsa.ts"
import { NONE_DENIED } from "../support/service.ts"
import {
  basicConstraints,
  caExtensions,
  cn,
  type Keys,
  keyUsage,
  makeCertificate,
  p256Keys,
  rsaKeys,
  subjectAltName,
  uri,
} from "../support/x509.ts"

const test = suite("the device authority")

const MADE_AT = new Date("2026-01-01T00:00:00.500Z")
const AT = new Date("2026-11-21T12:00:00.750Z")
const HOUR_MS = 3_600_000
const random = createRandom()
const authority = await generateAuthority("fleet.example", MADE_AT, random)
const issuing = createDeviceAuthority(authority, { random })

const keys = generateKeyPairSync("ec", { namedCurve: "P-256" })
const spki = new Uint8Array(keys.publicKey.export({ type: "spki", format: "der" }))
const wanted = (changed: Partial<NewDeviceCertificate> = {}): NewDeviceCertificate => ({
  tenant: "default",
  device: "gate-7",
  spki,
  at: AT,
  notAfter: new Date(AT.getTime() + HOUR_MS),
  ...changed,
})

test("makes a CA for devices and nothing else, of its own trust domain, for ten years", () => {
  const { certificate, trustDomain } = authority
  const { basicConstraints, keyUsage, subjectAltName, subjectKeyIdentifier, ...more } = certificate.extensions
  assert.is(trustDomain, "fleet.example")
  assert.equal(basicConstraints, { ca: true, pathLen: 0 })
  assert.is(keyUsage, KEY_USAGE.keyCertSign | KEY_USAGE.cRLSign)
  assert.equal(subjectAltName, [{ kind: "uri", text: "spiffe://fleet.example" }])
  assert.is(subjectKeyIdentifier?.length, 20)
  assert.equal(more, {})
  assert.equal([...certificate.critical], ["2.5.29.19", "2.5.29.15"])
  assert.is(nameText(certificate.subject), "CN=Assay device CA")
  assert.is(certificate.notBefore, Date.parse("2025-12-31T23:59:00Z"))
  assert.is(certificate.notAfter, Date.parse("2035-12-30T00:00:00Z"))
  assert.equal([...certificate.deviations], [])
})

test("issues a certificate with what is in a device's, and no more", async () => {
  const { chain } = await issuing.issue(wanted())
  const leaf = parseCertificate(chain[0])
  const { authorityKeyIdentifier, subjectKeyIdentifier, ...extensions } = leaf.extensions
  assert.equal(extensions, {
    basicConstraints: { ca: false, pathLen: undefined },
    keyUsage: KEY_USAGE.digitalSignature,
    extKeyUsage: ["1.3.6.1.5.5.7.3.2"],
    subjectAltName: [{ kind: "uri", text: "spiffe://fleet.example/tenant/default/device/gate-7" }],
  })
  assert.equal([...leaf.critical], ["2.5.29.19", "2.5.29.15"])
  assert.is(
    toHex(authorityKeyIdentifier?.keyIdentifier ?? new Uint8Array()),
    toHex(authority.certificate.extensions.subjectKeyIdentifier ?? new Uint8Array(1)),
  )
  assert.is(subjectKeyIdentifier?.length, 20)
  assert.is(leaf.version, 3)
  assert.is(nameText(leaf.subject), "CN=gate-7")
  assert.equal(leaf.signatureAlgorithm, { kind: "ecdsa", hash: "sha256" })
  assert.equal([...leaf.deviations], [])
  assert.is(leaf.serialNumber.length, 16)
})

const trust = createTrust({
  anchors: [{ certificate: authority.certificate, purpose: "any", revocation: "off" }],
  intermediates: [],
  crls: [],
  denied: NONE_DENIED,
})

for (const kind of ["P-256", "P-384", "P-521", "RSA-2048", "RSA-4096"] as const)
  test(`issues what our own validator and openssl accept, for a key of ${kind}`, async () => {
    const pair = kind.startsWith("RSA")
      ? rsaPair(Number(kind.slice(4)))
      : generateKeyPairSync("ec", { namedCurve: kind })
    const { chain } = await issuing.issue(
      wanted({ spki: new Uint8Array(pair.publicKey.export({ type: "spki", format: "der" })) }),
    )
    const path = verifyChain(parseCertificate(chain[0]), [], trust, { purpose: "any", at: AT })
    assert.is(path.certificates.length, 1)
    withFiles({ leaf: utf8(certificatePem(chain[0])), ca: utf8(certificatePem(chain[1])) }, (folder) => {
      const at = ["-attime", String(Math.floor(AT.getTime() / 1000))]
      const verify = (...what: readonly string[]): boolean =>
        accepts(folder, "openssl", "verify", "-x509_strict", ...at, ...what, "-CAfile", "ca", "leaf")
      assert.ok(verify("-purpose", "sslclient"))
      assert.not(verify("-purpose", "sslserver"))
      assert.match(output(folder, "openssl", "x509", "-in", "leaf", "-noout", "-subject"), /CN = gate-7/)
    })
  })

const periods: readonly [name: string, changed: Partial<NewDeviceCertificate>, from: string, to: string][] = [
  [
    "a minute before now, to the end that is asked for",
    { notAfter: new Date("2026-11-21T12:05:00Z") },
    "11:59:00",
    "12:05:00",
  ],
  ["at most for an hour", { notAfter: new Date("2026-11-22T12:00:00Z") }, "11:59:00", "13:00:00"],
]
for (const [name, changed, from, to] of periods)
  test(`is valid from ${name}`, async () => {
    const { chain, notAfter } = await issuing.issue(wanted(changed))
    const leaf = new X509Certificate(chain[0])
    assert.equal(leaf.validFromDate, new Date(`2026-11-21T${from}Z`))
    assert.equal(leaf.validToDate, new Date(`2026-11-21T${to}Z`))
    assert.is(Math.floor(notAfter.getTime() / 1000) * 1000, leaf.validToDate.getTime())
  })

test("lives no longer than it is told, and never longer than an hour", async () => {
  for (const [lifetimeMs, expected] of [
    [60_000, 60_000],
    [86_400_000, HOUR_MS],
  ] as const) {
    const { notAfter } = await createDeviceAuthority(authority, { random, lifetimeMs }).issue(
      wanted({ notAfter: new Date("2027-01-01T00:00:00Z") }),
    )
    assert.is(notAfter.getTime() - AT.getTime(), expected)
  }
})

test("issues nothing that outlives the authority, and nothing before or after its life", async () => {
  const end = authority.certificate.notAfter
  const late = new Date(end - 600_000)
  const { notAfter } = await issuing.issue(wanted({ at: late, notAfter: new Date(end + HOUR_MS) }))
  assert.is(notAfter.getTime(), end)
  for (const at of [new Date(end + 1000), new Date(authority.certificate.notBefore - 1000)])
    await rejectsCode(
      () => issuing.issue(wanted({ at, notAfter: new Date(at.getTime() + HOUR_MS) })),
      "SIGNER",
    )
})

const unfit: readonly [name: string, changed: Partial<NewDeviceCertificate>][] = [
  ["a device with a slash", { device: "gate/7" }],
  ["a device that is two dots", { device: ".." }],
  ["a device of nothing", { device: "" }],
  ["a device with a capital", { device: "Gate" }],
  ["a device with a comma", { device: "gate,O=Example" }],
  ["a device of 64 characters", { device: "a".repeat(64) }],
  ["a tenant with a slash", { tenant: "default/device/innocent" }],
  ["a tenant of nothing", { tenant: "" }],
  ["a key that is none", { spki: new Uint8Array(91) }],
  ["no key", { spki: new Uint8Array() }],
  ["an end before now", { notAfter: new Date(AT.getTime() - 1000) }],
]
for (const [name, changed] of unfit)
  test(`refuses ${name}`, async () => {
    await rejectsCode(() => issuing.issue(wanted(changed)), "SIGNER")
  })

test("names devices in one way", () => {
  assert.is(
    deviceUri("assay.internal", { tenant: "acme", device: "gate-7.north_1" }),
    "spiffe://assay.internal/tenant/acme/device/gate-7.north_1",
  )
})

const NAMES = { tenant: "acme", device: "gate-7.north_1" }
test("reads the names that it gives", () => {
  assert.equal(deviceOfUri("assay.internal", deviceUri("assay.internal", NAMES)), NAMES)
})
for (const uri of [
  "spiffe://other.internal/tenant/acme/device/gate-7",
  "spiffe://assay.internal.example/tenant/acme/device/gate-7",
  "SPIFFE://assay.internal/tenant/acme/device/gate-7",
  "https://assay.internal/tenant/acme/device/gate-7",
  "spiffe://assay.internal/tenant/acme/device/gate-7/",
  "spiffe://assay.internal/tenant/acme/device/gate-7\n",
  "spiffe://assay.internal/tenant/acme/device/",
  "spiffe://assay.internal/tenant/acme/device/a/b",
  "spiffe://assay.internal/tenant/../device/gate-7",
  "spiffe://assay.internal/tenant/acme/device/Gate",
  "spiffe://assay.internal/tenant/acme/device/gate%2d7",
  "spiffe://assay.internal/tenant/acme/service/gate-7",
  "spiffe://assay.internal/device/gate-7",
  "spiffe://assay.internal",
  "",
])
  test(`refuses G-12 to take ${JSON.stringify(uri)} for a device`, () =>
    assert.is(deviceOfUri("assay.internal", uri), undefined))

test("lets nothing out that does not verify", async () => {
  const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey
  const broken = createDeviceAuthority({ ...authority, privateKey: other }, { random })
  const error = await rejectsCode(() => broken.issue(wanted()), "SIGNER")
  assert.match(error.message, /does not verify/)
})

test("fails without random numbers", async () => {
  const sources = createRandom(() => new Uint8Array(32))
  await rejectsCode(() => createDeviceAuthority(authority, { random: sources }).issue(wanted()), "RNG")
})

// What is no device CA, by its certificate.

const P256 = p256Keys()
const NAME = cn("Assay device CA")
const SPIFFE = subjectAltName([uri("spiffe://fleet.example")])
const certificate = (extensions: readonly Uint8Array[], of: Keys = P256, by: Keys = of): Uint8Array =>
  makeCertificate(of, by, NAME, NAME, extensions)
const GOOD = [basicConstraints(true, 0), keyUsage(5, 6), SPIFFE]
const made = (extensions: readonly Uint8Array[]) => (): Authority =>
  authorityOf(P256.privateKey, certificate(extensions))

test("takes an authority that somebody else made", () => {
  assert.is(made(GOOD)().trustDomain, "fleet.example")
})

const impostors: readonly [name: string, make: () => Authority][] = [
  ["another key's certificate", () => authorityOf(p256Keys().privateKey, certificate(GOOD))],
  [
    "a certificate that another key signed",
    () => authorityOf(P256.privateKey, certificate(GOOD, P256, p256Keys())),
  ],
  [
    "a certificate of another issuer",
    () => authorityOf(P256.privateKey, makeCertificate(P256, P256, NAME, cn("Root"), GOOD)),
  ],
  [
    "an RSA key",
    () => {
      const rsa = rsaKeys()
      return authorityOf(rsa.privateKey, certificate(GOOD, rsa))
    },
  ],
  [
    "a key of P-384",
    () => authorityOf(generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey, certificate(GOOD)),
  ],
  ["no certificate", () => authorityOf(P256.privateKey, new Uint8Array())],
  ["a certificate of no CA", made([basicConstraints(false), keyUsage(5, 6), SPIFFE])],
  ["a certificate of no CA that limits its path", made([basicConstraints(false, 0), keyUsage(5, 6), SPIFFE])],
  ["a CA that lets others issue", made([...caExtensions(), SPIFFE])],
  ["a CA for one more level", made([...caExtensions(1), SPIFFE])],
  ["a CA that also signs", made([basicConstraints(true, 0), keyUsage(0, 5, 6), SPIFFE])],
  ["a CA that does not say what its key is for", made([basicConstraints(true, 0), SPIFFE])],
  ["a CA without a trust domain", made(GOOD.slice(0, 2))],
  [
    "a CA of two trust domains",
    made([...GOOD.slice(0, 2), subjectAltName([uri("spiffe://a"), uri("spiffe://b")])]),
  ],
  ["a CA with a path", made([...GOOD.slice(0, 2), subjectAltName([uri("spiffe://fleet.example/x")])])],
  ["a CA of a web site", made([...GOOD.slice(0, 2), subjectAltName([uri("https://fleet.example")])])],
  [
    "a CA of a trust domain in capitals",
    made([...GOOD.slice(0, 2), subjectAltName([uri("spiffe://Fleet")])]),
  ],
]
for (const [name, make] of impostors)
  test(`refuses ${name} for an authority`, () => void throwsCode(make, "SIGNER"))

test.run()
