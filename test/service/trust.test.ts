import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, lengthPrefixed, toHex, utf8 } from "../../src/bytes.ts"
import type { Code } from "../../src/errors.ts"
import type { ImportTrustInput } from "../../src/service/import-trust.ts"
import type { Caller } from "../../src/service/ports.ts"
import { rejectsCode } from "../support/assert.ts"
import { crlNumber, DELTA, flag, makeCrl, scope, unknownExtension } from "../support/crl.ts"
import { digestOf, NOON } from "../support/ports/samples.ts"
import { needs, vector } from "../support/vectors.ts"
import * as x509 from "../support/x509.ts"
import { ALICE, anchorOf, anchors, idOf, NOTHING, world } from "./trust-world.ts"

const test = suite("trust")

const MALLORY: Caller = { tenant: "other", id: "mallory" }

const ROOT = x509.makeChain("ek").root
const INTERMEDIATE = x509.makeChain("ek").intermediate
/** A root of its own name, but for the changes. */
const root = (
  changed: Partial<x509.CertificateParts> = {},
  { keys = x509.ROOT_KEYS, name = x509.ROOT_NAME, extensions = x509.caExtensions() } = {},
): Uint8Array => x509.makeCertificate(keys, keys, name, name, extensions, changed)

const between = (from: string, to: string): Uint8Array =>
  x509.seq(x509.time(new Date(from)), x509.time(new Date(to)))

test("imports anchors, intermediates, lists and keys in one step of the generation", async () => {
  const { trust, store, records } = world()
  const crl = currentCrl()
  const ek = { digest: digestOf("ek"), label: "rack 4" }
  const answer = await trust.importTrust(
    { anchors: [anchorOf(ROOT)], intermediates: [INTERMEDIATE], crls: [crl], eks: [ek] },
    ALICE,
  )
  assert.equal(answer, { generation: 1, added: 4, changed: 0 })
  const kept = await store.trust("default")
  assert.equal(
    [kept.anchors, kept.intermediates, kept.crls].map((list) => list.map(({ id }) => id)),
    [[idOf(ROOT)], [idOf(INTERMEDIATE)], [idOf(crl)]],
  )
  assert.equal(await trust.trustState(ALICE), {
    generation: 1,
    anchors: 1,
    intermediates: 1,
    eks: 1,
    pendingIssuers: 0,
    crls: 1,
  })
  const [record] = await records()
  assert.equal(
    [
      record?.act,
      record?.caller,
      record?.outcome,
      record?.revisions,
      toHex(record?.evidenceDigest ?? new Uint8Array()),
    ],
    [
      "import-trust",
      "alice",
      "done",
      { device: undefined, policy: undefined, trust: 1 },
      hash(
        "sha256",
        lengthPrefixed(
          lengthPrefixed(
            utf8("anchor"),
            ROOT,
            ...["root", "ek", "when-published", "checked by hand"].map((text) => utf8(text)),
          ),
          lengthPrefixed(utf8("intermediate"), INTERMEDIATE),
          lengthPrefixed(utf8("crl"), crl),
          lengthPrefixed(utf8("ek"), ek.digest, utf8("rack 4")),
        ),
        "hex",
      ),
    ],
  )
})

test("gives an anchor that is there its new settings, and leaves the rest as it is", async () => {
  const { trust } = world()
  await trust.importTrust(anchors(ROOT), ALICE)
  const again = { ...NOTHING, anchors: [anchorOf(ROOT, { purpose: "any", label: "renamed" })] }
  assert.equal(await trust.importTrust(again, ALICE), { generation: 2, added: 0, changed: 1 })
  const { label, purpose, provenance } = await trust.anchor(idOf(ROOT), ALICE)
  assert.equal([label, purpose, provenance], ["renamed", "any", "checked by hand"])
  assert.equal(await trust.importTrust(again, ALICE), { generation: 2, added: 0, changed: 0 })
})

const otherKeys = x509.p256Keys()
const damaged = ((): Uint8Array => {
  const copy = ROOT.slice()
  copy[copy.length - 1] = (copy[copy.length - 1] ?? 0) ^ 1
  return copy
})()

