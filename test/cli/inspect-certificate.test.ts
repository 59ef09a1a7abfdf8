/** `assay inspect certificate` and `assay inspect crl`, with OpenSSL as the judge beside them. */
import { spawnSync } from "node:child_process"
import { X509Certificate } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat } from "../../src/bytes.ts"
import { certificateJson } from "../../src/cli/certificate-view.ts"
import { secondOpinion } from "../../src/cli/second-opinion.ts"
import { parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { entry, makeCrl } from "../support/crl.ts"
import { needs, VECTORS, vector } from "../support/vectors.ts"
import {
  basicConstraints,
  cn,
  dns,
  email,
  extension,
  ip,
  keyUsage,
  makeCertificate,
  makeChain,
  nameConstraints,
  octets,
  policies,
  ROOT_KEYS,
  ROOT_NAME,
} from "../support/x509.ts"
import { assay, fileOf, jsonOf, type RunOptions } from "./run.ts"

const test = suite("assay inspect certificate and crl")
const withVectors = needs("vectors", test)

interface Shown {
  readonly subject: string
  readonly serialNumber: string
  readonly sha256: string
  readonly notAfter: string
  readonly publicKey: string
  readonly deviations: readonly string[]
  readonly extensions: readonly {
    readonly oid: string
    readonly name: string | null
    readonly value: unknown
  }[]
  readonly secondOpinion: { readonly pkijs: unknown }
}

const inspect = (kind: "certificate" | "crl", file: string, options: RunOptions = {}) =>
  assay(["inspect", kind, file], options)
const shown = async (bytes: Uint8Array | string): Promise<Shown> => {
  const ran = await inspect("certificate", fileOf(bytes))
  assert.equal([ran.status, ran.err], [0, ""])
  return jsonOf<Shown>(ran)
}
const pem = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString("base64")}\n-----END CERTIFICATE-----\n`

test("says of a certificate what node says", async () => {
  const { leaf } = makeChain("ak")
  const node = new X509Certificate(leaf)
  const ours = await shown(leaf)
  assert.is(ours.serialNumber, node.serialNumber.toLowerCase())
  assert.is(ours.sha256, node.fingerprint256.replaceAll(":", "").toLowerCase())
  assert.equal(new Date(ours.notAfter), new Date(node.validTo))
  assert.is(ours.publicKey, "P-256")
  assert.equal(ours.secondOpinion, { pkijs: "agrees" })
})

test("shows every extension by its name, and the bytes of what it does not know", async () => {
  const unknown = extension("1.2.3.4", octets(Uint8Array.of(1, 2)))
  const der = makeCertificate(ROOT_KEYS, ROOT_KEYS, ROOT_NAME, ROOT_NAME, [
    basicConstraints(true, 1),
    keyUsage(5, 6),
    policies("2.5.29.32.0"),
    nameConstraints([dns("example.com"), ip(192, 0, 2, 0, 255, 255, 255, 0)], [email("a@example.com")]),
    unknown,
  ])
  assert.equal(
    (await shown(der)).extensions.map(({ name, oid, value }) => [name ?? oid, value]),
    [
      ["basicConstraints", { ca: true, pathLen: 1 }],
      ["keyUsage", ["keyCertSign", "cRLSign"]],
      ["certificatePolicies", ["2.5.29.32.0"]],
      [
        "nameConstraints",
        { permitted: ["dns:example.com", "ip:192.0.2.0/255.255.255.0"], excluded: ["email:a@example.com"] },
      ],
      ["1.2.3.4", { der: "04020102" }],
    ],
  )
})

test("shows all certificates of a bundle", async () => {
  const { root, leaf } = makeChain("ek")
  const { certificates } = jsonOf<{ certificates: readonly Shown[] }>(
    await inspect("certificate", fileOf(pem(leaf) + pem(root))),
  )
  assert.equal(
    certificates.map(({ subject }) => subject),
    ["(empty name)", "CN=Test Root"],
  )
})

test("takes a certificate out of an NV index, and says so", async () => {
  const { leaf } = makeChain("ek")
  const { deviations } = await shown(concat(leaf, new Uint8Array(32).fill(0xff)))
  assert.equal(deviations, ["nv-padding"])
})

const refused: readonly [name: string, bytes: Uint8Array | string, status: number, code: string][] = [
  ["text", "a certificate", 2, "INPUT"],
  ["PEM that is half written", pem(makeChain("ek").leaf).slice(0, 100), 2, "INPUT"],
  ["bytes behind a certificate", concat(makeChain("ek").leaf, Uint8Array.of(1, 2)), 2, "TRAILING"],
  ["a CRL", makeCrl({ name: ROOT_NAME, keys: ROOT_KEYS }), 2, "CERTIFICATE"],
]
for (const [name, bytes, status, code] of refused)
  test(`refuses ${name} for a certificate`, async () => {
    const ran = await inspect("certificate", fileOf(bytes))
    assert.equal([ran.status, jsonOf<{ error: { code: string } }>(ran).error.code], [status, code])
  })

test("shows people a table that cannot move their terminal", async () => {
  const der = makeCertificate(ROOT_KEYS, ROOT_KEYS, cn("\u001b]0;evil\u0007"), ROOT_NAME, [
    basicConstraints(true),
  ])
  const { out, status } = await inspect("certificate", fileOf(der), { isTerminal: true })
  assert.is(status, 0)
  assert.match(out, /^not verified\nsubject +CN=\\u\{1b\}\]0\\;evil\\u\{7\}\n/)
  assert.match(out, /basicConstraints +critical +\{"ca":true,"pathLen":null\}/)
  assert.match(out, /second opinion +pkijs: agrees/)
  assert.is(/[^\n\x20-\x7e]/.test(out), false)
})

test("tells where the second opinion differs, and where there is none", async () => {
  const certificate = parseCertificate(makeChain("ak").leaf)
  const differs = await secondOpinion({ ...certificate, notAfter: 0 })
  assert.is(differs.pkijs.length, 1)
  assert.match(String(differs.pkijs), /^notAfter: 1970-01-01T00:00:00Z here, 2040-01-01T00:00:00Z there$/)
  const none = await secondOpinion({ ...certificate, bytes: Uint8Array.of(0x30, 0) })
  assert.match(String(none.pkijs), /^cannot read it: /)
  assert.is(certificateJson(certificate).version, 3)
})

test("says of a CRL what OpenSSL says", async () => {
  const crl = makeCrl({ name: ROOT_NAME, keys: ROOT_KEYS }, { entries: [entry("01"), entry("02")] })
  const file = fileOf(crl)
  const ours = jsonOf<Record<string, unknown>>(await inspect("crl", file))
  const text = spawnSync("openssl", [
    "crl",
    "-inform",
    "DER",
    "-in",
    file,
    "-noout",
    "-text",
  ]).stdout.toString()
  assert.is(text.match(/Serial Number:/g)?.length, ours["revoked"])
  assert.equal(
    [ours["issuer"], ours["number"], ours["thisUpdate"], ours["nextUpdate"], ours["delta"]],
    ["CN=Test Root", "01", "2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z", false],
  )
  assert.equal(ours["secondOpinion"], { pkijs: "agrees" })
  const { out } = await inspect("crl", file, { isTerminal: true })
  assert.match(out, /revoked +2 certificates/)
})

withVectors("reads the EK of a real NV index, and pkijs agrees", async () => {
  const {
    deviations,
    secondOpinion: opinion,
    extensions,
  } = await shown(vector("ek-certs/hirs/nuc-1_ek_cert_untouched.cer"))
  assert.equal(deviations, ["tcg-header", "rsaes-oaep-key", "set-order"])
  assert.equal(opinion, { pkijs: "agrees" })
  const names = extensions.find(({ name }) => name === "subjectAltName")?.value
  assert.equal(names, ["directory:tpmManufacturer=id:53544D20, tpmModel=ST33ZP24PVSP, tpmVersion=id:0D0C"])
})

withVectors("agrees with pkijs about every root of a TPM's maker", async () => {
  const ran = await inspect("certificate", `${VECTORS}/tpm-roots/tpm-ca-certificates.pem`)
  const { certificates } = jsonOf<{ certificates: readonly Shown[] }>(ran)
  assert.ok(certificates.length > 20)
  for (const one of certificates) assert.is(one.secondOpinion.pkijs, "agrees", one.subject)
})

withVectors("shows the scope of a CRL that is not complete", async () => {
  const ran = await inspect("crl", `${VECTORS}/pkits/crls/onlySomeReasonsCA4compromiseCRL.crl`)
  const { issuingDistributionPoint: scope } = jsonOf<{
    issuingDistributionPoint: { onlySomeReasons: unknown }
  }>(ran)
  assert.equal(scope.onlySomeReasons, ["keyCompromise", "cACompromise"])
})

test.run()
