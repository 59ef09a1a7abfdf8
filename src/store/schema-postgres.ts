import { upgradeTo2 } from "./schema-postgres-2.ts"
import {
  addOnlyIf,
  bytes8,
  bytes32,
  jsonList,
  keepAll,
  keepRows,
  lastOf,
  moveOn,
  REFUSE,
  type SchemaStep,
  sqlStep,
  text,
} from "./schema-postgres-parts.ts"
import { TRUST_1 } from "./schema-postgres-trust.ts"

/**
 * The tables in PostgreSQL. The tenant is the first part of every key. Instants are milliseconds since 1970; a u64 is 8
 * bytes, big-endian, for PostgreSQL's integers are signed. Text is compared by its bytes, as SQLite and JavaScript do,
 * whatever the language of the database.
 *
 * What only grows, or only moves on, is kept by triggers: the journal without a gap in the sequence of a writer, documents of
 * policies, revisions, generations of trust, ids that were given. `TRUNCATE` asks no trigger of rows, and so has one of
 * its own.
 */

/** Whoever listens on `assay_revision` is told of a tenant when a change of it is committed. */
const TENANTS = `
CREATE TABLE tenants (
  tenant ${text} PRIMARY KEY,
  revision bigint NOT NULL CHECK (revision >= 1)
);
${moveOn("tenants", ["tenant"], "revision", "a revision never comes back")}
CREATE FUNCTION tenants_tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('assay_revision', NEW.tenant);
  RETURN NULL;
END $$;
CREATE TRIGGER tenants_moved AFTER INSERT OR UPDATE ON tenants
  FOR EACH ROW EXECUTE FUNCTION tenants_tell();`

const POLICIES = `
CREATE TABLE policies (
  tenant ${text} NOT NULL,
  name ${text} NOT NULL,
  revision bigint NOT NULL CHECK (revision >= 1),
  PRIMARY KEY (tenant, name)
);
${moveOn("policies", ["tenant", "name"], "revision", "a revision never comes back")}

CREATE TABLE policy_documents (
  tenant ${text} NOT NULL,
  name ${text} NOT NULL,
  revision bigint NOT NULL,
  document ${text} NOT NULL,
  ${bytes32("digest")} NOT NULL,
  PRIMARY KEY (tenant, name, revision),
  FOREIGN KEY (tenant, name) REFERENCES policies (tenant, name)
);
${keepRows("policy_documents", "a policy document never changes")}${keepAll("policy_documents", "a policy document never changes")}
${addOnlyIf(
  "policy_documents",
  `NEW.revision = 1 + ${lastOf("policy_documents", "revision", ["tenant", "name"])}`,
  "not the next revision",
)}

CREATE TABLE default_policies (
  tenant ${text} PRIMARY KEY,
  policy ${text} NOT NULL,
  FOREIGN KEY (tenant, policy) REFERENCES policies (tenant, name)
);

CREATE TABLE group_policies (
  tenant ${text} NOT NULL,
  device_group ${text} NOT NULL CHECK (device_group <> ''),
  policy ${text} NOT NULL,
  PRIMARY KEY (tenant, device_group),
  FOREIGN KEY (tenant, policy) REFERENCES policies (tenant, name)
);`

/**
 * Certificates of a device stay in its row, for whoever reads it reads them: hence the large target. `counters` and `results`
 * change with each verification, and their pages have room for the next version of a row.
 */
