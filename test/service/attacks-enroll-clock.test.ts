/** K-09 against devices that have enrolled: what their first quote said is where their clock begins. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { SoftwareDevice } from "../../src/device/software.ts"
import type { Code } from "../../src/errors.ts"
import { rejectsCode } from "../support/assert.ts"
import { enrolling } from "../support/enroll-attack.ts"
import { enrolls } from "../support/enrolling.ts"
import { newcomer } from "../support/newcomer.ts"
import { attest, codesOf, GATEWAY, type TestService, withService } from "../support/service.ts"
import { policyDocument } from "../support/world.ts"

const test = suite("clocks, resets and firmware after enrollment")

/** Three boots old, a while up. */
const bootedDevice = (): SoftwareDevice => {
  const device = newcomer()
  for (let boots = 0; boots < 4; boots++) device.boot()
  device.resume()
  device.advance(60_000)
  return device
}

const CLOCK = { resetsMax: 1, unsafe: "refused" }
const TPM = { firmwareChange: "refused" }

/** Enrolls the device, under a policy that refuses whatever it can. */
const enrolled = async (world: TestService, device: SoftwareDevice): Promise<string> => {
  const { id } = await enrolls(world, device)
  const terms = { ak: { binding: "proven" }, clock: CLOCK, tpm: TPM }
  const { name } = await world.service.setPolicy(policyDocument(device, terms), GATEWAY)
  await world.service.assignPolicy({ policy: name, device: id }, GATEWAY)
  return id
}

/** Between two calls, time passes on both sides. */
const later = ({ advance }: TestService, device: SoftwareDevice): void => {
  advance(1000)
  device.advance(1000)
}

test("keeps what the first quote said, and orders the next one behind it", () =>
  withService(async (world) => {
    const device = bootedDevice()
    const id = await enrolled(world, device)
    const { counters } = await world.registry.device("default", id)
    const { firmwareVersion, ...clockInfo } = device.state
    assert.equal(counters, { ...clockInfo, firmwareVersion, recordedAt: world.now() })
    later(world, device)
    assert.is((await attest(world.service, device)).token.kind, "session")
  }))

const discontinuities: readonly (readonly [
  name: string,
  change: (device: SoftwareDevice) => void,
  code: Code,
])[] = [
  [
    "a clock that went back within the boot",
    (d) => d.setState({ clockMs: d.state.clockMs - 30_000n }),
    "CLOCK_INFO_ROLLBACK",
  ],
  ["a clock that began anew within the boot", (d) => d.setState({ clockMs: 0n }), "CLOCK_INFO_ROLLBACK"],
  ["an earlier restart of the same boot", (d) => d.setState({ restartCount: 0 }), "CLOCK_INFO_ROLLBACK"],
  ["an earlier boot", (d) => d.setState({ resetCount: d.state.resetCount - 1 }), "CLOCK_INFO_ROLLBACK"],
  [
    "counters of zero: a TPM that was cleared",
    (d) => d.setState({ resetCount: 0, restartCount: 0, clockMs: 0n }),
    "CLOCK_INFO_ROLLBACK",
  ],
  [
    "more resets than one reported boot has",
    (d) => d.setState({ resetCount: d.state.resetCount + 2, restartCount: 0 }),
    "CLOCK_INFO_RESETS",
  ],
  ["a clock that is not safe", (d) => d.setState({ safe: false }), "CLOCK_INFO_UNSAFE"],
  [
    "firmware that went back",
    (d) => d.setState({ firmwareVersion: d.state.firmwareVersion - 1n }),
    "TPM_FIRMWARE",
  ],
  [
    "firmware that went on, where nobody accepted it",
    (d) => d.setState({ firmwareVersion: d.state.firmwareVersion + 1n }),
    "TPM_FIRMWARE",
  ],
]
for (const [name, change, code] of discontinuities)
  test(`refuses K-09 ${name}, from the first attestation on`, () =>
    withService(async (world) => {
      const device = bootedDevice()
      const id = await enrolled(world, device)
      const before = await world.registry.device("default", id)
      later(world, device)
      change(device)
      const result = await attest(world.service, device)
      assert.is(result.token.kind, "result")
      assert.is(result.tier, "contraindicated")
      assert.ok(codesOf(result).includes(code), codesOf(result).join())
      const { counters } = await world.registry.device("default", id)
      if (code === "CLOCK_INFO_ROLLBACK") assert.equal(counters, before.counters)
      assert.is(counters?.firmwareVersion, before.counters?.firmwareVersion)
    }))

test("refuses K-09 PCRs that look fresh after the TPM alone was reset, twice and once", () =>
  withService(async (world) => {
    const device = bootedDevice()
    await enrolled(world, device)
    later(world, device)
    // The machine runs on; its TPM is reset, and is fed the measurements of a good boot.
    device.boot()
    device.boot()
    assert.ok(codesOf(await attest(world.service, device)).includes("CLOCK_INFO_RESETS"))
    later(world, device)
    assert.is((await attest(world.service, device)).token.kind, "session") // one and the same boot from here
  }))

test("refuses K-09 the quote of the enrollment itself, once it is older than the last answer", () =>
  withService(async (world) => {
    const device = bootedDevice()
    await enrolled(world, device)
    later(world, device)
    const { state: atFirst } = device
    await attest(world.service, device)
    later(world, device)
    device.setState({ ...atFirst, clockMs: atFirst.clockMs - 1000n })
    assert.ok(codesOf(await attest(world.service, device)).includes("CLOCK_INFO_ROLLBACK"))
  }))

test("never turns a clock back by another enrollment: the keys are taken", () =>
  withService(async (world) => {
    const device = bootedDevice()
    const id = await enrolled(world, device)
    const before = await world.registry.device("default", id)
    device.setState({ resetCount: 0, restartCount: 0, clockMs: 0n })
    const attempt = await enrolling(world, device)
    await rejectsCode(() => world.service.completeEnrollment(attempt.honest, GATEWAY), "DEVICE_EXISTS")
    assert.equal(await world.registry.device("default", id), before)
  }))

test.run()
