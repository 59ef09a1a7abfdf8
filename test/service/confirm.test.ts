/** S-06 and S-02 against the whole service: a replica that may not decide decides nothing. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AssayError, type Code } from "../../src/errors.ts"
import { createClockWatch } from "../../src/keys/clock.ts"
import { rejectsCode } from "../support/assert.ts"
import { assertUnknown, enrolling } from "../support/enroll-attack.ts"
import { begin } from "../support/enrolling.ts"
import {
  answered,
  attest,
  codesOf,
  enroll,
  GATEWAY,
  type TestService,
  withService,
} from "../support/service.ts"
import { policyDocument, testDevice } from "../support/world.ts"

const test = suite("confirm")
const device = testDevice()
const ASKED = { device: "", audience: "orders", confirmation: undefined, policy: "" }

/** A world whose replica stops being sure when the test says so, from the given question on. */
const doubting = async (
  act: (world: TestService, doubt: (afterQuestions: number) => void) => Promise<void>,
  code: Code,
): Promise<void> => {
  let left = Number.POSITIVE_INFINITY
  const confirm = (): void => {
    if (left-- <= 0) throw new AssayError(code, "not sure")
  }
  await withService(
    async (world) => {
      await enroll(world.service, device, policyDocument(device))
      await act(world, (afterQuestions) => {
        left = afterQuestions
      })
    },
    { ports: () => ({ confirm }) },
  )
}

for (const [attack, code] of [
  ["S-06", "CLOCK"],
  ["S-02", "REVISION_UNCONFIRMED"],
] as const) {
  test(`refuses ${attack} a challenge and an epoch, ${code}`, () =>
    doubting(async ({ service }, doubt) => {
      doubt(0)
      await rejectsCode(() => service.createChallenge(ASKED, GATEWAY), code)
      await rejectsCode(() => service.epoch(GATEWAY), code)
    }, code))

  test(`refuses ${attack} a verification before anything is read, the challenge unspent, ${code}`, () =>
    doubting(async ({ service, journal }, doubt) => {
      const input = await answered(service, device)
      const before = (await journal.records("default")).length
      doubt(0)
      assert.is((await rejectsCode(() => service.verify(input, GATEWAY), code)).challenge, "unspent")
      assert.is((await journal.records("default")).length, before)
      doubt(Number.POSITIVE_INFINITY)
      assert.is((await service.verify(input, GATEWAY)).token.kind, "session")
    }, code))

  test(`refuses ${attack} a token where doubt came while it was judged, ${code}`, () =>
    doubting(async ({ service, journal }, doubt) => {
      const input = await answered(service, device)
      const before = (await journal.records("default")).length
      doubt(1)
      assert.is((await rejectsCode(() => service.verify(input, GATEWAY), code)).challenge, "spent")
      assert.is((await journal.records("default")).length, before)
    }, code))

  test(`refuses ${attack} to begin an enrollment, and to complete one, unspent, ${code}`, () =>
    doubting(async (world, doubt) => {
      const attempt = await enrolling(world)
      doubt(0)
      await rejectsCode(() => begin(world, attempt.device), code)
      const { service } = world
      assert.is(
        (await rejectsCode(() => service.completeEnrollment(attempt.honest, GATEWAY), code)).challenge,
        "unspent",
      )
      doubt(Number.POSITIVE_INFINITY)
      await service.completeEnrollment(attempt.honest, GATEWAY)
    }, code))

  test(`refuses ${attack} a device where doubt came while it was proven, ${code}`, () =>
    doubting(async (world, doubt) => {
      const attempt = await enrolling(world)
      doubt(1)
      const { service } = world
      assert.is(
        (await rejectsCode(() => service.completeEnrollment(attempt.honest, GATEWAY), code)).challenge,
        "spent",
      )
      await assertUnknown(world, attempt.device.akName)
    }, code))
}

for (const [what, stepMs] of [
  ["an hour ahead", 3_600_000],
  ["an hour back", -3_600_000],
] as const)
  test(`refuses S-06 challenges and tokens while the clock is turned ${what}, and goes on once it is right`, () => {
    let turnedMs = 0
    const watch = createClockWatch(5000, { wallMs: () => 1_000_000 + turnedMs, monotonicMs: () => 0 })
    return withService(
      async ({ service }) => {
        await enroll(service, device, policyDocument(device))
        const input = await answered(service, device)
        turnedMs = stepMs
        await rejectsCode(() => service.createChallenge(ASKED, GATEWAY), "CLOCK")
        await rejectsCode(() => service.verify(input, GATEWAY), "CLOCK")
        turnedMs = 0
        assert.equal(codesOf(await attest(service, device)), ["AK_BINDING_UNPROVEN"])
      },
      { ports: () => ({ confirm: watch.check }) },
    )
  })

test.run()
