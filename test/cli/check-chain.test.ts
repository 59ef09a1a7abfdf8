/** `assay check chain` with real files, and OpenSSL as the judge beside it. */
import { spawnSync } from "node:child_process"
import { hash, X509Certificate } from "node:crypto"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, utf8 } from "../../src/bytes.ts"
import { crlNumber, makeCrl } from "../support/crl.ts"
import {
  cn,
  INTERMEDIATE_KEYS,
  INTERMEDIATE_NAME,
  LEAF_KEYS,
  makeCertificate,
  makeChain,
  p256Keys,
  ROOT_KEYS,
  ROOT_NAME,
  seq,
  time,
} from "../support/x509.ts"
import { assay, fileOf, jsonOf, type RunOptions } from "./run.ts"

const test = suite("assay check chain")

interface Answer {
  readonly accepted: boolean
  readonly code: string | null
  readonly error: { readonly code: string; readonly message: string } | null
  readonly path: readonly {
    readonly subject: string
    readonly sha256: string
    readonly deviations: readonly string[]
  }[]
  readonly revocation: readonly { readonly status: string; readonly crlNumber: string | null }[]
  readonly ignored: readonly { readonly file: string; readonly code: string; readonly message: string }[]
  readonly expired: boolean
  readonly deviations: readonly string[]
}

