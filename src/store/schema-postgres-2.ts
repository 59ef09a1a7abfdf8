import type { ClientBase } from "pg"
import { CHAIN_START, type ChainHead, nextHead } from "../verification/journal/chain.ts"
import { recordFrom } from "./journal-append.ts"
import { integer, type Row, text } from "./row.ts"
import {
  addOnlyIf,
  bytes32,
  checkNew,
  keepAll,
  keepRows,
  keepTable,
  lastOf,
  moveOn,
  removeOnlyIf,
  text as words,
} from "./schema-postgres-parts.ts"

/**
 * The journal in chains: each record has the hash that stands for it and everything before it, each chain its head,
 * checkpoints that vouch for it, and an anchor once older records were removed. A record is removed only below an anchor, an
 * anchor only moves on, and `store_epoch` says which restored life of the store this is. Documents of policies may skip
 * revisions, as they do when a backup is restored, and never go back.
 */
const TABLES = `
CREATE TABLE store_epoch (
  name ${words} PRIMARY KEY CHECK (name = 'restored'),
  epoch bigint NOT NULL CHECK (epoch >= 0)
);
INSERT INTO store_epoch VALUES ('restored', 0);
${moveOn("store_epoch", ["name"], "epoch", "an epoch never comes back")}

CREATE TABLE journal_checkpoints (
  tenant ${words} NOT NULL,
  writer ${words} NOT NULL,
  number bigint NOT NULL CHECK (number >= 1),
  sequence bigint NOT NULL CHECK (sequence >= 1),
  compact ${words} NOT NULL,
  at bigint NOT NULL,
  newest_at bigint NOT NULL,
  PRIMARY KEY (tenant, writer, number),
  FOREIGN KEY (tenant, writer) REFERENCES journal_heads (tenant, writer)
);

CREATE TABLE journal_anchors (
  tenant ${words} NOT NULL,
  writer ${words} NOT NULL,
  number bigint NOT NULL,
  sequence bigint NOT NULL,
  PRIMARY KEY (tenant, writer),
  FOREIGN KEY (tenant, writer, number) REFERENCES journal_checkpoints (tenant, writer, number)
);

DROP TRIGGER journal_update ON journal;
DROP TRIGGER journal_delete ON journal;
ALTER TABLE journal ADD COLUMN ${bytes32("hash")};
ALTER TABLE journal_heads ADD COLUMN ${bytes32("hash")}, ADD COLUMN newest_at bigint;`

const OF_CHAIN = ["tenant", "writer"]
const anchored = (condition: string): string =>
  `EXISTS (SELECT FROM journal_anchors WHERE tenant = OLD.tenant AND writer = OLD.writer AND ${condition})`

const TRIGGERS = `
ALTER TABLE journal ALTER COLUMN hash SET NOT NULL;
CREATE INDEX journal_device ON journal (tenant, device, position) WHERE device <> '';
${keepRows("journal", "the journal is append-only")}
${removeOnlyIf("journal", anchored("sequence >= OLD.sequence"), "the journal is append-only")}
${checkNew(
  "journal",
  `NEW.sequence = 1 + greatest(${lastOf("journal", "sequence", OF_CHAIN)},
    ${lastOf("journal_anchors", "sequence", OF_CHAIN)})`,
  "not the next record",
)}

ALTER TABLE journal_heads ALTER COLUMN hash SET NOT NULL, ALTER COLUMN newest_at SET NOT NULL;
CREATE TRIGGER journal_heads_update BEFORE UPDATE ON journal_heads FOR EACH ROW
  WHEN (NEW.tenant <> OLD.tenant OR NEW.writer <> OLD.writer OR NEW.sequence < OLD.sequence)
  EXECUTE FUNCTION refuse('a head never goes back');
${keepAll("journal_heads", "a head never goes back")}

${keepRows("journal_checkpoints", "a checkpoint never changes")}
${removeOnlyIf("journal_checkpoints", anchored("number > OLD.number"), "a checkpoint never changes")}
${keepTable("journal_checkpoints", "a checkpoint never changes")}
${addOnlyIf(
  "journal_checkpoints",
  `NEW.number > ${lastOf("journal_checkpoints", "number", OF_CHAIN)}
    AND NEW.sequence >= ${lastOf("journal_checkpoints", "sequence", OF_CHAIN, "number")}`,
  "not the next checkpoint",
)}

CREATE TRIGGER journal_anchors_update BEFORE UPDATE ON journal_anchors FOR EACH ROW
  WHEN (NEW.tenant <> OLD.tenant OR NEW.writer <> OLD.writer
    OR NEW.number <= OLD.number OR NEW.sequence < OLD.sequence)
  EXECUTE FUNCTION refuse('a beginning never goes back');
${keepAll("journal_anchors", "a beginning never goes back")}

${checkNew(
  "policy_documents",
  `NEW.revision > ${lastOf("policy_documents", "revision", ["tenant", "name"])}`,
  "not a later revision",
)}`

