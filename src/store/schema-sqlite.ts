import type { DatabaseSync } from "node:sqlite"
import { upgradeTo3 } from "./schema-sqlite-3.ts"
import { upgradeTo4 } from "./schema-sqlite-4.ts"

/**
 * Devices, policies and the journal. The tenant is the first part of every key. Instants are milliseconds since 1970;
 * a u64 is 8 bytes, big-endian, for SQLite's integers are signed. Documents of policies never change, and the journal
 * only grows, without a gap in the sequence of a tenant: the check at insertion also stops `INSERT OR REPLACE`, which
 * deletes a row without asking the trigger for deletions.
 */
export const VERSION_1 = `
CREATE TABLE policies (
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  revision INTEGER NOT NULL CHECK (revision >= 1),
  PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE policy_documents (
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  revision INTEGER NOT NULL,
  document TEXT NOT NULL,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  PRIMARY KEY (tenant, name, revision),
  FOREIGN KEY (tenant, name) REFERENCES policies (tenant, name)
) STRICT;
CREATE TRIGGER policy_documents_update BEFORE UPDATE ON policy_documents
  BEGIN SELECT raise(ABORT, 'a policy document never changes'); END;
CREATE TRIGGER policy_documents_delete BEFORE DELETE ON policy_documents
  BEGIN SELECT raise(ABORT, 'a policy document never changes'); END;
CREATE TRIGGER policy_documents_insert BEFORE INSERT ON policy_documents
  WHEN NEW.revision <> (SELECT 1 + coalesce(max(revision), 0) FROM policy_documents
                        WHERE tenant = NEW.tenant AND name = NEW.name)
  BEGIN SELECT raise(ABORT, 'not the next revision'); END;

CREATE TABLE default_policies (
  tenant TEXT NOT NULL PRIMARY KEY,
  policy TEXT NOT NULL,
  FOREIGN KEY (tenant, policy) REFERENCES policies (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE devices (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  ak_public BLOB NOT NULL,
  ak_name BLOB NOT NULL,
  qualified_name BLOB,
  policy TEXT,
  revision INTEGER NOT NULL CHECK (revision >= 1),
  created_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, id),
  UNIQUE (tenant, ak_name),
  FOREIGN KEY (tenant, policy) REFERENCES policies (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
  tenant TEXT NOT NULL,
  device TEXT NOT NULL,
  clock_ms BLOB NOT NULL CHECK (length(clock_ms) = 8),
  reset_count INTEGER NOT NULL CHECK (reset_count BETWEEN 0 AND 4294967295),
  restart_count INTEGER NOT NULL CHECK (restart_count BETWEEN 0 AND 4294967295),
  safe INTEGER NOT NULL CHECK (safe IN (0, 1)),
  firmware_version BLOB NOT NULL CHECK (length(firmware_version) = 8),
  recorded_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, device),
  FOREIGN KEY (tenant, device) REFERENCES devices (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
  tenant TEXT NOT NULL,
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
  PRIMARY KEY (tenant, sequence)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER journal_update BEFORE UPDATE ON journal
  BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_delete BEFORE DELETE ON journal
  BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_insert BEFORE INSERT ON journal
  WHEN NEW.sequence <> (SELECT 1 + coalesce(max(sequence), 0) FROM journal WHERE tenant = NEW.tenant)
  BEGIN SELECT raise(ABORT, 'not the next record'); END;
`

/**
 * Trust, and what vouches for a device's keys. Ids and digests are SHA-256. `trust_state` counts the rows of the other
 * tables, so that one that is gone is missed, and its generation never comes back: what was made of one must not pass
 * for another. `trust_anchors.digest` is over the settings, as `id` is over the certificate. A chain is its
 * certificates, each after its length as a u32, and NULL if there are none; it stands last in its row, so that nobody
 * reads through it who asks for the rest. Records from before have no generation.
 */
