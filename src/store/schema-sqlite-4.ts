import type { DatabaseSync } from "node:sqlite"
import { CHAIN_START, type ChainHead, nextHead } from "../verification/journal/chain.ts"
import { recordFrom } from "./journal-append.ts"
import { text } from "./row.ts"

/**
 * The journal in chains: each record has the hash that stands for it and everything before it, each chain its head,
 * checkpoints that vouch for it, and an anchor once older records were removed. A record is removed only below an anchor, an
 * anchor only moves on, and `store_epoch` says which restored life of the store this is. Documents of policies may skip
 * revisions, as they do when a backup is restored, and never go back.
 */
const TABLES = `
CREATE TABLE store_epoch (
  name TEXT NOT NULL PRIMARY KEY CHECK (name = 'restored'),
  epoch INTEGER NOT NULL CHECK (epoch >= 0)
) STRICT, WITHOUT ROWID;
INSERT INTO store_epoch VALUES ('restored', 0);
CREATE TRIGGER store_epoch_update BEFORE UPDATE ON store_epoch WHEN NEW.epoch <= OLD.epoch
  BEGIN SELECT raise(ABORT, 'an epoch never comes back'); END;
CREATE TRIGGER store_epoch_delete BEFORE DELETE ON store_epoch
  BEGIN SELECT raise(ABORT, 'an epoch never comes back'); END;

CREATE TABLE new_journal_heads (
  tenant TEXT NOT NULL,
  writer TEXT NOT NULL,
  sequence INTEGER NOT NULL CHECK (sequence >= 0),
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  newest_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, writer)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal_checkpoints (
  tenant TEXT NOT NULL,
  writer TEXT NOT NULL,
  number INTEGER NOT NULL CHECK (number >= 1),
  sequence INTEGER NOT NULL CHECK (sequence >= 1),
  compact TEXT NOT NULL,
  at INTEGER NOT NULL,
  newest_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, writer, number),
  FOREIGN KEY (tenant, writer) REFERENCES journal_heads (tenant, writer)
) STRICT;

CREATE TABLE journal_anchors (
  tenant TEXT NOT NULL,
  writer TEXT NOT NULL,
  number INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  PRIMARY KEY (tenant, writer),
  FOREIGN KEY (tenant, writer, number) REFERENCES journal_checkpoints (tenant, writer, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE new_journal (
  position INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  writer TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  at INTEGER NOT NULL,
  caller TEXT NOT NULL,
  act TEXT NOT NULL,
  device TEXT NOT NULL,
  outcome TEXT NOT NULL,
  codes TEXT NOT NULL CHECK (json_type(codes) = 'array'),
  evidence_digest BLOB NOT NULL,
  policy_digest BLOB,
  device_revision INTEGER,
  policy_name TEXT,
  policy_revision INTEGER,
  token_id TEXT,
  trust_generation INTEGER,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  UNIQUE (tenant, writer, sequence)
) STRICT;
`

