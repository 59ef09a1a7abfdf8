import { spawn } from "node:child_process"
import { DatabaseSync } from "node:sqlite"
import { setTimeout as sleep } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AssayError } from "../../src/errors.ts"
import { DeviceMemory } from "../../src/store/held-devices.ts"
import { type CommitGroup, createJournal } from "../../src/store/journal.ts"
import { createChainWriter } from "../../src/store/journal-append.ts"
import { commitGroup } from "../../src/store/journal-commit.ts"
import { fromMessage, outcomeOf, toMessage, writtenMessage } from "../../src/store/journal-message.ts"
import { startJournalThread } from "../../src/store/journal-thread.ts"
import { openServedStore } from "../../src/store/sqlite.ts"
import { openSqlite, sqliteDatabase } from "../../src/store/sqlite-database.ts"
import { createStore, type Store } from "../../src/store/store.ts"
import { Turns } from "../../src/store/turns.ts"
import { forgetUndone } from "../../src/store/undone.ts"
import { createJournalVerifier } from "../../src/verification/journal/verify.ts"
import { rejectsCode } from "../support/assert.ts"
import { openEmptySqlite } from "../support/database.ts"
import { verifyBy } from "../support/journal.ts"
import { journalConformance } from "../support/ports/journal.ts"
import { newAct, newCommit, newDevice, newPolicy, newRecord } from "../support/ports/samples.ts"
import { scratch } from "./folder.ts"

const test = suite("journal thread")
const stores: Pick<Store, "close">[] = []
// Before the folder goes that they are in.
test.after(async () => {
  for (const store of stores) await store.close()
})
const { path } = scratch(test)
const served = (file = path()): Store => {
  const store = openServedStore(file)
  stores.push(store)
  return store
}

/**
 * A store whose groups go the way to a thread and back, to a connection of its own, without one: to start one takes longer than
 * most tests.
 */
journalConformance(test, "messages", () => {
  const at = path()
  const [main, own] = [openEmptySqlite(at), openSqlite(at)]
  own.exec("PRAGMA synchronous = OFF")
  const [chains, memory] = [createChainWriter("local"), new DeviceMemory()]
  const database = forgetUndone(sqliteDatabase(own), chains, memory)
  const commit: CommitGroup = async (entries) => {
    const { bytes, refusals } = toMessage(entries)
    const group = fromMessage(structuredClone(bytes, { transfer: [bytes.buffer] }))
    const outcome = await database.write(() => commitGroup(chains, group, memory))
    return outcomeOf(structuredClone(writtenMessage(outcome)), refusals)
  }
  const store = createStore(sqliteDatabase(main), {
    writer: "local",
    thread: { commit, close: () => database.close() },
  })
  stores.push(store)
  return store
})

/** Waits until it is so, and fails if it never is. */
const until = async (isSo: () => boolean | Promise<boolean>): Promise<void> => {
  for (let i = 0; !(await isSo()); i += 1) {
    assert.ok(i < 500, "it never came to it")
    await sleep(10)
  }
}
/** What comes of it, if that comes soon: a test must end. */
const soon = <T>(promise: Promise<T>): Promise<T> =>
  Promise.race([
    promise,
    sleep(2000, undefined, { ref: false }).then(() => Promise.reject(new Error("nothing"))),
  ])
const entry = (i: number) => ({ record: newRecord(`device-${i}`), commit: undefined })

test("leaves the event loop alone while the disk is waited for", async () => {
  const { journal } = served()
  await journal.append(newRecord("device-0"))
  let turns = 0
  let isOver = false
  const counting = (async () => {
    while (!isOver) {
      turns += 1
      await new Promise((resolve) => setImmediate(resolve))
    }
  })()
  for (let i = 0; i < 20; i += 1) await journal.append(newRecord(`device-${i}`))
  isOver = true
  await counting
  // One that waited for the disk would have had some turns for each append.
  assert.ok(turns > 200, `${turns} turns`)
})

test("lets an act wait for the thread, and not the event loop", async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const store = openServedStore(path(), () => ({
    commit: async (group) => {
      await promise
      return group.map(() => undefined)
    },
    close: async () => {},
  }))
  const appended = store.journal.append(newRecord("device-1"))
  await sleep(5)
  let isDone = false
  const act = store.registry.registerDevice(newDevice("device-1"), newAct("register-device")).then(() => {
    isDone = true
  })
  await sleep(20)
  const wasDone = isDone
  resolve()
  await Promise.all([appended, act])
  await store.close()
  assert.not(wasDone)
})

test("takes turns with acts, in one chain without a gap", async () => {
  const { registry, journal, archive } = served()
  await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
  await Promise.all(
    Array.from({ length: 200 }, (_, i) =>
      i % 10 === 0
        ? registry.setPolicy(newPolicy("base", `document ${i}`), newAct("set-policy"))
        : journal.append(newRecord("device-1"), newCommit({ known: false })).catch((error: unknown) => {
            // A policy is assigned to nobody here, so nothing is in the way.
            throw error
          }),
    ),
  )
  const [chain] = await archive.chains("default")
  const verifier = createJournalVerifier({
    tenant: "default",
    issuer: undefined,
    verify: verifyBy(),
    heads: [],
  })
  for (const record of await archive.records("default", chain?.writer ?? "", 0, 1000))
    verifier.take({ kind: "record", ...record })
  assert.is(verifier.end().records, 201)
})

