import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { readConfig } from "../../src/config.ts"
import { createRandom } from "../../src/keys/random.ts"
import { prepareTrust, softwareMaker } from "../../src/main/trust.ts"
import { createLog } from "../../src/main.ts"
import { openSqliteStore } from "../../src/store/sqlite.ts"
import type { Store } from "../../src/store/store.ts"
import { inFolder } from "../server/fake.ts"
import { newAct } from "../support/ports/samples.ts"

const test = suite("prepareTrust")
const tools = { random: createRandom(), log: createLog("silent") }
const clock = { now: () => new Date() }
const config = (development: boolean) => readConfig({ development }, {}, undefined)
const anchorsOf = async ({ trust }: Store): Promise<string[]> =>
  (await trust.trust("default")).anchors.map(({ id }) => id)

test("trusts the maker of a folder in each new store, and not again where it was taken away", () =>
  inFolder(async (folder) => {
    const stores = ["one.db", "two.db"].map((name) => openSqliteStore(join(folder, name)))
    try {
      const prepare = async (store: Store, development = true): Promise<number> => {
        await prepareTrust(config(development), folder, { clock, trust: store.trust }, tools)
        return (await anchorsOf(store)).length
      }
      for (const store of stores) assert.is(await prepare(store), 1)
      const maker = softwareMaker(folder)
      const [one, two] = stores
      if (one === undefined || two === undefined) throw new TypeError("two stores are there")
      assert.equal(await anchorsOf(one), await anchorsOf(two))
      assert.is(await prepare(one), 1)
      const [id = ""] = await anchorsOf(one)
      await one.trust.removeTrust("default", id, newAct("remove-trust"))
      assert.is(await prepare(one), 0)
      assert.is(await prepare(two, false), 0)
      assert.is(await prepare(two), 0)
      assert.equal(softwareMaker(folder), maker)
    } finally {
      for (const store of stores) await store.close()
    }
  }))

test.run()
