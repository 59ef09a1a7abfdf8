import type { DatabaseSync } from "node:sqlite"
import { toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { parseCertificate } from "../evidence/x509/certificate.ts"
import { plainSpkiOf } from "../verification/certificate-key.ts"
import { chainFrom } from "./chain.ts"
import { FIRST_DEVICE_COLUMNS as COLUMNS, deviceDigest } from "./device-digest.ts"
import { sha256 } from "./digest.ts"
import { blob, instant, integer, optional, type Row, text } from "./row.ts"
import type { DeviceTable } from "./tables.ts"

/**
 * Devices as their operators manage them, the journal of several writers, and the revision of a tenant. `devices`,
 * `counters` and `journal` are made anew: a device has its large columns last, in a table whose keys stand in indexes by themselves; the
 * journal counts by tenant and writer, and keeps the order over all writers in `position`.
 *
 * What only grows, or only moves on, is kept by triggers, as before. Labels stand in `device_labels` again, to find devices
 * by; indexes that are of use only where a device is not as most are leave out the others.
 */
const TABLES = `
CREATE TABLE tenants (
  tenant TEXT NOT NULL PRIMARY KEY,
  revision INTEGER NOT NULL CHECK (revision >= 1)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER tenants_update BEFORE UPDATE ON tenants
  WHEN NEW.tenant <> OLD.tenant OR NEW.revision <= OLD.revision
  BEGIN SELECT raise(ABORT, 'a revision never comes back'); END;
CREATE TRIGGER tenants_delete BEFORE DELETE ON tenants
  BEGIN SELECT raise(ABORT, 'a revision never comes back'); END;
CREATE TRIGGER tenants_insert BEFORE INSERT ON tenants
  WHEN EXISTS (SELECT 1 FROM tenants WHERE tenant = NEW.tenant)
  BEGIN SELECT raise(ABORT, 'a revision never comes back'); END;

CREATE TRIGGER policies_update BEFORE UPDATE ON policies
  WHEN NEW.tenant <> OLD.tenant OR NEW.name <> OLD.name OR NEW.revision <= OLD.revision
  BEGIN SELECT raise(ABORT, 'a revision never comes back'); END;
CREATE TRIGGER policies_delete BEFORE DELETE ON policies
  BEGIN SELECT raise(ABORT, 'a revision never comes back'); END;

CREATE TABLE group_policies (
  tenant TEXT NOT NULL,
  device_group TEXT NOT NULL CHECK (device_group <> ''),
  policy TEXT NOT NULL,
  PRIMARY KEY (tenant, device_group),
  FOREIGN KEY (tenant, policy) REFERENCES policies (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE new_devices (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  revision INTEGER NOT NULL CHECK (revision >= 1),
  state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'suspended', 'revoked', 'retired')),
  device_group TEXT NOT NULL,
  policy TEXT,
  created_at INTEGER NOT NULL,
  ak_name BLOB,
  ek BLOB CHECK (length(ek) = 32),
  binding TEXT NOT NULL CHECK (binding IN ('activation', 'certificate', 'operator')),
  token TEXT,
  permit_kind TEXT CHECK (permit_kind IN ('re-enrollment', 'ak-rotation', 'board-swap')),
  permit_ek BLOB CHECK (length(permit_ek) = 32),
  permit_expires_at INTEGER,
  claimed_name TEXT NOT NULL,
  labels TEXT NOT NULL CHECK (json_type(labels) = 'array'),
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  qualified_name BLOB,
  ak_public BLOB NOT NULL,
  ek_digest BLOB CHECK (length(ek_digest) = 32),
  ek_certificate_chain BLOB,
  ak_certificate_chain BLOB,
  PRIMARY KEY (tenant, id),
  UNIQUE (tenant, ak_name),
  UNIQUE (tenant, ek),
  UNIQUE (tenant, permit_ek),
  FOREIGN KEY (tenant, policy) REFERENCES policies (tenant, name)
) STRICT;

CREATE TABLE device_labels (
  tenant TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  device TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, key, value, device),
  FOREIGN KEY (tenant, device) REFERENCES devices (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_labels_created ON device_labels (tenant, key, value, created_at, device);
CREATE INDEX device_labels_device ON device_labels (tenant, device);

CREATE TABLE new_counters (
  tenant TEXT NOT NULL,
  device TEXT NOT NULL,
  clock_ms BLOB NOT NULL CHECK (length(clock_ms) = 8),
  reset_count INTEGER NOT NULL CHECK (reset_count BETWEEN 0 AND 4294967295),
  restart_count INTEGER NOT NULL CHECK (restart_count BETWEEN 0 AND 4294967295),
  safe INTEGER NOT NULL CHECK (safe IN (0, 1)),
  firmware_version BLOB CHECK (length(firmware_version) = 8),
  recorded_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, device),
  FOREIGN KEY (tenant, device) REFERENCES devices (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE results (
  tenant TEXT NOT NULL,
  device TEXT NOT NULL,
  at INTEGER NOT NULL,
  tier TEXT NOT NULL,
  code TEXT,
  admitted_at INTEGER,
  PRIMARY KEY (tenant, device),
  FOREIGN KEY (tenant, device) REFERENCES devices (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE removed_devices (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  removed_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER removed_devices_update BEFORE UPDATE ON removed_devices
  BEGIN SELECT raise(ABORT, 'an id is never given again'); END;
CREATE TRIGGER removed_devices_delete BEFORE DELETE ON removed_devices
  BEGIN SELECT raise(ABORT, 'an id is never given again'); END;

CREATE TABLE revocations (
  tenant TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  device TEXT NOT NULL,
  from_revision INTEGER NOT NULL CHECK (from_revision >= 1),
  at INTEGER NOT NULL,
  PRIMARY KEY (tenant, sequence, device)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER revocations_update BEFORE UPDATE ON revocations
  BEGIN SELECT raise(ABORT, 'a revocation is never taken back'); END;
CREATE TRIGGER revocations_delete BEFORE DELETE ON revocations
  BEGIN SELECT raise(ABORT, 'a revocation is never taken back'); END;
CREATE TRIGGER revocations_insert BEFORE INSERT ON revocations
  WHEN NEW.sequence < (SELECT coalesce(max(sequence), 0) FROM revocations WHERE tenant = NEW.tenant)
    OR EXISTS (SELECT 1 FROM revocations
               WHERE tenant = NEW.tenant AND sequence = NEW.sequence AND device = NEW.device)
  BEGIN SELECT raise(ABORT, 'not the next revocation'); END;

CREATE TABLE enrollment_tokens (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  secret_digest BLOB NOT NULL CHECK (length(secret_digest) = 32),
  uses_max INTEGER NOT NULL CHECK (uses_max >= 1),
  uses INTEGER NOT NULL CHECK (uses BETWEEN 0 AND uses_max),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  revoked INTEGER NOT NULL CHECK (revoked IN (0, 1)),
  device_group TEXT NOT NULL,
  labels TEXT NOT NULL CHECK (json_type(labels) = 'array'),
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX enrollment_tokens_secret ON enrollment_tokens (secret_digest);

CREATE TABLE service_keys (
  name TEXT NOT NULL PRIMARY KEY,
  pem BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE journal_heads (
  tenant TEXT NOT NULL,
  writer TEXT NOT NULL,
  sequence INTEGER NOT NULL CHECK (sequence >= 0),
  PRIMARY KEY (tenant, writer)
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
  UNIQUE (tenant, writer, sequence)
) STRICT;
`

const DEVICES = `
INSERT INTO new_counters SELECT * FROM counters;
DROP TABLE counters;
ALTER TABLE new_counters RENAME TO counters;
DROP TABLE devices;
ALTER TABLE new_devices RENAME TO devices;
CREATE INDEX devices_created ON devices (tenant, created_at, id);
CREATE INDEX devices_state ON devices (tenant, state, id) WHERE state <> 'active';
CREATE INDEX devices_state_created ON devices (tenant, state, created_at, id) WHERE state <> 'active';
CREATE INDEX devices_group ON devices (tenant, device_group, id) WHERE device_group <> '';
CREATE INDEX devices_group_created ON devices (tenant, device_group, created_at, id) WHERE device_group <> '';
CREATE INDEX devices_policy ON devices (tenant, policy, id) WHERE policy IS NOT NULL;
CREATE INDEX devices_policy_created ON devices (tenant, policy, created_at, id) WHERE policy IS NOT NULL;
`

/** The writer of all records in a file: one process at a time serves it. */
export const LOCAL_WRITER = "local"

const JOURNAL = `
INSERT INTO new_journal SELECT NULL, tenant, '${LOCAL_WRITER}', sequence, at, caller, act, device, outcome, codes,
  evidence_digest, policy_digest, device_revision, policy_name, policy_revision, token_id, trust_generation
  FROM journal ORDER BY tenant, sequence;
INSERT INTO journal_heads SELECT tenant, '${LOCAL_WRITER}', max(sequence) FROM journal GROUP BY tenant;
DROP TABLE journal;
ALTER TABLE new_journal RENAME TO journal;
CREATE INDEX journal_position ON journal (tenant, position);
CREATE TRIGGER journal_update BEFORE UPDATE ON journal
  BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_delete BEFORE DELETE ON journal
  BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_insert BEFORE INSERT ON journal
  WHEN NEW.sequence <> (SELECT 1 + coalesce(max(sequence), 0) FROM journal
                        WHERE tenant = NEW.tenant AND writer = NEW.writer)
    OR EXISTS (SELECT 1 FROM journal WHERE position = NEW.position)
  BEGIN SELECT raise(ABORT, 'not the next record'); END;
`

const TENANTS = `
INSERT INTO tenants SELECT tenant, 1 FROM
  (SELECT tenant FROM devices UNION SELECT tenant FROM policies UNION SELECT tenant FROM trust_state);
`

/** Makes a file of version 3 out of one of version 2. */
export function upgradeTo3(file: DatabaseSync): void {
  file.exec(TABLES)
  upgradeDevices(file)
  file.exec(DEVICES)
  file.exec(JOURNAL)
  file.exec(TENANTS)
}

/** Every device was active, and known by what its operator registered. */
function upgradeDevices(file: DatabaseSync): void {
  const seen = new Set<string>()
  const insert = file.prepare(
    `INSERT INTO new_devices (${COLUMNS.join()}) VALUES (${COLUMNS.map(() => "?").join()})`,
  )
  for (const row of file.prepare("SELECT * FROM devices ORDER BY created_at, tenant, id").iterate()) {
    const device = upgradedDevice(row, seen)
    insert.run(...COLUMNS.map((column) => device[column]))
  }
}

const upgradedDevice = (row: Row, seen: Set<string>): DeviceTable => {
  const known = ekOf(row)
  const key = known && JSON.stringify([text(row, "tenant"), toHex(known)])
  // Nothing kept two devices from being registered with one endorsement key. The first of them has it from now on.
  const ek = key === undefined || seen.has(key) ? undefined : known
  if (key !== undefined) seen.add(key)
  const device = {
    tenant: text(row, "tenant"),
    id: text(row, "id"),
    revision: integer(row, "revision"),
    state: "active",
    device_group: "",
    policy: optional(text, row, "policy") ?? null,
    created_at: instant(row, "created_at").getTime(),
    ak_name: blob(row, "ak_name"),
    ek: ek ?? null,
    binding: row["ak_certificate_chain"] === null ? "operator" : "certificate",
    token: null,
    permit_kind: null,
    permit_ek: null,
    permit_expires_at: null,
    claimed_name: "",
    labels: "[]",
    qualified_name: optional(blob, row, "qualified_name") ?? null,
    ak_public: blob(row, "ak_public"),
    ek_digest: optional(blob, row, "ek_digest") ?? null,
    ek_certificate_chain: optional(blob, row, "ek_certificate_chain") ?? null,
    ak_certificate_chain: optional(blob, row, "ak_certificate_chain") ?? null,
    permit_ak: null,
  }
  return { ...device, digest: deviceDigest((column) => device[column]) }
}

/** What names the endorsement key: the listed digest, or that of the certificate's key as far as it can be read. */
const ekOf = (row: Row): Uint8Array | undefined => {
  const listed = optional(blob, row, "ek_digest")
  const [leaf] = chainFrom(row, "ek_certificate_chain")
  if (listed !== undefined || leaf === undefined) return listed
  try {
    return sha256(plainSpkiOf(parseCertificate(leaf)))
  } catch (error) {
    if (error instanceof AssayError) return undefined // such a device is refused wherever its certificate is read
    throw error
  }
}
