/** C-04, C-06 and C-07 against a server with every cache whose clock and ports are the test's, through gRPC: what ends, and what fails once. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Code } from "../../src/errors.ts"
import { makeCrl } from "../support/crl.ts"
import { INTERMEDIATE, importCrls, ROOT } from "../support/endorsed.ts"
import { START, TEST_ANCHOR } from "../support/service.ts"
import { policyDocument } from "../support/world.ts"
import { time } from "../support/x509.ts"
import { answering, codesOf, device, EPOCH_MS, refuses, remembers, type Warm, warm } from "./warm.ts"

const test = suite("caches behind the server")
const OPERATOR = { tenant: "default", id: "operator" }

const ended: readonly [name: string, end: (warm: Warm) => unknown, code: Code][] = [
  ["its certificate has ended", ({ world }) => world.advance(62_000), "VALIDITY"],
  [
    "a list that it rests on has ended",
    async (given) => {
      const { world } = given
      world.trustAnchor(TEST_ANCHOR, { revocation: "require" })
      const current = {
        thisUpdate: time(new Date(START.getTime() - 1000)),
        nextUpdate: time(new Date(START.getTime() + 30_000)),
      }
      await importCrls(world, makeCrl(ROOT, current), makeCrl(INTERMEDIATE, current))
      await remembers({ ...given, first: await given.client.verify(given.shown) })
      world.advance(32_000)
    },
    "REVOCATION",
  ],
  ["its epoch is over", ({ world }) => world.advance(2 * EPOCH_MS), "EPOCH"],
  ["the clock was set back before its epoch", ({ world }) => world.advance(-EPOCH_MS), "EPOCH"],
]
for (const [name, end, code] of ended)
  test(`refuses C-04 through gRPC what was accepted before: ${name}`, () =>
    warm(async (given) => {
      await remembers(given)
      await end(given)
      await refuses(given, given.shown, code)
      if (code === "REVOCATION") {
        const codes = await codesOf(given.client, await answering(given.client))
        assert.ok(codes.includes(code), `over a challenge: ${codes}`)
      }
    }))

for (const what of ["trust", "registry", "journal"] as const)
  test(`C-06 holds no failure against anybody through gRPC: ${what} is away once`, () =>
    warm(async (given) => {
      const { client, world } = given
      world.advance(EPOCH_MS)
      // What is remembered of the device is made anew, so that the registry is asked.
      await world.service.setPolicy(policyDocument(device, { name: "device-1" }), OPERATOR)
      const request = await device.answerEpoch("default", await client.getEpoch())
      given.fail(what)
      assert.equal(await codesOf(client, request), [what === "journal" ? "JOURNAL" : "REGISTRY"])
      assert.equal(await codesOf(client, request), await codesOf(given.plain.client, request))
    }))

test("C-07 lets a failure be that of the calls that were under way, each with its own challenge's state", () =>
  warm(async (given) => {
    given.world.advance(1000)
    device.advance(1000)
    const request = await device.answerEpoch("default", await given.client.getEpoch())
    given.fail("trust")
    const codes = await Promise.all(Array.from({ length: 10 }, () => codesOf(given.client, request)))
    assert.ok(codes.some(([code]) => code === "REGISTRY"))
    assert.equal(await codesOf(given.client, request), await codesOf(given.plain.client, request))
  }))

test.run()
