/** Restores a backup into a store, and kills itself in the middle: `file rows` or `url schema`, backup, row to die at. */
import { openSync } from "node:fs"
import { fileLines } from "../../../src/store/backup/lines.ts"
import { openSqliteAlone } from "../../../src/store/backup/open-sqlite.ts"
import { restoreStore } from "../../../src/store/backup/restore.ts"
import { openPostgresDatabase } from "../../../src/store/postgres.ts"
import { SCHEMA } from "../../support/postgres-store.ts"

const [store = "", backup = "", row = ""] = process.argv.slice(2)
const database = store.startsWith("/")
  ? openSqliteAlone(store)
  : await openPostgresDatabase({ url: store, schema: SCHEMA })
const file = openSync(backup, "r")
await restoreStore(database, {
  lines: () => fileLines(file),
  at: new Date(),
  operator: "ada",
  replace: true,
  progress: (stage, rows) => {
    if (stage === "restored" && rows === Number(row)) process.kill(process.pid, "SIGKILL")
  },
})
