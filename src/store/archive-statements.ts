import { sql as raw } from "kysely"
import { statement } from "./statement.ts"

/** What one query reads: a scan keeps others waiting. */
export const ROWS_MAX = 1000

type OfChain = { tenant: string; writer: string }
type OfDevice = { tenant: string; device: string }
type Page = OfChain & { after: number; max: number }

/** Heads with their anchor (`a_`) and latest checkpoint (`c_`). A head of 0 is no chain yet. */
export const selectChains = statement<{ tenant: string }>((sql, at) =>
  sql
    .selectFrom("journal_heads as h")
    .leftJoin("journal_anchors as b", (join) =>
      join.onRef("b.tenant", "=", "h.tenant").onRef("b.writer", "=", "h.writer"),
    )
    .leftJoin("journal_checkpoints as a", (join) =>
      join
        .onRef("a.tenant", "=", "b.tenant")
        .onRef("a.writer", "=", "b.writer")
        .onRef("a.number", "=", "b.number"),
    )
    .leftJoin("journal_checkpoints as c", (join) =>
      join
        .onRef("c.tenant", "=", "h.tenant")
        .onRef("c.writer", "=", "h.writer")
        .on("c.number", "=", (latest) =>
          latest
            .selectFrom("journal_checkpoints as l")
            .select((of) => of.fn.max("l.number").as("number"))
            .whereRef("l.tenant", "=", "h.tenant")
            .whereRef("l.writer", "=", "h.writer"),
        ),
    )
    .select(["h.writer", "h.sequence", "h.hash", "h.newest_at"])
    .select([
      "a.number as a_number",
      "a.sequence as a_sequence",
      "a.compact as a_compact",
      "a.at as a_at",
      "a.newest_at as a_newest_at",
    ])
    .select([
      "c.number as c_number",
      "c.sequence as c_sequence",
      "c.compact as c_compact",
      "c.at as c_at",
      "c.newest_at as c_newest_at",
    ])
    .where("h.tenant", "=", at("tenant"))
    .where("h.sequence", ">", 0),
)

/** Records of one chain in their order. */
export const selectRecords = statement<Page>((sql, at) =>
  sql
    .selectFrom("journal")
    .selectAll()
    .where("tenant", "=", at("tenant"))
    .where("writer", "=", at("writer"))
    .where("sequence", ">", at("after"))
    .orderBy("sequence")
    .limit(at("max")),
)

/** Records of all writers before a position, the newest first. */
export const selectPage = statement<{ tenant: string; before: number; max: number }>((sql, at) =>
  sql
    .selectFrom("journal")
    .selectAll()
    .where("tenant", "=", at("tenant"))
    .where("position", "<", at("before"))
    .orderBy("position", "desc")
    .limit(at("max")),
)

/** As `selectPage`, about one device. For PostgreSQL, which has an index by device. */
export const selectDevicePage = statement<OfDevice & { before: number; max: number }>((sql, at) =>
  sql
    .selectFrom("journal")
    .selectAll()
    .where("tenant", "=", at("tenant"))
    .where("device", "=", at("device"))
    .where("device", "<>", "")
    .where("position", "<", at("before"))
    .orderBy("position", "desc")
    .limit(at("max")),
)

/** Positions for which SQLite has one index by device after another, see `VERSION_7` of its schema. */
export const STRETCH = 512

/** As the index spells it. */
const stretchOfPosition = raw<number>`position >> 9`

/** The records of one device in a stretch that lie before a position, the newest first. For SQLite. */
export const selectDeviceStretch = statement<OfDevice & { stretch: number; before: number }>((sql, at) =>
  sql
    .selectFrom("journal")
    .selectAll()
    .where("tenant", "=", at("tenant"))
    .where(stretchOfPosition, "=", at("stretch"))
    .where("device", "=", at("device"))
    .where("position", "<", at("before"))
    .orderBy("position", "desc"),
)

/** The first record at a position or behind it. */
export const selectFrom = statement<{ tenant: string; position: number }>((sql, at) =>
  sql
    .selectFrom("journal")
    .select(["position", "at"])
    .where("tenant", "=", at("tenant"))
    .where("position", ">=", at("position"))
    .orderBy("position")
    .limit(1),
)

