/** What is large goes by the journal's thread: long revocation lists and event logs. */
import { setTimeout as sleep } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Act, TrustImport } from "../../src/service/ports.ts"
import { type JournalThread, type Large, startJournalThread } from "../../src/store/journal-thread.ts"
import { openServedStore } from "../../src/store/sqlite.ts"
import type { Store } from "../../src/store/store.ts"
import { rejectsCode } from "../support/assert.ts"
import { idOf } from "../support/endorsed.ts"
import { logDigest } from "../support/logs.ts"
import { newAct, newCommit, newDevice, newRecord } from "../support/ports/samples.ts"
import { scratch } from "./folder.ts"

const MIB = 1024 * 1024
const test = suite("what is large")
const stores: Store[] = []
test.after(async () => {
  for (const store of stores) await store.close()
})
const { path } = scratch(test)

/** A store, and what its thread was asked for beside groups. Without a thread that does that, it fails as one that is gone. */
const watched = (isThere = true) => {
  const asked: string[] = []
  const store = openServedStore(path(), (start): JournalThread => {
    const { commit, large, close } = startJournalThread(start)
    const through =
      <A extends readonly unknown[], T>(kind: string, act: (...args: A) => Promise<T>) =>
      (...args: A): Promise<T> => {
        asked.push(kind)
        return isThere ? act(...args) : Promise.reject(new Error("the journal's thread is not there"))
      }
    const seen: Large = {
      keepLogs: through("logs", large.keepLogs),
      trust: through("trust", large.trust),
      importTrust: through("import", large.importTrust),
    }
    return { commit, large: seen, close }
  })
  stores.push(store)
  return { store, asked }
}
/** A list of so many bytes. Whether it is one, nobody asks here. */
const listOf = (size: number, source = "import:a") => {
  const crl = new Uint8Array(size).fill(size % 251)
  return { source, id: idOf(crl), crl }
}
const importOf = (...crls: TrustImport["crls"]): TrustImport => ({
  anchors: [],
  intermediates: [],
  crls,
  eks: [],
})
const act = (): Act => newAct("import-trust")

test("imports and reads a long list by the thread, as a short one without it, and keeps what it was given", async () => {
  for (const [size, expected] of [
    [1000, []],
    [3 * MIB, ["import", "trust"]],
  ] as const) {
    const { store, asked } = watched()
    let changes = 0
    store.onChange(() => {
      changes += 1
    })
    const list = listOf(size)
    const copy = list.crl.slice()
    assert.equal(await store.trust.importTrust("default", importOf(list), act()), {
      ...{ generation: 1, added: 1, changed: 0 },
    })
    const { generation, crls } = await store.trust.trust("default")
    assert.equal([generation, crls.length, crls[0]?.source, crls[0]?.id], [1, 1, list.source, list.id])
    assert.equal(crls[0]?.crl, copy)
    assert.equal(list.crl, copy, "it was taken away from whoever imports it")
    assert.equal([asked, changes], [expected, 1])
    const [record] = await store.journal.records("default")
    assert.equal([record?.act, record?.revisions?.trust], ["import-trust", 1])
  }
})
test("refuses S-04 what was judged before a long list that the same thread has imported", async () => {
  const { store, asked } = watched()
  await store.registry.registerDevice(newDevice("device-1"), newAct("register-device"))
  const append = (trust: number, known = true) =>
    store.journal.append(
      newRecord("device-1"),
      newCommit({ revisions: { device: 1, policy: undefined, trust }, known }),
    )
  await append(0, false)
  await append(0)
  await store.trust.importTrust("default", importOf(listOf(2 * MIB)), act())
  assert.equal(asked, ["import"])
  await rejectsCode(() => append(0), "SNAPSHOT_MOVED")
  await append(1)
})

test("leaves the event loop alone while a long list is written and read", async () => {
  const { store } = watched()
  const list = listOf(24 * MIB)
  let longestMs = 0
  let isOver = false
  const look = (): void => {
    const since = process.threadCpuUsage()
    if (!isOver)
      setImmediate(() => {
        const { user, system } = process.threadCpuUsage(since)
        longestMs = Math.max(longestMs, (user + system) / 1000)
        look()
      })
  }
  look()
  await store.trust.importTrust("default", importOf(list), act())
  await store.trust.trust("default")
  isOver = true
  // On this thread it would be a tenth of a second.
  assert.ok(longestMs < 50, `${longestMs} ms`)
})
test("refuses by the thread what is refused without it, with the same codes", async () => {
  const { store, asked } = watched()
  const list = listOf(2 * MIB)
  const wrong = { ...list, id: idOf(Uint8Array.of(1)) }
  await rejectsCode(() => store.trust.importTrust("default", importOf(wrong), act()), "REGISTRY")
  await rejectsCode(() => store.trust.importTrust("default", importOf(list), act(), 7), "SNAPSHOT_MOVED")
  assert.equal(asked, ["import", "import"])
  assert.is((await store.trust.trustState("default")).generation, 0)
})
test("is refused by a thread that is gone, and nothing is read or written by halves", async () => {
  const { store } = watched(false)
  await rejectsCode(() => store.trust.importTrust("default", importOf(listOf(2 * MIB)), act()), "REGISTRY")
  assert.equal((await store.trust.trust("default")).crls, [])
})
test("keeps event logs by the thread, and finds them", async () => {
  const { store, asked } = watched()
  const device = newDevice("device-1")
  await store.registry.registerDevice(device, newAct("register-device"))
  const owner = { tenant: "default", device: "device-1", akName: device.akName }
  const logs = Array.from({ length: 3 }, (_, i) => new Uint8Array(MIB).fill(i + 1))
  for (const bytes of logs) store.logs.note(owner, { digest: logDigest(bytes), bytes }, new Date())
  await store.logs.flush()
  assert.equal([asked, store.logs.dropped], [["logs"], 0])
  const [last = new Uint8Array()] = logs.slice(-1)
  assert.equal(await store.logs.log("default", logDigest(last)), last)
  assert.ok((await store.logs.shown(owner, logDigest(last))) !== undefined)
  assert.is(last.length, MIB, "it was taken away from whoever shows it")
})
for (const kind of ["logs", "a list"] as const)
  test(`lets an act wait while the thread writes ${kind}, and not the event loop`, async () => {
    const written = Promise.withResolvers<void>()
    const store = openServedStore(path(), (start): JournalThread => {
      const { commit, large, close } = startJournalThread(start)
      const slowly = {
        ...large,
        keepLogs: () => written.promise,
        importTrust: async () => {
          await written.promise
          return { generation: 1, added: 1, changed: 0 }
        },
      }
      return { commit, large: slowly, close }
    })
    stores.push(store)
    const owner = { tenant: "default", device: "device-1", akName: newDevice("device-1").akName }
    const bytes = Uint8Array.of(1)
    store.logs.note(owner, { digest: logDigest(bytes), bytes }, new Date())
    const writing =
      kind === "logs"
        ? store.logs.flush()
        : store.trust.importTrust("default", importOf(listOf(2 * MIB)), act())
    let isDone = false
    const later = store.registry.registerDevice(newDevice("device-1"), newAct("register-device")).then(() => {
      isDone = true
    })
    await sleep(20)
    const wasDone = isDone
    written.resolve()
    await Promise.all([writing, later])
    assert.not(wasDone)
  })

test.run()
