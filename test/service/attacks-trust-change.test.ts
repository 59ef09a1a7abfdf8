import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { LoadTrust, Ports } from "../../src/service/ports.ts"
import { authority, entry, makeCrl, rawInteger } from "../support/crl.ts"
import {
  akChainOf,
  answerShowing,
  attestShowing,
  caOf,
  enrollEndorsed,
  INTERMEDIATE,
  idOf,
  importCrls,
  ROOT,
  refusesCall,
  unavailable,
} from "../support/endorsed.ts"
import { newAct, SETUP } from "../support/ports/samples.ts"
import {
  codesOf,
  type ServiceOptions,
  START,
  TEST_ANCHOR,
  type TestService,
  withService,
} from "../support/service.ts"
import { testDevice } from "../support/world.ts"
import { time } from "../support/x509.ts"

const test = suite("attacks on trust that changes")

const device = testDevice()
const other = authority("Other Root")
const OTHER_ANCHOR = caOf(other, other)

const empty = async (world: TestService): Promise<void> => {
  await world.trust.removeTrust("default", idOf(TEST_ANCHOR), newAct("remove-trust", { caller: SETUP }))
}

// Trust that changes while evidence is judged.

/** Runs `change` once, in the middle of the next verification: when trust is loaded, or before the record is written. */
const changing = (
  when: "loading" | "loaded" | "journaling",
  change: (ports: Ports) => Promise<unknown>,
): { readonly arm: () => void; readonly options: ServiceOptions } => {
  let armed = false
  const strike = async (ports: Ports, at: typeof when): Promise<void> => {
    if (!armed || at !== when) return
    armed = false
    await change(ports)
  }
  return {
    arm: () => {
      armed = true
    },
    options: {
      ports: (ports) => {
        const loadTrust: LoadTrust = async (tenant, generation) => {
          await strike(ports, "loading")
          const trust = await ports.loadTrust(tenant, generation)
          await strike(ports, "loaded")
          return trust
        }
        const append: Ports["journal"]["append"] = async (record, commit) => {
          await strike(ports, "journaling")
          return ports.journal.append(record, commit)
        }
        return { loadTrust, journal: { append } }
      },
    },
  }
}
const importOther = ({ trust }: Ports) =>
  trust.importTrust(
    "default",
    {
      anchors: [
        {
          id: idOf(OTHER_ANCHOR),
          certificate: OTHER_ANCHOR,
          label: "",
          purpose: "any",
          revocation: "off",
          provenance: "",
        },
      ],
      intermediates: [],
      crls: [],
      eks: [],
    },
    newAct("import-trust", { at: START, caller: SETUP }),
  )
const removeOurs = ({ trust }: Ports) =>
  trust.removeTrust("default", idOf(TEST_ANCHOR), newAct("remove-trust", { caller: SETUP }))
const listAnEk = ({ trust }: Ports) =>
  trust.importTrust(
    "default",
    { anchors: [], intermediates: [], crls: [], eks: [{ digest: new Uint8Array(32), label: "" }] },
    newAct("import-trust", { at: START, caller: SETUP }),
  )
const moving: readonly (readonly [
  name: string,
  when: Parameters<typeof changing>[0],
  change: (ports: Ports) => Promise<unknown>,
])[] = [
  ["an anchor is added while trust is loaded", "loading", importOther],
  ["an anchor is added after trust was loaded", "loaded", importOther],
  ["an anchor is added before the record is written", "journaling", importOther],
  ["the anchor is removed while trust is loaded", "loading", removeOurs],
  ["the anchor is removed after trust was loaded", "loaded", removeOurs],
  ["the anchor is removed before the record is written", "journaling", removeOurs],
  ["a key is listed before the record is written", "journaling", listAnEk],
]
for (const [name, when, change] of moving)
  test(`refuses S-09 a token by trust that is not the current one: ${name}`, async () => {
    const { arm, options } = changing(when, change)
    await withService(async (world) => {
      world.trustAnchor(caOf(authority("One more"), other))
      await enrollEndorsed(world, device)
      const input = await answerShowing(world, device)
      arm()
      const challenge = when === "loading" ? "unspent" : "spent"
      await refusesCall(world, input, { code: "SNAPSHOT_MOVED", ends: "stale", challenge })
      const next = await attestShowing(world, device, akChainOf(device))
      assert.equal(codesOf(next), change === removeOurs ? ["UNTRUSTED_ROOT"] : [])
    }, options)
  })

