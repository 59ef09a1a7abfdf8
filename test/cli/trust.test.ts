/** `assay trust`, against a server that remembers what it was asked. */
import { hash } from "node:crypto"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { timestampFromDate } from "@bufbuild/protobuf/wkt"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex, utf8 } from "../../src/bytes.ts"
import type { AdminCalls } from "../../src/cli/parts.ts"
import { AssayError } from "../../src/errors.ts"
import * as pb from "../../src/gen/assay/v1/trust_pb.ts"
import { crlNumber, makeCrl } from "../support/crl.ts"
import * as x509 from "../support/x509.ts"
import { assay, fileOf, jsonOf, noDevices, noJournal, noTrust, type RunOptions } from "./run.ts"

const test = suite("assay trust")

const folder = mkdtempSync(join(tmpdir(), "assay-trust-"))
test.after(() => rmSync(folder, { recursive: true, force: true }))
let folders = 0

/** A new folder with these files; a name may have slashes. */
const folderOf = (files: Readonly<Record<string, Uint8Array | string>>): string => {
  const path = join(folder, String(folders++))
  mkdirSync(path)
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(path, name, ".."), { recursive: true })
    writeFileSync(join(path, name), content)
  }
  return path
}

const pem = (der: Uint8Array, label = "CERTIFICATE"): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(der)
    .toString("base64")
    .replace(/.{64}(?=.)/g, "$&\n")}\n-----END ${label}-----\n`
const idOf = (der: Uint8Array): string => hash("sha256", der, "hex")

const { root: ROOT, intermediate: INTERMEDIATE, leaf: LEAF } = x509.makeChain("ek")
const rootOf = (name: string): Uint8Array =>
  x509.makeCertificate(x509.ROOT_KEYS, x509.ROOT_KEYS, x509.cn(name), x509.cn(name), x509.caExtensions())
const CRL = makeCrl({ name: x509.ROOT_NAME, keys: x509.ROOT_KEYS })

type Import = MessageInitShape<typeof pb.ImportTrustRequestSchema>

const AT = timestampFromDate(new Date("2026-01-02T03:04:05Z"))
const ANCHOR: MessageInitShape<typeof pb.AnchorSchema> = {
  id: idOf(ROOT),
  label: "Maker root",
  purpose: pb.AnchorPurpose.EK,
  revocation: pb.AnchorRevocation.WHEN_PUBLISHED,
  provenance: "by hand",
  subject: "CN=Test Root",
  notBefore: AT,
  notAfter: timestampFromDate(x509.NOT_AFTER),
  createTime: AT,
}
const PENDING = {
  id: "d4".repeat(32),
  issuer: "CN=Nobody",
  firstSeenTime: AT,
  lastSeenTime: AT,
  count: 2n,
}

/** A server that answers every call, and what it was asked. `failing` is what an import of that number ends with. */
const fakeServer = (
  failing: Readonly<Record<number, AssayError>> = {},
  changed: Partial<AdminCalls> = {},
) => {
  const imports: Import[] = []
  const calls: unknown[] = []
  const unused = (): never => {
    throw new TypeError("nothing of devices and policies is asked for in this test")
  }
  const admin: AdminCalls = {
    ...noTrust,
    ...noDevices,
    ...noJournal,
    setPolicy: unused,
    assignPolicy: unused,
    getPolicy: unused,
    importTrust: async (request) => {
      imports.push(request)
      const failure = failing[imports.length]
      if (failure !== undefined) throw failure
      return create(pb.ImportTrustResponseSchema, { generation: BigInt(imports.length), added: 1n })
    },
    listAnchors: async (request) => {
      calls.push(["listAnchors", request])
      return create(pb.ListAnchorsResponseSchema, { anchors: [ANCHOR] })
    },
    getAnchor: async (id) => {
      calls.push(["getAnchor", id])
      return create(pb.GetAnchorResponseSchema, { anchor: ANCHOR, certificate: ROOT })
    },
    removeTrust: async (id) => {
      calls.push(["removeTrust", id])
      return create(pb.RemoveTrustResponseSchema, { id: idOf(ROOT), generation: 9n })
    },
    listPendingIssuers: async () => create(pb.ListPendingIssuersResponseSchema, { issuers: [PENDING] }),
    getPendingIssuer: async (id) => {
      calls.push(["getPendingIssuer", id])
      return create(pb.GetPendingIssuerResponseSchema, { issuer: PENDING, chain: [LEAF, INTERMEDIATE] })
    },
    dismissPendingIssuer: async (id) => {
      calls.push(["dismissPendingIssuer", id])
      return create(pb.DismissPendingIssuerResponseSchema, { id: PENDING.id })
    },
    close: () => {},
    ...changed,
  }
  const run = (argv: readonly string[], options: RunOptions = {}) =>
    assay(["trust", ...argv], { ...options, parts: { adminClient: () => admin } })
  return { imports, calls, run }
}

/** What an import asked for, by ids. */
const idsOf = ({ anchors = [], intermediates = [], crls = [] }: Import = {}) => ({
  anchors: anchors.map(({ certificate }) => idOf(certificate ?? new Uint8Array())),
  intermediates: intermediates.map(({ certificate }) => idOf(certificate ?? new Uint8Array())),
  crls: crls.map(({ crl }) => idOf(crl ?? new Uint8Array())),
})

test("takes its own issuers for anchors and others for intermediates, out of PEM and DER, files and folders", async () => {
  const { imports, run } = fakeServer()
  const [one, two, three] = [rootOf("One"), rootOf("Two"), rootOf("Three")]
  const bundle = folderOf({
    "roots/one.pem": `${pem(one)}some words\n${pem(two)}`,
    "roots/three.CRT": three,
    "ca.der": INTERMEDIATE,
    "README.md": "not a certificate",
  })
  const file = fileOf(pem(ROOT), "txt")
  const ran = await run(["import", file, bundle, "--purpose", "ek", "--provenance", "by hand"])
  assert.is(ran.status, 0, ran.err)
  assert.equal(imports.map(idsOf), [
    { anchors: [ROOT, one, two, three].map(idOf), intermediates: [idOf(INTERMEDIATE)], crls: [] },
  ])
  const [anchor] = imports[0]?.anchors ?? []
  assert.equal(
    [anchor?.label, anchor?.purpose, anchor?.revocation, anchor?.provenance],
    ["Test Root", pb.AnchorPurpose.EK, pb.AnchorRevocation.WHEN_PUBLISHED, "by hand"],
  )
  const json = jsonOf<{ added: number; skipped: { path: string }[]; anchors: { file: string }[] }>(ran)
  assert.equal(
    [json.added, json.skipped, json.anchors.map((one) => one.file)],
    [
      1,
      [{ path: join(bundle, "README.md"), reason: "another ending" }],
      [file, `${bundle}/roots/one.pem[1]`, `${bundle}/roots/one.pem[2]`, `${bundle}/roots/three.CRT`],
    ],
  )
})

test("takes all certificates for what --as says, with the name and mode that are said", async () => {
  const { imports, run } = fakeServer()
  const file = fileOf(`${pem(ROOT)}${pem(INTERMEDIATE)}`)
  const named = ["--name", "Maker", "--revocation", "require"]
  assert.is((await run(["import", file, "--as", "anchor", "--purpose", "any", ...named])).status, 0)
  assert.is((await run(["import", file, "--as", "intermediate"])).status, 0)
  assert.equal(imports.map(idsOf), [
    { anchors: [ROOT, INTERMEDIATE].map(idOf), intermediates: [], crls: [] },
    { anchors: [], intermediates: [ROOT, INTERMEDIATE].map(idOf), crls: [] },
  ])
  assert.equal(
    imports[0]?.anchors?.map(({ label, revocation }) => [label, revocation]),
    [
      ["Maker", pb.AnchorRevocation.REQUIRE],
      ["Maker", pb.AnchorRevocation.REQUIRE],
    ],
  )
})

test("asks for a purpose before anything becomes an anchor", async () => {
  const { imports, run } = fakeServer()
  const { status, err } = await run(["import", fileOf(pem(ROOT))])
  assert.is(status, 2)
  assert.match(err, /what is .* trusted for.*--purpose.*ek, ak, any/)
  assert.equal(imports, [])
})

test("tells new anchors from those that have other settings now", async () => {
  for (const [changed, line] of [
    [0n, "0"],
    [1n, "1: anchors that have other settings now"],
  ] as const) {
    const { run } = fakeServer(
      {},
      {
        importTrust: async () => create(pb.ImportTrustResponseSchema, { generation: 7n, added: 3n, changed }),
      },
    )
    const off = ["import", fileOf(pem(ROOT)), "--purpose", "ek", "--revocation", "off"]
    const { added, changed: told } = jsonOf(await run(off))
    assert.equal([added, told], [3, Number(changed)])
    const { out } = await run(off, { isTerminal: true })
    assert.match(out, new RegExp(`new +3\nchanged +${line}\ngeneration +7\n$`))
  }
})

test("imports the same certificate once, and says where else it was", async () => {
  const { imports, run } = fakeServer()
  const bundle = folderOf({ "a.pem": pem(ROOT), "b.der": ROOT })
  const ran = await run(["import", bundle, "--purpose", "ek"])
  assert.is(imports[0]?.anchors?.length, 1)
  assert.equal(jsonOf(ran)["duplicates"], [{ file: `${bundle}/b.der`, of: `${bundle}/a.pem` }])
})

test("tells what it would import without asking the server", async () => {
  const { imports, run } = fakeServer()
  const ran = await run(["import", fileOf(pem(ROOT)), "--purpose", "ek", "--dry-run"])
  assert.equal([ran.status, jsonOf(ran)["dryRun"], jsonOf(ran)["generation"]], [0, true, null])
  const table = await run(["import", fileOf(pem(ROOT)), "--purpose", "ek", "--dry-run"], { isTerminal: true })
  assert.match(table.out, /anchor \(ek\) +2040-01-01 +CN=Test Root/)
  assert.match(table.out, /Nothing was imported: a dry run\.\n$/)
  assert.equal(imports, [])
})

const truncatedPem = pem(ROOT).slice(0, 200)
/** Files beside a good one; what they do to the whole import. */
const broken: readonly [name: string, bad: Readonly<Record<string, Uint8Array | string>>][] = [
  ["an empty file", { "b.pem": "" }],
  ["an empty file with DER's ending", { "b.der": new Uint8Array() }],
  ["a PEM block that does not end", { "b.pem": truncatedPem }],
  ["a second PEM block that does not end", { "b.pem": pem(ROOT) + truncatedPem }],
  ["a PEM block whose base64 is cut", { "b.pem": pem(ROOT).replace(/\n(?=-----END)/, "A\n") }],
  ["DER that is cut", { "b.der": ROOT.subarray(0, 100) }],
  ["DER without its last byte", { "b.crt": ROOT.subarray(0, -1) }],
  ["DER with a byte behind it", { "b.cer": new Uint8Array([...ROOT, 0]) }],
  ["PEM around DER that is cut", { "b.pem": pem(ROOT.subarray(0, 100)) }],
  ["a page of text", { "b.pem": "404 Not Found" }],
  ["a page of zeros", { "b.der": new Uint8Array(4096) }],
  ["a revocation list for a certificate", { "b.pem": pem(CRL, "X509 CRL") }],
  ["a private key for a certificate", { "b.pem": pem(ROOT, "PRIVATE KEY") }],
]
for (const [name, bad] of broken)
  test(`refuses S-09 a folder with ${name} beside a good one, and sends nothing`, async () => {
    const { imports, run } = fakeServer()
    const bundle = folderOf({ "a.pem": pem(ROOT), ...bad, "c.pem": pem(rootOf("C")) })
    const { status, err } = await run(["import", bundle, "--purpose", "ek"])
    assert.is(status, 2)
    assert.match(err, /\/b\.(pem|der|crt|cer)/)
    assert.equal(imports, [])
  })

/** Root may read everything. */
const isRoot = process.getuid?.() === 0
test("refuses S-09 a file that may not be read", async () => {
  if (isRoot) return
  const bundle = folderOf({ "a.pem": pem(ROOT), "b.pem": pem(rootOf("B")) })
  chmodSync(join(bundle, "b.pem"), 0)
  const { imports, run } = fakeServer()
  const { status, err } = await run(["import", bundle, "--purpose", "ek"])
  assert.is(status, 2)
  assert.match(err, /b\.pem cannot be read: it may not be read/)
  assert.equal(imports, [])
})

const unreadable: readonly [name: string, path: string, reason: RegExp][] = [
  ["a path that leads nowhere", join(folder, "nowhere"), /there is no such file/],
  ["a path through a file", join(fileOf("x"), "y"), /cannot be read: ENOTDIR/],
  ["a file that fails while it is read", "/proc/self/mem", /cannot be read: EIO/],
]
for (const [name, path, reason] of unreadable)
  test(`refuses S-09 ${name} beside a good one, and sends nothing`, async () => {
    const { imports, run } = fakeServer()
    const { status, err } = await run(["import", fileOf(pem(ROOT)), path, "--purpose", "ek"])
    assert.equal([status, imports], [2, []])
    assert.match(err, reason)
  })

for (const [name, files] of [
  ["an empty folder", {}],
  ["a folder without certificates", { "README.md": "roots", "notes.txt": pem(ROOT) }],
] as const)
  test(`refuses S-09 ${name}`, async () => {
    const { imports, run } = fakeServer()
    const { status, err } = await run(["import", folderOf(files), "--purpose", "ek"])
    assert.equal([status, imports], [2, []])
    assert.match(err, /a folder without any certificate/)
  })

test("follows S-09 no symbolic link in a folder, to a file or a folder, and says so", async () => {
  const { imports, run } = fakeServer()
  const outside = folderOf({ "outside.pem": pem(rootOf("Outside")) })
  const bundle = folderOf({ "a.pem": pem(ROOT) })
  symlinkSync(join(outside, "outside.pem"), join(bundle, "b.pem"))
  symlinkSync(outside, join(bundle, "c"))
  symlinkSync(join(bundle, "nowhere"), join(bundle, "d.pem"))
  const ran = await run(["import", bundle, "--purpose", "ek"])
  assert.equal(idsOf(imports[0]).anchors, [idOf(ROOT)])
  assert.equal(
    jsonOf<{ skipped: object[] }>(ran).skipped,
    ["b.pem", "c", "d.pem"].map((link) => ({ path: join(bundle, link), reason: "a symbolic link" })),
  )
  const onlyLinks = folderOf({})
  symlinkSync(join(outside, "outside.pem"), join(onlyLinks, "b.pem"))
  const refused = await run(["import", onlyLinks, "--purpose", "ek"])
  assert.equal([refused.status, imports.length], [2, 1])
  assert.match(refused.err, /b\.pem: a symbolic link/)
})

test("names the file of what the server refuses", async () => {
  const refusal = new AssayError("ISSUER_NOT_CA", "CN=x is no CA", {
    location: "anchors[1]",
    expected: "a CA",
  })
  const { run } = fakeServer({ 1: refusal })
  const bundle = folderOf({ "a.pem": pem(ROOT), "b.pem": pem(rootOf("B")) })
  const ran = await run(["import", bundle, "--purpose", "ek"])
  assert.is(ran.status, 1)
  const { error } = jsonOf<{ error: { code: string; location: string; expected: string } }>(ran)
  assert.equal([error.code, error.location, error.expected], ["ISSUER_NOT_CA", `${bundle}/b.pem`, "a CA"])
})

test("imports revocation lists, and names the file of what the server refuses", async () => {
  const { imports, run } = fakeServer()
  const other = makeCrl({ name: x509.cn("Other"), keys: x509.ROOT_KEYS }, { extensions: [crlNumber("02")] })
  const bundle = folderOf({ "a.crl": CRL, "b.pem": pem(other, "X509 CRL"), "root.crt": ROOT, "c.crl": CRL })
  const ran = await run(["import", "--crl", bundle])
  assert.is(ran.status, 0, ran.err)
  assert.equal(imports.map(idsOf), [{ anchors: [], intermediates: [], crls: [CRL, other].map(idOf) }])
  const json = jsonOf<{
    crls: { entries: number; issuer: string; nextUpdate: string }[]
    duplicates: object[]
  }>(ran)
  assert.equal(
    [json.crls[0], json.duplicates.length],
    [
      {
        id: idOf(CRL),
        file: `${bundle}/a.crl`,
        issuer: "CN=Test Root",
        thisUpdate: "2024-01-01T00:00:00.000Z",
        nextUpdate: "2024-02-01T00:00:00.000Z",
        entries: 0,
      },
      1,
    ],
  )
  const refusal = new AssayError("INPUT", "crls[1] is crls[0] again", { location: "crls[1]" })
  const { err } = await fakeServer({ 1: refusal }).run(["import", "--crl", bundle])
  assert.is(err, `assay: INPUT: ${bundle}/b.pem is ${bundle}/a.crl again\n`)
})

for (const [name, files] of [
  ["an empty list", { "b.crl": "" }],
  ["half a list", { "b.crl": CRL.subarray(0, 80) }],
  ["a certificate for a list", { "b.der": ROOT }],
] as const)
  test(`refuses S-09 revocation lists with ${name} among them, and sends nothing`, async () => {
    const { imports, run } = fakeServer()
    const { status } = await run(["import", "--crl", folderOf({ "a.crl": CRL, ...files })])
    assert.equal([status, imports], [2, []])
  })

test("sends 65 revocation lists in two steps", async () => {
  const { imports, run } = fakeServer()
  const lists = Array.from({ length: 65 }, (_, i) =>
    pem(makeCrl({ name: x509.cn(`CA ${i}`), keys: x509.ROOT_KEYS }), "X509 CRL"),
  )
  const ran = await run(["import", "--crl", fileOf(lists.join(""))])
  assert.equal([ran.status, jsonOf(ran)["added"], jsonOf(ran)["generation"]], [0, 2, 2])
  assert.equal(
    imports.map(({ crls = [] }) => crls.length),
    [64, 1],
  )
})

const ekRows = (count: number): string =>
  Array.from({ length: count }, (_, i) => `${i.toString(16).padStart(64, "0")},device ${i}\n`).join("")

test("imports endorsement keys a thousand at a time", async () => {
  const { imports, run } = fakeServer()
  const ran = await run(["import-eks", fileOf(`digest,label\n${ekRows(2500)}${ekRows(1)}`)])
  assert.equal(
    [ran.status, jsonOf(ran)],
    [0, { keys: 2500, duplicates: 1, generation: 3, added: 3, changed: 0 }],
  )
  assert.equal(
    imports.map(({ eks = [] }) => eks.length),
    [1000, 1000, 500],
  )
  const last = imports[2]?.eks?.at(-1)
  assert.equal([toHex(last?.digest ?? utf8("")).slice(-4), last?.label], ["09c3", "device 2499"])
})

test("says how many keys were imported before one step failed", async () => {
  const full = new AssayError("TRUST_FULL", "too many listed endorsement keys")
  const { run } = fakeServer({ 3: full })
  const { status, err } = await run(["import-eks", fileOf(ekRows(2500))])
  assert.is(status, 2)
  assert.is(
    err,
    "2000 of 2500 keys were imported before it failed\nassay: TRUST_FULL: too many listed endorsement keys\n",
  )
})

test("sends no key of a list that is not whole", async () => {
  const { imports, run } = fakeServer()
  const { status, err } = await run(["import-eks", fileOf(`${ekRows(1500)}${"a".repeat(20)}`)])
  assert.equal([status, imports], [2, []])
  assert.match(err, /row 1501/)
})

test("lists anchors, all pages of them", async () => {
  const pages = [
    ["a", "next"],
    ["b", ""],
  ] as const
  const asked: unknown[] = []
  const { run } = fakeServer(
    {},
    {
      listAnchors: async (request) => {
        const [label, nextPageToken] = pages[asked.length] ?? ["", ""]
        asked.push(request)
        return create(pb.ListAnchorsResponseSchema, { anchors: [{ ...ANCHOR, label }], nextPageToken })
      },
    },
  )
  const ran = await run(["list", "--purpose", "ek"])
  const { anchors } = jsonOf<{ anchors: Record<string, unknown>[] }>(ran)
  assert.equal(
    anchors.map(({ label }) => label),
    ["a", "b"],
  )
  assert.equal(asked, [
    { pageSize: 1000, pageToken: "", purpose: pb.AnchorPurpose.EK },
    { pageSize: 1000, pageToken: "next", purpose: pb.AnchorPurpose.EK },
  ])
  assert.equal(anchors[0], {
    id: idOf(ROOT),
    label: "a",
    purpose: "ek",
    revocation: "when-published",
    provenance: "by hand",
    subject: "CN=Test Root",
    notBefore: "2026-01-02T03:04:05.000Z",
    notAfter: "2040-01-01T00:00:00.000Z",
    addedAt: "2026-01-02T03:04:05.000Z",
  })
  const { out } = await fakeServer().run(["list"], { isTerminal: true })
  assert.match(out, /^ID +PURPOSE +REVOCATION +VALID UNTIL +LABEL +SUBJECT\n/)
})

test("lists intermediates, and more keys than a function takes arguments", async () => {
  const count = 150_000
  const { run } = fakeServer(
    {},
    {
      listIntermediates: async () =>
        create(pb.ListIntermediatesResponseSchema, {
          intermediates: [{ id: "b2", subject: "CN=CA", source: "import" }],
        }),
      listEks: async () =>
        create(pb.ListEksResponseSchema, {
          eks: Array.from({ length: count }, () => ({ digest: utf8("d"), label: "x" })),
        }),
    },
  )
  assert.match((await run(["list", "--intermediates"], { isTerminal: true })).out, /b2 .*CN=CA .*import/)
  const { out } = await run(["list", "--eks"], { isTerminal: true })
  assert.is(out.split("\n").length, count + 1)
})

test("shows an anchor with its certificate, and removes one", async () => {
  const { calls, run } = fakeServer()
  const shown = await run(["show", "5c0de1f2"])
  assert.is(jsonOf(shown)["certificate"], pem(ROOT))
  const { out } = await run(["show", "5c0de1f2"], { isTerminal: true })
  assert.match(out, /\nsubject +CN=Test Root\n/)
  assert.ok(out.endsWith(pem(ROOT)))
  const removed = await run(["remove", "5c0de1f2"])
  assert.equal(jsonOf(removed), { removed: idOf(ROOT), generation: 9 })
  assert.equal(calls, [
    ["getAnchor", "5c0de1f2"],
    ["getAnchor", "5c0de1f2"],
    ["removeTrust", "5c0de1f2"],
  ])
})

test("shows pending issuers, writes their chains for review, and never over a file", async () => {
  const { calls, run } = fakeServer()
  const listed = await run(["pending"])
  assert.equal(jsonOf(listed)["issuers"], [
    {
      id: PENDING.id,
      issuer: "CN=Nobody",
      firstSeenAt: "2026-01-02T03:04:05.000Z",
      lastSeenAt: "2026-01-02T03:04:05.000Z",
      count: 2,
    },
  ])
  assert.equal(calls, [])
  const review = join(folder, "review", "here")
  const saved = await run(["pending", "--save", review])
  const file = join(review, `${PENDING.id}.pem`)
  assert.equal([saved.status, jsonOf(saved)["files"]], [0, [file]])
  assert.is(readFileSync(file, "utf8"), pem(LEAF) + pem(INTERMEDIATE))
  const again = await run(["pending", "--save", review], { isTerminal: true })
  assert.is(again.status, 2)
  assert.match(again.err, /is there already/)
})

test("writes no file by a name that is no id", async () => {
  const issuers = [{ ...PENDING, id: "../evil" }]
  const { run } = fakeServer(
    {},
    {
      listPendingIssuers: async () => create(pb.ListPendingIssuersResponseSchema, { issuers }),
    },
  )
  const review = join(folder, "guarded")
  assert.is((await run(["pending", "--save", review])).status, 1)
  assert.not(existsSync(join(folder, "evil.pem")))
})

test("forgets a pending issuer, at the address that is said before or behind it", async () => {
  const addresses: string[] = []
  const { calls, run } = fakeServer()
  assert.equal(jsonOf(await run(["pending", "dismiss", "d4d4d4d4"])), { dismissed: PENDING.id })
  assert.equal(calls, [["dismissPendingIssuer", "d4d4d4d4"]])
  const parts = {
    adminClient: (address: string) => {
      addresses.push(address)
      throw new AssayError("NO_ANSWER", "no")
    },
  }
  for (const argv of [
    ["pending", "--admin", "unix:/a", "dismiss", "d4d4d4d4"],
    ["pending", "dismiss", "d4d4d4d4", "--admin", "unix:/a"],
  ])
    await assay(["trust", ...argv], { parts })
  assert.equal(addresses, ["unix:/a", "unix:/a"])
})

test("shows the state, and warns of what is missing or past", async () => {
  const crl = {
    id: idOf(CRL),
    source: "import:00",
    issuer: "CN=CA",
    thisUpdate: timestampFromDate(new Date("2024-01-01")),
    nextUpdate: timestampFromDate(new Date("2024-02-01")),
    entries: 100_000n,
  }
  const { run } = fakeServer(
    {},
    {
      getTrustState: async () =>
        create(pb.GetTrustStateResponseSchema, { generation: 7n, pendingIssuers: 4n }),
      listCrls: async () => create(pb.ListCrlsResponseSchema, { crls: [crl] }),
    },
  )
  assert.equal(jsonOf(await run(["status"])), {
    generation: 7,
    anchors: 0,
    intermediates: 0,
    eks: 0,
    pendingIssuers: 4,
    crls: [
      {
        id: idOf(CRL),
        source: "import:00",
        issuer: "CN=CA",
        thisUpdate: "2024-01-01T00:00:00.000Z",
        nextUpdate: "2024-02-01T00:00:00.000Z",
        entries: 100_000,
      },
    ],
  })
  const { out } = await run(["status"], { isTerminal: true })
  assert.match(out, /Without an anchor, no certificate is trusted\./)
  assert.match(out, /2024-02-01T00:00:00\.000Z \(past\) +100000 +CN=CA/)
})

test.run()
