import type { ReadRevisions } from "./changes.ts"
import { type Database, guard } from "./database.ts"
import { integer, optional, text } from "./row.ts"
import { statement } from "./statement.ts"

const selectRevisions = statement((builder) =>
  builder
    .selectFrom("tenants")
    .select(["tenant", "revision"])
    .select((of) => of.selectFrom("store_epoch").select("epoch").as("epoch")),
)

/** Reads the revision of each tenant that was ever changed, and the store's epoch: 0 until a backup is restored into it. @throws {AssayError} REGISTRY. */
export const createReadRevisions =
  (database: Database): ReadRevisions =>
  () =>
    guard(async () => {
      const { rows } = await database.ask(selectRevisions({}))
      const [first] = rows
      return {
        tenants: new Map(rows.map((row) => [text(row, "tenant"), integer(row, "revision")])),
        epoch: first === undefined ? undefined : (optional(integer, first, "epoch") ?? 0),
      }
    })