export const VERSION_2 = `
CREATE TABLE trust_state (
  tenant TEXT NOT NULL PRIMARY KEY,
  generation INTEGER NOT NULL CHECK (generation >= 1),
  anchors INTEGER NOT NULL CHECK (anchors >= 0),
  intermediates INTEGER NOT NULL CHECK (intermediates >= 0),
  crls INTEGER NOT NULL CHECK (crls >= 0),
  crl_bytes INTEGER NOT NULL CHECK (crl_bytes >= 0),
  eks INTEGER NOT NULL CHECK (eks >= 0)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER trust_state_update BEFORE UPDATE ON trust_state
  WHEN NEW.tenant <> OLD.tenant OR NEW.generation <= OLD.generation
  BEGIN SELECT raise(ABORT, 'a generation of trust never comes back'); END;
CREATE TRIGGER trust_state_delete BEFORE DELETE ON trust_state
  BEGIN SELECT raise(ABORT, 'a generation of trust never comes back'); END;
CREATE TRIGGER trust_state_insert BEFORE INSERT ON trust_state
  WHEN EXISTS (SELECT 1 FROM trust_state WHERE tenant = NEW.tenant)
  BEGIN SELECT raise(ABORT, 'a generation of trust never comes back'); END;

CREATE TABLE trust_anchors (
  tenant TEXT NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 32),
  certificate BLOB NOT NULL,
  label TEXT NOT NULL,
  purpose TEXT NOT NULL CHECK (purpose IN ('ek', 'ak', 'any')),
  revocation TEXT NOT NULL CHECK (revocation IN ('require', 'when-published', 'off')),
  provenance TEXT NOT NULL,
  added_at INTEGER NOT NULL,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  PRIMARY KEY (tenant, id)
) STRICT;

CREATE TABLE trust_intermediates (
  tenant TEXT NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 32),
  certificate BLOB NOT NULL,
  source TEXT NOT NULL,
  added_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, id)
) STRICT;

CREATE TABLE trust_crls (
  tenant TEXT NOT NULL,
  source TEXT NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 32),
  added_at INTEGER NOT NULL,
  crl BLOB NOT NULL,
  PRIMARY KEY (tenant, source)
) STRICT;
CREATE INDEX trust_crls_id ON trust_crls (tenant, id);

CREATE TABLE listed_eks (
  tenant TEXT NOT NULL,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  label TEXT NOT NULL,
  added_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE pending_issuers (
  tenant TEXT NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 32),
  issuer TEXT NOT NULL,
  first_seen_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  count INTEGER NOT NULL CHECK (count >= 1),
  chain BLOB,
  PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX pending_issuers_seen ON pending_issuers (tenant, last_seen_at);

ALTER TABLE devices ADD COLUMN ek_certificate_chain BLOB;
ALTER TABLE devices ADD COLUMN ak_certificate_chain BLOB;
ALTER TABLE devices ADD COLUMN ek_digest BLOB CHECK (length(ek_digest) = 32);

ALTER TABLE journal ADD COLUMN trust_generation INTEGER;
`

/**
 * A permit may name an attestation key in place of an endorsement key, by its Name. Most devices have none, and no place in
 * the index.
 */
const VERSION_5 = `
ALTER TABLE devices ADD COLUMN permit_ak BLOB CHECK (length(permit_ak) IN (34, 50, 66));
CREATE UNIQUE INDEX devices_permit_ak ON devices (tenant, permit_ak) WHERE permit_ak IS NOT NULL;
`

/**
 * Event logs that devices have shown, each once for its tenant, and who has shown them. Whose log is gone is asked for it
 * again, so the one refers to the other without a constraint.
 */
const VERSION_6 = `
CREATE TABLE event_logs (
  tenant TEXT NOT NULL,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  size INTEGER NOT NULL CHECK (size >= 1),
  used_at INTEGER NOT NULL,
  log BLOB NOT NULL,
  PRIMARY KEY (tenant, digest)
) STRICT;
CREATE INDEX event_logs_used ON event_logs (tenant, used_at, digest, size);

CREATE TABLE device_event_logs (
  tenant TEXT NOT NULL,
  device TEXT NOT NULL,
  ak_name BLOB NOT NULL,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  used_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, device, ak_name, digest),
  FOREIGN KEY (tenant, device) REFERENCES devices (tenant, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
`

/**
 * The index by device stands stretch by stretch of 512 positions, see `STRETCH`. In the order of devices alone each record
 * changed a page of its own, which was most of what a group wrote; now a few pages take all records of a group. And a chain
 * that has records goes on behind them: where it was cut off is only asked of one that has none.
 */
const VERSION_7 = `
DROP INDEX journal_device;
CREATE INDEX journal_stretch ON journal (tenant, position >> 9, device);

DROP TRIGGER journal_insert;
CREATE TRIGGER journal_insert BEFORE INSERT ON journal
  WHEN NEW.sequence <> 1 + coalesce(
      (SELECT max(sequence) FROM journal WHERE tenant = NEW.tenant AND writer = NEW.writer),
      (SELECT sequence FROM journal_anchors WHERE tenant = NEW.tenant AND writer = NEW.writer), 0)
    OR EXISTS (SELECT 1 FROM journal WHERE position = NEW.position)
  BEGIN SELECT raise(ABORT, 'not the next record'); END;
`

/**
 * What makes a file of each version out of one of the version before; the first starts from an empty file. A released
 * one never changes.
 */
export const SCHEMA_STEPS: readonly ((file: DatabaseSync) => void)[] = [
  (file) => file.exec(VERSION_1),
  (file) => file.exec(VERSION_2),
  upgradeTo3,
  upgradeTo4,
  (file) => file.exec(VERSION_5),
  (file) => file.exec(VERSION_6),
  (file) => file.exec(VERSION_7),
]

/**
 * The version of the schema, kept in the file as `user_version`. A file of a later version is refused: what its tables
 * mean is not known here.
 */
export const SCHEMA_VERSION = SCHEMA_STEPS.length
