import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type Certificate, parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { namedUrls } from "../../src/service/refresh-sources.ts"
import { WantedList } from "../../src/service/refresh-wanted.ts"
import { leastCpuMs } from "../support/chain.ts"
import { distributionPoints, fullName, uri } from "../support/crl.ts"
import {
  caExtensions,
  cn,
  EK_EXTENSIONS,
  extension,
  LEAF_KEYS,
  makeCertificate,
  oid,
  p256Keys,
  seq,
} from "../support/x509.ts"
import {
  DAY,
  fullSite,
  HOST,
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
  ROOT,
  ROOT_CER,
  ROOT_CRL,
  type Site,
} from "./published.ts"
import { bench, listsIn } from "./refresh-bench.ts"

/** What one device can cost all others: its certificates name whatever it likes. */

const test = suite("createRefresh, shared by many")

const issuersAt = (...urls: readonly string[]): Uint8Array =>
  extension("1.3.6.1.5.5.7.1.1", seq(...urls.map((url) => seq(oid("1.3.6.1.5.5.7.48.2"), uri(url)))))
const urls = (path: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `http://${HOST}/${path}/${i}`)

/** A certificate of nobody's that names so many issuers' URLs. */
const junk = (path: string, count = 4): Certificate =>
  parseCertificate(
    makeCertificate(LEAF_KEYS, LEAF_KEYS, cn("junk"), cn(`issuer of ${path}`), [
      issuersAt(...urls(path, count)),
    ]),
  )
const askedFor = (site: Site, path: string): readonly string[] =>
  site.asked.filter((url) => url.startsWith(`http://${HOST}/${path}`))

test("refuses X-17 more than four URLs of a kind of one certificate", async () => {
  const { refresh, site, pass } = await bench({ trust: ["off", { intermediates: [icaDer] }] })
  const crls = distributionPoints(...urls("list", 70).map((url) => [fullName(uri(url))]))
  const extensions = [...EK_EXTENSIONS, crls, issuersAt(...urls("issuer", 70))]
  const certificate = makeCertificate(LEAF_KEYS, ICA.keys, cn("x"), ICA.name, extensions)
  refresh.want("default", [parseCertificate(certificate)], "device-1")
  await pass()
  assert.equal(new Set(askedFor(site, "issuer")), new Set(urls("issuer", 4)))
  assert.equal(new Set(askedFor(site, "list")), new Set(urls("list", 4)))
})

test("refuses X-17 one device more than its share, whatever chains it shows", async () => {
  const { refresh, site, pass } = await bench()
  for (let i = 0; i < 40; i++)
    refresh.want(
      "default",
      Array.from({ length: 12 }, (_, j) => junk(`junk/${i}/${j}`)),
      "device-1",
    )
  const report = await pass()
  assert.is(report.sources.filter(({ url }) => url.includes("/junk/")).length, 8 * 4)
  assert.is(askedFor(site, "junk").length, 8 * 4)
})

const namesakes: [name: string, chains: readonly (readonly Certificate[])[]][] = [
  ["before", [[leafOf(IMPOSTOR)], [leaf]]],
  ["behind", [[leaf], [leafOf(IMPOSTOR)]]],
  ["again and again behind", [[leaf], ...Array.from({ length: 5 }, () => [leafOf(IMPOSTOR)])]],
]
for (const [name, chains] of namesakes)
  test(`loads what a device names ${name} another that names the same and lies`, async () => {
    const { refresh, store, pass } = await bench()
    for (const [i, chain] of chains.entries()) refresh.want("default", chain, `device-${i}`)
    await pass()
    const { intermediates } = await store.trust("default")
    assert.equal(
      intermediates.map(({ source }) => source),
      [ICA_CER],
    )
    assert.is((await listsIn(store)).get(ICA_CRL)?.length, 1)
  })

test("asks for what is kept first, and then in turns", async () => {
  const another = makeCertificate(p256Keys(), ROOT.keys, cn("Second"), ROOT.name, [
    ...caExtensions(),
    issuerAt(`http://${HOST}/second.cer`),
  ])
  const { refresh, site, pass } = await bench({ trust: ["off", { intermediates: [icaDer, another] }] })
  refresh.want("default", [junk("greedy/a"), junk("greedy/b")], "greedy")
  refresh.want("default", [junk("modest/a", 2)], "modest")
  await pass()
  const order = site.asked.slice(0, 7).map((url) => url.replace(/^http:..[^/]*/, ""))
  assert.equal(order.slice(0, 2).sort(), ["/root.cer", "/second.cer"])
  assert.equal(order.slice(2), ["/greedy/a/0", "/modest/a/0", "/greedy/a/1", "/modest/a/1", "/greedy/a/2"])
})