/** Certificates that must not become anchors. */
const refusedAnchors: readonly [name: string, certificate: Uint8Array, code: Code][] = [
  ["S-09 an empty certificate", new Uint8Array(), "DER"],
  ["S-09 a certificate that is half there", ROOT.subarray(0, ROOT.length >> 1), "DER"],
  ["S-09 a certificate without its last byte", ROOT.subarray(0, -1), "DER"],
  ["S-09 a certificate with something behind it", concat(ROOT, Uint8Array.of(0)), "TRAILING"],
  ["S-09 a certificate of zeros", new Uint8Array(ROOT.length), "DER"],
  ["S-09 a certificate whose signature is damaged", damaged, "CHAIN"],
  ["X-01 a copy of a root with another key, signed by the first", root({ spki: otherKeys.spki }), "CHAIN"],
  ["X-01 a leaf as its own root", root({}, { extensions: x509.AK_EXTENSIONS }), "ISSUER_NOT_CA"],
  ["X-01 the certificate of an endorsement key", x509.makeChain("ek").leaf, "ISSUER_NOT_CA"],
  ["X-01 a root without basicConstraints", root({}, { extensions: [x509.keyUsage(5, 6)] }), "ISSUER_NOT_CA"],
  [
    "X-01 a root that may not sign certificates",
    root({}, { extensions: [x509.basicConstraints(true), x509.keyUsage(0)] }),
    "ISSUER_NOT_CA",
  ],
  ["X-07 a root that has expired", root({ validity: between("2020-01-01", "2026-03-01") }), "VALIDITY"],
  ["X-07 a root that is not yet valid", root({ validity: between("2027-01-01", "2030-01-01") }), "VALIDITY"],
  [
    "X-04 a root with an unknown critical extension",
    root({}, { extensions: [...x509.caExtensions(), unknownExtension(true)] }),
    "CRITICAL_EXT",
  ],
  ["X-08 a root with two signature algorithms", root({ innerAlgorithm: x509.RSA_SHA256 }), "ALG_MISMATCH"],
  ["K-07 a root with a key of 1024 bits", root({}, { keys: x509.rsaKeys(1024) }), "WEAK_ALG"],
]
for (const [name, certificate, code] of refusedAnchors)
  test(`refuses to trust ${name}, names it, and imports nothing`, async () => {
    const { trust, store, records } = world()
    const error = await rejectsCode(
      () =>
        trust.importTrust(
          { ...anchors(ROOT, certificate), eks: [{ digest: digestOf("ek"), label: "" }] },
          ALICE,
        ),
      code,
    )
    assert.is(error.location, "anchors[1]")
    assert.is((await store.trustState("default")).generation, 0)
    assert.equal(await records(), [])
  })

test("refuses K-08 a root whose key is denied, and says why", async () => {
  const { trust } = world({ denied: x509.ROOT_KEYS.spki })
  const error = await rejectsCode(() => trust.importTrust(anchors(ROOT), ALICE), "KEY_DENIED")
  assert.match(error.message, "it leaked")
  await rejectsCode(() => trust.importTrust({ ...NOTHING, intermediates: [ROOT] }, ALICE), "KEY_DENIED")
})

test("accepts a root whose own signature is by SHA-1, which it is not trusted by", async () => {
  const sha1 = x509.seq(x509.oid("1.2.840.113549.1.1.5"), x509.NULL)
  const { trust } = world()
  const keys = x509.rsaKeys(2048, 65537, sha1, "sha1")
  assert.is((await trust.importTrust(anchors(root({}, { keys })), ALICE)).added, 1)
})

test("accepts an intermediate as an anchor, and one past its time as an intermediate", async () => {
  const { trust } = world()
  const past = x509.makeChain("ek", { intermediate: { validity: between("2020-01-01", "2021-01-01") } })
  const input = { ...anchors(INTERMEDIATE), intermediates: [past.intermediate] }
  assert.is((await trust.importTrust(input, ALICE)).added, 2)
})

for (const [name, certificate] of [
  ["a leaf", x509.makeChain("ek").leaf],
  ["half of one", INTERMEDIATE.subarray(0, 99)],
] as const)
  test(`refuses ${name} as an intermediate`, async () => {
    const { trust, store } = world()
    const error = await rejectsCode(
      () => trust.importTrust({ ...anchors(ROOT), intermediates: [certificate] }, ALICE),
      ["ISSUER_NOT_CA", "DER"],
    )
    assert.is(error.location, "intermediates[0]")
    assert.is((await store.trustState("default")).anchors, 0)
  })

