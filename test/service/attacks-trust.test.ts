/** S-09, and X-01 without any anchor, against the whole service: trust that is empty, damaged or away. */

import { DatabaseSync } from "node:sqlite"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AssayError, type Code, type Kind } from "../../src/errors.ts"
import { nonceExtraData } from "../../src/evidence/transcript.ts"
import { createLoadTrust } from "../../src/service/load-trust.ts"
import { createParseTrust } from "../../src/service/parse-trust.ts"
import type { VerifyInput } from "../../src/service/service.ts"
import { authority, makeCrl } from "../support/crl.ts"
import {
  akChainOf,
  answerShowing,
  attestShowing,
  caOf,
  enrollEndorsed,
  idOf,
  importCrls,
  ROOT,
  refusesCall,
  unavailable,
} from "../support/endorsed.ts"
import { newAct } from "../support/ports/samples.ts"
import {
  evidenceOver,
  GATEWAY,
  NONE_DENIED,
  type ServiceOptions,
  TEST_ANCHOR,
  type TestService,
  withService,
} from "../support/service.ts"
import { testDevice } from "../support/world.ts"

const test = suite("attacks on trust")

const device = testDevice()
const other = authority("Other Root")
const OTHER_ANCHOR = caOf(other, other)

// No anchor at all.

const empty = async (world: TestService): Promise<void> => {
  await world.trust.removeTrust("default", idOf(TEST_ANCHOR), newAct("remove-trust"))
}
const NONCE = new Uint8Array(32).fill(7)
const unanchored: readonly (readonly [
  name: string,
  certified: boolean,
  registered: boolean,
  input: (world: TestService) => Promise<VerifyInput>,
])[] = [
  ["a device that shows its certificate", true, false, (world) => answerShowing(world, device)],
  ["a device that shows none", false, false, (world) => answerShowing(world, device, [])],
  [
    "a device that was registered with its certificate",
    true,
    true,
    (world) => answerShowing(world, device, []),
  ],
  [
    "a device that brings the root along",
    true,
    false,
    (world) => answerShowing(world, device, [...akChainOf(device), TEST_ANCHOR]),
  ],
  [
    "a device that answers a nonce",
    false,
    false,
    async () => ({
      freshness: { kind: "nonce", nonce: NONCE },
      evidence: evidenceOver(device, nonceExtraData("default", NONCE)),
    }),
  ],
]
for (const [name, certified, registered, input] of unanchored)
  test(`refuses X-01 and S-09 ${name}, where there is no trust anchor at all`, () =>
    withService(async (world) => {
      await enrollEndorsed(world, device, {}, registered ? { akCertificateChain: akChainOf(device) } : {})
      await empty(world)
      const call = await input(world)
      const challenge = call.freshness.kind === "challenge" ? "unspent" : "none"
      await refusesCall(world, call, unavailable("TRUST", challenge))
      world.trustAnchor(TEST_ANCHOR)
      const { tier } = await world.service.verify(call, GATEWAY)
      assert.is(tier, certified ? "affirming" : "warning")
    }))

// What is on the disk.

const damaged: readonly (readonly [name: string, sql: string, code?: Code])[] = [
  [
    "a flipped bit in an anchor's certificate",
    "UPDATE trust_anchors SET certificate = CAST(x'31' || substr(certificate, 2) AS BLOB)",
  ],
  [
    "half an anchor",
    "UPDATE trust_anchors SET certificate = substr(certificate, 1, length(certificate) / 2)",
  ],
  [
    "an anchor under the id of another",
    "UPDATE trust_anchors SET id = x'0000000000000000000000000000000000000000000000000000000000000000' WHERE id = (SELECT min(id) FROM trust_anchors)",
  ],
  [
    "an anchor for another purpose",
    "UPDATE trust_anchors SET purpose = 'ak' WHERE id = (SELECT min(id) FROM trust_anchors)",
  ],
  ["an anchor with another mode", "UPDATE trust_anchors SET revocation = 'when-published'"],
  ["an anchor that is gone", "DELETE FROM trust_anchors WHERE id = (SELECT min(id) FROM trust_anchors)"],
  ["a revocation list that is gone", "DELETE FROM trust_crls"],
  ["half a revocation list", "UPDATE trust_crls SET crl = substr(crl, 1, 100)"],
  ["an intermediate of zeros", "UPDATE trust_intermediates SET certificate = zeroblob(length(certificate))"],
  ["no table of anchors", "DROP TABLE trust_anchors"],
]
/** Two anchors, an intermediate and a list. */
const furnish = async (world: TestService): Promise<void> => {
  world.trustAnchor(OTHER_ANCHOR)
  const [, certificate = new Uint8Array()] = akChainOf(device)
  const intermediates = [{ id: idOf(certificate), certificate, source: "import" }]
  await world.trust.importTrust(
    "default",
    { anchors: [], intermediates, crls: [], eks: [] },
    newAct("import-trust", { at: world.now() }),
  )
  await importCrls(world, makeCrl(ROOT))
}
const damage = ({ file }: TestService, sql: string): void => {
  const database = new DatabaseSync(file)
  database.exec(`PRAGMA busy_timeout = 5000; ${sql}`)
  database.close()
}
for (const [name, sql] of damaged)
  test(`refuses S-09 to verify by less than all that was stored: ${name}`, () =>
    withService(async (world) => {
      await enrollEndorsed(world, device)
      await furnish(world)
      damage(world, sql)
      await refusesCall(world, await answerShowing(world, device), unavailable("REGISTRY", "unspent"))
      // Whoever shows no certificate needs no trust but the number of anchors.
      assert.is((await attestShowing(world, device)).token.kind, "session")
    }))

