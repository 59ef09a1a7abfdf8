/** The tables of a backup: what their columns hold, and in which order their rows stand. */

import { JOURNAL_ACTS } from "../../service/ports.ts"
import { bytes, instant, integer, oneOf, optional, revision, text } from "./columns.ts"
import {
  type BackupTable,
  type BackupTableName,
  type Columns,
  define,
  defineDevices,
  ROWS_MAX,
} from "./table.ts"

export type { BackupTable, BackupTableName, PlainTable } from "./table.ts"

const COUNT_MAX = 4_294_967_295
const DIGEST_BYTES = 32
const CERTIFICATE_BYTES_MAX = 64 * 1024
/** A chain may have several certificates. */
const CHAIN_BYTES_MAX = 1024 * 1024
const DOCUMENT_BYTES_MAX = 1024 * 1024
const CRL_BYTES_MAX = 64 * 1024 * 1024
const LABELS_BYTES_MAX = 64 * 1024
const KEY_BYTES_MAX = 16 * 1024
const HASH_BYTES_MAX = 66

const digest = bytes(DIGEST_BYTES)
const flag = integer(0, 1)
const name = text(255, 1)
const OF_TENANT = { tenant: name } as const
const OF_CHAIN = { tenant: name, writer: name } as const

const DEVICE = {
  ...OF_TENANT,
  id: name,
  revision: revision(),
  state: oneOf("pending", "active", "suspended", "revoked", "retired"),
  device_group: text(),
  policy: optional(name),
  created_at: instant,
  ak_name: optional(bytes(1, HASH_BYTES_MAX)),
  ek: optional(digest),
  binding: oneOf("activation", "certificate", "operator"),
  token: optional(name),
  permit_kind: optional(oneOf("re-enrollment", "ak-rotation", "board-swap")),
  permit_ek: optional(digest),
  permit_expires_at: optional(instant),
  claimed_name: text(),
  labels: text(LABELS_BYTES_MAX),
  digest,
  qualified_name: optional(bytes(0, HASH_BYTES_MAX)),
  ak_public: bytes(0, KEY_BYTES_MAX),
  ek_digest: optional(digest),
  ek_certificate_chain: optional(bytes(1, CHAIN_BYTES_MAX)),
  ak_certificate_chain: optional(bytes(1, CHAIN_BYTES_MAX)),
  permit_ak: optional(bytes(1, HASH_BYTES_MAX)),
} as const satisfies Columns<"devices">

/** Devices without what is joined to them, to write. */
export const DEVICE_ROWS = define("devices", DEVICE, ["tenant", "id"])

