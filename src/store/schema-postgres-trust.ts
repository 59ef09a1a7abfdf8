import { bytes32, moveOn, text } from "./schema-postgres-parts.ts"

/** Trust in version 1. Certificates and revocation lists are stored as they are: they hardly get smaller, and the work would be for nothing. */
export const TRUST_1 = `
CREATE TABLE trust_state (
  tenant ${text} PRIMARY KEY,
  generation bigint NOT NULL CHECK (generation >= 1),
  anchors bigint NOT NULL CHECK (anchors >= 0),
  intermediates bigint NOT NULL CHECK (intermediates >= 0),
  crls bigint NOT NULL CHECK (crls >= 0),
  crl_bytes bigint NOT NULL CHECK (crl_bytes >= 0),
  eks bigint NOT NULL CHECK (eks >= 0)
);
${moveOn("trust_state", ["tenant"], "generation", "a generation of trust never comes back")}

CREATE TABLE trust_anchors (
  tenant ${text} NOT NULL,
  ${bytes32("id")} NOT NULL,
  certificate bytea NOT NULL,
  label ${text} NOT NULL,
  purpose ${text} NOT NULL CHECK (purpose IN ('ek', 'ak', 'any')),
  revocation ${text} NOT NULL CHECK (revocation IN ('require', 'when-published', 'off')),
  provenance ${text} NOT NULL,
  added_at bigint NOT NULL,
  ${bytes32("digest")} NOT NULL,
  PRIMARY KEY (tenant, id)
);
ALTER TABLE trust_anchors ALTER certificate SET STORAGE EXTERNAL;

CREATE TABLE trust_intermediates (
  tenant ${text} NOT NULL,
  ${bytes32("id")} NOT NULL,
  certificate bytea NOT NULL,
  source ${text} NOT NULL,
  added_at bigint NOT NULL,
  PRIMARY KEY (tenant, id)
);
ALTER TABLE trust_intermediates ALTER certificate SET STORAGE EXTERNAL;

CREATE TABLE trust_crls (
  tenant ${text} NOT NULL,
  source ${text} NOT NULL,
  ${bytes32("id")} NOT NULL,
  added_at bigint NOT NULL,
  crl bytea NOT NULL,
  PRIMARY KEY (tenant, source)
);
ALTER TABLE trust_crls ALTER crl SET STORAGE EXTERNAL;
CREATE INDEX trust_crls_id ON trust_crls (tenant, id);

CREATE TABLE listed_eks (
  tenant ${text} NOT NULL,
  ${bytes32("digest")} NOT NULL,
  label ${text} NOT NULL,
  added_at bigint NOT NULL,
  PRIMARY KEY (tenant, digest)
);

CREATE TABLE pending_issuers (
  tenant ${text} NOT NULL,
  ${bytes32("id")} NOT NULL,
  issuer ${text} NOT NULL,
  first_seen_at bigint NOT NULL,
  last_seen_at bigint NOT NULL,
  count bigint NOT NULL CHECK (count >= 1),
  chain bytea,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX pending_issuers_seen ON pending_issuers (tenant, last_seen_at);`