const ISSUER = { name: x509.ROOT_NAME, keys: x509.ROOT_KEYS }
const day = (date: string): Uint8Array => x509.time(new Date(date))
const currentCrl = (changed: Parameters<typeof makeCrl>[1] = {}): Uint8Array =>
  makeCrl(ISSUER, { thisUpdate: day("2026-02-01"), nextUpdate: day("2026-04-01"), ...changed })

const refusedCrls: readonly [name: string, crl: Uint8Array, code: Code][] = [
  ["S-09 an empty revocation list", new Uint8Array(), "DER"],
  ["S-09 half a revocation list", currentCrl().subarray(0, 60), "DER"],
  ["S-09 a certificate for a revocation list", ROOT, "CRL"],
  ["a delta CRL", currentCrl({ extensions: [crlNumber("01"), DELTA] }), "CRL"],
  ["an indirect CRL", currentCrl({ extensions: [crlNumber("01"), scope(flag(0x84))] }), "CRL"],
  ["a list of the future", currentCrl({ thisUpdate: day("2026-03-02") }), "VALIDITY"],
  ["a list past its time", currentCrl({ nextUpdate: day("2026-02-28") }), "VALIDITY"],
  ["a list that never ends", currentCrl({ nextUpdate: undefined }), "VALIDITY"],
]
for (const [name, crl, code] of refusedCrls)
  test(`refuses ${name}, and imports nothing`, async () => {
    const { trust, store } = world()
    const error = await rejectsCode(() => trust.importTrust({ ...anchors(ROOT), crls: [crl] }, ALICE), code)
    assert.is(error.location, "crls[0]")
    assert.is((await store.trustState("default")).generation, 0)
  })

test("refuses P-06 an older revocation list in place of a newer one, by time and by number", async () => {
  const { trust, store } = world()
  const newer = currentCrl({ extensions: [crlNumber("05")] })
  await trust.importTrust({ ...anchors(ROOT), crls: [newer] }, ALICE)
  for (const older of [
    currentCrl({ extensions: [crlNumber("05")], thisUpdate: day("2026-01-31") }),
    currentCrl({ extensions: [crlNumber("04")] }),
  ]) {
    const error = await rejectsCode(() => trust.importTrust({ ...NOTHING, crls: [older] }, ALICE), "VALIDITY")
    assert.is(error.location, "crls[0]")
  }
  assert.equal(
    (await store.trust("default")).crls.map(({ id }) => id),
    [idOf(newer)],
  )
  const next = currentCrl({ extensions: [crlNumber("06")], thisUpdate: day("2026-02-02") })
  assert.equal(await trust.importTrust({ ...NOTHING, crls: [next] }, ALICE), {
    generation: 2,
    added: 1,
    changed: 0,
  })
  const { items } = await trust.crls({ max: 10, after: undefined }, ALICE)
  assert.equal(
    items.map(({ id, entries, issuer, thisUpdate }) => [id, entries, issuer, thisUpdate.toISOString()]),
    [[idOf(next), 0, "CN=Test Root", "2026-02-02T00:00:00.000Z"]],
  )
})

test("keeps a list for each issuer, key and scope", async () => {
  const { trust } = world()
  const another = x509.cn("Another")
  await trust.importTrust(anchors(ROOT, root({}, { name: another })), ALICE)
  const lists = [
    currentCrl(),
    currentCrl({ extensions: [crlNumber("01"), scope(flag(0x81))] }),
    currentCrl({ extensions: [crlNumber("01"), x509.authorityKeyId(Uint8Array.of(1, 2, 3))] }),
    makeCrl({ ...ISSUER, name: another }, { thisUpdate: day("2026-02-01"), nextUpdate: day("2026-04-01") }),
  ]
  assert.is((await trust.importTrust({ ...NOTHING, crls: lists }, ALICE)).added, 4)
})

