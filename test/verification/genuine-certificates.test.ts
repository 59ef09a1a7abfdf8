/**
 * Every certificate of a maker in the vectors leads to its root, or the reason is written down here. (The folder wycheproof
 * has keys and signatures, and no certificate; secure-boot has signers of boot loaders, whose roots nobody here has.)
 */
import { readdirSync } from "node:fs"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Code } from "../../src/errors.ts"
import { type Certificate, parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { nameText } from "../../src/evidence/x509/name.ts"
import { unwrapNv } from "../../src/evidence/x509/nv.ts"
import { type FileItem, readItems } from "../../src/service/certificate-file.ts"
import type { ChainCheck, NamedFile } from "../../src/service/check-chain.ts"
import type { Purpose } from "../../src/verification/purpose.ts"
import { assay, jsonOf } from "../cli/run.ts"
import { checkFiles, pemFile } from "../support/chains.ts"
import { isThere, needs, VECTORS, vector, vectorJson } from "../support/vectors.ts"

const test = suite("genuine certificates")
const withVectors = needs("vectors", test)

const SHA_1 = "signed by RSA with SHA-1 (X-10); it would have to be installed as an anchor, by decision"
const NO_ROOT = "its root is not among the vectors"
const ATTRIBUTE = "an attribute certificate: it has a holder, and no key of its own"

/** Why a certificate does not validate, and with which code. */
const REASONS: readonly (readonly [code: Code, why: string, labels: readonly string[]])[] = [
  [
    "WEAK_ALG",
    SHA_1,
    [
      "ek-certs/hirs/nuc-1_tpmcert.pem",
      "ek-certs/hirs/nuc-1_ek_cert_untouched.cer",
      "ek-certs/hirs/nuc-1_ek_cert_7_byte_header_removed.cer",
      "ek-certs/hirs/ab21ccf2-tpmcert.pem",
      "tpm-roots/keylime-store/IFX15.pem",
      "tpm-roots/keylime-store/IFX2.pem",
      "tpm-roots/keylime-store/IFX4.pem",
      "tpm-roots/keylime-store/IFX5.pem",
      "tpm-roots/keylime-store/IFX_RSA_17I.pem",
      "tpm-roots/keylime-store/IFX_RSA_20I.pem",
      "tpm-roots/keylime-store/IFX_RSA_21I.pem",
      "tpm-roots/keylime-store/NTC1.pem",
      "tpm-roots/keylime-store/NTC2.pem",
      "platform-certs/IntelSigningKey_20April2017.cer",
    ],
  ],
  [
    "UNTRUSTED_ROOT",
    NO_ROOT,
    [
      "tpm-roots/keylime-store/Alibaba_Cloud_vTPM_EK.pem",
      "tpm-roots/keylime-store/INTEL_I.pem",
      "tpm-roots/keylime-store/Nationz_TPM_EK.pem",
      "android-key/p256_sha384_intermediate.pem",
    ],
  ],
  [
    "CERTIFICATE",
    ATTRIBUTE,
    ["Intel_nuc1", "Intel_nuc_pc", "Intel_pc1", "Intel_pc4", "lenovo", "plat_cert1"].map(
      (name) => `platform-certs/${name}.cer`,
    ),
  ],
  [
    "WEAK_ALG",
    "under a key of RSA-1024 (a software key of Android)",
    ["android-key/marlin_sdk29_TEE_RSA_NONE.pem"],
  ],
  [
    "UNTRUSTED_ROOT",
    "under a root for software keys of Android",
    ["android-key/marlin_sdk29_TEE_EC_NONE.pem"],
  ],
  [
    "ISSUER_NOT_CA",
    "its issuer says of itself that it is no CA",
    ["android-key/sony-xperia10-iii_sdk33_TEE_EC.pem"],
  ],
  [
    "DER",
    "keyUsage with zeros behind the last bit, which is tolerated of Infineon alone",
    ["android-key/allow_while_on_body.pem"],
  ],
]
const REASON_OF = new Map(
  REASONS.flatMap(([code, why, labels]) => labels.map((label) => [label, { code, why }])),
)

const MAKERS: readonly (readonly [maker: string, text: RegExp])[] = [
  ["Infineon", /Infineon|IFX/],
  ["STMicroelectronics", /STMicro|hirs/],
  ["Nuvoton", /Nuvoton/],
  ["Intel", /Intel/],
  ["AMD", /Advanced Micro/],
  ["Microsoft", /Microsoft/],
  ["Google", /Google|android|gce/],
  ["GlobalSign", /GlobalSign/],
  ["NSING (Nationz)", /NSING|Nationz/],
  ["Alibaba", /Aliyun/],
  ["makers of machines", /platform-certs/],
]
const makerOf = (label: string, certificate: Certificate | undefined): string => {
  const text = `${certificate === undefined ? "" : nameText(certificate.issuer)} ${label}`
  return MAKERS.find(([, pattern]) => pattern.test(text))?.[0] ?? "others"
}

const file = (path: string): NamedFile => ({ name: path, bytes: vector(path) })
const folder = (path: string, ending: RegExp): NamedFile[] =>
  isThere("vectors")
    ? readdirSync(`${VECTORS}/${path}`)
        .filter((name) => ending.test(name))
        .sort()
        .map((name) => file(`${path}/${name}`))
    : []

const HIRS = "ek-certs/hirs/stMicroCaCerts"
const ROOTS = ["tpm-roots/tpm-ca-certificates.pem", `${HIRS}_gstpmroot.crt`, "ek-certs/gce/tpm_ek_root_1.cer"]
const INTERMEDIATES = [
  "tpm-roots/tpm-intermediate-ca-certificates.pem",
  `${HIRS}_stmtpmekroot.crt`,
  `${HIRS}_stmtpmekint02.crt`,
  "ek-certs/gce/tpm_ek_intermediate_2.crt",
  "ek-certs/gce/tpm_ek_intermediate_3.crt",
]
const roots = isThere("vectors") ? ROOTS.map(file) : []
const intermediates = isThere("vectors")
  ? [...INTERMEDIATES.map(file), ...folder("tpm-roots/keylime-store", /\.pem$/)]
  : []

/** What is validated, and with what. */
interface Genuine extends NamedFile {
  readonly purpose: Purpose
  readonly intermediates: readonly NamedFile[]
  readonly anchors: readonly NamedFile[]
}

const items = ({ name, bytes }: NamedFile): NamedFile[] =>
  readItems(bytes, name, "certificate").map(({ label, der }: FileItem) => ({ name: label, bytes: der }))

const parsedOf = ({ name, bytes }: NamedFile): Certificate | undefined => {
  try {
    const [item] = readItems(bytes, name, "certificate")
    return item && parseCertificate(item.der === bytes ? unwrapNv(bytes).der : item.der)
  } catch {
    return undefined
  }
}

const bySubject = Map.groupBy(intermediates.flatMap(items), (one) => parsedOf(one)?.subject.key)

/** The intermediates above a certificate, by their names: all of them each time would only be parsed for nothing. */
const above = (certificate: Certificate | undefined): readonly NamedFile[] => {
  const found = bySubject.get(certificate?.issuer.key) ?? []
  return found.flatMap((one) => {
    const parsed = parsedOf(one)
    return parsed === undefined || parsed.subject.key === parsed.issuer.key ? [one] : [one, ...above(parsed)]
  })
}

const under =
  (purpose: Purpose) =>
  (one: NamedFile): Genuine => ({ ...one, purpose, intermediates: above(parsedOf(one)), anchors: roots })

const EKS = [
  ...["ek-certs/gce/uca_tpm_ecc_enc_cert.pem", "ek-certs/gce/uca_tpm_rsa_enc_cert.pem"],
  ...["ek-certs/guard-sr630-nuvoton-ek.pem", "ek-certs/guard-h12ssl-infineon-ek.pem"],
  ...["nuc-1_tpmcert.pem", "nuc-1_ek_cert_untouched.cer", "nuc-1_ek_cert_7_byte_header_removed.cer"].map(
    (name) => `ek-certs/hirs/${name}`,
  ),
  "ek-certs/hirs/ab21ccf2-tpmcert.pem",
]
const AKS = ["ek-certs/gce/uca_tpm_ecc_sign_cert.pem", "ek-certs/gce/uca_tpm_rsa_sign_cert.pem"]

const androidRoots = isThere("vectors")
  ? vectorJson<readonly string[]>("android-key/roots.json").map((pem, i) =>
      pemFile(`roots.json[${i + 1}]`, pem),
    )
  : []
/** The leaf first, its chain behind it. */
const android = folder("android-key", /\.pem$/).map((one): Genuine => {
  const [leaf = one, ...shown] = items(one)
  return { ...leaf, name: one.name, purpose: "any", intermediates: shown, anchors: androidRoots }
})

const all: readonly Genuine[] = isThere("vectors")
  ? [
      ...EKS.map(file).map(under("ek")),
      ...AKS.map(file).map(under("ak")),
      ...[...roots, ...intermediates].flatMap(items).map(under("any")),
      ...folder("platform-certs", /\.cer$/).map(under("any")),
      ...android,
    ]
  : []

const NOW = Date.UTC(2026, 2, 1)
const DAY_MS = 86_400_000

/** Now, if all that came together is valid now; else the day after its youngest certificate was issued. */
const instantFor = (genuine: Genuine): Date => {
  const together = genuine.anchors === androidRoots ? [genuine, ...genuine.intermediates] : [genuine]
  const certificates = together.flatMap((one) => parsedOf(one) ?? [])
  const isNow = certificates.every(({ notBefore, notAfter }) => notBefore <= NOW && NOW <= notAfter)
  return new Date(isNow ? NOW : Math.max(...certificates.map(({ notBefore }) => notBefore)) + DAY_MS)
}

const checkGenuine = (one: Genuine, at: Date): ChainCheck =>
  checkFiles({
    leaf: one,
    intermediates: one.intermediates,
    anchors: one.anchors,
    crls: [],
    options: { purpose: one.purpose, at, revocation: "off" },
  })

const counts = new Map<string, Map<string, number>>()
const earlier: string[] = []
const count = (maker: string, outcome: string): void => {
  const of = counts.get(maker) ?? new Map<string, number>()
  counts.set(maker, of.set(outcome, (of.get(outcome) ?? 0) + 1))
}

for (const one of all) {
  const reason = REASON_OF.get(one.name)
  const outcome = reason === undefined ? "ok" : `${reason.code}: ${reason.why}`
  withVectors(`${reason === undefined ? "accepts" : "refuses"} ${one.name}`, () => {
    const at = instantFor(one)
    const { accepted, error, malformed } = checkGenuine(one, at)
    assert.equal([accepted, error?.code], [reason === undefined, reason?.code], error?.message)
    assert.is(malformed, reason?.code === "DER" || reason?.code === "CERTIFICATE")
    if (at.getTime() !== NOW) earlier.push(`${one.name} at ${at.toISOString().slice(0, 10)}`)
    count(makerOf(one.name, parsedOf(one)), outcome)
  })
}

withVectors("has looked at all of them", () => {
  const names = new Set(all.map(({ name }) => name))
  assert.equal(
    [...REASON_OF.keys()].filter((label) => !names.has(label)),
    [],
  )
  assert.is(all.length, 240)
  console.log()
  for (const [maker, outcomes] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1)))
    for (const [outcome, n] of outcomes) console.log(`# ${maker}: ${n} ${outcome}`)
  for (const one of earlier) console.log(`# past its validity, and looked at earlier: ${one}`)
})