const DEVICES = `
CREATE TABLE devices (
  tenant ${text} NOT NULL,
  id ${text} NOT NULL,
  revision bigint NOT NULL CHECK (revision >= 1),
  state ${text} NOT NULL CHECK (state IN ('pending', 'active', 'suspended', 'revoked', 'retired')),
  device_group ${text} NOT NULL,
  policy ${text},
  created_at bigint NOT NULL,
  ak_name bytea,
  ${bytes32("ek")},
  binding ${text} NOT NULL CHECK (binding IN ('activation', 'certificate', 'operator')),
  token ${text},
  permit_kind ${text} CHECK (permit_kind IN ('re-enrollment', 'ak-rotation', 'board-swap')),
  ${bytes32("permit_ek")},
  permit_expires_at bigint,
  claimed_name ${text} NOT NULL,
  ${jsonList("labels")},
  ${bytes32("digest")} NOT NULL,
  qualified_name bytea,
  ak_public bytea NOT NULL,
  ${bytes32("ek_digest")},
  ek_certificate_chain bytea,
  ak_certificate_chain bytea,
  PRIMARY KEY (tenant, id),
  UNIQUE (tenant, ak_name),
  UNIQUE (tenant, ek),
  UNIQUE (tenant, permit_ek),
  FOREIGN KEY (tenant, policy) REFERENCES policies (tenant, name)
) WITH (toast_tuple_target = 8160);
CREATE INDEX devices_created ON devices (tenant, created_at, id);
CREATE INDEX devices_state ON devices (tenant, state, id) WHERE state <> 'active';
CREATE INDEX devices_state_created ON devices (tenant, state, created_at, id) WHERE state <> 'active';
CREATE INDEX devices_group ON devices (tenant, device_group, id) WHERE device_group <> '';
CREATE INDEX devices_group_created ON devices (tenant, device_group, created_at, id) WHERE device_group <> '';
CREATE INDEX devices_policy ON devices (tenant, policy, id) WHERE policy IS NOT NULL;
CREATE INDEX devices_policy_created ON devices (tenant, policy, created_at, id) WHERE policy IS NOT NULL;

CREATE TABLE device_labels (
  tenant ${text} NOT NULL,
  key ${text} NOT NULL,
  value ${text} NOT NULL,
  device ${text} NOT NULL,
  created_at bigint NOT NULL,
  PRIMARY KEY (tenant, key, value, device),
  FOREIGN KEY (tenant, device) REFERENCES devices (tenant, id)
);
CREATE INDEX device_labels_created ON device_labels (tenant, key, value, created_at, device);
CREATE INDEX device_labels_device ON device_labels (tenant, device);

CREATE TABLE counters (
  tenant ${text} NOT NULL,
  device ${text} NOT NULL,
  ${bytes8("clock_ms")} NOT NULL,
  reset_count bigint NOT NULL CHECK (reset_count BETWEEN 0 AND 4294967295),
  restart_count bigint NOT NULL CHECK (restart_count BETWEEN 0 AND 4294967295),
  safe smallint NOT NULL CHECK (safe IN (0, 1)),
  ${bytes8("firmware_version")},
  recorded_at bigint NOT NULL,
  PRIMARY KEY (tenant, device),
  FOREIGN KEY (tenant, device) REFERENCES devices (tenant, id)
) WITH (fillfactor = 80);

CREATE TABLE results (
  tenant ${text} NOT NULL,
  device ${text} NOT NULL,
  at bigint NOT NULL,
  tier ${text} NOT NULL,
  code ${text},
  admitted_at bigint,
  PRIMARY KEY (tenant, device),
  FOREIGN KEY (tenant, device) REFERENCES devices (tenant, id)
) WITH (fillfactor = 80);

CREATE TABLE removed_devices (
  tenant ${text} NOT NULL,
  id ${text} NOT NULL,
  removed_at bigint NOT NULL,
  PRIMARY KEY (tenant, id)
);
${keepRows("removed_devices", "an id is never given again")}${keepAll("removed_devices", "an id is never given again")}

CREATE TABLE revocations (
  tenant ${text} NOT NULL,
  sequence bigint NOT NULL,
  device ${text} NOT NULL,
  from_revision bigint NOT NULL CHECK (from_revision >= 1),
  at bigint NOT NULL,
  PRIMARY KEY (tenant, sequence, device)
);
${keepRows("revocations", "a revocation is never taken back")}${keepAll("revocations", "a revocation is never taken back")}
${addOnlyIf(
  "revocations",
  `NEW.sequence >= ${lastOf("revocations", "sequence", ["tenant"])}`,
  "not the next revocation",
)}

CREATE TABLE enrollment_tokens (
  tenant ${text} NOT NULL,
  id ${text} NOT NULL,
  ${bytes32("secret_digest")} NOT NULL,
  uses_max bigint NOT NULL CHECK (uses_max >= 1),
  uses bigint NOT NULL CHECK (uses BETWEEN 0 AND uses_max),
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  revoked smallint NOT NULL CHECK (revoked IN (0, 1)),
  device_group ${text} NOT NULL,
  ${jsonList("labels")},
  PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX enrollment_tokens_secret ON enrollment_tokens (secret_digest);`

