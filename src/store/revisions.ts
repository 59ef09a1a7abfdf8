import type { ReadRevisions } from "./changes.ts"
import { type Database, guard } from "./database.ts"
import { integer, text } from "./row.ts"
import { statement } from "./statement.ts"

const selectRevisions = statement((builder) => builder.selectFrom("tenants").select(["tenant", "revision"]))

/** Reads the revision of each tenant that was ever changed. @throws {AssayError} REGISTRY. */
export const createReadRevisions =
  (database: Database): ReadRevisions =>
  () =>
    guard(async () => {
      const { rows } = await database.ask(selectRevisions({}))
      return new Map(rows.map((row) => [text(row, "tenant"), integer(row, "revision")]))
    })
