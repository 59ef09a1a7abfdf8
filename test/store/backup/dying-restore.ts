/** Restores a backup into a store, a file or the URL of a server, and kills itself at a row: `store backup row`. */
import { openSync } from "node:fs"
import { fileLines } from "../../../src/store/backup/lines.ts"
import { openSqliteAlone } from "../../../src/store/backup/open-sqlite.ts"
import { checkBackup, type RestoreOptions, restoreBackup } from "../../../src/store/backup/restore.ts"
import { openPostgresDatabase } from "../../../src/store/postgres.ts"
import { SCHEMA } from "../../support/postgres-store.ts"

const [store = "", backup = "", row = ""] = process.argv.slice(2)
const database = store.startsWith("/")
  ? openSqliteAlone(store)
  : await openPostgresDatabase({ url: store, schema: SCHEMA })
const file = openSync(backup, "r")
const options: RestoreOptions = {
  lines: () => fileLines(file),
  at: new Date(),
  operator: "ada",
  replace: true,
  progress: (stage, rows) => {
    if (stage === "restored" && rows === Number(row)) process.kill(process.pid, "SIGKILL")
  },
}
await restoreBackup(database, checkBackup(options), options)
