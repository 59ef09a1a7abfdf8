/** C-01 to C-05 against a server with every cache, through gRPC: what moves, and what is nearly the same. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Code } from "../../src/errors.ts"
import { authority, entry, makeCrl } from "../support/crl.ts"
import { akChainOf, caOf, INTERMEDIATE, idOf, importCrls, ROOT } from "../support/endorsed.ts"
import { newAct } from "../support/ports/samples.ts"
import { START, TEST_ANCHOR, type TestService } from "../support/service.ts"
import { policyDocument } from "../support/world.ts"
import { time } from "../support/x509.ts"
import { TWINS } from "./twins.ts"
import {
  answering,
  CHAIN,
  codesOf,
  device,
  EPOCH_MS,
  LEAF,
  OTHER_BOOT,
  refuses,
  remembers,
  type Warm,
  warm,
  withEvidence,
} from "./warm.ts"

const test = suite("caches behind the server")

const state =
  (to: "suspended" | "revoked") =>
  ({ world: { ports } }: Warm) =>
    ports.devices.change("default", "device-1", undefined, { state: to }, newAct("suspend-device"))
const lists = ({ world }: Warm, entries?: readonly Uint8Array[]): Promise<void> => {
  const current = {
    thisUpdate: time(new Date(START.getTime() - 1000)),
    nextUpdate: time(new Date(START.getTime() + 30_000)),
  }
  return importCrls(world, makeCrl(ROOT, current), makeCrl(INTERMEDIATE, { ...current, entries }))
}
const anchorAs = ({ world }: Warm, changed: Parameters<TestService["trustAnchor"]>[1]) =>
  world.trustAnchor(TEST_ANCHOR, changed)

const moved: readonly [id: string, name: string, move: (warm: Warm) => unknown, code: Code][] = [
  ["C-01", "its device was suspended", state("suspended"), "DEVICE_STATE"],
  [
    "C-01",
    "its policy has another revision",
    ({ world }) => world.service.setPolicy(policyDocument(OTHER_BOOT, { name: "device-1" }), OPERATOR),
    "REFERENCE_SET",
  ],
  [
    "C-01",
    "another policy judges it",
    async ({ world: { service } }) => {
      await service.setPolicy(policyDocument(OTHER_BOOT, { name: "other" }), OPERATOR)
      await service.assignPolicy({ policy: "other", device: "device-1" }, OPERATOR)
    },
    "REFERENCE_SET",
  ],
  [
    "C-01",
    "its anchor is for another purpose",
    (warm) => anchorAs(warm, { purpose: "ek" }),
    "UNTRUSTED_ROOT",
  ],
  [
    "C-01",
    "its maker's lists revoke it",
    async (warm) => {
      anchorAs(warm, { revocation: "require" })
      await lists(warm, [entry(LEAF)])
    },
    "REVOKED",
  ],
  [
    "C-01",
    "its anchor asks for lists that are not there",
    (warm) => anchorAs(warm, { revocation: "require" }),
    "REVOCATION",
  ],
  [
    "C-01",
    "its key is another device's",
    async ({ world: { ports, service } }) => {
      await ports.devices.remove("default", "device-1", undefined, newAct("delete-device"))
      const { akPublic, qualifiedName } = device
      await service.registerDevice({ id: "device-2", akPublic, qualifiedName }, OPERATOR)
    },
    "NO_POLICY",
  ],
  ["C-04", "its device was revoked", state("revoked"), "DEVICE_STATE"],
  ["C-04", "its certificate has ended", ({ world }) => world.advance(62_000), "VALIDITY"],
  [
    "C-04",
    "a list that it rests on has ended",
    async (warm) => {
      anchorAs(warm, { revocation: "require" })
      await lists(warm)
      await remembers({ ...warm, first: await warm.client.verify(warm.shown) })
      warm.world.advance(32_000)
    },
    "REVOCATION",
  ],
  ["C-04", "its epoch is over", ({ world }) => world.advance(2 * EPOCH_MS), "EPOCH"],
  ["C-04", "the clock was set back before its epoch", ({ world }) => world.advance(-EPOCH_MS), "EPOCH"],
  [
    "C-04",
    "its anchor was removed",
    async ({ world }) => {
      world.trustAnchor(caOf(other, other))
      await world.service.trustState(OPERATOR)
      await world.trust.removeTrust("default", idOf(TEST_ANCHOR), newAct("remove-trust"))
    },
    "UNTRUSTED_ROOT",
  ],
  [
    "C-04",
    "its device was removed",
    ({ world: { ports } }) => ports.devices.remove("default", "device-1", undefined, newAct("delete-device")),
    "DEVICE_NOT_FOUND",
  ],
]
const OPERATOR = { tenant: "default", id: "operator" }
const certificates = { own: CHAIN, foreign: akChainOf(OTHER_BOOT) }
const other = authority("Other Root")
for (const [id, name, move, code] of moved)
  test(`refuses ${id} through gRPC what was accepted before: ${name}`, () =>
    warm(async (given) => {
      await remembers(given)
      await move(given)
      await refuses(given, given.shown, code)
      if (code !== "EPOCH" && code !== "VALIDITY") {
        const codes = await codesOf(given.client, await answering(given.client))
        assert.ok(codes.includes(code), `over a challenge: ${codes}`)
      }
    }))

for (const [id, name, change, code] of TWINS)
  test(`${code === undefined ? "judges by itself" : "refuses"} ${id} through gRPC what was accepted before, with ${name}`, () =>
    warm(async (given) => {
      const request = withEvidence(given.shown, (evidence) => change(evidence, certificates))
      const before = given.judged()
      if (code === undefined) {
        assert.equal(await codesOf(given.client, request), await codesOf(given.plain.client, request))
        assert.is(given.judged(), before + 1)
      } else await refuses(given, request, code)
      await remembers(given)
    }))

test.run()
