import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createChainWriter } from "../../src/store/journal-append.ts"
import { commitGroup } from "../../src/store/journal-commit.ts"
import { openSqlite, sqliteDatabase } from "../../src/store/sqlite-database.ts"
import { forgetUndone } from "../../src/store/undone.ts"
import { newRecord } from "../support/ports/samples.ts"
import { scratch } from "./folder.ts"

const test = suite("forgetUndone")
const { path } = scratch(test)

/** One of the connections that write the same chain. */
const connection = (file: string) => {
  const chains = createChainWriter("local")
  const engine = sqliteDatabase(openSqlite(file))
  const database = forgetUndone(engine, chains)
  const work = (device: string) => commitGroup(chains, [{ record: newRecord(device), commit: undefined }])
  return {
    append: (device: string) => database.write(() => work(device)),
    /** As when the disk takes all but the commit. */
    fail: (device: string) =>
      database.write(function* () {
        yield* work(device)
        throw new Error("disk full")
      }),
    close: () => engine.close(),
    chains,
  }
}
const failed = (act: Promise<unknown>): Promise<unknown> =>
  act.then(
    () => "done",
    (error: Error) => error.message,
  )

test("goes on from what others wrote in the place of what was undone", async () => {
  const file = path()
  const [one, other] = [connection(file), connection(file)]
  await one.append("device-1")
  assert.is(await failed(one.fail("device-2")), "disk full")
  await other.append("device-3")
  await one.append("device-4")
  await Promise.all([one.close(), other.close()])
})

test("goes on when two that waited for each other were undone", async () => {
  const file = path()
  const [one, other] = [connection(file), connection(file)]
  await one.append("device-1")
  assert.equal(await Promise.all([failed(one.fail("device-2")), failed(one.fail("device-3"))]), [
    "disk full",
    "disk full",
  ])
  await other.append("device-4")
  await one.append("device-5")
  await Promise.all([one.close(), other.close()])
})

test("S-07 still refuses a chain that was written anew from what an undone one had found", async () => {
  const file = path()
  const one = connection(file)
  await one.append("device-1")
  assert.is(await failed(one.fail("device-2")), "disk full")
  const beside = openSqlite(file)
  beside.exec("UPDATE journal_heads SET hash = zeroblob(32)")
  beside.close()
  assert.match(String(await failed(one.append("device-3"))), /not the one that was written/)
  await one.close()
})

test("keeps what was committed when one fails that appended nothing", async () => {
  const file = path()
  const one = connection(file)
  await one.append("device-1")
  const known = [...one.chains.known]
  await failed(
    forgetUndone(sqliteDatabase(openSqlite(file)), one.chains).write(() => {
      throw new Error("refused")
    }),
  )
  assert.equal([...one.chains.known], known)
  await one.close()
})

test.run()
