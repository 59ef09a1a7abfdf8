/** A service that gives plausible answers, and a server around it with a connection to it. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { MessageInitShape } from "@bufbuild/protobuf"
import { Client, type ClientOptions, credentials, Metadata, type ServiceError } from "@grpc/grpc-js"
import pino from "pino"
import { type AttestationClient, createAttestationClient } from "../../src/client/attestation.ts"
import type { VerifyRequestSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import { HashAlgorithm } from "../../src/gen/assay/v1/evidence_pb.ts"
import type { AttestationResult } from "../../src/result/result.ts"
import { type AssayServer, createServer, type ServerConfig } from "../../src/server/server.ts"
import type { BegunEnrollment } from "../../src/service/begin-enrollment.ts"
import type { DeviceView } from "../../src/service/device-view.ts"
import type { EnrollmentTokenView } from "../../src/service/enrollment-tokens.ts"
import type { Caller, KeptRecord, ListedEk, PendingIssuer, PolicyRecord } from "../../src/service/ports.ts"
import type { Service } from "../../src/service/service.ts"
import type { AnchorView, CrlView, IntermediateView } from "../../src/service/trust.ts"

const AT = new Date("2026-01-02T03:04:05.000Z")

/** `size` bytes of 1. */
export const ones = (size: number): Uint8Array => new Uint8Array(size).fill(1)

export const result = (id = "result-1"): AttestationResult => ({
  id,
  tenant: "default",
  tier: "contraindicated",
  vector: { "instance-identity": 99, hardware: -1 },
  findings: [
    {
      rule: "pcrs",
      tier: "contraindicated",
      code: "PCR_DIGEST",
      expected: "a",
      actual: "b",
      location: "sha256:7",
    },
    { rule: "clock", tier: "affirming" },
  ],
  device: "device-1",
  deviceRevision: 3,
  policy: { name: "servers", revision: 2 },
  evaluatedAt: AT,
  evidenceDigest: ones(32),
  freshness: "challenge",
  challengeState: "spent",
  nonce: undefined,
  evidenceAgeMs: undefined,
  endorsements: [],
  certificateChain: [],
  token: { kind: "result", compact: "a.b.c", expiresAt: new Date(AT.getTime() + 60_000) },
  attestAt: new Date(AT.getTime() + 30_000),
})

/** A device with everything that one can have. */
export const device: DeviceView = {
  tenant: "default",
  id: "device-1",
  akPublic: ones(90),
  akName: ones(34),
  qualifiedName: ones(34),
  endorsement: { ekCertificateChain: [ones(700)], akCertificateChain: [ones(600)], ekDigest: undefined },
  ek: ones(32),
  binding: "activation",
  group: "edge",
  labels: new Map([["site", "north 4"]]),
  claimedName: "press 3",
  state: "active",
  policy: "servers",
  revision: 3,
  createdAt: AT,
  token: "et-1",
  permit: { kind: "board-swap", ek: ones(32), expiresAt: AT },
  counters: {
    clockMs: 5n,
    resetCount: 6,
    restartCount: 7,
    safe: true,
    firmwareVersion: undefined,
    recordedAt: AT,
  },
  lastResult: { at: AT, tier: "warning", code: "AK_BINDING_UNPROVEN", admittedAt: AT },
  freshness: "due",
  tpm: {
    manufacturer: "id:49465800",
    vendor: "IFX",
    model: "SLB 9670",
    version: "id:00070055",
    specification: undefined,
    securityAssertions: undefined,
  },
  instance: { provider: "gce", project: "presses", zone: "z-1", id: "18446744073709551615", name: "vm-12" },
  etag: "etag-3",
}

const enrollmentToken: EnrollmentTokenView = {
  tenant: "default",
  id: "et-1",
  usesMax: 5,
  uses: 2,
  createdAt: AT,
  expiresAt: AT,
  revoked: false,
  group: "edge",
  labels: new Map([["site", "north 4"]]),
}

const begun: BegunEnrollment = {
  sealed: ones(6000),
  credential: { credentialBlob: ones(70), encryptedSecret: ones(258) },
  transcript: { random: ones(32), tenant: "default", ekDigest: ones(32), akName: ones(34) },
  expiresAt: AT,
}

const policy: PolicyRecord = {
  tenant: "default",
  name: "servers",
  revision: 2,
  document: "name: servers",
  digest: ones(32),
}

