import { suite } from "uvu"
import { createSqliteStore } from "../../../src/store/sqlite.ts"
import { sqliteDatabase } from "../../../src/store/sqlite-database.ts"
import { backupConformance } from "../../support/ports/backup.ts"
import { scratch } from "../folder.ts"

const test = suite("restoreBackup")
const { file } = scratch(test)

backupConformance(test, "sqlite", () => {
  const opened = file()
  return { database: sqliteDatabase(opened), store: createSqliteStore(opened) }
})
test.run()