const ek = { digest: digestOf("ek"), label: "" }
const nothingNew: readonly [name: string, input: ImportTrustInput, location: string | undefined][] = [
  ["S-09 an import of nothing", NOTHING, undefined],
  ["an anchor twice", anchors(ROOT, ROOT), "anchors[1]"],
  [
    "an anchor with two purposes",
    { ...NOTHING, anchors: [anchorOf(ROOT), anchorOf(ROOT, { purpose: "ak" })] },
    "anchors[1]",
  ],
  ["an intermediate twice", { ...NOTHING, intermediates: [INTERMEDIATE, INTERMEDIATE] }, "intermediates[1]"],
  [
    "two lists of one issuer",
    { ...NOTHING, crls: [currentCrl(), currentCrl({ extensions: [crlNumber("02")] })] },
    "crls[1]",
  ],
  ["a key twice", { ...NOTHING, eks: [ek, { ...ek, label: "other" }] }, "eks[1]"],
]
for (const [name, input, location] of nothingNew)
  test(`refuses ${name}`, async () => {
    const { trust, store } = world()
    assert.is((await rejectsCode(() => trust.importTrust(input, ALICE), "INPUT")).location, location)
    assert.is((await store.trustState("default")).generation, 0)
  })

test("lets others work between certificates", async () => {
  const { trust, breaths } = world()
  await trust.importTrust({ ...anchors(ROOT), intermediates: [INTERMEDIATE] }, ALICE)
  assert.ok(breaths() >= 2)
})

/** Ten roots of their own names. */
const ROOTS = Array.from({ length: 10 }, (_, i) => root({}, { name: x509.cn(`Root ${i}`) }))

test("lists anchors page by page, also while they change", async () => {
  const { trust } = world()
  await trust.importTrust(anchors(...ROOTS), ALICE)
  const ids = ROOTS.map(idOf).sort()
  const first = await trust.anchors({ max: 4, after: undefined, purpose: undefined }, ALICE)
  assert.equal([first.items.map(({ id }) => id), first.next], [ids.slice(0, 4), ids[3]])
  await trust.removeTrust(ids[1] ?? "", ALICE)
  await trust.removeTrust(ids[3] ?? "", ALICE)
  const second = await trust.anchors({ max: 4, after: first.next, purpose: undefined }, ALICE)
  assert.equal([second.items.map(({ id }) => id), second.next], [ids.slice(4, 8), ids[7]])
  const last = await trust.anchors({ max: 4, after: second.next, purpose: undefined }, ALICE)
  assert.equal([last.items.map(({ id }) => id), last.next], [ids.slice(8), undefined])
})

test("lists anchors of exactly one purpose, with what their certificates say", async () => {
  const { trust } = world()
  await trust.importTrust(
    { ...NOTHING, anchors: [anchorOf(ROOT), anchorOf(ROOTS[0] ?? ROOT, { purpose: "any" })] },
    ALICE,
  )
  const { items } = await trust.anchors({ max: 100, after: undefined, purpose: "ek" }, ALICE)
  assert.equal(
    items.map(({ id, subject, notAfter, addedAt }) => [id, subject, notAfter, addedAt]),
    [[idOf(ROOT), "CN=Test Root", x509.NOT_AFTER, NOON]],
  )
  const { items: intermediates } = await trust.intermediates({ max: 100, after: undefined }, ALICE)
  assert.equal(intermediates, [])
})

test("lists keys page by page, with an empty page behind a full one", async () => {
  const { trust } = world()
  const eks = ["a", "b", "c", "d"].map((name) => ({ digest: digestOf(name), label: name }))
  await trust.importTrust({ ...NOTHING, eks }, ALICE)
  const digests = eks.map(({ digest }) => toHex(digest)).sort()
  const first = await trust.listedEks({ max: 2, after: undefined }, ALICE)
  assert.is(first.next, digests[1])
  const second = await trust.listedEks({ max: 2, after: first.next }, ALICE)
  assert.equal(
    [...first.items, ...second.items].map(({ digest }) => toHex(digest)),
    digests,
  )
  assert.equal(await trust.listedEks({ max: 2, after: second.next }, ALICE), { items: [], next: undefined })
})

