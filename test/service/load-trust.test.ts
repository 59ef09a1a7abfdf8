import { hash } from "node:crypto"
import { setImmediate as breathe } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AssayError } from "../../src/errors.ts"
import { createLoadTrust } from "../../src/service/load-trust.ts"
import { createParseTrust } from "../../src/service/parse-trust.ts"
import type { TrustRecord, TrustStore } from "../../src/service/ports.ts"
import { rejectsCode } from "../support/assert.ts"
import { authority, rawInteger } from "../support/crl.ts"
import { clockAt } from "../support/ports/clock.ts"
import { memoryTrust } from "../support/ports/memory-trust.ts"
import { newAct } from "../support/ports/samples.ts"
import { caExtensions, makeCertificate, p256Keys, seq, time } from "../support/x509.ts"
import {
  afterNoon,
  crlAt,
  HOUR,
  ICA,
  ICA_CRL,
  ica,
  icaDer,
  MINUTE,
  NONE_DENIED,
  NOON,
  ROOT,
  ROOT_CRL,
  rootDer,
  rootImport,
} from "./published.ts"

const test = suite("createLoadTrust")

const icaCrl = crlAt(ICA)
const full = rootImport("require", {
  intermediates: [icaDer],
  crls: { [ROOT_CRL]: crlAt(ROOT), [ICA_CRL]: icaCrl },
})

const idOf = (bytes: Uint8Array): string => hash("sha256", bytes, "hex")

/** A loader over a store that does what the test says. */
const bench = async (parts = full) => {
  const { trust } = memoryTrust()
  await trust.importTrust("default", parts, newAct("import-trust"))
  const clock = clockAt(NOON.toISOString())
  let read = trust.trust
  const loader = createLoadTrust({
    store: { trust: (tenant) => read(tenant) },
    parse: createParseTrust(async () => {}),
    denied: NONE_DENIED,
    clock,
  })
  /** Reads otherwise from now on; as the store does, without an argument. */
  const readBy = (other: TrustStore["trust"] = trust.trust): void => {
    read = other
  }
  return { store: trust, clock, ...loader, readBy }
}

test("gives everything of a generation, found by name", async () => {
  const { loadTrust, unready } = await bench()
  const trust = await loadTrust("default", 1)
  assert.is(trust.anchorCount, 1)
  const [anchor] = trust.anchorsOf(ica.issuer)
  assert.equal(anchor?.certificate.bytes, rootDer)
  assert.equal([anchor?.purpose, anchor?.revocation], ["any", "require"])
  assert.equal(
    trust.intermediatesOf(ica.subject).map(({ bytes }) => bytes),
    [icaDer],
  )
  assert.equal(
    trust.crlsOf(ica.subject).map(({ bytes }) => bytes),
    [icaCrl],
  )
  assert.is(trust.denied, NONE_DENIED)
  assert.is(unready(), undefined)
})

test("gives an empty trust for a tenant that has none", async () => {
  const { loadTrust } = await bench()
  assert.is((await loadTrust("other", 0)).anchorCount, 0)
})

test("parses only what a generation has new", async () => {
  const { store, loadTrust } = await bench()
  const first = await loadTrust("default", 1)
  const other = authority("Other CA")
  const der = makeCertificate(other.keys, ROOT.keys, other.name, ROOT.name, caExtensions())
  await store.importTrust(
    "default",
    {
      anchors: [],
      crls: [],
      eks: [],
      intermediates: [{ id: idOf(der), certificate: der, source: "import" }],
    },
    newAct("import-trust"),
  )
  const second = await loadTrust("default", 2)
  assert.is(second.anchorsOf(ica.issuer)[0]?.certificate, first.anchorsOf(ica.issuer)[0]?.certificate)
  assert.is(second.intermediatesOf(ica.subject)[0], first.intermediatesOf(ica.subject)[0])
  assert.is(second.crlsOf(ica.subject)[0], first.crlsOf(ica.subject)[0])
  assert.ok(first.crlsOf(ica.subject)[0])
})

test("waits for a store that is behind, a few reads long", async () => {
  const { store, loadTrust, readBy } = await bench()
  let reads = 0
  const behind = (count: number): void => {
    reads = 0
    readBy(async (tenant) => {
      const record = await store.trust(tenant)
      return reads++ < count ? { ...record, generation: 0, anchors: [] } : record
    })
  }
  behind(2)
  assert.is((await loadTrust("default", 1)).anchorCount, 1)
  behind(3)
  await rejectsCode(() => loadTrust("default", 1), "REGISTRY")
  assert.is(reads, 3)
})

test("refuses S-09 a generation that another came after, also one that it had loaded", async () => {
  const { store, loadTrust } = await bench()
  await loadTrust("default", 1)
  await store.importTrust("default", rootImport("off"), newAct("import-trust"))
  await rejectsCode(() => loadTrust("default", 1), "SNAPSHOT_MOVED")
  assert.is((await loadTrust("default", 2)).anchorsOf(ica.issuer)[0]?.revocation, "off")
})