const tenant = "default"
const anchor: AnchorView = {
  tenant,
  id: "a1".repeat(32),
  certificate: ones(400),
  label: "Maker root",
  purpose: "ek",
  revocation: "when-published",
  provenance: "by hand",
  addedAt: AT,
  subject: "CN=Maker \u001b[2J",
  notBefore: AT,
  notAfter: new Date("9999-12-31T23:59:59Z"),
}
const intermediate: IntermediateView = {
  tenant,
  id: "b2".repeat(32),
  certificate: ones(300),
  source: "import",
  addedAt: AT,
  subject: "CN=CA",
  issuer: "CN=Maker",
  notAfter: AT,
}
const crl: CrlView = {
  id: "c3".repeat(32),
  source: "http://crl.example/ca.crl",
  issuer: "CN=CA",
  thisUpdate: AT,
  nextUpdate: undefined,
  entries: 100_000,
}
const listedEk: ListedEk = { tenant, digest: ones(32), label: "rack 4", addedAt: AT }
const pendingIssuer: PendingIssuer = {
  tenant,
  id: "d4".repeat(32),
  issuer: "CN=Nobody \u001b[2J",
  chain: [ones(500), ones(400)],
  firstSeenAt: AT,
  lastSeenAt: AT,
  count: 2,
}

/** A record of the journal, with every member there. */
export const keptRecord: KeptRecord = {
  writer: "local",
  sequence: 7,
  hash: ones(32),
  position: 42,
  content: {
    at: AT,
    tenant,
    caller: "gateway",
    act: "verify",
    device: "device-1",
    outcome: "contraindicated",
    codes: ["PCR_DIGEST", "CLOCK_INFO_UNSAFE"],
    evidenceDigest: ones(32),
    policyDigest: ones(32),
    revisions: { device: 3, policy: { name: "servers", revision: 2 }, trust: 0 },
    tokenId: "token-1",
  },
}

/** Who called what with which input, in order. */
export type Seen = { readonly method: string; readonly input: unknown; readonly caller: Caller }[]

/** A service that remembers its calls in `seen`. */
export const fakeService = (seen: Seen, overrides: Partial<Service> = {}): Service => {
  const remember =
    <I, O>(method: string, answer: (input: I) => O) =>
    async (input: I, caller: Caller): Promise<O> => {
      seen.push({ method, input, caller })
      return answer(input)
    }
  return {
    createChallenge: remember("createChallenge", (input) => ({
      sealed: ones(100),
      transcript: { random: ones(32), tenant: "default", ...input },
      expiresAt: AT,
    })),
    verify: remember("verify", () => result()),
    epoch: async (caller) => {
      seen.push({ method: "epoch", input: undefined, caller })
      return { epoch: { number: 7, value: ones(32), startsAt: AT, endsAt: AT }, token: "e.f.g" }
    },
    beginEnrollment: remember("beginEnrollment", () => begun),
    completeEnrollment: remember("completeEnrollment", () => device),
    registerDevice: remember("registerDevice", () => device),
    device: remember("device", () => device),
    listDevices: remember("listDevices", () => ({ devices: [device], nextPageToken: "next" })),
    updateDevice: remember("updateDevice", () => device),
    moveDevice: async (verb, input, caller) => {
      seen.push({ method: `moveDevice ${verb}`, input, caller })
      return device
    },
    deleteDevice: remember("deleteDevice", () => undefined),
    permitEnrollment: remember("permitEnrollment", () => device),
    importDevices: async (devices, caller) => {
      const input: unknown[] = []
      for await (const one of devices) input.push(one)
      seen.push({ method: "importDevices", input, caller })
      return { added: input.length, unchanged: 1 }
    },
    exportDevices: async function* (filter, caller) {
      seen.push({ method: "exportDevices", input: filter, caller })
      yield [device, { ...device, id: "device-2" }]
    },
    createEnrollmentToken: remember("createEnrollmentToken", () => ({
      token: enrollmentToken,
      secret: "aet_secret",
    })),
    listEnrollmentTokens: remember("listEnrollmentTokens", () => ({
      tokens: [enrollmentToken],
      nextPageToken: "",
    })),
    revokeEnrollmentToken: remember("revokeEnrollmentToken", () => undefined),
    setPolicy: remember("setPolicy", () => policy),
    assignPolicy: remember("assignPolicy", () => undefined),
    policy: remember("policy", () => policy),
    importTrust: remember("importTrust", () => ({ generation: 8, added: 3, changed: 2 })),
    anchors: remember("anchors", () => ({ items: [anchor], next: anchor.id })),
    anchor: remember("anchor", () => anchor),
    intermediates: remember("intermediates", () => ({ items: [intermediate], next: undefined })),
    crls: remember("crls", () => ({ items: [crl], next: undefined })),
    listedEks: remember("listedEks", () => ({ items: [listedEk], next: undefined })),
    removeTrust: remember("removeTrust", () => ({ id: anchor.id, generation: 9 })),
    pendingIssuers: async (caller) => {
      seen.push({ method: "pendingIssuers", input: undefined, caller })
      return [pendingIssuer]
    },
    pendingIssuer: remember("pendingIssuer", () => pendingIssuer),
    dismissIssuer: remember("dismissIssuer", () => ({ id: pendingIssuer.id })),
    records: remember("records", () => ({ records: [keptRecord], next: 41 })),
    async *watchRecords(filter, caller) {
      seen.push({ method: "watchRecords", input: filter, caller })
      yield [keptRecord]
    },
    journalHeads: async (caller) => {
      seen.push({ method: "journalHeads", input: undefined, caller })
      return { checkpoints: ["a.b.c"], jwks: { keys: [{ kid: "key-1" }] } }
    },
    async *exportJournal(caller) {
      seen.push({ method: "exportJournal", input: undefined, caller })
      const header = { tenant, issuer: "https://assay.example", exportedAt: AT }
      yield { kind: "header", header, jwks: { keys: [{ kid: "key-1" }] } }
      yield {
        kind: "entries",
        entries: [
          { kind: "record", ...keptRecord },
          { kind: "checkpoint", compact: "a.b.c" },
        ],
      }
    },
    pruneJournal: remember("pruneJournal", () => ({ records: 12, chains: 1 })),
    trustState: async (caller) => {
      seen.push({ method: "trustState", input: undefined, caller })
      return { generation: 7, anchors: 1, intermediates: 2, eks: 3, pendingIssuers: 4, crls: 5 }
    },
    ...overrides,
  }
}