/** `position` is the order over all writers. */
const JOURNAL = `
CREATE TABLE journal_heads (
  tenant ${text} NOT NULL,
  writer ${text} NOT NULL,
  sequence bigint NOT NULL CHECK (sequence >= 0),
  PRIMARY KEY (tenant, writer)
) WITH (fillfactor = 50);

CREATE TABLE journal (
  position bigint GENERATED ALWAYS AS IDENTITY,
  tenant ${text} NOT NULL,
  writer ${text} NOT NULL,
  sequence bigint NOT NULL,
  at bigint NOT NULL,
  caller ${text} NOT NULL,
  act ${text} NOT NULL,
  device ${text} NOT NULL,
  outcome ${text} NOT NULL,
  ${jsonList("codes")},
  evidence_digest bytea NOT NULL,
  policy_digest bytea,
  device_revision bigint,
  policy_name ${text},
  policy_revision bigint,
  token_id ${text},
  trust_generation bigint,
  PRIMARY KEY (tenant, writer, sequence)
);
CREATE UNIQUE INDEX journal_position ON journal (tenant, position);
${keepRows("journal", "the journal is append-only")}${keepAll("journal", "the journal is append-only")}
${addOnlyIf(
  "journal",
  `NEW.sequence = 1 + ${lastOf("journal", "sequence", ["tenant", "writer"])}`,
  "not the next record",
)}`

const SERVICE_KEYS = `
CREATE TABLE service_keys (
  name ${text} PRIMARY KEY,
  pem bytea NOT NULL
);`

const VERSION_1 = [REFUSE, TENANTS, POLICIES, DEVICES, JOURNAL, TRUST_1, SERVICE_KEYS].join("\n")

/**
 * A permit may name an attestation key in place of an endorsement key, by its Name. Most devices have none, and no place in
 * the index.
 */
const VERSION_3 = `
ALTER TABLE devices ADD COLUMN permit_ak bytea CHECK (length(permit_ak) IN (34, 50, 66));
CREATE UNIQUE INDEX devices_permit_ak ON devices (tenant, permit_ak) WHERE permit_ak IS NOT NULL;`

/**
 * Event logs that devices have shown, each once for its tenant, and who has shown them. Whose log is gone is asked for it
 * again, so the one refers to the other without a constraint.
 */
const VERSION_4 = `
CREATE TABLE event_logs (
  tenant ${text} NOT NULL,
  ${bytes32("digest")} NOT NULL,
  size bigint NOT NULL CHECK (size >= 1),
  used_at bigint NOT NULL,
  log bytea NOT NULL,
  PRIMARY KEY (tenant, digest)
);
ALTER TABLE event_logs ALTER COLUMN log SET STORAGE EXTERNAL;
CREATE INDEX event_logs_used ON event_logs (tenant, used_at, digest, size);

CREATE TABLE device_event_logs (
  tenant ${text} NOT NULL,
  device ${text} NOT NULL,
  ak_name bytea NOT NULL,
  ${bytes32("digest")} NOT NULL,
  used_at bigint NOT NULL,
  PRIMARY KEY (tenant, device, ak_name, digest),
  FOREIGN KEY (tenant, device) REFERENCES devices (tenant, id) ON DELETE CASCADE
);`

/**
 * What makes a schema of each version out of one of the version before; the first starts from an empty schema. A released
 * one never changes.
 */
export const POSTGRES_STEPS: readonly SchemaStep[] = [
  sqlStep(VERSION_1),
  upgradeTo2,
  sqlStep(VERSION_3),
  sqlStep(VERSION_4),
]
