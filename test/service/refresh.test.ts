import { execFileSync } from "node:child_process"
import { hash } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, toHex, utf8 } from "../../src/bytes.ts"
import { AssayError, type Code } from "../../src/errors.ts"
import { parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { parseCrl } from "../../src/evidence/x509/crl.ts"
import type { TrustRecord, TrustStore } from "../../src/service/ports.ts"
import { loadedSource } from "../../src/service/refresh-accept.ts"
import { urlOf } from "../../src/service/refresh-sources.ts"
import { rejectsCode } from "../support/assert.ts"
import { authority, crlNumber, DELTA, flag, rawInteger, scope } from "../support/crl.ts"
import { memoryTrust } from "../support/ports/memory-trust.ts"
import { newAct } from "../support/ports/samples.ts"
import {
  caExtensions,
  integer,
  keyUsage,
  makeCertificate,
  NULL,
  octets,
  oid,
  seq,
  set,
  time,
  tlv,
} from "../support/x509.ts"
import {
  afterNoon,
  crlAt,
  DAY,
  fullSite,
  HOST,
  HOUR,
  ICA,
  ICA_CER,
  ICA_CRL,
  IMPOSTOR,
  ica,
  icaDer,
  issuerAt,
  leaf,
  leafOf,
  MINUTE,
  NOON,
  ROOT,
  ROOT_CER,
  ROOT_CRL,
  rootDer,
  rootImport,
  site,
} from "./published.ts"
import { bench, keptIn, sourceOf } from "./refresh-bench.ts"

const test = suite("createRefresh")

test("loads what anchors, intermediates and certificates of requests name", async () => {
  const { refresh, store, site, pass } = await bench()
  refresh.want("default", [leaf], "device-1")
  const report = await pass()
  assert.equal([...site.asked].sort(), [ICA_CER, ICA_CRL, ROOT_CER, ROOT_CRL].sort())
  const record = await store.trust("default")
  assert.equal(
    record.crls.map(({ source }) => urlOf(source)),
    [ICA_CRL, ROOT_CRL],
  )
  assert.equal(
    record.intermediates.map(({ source, certificate }) => [source, certificate]),
    [[ICA_CER, icaDer]],
  )
  assert.is(record.anchors.length, 1)
  // The root was loaded too, and is no intermediate for that.
  assert.equal(report.outcomes, { changed: 3, unchanged: 1, failed: 0 })
  assert.equal([report.anchors, report.crls, report.generation], [1, 2, 3])
  assert.equal(report.nextUpdate, afterNoon(6 * DAY))
  assert.equal(report.thisUpdate, afterNoon(-DAY))
  const crl = sourceOf(report, ICA_CRL)
  assert.equal(crl?.lastSuccess, NOON)
  assert.is(crl?.lastFailure, undefined)
  assert.equal(crl?.nextUpdate, afterNoon(6 * DAY))
})

test("puts what it loaded on record, once for each change of trust", async () => {
  const { refresh, store, clock, records, pass } = await bench()
  refresh.want("default", [leaf], "device-1")
  await pass()
  const digest = (...loaded: readonly Uint8Array[]): Uint8Array =>
    hash("sha256", concat(...loaded.map((bytes) => hash("sha256", bytes, "buffer"))), "buffer")
  const record = {
    at: NOON,
    tenant: "default",
    caller: "system",
    act: "refresh-trust",
    device: "",
    outcome: "done",
    codes: [],
    policyDigest: undefined,
    tokenId: undefined,
  }
  const revisions = { device: undefined, policy: undefined }
  const { [ICA_CRL]: icaCrl = NULL, [ROOT_CRL]: rootCrl = NULL } = await keptIn(store)
  assert.equal(
    records.map((one) => ({ ...one, evidenceDigest: toHex(one.evidenceDigest) })),
    [
      { ...record, evidenceDigest: toHex(digest(icaDer)), revisions: { ...revisions, trust: 2 } },
      { ...record, evidenceDigest: toHex(digest(rootCrl, icaCrl)), revisions: { ...revisions, trust: 3 } },
    ],
  )
  clock.advance(3 * DAY)
  assert.ok((await pass()).outcomes.unchanged > 0)
  assert.is(records.length, 2)
})

test("refuses S-08 a pass that the journal cannot record", async () => {
  const { trust } = memoryTrust()
  await trust.importTrust("default", rootImport(), newAct("import-trust"))
  const { pass } = await bench({ store: { ...trust, importTrust: () => rejection("JOURNAL") } })
  await rejectsCode(() => pass(), "JOURNAL")
})

test("refuses S-09 to keep what was accepted under trust that has changed since", async () => {
  const published = fullSite()
  const { trust: store } = memoryTrust()
  await store.importTrust(
    "default",
    rootImport("off", { intermediates: [icaDer] }),
    newAct("import-trust", { at: afterNoon(-DAY) }),
  )
  let isFirst = true
  const { clock, records, pass } = await bench({
    store,
    fetch: async (...asked) => {
      const page = await published.fetch(...asked)
      if (isFirst && asked[1] === "crl") {
        isFirst = false
        await store.removeTrust("default", hash("sha256", icaDer, "hex"), newAct("remove-trust"))
      }
      return page
    },
  })
  const report = await pass()
  assert.is(sourceOf(report, ROOT_CRL)?.lastFailure?.code, "SNAPSHOT_MOVED")
  assert.equal([await keptIn(store), records], [{}, []])
  clock.advance(5 * MINUTE)
  await pass()
  assert.equal(Object.keys(await keptIn(store)), [ROOT_CRL])
})

/** How often others may work in a pass over an issuer's certificates. */
const breathsOver = async (certificates: Uint8Array): Promise<number> => {
  let breaths = 0
  const breathe = async (): Promise<void> => void breaths++
  const { refresh, pass } = await bench({ site: site({ [ICA_CER]: certificates }), breathe })
  refresh.want("default", [leaf], "device-1")
  breaths = 0
  await pass()
  return breaths
}

test("lets others work between the certificates of a bundle", async () => {
  const [long, short] = [utf8(pem(rootDer).repeat(32)), utf8(pem(rootDer).repeat(2))]
  assert.is((await breathsOver(long)) - (await breathsOver(short)), 30)
})

test("lets others work while it reads a long CMS message", async () => {
  const [long, short] = [cmsOf(icaDer, ...manyAlgorithms), cmsOf(icaDer)]
  assert.is((await breathsOver(long)) - (await breathsOver(short)), (4000 * 2) / 250)
})

test("moves the generation once for all CRLs of a pass, and not at all for the same ones again", async () => {
  const { store, clock, pass } = await bench({ trust: ["when-published", { intermediates: [icaDer] }] })
  await pass()
  const { generation } = await store.trustState("default")
  assert.is(generation, 2)
  clock.advance(3 * DAY)
  const report = await pass()
  assert.is(report.outcomes.unchanged > 0, true)
  assert.is(report.outcomes.changed, 0)
  assert.is((await store.trustState("default")).generation, generation)
})

const silent: [name: string, hosts: readonly string[], crlUrl: string][] = [
  ["no host is listed", [], ICA_CRL],
  ["another host is listed", ["example"], ICA_CRL],
  ["a host below is listed", [`www.${HOST}`], ICA_CRL],
  ["another port is named", [HOST], `http://${HOST}:8080/ica.crl`],
  ["only another port is listed", [`${HOST}:8080`], ICA_CRL],
  ["the URL has credentials", [HOST], `http://user:secret@${HOST}/ica.crl`],
  ["the URL is ldap", [HOST], `ldap://${HOST}/cn=ica`],
  ["the URL is file", [HOST], `file://${HOST}/etc/passwd`],
  ["the host only begins with a listed one", [HOST], `http://${HOST}.evil.example/ica.crl`],
  ["the listed host is in the credentials", [HOST], `http://${HOST}@evil.example/ica.crl`],
  ["the URL is an IP address", [HOST], "http://169.254.169.254/latest"],
  ["the URL is none", [HOST], `http://${HOST}:99999/ica.crl`],
  ["the URL is too long", [HOST], `http://${HOST}/${"x".repeat(3000)}`],
]
for (const [name, hosts, crlUrl] of silent)
  test(`asks nobody where ${name}`, async () => {
    const { refresh, site, pass } = await bench({ hosts })
    refresh.want("default", [leafOf(ICA, crlUrl, crlUrl), ica], "device-1")
    const report = await pass()
    assert.equal(
      site.asked.filter((url) => url !== ROOT_CRL && url !== ROOT_CER),
      [],
    )
    if (!hosts.includes(HOST)) assert.equal([site.asked, report.sources], [[], []])
  })

test("asks for a host with the protocol's own port, however it is written", async () => {
  for (const [host, url] of [
    [`${HOST}:80`, `http://${HOST}/ica.crl`],
    [HOST, `http://${HOST}:80/ica.crl`],
    [HOST, `HTTP://PKI.EXAMPLE/ica.crl#top`],
  ] as const) {
    const { refresh, store, pass } = await bench({ hosts: [host] })
    refresh.want("default", [leafOf(ICA, url), ica], "device-1")
    await pass()
    assert.ok((await keptIn(store))[ICA_CRL], url)
  }
})

test("asks only proven certificates where their CRL is", async () => {
  const { refresh, site, pass } = await bench()
  for (let i = 0; i < 100; i++)
    refresh.want("default", [leafOf(IMPOSTOR, `${ICA_CRL}?${i}`, `http://${HOST}/missing.cer`)], "device-1")
  await pass()
  assert.equal(
    site.asked.filter((url) => url.startsWith(ICA_CRL)),
    [],
  )
})

test("notes no more than so many certificates", async () => {
  const { refresh, site, pass } = await bench()
  for (let i = 0; i < 600; i++) refresh.want("default", [leafOf(ICA, `${ICA_CRL}?${i}`), ica], `device-${i}`)
  await pass()
  assert.is(site.asked.filter((url) => url.startsWith(`${ICA_CRL}?`)).length <= 256, true)
})

test("keeps tenants apart", async () => {
  const { refresh, site, pass } = await bench()
  refresh.want("other", [leaf, ica], "device-1")
  await pass()
  assert.is(site.asked.includes(ICA_CRL), false)
})

test("asks again for a CRL that it loaded before the process was started anew", async () => {
  const { clock, site, pass } = await bench({ trust: ["off", { crls: { [ROOT_CRL]: crlAt(ROOT) } }] })
  await pass()
  assert.is(site.asked.includes(ROOT_CRL), true)
  clock.advance(2 * HOUR)
  site.asked.length = 0
  await pass()
  assert.equal(site.asked, [])
})

const older = { thisUpdate: time(afterNoon(-2 * DAY)) }
const selfMade = makeCertificate(IMPOSTOR.keys, IMPOSTOR.keys, IMPOSTOR.name, IMPOSTOR.name, caExtensions())
const kept = crlAt(ICA, NOON, "05")
const KEPT_SOURCE = loadedSource(ICA_CRL, parseCrl(kept), ica)
const bad: [name: string, crl: Uint8Array, code: Code][] = [
  ["with an older thisUpdate", crlAt(ICA, NOON, "06", older), "REVOCATION"],
  ["with a smaller number", crlAt(ICA, afterNoon(HOUR), "04"), "REVOCATION"],
  ["with a smaller number of more octets", crlAt(ICA, afterNoon(HOUR), "00"), "REVOCATION"],
  ["with an empty list of extensions", crlAt(ICA, afterNoon(HOUR), "06", { extensions: [] }), "CRL"],
  ["without a number", crlAt(ICA, NOON, "06", { version: undefined, extensions: undefined }), "REVOCATION"],
  ["of another issuer", crlAt(ROOT, afterNoon(HOUR), "06"), "REVOCATION"],
  ["of an issuer that nobody knows", crlAt(authority("Nobody"), afterNoon(HOUR), "06"), "REVOCATION"],
  ["signed by another key", crlAt(ICA, afterNoon(HOUR), "06", { signer: ROOT.keys }), "REVOCATION"],
  ["signed by who has the issuer's name", crlAt(IMPOSTOR, afterNoon(HOUR), "06"), "REVOCATION"],
  ["that is a delta CRL", crlAt(ICA, NOON, "06", { extensions: [crlNumber("06"), DELTA] }), "REVOCATION"],
  [
    "that is indirect",
    crlAt(ICA, NOON, "06", { extensions: [crlNumber("06"), scope(flag(0x84))] }),
    "REVOCATION",
  ],
  ["with a critical number", crlAt(ICA, NOON, "06", { extensions: [crlNumber("06", true)] }), "REVOCATION"],
  ["that has expired", crlAt(ICA, afterNoon(-6.5 * DAY), "06"), "REVOCATION"],
  ["that is not yet valid", crlAt(ICA, afterNoon(2 * DAY), "06"), "REVOCATION"],
  ["without nextUpdate", crlAt(ICA, NOON, "06", { nextUpdate: undefined }), "REVOCATION"],
  ["that ends too early", crlAt(ICA, NOON, "06").subarray(0, -1), "DER"],
  ["with a byte behind it", concat(crlAt(ICA, NOON, "06"), Uint8Array.of(0)), "TRAILING"],
  ["that is a page of HTML", utf8("<html>sign in to the network</html>"), "DER"],
  ["that is a certificate", icaDer, "CRL"],
  ["with a negative number", crlAt(ICA, NOON, "ff"), "CRL"],
]
for (const [name, crl, code] of bad)
  test(`refuses X-20 a CRL ${name}, and keeps the last good one`, async () => {
    const published = fullSite()
    published.pages.set(ICA_CRL, crl)
    const { refresh, store, clock, pass } = await bench({
      site: published,
      trust: ["require", { intermediates: [icaDer, selfMade], crls: { [KEPT_SOURCE]: kept } }],
    })
    refresh.want("default", [leaf, parseCertificate(selfMade), ica], "device-1")
    clock.advance(HOUR)
    const { generation } = await store.trustState("default")
    const report = await pass()
    assert.is(sourceOf(report, ICA_CRL)?.lastFailure?.code, code)
    assert.equal((await keptIn(store))[ICA_CRL], kept)
    // The root's CRL is good: one bad source holds up no other.
    assert.is(sourceOf(report, ROOT_CRL)?.lastFailure, undefined)
    assert.is((await store.trustState("default")).generation, generation + 1)
  })

test("accepts a newer CRL, and one with the same number and time", async () => {
  for (const crl of [
    crlAt(ICA, afterNoon(MINUTE), "06"),
    crlAt(ICA, afterNoon(MINUTE), "0100"),
    crlAt(ICA, NOON, "05", { entries: [seq(rawInteger("02"), time(afterNoon(-2 * DAY)))] }),
  ]) {
    const published = fullSite()
    published.pages.set(ICA_CRL, crl)
    const { store, clock, pass } = await bench({
      site: published,
      trust: ["off", { intermediates: [icaDer], crls: { [KEPT_SOURCE]: kept } }],
    })
    clock.advance(HOUR)
    await pass()
    assert.equal((await keptIn(store))[ICA_CRL], crl)
  }
})

test("accepts a CRL by a certificate of the issuer that only signs CRLs", async () => {
  const signer = authority("Maker Intermediate")
  const certificate = makeCertificate(signer.keys, ROOT.keys, signer.name, ROOT.name, [keyUsage(6)])
  const crl = crlAt(signer, NOON, "07")
  const published = fullSite()
  published.pages.set(ICA_CRL, crl)
  const { refresh, store, pass } = await bench({
    site: published,
    trust: ["off", { intermediates: [certificate, icaDer] }],
  })
  refresh.want("default", [leaf], "device-1")
  await pass()
  assert.equal((await keptIn(store))[ICA_CRL], crl)
})

test("refuses X-20 a CRL by a certificate that may not sign CRLs", async () => {
  const noCrls = makeCertificate(ICA.keys, ROOT.keys, ICA.name, ROOT.name, [
    ...caExtensions(0).slice(0, 1),
    keyUsage(5),
  ])
  const { refresh, pass } = await bench({ trust: ["off", { intermediates: [noCrls] }] })
  refresh.want("default", [leafOf(ICA, ICA_CRL, `http://${HOST}/missing.cer`)], "device-1")
  assert.is(sourceOf(await pass(), ICA_CRL)?.lastFailure?.code, "REVOCATION")
})

const pem = (der: Uint8Array): string =>
  [
    "-----BEGIN CERTIFICATE-----",
    ...(Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? []),
    "-----END CERTIFICATE-----",
    "",
  ].join("\n")
/** A certs-only CMS message of OpenSSL's. */
const cms = (...ders: readonly Uint8Array[]): Uint8Array => {
  const folder = mkdtempSync(join(tmpdir(), "assay-cms-"))
  try {
    const file = join(folder, "certificates.pem")
    writeFileSync(file, ders.map(pem).join(""))
    const args = ["crl2pkcs7", "-nocrl", "-certfile", file, "-outform", "DER"]
    return new Uint8Array(execFileSync("openssl", args))
  } finally {
    rmSync(folder, { recursive: true })
  }
}
/** SignedData with a certificate, and digest algorithms. */
const cmsOf = (certificate: Uint8Array, ...algorithms: readonly Uint8Array[]): Uint8Array => {
  const content = seq(oid("1.2.840.113549.1.7.1"))
  const signedData = seq(integer(1), set(...algorithms), content, tlv(0xa0, certificate), set())
  return seq(oid("1.2.840.113549.1.7.2"), tlv(0xa0, signedData))
}
const manyAlgorithms = Array.from({ length: 4000 }, () => seq(oid("1.2.3")))
const manyRoots = Array.from({ length: 32 }, () => rootDer)
const CMS_OF_DATA = seq(oid("1.2.840.113549.1.7.1"), tlv(0xa0, octets(icaDer)))

const forms: [name: string, bytes: () => Uint8Array][] = [
  ["DER", () => icaDer],
  ["CMS with anything before it", () => cmsOf(icaDer, ...manyAlgorithms)],
  ["PEM", () => utf8(pem(icaDer))],
  ["PEM with others", () => utf8(pem(rootDer) + pem(icaDer))],
  ["CMS", () => cms(icaDer)],
  ["CMS with others, in any order", () => cms(rootDer, selfMade, icaDer)],
]
for (const [name, bytes] of forms)
  test(`accepts an issuer's certificate in ${name}`, async () => {
    const { refresh, store, pass } = await bench({ site: site({ [ICA_CER]: bytes() }) })
    refresh.want("default", [leaf], "device-1")
    await pass()
    assert.equal(
      (await store.trust("default")).intermediates.map(({ certificate }) => certificate),
      [icaDer],
    )
  })

const strangers: [name: string, bytes: () => Uint8Array, code: Code][] = [
  ["another's certificate", () => rootDer, "TRUST"],
  ["the certificate of who has the issuer's name", () => selfMade, "TRUST"],
  ["a CMS message without the issuer", () => cms(rootDer, selfMade), "TRUST"],
  ["a CMS message of another type", () => CMS_OF_DATA, "TRUST"],
  ["a CMS message in two", () => concat(cms(icaDer), Uint8Array.of(0)), "TRAILING"],
  ["more certificates than an issuer has", () => utf8(pem(icaDer).repeat(33)), "INPUT"],
  ["more certificates in a CMS message than an issuer has", () => cms(icaDer, ...manyRoots), "TRUST"],
  ["a CMS message without certificates", () => cms(), "TRUST"],
  [
    "a CMS message of another shape",
    () => seq(oid("1.2.840.113549.1.7.2"), tlv(0xa0, integer(1))),
    "CERTIFICATE",
  ],
  ["a CMS message with something else among them", () => cmsOf(concat(icaDer, tlv(0xa1))), "CERTIFICATE"],
  [
    "more bytes than an issuer's certificates have",
    () => utf8(`${pem(icaDer)}${"x".repeat(262_144)}`),
    "TRUST",
  ],
  ["a page of HTML", () => utf8("<html></html>"), "INPUT"],
  ["half a certificate", () => icaDer.subarray(0, 200), "DER"],
  ["a certificate with a byte behind it", () => concat(icaDer, Uint8Array.of(0)), "TRAILING"],
  ["a CRL", () => crlAt(ICA), "CERTIFICATE"],
]
for (const [name, bytes, code] of strangers)
  test(`refuses S-09 ${name} for the issuer's certificate`, async () => {
    const { refresh, store, pass } = await bench({ site: site({ [ICA_CER]: bytes() }) })
    refresh.want("default", [leaf], "device-1")
    const report = await pass()
    assert.is(sourceOf(report, ICA_CER)?.lastFailure?.code, code)
    const { anchors, intermediates } = await store.trust("default")
    assert.equal([anchors.length, intermediates.length], [1, 0])
  })

test("never makes an anchor of what it loaded", async () => {
  const lone = parseCertificate(
    makeCertificate(LEAFLESS.keys, IMPOSTOR.keys, LEAFLESS.name, IMPOSTOR.name, [issuerAt(ICA_CER)]),
  )
  const { refresh, store, pass } = await bench({ site: site({ [ICA_CER]: selfMade }) })
  refresh.want("default", [lone], "device-1")
  await pass()
  const { anchors, intermediates } = await store.trust("default")
  assert.equal([anchors.length, intermediates.map(({ certificate }) => certificate)], [1, [selfMade]])
})
const LEAFLESS = authority("Leaf of nobody")

test("comes back after a failure, later each time, and to the usual times after a success", async () => {
  const { site, clock, pass } = await bench()
  site.pages.delete(ROOT_CRL)
  const minutes: number[] = []
  for (let minute = 0; minute <= 240; minute++) {
    site.asked.length = 0
    if (minute === 200) site.pages.set(ROOT_CRL, crlAt(ROOT))
    const report = await pass()
    if (site.asked.includes(ROOT_CRL)) minutes.push(minute)
    if (minute === 100) assert.is(sourceOf(report, ROOT_CRL)?.lastFailure?.code, "REVOCATION")
    clock.advance(MINUTE)
  }
  assert.equal(minutes, [0, 5, 15, 35, 75, 135, 195])
  clock.advance(15 * MINUTE)
  const report = await pass()
  assert.equal(report.outcomes, { changed: 1, unchanged: 0, failed: 0 })
  const source = sourceOf(report, ROOT_CRL)
  assert.equal(source?.lastSuccess, clock.now())
  assert.equal(source?.nextAttempt, new Date(clock.now().getTime() + DAY))
})

test("draws the pause after a failure out by the jitter", async () => {
  const { site: asked, clock, pass } = await bench({ site: site(), jitter: () => 1 })
  const report = await pass()
  assert.equal(sourceOf(report, ROOT_CRL)?.nextAttempt, afterNoon(5 * MINUTE * 1.25))
  clock.advance(6 * MINUTE)
  await pass()
  assert.equal(asked.asked, [ROOT_CRL])
})

test("stores what there is room for", async () => {
  const { trust: store } = memoryTrust({ bounds: { crls: 1 } })
  await store.importTrust(
    "default",
    rootImport("off", { intermediates: [icaDer] }),
    newAct("import-trust", { at: afterNoon(-DAY) }),
  )
  const { refresh, pass } = await bench({ store })
  refresh.want("default", [leaf], "device-1")
  const report = await pass()
  assert.is((await store.trust("default")).crls.length, 1)
  assert.equal(
    report.sources.flatMap(({ lastFailure }) => lastFailure?.code ?? []),
    ["TRUST_FULL"],
  )
})

test("refuses S-08 to go on when it is stopped, and stores nothing", async () => {
  const stop = new AbortController()
  const { refresh, store } = await bench({
    fetch: async () => {
      stop.abort()
      return crlAt(ROOT)
    },
  })
  let thrown: unknown
  await refresh.refresh("default", stop.signal).catch((error: unknown) => {
    thrown = error
  })
  assert.instance(thrown, Error)
  assert.equal(await keptIn(store), {})
})

const failures: [name: string, change: Partial<TrustStore>, code: Code][] = [
  ["the state cannot be read", { trustState: () => rejection("REGISTRY") }, "REGISTRY"],
  ["the trust cannot be read", { trust: () => rejection("REGISTRY") }, "REGISTRY"],
  ["nothing can be stored", { importTrust: () => rejection("REGISTRY") }, "REGISTRY"],
  ["an anchor is damaged", { trust: () => damaged("anchors") }, "TRUST"],
  ["an intermediate is damaged", { trust: () => damaged("intermediates") }, "TRUST"],
  ["a CRL is damaged", { trust: () => damaged("crls") }, "TRUST"],
]
const rejection = async (code: Code): Promise<never> => {
  throw new AssayError(code, "not now")
}
const damaged = async (what: "anchors" | "intermediates" | "crls"): Promise<TrustRecord> => {
  const row = { tenant: "default", id: "x", source: "import", addedAt: NOON }
  const bytes = integer(1)
  return {
    generation: 1,
    anchors: [],
    intermediates: [],
    crls: [],
    [what]: [{ ...row, certificate: bytes, crl: bytes, purpose: "any", revocation: "off" }],
  }
}
for (const [name, change, code] of failures)
  test(`refuses S-08 a pass where ${name}`, async () => {
    const { trust: store } = memoryTrust()
    await store.importTrust("default", rootImport(), newAct("import-trust"))
    const { pass } = await bench({ store: { ...store, ...change } })
    await rejectsCode(() => pass(), code)
  })

const readiness: [
  name: string,
  trust: Parameters<typeof rootImport>,
  at: Date,
  reasons: readonly string[],
][] = [
  ["a required CRL is current", ["require", { crls: { import: crlAt(ROOT) } }], afterNoon(6 * DAY), []],
  [
    "S-08 a required CRL has expired",
    ["require", { crls: { import: crlAt(ROOT) } }],
    afterNoon(6 * DAY + 1000),
    ["the CRL of CN=Maker Root has expired"],
  ],
  ["S-08 there is no required CRL", ["require", {}], NOON, ["there is no CRL of CN=Maker Root"]],
  [
    "S-08 the CRL of an issuer under a requiring anchor has expired",
    ["require", { intermediates: [icaDer], crls: { a: crlAt(ROOT, afterNoon(9 * DAY)), b: crlAt(ICA) } }],
    afterNoon(7 * DAY),
    ["the CRL of CN=Maker Intermediate has expired"],
  ],
  [
    "S-08 only the list for CAs is current",
    [
      "require",
      {
        crls: {
          a: crlAt(ROOT, afterNoon(9 * DAY), "09", { extensions: [crlNumber("09"), scope(flag(0x82))] }),
          b: crlAt(ROOT, NOON, "09", { extensions: [crlNumber("09"), scope(flag(0x81))] }),
        },
      },
    ],
    afterNoon(7 * DAY),
    ["the CRL of CN=Maker Root has expired"],
  ],
  [
    "one of two sources has a current CRL",
    ["require", { crls: { a: crlAt(ROOT), b: crlAt(ROOT, afterNoon(9 * DAY)) } }],
    afterNoon(7 * DAY),
    [],
  ],
  [
    "a CRL that is not required has expired",
    ["when-published", { crls: { import: crlAt(ROOT) } }],
    afterNoon(7 * DAY),
    [],
  ],
  [
    "a CRL of nobody's has expired",
    ["off", { crls: { import: crlAt(authority("X")) } }],
    afterNoon(7 * DAY),
    [],
  ],
]
for (const [name, trust, at, reasons] of readiness)
  test(`says ${reasons.length === 0 ? "ready" : "unready"} where ${name}`, async () => {
    const { refresh, pass } = await bench({ hosts: [], trust })
    assert.equal(refresh.unready(at), [])
    await pass()
    assert.equal(refresh.unready(at), reasons)
  })

test("is ready again when the CRL has come", async () => {
  const published = site()
  const { refresh, clock, pass } = await bench({ trust: ["require", {}], site: published })
  await pass()
  assert.is(refresh.unready(clock.now()).length, 1)
  published.pages.set(ROOT_CRL, crlAt(ROOT))
  clock.advance(5 * MINUTE)
  await pass()
  assert.equal(refresh.unready(clock.now()), [])
})

test.run()
