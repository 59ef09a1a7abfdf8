/** G-09 against the whole service: the largest legal log is replayed in slices, and what changes meanwhile is not decided by. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { parseEventLog } from "../../src/evidence/eventlog/eventlog.ts"
import type { Ports } from "../../src/service/ports.ts"
import { createLogOutcome } from "../../src/verification/log-outcome.ts"
import { rejectsCode } from "../support/assert.ts"
import { longDevice, QUOTED } from "../support/large-log.ts"
import { answered, codesOf, enroll, GATEWAY, type TestService, withService } from "../support/service.ts"
import { policyDocument, testDevice } from "../support/world.ts"

const device = longDevice()
const POLICY = policyDocument(device, { banks: QUOTED })
/** Of 256 records each, in three banks. */
const SLICES = 3 * 15

const test = suite("the replay of a long log")

/** A world in which something happens at the nth breath of a verification. */
const breathing = (
  at: number,
  happens: (world: TestService) => Promise<unknown>,
  act: (world: TestService, breaths: () => number) => Promise<void>,
): Promise<void> => {
  let [breaths, isOn] = [0, false]
  let found: TestService | undefined
  const breathe = async (): Promise<void> => {
    breaths++
    if (isOn && breaths === at && found !== undefined) await happens(found)
  }
  return withService(
    async (world) => {
      found = world
      await enroll(world.service, device, POLICY)
      breaths = 0
      isOn = true
      await act(world, () => breaths)
    },
    { ports: (): Partial<Ports> => ({ breathe }) },
  )
}
const nothing = async (): Promise<void> => {}

test("lets others have their turn G-09 all along, and lets its device in", () =>
  breathing(0, nothing, async ({ service }, breaths) => {
    const result = await service.verify(await answered(service, device), GATEWAY)
    assert.is(result.token?.kind, "session", codesOf(result).join())
    assert.ok(breaths() >= SLICES, `${breaths()}`)
  }))
test("takes no turn G-09 of anybody's for a short log", () =>
  breathing(0, nothing, async ({ service }, breaths) => {
    const other = testDevice()
    await enroll(service, other, policyDocument(other, { name: "other" }), "device-2")
    const before = breaths()
    await service.verify(await answered(service, other), GATEWAY)
    assert.is(breaths(), before)
  }))

const changes: [name: string, change: (world: TestService) => Promise<unknown>][] = [
  [
    "its device is suspended",
    ({ service }) => service.moveDevice("suspend", { id: "device-1", etag: "" }, GATEWAY),
  ],
  [
    "its device is revoked",
    ({ service }) => service.moveDevice("revoke", { id: "device-1", etag: "" }, GATEWAY),
  ],
  [
    "its policy is tightened",
    ({ service }) =>
      service.setPolicy(policyDocument(testDevice(), { name: "test", banks: ["sha256"] }), GATEWAY),
  ],
]
for (const [name, change] of changes)
  for (const at of [1, 20, SLICES])
    test(`refuses G-09 a session when ${name} while slice ${at} of the log waits`, () =>
      breathing(at, change, async ({ service }) => {
        const input = await answered(service, device)
        const outcome = await service.verify(input, GATEWAY).then(
          ({ token }) => token?.kind ?? "none",
          ({ code }) => code,
        )
        assert.is.not(outcome, "session")
        await rejectsCode(() => service.verify(input, GATEWAY), "NONCE_SPENT")
      }))
test("replays G-09 a long log once for all that show the same challenge", () =>
  breathing(0, nothing, async ({ service }, breaths) => {
    const input = await answered(service, device)
    const calls = Array.from({ length: 5 }, () => service.verify(input, GATEWAY))
    const ends = await Promise.allSettled(calls)
    assert.is(ends.filter(({ status }) => status === "fulfilled").length, 1)
    assert.ok(breaths() < 2 * SLICES, `${breaths()}`)
  }))
test("leads to the same values in slices as at once", () => {
  const log = parseEventLog(device.eventLog)
  const [sliced, whole] = [createLogOutcome(() => log), createLogOutcome(() => log)]
  const slices = sliced.replaying(log.banks)
  while (slices !== undefined && slices.next().done !== true);
  for (const bank of log.banks) assert.equal(sliced.replayed(bank), whole.replayed(bank))
  assert.is(sliced.replaying(log.banks), undefined, "nothing is left to do")
})
test("lets go of the parsed log when all that was asked for is replayed, and reads it again for a refusal", () => {
  const log = parseEventLog(device.eventLog)
  let parses = 0
  const outcome = createLogOutcome(() => {
    parses += 1
    return log
  })
  const slices = outcome.replaying(log.banks)
  outcome.log()
  assert.is(parses, 1)
  while (slices !== undefined && slices.next().done !== true);
  for (const bank of log.banks) outcome.replayed(bank)
  assert.is(parses, 1)
  assert.equal(outcome.log(), log)
  assert.is(parses, 2)
})

test.run()
