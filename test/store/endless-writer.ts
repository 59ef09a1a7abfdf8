/** Appends to the journal in the file it is told, prints a mark for each record once it is durable, and never ends. */
import { writeSync } from "node:fs"
import { openSqliteStore } from "../../src/store/sqlite.ts"
import { newRecord } from "../support/ports/samples.ts"

const { journal } = openSqliteStore(process.argv[2] ?? "")
for (let i = 0; ; i += 10)
  await Promise.all(
    Array.from({ length: 10 }, async (_, k) => {
      await journal.append(newRecord(`device-${i + k}`))
      writeSync(1, ".")
    }),
  )
