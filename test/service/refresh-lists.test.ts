import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { parseCrl } from "../../src/evidence/x509/crl.ts"
import { loadedSource } from "../../src/service/refresh-accept.ts"
import { type Authority, authority, crlNumber, flag, scope } from "../support/crl.ts"
import { authorityKeyId, caExtensions, makeCertificate, subjectKeyId, time } from "../support/x509.ts"
import {
  afterNoon,
  crlAt,
  DAY,
  fullSite,
  HOUR,
  ICA,
  ICA_CRL,
  icaDer,
  leaf,
  leafOf,
  MINUTE,
  NOON,
  ROOT,
} from "./published.ts"
import { bench, listsIn, sourceOf } from "./refresh-bench.ts"

/** Lists of several issuers, keys and scopes at one URL. */

const test = suite("createRefresh, of several lists at one URL")

/** Bytes of a CA of `issuer`'s. */
const caOf = (subject: Authority, issuer: Authority, ...more: readonly Uint8Array[]): Uint8Array =>
  makeCertificate(subject.keys, issuer.keys, subject.name, issuer.name, [...caExtensions(), ...more])

/** A CA under the maker's root that is somebody else's, and names the maker's list as its own. */
const OTHER = authority("Another CA")
const otherDer = caOf(OTHER, ROOT)
/** Has the intermediate's name by the other CA's hand, and its key identifier. */
const NAMESAKE = authority("Maker Intermediate")
const namesakeDer = caOf(NAMESAKE, OTHER, subjectKeyId(Uint8Array.of(1)))
/** The intermediate again, with a key of its own, by the root's hand. */
const REKEYED = authority("Maker Intermediate")
const rekeyedDer = caOf(REKEYED, ROOT)

const hashes = (lists: readonly (Uint8Array | undefined)[] = []): readonly string[] =>
  lists.map((list) => hash("sha256", list ?? "", "hex")).sort()
const HUGE = "7fffffffffffffff"
const FOREVER = { nextUpdate: time(new Date("2040-01-01T00:00:00Z")) }
const ONLY_USERS = scope(flag(0x81))
const next = crlAt(ICA, afterNoon(2 * DAY), "06")

const strangers: [name: string, signer: Authority, crl: Uint8Array, shown: readonly Uint8Array[]][] = [
  ["another CA", OTHER, crlAt(OTHER, NOON, HUGE, FOREVER), [otherDer]],
  ["a CA of the same name", NAMESAKE, crlAt(NAMESAKE, NOON, HUGE, FOREVER), [namesakeDer, otherDer]],
  [
    "a CA of the same name and key identifier",
    NAMESAKE,
    crlAt(NAMESAKE, NOON, HUGE, {
      ...FOREVER,
      extensions: [crlNumber(HUGE), authorityKeyId(Uint8Array.of(1))],
    }),
    [namesakeDer, otherDer],
  ],
  ["the issuer's next key", REKEYED, crlAt(REKEYED, NOON, HUGE, FOREVER), [rekeyedDer]],
  [
    "the issuer for other certificates",
    ICA,
    crlAt(ICA, NOON, HUGE, { ...FOREVER, extensions: [crlNumber(HUGE), ONLY_USERS] }),
    [],
  ],
]
for (const [name, signer, crl, shown] of strangers)
  test(`refuses X-20 a list of ${name} the place of the issuer's, and its next list still comes`, async () => {
    const { refresh, store, site, clock, pass } = await bench({
      trust: ["when-published", { intermediates: [icaDer] }],
    })
    refresh.want("default", [leaf], "device-1")
    await pass()
    const first = site.pages.get(ICA_CRL)
    site.pages.set(ICA_CRL, crl)
    const chain = shown.map((der) => parseCertificate(der))
    refresh.want("default", [leafOf(signer, ICA_CRL), ...chain], "device-2")
    clock.advance(DAY)
    await pass()
    assert.equal(hashes((await listsIn(store)).get(ICA_CRL)), hashes([first, crl]))
    site.pages.set(ICA_CRL, next)
    clock.advance(DAY)
    const report = await pass()
    assert.is(sourceOf(report, ICA_CRL)?.lastFailure, undefined)
    assert.equal(hashes((await listsIn(store)).get(ICA_CRL)), hashes([next, crl]))
  })

test("accepts the list of an issuer with a new key, whose numbers begin again", async () => {
  const old = crlAt(ICA, NOON, HUGE)
  const { store, site, clock, refresh, pass } = await bench({
    trust: ["off", { intermediates: [icaDer, rekeyedDer] }],
  })
  refresh.want("default", [leaf], "device-1")
  site.pages.set(ICA_CRL, old)
  await pass()
  const begun = crlAt(REKEYED, NOON, "01")
  site.pages.set(ICA_CRL, begun)
  clock.advance(DAY)
  assert.is(sourceOf(await pass(), ICA_CRL)?.lastFailure, undefined)
  assert.equal(hashes((await listsIn(store)).get(ICA_CRL)), hashes([old, begun]))
})

test("refuses X-20 a list by another key than the eight that are kept of its URL", async () => {
  const keys = Array.from({ length: 9 }, () => authority("Maker Intermediate"))
  const kept = keys.slice(0, 8).map((one) => {
    const crl = crlAt(one)
    return [loadedSource(ICA_CRL, parseCrl(crl), parseCertificate(caOf(one, ROOT))), crl] as const
  })
  const [first, last] = [keys[0] ?? ICA, keys[8] ?? ICA]
  const intermediates = [icaDer, caOf(first, ROOT), caOf(last, ROOT)]
  const { site, store, clock, pass } = await bench({
    site: fullSite(),
    trust: ["off", { intermediates, crls: Object.fromEntries(kept) }],
  })
  site.pages.set(ICA_CRL, crlAt(last, NOON, "06"))
  assert.is(sourceOf(await pass(), ICA_CRL)?.lastFailure?.code, "REVOCATION")
  assert.is((await listsIn(store)).get(ICA_CRL)?.length, 8)
  const newer = crlAt(first, NOON, "07")
  site.pages.set(ICA_CRL, newer)
  clock.advance(5 * MINUTE)
  assert.is(sourceOf(await pass(), ICA_CRL)?.lastFailure?.at.getTime(), NOON.getTime())
  assert.ok(hashes((await listsIn(store)).get(ICA_CRL)).includes(hash("sha256", newer, "hex")))
})

test("does not go on asking for the list of a key that is no longer used", async () => {
  const old = crlAt(REKEYED, afterNoon(-6 * DAY), "05")
  const source = loadedSource(ICA_CRL, parseCrl(old), parseCertificate(rekeyedDer))
  const { site, clock, refresh, pass } = await bench({
    trust: ["off", { intermediates: [icaDer, rekeyedDer], crls: { [source]: old } }],
  })
  refresh.want("default", [leaf], "device-1")
  await pass()
  clock.advance(2 * HOUR)
  site.asked.length = 0
  const report = await pass()
  assert.equal(site.asked, [])
  assert.equal(sourceOf(report, ICA_CRL)?.nextUpdate, afterNoon(6 * DAY))
})

test.run()