test("refuses S-09 an anchor that is what was stored and no certificate", () =>
  withService(async (world) => {
    await enrollEndorsed(world, device)
    const certificate = new Uint8Array(40)
    const id = idOf(certificate)
    const settings = { label: "", purpose: "any", revocation: "off", provenance: "" } as const
    await world.trust.importTrust(
      "default",
      { anchors: [{ id, certificate, ...settings }], intermediates: [], crls: [], eks: [] },
      newAct("import-trust", { at: world.now() }),
    )
    await refusesCall(world, await answerShowing(world, device), unavailable("TRUST", "unspent"))
    await world.trust.removeTrust("default", id, newAct("remove-trust"))
    assert.is((await attestShowing(world, device, akChainOf(device))).tier, "affirming")
  }))

test("refuses S-09 trust that was good, once it cannot be read for longer than a while or has changed", async () => {
  const worlds: ReturnType<typeof createLoadTrust>[] = []
  await withService(
    async (world) => {
      const [loader] = worlds
      await enrollEndorsed(world, device)
      await furnish(world)
      assert.is((await attestShowing(world, device, akChainOf(device))).tier, "affirming")
      assert.is(loader?.unready(), undefined)
      damage(world, "ALTER TABLE trust_anchors RENAME TO away")
      assert.is(
        (await attestShowing(world, device, akChainOf(device))).tier,
        "affirming",
        "the last good one",
      )
      assert.match(loader?.unready() ?? "", "REGISTRY")
      world.advance(600_000)
      device.advance(600_000)
      await refusesCall(world, await answerShowing(world, device), unavailable("REGISTRY", "unspent"))
      damage(world, "ALTER TABLE away RENAME TO trust_anchors")
      assert.is((await attestShowing(world, device, akChainOf(device))).tier, "affirming")
      world.trustAnchor(OTHER_ANCHOR, { label: "another" })
      damage(world, "ALTER TABLE trust_anchors RENAME TO away")
      await refusesCall(world, await answerShowing(world, device), unavailable("REGISTRY", "unspent"))
    },
    {
      ports: ({ clock, trust: store }) => {
        const loader = createLoadTrust({
          store,
          parse: createParseTrust(async () => {}),
          denied: NONE_DENIED,
          clock,
        })
        worlds.push(loader)
        return { loadTrust: loader.loadTrust }
      },
    },
  )
})

// A loader that fails.

const failing: readonly (readonly [name: string, error: unknown, code: Code, ends: Kind])[] = [
  ["that cannot read what is stored", new AssayError("TRUST", "no"), "TRUST", "unavailable"],
  ["that cannot reach the store", new AssayError("REGISTRY", "no"), "REGISTRY", "unavailable"],
  ["whose generation is gone", new AssayError("SNAPSHOT_MOVED", "no"), "SNAPSHOT_MOVED", "stale"],
  ["that breaks", new RangeError("no"), "INTERNAL", "fault"],
  ["that throws what is no error", "no", "INTERNAL", "fault"],
]
for (const [name, error, code, ends] of failing)
  test(`refuses S-09 to verify with a loader ${name}`, async () => {
    let broken = false
    const ports: ServiceOptions["ports"] = ({ loadTrust }) => ({
      loadTrust: (tenant, generation) => (broken ? Promise.reject(error) : loadTrust(tenant, generation)),
    })
    await withService(
      async (world) => {
        await enrollEndorsed(world, device)
        const input = await answerShowing(world, device)
        broken = true
        await refusesCall(world, input, { code, ends, challenge: "unspent" })
        assert.is(
          (await attestShowing(world, device)).token.kind,
          "session",
          "without a certificate nothing is loaded",
        )
        broken = false
        assert.is((await attestShowing(world, device, akChainOf(device))).tier, "affirming")
      },
      { ports },
    )
  })

test.run()