const AT = "2024-01-15T12:00:00Z"
const ak = makeChain("ak")
const ek = makeChain("ek")
const pem = (der: Uint8Array, label = "CERTIFICATE"): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(der).toString("base64")}\n-----END ${label}-----\n`

const LEAF = fileOf(ak.leaf)
const ABOVE = fileOf(pem(ak.intermediate), "pem")
const ROOT = fileOf(ak.root, "der")
const GOOD = ["--intermediates", ABOVE, "--anchors", ROOT, "--purpose", "ak"]

const run = async (argv: readonly string[], options: RunOptions = {}) => {
  const ran = await assay(["check", "chain", ...argv, "--at", AT], options)
  return { ...ran, answer: () => jsonOf<Answer>(ran) }
}

/** The arguments as they are, judged now. */
const assayChain = async (argv: readonly string[]) => {
  const ran = await assay(["check", "chain", ...argv])
  return { ...ran, answer: () => jsonOf<Answer>(ran) }
}

const folder = mkdtempSync(join(tmpdir(), "assay-chain-"))
test.after(() => rmSync(folder, { recursive: true, force: true }))

test("accepts a good chain, and answers in the form that its help describes", async () => {
  const { status, err, answer } = await run([LEAF, ...GOOD])
  assert.equal([status, err], [0, ""])
  const fingerprint = (der: Uint8Array): string => hash("sha256", der, "hex")
  const serial = (der: Uint8Array): string => new X509Certificate(der).serialNumber.toLowerCase()
  const link = (subject: string, issuer: string, der: Uint8Array) => ({
    subject,
    issuer,
    serialNumber: serial(der),
    sha256: fingerprint(der),
    notBefore: "2020-01-01T00:00:00Z",
    notAfter: "2040-01-01T00:00:00Z",
    deviations: [],
  })
  const notChecked = (certificate: string, der: Uint8Array) => ({
    certificate,
    sha256: fingerprint(der),
    status: "not-checked",
    crlNumber: null,
    thisUpdate: null,
    nextUpdate: null,
  })
  assert.equal(answer(), {
    accepted: true,
    code: null,
    error: null,
    path: [
      link("(empty name)", "CN=Test Intermediate", ak.leaf),
      link("CN=Test Intermediate", "CN=Test Root", ak.intermediate),
      link("CN=Test Root", "CN=Test Root", ak.root),
    ],
    anchor: { subject: "CN=Test Root", sha256: fingerprint(ak.root) },
    purpose: "ak",
    at: "2024-01-15T12:00:00.000Z",
    tpm: {
      manufacturer: "id:49465800",
      vendor: "IFX",
      model: "SLB 9670",
      version: "id:00070055",
      specification: null,
      securityAssertions: null,
    },
    policies: [],
    revocation: [
      notChecked(`certificate ${serial(ak.leaf)} of CN=Test Intermediate`, ak.leaf),
      notChecked("CN=Test Intermediate", ak.intermediate),
    ],
    deviations: [],
    expired: false,
    validUntil: "2040-01-01T00:00:00.000Z",
    ignored: [],
  })
})

test("takes LEAF at the end too, where a list of files has swallowed it", async () => {
  const swallowed = ["--purpose", "ak", "--intermediates", ABOVE, "--anchors", ROOT, LEAF]
  for (const argv of [swallowed, ["--purpose", "ak", "--anchors", ROOT, "--intermediates", ABOVE, LEAF]]) {
    const { status, answer } = await assayChain(argv)
    assert.equal([status, answer().accepted], [0, true], argv.join(" "))
  }
  assert.is((await assayChain(["--anchors", ROOT])).status, 2)
})

test("agrees with OpenSSL about a good chain and about a bad one", async () => {
  const bad = fileOf(makeCertificate(LEAF_KEYS, p256Keys(), cn("x"), INTERMEDIATE_NAME, []))
  const [rootPem, leafPem, badPem] = [
    fileOf(pem(ak.root), "pem"),
    fileOf(pem(ak.leaf), "pem"),
    fileOf(bad, "der"),
  ]
  const judge = (leaf: string) =>
    spawnSync("openssl", [
      "verify",
      "-attime",
      String(Date.parse(AT) / 1000),
      "-CAfile",
      rootPem,
      "-untrusted",
      ABOVE,
      leaf,
    ]).status
  assert.is(judge(leafPem), 0)
  assert.is(judge(badPem) === 0, false)
  assert.is((await run([LEAF, ...GOOD])).status, 0)
  assert.is((await run([bad, ...GOOD])).status, 1)
})

const wrongUse: readonly [name: string, argv: readonly string[]][] = [
  ["no leaf", GOOD],
  ["a file that is not there", [join(folder, "none.pem"), ...GOOD]],
  ["an anchor that is not there", [LEAF, "--anchors", join(folder, "none.pem")]],
  ["a folder for a leaf", [folder, ...GOOD]],
  ["two leaves", [LEAF, LEAF, ...GOOD]],
  ["another purpose", [LEAF, ...GOOD, "--purpose", "tls"]],
  ["another mode", [LEAF, ...GOOD, "--revocation", "soft"]],
  ["a policy that is no object identifier", [LEAF, ...GOOD, "--policy", "1.02"]],
  ["a depth that is no number", [LEAF, ...GOOD, "--max-depth", "-1"]],
  ["another word for expired leaves", [LEAF, ...GOOD, "--expired-leaf", "yes"]],
  ["expired leaves of another purpose", [LEAF, ...GOOD, "--expired-leaf", "allow"]],
  ["standard input twice", ["-", "--anchors", "-"]],
  ["a list of denied keys that is none", [LEAF, ...GOOD, "--denied-keys", fileOf({ version: 1 })]],
]
for (const [name, argv] of wrongUse)
  test(`ends with status 2 for ${name}`, async () => {
    const { status, out } = await run(argv)
    assert.is(status, 2)
    assert.ok("error" in jsonOf({ status, out, err: "" }))
  })

test("ends with status 2 for an instant without an offset", async () => {
  for (const at of ["2024-02-30T00:00:00Z", "2024-01-15T24:00:00Z", "2024-13-01T00:00:00Z"])
    assert.is((await assay(["check", "chain", LEAF, ...GOOD, "--at", at])).status, 2, at)
  const { status } = await assay(["check", "chain", LEAF, ...GOOD, "--at", "2024-01-15"])
  assert.is(status, 2)
})

const refused: readonly [name: string, argv: () => readonly string[], status: 1 | 2, code: string][] = [
  ["X-01 no anchors", () => [LEAF, "--intermediates", ABOVE], 1, "UNTRUSTED_ROOT"],
  [
    "X-01 an anchor of another name",
    () => [
      LEAF,
      "--intermediates",
      ABOVE,
      "--anchors",
      fileOf(makeCertificate(ROOT_KEYS, ROOT_KEYS, cn("x"), cn("x"), [])),
    ],
    1,
    "UNTRUSTED_ROOT",
  ],
  ["an EK where an AK is asked for", () => [fileOf(ek.leaf), ...GOOD], 1, "KEY_USAGE"],
  [
    "X-14 a leaf in PEM with two blocks",
    () => [fileOf(pem(ak.leaf) + pem(ak.intermediate)), ...GOOD],
    2,
    "TRAILING",
  ],
  ["X-11 a leaf that is no DER", () => [fileOf(ak.leaf.with(1, 0x80)), ...GOOD], 2, "DER"],
  [
    "an intermediate that cannot be read and is missed",
    () => [LEAF, "--intermediates", fileOf(ak.intermediate.with(1, 0x80)), "--anchors", ROOT],
    2,
    "DER",
  ],
  [
    "X-20 a chain without CRLs where they are required",
    () => [LEAF, ...GOOD, "--revocation", "require"],
    1,
    "REVOCATION",
  ],
  ["X-03 a chain with more CAs than --max-depth", () => [LEAF, ...GOOD, "--max-depth", "0"], 1, "PATH_LEN"],
  [
    "a chain without policies where one is needed",
    () => [LEAF, ...GOOD, "--explicit-policy"],
    1,
    "CERTIFICATE_POLICY",
  ],
  [
    "a TPM's key where a web server is asked for",
    () => [LEAF, ...GOOD.slice(0, 4), "--name", "example.com"],
    1,
    "NAME",
  ],
]
for (const [name, argv, status, code] of refused)
  test(`refuses ${name}`, async () => {
    const ran = await run(argv())
    const { accepted, code: found, error, path } = ran.answer()
    assert.equal([ran.status, accepted, found, error?.code, path], [status, false, code, code, []])
  })

test("reads folders, and in them no links, no other endings and nothing but certificates", async () => {
  const inner = join(folder, "inner")
  mkdirSync(inner)
  writeFileSync(join(inner, "b.CRT"), ak.intermediate)
  writeFileSync(join(folder, "a.pem"), pem(ak.intermediate))
  writeFileSync(join(folder, "c.txt"), "not a certificate")
  writeFileSync(join(folder, "d.crl"), makeCrl({ name: ROOT_NAME, keys: ROOT_KEYS }))
  writeFileSync(join(folder, "e.der"), "half")
  symlinkSync(fileOf(ak.root), join(folder, "f.pem"))
  const { status, answer } = await run([
    LEAF,
    "--intermediates",
    folder,
    "--anchors",
    ROOT,
    "--purpose",
    "ak",
  ])
  assert.is(status, 0)
  assert.equal(
    answer().ignored.map(({ file, code }) => [file, code]),
    [[join(folder, "e.der"), "INPUT"]],
  )
  const links = join(folder, "links")
  mkdirSync(links)
  symlinkSync(ROOT, join(links, "root.der"))
  const linked = await run([LEAF, "--intermediates", ABOVE, "--anchors", links, "--purpose", "ak"])
  assert.equal([linked.status, linked.answer().code], [1, "UNTRUSTED_ROOT"])
})

test("takes an option more than once, and many files at once", async () => {
  const other = fileOf(pem(makeCertificate(ROOT_KEYS, ROOT_KEYS, cn("x"), cn("x"), [])), "pem")
  const { status } = await run([
    LEAF,
    "--anchors",
    other,
    ROOT,
    "--intermediates",
    other,
    "--intermediates",
    ABOVE,
  ])
  assert.is(status, 0)
})

test("reads the leaf, or anything else, from standard input", async () => {
  assert.is((await run(["-", ...GOOD], { stdin: utf8(pem(ak.leaf)) })).status, 0)
  assert.is(
    (await run([LEAF, "--intermediates", "-", "--anchors", ROOT], { stdin: ak.intermediate })).status,
    0,
  )
})

test("reads CRLs in PEM and in DER, and says what they said", async () => {
  const issued = { name: INTERMEDIATE_NAME, keys: INTERMEDIATE_KEYS }
  const crls = fileOf(
    pem(makeCrl(issued, { extensions: [crlNumber("0a")] }), "X509 CRL") +
      pem(makeCrl({ name: ROOT_NAME, keys: ROOT_KEYS }), "X509 CRL"),
    "pem",
  )
  const { status, answer } = await run([LEAF, ...GOOD, "--crls", crls, "--revocation", "require"])
  assert.is(status, 0)
  assert.equal(
    answer().revocation.map((one) => [one.status, one.crlNumber]),
    [
      ["good", "0a"],
      ["good", "01"],
    ],
  )
})

/** Four, big-endian. */
const bytesOf = (n: number): Uint8Array => Uint8Array.of(n >> 24, (n >> 16) & 0xff, (n >> 8) & 0xff, n & 0xff)

test("reads a CRL that is larger than any other file may be", async () => {
  const at = time(new Date(AT))
  const serial = (i: number): Uint8Array => concat(Uint8Array.of(2, 20, 1), new Uint8Array(15), bytesOf(i))
  const entries = Array.from({ length: 85_000 }, (_, i) => seq(serial(i), at))
  const crl = makeCrl({ name: INTERMEDIATE_NAME, keys: INTERMEDIATE_KEYS }, { entries })
  const bytes = utf8(pem(crl, "X509 CRL"))
  assert.ok(bytes.length > 4 << 20)
  const { status, answer } = await run([LEAF, ...GOOD, "--crls", fileOf(bytes)])
  assert.equal([status, answer().revocation[0]?.status], [0, "good"])
})

test("denies the keys of the shipped list unless another is handed in", async () => {
  const denied = fileOf({
    version: 1,
    keys: [
      {
        spkiSha256: hash("sha256", INTERMEDIATE_KEYS.spki, "hex"),
        subject: "a key",
        reason: "it is known",
        source: "https://example.com/",
        published: "2024-01-01",
        derivation: "made here",
      },
    ],
  })
  assert.is((await run([LEAF, ...GOOD])).status, 0)
  const { status, answer } = await run([LEAF, ...GOOD, "--denied-keys", denied])
  assert.equal([status, answer().code], [1, "KEY_DENIED"])
})

test("takes an EK out of an NV index, and past its notAfter if told so", async () => {
  const validity = seq(time(new Date("2021-01-01T00:00:00Z")), time(new Date("2022-01-01T00:00:00Z")))
  const { leaf } = makeChain("ek", { leaf: { validity } })
  const nv = fileOf(concat(leaf, new Uint8Array(100).fill(0xff)))
  const argv = [nv, "--intermediates", ABOVE, "--anchors", ROOT, "--purpose", "ek"]
  assert.is((await run(argv)).answer().code, "VALIDITY")
  const { status, answer } = await run([...argv, "--expired-leaf", "allow"])
  const { expired, deviations, path } = answer()
  assert.equal([status, expired, deviations, path[0]?.deviations], [0, true, ["nv-padding"], ["nv-padding"]])
})

test("shows people a table, without anything that moves their terminal", async () => {
  const evil = makeCertificate(LEAF_KEYS, INTERMEDIATE_KEYS, cn("\u001b[2Jevil\u202e"), INTERMEDIATE_NAME, [])
  const { status, out } = await run([fileOf(evil), ...GOOD.slice(0, 4)], { isTerminal: true })
  assert.is(status, 0)
  assert.match(out, /^accepted\n/)
  assert.match(out, /leaf +CN=\\u\{1b\}\[2Jevil\\u\{202e\}/)
  assert.match(out, /anchor +CN=Test Root/)
  assert.match(out, /not every certificate's revocation was looked up/)
  assert.is(/[^\n\x20-\x7e]/.test(out), false)
  const refusal = await run([fileOf(evil)], { isTerminal: true, colors: true })
  assert.match(refusal.out, "\u001b[31mrefused: UNTRUSTED_ROOT\u001b[39m")
  const piped = await run([fileOf(evil), ...GOOD.slice(0, 4)])
  assert.is(/[^\n\x20-\x7e]/.test(piped.out), false)
})

test("tells a table's reader what was left out, and why it is refused", async () => {
  const half = fileOf(pem(ak.intermediate).slice(0, 200), "pem")
  const { status, out } = await run([LEAF, "--intermediates", half, "--anchors", ROOT], { isTerminal: true })
  assert.is(status, 2)
  assert.match(out, /refused: INPUT/)
  assert.match(out, /half written/)
  assert.match(out, /left out:\n.*\.pem {2}INPUT/)
})

test("describes its JSON in its help", async () => {
  const { status, out } = await assay(["check", "chain", "--help"])
  assert.is(status, 0)
  for (const field of [
    "accepted",
    "code",
    "path",
    "anchor",
    "tpm",
    "policies",
    "revocation",
    "validUntil",
    "ignored",
  ])
    assert.match(out, field)
})

test.run()
