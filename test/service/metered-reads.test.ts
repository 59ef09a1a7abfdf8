/** What reads much does so under the meter: the store is asked, and devices are viewed, for the account of who wants to see them. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createViewDevices } from "../../src/service/device-view.ts"
import { createEnrollmentTokenUseCases } from "../../src/service/enrollment-tokens.ts"
import { createExportDevices } from "../../src/service/export-devices.ts"
import { createJournalUseCases } from "../../src/service/journal.ts"
import { createListDevices } from "../../src/service/list-devices.ts"
import type { Meter, Ports } from "../../src/service/ports.ts"
import { keep, keptDevice, OPERATOR } from "../support/devices.ts"
import { memoryArchive } from "../support/ports/memory-archive.ts"
import { newRecord } from "../support/ports/samples.ts"
import { withService } from "../support/service.ts"
import { testSigner } from "../support/signer.ts"

const test = suite("reads that are long")

/** A meter that notes for whom it runs, and what was called while it did. */
const noting = () => {
  const noted: string[] = []
  let whose = "nobody"
  const meter: Meter = {
    run: (who, act) => {
      whose = who.id
      try {
        return act()
      } finally {
        whose = "nobody"
      }
    },
    charge: () => {},
  }
  const note = (what: string): void => void noted.push(`${what} for ${whose}`)
  /** The same functions, each of which notes that it was called. */
  const watched = <T extends object>(functions: T, names: readonly (keyof T & string)[]): T =>
    new Proxy(functions, {
      get: (target, name, receiver) => {
        const value: unknown = Reflect.get(target, name, receiver)
        if (typeof value !== "function" || !names.some((one) => one === name)) return value
        return (...given: unknown[]): unknown => {
          note(String(name))
          return Reflect.apply(value, target, given)
        }
      },
    })
  return { meter, noted, note, watched }
}

const drained = async (
  items: AsyncIterable<unknown>,
  count = Number.POSITIVE_INFINITY,
): Promise<unknown[]> => {
  const found: unknown[] = []
  for await (const item of items) if (found.push(item) >= count) break
  return found
}

/** More than any test waits for. */
const PAUSES_MAX = 20

const journal = () => {
  const { meter, noted, watched } = noting()
  const { archive, append } = memoryArchive()
  for (let i = 0; i < 3; i += 1) append(newRecord(`device-${i}`))
  let pauses = 0
  const ports = {
    archive: watched(archive, ["list", "records", "checkpoints"]),
    meter,
    signer: testSigner(),
    clock: { now: () => new Date() },
    settings: { issuer: "https://assay.example" },
    breathe: async () => {},
    pause: async () => {
      pauses += 1
      if (pauses > PAUSES_MAX) throw new Error("nothing is told any more")
    },
  }
  return { journal: createJournalUseCases(ports), noted, append, pauses: () => pauses }
}

test("N-07 lists records for the account of who asks", async () => {
  const { journal: useCases, noted } = journal()
  await useCases.records({ filter: {}, max: 10, before: undefined }, OPERATOR)
  assert.equal(noted, [`list for ${OPERATOR.id}`])
})

test("N-07 exports a journal for the account of who asks", async () => {
  const { journal: useCases, noted } = journal()
  const parts = await drained(useCases.exportJournal(OPERATOR))
  assert.is(parts.length, 3)
  const read = noted.filter((one) => !one.endsWith(" for nobody"))
  assert.equal(read, [`checkpoints for ${OPERATOR.id}`, `records for ${OPERATOR.id}`])
})

test("N-07 watches records for the account of who does, and has each look wait until it is asked for", async () => {
  const { journal: useCases, noted, append, pauses } = journal()
  const { signal } = new AbortController()
  const watched = useCases.watchRecords({ device: "device-9" }, OPERATOR, signal)[Symbol.asyncIterator]()
  const turn = async () => (await watched.next()).value?.length
  const read = `records for ${OPERATOR.id}`
  assert.is(await turn(), 0, "from now on")
  append(newRecord("device-3"))
  append(newRecord("device-9"))
  assert.is(await turn(), 1, "at once")
  append(newRecord("device-3"))
  assert.is(await turn(), 0, "before the next look")
  assert.equal(noted, [read])
  assert.is(await turn(), 0, "read, and not wanted")
  assert.equal([noted, pauses()], [[read, read], 1])
})

const withDevices = (
  act: (parts: {
    readonly ports: Ports
    readonly noted: readonly string[]
    readonly view: ReturnType<typeof createViewDevices>
  }) => Promise<void>,
) =>
  withService(async (world) => {
    await keep(
      world,
      Array.from({ length: 40 }, (_, i) => keptDevice(`device-${i}`)),
    )
    const { meter, noted, note, watched } = noting()
    const devices = watched(world.ports.devices, ["list", "enrollmentTokens"])
    const ports = { ...world.ports, meter, devices }
    const view = createViewDevices({
      ...ports,
      clock: ports.clock,
      meter: {
        ...meter,
        run: (who, made) =>
          meter.run(who, () => {
            note("view")
            return made()
          }),
      },
    })
    await act({ ports, noted, view })
  })

test("N-07 lists devices for the account of who asks, and views so many of them at a time", () =>
  withDevices(async ({ ports, noted, view }) => {
    const input = { filter: "", orderBy: "", pageSize: 1000, pageToken: "" }
    const { devices } = await createListDevices(ports, view)(input, OPERATOR)
    assert.is(devices.length, 40)
    assert.equal(
      noted,
      ["list", "view", "view"].map((what) => `${what} for ${OPERATOR.id}`),
    )
  }))

test("N-07 exports devices for the account of who asks", () =>
  withDevices(async ({ ports, noted, view }) => {
    const pages = await drained(createExportDevices(ports, view)("", OPERATOR))
    assert.equal(
      pages.map((page) => Array.isArray(page) && page.length),
      [40],
    )
    assert.equal(noted, [`list for ${OPERATOR.id}`])
  }))

test("N-07 lists enrollment tokens for the account of who asks", () =>
  withDevices(async ({ ports, noted }) => {
    const useCases = createEnrollmentTokenUseCases(ports)
    await useCases.listEnrollmentTokens({ pageSize: 10, pageToken: "" }, OPERATOR)
    assert.equal(noted, [`enrollmentTokens for ${OPERATOR.id}`])
  }))

test.run()
