import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex, utf8 } from "../../src/bytes.ts"
import { createTpmMaker, writeTpmMaker } from "../../src/device/ek.ts"
import {
  distrustSoftwareMakers,
  SOFTWARE_MAKER_NAME,
  trustSoftwareMaker,
} from "../../src/service/development.ts"
import type { NewAnchor } from "../../src/service/import-trust.ts"
import { rejectsCode } from "../support/assert.ts"
import { memoryStore } from "../support/ports/memory.ts"
import { NOON, newAct } from "../support/ports/samples.ts"
import * as x509 from "../support/x509.ts"
import { ALICE, anchorOf, anchors, idOf, NOTHING, world } from "./trust-world.ts"

const test = suite("development")

const TENANT = "default"
const maker = await createTpmMaker()
const PEM = utf8(await writeTpmMaker(maker))
const DER = new Uint8Array(maker.certificate.rawData)
const otherDer = new Uint8Array((await createTpmMaker()).certificate.rawData)
const { root: ROOT } = x509.makeChain("ek")

/** An empty store, as the functions take it, and the use cases over it. */
const server = () => {
  const stores = memoryStore()
  const ports = { clock: { now: () => NOON }, ...stores }
  const { trust } = world({ stores })
  const ids = async () => (await stores.trust.trust(TENANT)).anchors.map(({ id }) => id)
  return { stores, ports, trust, ids }
}

test("trusts the maker of software TPMs, and puts it on record", async () => {
  const { ports, stores, ids } = server()
  await trustSoftwareMaker(ports, TENANT, PEM)
  assert.equal(await ids(), [idOf(DER)])
  const [record, ...others] = await stores.journal.records(TENANT)
  assert.equal(
    [record?.act, record?.caller, record?.outcome, record?.revisions?.trust, record?.at, others],
    ["import-trust", "system", "done", 1, NOON, []],
  )
})

test("refuses S-09 a file without a certificate for a maker", async () => {
  const { ports, ids } = server()
  await rejectsCode(() => trustSoftwareMaker(ports, TENANT, utf8("")), "INPUT")
  await rejectsCode(() => distrustSoftwareMakers(ports, TENANT, utf8("no PEM")), "INPUT")
  assert.equal(await ids(), [])
})

test("has the name that makers give themselves", () => {
  assert.is(maker.certificate.subject, SOFTWARE_MAKER_NAME)
})

const disguises: readonly [name: string, changed: Partial<NewAnchor>][] = [
  ["as it was", {}],
  ["under another provenance", { provenance: "checked by hand" }],
  ["under another label", { label: "Infineon root 2026" }],
  ["with another purpose and mode", { purpose: "ek", revocation: "require" }],
  ["under an empty provenance", { provenance: "" }],
]
for (const [name, changed] of disguises)
  for (const pem of [PEM, undefined])
    test(`refuses S-09 to keep the maker of software TPMs ${name}, ${pem === undefined ? "without" : "with"} its file`, async () => {
      const { ports, trust, ids, stores } = server()
      await trustSoftwareMaker(ports, TENANT, PEM)
      await trust.importTrust({ ...NOTHING, anchors: [anchorOf(ROOT), anchorOf(DER, changed)] }, ALICE)
      assert.is(await distrustSoftwareMakers(ports, TENANT, pem), 1)
      assert.equal(await ids(), [idOf(ROOT)])
      const last = (await stores.journal.records(TENANT)).at(-1)
      assert.equal(
        [last?.act, last?.caller, last?.revisions?.trust, toHex(last?.evidenceDigest ?? new Uint8Array())],
        ["remove-trust", "system", 3, idOf(DER)],
      )
      assert.is(await distrustSoftwareMakers(ports, TENANT, pem), 0)
    })

test("refuses S-09 to keep the makers of other servers, which came along with a database", async () => {
  const { ports, trust, ids } = server()
  await trust.importTrust(anchors(otherDer, ROOT, DER), ALICE)
  assert.is(await distrustSoftwareMakers(ports, TENANT, PEM), 2)
  assert.equal(await ids(), [idOf(ROOT)])
})

test("refuses S-09 to keep the maker of the file, whatever its name", async () => {
  const { ports, trust, ids } = server()
  await trust.importTrust(anchors(ROOT, DER), ALICE)
  const body = Buffer.from(ROOT)
    .toString("base64")
    .replace(/.{64}(?=.)/g, "$&\n")
  const pem = utf8(`-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`)
  assert.is(await distrustSoftwareMakers(ports, TENANT, pem), 2)
  assert.equal(await ids(), [])
})

test("keeps what another CA issued to a maker's name, and what merely resembles it", async () => {
  const { ports, trust, ids } = server()
  const named = (text: string) =>
    x509.makeCertificate(x509.ROOT_KEYS, x509.ROOT_KEYS, x509.cn(text), x509.cn(text), x509.caExtensions())
  const issued = x509.makeCertificate(
    x509.ROOT_KEYS,
    x509.ROOT_KEYS,
    x509.cn("Assay software TPM maker"),
    x509.ROOT_NAME,
    x509.caExtensions(),
  )
  const kept = [issued, named("Assay software TPM maker 2"), named("TPM maker")]
  await trust.importTrust(anchors(...kept), ALICE)
  assert.is(await distrustSoftwareMakers(ports, TENANT, undefined), 0)
  assert.equal(await ids(), kept.map(idOf).sort())
})

test("takes a maker away beside an anchor that nobody can read", async () => {
  const { ports, stores, ids } = server()
  await trustSoftwareMaker(ports, TENANT, PEM)
  const broken = { ...anchorOf(utf8("no certificate")), id: idOf(utf8("no certificate")) }
  await stores.trust.importTrust(
    TENANT,
    { anchors: [broken], intermediates: [], crls: [], eks: [] },
    newAct("import-trust"),
  )
  assert.is(await distrustSoftwareMakers(ports, TENANT, undefined), 1)
  assert.equal(await ids(), [broken.id])
})

test.run()