/** The last position of all. */
export const selectLast = statement<{ tenant: string }>((sql, at) =>
  sql
    .selectFrom("journal")
    .select("position")
    .where("tenant", "=", at("tenant"))
    .orderBy("position", "desc")
    .limit(1),
)

/** The first record of a chain that is still there. */
export const selectOldest = statement<OfChain>((sql, at) =>
  sql
    .selectFrom("journal")
    .select("sequence")
    .where("tenant", "=", at("tenant"))
    .where("writer", "=", at("writer"))
    .orderBy("sequence")
    .limit(1),
)

/** Removes the records of a chain up to one. */
export const deleteRecords = statement<OfChain & { sequence: number }>((sql, at) =>
  sql
    .deleteFrom("journal")
    .where("tenant", "=", at("tenant"))
    .where("writer", "=", at("writer"))
    .where("sequence", "<=", at("sequence")),
)

/** Checkpoints of one chain in their order. */
export const selectCheckpoints = statement<Page>((sql, at) =>
  sql
    .selectFrom("journal_checkpoints")
    .selectAll()
    .where("tenant", "=", at("tenant"))
    .where("writer", "=", at("writer"))
    .where("number", ">", at("after"))
    .orderBy("number")
    .limit(at("max")),
)

/** One checkpoint. */
export const selectCheckpoint = statement<OfChain & { number: number }>((sql, at) =>
  sql
    .selectFrom("journal_checkpoints")
    .selectAll()
    .where("tenant", "=", at("tenant"))
    .where("writer", "=", at("writer"))
    .where("number", "=", at("number")),
)

/** The last checkpoint that only older records than an instant lie before. */
export const selectCheckpointBefore = statement<OfChain & { before: number }>((sql, at) =>
  sql
    .selectFrom("journal_checkpoints")
    .selectAll()
    .where("tenant", "=", at("tenant"))
    .where("writer", "=", at("writer"))
    .where("newest_at", "<", at("before"))
    .orderBy("number", "desc")
    .limit(1),
)

/** Keeps everybody else from moving a chain on, and from vouching for it; where one writes at a time, it takes no lock. */
export const lockChain = statement<OfChain>((sql, at, dialect) =>
  dialect === "sqlite"
    ? undefined
    : sql
        .selectFrom("journal_heads")
        .select("sequence")
        .where("tenant", "=", at("tenant"))
        .where("writer", "=", at("writer"))
        .forNoKeyUpdate(),
)

/** The columns of a checkpoint. */
export type CheckpointColumns = OfChain & {
  number: number
  sequence: number
  compact: string
  at: number
  newest_at: number
}

export const insertCheckpoint = statement<CheckpointColumns>((sql, at) =>
  sql.insertInto("journal_checkpoints").values({
    tenant: at("tenant"),
    writer: at("writer"),
    number: at("number"),
    sequence: at("sequence"),
    compact: at("compact"),
    at: at("at"),
    newest_at: at("newest_at"),
  }),
)

/** Removes the checkpoints of a chain before one. */
export const deleteCheckpoints = statement<OfChain & { number: number }>((sql, at) =>
  sql
    .deleteFrom("journal_checkpoints")
    .where("tenant", "=", at("tenant"))
    .where("writer", "=", at("writer"))
    .where("number", "<", at("number")),
)

/** Where each chain of a tenant begins. */
export const selectAnchors = statement<{ tenant: string }>((sql, at) =>
  sql.selectFrom("journal_anchors").selectAll().where("tenant", "=", at("tenant")),
)

/** Makes a chain begin with a checkpoint. */
export const putAnchor = statement<OfChain & { number: number; sequence: number }>((sql, at) =>
  sql
    .insertInto("journal_anchors")
    .values({
      tenant: at("tenant"),
      writer: at("writer"),
      number: at("number"),
      sequence: at("sequence"),
    })
    .onConflict((conflict) =>
      conflict.columns(["tenant", "writer"]).doUpdateSet((set) => ({
        number: set.ref("excluded.number"),
        sequence: set.ref("excluded.sequence"),
      })),
    ),
)
