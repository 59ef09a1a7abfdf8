import { suite } from "uvu"
import { createSqliteStore } from "../../src/store/sqlite.ts"
import { damageConformance } from "../support/ports/damage.ts"
import { devicesConformance } from "../support/ports/devices.ts"
import { scratch } from "./folder.ts"

const test = suite("createDevices")
const { file, quick } = scratch(test)

devicesConformance(test, "sqlite", quick)
damageConformance(test, "sqlite", () => {
  const database = file()
  return { ...createSqliteStore(database), alter: (sql) => database.exec(sql) }
})

test.run()
