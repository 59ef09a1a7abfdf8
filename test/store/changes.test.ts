import { setTimeout as after } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createLocalNudges, type Nudges, type ReadRevisions, watchChanges } from "../../src/store/changes.ts"
import { createPostgresNudges } from "../../src/store/nudges-postgres.ts"
import { createRedisNudges } from "../../src/store/nudges-redis.ts"
import { throwsCode } from "../support/assert.ts"
import { useEngineServer, waitUntil } from "../support/engines.ts"
import { newAct, newDevice } from "../support/ports/samples.ts"
import { scratch } from "./folder.ts"

const test = suite("watchChanges")

/** Runs `act` with changes over what the test says is the revision. */
const withChanges = async (
  read: () => Promise<number>,
  act: (changes: ReturnType<typeof watchChanges>) => Promise<void>,
  nudges: Nudges = createLocalNudges(),
): Promise<void> => {
  const readAll: ReadRevisions = async () => ({ tenants: new Map([["default", await read()]]), epoch: 0 })
  const changes = watchChanges(readAll, nudges)
  try {
    await act(changes)
  } finally {
    await changes.close()
  }
}
const isConfirmed =
  ({ unready }: ReturnType<typeof watchChanges>) =>
  (): boolean =>
    unready() === undefined

test("is not confirmed before the first answer, and is after it", () =>
  withChanges(
    async () => 7,
    async (changes) => {
      throwsCode(() => changes.confirmed(), "REVISION_UNCONFIRMED")
      assert.is(changes.latest("default"), 0)
      await waitUntil(1000, isConfirmed(changes))
      changes.confirmed()
      assert.is(changes.latest("default"), 7)
    },
  ))

const silent: [what: string, read: () => Promise<number>][] = [
  ["fails", () => Promise.reject(new Error("gone"))],
  ["does not answer", () => new Promise(() => {})],
  ["goes back to an earlier revision", async () => 3],
]
/** Whether changes over a store that falls silent are doubted in time, and believed again afterwards. */
const fallsSilent = async (what: string, read: () => Promise<number>): Promise<void> => {
  let isSilent = false
  await withChanges(
    async () => (isSilent ? read() : 7),
    async (changes) => {
      await waitUntil(1000, isConfirmed(changes))
      isSilent = true
      const ms = await waitUntil(3500, () => changes.unready() !== undefined)
      assert.ok(ms > 1500, `${what}: ${ms} ms`)
      throwsCode(() => changes.confirmed(), "REVISION_UNCONFIRMED")
      isSilent = false
      await waitUntil(2000, isConfirmed(changes))
      assert.is(changes.latest("default"), 7)
    },
  )
}
test("refuses S-02 to go on for more than two seconds with a store that is silent in whatever way, and recovers", async () => {
  await Promise.all(silent.map(([what, read]) => fallsSilent(what, read)))
})

test("counts an answer from when it was asked for, not from when it came", () => {
  let isFirst = true
  return withChanges(
    async () => {
      if (isFirst) {
        isFirst = false
        return 7
      }
      await after(900)
      return 7
    },
    async (changes) => {
      await waitUntil(500, isConfirmed(changes))
      await after(1700) // by now one slow answer has come, asked for more than 0.9 s before it
      changes.confirmed()
    },
  )
})

test("tells of each later revision once, in its order, and of none that was there", async () => {
  let revision = 7
  const heard: string[] = []
  await withChanges(
    async () => revision,
    async (changes) => {
      const end = changes.subscribe((tenant, one) => heard.push(`${tenant} ${one}`))
      await waitUntil(1000, isConfirmed(changes))
      for (const next of [8, 9, 12]) {
        revision = next
        changes.announce()
        await waitUntil(200, () => changes.latest("default") === next)
      }
      end()
      revision = 13
      changes.announce()
      await waitUntil(200, () => changes.latest("default") === 13)
    },
  )
  assert.equal(heard, ["default 8", "default 9", "default 12"])
})

test("finds out by itself within its quarter of a second", () => {
  let revision = 7
  return withChanges(
    async () => revision,
    async (changes) => {
      await waitUntil(1000, isConfirmed(changes))
      revision = 8
      assert.ok((await waitUntil(1000, () => changes.latest("default") === 8)) < 450)
    },
  )
})

test("asks again where it was nudged during a look, which may have read before", () => {
  let revision = 7
  let release = (): void => {}
  return withChanges(
    async () => {
      const read = revision
      await new Promise<void>((resolve) => {
        release = resolve
      })
      return read
    },
    async (changes) => {
      await after(10)
      revision = 8
      changes.announce()
      release()
      await after(10)
      release()
      await waitUntil(150, () => changes.latest("default") === 8)
    },
  )
})

