import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AssayError } from "../../src/errors.ts"
import { createMeter } from "../../src/server/meter.ts"
import { throwsCode } from "../support/assert.ts"

const WHO = { tenant: "default", id: "gateway" }

/** A meter by a clock that tests set, and what it told. */
const metering = () => {
  const told: [id: string, ms: number][] = []
  const clock = { now: 0 }
  const { meter, tell } = createMeter(() => clock.now)
  tell(({ id }, ms) => told.push([id, ms]))
  return { meter, tell, clock, told }
}

const test = suite("createMeter")

test("N-07 tells whose request took so long, and gives what came of it", () => {
  const { meter, clock, told } = metering()
  const run = (): string => {
    clock.now += 4
    return "value"
  }
  assert.is(meter.run(WHO, run), "value")
  assert.equal(told, [["gateway", 4]])
})
test("N-07 tells of what failed, and throws what that did", () => {
  const { meter, clock, told } = metering()
  throwsCode(
    () =>
      meter.run(WHO, () => {
        clock.now += 1
        throw new AssayError("PATH", "no")
      }),
    "PATH",
  )
  assert.equal(told, [["gateway", 1]])
})
test("tells nothing of what takes no longer than all that most requests do", () => {
  const { meter, clock, told } = metering()
  for (const ms of [0, 0.05, 0.1])
    meter.run(WHO, () => {
      clock.now = ms
    })
  meter.charge(WHO, 0.1)
  assert.equal(told, [])
  meter.charge(WHO, 3)
  assert.equal(told, [["gateway", 3]])
})
test("N-07 takes nobody to account for an hour in which the machine stood still", () => {
  const { meter, clock, told } = metering()
  meter.run(WHO, () => {
    clock.now += 3_600_000
  })
  assert.equal(told, [["gateway", 50]])
})
test("tells whoever listens now, and nobody before that", () => {
  const { meter, tell } = createMeter()
  meter.charge(WHO, 3)
  const told: number[] = []
  tell((_, ms) => told.push(ms))
  meter.charge(WHO, 4)
  assert.equal(told, [4])
})
test.run()
