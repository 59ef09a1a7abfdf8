import { setImmediate } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { TrustImport, TrustStore } from "../../src/service/ports.ts"
import { openSqliteStore } from "../../src/store/sqlite.ts"
import { scratch } from "../store/folder.ts"
import { rejectsCode } from "../support/assert.ts"
import { authority, crlNumber, entry, makeCrl } from "../support/crl.ts"
import { memoryStore } from "../support/ports/memory.ts"
import { newAct, newEk, trustOf } from "../support/ports/samples.ts"
import * as x509 from "../support/x509.ts"
import { ALICE, anchorOf, anchors, idOf, NOTHING, world } from "./trust-world.ts"

const test = suite("import of CRLs")
const { path } = scratch(test)

const ROOT = authority("Root")
const CA = authority("CA")
const day = (date: string): Uint8Array => x509.time(new Date(date))
const KEY_ID = Uint8Array.of(1)
const caOf = (
  subject: typeof ROOT,
  issuer: typeof ROOT,
  extensions: readonly Uint8Array[] = x509.caExtensions(),
  changed: Partial<x509.CertificateParts> = {},
): Uint8Array =>
  x509.makeCertificate(subject.keys, issuer.keys, subject.name, issuer.name, extensions, changed)
const rootDer = caOf(ROOT, ROOT)
const caDer = caOf(CA, ROOT)

/** A list of the CA from a day of February 2026. */
const listOf = (
  of: string,
  number: string,
  changed: Parameters<typeof makeCrl>[1] = {},
  by = CA,
): Uint8Array =>
  makeCrl(by, {
    thisUpdate: day(`2026-02-${of}`),
    nextUpdate: day("2026-04-01"),
    extensions: [crlNumber(number), x509.authorityKeyId(KEY_ID)],
    ...changed,
  })
const good = listOf("10", "05", { entries: [entry("77")] })
const next = listOf("11", "06", { entries: [entry("77")] })
/** Newer than every good one, for as long as it is kept. */
const forgedBy = (signer: x509.Keys): Uint8Array => listOf("20", "7fffffff", { signer })
const crls = (...list: readonly Uint8Array[]) => ({ ...NOTHING, crls: list })
const keptIds = async (store: TrustStore): Promise<readonly string[]> =>
  (await store.trust("default")).crls.map(({ id }) => id)

const strangeRoot = authority("Strange root")
const rogue = { name: CA.name, keys: x509.p256Keys() }
const forged = forgedBy(rogue.keys)
const damaged = forgedBy(CA.keys)
damaged[damaged.length - 1] = (damaged[damaged.length - 1] ?? 0) ^ 1
const intermediates = (...list: readonly Uint8Array[]) => ({ ...NOTHING, intermediates: list })

const signers: readonly [name: string, before: typeof NOTHING, list: Uint8Array][] = [
  ["nobody known has signed, in the name of a known issuer", NOTHING, forged],
  ["its issuer's key has signed, damaged since", NOTHING, damaged],
  [
    "an intermediate of the issuer's name has signed that leads to no anchor",
    intermediates(caOf(rogue, strangeRoot)),
    forged,
  ],
  [
    "an intermediate of the issuer's name has signed that another made for itself",
    intermediates(caOf(rogue, { name: ROOT.name, keys: rogue.keys })),
    forged,
  ],
  [
    "a CA of the issuer's name has signed that may not sign lists",
    intermediates(caOf(rogue, ROOT, [x509.basicConstraints(true), x509.keyUsage(5)])),
    forged,
  ],
  [
    "a CA of the issuer's name has signed whose key is not the one that the list names",
    intermediates(caOf(rogue, ROOT, [...x509.caExtensions(), x509.subjectKeyId(Uint8Array.of(2))])),
    forged,
  ],
  [
    "a CA of the issuer's name has signed that has expired",
    intermediates(
      caOf(rogue, ROOT, x509.caExtensions(), { validity: x509.seq(day("2020-01-01"), day("2026-02-28")) }),
    ),
    forged,
  ],
  ["another CA has signed, for all that it leads to the same anchor", NOTHING, forgedBy(ROOT.keys)],
]
for (const [name, before, list] of signers)
  test(`refuses X-20 a list that ${name}, keeps the good one, and takes the next`, async () => {
    const { trust, store } = world()
    await trust.importTrust({ ...anchors(rootDer), intermediates: [caDer], crls: [good] }, ALICE)
    if (before !== NOTHING) await trust.importTrust(before, ALICE)
    const { generation } = await store.trustState("default")
    const error = await rejectsCode(() => trust.importTrust(crls(list), ALICE), "CHAIN")
    assert.is(error.location, "crls[0]")
    assert.match(error.message, "import its issuer first")
    assert.match(error.expected ?? "", "CN=CA")
    assert.equal(
      [await keptIds(store), (await store.trustState("default")).generation],
      [[idOf(good)], generation],
    )
    assert.is((await trust.importTrust(crls(next), ALICE)).added, 1)
    assert.equal(await keptIds(store), [idOf(next)])
  })