test("hears of each tenant apart, and of those that come later", async () => {
  const revisions = new Map([["default", 3]])
  const heard: string[] = []
  const changes = watchChanges(async () => ({ tenants: new Map(revisions), epoch: 0 }), createLocalNudges())
  changes.subscribe((tenant, revision) => heard.push(`${tenant} ${revision}`))
  try {
    await waitUntil(1000, isConfirmed(changes))
    assert.equal([changes.latest("default"), changes.latest("other")], [3, 0])
    revisions.set("other", 1)
    changes.announce()
    await waitUntil(200, () => changes.latest("other") === 1)
    assert.equal(heard, ["other 1"])
  } finally {
    await changes.close()
  }
})

test("confirms nothing any more once a backup was restored, whatever it hears afterwards", async () => {
  let epoch = 3
  let revision = 7
  const changes = watchChanges(
    async () => ({ tenants: new Map([["default", revision]]), epoch }),
    createLocalNudges(),
  )
  try {
    await waitUntil(1000, isConfirmed(changes))
    for (const [heard, next] of [
      [4, 9],
      [3, 10],
    ] as const) {
      epoch = heard
      revision = next
      await changes.look()
      throwsCode(() => changes.confirmed(), "REVISION_UNCONFIRMED")
      assert.match(changes.unready() ?? "", /restored/)
    }
    assert.is(changes.latest("default"), 7)
  } finally {
    await changes.close()
  }
})

/** What a service has heard of which a process is a part, and what the store says when that begins. */
const lost: [what: string, epoch: number, revision: number, reason: RegExp][] = [
  ["the store went back to an earlier revision", 3, 6, /could not be confirmed/],
  ["a backup was restored into the store", 4, 9, /restored/],
]
for (const [what, epoch, revision, reason] of lost)
  test(`confirms S-02 nothing in a process that begins after ${what}`, async () => {
    const known = { tenants: new Map([["default", 7]]), epoch: 3 }
    const read: ReadRevisions = async () => ({ tenants: new Map([["default", revision]]), epoch })
    const changes = watchChanges(read, createLocalNudges(), known)
    try {
      await changes.look()
      const { actual } = throwsCode(() => changes.confirmed(), "REVISION_UNCONFIRMED")
      assert.is(actual, "never")
      assert.match(changes.unready() ?? "", reason)
      assert.equal(changes.known(), known, "for one that begins after it")
    } finally {
      await changes.close()
    }
  })

test("goes on by what its service has heard, and tells of what has changed since", async () => {
  const known = { tenants: new Map([["default", 7]]), epoch: 3 }
  const heard: string[] = []
  const changes = watchChanges(
    async () => ({ tenants: new Map([["default", 8]]), epoch: 3 }),
    createLocalNudges(),
    known,
  )
  changes.subscribe((tenant, revision) => heard.push(`${tenant} ${revision}`))
  try {
    await changes.look()
    changes.confirmed()
    assert.equal(heard, ["default 8"])
    assert.is(changes.known()?.tenants.get("default"), 8)
  } finally {
    await changes.close()
  }
})

const { store } = scratch(test)
test("hears at once what this process changes in the embedded store, and of no other tenant's", async () => {
  const { revisions, registry, onChange } = store()
  const changes = watchChanges(revisions, createLocalNudges())
  onChange(changes.announce)
  try {
    await waitUntil(1000, isConfirmed(changes))
    const before = changes.latest("default")
    await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
    await waitUntil(100, () => changes.latest("default") > before)
    assert.is(changes.latest("other"), 0)
  } finally {
    await changes.close()
  }
})

for (const kind of ["redis", "postgres"] as const) {
  const { server, onServer } = useEngineServer(test, kind)
  const create = (): Nudges =>
    kind === "redis" ? createRedisNudges(server.url) : createPostgresNudges(server.url)

  onServer(`${kind} nudges every replica at once, also after its server was restarted`, async () => {
    const heard = [0, 0, 0]
    const nudges = heard.map(create)
    nudges.forEach((one, i) => {
      one.listen(() => {
        heard[i] = (heard[i] ?? 0) + 1
      })
    })
    try {
      for (const round of ["at first", "after a restart"]) {
        await waitUntil(5000, () => heard.every((count) => count > 0)) // each hears once that it listens
        await after(50)
        heard.fill(0)
        nudges[1]?.send()
        const ms = await waitUntil(1000, () => heard.every((count) => count > 0))
        assert.ok(ms < 200, `${round}: ${ms} ms`)
        if (round === "at first") {
          await server.kill()
          await after(100)
          heard.fill(0)
          await server.start()
        }
      }
    } finally {
      await Promise.all(nudges.map((one) => one.close()))
    }
  })
}

test.run()
