import type { MessageInitShape } from "@bufbuild/protobuf"
import {
  type AssignPolicyRequestSchema,
  type AssignPolicyResponse,
  type GetPolicyResponse,
  PolicyService,
  type SetPolicyResponse,
} from "../gen/assay/v1/admin_pb.ts"
import {
  type DismissPendingIssuerResponse,
  type GetAnchorResponse,
  type GetPendingIssuerResponse,
  type GetTrustStateResponse,
  type ImportTrustRequestSchema,
  type ImportTrustResponse,
  type ListAnchorsRequestSchema,
  type ListAnchorsResponse,
  type ListCrlsRequestSchema,
  type ListCrlsResponse,
  type ListEksRequestSchema,
  type ListEksResponse,
  type ListIntermediatesRequestSchema,
  type ListIntermediatesResponse,
  type ListPendingIssuersResponse,
  type RemoveTrustResponse,
  TrustService,
} from "../gen/assay/v1/trust_pb.ts"
import { type CallOptions, type ConnectionOptions, connect } from "./connection.ts"
import { type DeviceClient, deviceClient } from "./devices.ts"
import { type JournalCalls, journalCalls } from "./journal.ts"

/** What is checked for long, and what is read for long: 1,000 certificates, or a list of a million entries. */
const LONG_DEADLINE_MS = 120_000

/** A client for operators. Every method throws the server's AssayError. */
export interface AdminClient extends DeviceClient, JournalCalls {
  /** `document` is YAML or JSON. */
  setPolicy(document: string, options?: CallOptions): Promise<SetPolicyResponse>
  /** To a device or a group; with neither, for every device that nothing else is assigned to. */
  assignPolicy(
    request: MessageInitShape<typeof AssignPolicyRequestSchema>,
    options?: CallOptions,
  ): Promise<AssignPolicyResponse>
  getPolicy(name: string, options?: CallOptions): Promise<GetPolicyResponse>
  /** All of a request or nothing, of at most 36 MiB. Its deadline is 2 minutes, unless `options` say otherwise. */
  importTrust(
    request: MessageInitShape<typeof ImportTrustRequestSchema>,
    options?: CallOptions,
  ): Promise<ImportTrustResponse>
  listAnchors(
    request: MessageInitShape<typeof ListAnchorsRequestSchema>,
    options?: CallOptions,
  ): Promise<ListAnchorsResponse>
  /** `id` may be the beginning of one, here and below. */
  getAnchor(id: string, options?: CallOptions): Promise<GetAnchorResponse>
  listIntermediates(
    request: MessageInitShape<typeof ListIntermediatesRequestSchema>,
    options?: CallOptions,
  ): Promise<ListIntermediatesResponse>
  /** Its deadline is 2 minutes, unless `options` say otherwise. */
  listCrls(
    request: MessageInitShape<typeof ListCrlsRequestSchema>,
    options?: CallOptions,
  ): Promise<ListCrlsResponse>
  listEks(
    request: MessageInitShape<typeof ListEksRequestSchema>,
    options?: CallOptions,
  ): Promise<ListEksResponse>
  removeTrust(id: string, options?: CallOptions): Promise<RemoveTrustResponse>
  listPendingIssuers(options?: CallOptions): Promise<ListPendingIssuersResponse>
  getPendingIssuer(id: string, options?: CallOptions): Promise<GetPendingIssuerResponse>
  dismissPendingIssuer(id: string, options?: CallOptions): Promise<DismissPendingIssuerResponse>
  getTrustState(options?: CallOptions): Promise<GetTrustStateResponse>
  close(): void
}

/**
 * A client for the server at `address`: its administration socket, `unix:/absolute/path`, or with `options.tls` any other.
 *
 * @throws {AssayError} INPUT.
 */
export function createAdminClient(address: string, options: ConnectionOptions = {}): AdminClient {
  const connection = connect(address, options)
  const { unary, close } = connection
  const { setPolicy, assignPolicy, getPolicy } = PolicyService.method
  const trust = TrustService.method
  const long = { deadlineMs: LONG_DEADLINE_MS }
  return {
    ...deviceClient(connection),
    ...journalCalls(connection),
    setPolicy: (document, call) => unary(setPolicy, { document }, call),
    assignPolicy: (request, call) => unary(assignPolicy, request, call),
    getPolicy: (name, call) => unary(getPolicy, { name }, call),
    importTrust: (request, call) => unary(trust.importTrust, request, { ...long, ...call }),
    listAnchors: (request, call) => unary(trust.listAnchors, request, call),
    getAnchor: (id, call) => unary(trust.getAnchor, { id }, call),
    listIntermediates: (request, call) => unary(trust.listIntermediates, request, call),
    listCrls: (request, call) => unary(trust.listCrls, request, { ...long, ...call }),
    listEks: (request, call) => unary(trust.listEks, request, call),
    removeTrust: (id, call) => unary(trust.removeTrust, { id }, call),
    listPendingIssuers: (call) => unary(trust.listPendingIssuers, {}, call),
    getPendingIssuer: (id, call) => unary(trust.getPendingIssuer, { id }, call),
    dismissPendingIssuer: (id, call) => unary(trust.dismissPendingIssuer, { id }, call),
    getTrustState: (call) => unary(trust.getTrustState, {}, call),
    close,
  }
}