test("refuses X-20 a list whose issuer is not there, or no longer, and with it all of the import", async () => {
  const { trust, store } = world()
  await rejectsCode(() => trust.importTrust(crls(good), ALICE), "CHAIN")
  await rejectsCode(
    () => trust.importTrust({ ...anchors(caOf(strangeRoot, strangeRoot)), crls: [good] }, ALICE),
    "CHAIN",
  )
  assert.is((await store.trustState("default")).generation, 0)
  await trust.importTrust({ ...anchors(rootDer), intermediates: [caDer] }, ALICE)
  await trust.removeTrust(idOf(rootDer), ALICE)
  await rejectsCode(() => trust.importTrust(crls(good), ALICE), "CHAIN")
  assert.equal(await keptIds(store), [])
})

test("refuses P-06 a list whose issuer only another tenant trusts", async () => {
  const { trust } = world()
  await trust.importTrust({ ...anchors(rootDer), intermediates: [caDer] }, { ...ALICE, tenant: "other" })
  await rejectsCode(() => trust.importTrust(crls(good), ALICE), "CHAIN")
})

const issuers: readonly [name: string, first: typeof NOTHING | undefined, along: Partial<typeof NOTHING>][] =
  [
    ["whose issuer is an intermediate there", { ...anchors(rootDer), intermediates: [caDer] }, {}],
    [
      "that comes along with its issuer and the anchor",
      undefined,
      { ...anchors(rootDer), intermediates: [caDer] },
    ],
    ["that comes along with its issuer, to an anchor there", anchors(rootDer), { intermediates: [caDer] }],
    [
      "whose issuer is an anchor there, for attestation keys",
      { ...NOTHING, anchors: [anchorOf(caDer, { purpose: "ak" })] },
      {},
    ],
  ]
for (const [name, first, along] of issuers)
  test(`accepts a list ${name}`, async () => {
    const { trust, store } = world()
    if (first !== undefined) await trust.importTrust(first, ALICE)
    await trust.importTrust({ ...NOTHING, ...along, crls: [good] }, ALICE)
    assert.equal(await keptIds(store), [idOf(good)])
  })

test("accepts the list that is there once more, whoever is trusted by now", async () => {
  const { trust } = world()
  await trust.importTrust({ ...anchors(rootDer), intermediates: [caDer], crls: [good] }, ALICE)
  await trust.removeTrust(idOf(rootDer), ALICE)
  assert.equal(await trust.importTrust(crls(good), ALICE), { generation: 2, added: 0, changed: 0 })
})

