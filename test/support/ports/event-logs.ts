import { hash } from "node:crypto"
import * as assert from "uvu/assert"
import { utf8 } from "../../../src/bytes.ts"
import type { Devices, LogOwner, Registry } from "../../../src/service/ports.ts"
import type { LogOptions, StoredLogs } from "../../../src/store/event-logs.ts"
import type { Awaitable, Check } from "./check.ts"
import { afterNoon, digestOf, NOON, newAct, newDevice } from "./samples.ts"

/** A store of logs, and of the devices that show them. */
export interface LogsUnderTest {
  readonly logs: StoredLogs
  readonly registry: Registry
  readonly devices: Devices
}

/** A log of `size` bytes that begins with its name. A store does not look into it. */
export const sampleLog = (name: string, size = 100) => {
  const bytes = new Uint8Array(size)
  bytes.set(utf8(name))
  return { bytes, digest: new Uint8Array(hash("sha256", bytes, "buffer")) }
}

const ownerOf = (device: string, change: Partial<LogOwner> = {}): LogOwner => ({
  tenant: "default",
  device,
  akName: digestOf(`name of ${device}`),
  ...change,
})

/** What every store of logs does. `create` makes an empty one for each test. */
export const eventLogsConformance = (
  test: Check,
  name: string,
  create: (options: LogOptions) => Awaitable<LogsUnderTest>,
): void => {
  const check = (
    behavior: string,
    body: (store: LogsUnderTest) => Promise<void>,
    options: LogOptions = {},
  ): void =>
    test(`${name} ${behavior}`, async () => {
      const store = await create({ delayMs: 60_000, ...options })
      for (const tenant of ["default", "other"])
        for (const id of ["a", "b", "c"])
          await store.registry.registerDevice(newDevice(id, { tenant }), newAct("register-device"))
      await body(store)
    })
  const [a, b, c] = [ownerOf("a"), ownerOf("b"), ownerOf("c")]
  const [one, two, three] = [sampleLog("one"), sampleLog("two"), sampleLog("three")]
  /** Which of the logs the device is known to have shown and is still kept. */
  const kept = async ({ logs }: LogsUnderTest, owner: LogOwner): Promise<string[]> => {
    const names: string[] = []
    for (const [name, log] of Object.entries({ one, two, three }))
      if ((await logs.shown(owner, log.digest)) && (await logs.log(owner.tenant, log.digest)))
        names.push(name)
    return names
  }

  check("finds a log before it is written and afterwards, with when it was noted", async ({ logs }) => {
    assert.is(await logs.shown(a, one.digest), undefined)
    assert.is(await logs.log("default", one.digest), undefined)
    logs.note(a, one, NOON)
    for (const _ of ["waiting", "written"]) {
      assert.equal(await logs.shown(a, one.digest), NOON)
      assert.equal(await logs.log("default", one.digest), one.bytes)
      await logs.flush()
    }
    logs.note(a, one, afterNoon(1))
    await logs.flush()
    assert.equal(await logs.shown(a, one.digest), afterNoon(1))
    assert.is(logs.dropped, 0)
  })

  check("knows C-01 a log of nobody else, under no other key and in no other tenant", async ({ logs }) => {
    const others = [
      b,
      ownerOf("a", { tenant: "other" }),
      ownerOf("a", { akName: digestOf("another key") }),
      ownerOf("a", { akName: b.akName }),
      ownerOf("", { akName: a.akName }),
      ownerOf("A", { akName: a.akName }),
    ]
    logs.note(a, one, NOON)
    for (const _ of ["waiting", "written"]) {
      for (const other of others) assert.is(await logs.shown(other, one.digest), undefined)
      assert.is(await logs.log("other", one.digest), undefined)
      assert.is(await logs.shown(a, two.digest), undefined)
      await logs.flush()
    }
  })

  check(
    "keeps a log that devices share once, and one that is used is not the oldest",
    async (store) => {
      const { logs } = store
      logs.note(a, one, NOON)
      logs.note(b, one, afterNoon(1))
      logs.note(b, two, afterNoon(2))
      await logs.flush()
      assert.equal([await kept(store, a), await kept(store, b)], [["one"], ["one", "two"]])
      logs.note(a, one, afterNoon(3))
      await logs.flush()
      logs.note(c, three, afterNoon(4))
      await logs.flush()
      assert.equal(
        [await kept(store, a), await kept(store, b), await kept(store, c)],
        [["one"], ["one"], ["three"]],
      )
    },
    { bounds: { logs: 2 } },
  )

  check(
    "keeps no more bytes of a tenant than it may, and leaves other tenants alone",
    async (store) => {
      const { logs } = store
      const other = ownerOf("a", { tenant: "other" })
      logs.note(other, one, NOON)
      logs.note(a, one, afterNoon(1))
      logs.note(b, two, afterNoon(2))
      await logs.flush()
      logs.note(c, three, afterNoon(3))
      await logs.flush()
      assert.equal(
        [await kept(store, a), await kept(store, b), await kept(store, c)],
        [[], ["two"], ["three"]],
      )
      assert.equal(await kept(store, other), ["one"])
    },
    { bounds: { bytes: 250 } },
  )

  for (const [what, bounds] of [
    ["logs", { logs: 2 }],
    ["bytes", { bytes: 250 }],
  ] as const)
    check(
      `C-06 keeps no more ${what} of a tenant than it may of those that are written together, and of each tenant its own`,
      async (store) => {
        const other = ownerOf("a", { tenant: "other" })
        store.logs.note(other, one, NOON)
        for (const round of [1, 2]) {
          for (const [i, owner] of [a, b, c].entries())
            for (const [j, log] of [one, two, three].entries())
              if (i === j) store.logs.note(owner, log, afterNoon(10 * round + i))
          await store.logs.flush()
          const all = [await kept(store, a), await kept(store, b), await kept(store, c)].flat()
          assert.is(all.length, 2, `round ${round}: ${all}`)
          assert.equal(await kept(store, other), ["one"])
        }
      },
      { bounds },
    )

  for (const [what, bounds] of [
    ["more logs", { deviceLogs: 2 }],
    ["more bytes", { deviceBytes: 250 }],
  ] as const)
    check(
      `forgets of a device with ${what} than it may have what it used least lately, and of others nothing`,
      async (store) => {
        const { logs } = store
        logs.note(b, one, NOON)
        for (const [i, log] of [one, two, three].entries()) logs.note(a, log, afterNoon(i))
        await logs.flush()
        assert.equal([await kept(store, a), await kept(store, b)], [["two", "three"], ["one"]])
      },
      { bounds },
    )

  check("forgets whose logs they were of a device that is removed", async ({ logs, devices }) => {
    logs.note(a, one, NOON)
    await logs.flush()
    await devices.remove("default", "a", undefined, newAct("delete-device"))
    assert.is(await logs.shown(a, one.digest), undefined)
    logs.note(a, two, NOON)
    await logs.flush()
    assert.is(await logs.shown(a, two.digest), undefined)
  })

  check(
    "keeps C-04 nothing of a log that was shown under a key that the device does not have any more",
    async ({ logs }) => {
      const other = ownerOf("a", { akName: digestOf("another key") })
      logs.note(other, one, NOON)
      await logs.flush()
      assert.is(await logs.shown(other, one.digest), undefined)
      assert.is(await logs.shown(a, one.digest), undefined)
    },
  )

  check("lets go of what nobody has time to write", async ({ logs }) => {
    for (let i = 0; i < 1100; i++) logs.note(a, sampleLog(`log ${i}`), afterNoon(i))
    assert.is(logs.dropped, 100)
    await logs.flush()
    assert.equal(await logs.shown(a, sampleLog("log 999").digest), afterNoon(999))
  })
}
