import { suite } from "uvu"
import { createSqliteStore } from "../../src/store/sqlite.ts"
import { openSqlite } from "../../src/store/sqlite-database.ts"
import { damageConformance } from "../support/ports/damage.ts"
import { devicesConformance } from "../support/ports/devices.ts"
import { scratch } from "./folder.ts"

const test = suite("createDevices")
const { path, quick } = scratch(test)

devicesConformance(test, "sqlite", quick)
damageConformance(test, "sqlite", () => {
  const file = openSqlite(path())
  file.exec("PRAGMA synchronous = OFF")
  return { ...createSqliteStore(file), alter: (sql) => file.exec(sql) }
})

test.run()