const INFINEON_EK = "ek-certs/guard-h12ssl-infineon-ek.pem"
/** Of RSA-2048: the last bytes of the certificate. */
const SIGNATURE_BYTES = 256

withVectors("refuses Infineon's EK with byte 10 of its signature set to 1, as its source does", () => {
  const [item] = items(file(INFINEON_EK))
  const bytes = new Uint8Array(item?.bytes ?? [])
  bytes[bytes.length - SIGNATURE_BYTES + 10] = 1
  const { error } = checkGenuine(under("ek")({ name: "flipped", bytes }), new Date(NOW))
  assert.is(error?.code, "CHAIN")
})

withVectors("takes the header of an NV index off, and says so", () => {
  const wrapped = unwrapNv(vector("ek-certs/hirs/nuc-1_ek_cert_untouched.cer"))
  assert.equal(wrapped.deviations, ["tcg-header"])
  assert.equal(wrapped.der, vector("ek-certs/hirs/nuc-1_ek_cert_7_byte_header_removed.cer"))
  const { deviations } = checkGenuine(
    under("ek")(file("ek-certs/hirs/nuc-1_ek_cert_untouched.cer")),
    new Date(NOW),
  )
  assert.equal(deviations, ["tcg-header", "rsaes-oaep-key", "set-order"])
})