test("refuses X-17 to give up an anchor's or an intermediate's source for wanted ones", async () => {
  const { refresh, pass } = await bench({ trust: ["off", { intermediates: [icaDer] }] })
  for (let i = 0; i < 200; i++) refresh.want("default", [junk(`many/${i}`, 4)], `device-${i}`)
  const { sources } = await pass()
  const known = new Set(sources.map(({ url }) => url))
  assert.is(sources.length, 500)
  assert.ok(known.has(ROOT_CRL) && known.has(ROOT_CER))
})

/** Hosts that take their time: each answer, or none, costs ten seconds. */
const slowly = (site: Site, advance: () => void): Site => ({
  ...site,
  async fetch(...asked) {
    advance()
    return site.fetch(...asked)
  },
})

test("refuses X-17 slow hosts more than a minute of a round, and goes on with the rest", async () => {
  let advance = (): void => {}
  const site = slowly(fullSite(), () => advance())
  const { refresh, store, clock, pass } = await bench({ site })
  advance = () => clock.advance(10_000)
  for (let i = 0; i < 20; i++) refresh.want("default", [junk(`slow/${i}`, 4)], `device-${i}`)
  refresh.want("default", [leaf], "last")
  const counts: number[] = []
  for (let i = 0; i < 20 && !site.asked.includes(ICA_CER); i++) {
    const before = clock.now().getTime()
    await pass()
    counts.push((clock.now().getTime() - before) / 10_000)
    clock.advance(5 * MINUTE)
  }
  // Six answers are a minute, and the other lanes may have begun by then.
  assert.ok(
    counts.every((count) => count <= 3 * 9),
    String(counts),
  )
  // Asked in the first pass, and not behind all that is slow.
  assert.ok((await listsIn(store)).has(ROOT_CRL))
  // All 21 devices had their first turn before any had its third.
  assert.ok(site.asked.includes(ICA_CER), String(counts))
  assert.is(askedFor(site, "slow").filter((url) => url.endsWith("/3")).length, 0)
})

test("gives what comes late in a pass its time in the next", async () => {
  let advance = (): void => {}
  const site = slowly(fullSite(), () => advance())
  const { refresh, clock, pass } = await bench({ site })
  advance = () => clock.advance(15_000)
  for (let i = 0; i < 30; i++) refresh.want("default", [junk(`slow/${i}`, 1)], `device-${i}`)
  for (let i = 0; i < 6; i++) {
    await pass()
    clock.advance(5 * MINUTE)
  }
  assert.is(new Set(askedFor(site, "slow")).size, 30)
})

test("says after each answer that it goes on", async () => {
  const { refresh, site } = await bench()
  refresh.want("default", [leaf, ica], "device-1")
  let steps = 0
  await refresh.refresh("default", new AbortController().signal, () => steps++)
  assert.ok(steps >= site.asked.length, `${steps} steps`)
})

test("forgets what nobody has wanted for longest, and asks on for all others", async () => {
  const { refresh, site, clock, pass } = await bench()
  refresh.want("default", [junk("forgotten", 1)], "forgotten")
  for (let i = 0; i < 256; i++) refresh.want("default", [junk(`newer/${i}`, 1)], `device-${i}`)
  await pass()
  clock.advance(DAY)
  assert.equal(askedFor(site, "forgotten"), [])
  assert.is(new Set(askedFor(site, "newer")).size, 256)
})

test("refuses X-17 certificates full of URLs, within 2 ms", () => {
  const many = Array.from({ length: 1000 }, (_, i) => `http://${HOST}/${i.toString(36)}`)
  const points = distributionPoints([fullName(Buffer.concat(many.map(uri)))])
  const hosts = new Set([HOST])
  const chains = [points, issuersAt(...many.slice(0, 400))].flatMap((full) =>
    Array.from({ length: 5 }, () =>
      Array.from({ length: 8 }, (_, i) =>
        parseCertificate(makeCertificate(LEAF_KEYS, LEAF_KEYS, cn("x"), cn(`issuer ${i}`), [full])),
      ),
    ),
  )
  const next = chains.values()
  const note = (): void => new WantedList(hosts).note(next.next().value ?? [], "device-1")
  for (const kind of ["crl", "certificates"] as const) {
    const ms = leastCpuMs(note)
    assert.ok(ms < 2, `${ms} ms`)
    assert.is(namedUrls(chains[kind === "crl" ? 0 : 5]?.[0] ?? leaf, hosts)[kind].length, 4)
  }
})

test.run()