test("refuses S-09 a refusal too that rests on trust that is not the current one", async () => {
  const { arm, options } = changing("loaded", importOther)
  await withService(async (world) => {
    await enrollEndorsed(world, device)
    const chain = akChainOf(device, { leaf: { signer: other.keys } })
    const input = await answerShowing(world, device, chain)
    arm()
    await refusesCall(world, input, { code: "SNAPSHOT_MOVED", ends: "stale", challenge: "spent" })
  }, options)
})

test("lets a device in that shows no certificate while trust changes: nothing of it rests on that", async () => {
  const { arm, options } = changing("journaling", importOther)
  await withService(async (world) => {
    await enrollEndorsed(world, device)
    arm()
    assert.is((await attestShowing(world, device)).token.kind, "session")
  }, options)
})

// What an operator changes counts from the next call on, also where trust and contexts are remembered.

for (const cached of [false, true])
  test(`refuses X-01 a device from the call on that follows the removal of its anchor${cached ? ", with caches" : ""}`, () =>
    withService(
      async (world) => {
        world.trustAnchor(OTHER_ANCHOR)
        await enrollEndorsed(world, device, {}, { akCertificateChain: akChainOf(device) })
        assert.is((await attestShowing(world, device)).tier, "affirming")
        world.trustAnchor(TEST_ANCHOR, { purpose: "ek" })
        assert.equal(codesOf(await attestShowing(world, device)), ["UNTRUSTED_ROOT"])
        world.trustAnchor(TEST_ANCHOR, { purpose: "ak" })
        assert.is((await attestShowing(world, device)).tier, "affirming")
        await empty(world)
        const refused = await attestShowing(world, device)
        assert.equal(
          [refused.tier, refused.token.kind, codesOf(refused)],
          ["contraindicated", "result", ["UNTRUSTED_ROOT"]],
        )
      },
      { cached },
    ))

for (const cached of [false, true])
  test(`refuses X-20 a device from the call on that follows its revocation${cached ? ", with caches" : ""}`, () =>
    withService(
      async (world) => {
        const chain = akChainOf(device, { leaf: { serialNumber: rawInteger("4711") } })
        const lists = { thisUpdate: time(START), nextUpdate: time(new Date(START.getTime() + 86_400_000)) }
        world.trustAnchor(TEST_ANCHOR, { revocation: "when-published" })
        await enrollEndorsed(world, device, {}, { akCertificateChain: chain })
        const before = await attestShowing(world, device)
        assert.equal(
          before.endorsements[0]?.revocation.map(({ status }) => status),
          ["not-published", "not-published"],
        )
        world.trustAnchor(TEST_ANCHOR, { revocation: "require" })
        await refusesCall(
          world,
          await answerShowing(world, device, chain),
          unavailable("REVOCATION", "spent"),
        )
        await importCrls(world, makeCrl(ROOT, lists), makeCrl(INTERMEDIATE, lists))
        const good = await attestShowing(world, device)
        assert.is(good.tier, "affirming")
        const [status] = good.endorsements[0]?.revocation ?? []
        assert.equal([status?.status, status?.thisUpdate, status?.crlNumber], ["good", START, "01"])
        await importCrls(world, makeCrl(INTERMEDIATE, { ...lists, entries: [entry("4711")] }))
        const revoked = await attestShowing(world, device)
        assert.equal([revoked.tier, codesOf(revoked)], ["contraindicated", ["REVOKED"]])
      },
      { cached },
    ))
test.run()
