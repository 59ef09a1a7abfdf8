import { suite } from "uvu"
import { createStore } from "../../../src/store/store.ts"
import { backupConformance } from "../../support/ports/backup.ts"
import { needs } from "../../support/postgres.ts"
import { usePostgresStore } from "../../support/postgres-store.ts"

const test = suite("restoreBackup in PostgreSQL")
const { database } = usePostgresStore(test)
let writers = 0

backupConformance(needs("postgres", test), "postgres", async () => {
  const opened = await database()
  writers += 1
  return { database: opened, store: createStore(opened, { writer: `writer-${writers}` }) }
})
test.run()