/** Records that are chained at a time. */
const ROWS = 1000

const PAGE = `SELECT * FROM journal WHERE (tenant, writer, sequence) > ($1, $2, $3)
  ORDER BY tenant, writer, sequence LIMIT ${ROWS}`
const HASHES = `UPDATE journal AS j SET hash = c.hash
  FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[]) AS c (tenant, writer, sequence, hash)
  WHERE j.tenant = c.tenant AND j.writer = c.writer AND j.sequence = c.sequence`
const HEAD =
  "UPDATE journal_heads SET hash = $4, newest_at = $5 WHERE tenant = $1 AND writer = $2 AND sequence = $3"

interface Chain {
  readonly tenant: string
  readonly writer: string
  readonly head: ChainHead
  readonly newestAt: number
}

/**
 * Makes a schema of version 2 out of one of version 1. Records that are there are chained as they are found, in the chain of
 * their writer, which goes on: so one way of verifying and of removing serves them all. What was done to them before, no
 * hash can show.
 */
export const upgradeTo2 = async (client: ClientBase): Promise<void> => {
  await client.query(TABLES)
  let chain: Chain | undefined
  for (;;) {
    const after = [chain?.tenant ?? "", chain?.writer ?? "", chain?.head.sequence ?? 0]
    const { rows } = await client.query<Row>(PAGE, after)
    if (rows.length === 0) break
    const chains: Chain[] = []
    for (const row of rows) {
      const next = chained(chain, row)
      if (chain !== undefined && next.head.sequence === 1) await endChain(client, chain)
      chain = next
      chains.push(chain)
    }
    await client.query(HASHES, [
      chains.map(({ tenant }) => tenant),
      chains.map(({ writer }) => writer),
      chains.map(({ head }) => head.sequence),
      chains.map(({ head }) => head.hash),
    ])
  }
  if (chain !== undefined) await endChain(client, chain)
  await client.query(TRIGGERS)
}

/** The chain that a record belongs to, up to it. @throws {Error} if one before it is not there. */
const chained = (before: Chain | undefined, row: Row): Chain => {
  const [tenant, writer] = [text(row, "tenant"), text(row, "writer")]
  const isNext = before?.tenant === tenant && before.writer === writer
  const record = recordFrom(row)
  const head = nextHead({ tenant, writer }, isNext ? before.head : CHAIN_START, record)
  if (integer(row, "sequence") !== head.sequence) throw new Error("the journal has a gap")
  return { tenant, writer, head, newestAt: Math.max(isNext ? before.newestAt : 0, record.at.getTime()) }
}

const endChain = async (client: ClientBase, { tenant, writer, head, newestAt }: Chain): Promise<void> => {
  const { rowCount } = await client.query(HEAD, [tenant, writer, head.sequence, head.hash, newestAt])
  if (rowCount !== 1) throw new Error("the journal has an end that its head does not know")
}