const damages: [name: string, damage: (record: TrustRecord) => TrustRecord][] = [
  ["an anchor that is half written", (r) => withCertificate(r, "anchors", rootDer.subarray(0, 100))],
  ["an anchor that is empty", (r) => withCertificate(r, "anchors", new Uint8Array())],
  ["an anchor that is another file", (r) => withCertificate(r, "anchors", crlAt(ROOT))],
  [
    "an intermediate with a byte behind it",
    (r) => withCertificate(r, "intermediates", Uint8Array.of(...icaDer, 0)),
  ],
  ["an intermediate of zeros", (r) => withCertificate(r, "intermediates", new Uint8Array(500))],
  ["a CRL that ends too early", (r) => withCrl(r, crlAt(ICA).subarray(0, -1))],
  ["a CRL that is empty", (r) => withCrl(r, new Uint8Array())],
  ["a CRL that is a certificate", (r) => withCrl(r, icaDer)],
]
const withCertificate = (
  record: TrustRecord,
  what: "anchors" | "intermediates",
  certificate: Uint8Array,
): TrustRecord => ({ ...record, [what]: record[what].map((one) => ({ ...one, id: "damaged", certificate })) })
const withCrl = (record: TrustRecord, crl: Uint8Array): TrustRecord => ({
  ...record,
  crls: record.crls.map((one, i) => (i === 0 ? { ...one, id: "damaged", crl } : one)),
})
for (const [name, damage] of damages)
  test(`refuses S-09 all of a trust with ${name}`, async () => {
    const { store, clock, loadTrust, unready, readBy } = await bench()
    readBy(async (tenant) => damage(await store.trust(tenant)))
    const error = await rejectsCode(() => loadTrust("default", 1), "TRUST")
    assert.is(error.location, "damaged")
    assert.is(error.kind, "unavailable")
    assert.match(unready() ?? "", /TRUST/)
    clock.advance(6 * MINUTE)
    assert.is(unready(), undefined)
    readBy()
    assert.is((await loadTrust("default", 1)).anchorCount, 1)
  })

test("refuses S-09 damage in a later generation, and does not fall back to the one before", async () => {
  const { store, loadTrust, readBy } = await bench()
  await loadTrust("default", 1)
  await store.importTrust("default", rootImport("off"), newAct("import-trust"))
  readBy(async (tenant) => withCertificate(await store.trust(tenant), "anchors", Uint8Array.of(0x30)))
  await rejectsCode(() => loadTrust("default", 2), "TRUST")
})

const broken = async (): Promise<never> => {
  throw new AssayError("REGISTRY", "the disk is gone")
}

test("uses the last good trust of the same generation while the store cannot be read, and says so", async () => {
  const { clock, loadTrust, unready, readBy } = await bench()
  const first = await loadTrust("default", 1)
  readBy(broken)
  clock.advance(5 * MINUTE)
  assert.is(await loadTrust("default", 1), first)
  assert.match(unready() ?? "", /REGISTRY/)
  readBy()
  await loadTrust("default", 1)
  assert.is(unready(), undefined)
})

const stale: [name: string, generation: number, tenant: string, ms: number][] = [
  ["that is older than five minutes", 1, "default", 5 * MINUTE + 1],
  ["that is older by far", 1, "default", HOUR],
  ["for a later generation", 2, "default", 0],
  ["for an earlier generation", 0, "default", 0],
  ["of another tenant", 1, "other", 0],
  ["from the future", 1, "default", -1],
]
for (const [name, generation, tenant, ms] of stale)
  test(`refuses S-09 the last good trust ${name}`, async () => {
    const { clock, loadTrust, readBy } = await bench()
    await loadTrust("default", 1)
    readBy(broken)
    clock.advance(ms)
    await rejectsCode(() => loadTrust(tenant, generation), "REGISTRY")
  })

/** What this thread has worked: a machine that does other things meanwhile does not count. */
const cpuMs = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

test("lets others work: 1,000 anchors, a CRL of 100,000", async () => {
  const keys = p256Keys()
  const anchors = Array.from({ length: 1000 }, (_, i) => {
    const { name } = authority(`CA ${i}`, keys)
    const certificate = makeCertificate(keys, keys, name, name, caExtensions())
    const id = idOf(certificate)
    return { id, certificate, label: "", purpose: "any", revocation: "off", provenance: "" } as const
  })
  const at = time(afterNoon(-HOUR))
  const entries = Array.from({ length: 100_000 }, (_, i) => seq(rawInteger((0x100000 + i).toString(16)), at))
  const crl = crlAt(ROOT, NOON, "01", { entries })
  const { trust } = memoryTrust()
  const crls = [{ source: ROOT_CRL, id: idOf(crl), crl }]
  await trust.importTrust("default", { anchors, intermediates: [], crls, eks: [] }, newAct("import-trust"))
  let breaths = 0
  let longest = 0
  let before = 0
  const pause = (): void => {
    longest = Math.max(longest, cpuMs() - before)
  }
  const parse = createParseTrust(async () => {
    pause()
    breaths++
    await breathe()
    before = cpuMs()
  })
  const clock = clockAt(NOON.toISOString())
  const { loadTrust } = createLoadTrust({ store: trust, parse, denied: NONE_DENIED, clock })
  before = cpuMs()
  const loaded = await loadTrust("default", 1)
  pause()
  assert.ok(breaths >= 50 + 100, `${breaths} breaths`)
  assert.ok(longest <= 20, `${longest} ms without a breath`)
  assert.is(loaded.anchorCount, 1000)
  assert.is(loaded.crlsOf(ica.issuer)[0]?.revoked.size, 100_000)
})

test.run()