test("counts and lists without reading anchors, lists or chains", async () => {
  const never = (): never => {
    throw new TypeError("all of it is read for a number")
  }
  const { trust, store } = world({
    replaced: { trust: never, listedEks: never, pendingIssuer: never },
  })
  const eks = Array.from({ length: 1001 }, (_, i) => ({ digest: digestOf(`ek ${i}`), label: "" }))
  await trust.importTrust({ ...anchors(ROOT), intermediates: [INTERMEDIATE], eks }, ALICE)
  const issuer = { id: toHex(digestOf("issuer")), issuer: "CN=issuer", chain: [ROOT] }
  await store.notePending("default", issuer, NOON)
  const summary = { generation: 1, anchors: 1, intermediates: 1, eks: 1001, pendingIssuers: 1, crls: 0 }
  assert.equal(await trust.trustState(ALICE), summary)
  const [listed] = await trust.pendingIssuers(ALICE)
  assert.equal([listed?.id, "chain" in (listed ?? {})], [issuer.id, false])
  assert.equal(await trust.dismissIssuer(issuer.id.slice(0, 8), ALICE), { id: issuer.id })
})

test("removes by a whole id or by its beginning, and records what", async () => {
  const { trust, store, records } = world()
  const crl = currentCrl()
  await trust.importTrust({ ...anchors(ROOT), intermediates: [INTERMEDIATE], crls: [crl], eks: [ek] }, ALICE)
  const ids = [idOf(ROOT), idOf(INTERMEDIATE), idOf(crl), toHex(ek.digest)]
  for (const [i, id] of ids.entries()) {
    const beginning = i % 2 === 0 ? id.slice(0, 8 + i) : id
    assert.equal(await trust.removeTrust(beginning, ALICE), { id, generation: i + 2 })
  }
  const { anchors: left, intermediates, crls } = await store.trust("default")
  assert.equal([left, intermediates, crls, await store.listedEks("default", undefined, 9)], [[], [], [], []])
  const removals = (await records()).filter(({ act }) => act === "remove-trust")
  assert.equal(
    removals.map(({ evidenceDigest, revisions }) => [toHex(evidenceDigest), revisions?.trust]),
    ids.map((id, i) => [id, i + 2]),
  )
})

test("refuses to remove what is not there, and what more than one begins with", async () => {
  const { trust, store, records } = world()
  const digests = ["00", "01", "ff"].map(
    (last) => new Uint8Array(Buffer.from(`${"ab".repeat(31)}${last}`, "hex")),
  )
  const edges = [new Uint8Array(32), new Uint8Array(32).fill(0xff)]
  await trust.importTrust(
    { ...NOTHING, eks: [...digests, ...edges].map((digest) => ({ digest, label: "" })) },
    ALICE,
  )
  await rejectsCode(() => trust.removeTrust("abababab", ALICE), "INPUT")
  await rejectsCode(() => trust.removeTrust("ab".repeat(31), ALICE), "INPUT")
  for (const id of ["abababac", "00000001", `${"ab".repeat(31)}02`, "ab".repeat(32)])
    await rejectsCode(() => trust.removeTrust(id, ALICE), "TRUST_NOT_FOUND")
  assert.is((await store.trustState("default")).generation, 1)
  assert.is((await records()).length, 1)
  for (const [beginning, whole] of [
    ["00000000", "00".repeat(32)],
    ["ffffffff", "ff".repeat(32)],
    [`${"ab".repeat(31)}0`.slice(0, 63), undefined],
    [`${"ab".repeat(31)}f`, `${"ab".repeat(31)}ff`],
  ] as const)
    if (whole === undefined) await rejectsCode(() => trust.removeTrust(beginning, ALICE), "INPUT")
    else assert.is((await trust.removeTrust(beginning, ALICE)).id, whole)
})

test("removes by its whole id what the store cannot read any more", async () => {
  const removed: string[] = []
  const { trust } = world({
    replaced: {
      trust: () => Promise.reject(new Error("a damaged row")),
      removeTrust: async (_tenant, id) => {
        removed.push(id)
        return { generation: 2 }
      },
    },
  })
  await trust.removeTrust(idOf(ROOT), ALICE)
  assert.equal(removed, [idOf(ROOT)])
})