/** Everything that a registry and a journal are made of, in an order in which it can be restored. Keys stay out. */
export const BACKUP_TABLES = {
  store_epoch: define("store_epoch", { name: oneOf("restored"), epoch: revision(0) }, ["name"]),
  tenants: define("tenants", { ...OF_TENANT, revision: revision() }, ["tenant"]),
  policies: define("policies", { ...OF_TENANT, name, revision: revision() }, ["tenant", "name"]),
  policy_documents: define(
    "policy_documents",
    { ...OF_TENANT, name, revision: revision(), document: text(DOCUMENT_BYTES_MAX), digest },
    ["tenant", "name", "revision"],
    50,
  ),
  default_policies: define("default_policies", { ...OF_TENANT, policy: name }, ["tenant"]),
  group_policies: define("group_policies", { ...OF_TENANT, device_group: name, policy: name }, [
    "tenant",
    "device_group",
  ]),
  removed_devices: define("removed_devices", { ...OF_TENANT, id: name, removed_at: instant }, [
    "tenant",
    "id",
  ]),
  revocations: define(
    "revocations",
    { ...OF_TENANT, sequence: revision(), device: name, from_revision: revision(), at: instant },
    ["tenant", "sequence", "device"],
  ),
  devices: defineDevices(
    {
      ...DEVICE,
      clock_ms: optional(bytes(8)),
      reset_count: optional(integer(0, COUNT_MAX)),
      restart_count: optional(integer(0, COUNT_MAX)),
      safe: optional(flag),
      firmware_version: optional(bytes(8)),
      recorded_at: optional(instant),
      result_at: optional(instant),
      tier: optional(text()),
      code: optional(text()),
      admitted_at: optional(instant),
    },
    ROWS_MAX,
  ),
  enrollment_tokens: define(
    "enrollment_tokens",
    {
      ...OF_TENANT,
      id: name,
      secret_digest: digest,
      uses_max: integer(1),
      uses: integer(0),
      created_at: instant,
      expires_at: instant,
      revoked: flag,
      device_group: text(),
      labels: text(LABELS_BYTES_MAX),
    },
    ["tenant", "id"],
  ),
  trust_anchors: define(
    "trust_anchors",
    {
      ...OF_TENANT,
      id: digest,
      certificate: bytes(1, CERTIFICATE_BYTES_MAX),
      label: text(),
      purpose: oneOf("ek", "ak", "any"),
      revocation: oneOf("require", "when-published", "off"),
      provenance: text(),
      added_at: instant,
      digest,
    },
    ["tenant", "id"],
    100,
  ),
  trust_intermediates: define(
    "trust_intermediates",
    {
      ...OF_TENANT,
      id: digest,
      certificate: bytes(1, CERTIFICATE_BYTES_MAX),
      source: text(),
      added_at: instant,
    },
    ["tenant", "id"],
    100,
  ),
  // One of them may have 32 MiB.
  trust_crls: define(
    "trust_crls",
    { ...OF_TENANT, source: text(), id: digest, added_at: instant, crl: bytes(1, CRL_BYTES_MAX) },
    ["tenant", "source"],
    1,
  ),
  listed_eks: define("listed_eks", { ...OF_TENANT, digest, label: text(), added_at: instant }, [
    "tenant",
    "digest",
  ]),
  pending_issuers: define(
    "pending_issuers",
    {
      ...OF_TENANT,
      id: digest,
      issuer: text(LABELS_BYTES_MAX),
      first_seen_at: instant,
      last_seen_at: instant,
      count: integer(1),
      chain: optional(bytes(1, CHAIN_BYTES_MAX)),
    },
    ["tenant", "id"],
    50,
  ),
  trust_state: define(
    "trust_state",
    {
      ...OF_TENANT,
      generation: revision(),
      anchors: integer(),
      intermediates: integer(),
      crls: integer(),
      crl_bytes: integer(),
      eks: integer(),
    },
    ["tenant"],
  ),
  journal_heads: define(
    "journal_heads",
    { ...OF_CHAIN, sequence: revision(0), hash: digest, newest_at: instant },
    ["tenant", "writer"],
  ),
  journal_checkpoints: define(
    "journal_checkpoints",
    {
      ...OF_CHAIN,
      number: revision(),
      sequence: revision(),
      compact: text(16 * 1024, 1),
      at: instant,
      newest_at: instant,
    },
    ["tenant", "writer", "number"],
  ),
  journal_anchors: define("journal_anchors", { ...OF_CHAIN, number: revision(), sequence: revision() }, [
    "tenant",
    "writer",
  ]),
  journal: define(
    "journal",
    {
      position: revision(),
      ...OF_CHAIN,
      sequence: revision(),
      at: instant,
      caller: text(),
      act: oneOf(...JOURNAL_ACTS),
      device: text(),
      outcome: text(),
      codes: text(LABELS_BYTES_MAX),
      evidence_digest: bytes(0, HASH_BYTES_MAX),
      policy_digest: optional(bytes(0, HASH_BYTES_MAX)),
      device_revision: optional(revision(0)),
      policy_name: optional(text()),
      policy_revision: optional(revision(0)),
      token_id: optional(text()),
      trust_generation: optional(revision(0)),
      hash: digest,
    },
    ["tenant", "position"],
  ),
} as const satisfies Readonly<Record<BackupTableName, BackupTable>>

/** All of them in their order. */
export const BACKUP_ORDER: readonly BackupTable[] = Object.values(BACKUP_TABLES)