withVectors("refuses X-14 the header of an NV index where no endorsement key is asked for", () => {
  const header = under("any")(file("ek-certs/hirs/nuc-1_ek_cert_untouched.cer"))
  assert.equal(checkGenuine(header, new Date(NOW)).malformed, true)
})

withVectors("tells the TPM of Infineon's EK through the command line", async () => {
  const ran = await assay([
    ...["check", "chain", `${VECTORS}/${INFINEON_EK}`, "--purpose", "ek", "--revocation", "off"],
    ...["--anchors", `${VECTORS}/tpm-roots/tpm-ca-certificates.pem`],
    ...["--intermediates", `${VECTORS}/tpm-roots/keylime-store`, `${VECTORS}/tpm-roots`],
    ...["--at", "2026-03-01T00:00:00Z"],
  ])
  const { accepted, tpm, deviations, path } = jsonOf<{
    accepted: boolean
    tpm: object
    deviations: readonly string[]
    path: readonly { subject: string }[]
  }>(ran)
  assert.equal([ran.status, accepted, deviations], [0, true, ["named-bits"]])
  assert.equal(tpm, {
    manufacturer: "id:49465800",
    vendor: "IFX",
    model: "SLB 9665",
    version: "id:053E",
    specification: { family: "2.0", level: 0, revision: 116 },
    securityAssertions: null,
  })
  assert.match(path.at(-1)?.subject ?? "", /Infineon OPTIGA\(TM\) RSA Root CA/)
})

test.run()
