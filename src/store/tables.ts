import type { Generated, Kysely } from "kysely"

/*
 * The tables, alike in SQLite and PostgreSQL. An instant is a number of milliseconds since 1970, a flag is 0 or 1, a u64
 * is 8 bytes, big-endian, for the integers of both are signed. The tenant is the first part of every key.
 */

type Bytes = Uint8Array

export interface Tenants {
  tenant: string
  revision: number
}

export interface Policies {
  tenant: string
  name: string
  revision: number
}

export interface PolicyDocuments {
  tenant: string
  name: string
  revision: number
  document: string
  digest: Bytes
}

export interface DefaultPolicies {
  tenant: string
  policy: string
}

export interface GroupPolicies {
  tenant: string
  device_group: string
  policy: string
}

/** All but what attestation moves. `digest` is over every other column. */
export interface DeviceTable {
  tenant: string
  id: string
  revision: number
  state: string
  device_group: string
  policy: string | null
  created_at: number
  /** NULL once its keys were taken off. */
  ak_name: Bytes | null
  ek: Bytes | null
  binding: string
  token: string | null
  permit_kind: string | null
  permit_ek: Bytes | null
  permit_expires_at: number | null
  claimed_name: string
  /** JSON: pairs of key and value, in the order of the keys. */
  labels: string
  digest: Bytes
  qualified_name: Bytes | null
  ak_public: Bytes
  ek_digest: Bytes | null
  ek_certificate_chain: Bytes | null
  ak_certificate_chain: Bytes | null
  /** Of a permit that names an attestation key and no endorsement key. */
  permit_ak: Bytes | null
}

/** The labels again, to find devices by. */
export interface DeviceLabels {
  tenant: string
  key: string
  value: string
  device: string
  created_at: number
}

export interface Counters {
  tenant: string
  device: string
  clock_ms: Bytes
  reset_count: number
  restart_count: number
  safe: number
  firmware_version: Bytes | null
  recorded_at: number
}

export interface Results {
  tenant: string
  device: string
  at: number
  tier: string
  code: string | null
  admitted_at: number | null
}

export interface RemovedDevices {
  tenant: string
  id: string
  removed_at: number
}

export interface Revocations {
  tenant: string
  sequence: number
  device: string
  from_revision: number
  at: number
}

export interface EnrollmentTokens {
  tenant: string
  id: string
  secret_digest: Bytes
  uses_max: number
  uses: number
  created_at: number
  expires_at: number
  revoked: number
  device_group: string
  labels: string
}

export interface Journal {
  tenant: string
  writer: string
  sequence: number
  at: number
  caller: string
  act: string
  device: string
  outcome: string
  codes: string
  evidence_digest: Bytes
  policy_digest: Bytes | null
  device_revision: number | null
  policy_name: string | null
  policy_revision: number | null
  token_id: string | null
  trust_generation: number | null
  hash: Bytes
}

/** How far each writer's chain goes. */
export interface JournalHeads {
  tenant: string
  writer: string
  sequence: number
  hash: Bytes
  /** The latest instant of all its records. */
  newest_at: number
}

/** What vouches for a chain, numbered from 1. */
export interface JournalCheckpoints {
  tenant: string
  writer: string
  number: number
  sequence: number
  compact: string
  at: number
  newest_at: number
}

/** The checkpoint that a chain begins with since older records were removed. */
export interface JournalAnchors {
  tenant: string
  writer: string
  number: number
  sequence: number
}

/** One row, `restored`: 0, or what it has moved on to by restoring backups. */
export interface StoreEpoch {
  name: string
  epoch: number
}

export interface TrustState {
  tenant: string
  generation: number
  anchors: number
  intermediates: number
  crls: number
  crl_bytes: number
  eks: number
}

export interface TrustAnchors {
  tenant: string
  id: Bytes
  certificate: Bytes
  label: string
  purpose: string
  revocation: string
  provenance: string
  added_at: number
  digest: Bytes
}

export interface TrustIntermediates {
  tenant: string
  id: Bytes
  certificate: Bytes
  source: string
  added_at: number
}

export interface TrustCrls {
  tenant: string
  source: string
  id: Bytes
  added_at: number
  crl: Bytes
}

export interface ListedEks {
  tenant: string
  digest: Bytes
  label: string
  added_at: number
}

export interface PendingIssuers {
  tenant: string
  id: Bytes
  issuer: string
  first_seen_at: number
  last_seen_at: number
  count: number
  chain: Bytes | null
}

/** Logs that devices have shown. */
export interface EventLogTable {
  tenant: string
  digest: Bytes
  /** Of the log, in bytes. */
  size: number
  used_at: number
  log: Bytes
}

/** Which device has shown which log under which key. The log itself may be gone. */
export interface DeviceEventLogs {
  tenant: string
  device: string
  ak_name: Bytes
  digest: Bytes
  used_at: number
}

export interface ServiceKeys {
  name: string
  pem: Bytes
}

/** Every table by its name. */
export interface Tables {
  tenants: Tenants
  policies: Policies
  policy_documents: PolicyDocuments
  default_policies: DefaultPolicies
  group_policies: GroupPolicies
  devices: DeviceTable
  device_labels: DeviceLabels
  counters: Counters
  results: Results
  removed_devices: RemovedDevices
  revocations: Revocations
  enrollment_tokens: EnrollmentTokens
  /** `position` is the order over all writers, and given by the engine. */
  journal: Journal & { position: Generated<number> }
  journal_heads: JournalHeads
  journal_checkpoints: JournalCheckpoints
  journal_anchors: JournalAnchors
  store_epoch: StoreEpoch
  trust_state: TrustState
  trust_anchors: TrustAnchors
  trust_intermediates: TrustIntermediates
  trust_crls: TrustCrls
  listed_eks: ListedEks
  pending_issuers: PendingIssuers
  event_logs: EventLogTable
  device_event_logs: DeviceEventLogs
  service_keys: ServiceKeys
}

const NAMES: Readonly<Record<keyof Tables, true>> = {
  tenants: true,
  policies: true,
  policy_documents: true,
  default_policies: true,
  group_policies: true,
  devices: true,
  device_labels: true,
  counters: true,
  results: true,
  removed_devices: true,
  revocations: true,
  enrollment_tokens: true,
  journal: true,
  journal_heads: true,
  journal_checkpoints: true,
  journal_anchors: true,
  store_epoch: true,
  trust_state: true,
  trust_anchors: true,
  trust_intermediates: true,
  trust_crls: true,
  listed_eks: true,
  pending_issuers: true,
  event_logs: true,
  device_event_logs: true,
  service_keys: true,
}

/** Every table. */
export const TABLE_NAMES: readonly string[] = Object.keys(NAMES)

/** What statements are built with. */
export type Builder = Kysely<Tables>