test("resolves only when the record is in the file", async () => {
  const file = path()
  const { journal } = served(file)
  await journal.append(newRecord("device-1"))
  const reader = new DatabaseSync(file)
  assert.is(reader.prepare("SELECT count(*) AS n FROM journal").get()?.["n"], 1)
  reader.close()
})

test("refuses while another process holds the file, and goes on when it is free", async () => {
  const file = path()
  const store = served(file)
  await store.journal.append(newRecord("device-0"))
  const other = new DatabaseSync(file)
  other.exec("BEGIN IMMEDIATE")
  const error = await rejectsCode(() => store.journal.append(newRecord("device-1")), "JOURNAL")
  assert.match(String(error.cause), /locked/)
  assert.match((await store.unready()) ?? "", /locked/)
  other.exec("ROLLBACK")
  other.close()
  await until(async () => (await store.unready()) === undefined)
  await store.journal.append(newRecord("device-2"))
  assert.is((await store.journal.records("default")).length, 2)
})

test("opens the file while another writes to it", async () => {
  const file = path()
  openSqlite(file).close()
  const other = new DatabaseSync(file)
  other.exec("BEGIN IMMEDIATE")
  openSqlite(file).close()
  other.exec("ROLLBACK")
  other.close()
})

test("looks whether anything can be written by writing", async () => {
  const file = path()
  const database = sqliteDatabase(openSqlite(file))
  const chains = createChainWriter("local")
  await database.write(() => commitGroup(chains, [entry(0)]))
  const reader = new DatabaseSync(file)
  const version = () => reader.prepare("PRAGMA data_version").get()?.["data_version"]
  const before = version()
  await database.write(() => commitGroup(chains, []))
  assert.is.not(version(), before)
  reader.close()
  await database.close()
})

test("writes what waits when it is closed", async () => {
  const file = path()
  const { journal, close } = openServedStore(file)
  const appended = [journal.append(newRecord("device-1")), journal.append(newRecord("device-2"))]
  await close()
  await Promise.all(appended)
  const { journal: again } = served(file)
  assert.is((await again.records("default")).length, 2)
  await rejectsCode(() => journal.append(newRecord("device-3")), "JOURNAL")
})

test("is not ready S-08 when the thread dies, lets nothing out, and starts it again", async () => {
  const file = path()
  const thread = startJournalThread(
    { path: file, writer: "local" },
    new URL("./threads/dying.ts", import.meta.url),
  )
  stores.push(thread)
  const journal = createJournal(sqliteDatabase(openSqlite(file)), thread.commit)
  await journal.append(newRecord("device-1"))
  // It writes the next one, and dies before it says so.
  await rejectsCode(() => soon(journal.append(newRecord("die"))), "JOURNAL")
  assert.match(journal.unready() ?? "", /thread/)
  await rejectsCode(() => journal.append(newRecord("device-3")), "JOURNAL")
  await until(() => journal.unready() === undefined)
  await journal.append(newRecord("device-4"))
  assert.equal(
    (await journal.records("default")).map(({ device }) => device),
    ["device-1", "die", "device-4"],
  )
})

test("is refused S-08 by a thread that cannot even open the file, again and again", async () => {
  const thread = startJournalThread({ path: "/dev/null/assay.db", writer: "local" })
  stores.push(thread)
  for (let i = 0; i < 3; i += 1) {
    const error = await soon(thread.commit([entry(i)])).then(
      () => undefined,
      (cause: unknown) => cause,
    )
    assert.match(String(error), /thread/)
    await sleep(20)
  }
})

test("is not ready S-08 while the disk does not answer, refuses all at once, and goes on when it does", async () => {
  const answers: (() => void)[] = []
  const database = sqliteDatabase(openSqlite(path()))
  const journal = createJournal(
    database,
    (group) => new Promise((resolve) => answers.push(() => resolve(group.map(() => undefined)))),
    { commitMs: 30 },
  )
  const first = journal.append(newRecord("device-1"))
  await sleep(5)
  const second = journal.append(newRecord("device-2"))
  await rejectsCode(() => soon(first), "JOURNAL")
  await rejectsCode(() => soon(second), "JOURNAL")
  await rejectsCode(() => journal.append(newRecord("device-3")), "JOURNAL")
  assert.match(journal.unready() ?? "", /nothing was written for 5 s: the disk .*, or whoever else writes/)
  assert.is(answers.length, 1)
  await journal.flush()
  answers[0]?.()
  await until(() => journal.unready() === undefined)
  const later = journal.append(newRecord("device-4"))
  await until(() => answers.length === 2)
  answers[1]?.()
  await later
  await database.close()
})