const TRIGGERS = `
DROP TABLE journal;
ALTER TABLE new_journal RENAME TO journal;
DROP TABLE journal_heads;
ALTER TABLE new_journal_heads RENAME TO journal_heads;
CREATE INDEX journal_position ON journal (tenant, position);
CREATE INDEX journal_device ON journal (tenant, device, position) WHERE device <> '';
CREATE TRIGGER journal_update BEFORE UPDATE ON journal
  BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_delete BEFORE DELETE ON journal
  WHEN NOT EXISTS (SELECT 1 FROM journal_anchors
                   WHERE tenant = OLD.tenant AND writer = OLD.writer AND sequence >= OLD.sequence)
  BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_insert BEFORE INSERT ON journal
  WHEN NEW.sequence <> 1 + max(
      coalesce((SELECT max(sequence) FROM journal WHERE tenant = NEW.tenant AND writer = NEW.writer), 0),
      coalesce((SELECT sequence FROM journal_anchors WHERE tenant = NEW.tenant AND writer = NEW.writer), 0))
    OR EXISTS (SELECT 1 FROM journal WHERE position = NEW.position)
  BEGIN SELECT raise(ABORT, 'not the next record'); END;

CREATE TRIGGER journal_heads_update BEFORE UPDATE ON journal_heads
  WHEN NEW.tenant <> OLD.tenant OR NEW.writer <> OLD.writer OR NEW.sequence < OLD.sequence
  BEGIN SELECT raise(ABORT, 'a head never goes back'); END;
CREATE TRIGGER journal_heads_delete BEFORE DELETE ON journal_heads
  BEGIN SELECT raise(ABORT, 'a head never goes back'); END;

CREATE TRIGGER journal_checkpoints_update BEFORE UPDATE ON journal_checkpoints
  BEGIN SELECT raise(ABORT, 'a checkpoint never changes'); END;
CREATE TRIGGER journal_checkpoints_delete BEFORE DELETE ON journal_checkpoints
  WHEN NOT EXISTS (SELECT 1 FROM journal_anchors
                   WHERE tenant = OLD.tenant AND writer = OLD.writer AND number > OLD.number)
  BEGIN SELECT raise(ABORT, 'a checkpoint never changes'); END;
CREATE TRIGGER journal_checkpoints_insert BEFORE INSERT ON journal_checkpoints
  WHEN EXISTS (SELECT 1 FROM journal_checkpoints
               WHERE tenant = NEW.tenant AND writer = NEW.writer
                 AND (number >= NEW.number OR sequence > NEW.sequence))
  BEGIN SELECT raise(ABORT, 'not the next checkpoint'); END;

CREATE TRIGGER journal_anchors_update BEFORE UPDATE ON journal_anchors
  WHEN NEW.tenant <> OLD.tenant OR NEW.writer <> OLD.writer OR NEW.number <= OLD.number OR NEW.sequence < OLD.sequence
  BEGIN SELECT raise(ABORT, 'a beginning never goes back'); END;
CREATE TRIGGER journal_anchors_delete BEFORE DELETE ON journal_anchors
  BEGIN SELECT raise(ABORT, 'a beginning never goes back'); END;

DROP TRIGGER policy_documents_insert;
CREATE TRIGGER policy_documents_insert BEFORE INSERT ON policy_documents
  WHEN NEW.revision <= (SELECT coalesce(max(revision), 0) FROM policy_documents
                        WHERE tenant = NEW.tenant AND name = NEW.name)
  BEGIN SELECT raise(ABORT, 'not a later revision'); END;
`

const COPY = `INSERT INTO new_journal SELECT position, tenant, writer, sequence, at, caller, act, device, outcome, codes,
  evidence_digest, policy_digest, device_revision, policy_name, policy_revision, token_id, trust_generation, ?
  FROM journal WHERE position = ?`

/**
 * Makes a file of version 4 out of one of version 3. Records that are there are chained as they are found, in the chain of
 * their writer, which goes on: so one way of verifying and of removing serves them all. What was done to them before, no
 * hash can show.
 */
export function upgradeTo4(file: DatabaseSync): void {
  file.exec(TABLES)
  const heads = new Map<string, { readonly head: ChainHead; readonly newestAt: number }>()
  const copy = file.prepare(COPY)
  for (const row of file.prepare("SELECT * FROM journal ORDER BY position").iterate()) {
    const [tenant, writer] = [text(row, "tenant"), text(row, "writer")]
    const key = JSON.stringify([tenant, writer])
    const { head: before, newestAt } = heads.get(key) ?? { head: CHAIN_START, newestAt: 0 }
    const record = recordFrom(row)
    const head = nextHead({ tenant, writer }, before, record)
    if (row["sequence"] !== head.sequence) throw new Error("the journal has a gap")
    copy.run(head.hash, row["position"] ?? null)
    heads.set(key, { head, newestAt: Math.max(newestAt, record.at.getTime()) })
  }
  const insert = file.prepare("INSERT INTO new_journal_heads VALUES (?, ?, ?, ?, ?)")
  for (const [key, { head, newestAt }] of heads) {
    const [tenant, writer]: string[] = JSON.parse(key)
    insert.run(tenant ?? "", writer ?? "", head.sequence, head.hash, newestAt)
  }
  file.exec(TRIGGERS)
}
