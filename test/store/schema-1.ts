/** The tables of a file of schema version 1, word for word as they were released. */
export const SCHEMA_1 = `
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
PRAGMA user_version = 1;
`