test("refuses an act S-08 for which the disk has no time, and goes on with the next", async () => {
  const turns = new Turns(1, 30)
  const database = sqliteDatabase(openSqlite(path()), turns)
  const { registry } = createStore(database, { writer: "local" })
  const { promise, resolve } = Promise.withResolvers<void>()
  const stuck = turns.take(() => promise)
  await rejectsCode(
    () => registry.registerDevice(newDevice("device-1"), newAct("register-device")),
    "REGISTRY",
  )
  resolve()
  await stuck
  await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
  await database.close()
})

test("lets no more than so many wait, and tells the rest at once", async () => {
  const database = sqliteDatabase(openSqlite(path()))
  const { promise, resolve } = Promise.withResolvers<void>()
  const journal = createJournal(
    database,
    async (group) => {
      await promise
      return group.map(() => undefined)
    },
    { waitingMax: 3 },
  )
  const first = journal.append(newRecord("device-0"))
  await sleep(5)
  const waiting = [1, 2, 3].map((i) => journal.append(newRecord(`device-${i}`)))
  await rejectsCode(() => journal.append(newRecord("device-4")), "JOURNAL")
  resolve()
  await Promise.all([first, ...waiting])
  await database.close()
})

/** What becomes of a journal's groups as soon as they are begun: their sizes. */
const paced = async (paceMs: number, utilization = 1) => {
  const database = sqliteDatabase(openSqlite(path()))
  const sizes: number[] = []
  const commit: CommitGroup = async (group) => {
    sizes.push(group.length)
    return group.map(() => undefined)
  }
  const journal = createJournal(database, commit, { paceMs, utilization: () => utilization })
  const append = (i: number) => journal.append(newRecord(`device-${i}`))
  return { append, sizes, flush: journal.flush, close: database.close }
}

test("shares groups among all that come in some milliseconds while there are many", async () => {
  const { append, sizes, close } = await paced(100)
  await Promise.all([1, 2, 3].map(append))
  const beganMs = performance.now()
  const later: Promise<void>[] = []
  for (let i = 0; i < 5; i += 1) {
    later.push(append(i))
    await sleep(5)
  }
  await Promise.all(later)
  const tookMs = performance.now() - beganMs
  assert.equal([sizes.length, sizes[0]], [2, 3], `${sizes} in ${tookMs} ms`)
  assert.ok(tookMs > 80, `${tookMs} ms`)
  await close()
})

test("lets nobody wait for others that do not come", async () => {
  const { append, sizes, close } = await paced(60_000)
  for (let i = 0; i < 5; i += 1) await Promise.all([append(i), append(i)])
  assert.equal(sizes, [2, 2, 2, 2, 2])
  await close()
})

test("waits for nothing while there is time for all of it", async () => {
  const { append, sizes, close } = await paced(60_000, 0.4)
  for (let i = 0; i < 5; i += 1) await Promise.all([1, 2, 3, 4].map(append))
  assert.equal(sizes, [4, 4, 4, 4, 4])
  await close()
})

test("waits for less the more time is left", async () => {
  const { append, sizes, close } = await paced(400, 0.6)
  await Promise.all([1, 2, 3].map(append))
  const beganMs = performance.now()
  await append(4)
  const tookMs = performance.now() - beganMs
  assert.equal(sizes, [3, 1])
  assert.ok(tookMs > 60 && tookMs < 300, `${tookMs} ms`)
  await close()
})

test("does not wait for more when it is flushed", async () => {
  const { append, sizes, flush, close } = await paced(60_000)
  await Promise.all([1, 2, 3].map(append))
  const last = append(4)
  await flush()
  await last
  assert.equal(sizes, [3, 1])
  await close()
})

test("gives refusals back as they were made", async () => {
  const { journal } = served()
  const error = await rejectsCode(() => journal.append(newRecord("device-1"), newCommit()), "SNAPSHOT_MOVED")
  assert.instance(error, AssayError)
  assert.match(error.message, /changed while the evidence was judged/)
  assert.is(error.challenge, "none")
  const cause = await rejectsCode(() => journal.append(newRecord("device-\ud800")), "JOURNAL")
  assert.match(String(cause.cause), /UTF-8/)
})

test("writes nothing S-07 on a full disk, is not ready, and goes on by itself when there is room", async () => {
  const file = path()
  openSqlite(file).close()
  // What the process may write to a file is what its disk has left.
  const child = spawn(
    "/bin/sh",
    [
      "-c",
      `trap '' XFSZ; ulimit -Sf 1024; exec ${process.execPath} ${import.meta.dirname}/threads/full.ts ${file}`,
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  )
  const ended = new Promise((resolve) => child.on("close", resolve))
  let told = ""
  child.stdout.on("data", (chunk: Buffer) => {
    told += chunk.toString()
  })
  await until(() => /full|I\/O|large/.test(told))
  const written = [...told.matchAll(/^written (\d+)$/gm)].length
  spawn("prlimit", ["--pid", String(child.pid), "--fsize=unlimited"])
  await until(() => told.includes("ready again"))
  child.stdin.end()
  await ended
  const { journal } = served(file)
  const records = await journal.records("default", { limit: 1000 })
  assert.ok(written > 0)
  assert.is(records.length, [...told.matchAll(/^written (\d+)$/gm)].length, told)
})

test.run()
