import { hash } from "node:crypto"
import { toHex, utf8 } from "../../../src/bytes.ts"
import type {
  Act,
  AnchorRecord,
  Challenge,
  Commit,
  Counters,
  CrlRecord,
  DeviceEndorsement,
  DeviceRecord,
  IntermediateRecord,
  JournalRecord,
  ListedEk,
  NewDevice,
  PolicyRecord,
  TrustImport,
} from "../../../src/service/ports.ts"

/** The instant at which samples are made. */
export const NOON = new Date("2026-03-01T12:00:00.000Z")

/** SHA-256 of a text. */
export const digestOf = (text: string): Uint8Array => new Uint8Array(hash("sha256", utf8(text), "buffer"))

/** Nothing vouches for a device's keys but its operator. */
export const NO_ENDORSEMENT: DeviceEndorsement = {
  ekCertificateChain: [],
  akCertificateChain: [],
  ekDigest: undefined,
}

/** The caller of what a test does beforehand and its service's journal does not tell of. */
export const SETUP = "setup"

/** An administrative act at noon. */
export const newAct = (act: Act["act"], change: Partial<Act> = {}): Act => ({
  at: NOON,
  caller: "operator",
  act,
  evidenceDigest: digestOf(`what ${act} asks for`),
  ...change,
})

/** A device whose key and Name follow from its id; a store does not look into them. */
export const newDevice = (id: string, change: Partial<NewDevice> = {}): NewDevice => ({
  tenant: "default",
  id,
  akPublic: utf8(`public area of ${id}`),
  akName: digestOf(`name of ${id}`),
  qualifiedName: undefined,
  ek: undefined,
  binding: "operator",
  endorsement: NO_ENDORSEMENT,
  group: "",
  labels: new Map(),
  claimedName: "",
  createdAt: NOON,
  ...change,
})

/** A policy document to set. */
export const newPolicy = (
  name: string,
  document: string,
  tenant = "default",
): Omit<PolicyRecord, "revision"> => ({ tenant, name, document, digest: digestOf(document) })

/** The record of a decision on a device. */
export const newRecord = (device: string, change: Partial<JournalRecord> = {}): JournalRecord => ({
  at: NOON,
  tenant: "default",
  caller: "gateway",
  act: "verify",
  device,
  outcome: "affirming",
  codes: [],
  evidenceDigest: digestOf(`evidence of ${device}`),
  policyDigest: undefined,
  revisions: { device: 1, policy: undefined, trust: undefined },
  tokenId: undefined,
  ...change,
})

/** What a device said of its clock. */
export const newCounters = (change: Partial<Counters> = {}): Counters => ({
  clockMs: 1000n,
  resetCount: 5,
  restartCount: 2,
  safe: true,
  firmwareVersion: 0x2019_1023_0016_3636n,
  recordedAt: new Date("2026-11-21T12:00:00Z"),
  ...change,
})

/** A challenge of a minute, made at noon. Its random bytes follow from `name`. */
export const newChallenge = (name: string, change: Partial<Challenge> = {}): Challenge => ({
  random: digestOf(name),
  tenant: "default",
  caller: "gateway",
  device: "device-1",
  audience: "https://backend.example",
  confirmation: undefined,
  policy: "",
  policyRevision: 0,
  issuedAt: NOON,
  expiresAt: new Date(NOON.getTime() + 60_000),
  ...change,
})

/** What a device that was registered as new is, before anything else happens to it. */
export const recordOf = (fresh: NewDevice): DeviceRecord => ({
  ...fresh,
  state: "active",
  policy: undefined,
  revision: 1,
  token: undefined,
  permit: undefined,
  counters: undefined,
  lastResult: undefined,
})

/** What is committed for a device that answered a challenge for the first time. */
export const newCommit = (change: Partial<Commit> = {}): Commit => ({
  device: "device-1",
  revisions: { device: 1, policy: undefined, trust: undefined },
  counters: newCounters(),
  result: undefined,
  known: true,
  remembered: undefined,
  freshSince: new Date(0),
  ...change,
})

/** The instant so many milliseconds after noon. */
export const afterNoon = (ms: number): Date => new Date(NOON.getTime() + ms)

/** A device without what differs between two adapters: which class its bytes are of. */
export const plainDevice = (device: DeviceRecord) => ({
  ...device,
  akPublic: toHex(device.akPublic),
  akName: toHex(device.akName),
  qualifiedName: device.qualifiedName && toHex(device.qualifiedName),
  ek: device.ek && toHex(device.ek),
  permit: device.permit && {
    ...device.permit,
    ek: device.permit.ek && toHex(device.permit.ek),
    akName: device.permit.akName && toHex(device.permit.akName),
  },
  endorsement: {
    ekCertificateChain: device.endorsement.ekCertificateChain.map(toHex),
    akCertificateChain: device.endorsement.akCertificateChain.map(toHex),
    ekDigest: device.endorsement.ekDigest === undefined ? undefined : toHex(device.endorsement.ekDigest),
  },
})

/** SHA-256 of a text in hexadecimal, as ids are written. */
export const idOf = (text: string): string => toHex(digestOf(text))

/** An anchor to import. Its certificate follows from its name; a store does not look into it. */
export const newAnchor = (
  name: string,
  change: Partial<AnchorRecord> = {},
): TrustImport["anchors"][number] => ({
  id: idOf(`root ${name}`),
  certificate: utf8(`root ${name}`),
  label: name,
  purpose: "ek",
  revocation: "when-published",
  provenance: "the maker's site",
  ...change,
})

/** An intermediate to import. */
export const newIntermediate = (
  name: string,
  change: Partial<IntermediateRecord> = {},
): TrustImport["intermediates"][number] => ({
  id: idOf(`ca ${name}`),
  certificate: utf8(`ca ${name}`),
  source: "import",
  ...change,
})

/** A revocation list to import: what `source` publishes as its `number`. */
export const newCrl = (
  source: string,
  number: number,
  change: Partial<CrlRecord> = {},
): TrustImport["crls"][number] => ({
  source,
  id: idOf(`crl ${source} ${number}`),
  crl: utf8(`crl ${source} ${number}`),
  ...change,
})

/** An endorsement key to list. */
export const newEk = (name: string, change: Partial<ListedEk> = {}): TrustImport["eks"][number] => ({
  digest: digestOf(`ek ${name}`),
  label: name,
  ...change,
})

/** What to import, with nothing of the sorts that are not told. */
export const trustOf = (parts: Partial<TrustImport>): TrustImport => ({
  anchors: [],
  intermediates: [],
  crls: [],
  eks: [],
  ...parts,
})