test("shows pending issuers, the latest first, and forgets one", async () => {
  const { trust, store, records } = world()
  const issuer = (name: string) => ({
    id: toHex(digestOf(name)),
    issuer: `CN=${name}`,
    chain: [ROOT, INTERMEDIATE],
  })
  await store.notePending("default", issuer("first"), new Date("2026-02-01T00:00:00Z"))
  await store.notePending("default", issuer("second"), new Date("2026-02-02T00:00:00Z"))
  await store.notePending("default", issuer("first"), new Date("2026-02-03T00:00:00Z"))
  const listed = await trust.pendingIssuers(ALICE)
  assert.equal(
    listed.map(({ issuer: text, count }) => [text, count]),
    [
      ["CN=first", 2],
      ["CN=second", 1],
    ],
  )
  const { id } = issuer("second")
  assert.equal(
    (await trust.pendingIssuer(id.slice(0, 8), ALICE)).chain.map(idOf),
    [ROOT, INTERMEDIATE].map(idOf),
  )
  assert.equal(await trust.dismissIssuer(id.slice(0, 10), ALICE), { id })
  await rejectsCode(() => trust.dismissIssuer(id, ALICE), "TRUST_NOT_FOUND")
  assert.is((await trust.trustState(ALICE)).pendingIssuers, 1)
  const [record] = await records()
  assert.equal([record?.act, toHex(record?.evidenceDigest ?? new Uint8Array())], ["dismiss-issuer", id])
  // Looked at, never trusted.
  assert.is((await store.trustState("default")).anchors, 0)
})

const foreign: readonly [
  name: string,
  act: (id: string, world_: ReturnType<typeof world>["trust"]) => Promise<unknown>,
][] = [
  ["look at an anchor", (id, trust) => trust.anchor(id, MALLORY)],
  ["look at an anchor by the beginning of its id", (id, trust) => trust.anchor(id.slice(0, 8), MALLORY)],
  ["remove an anchor", (id, trust) => trust.removeTrust(id, MALLORY)],
  ["remove an anchor by the beginning of its id", (id, trust) => trust.removeTrust(id.slice(0, 8), MALLORY)],
  ["look at a pending issuer", (_, trust) => trust.pendingIssuer(toHex(digestOf("issuer")), MALLORY)],
  ["forget a pending issuer", (_, trust) => trust.dismissIssuer(toHex(digestOf("issuer")), MALLORY)],
]
for (const [name, act] of foreign)
  test(`refuses P-06 another tenant to ${name}`, async () => {
    const { trust, store, records } = world()
    await trust.importTrust({ ...anchors(ROOT), eks: [ek] }, ALICE)
    const issuer = { id: toHex(digestOf("issuer")), issuer: "CN=issuer", chain: [ROOT] }
    await store.notePending("default", issuer, NOON)
    await rejectsCode(() => act(idOf(ROOT), trust), "TRUST_NOT_FOUND")
    assert.equal(
      [(await trust.trustState(ALICE)).anchors, (await trust.pendingIssuers(ALICE)).length],
      [1, 1],
    )
    assert.equal(await records("other"), [])
  })

test("shows P-06 another tenant nothing, and counts its own generation", async () => {
  const { trust, store } = world()
  await store.notePending("default", { id: idOf(ROOT), issuer: "CN=issuer", chain: [ROOT] }, NOON)
  await trust.importTrust({ ...anchors(ROOT), intermediates: [INTERMEDIATE], eks: [ek] }, ALICE)
  const all = { max: 100, after: undefined }
  for (const list of [
    trust.anchors({ ...all, purpose: undefined }, MALLORY),
    trust.intermediates(all, MALLORY),
    trust.listedEks(all, MALLORY),
    trust.crls(all, MALLORY),
  ])
    assert.equal((await list).items, [])
  assert.equal(await trust.pendingIssuers(MALLORY), [])
  const { generation, pendingIssuers } = await trust.trustState(MALLORY)
  assert.equal([generation, pendingIssuers], [0, 0])
  assert.equal(await trust.importTrust(anchors(ROOT), MALLORY), { generation: 1, added: 1, changed: 0 })
  assert.is((await trust.trustState(ALICE)).generation, 1)
})

needs("vectors", test)("accepts the roots of TPM makers that are still valid", async () => {
  const pem = new TextDecoder().decode(vector("tpm-roots/tpm-ca-certificates.pem"))
  const ders = [...pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END/g)].map(
    ([, body = ""]) => new Uint8Array(Buffer.from(body, "base64")),
  )
  assert.ok(ders.length > 10)
  const { trust } = world()
  const refused: string[] = []
  for (const der of new Map(ders.map((one) => [idOf(one), one])).values())
    try {
      await trust.importTrust(anchors(der), ALICE)
    } catch (error) {
      refused.push(error instanceof Error ? error.message : "")
    }
  assert.equal(refused, [])
})

test.run()