/** A store where others write between what an import read and what it writes, as often as told. */
const overtaken = (others: readonly TrustImport[]) => {
  const stores = memoryStore()
  const left = [...others]
  const made = world({
    stores,
    replaced: {
      importTrust: async (...args) => {
        const other = left.shift()
        if (other !== undefined) await stores.trust.importTrust("default", other, newAct("import-trust"))
        return stores.trust.importTrust(...args)
      },
    },
  })
  const prepared = { ...anchors(rootDer), intermediates: [caDer], crls: [listOf("01", "01")] }
  return { ...made, prepare: () => world({ stores }).trust.importTrust(prepared, ALICE) }
}
const sourceOf = async (store: TrustStore): Promise<string> =>
  (await store.trust("default")).crls[0]?.source ?? ""

test("refuses S-04 an older list that was compared before a newer one came, by time and by number", async () => {
  for (const older of [listOf("05", "05"), listOf("10", "04")]) {
    const stores = overtaken([])
    await stores.prepare()
    const source = await sourceOf(stores.store)
    const { trust, store, prepare } = overtaken([trustOf({ crls: [{ source, id: idOf(good), crl: good }] })])
    await prepare()
    await rejectsCode(() => trust.importTrust(crls(older), ALICE), "VALIDITY")
    assert.equal(await keptIds(store), [idOf(good)])
  }
})

test("refuses S-04 to let two imports at once roll a list back, whichever is faster", async () => {
  const long = Array.from({ length: 3000 }, (_, i) => entry((0x1_0000 + i).toString(16).padStart(6, "0")))
  const slow = listOf("05", "04", { entries: long })
  for (const [one, two] of [
    [slow, good],
    [good, slow],
    [listOf("05", "04"), good],
  ] as const) {
    const { trust, journal, close } = openSqliteStore(path())
    const { trust: cases } = world({ stores: { trust, journal }, breathe: () => setImmediate() })
    await cases.importTrust(
      { ...anchors(rootDer), intermediates: [caDer], crls: [listOf("01", "01")] },
      ALICE,
    )
    const ends = await Promise.allSettled([one, two].map((list) => cases.importTrust(crls(list), ALICE)))
    assert.ok(ends.some(({ status }) => status === "fulfilled"))
    assert.equal(await keptIds(trust), [idOf(good)])
    close()
  }
})

test("refuses S-04 a list whose issuer was removed while it was compared", async () => {
  const stores = memoryStore()
  await world({ stores }).trust.importTrust({ ...anchors(rootDer), intermediates: [caDer] }, ALICE)
  let isRemoved = false
  const { trust, store } = world({
    stores,
    replaced: {
      importTrust: async (...args) => {
        if (!isRemoved) await stores.trust.removeTrust("default", idOf(rootDer), newAct("remove-trust"))
        isRemoved = true
        return stores.trust.importTrust(...args)
      },
    },
  })
  await rejectsCode(() => trust.importTrust(crls(good), ALICE), "CHAIN")
  assert.equal(await keptIds(store), [])
})

const listed = (name: string): TrustImport => trustOf({ eks: [newEk(name)] })

test("accepts a list that others overtake with something else, twice", async () => {
  const { trust, store, prepare, records } = overtaken([listed("a"), listed("b")])
  await prepare()
  assert.equal(await trust.importTrust(crls(good), ALICE), { generation: 4, added: 1, changed: 0 })
  assert.equal(await keptIds(store), [idOf(good)])
  assert.is((await records()).at(-1)?.revisions?.trust, 4)
})

test("refuses S-04 a list that others overtake all the time, and keeps the one before", async () => {
  const { trust, store, prepare, records } = overtaken(["a", "b", "c", "d"].map(listed))
  await prepare()
  const before = await keptIds(store)
  await rejectsCode(() => trust.importTrust(crls(good), ALICE), "SNAPSHOT_MOVED")
  const mine = (await records()).filter(({ caller }) => caller === ALICE.id)
  assert.equal([await keptIds(store), mine.length], [before, 1])
})

test("accepts an import without lists, whoever overtakes it", async () => {
  const { trust, prepare } = overtaken(["a", "b", "c", "d"].map(listed))
  await prepare()
  assert.is((await trust.importTrust({ ...NOTHING, eks: [newEk("mine")] }, ALICE)).generation, 3)
})

test.run()