/** Evidence that keeps every rule of the schema. */
export const goodVerify = (): MessageInitShape<typeof VerifyRequestSchema> => ({
  freshness: { case: "challenge", value: ones(100) },
  evidence: {
    kind: {
      case: "tpm",
      value: {
        akName: ones(34),
        attest: ones(129),
        signature: ones(262),
        pcrBanks: [{ hash: HashAlgorithm.SHA256, values: ones(32) }],
        eventLog: ones(3),
      },
    },
  },
})

/** One line that the server logged. */
export type Line = Readonly<Record<string, unknown>>

export interface Running {
  readonly address: string
  readonly addresses: readonly string[]
  readonly client: AttestationClient
  readonly lines: Line[]
  readonly seen: Seen
  readonly charge: AssayServer["charge"]
  unready(): readonly string[]
  look(): Promise<void>
  stop(): Promise<void>
}

/** Starts a server on loopback with a fake service, unless `config` says otherwise. */
export const running = async (
  overrides: Partial<Service> = {},
  config: Partial<ServerConfig> = {},
): Promise<Running> => {
  const lines: Line[] = []
  const seen: Seen = []
  const server = createServer({
    service: fakeService(seen, overrides),
    log: pino({ level: "debug" }, { write: (line: string) => lines.push(JSON.parse(line)) }),
    listen: ["127.0.0.1:0"],
    admin: undefined,
    credentials: [],
    reflection: true,
    development: true,
    ...config,
  })
  const addresses = await server.start()
  const [address = ""] = addresses
  const client = createAttestationClient(address)
  const stop = async (): Promise<void> => {
    client.close()
    await server.stop()
  }
  const { charge, unready, look } = server
  return { address, addresses, client, lines, seen, charge, unready, look, stop }
}

/** A call with any bytes as its request, as no typed client would make it. Gives the error, or the answer's bytes. */
export const rawCall = (
  address: string,
  path: string,
  bytes: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
  options: ClientOptions = {},
): Promise<{ error: ServiceError } | { error: undefined; answer: Buffer }> => {
  const client = new Client(address, credentials.createInsecure(), options)
  const metadata = new Metadata()
  for (const [key, value] of Object.entries(headers)) metadata.set(key, value)
  const same = (buffer: Buffer): Buffer => buffer
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      same,
      same,
      Buffer.from(bytes),
      metadata,
      { deadline: Date.now() + 5000 },
      (error, answer) => {
        client.close()
        resolve(error ? { error } : { error: undefined, answer: answer ?? Buffer.alloc(0) })
      },
    )
  })
}

/** Runs `act` with a folder that is removed afterwards. */
export const inFolder = async (act: (folder: string) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "assay-"))
  try {
    await act(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
