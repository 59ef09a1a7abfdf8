/** What the command line is given by `main.ts`: other adapters it does not know, and the process it runs in. */
import type { MessageInitShape } from "@bufbuild/protobuf"
import type { Confirmation } from "../evidence/transcript.ts"
import type {
  AssignPolicyRequestSchema,
  AssignPolicyResponse,
  GetPolicyResponse,
  SetPolicyResponse,
} from "../gen/assay/v1/admin_pb.ts"
import type {
  DismissPendingIssuerResponse,
  GetAnchorResponse,
  GetPendingIssuerResponse,
  GetTrustStateResponse,
  ImportTrustRequestSchema,
  ImportTrustResponse,
  ListAnchorsRequestSchema,
  ListAnchorsResponse,
  ListCrlsRequestSchema,
  ListCrlsResponse,
  ListEksRequestSchema,
  ListEksResponse,
  ListIntermediatesRequestSchema,
  ListIntermediatesResponse,
  ListPendingIssuersResponse,
  RemoveTrustResponse,
} from "../gen/assay/v1/trust_pb.ts"
import type { VerifyJws } from "../verification/journal/checkpoint.ts"
import type { NamedCommand } from "./command.ts"
import type { DeviceCalls } from "./device-calls.ts"
import type { JournalCalls } from "./journal-calls.ts"

/** Calls of an operator. Every method throws the server's AssayError. */
export interface AdminCalls extends TrustCalls, DeviceCalls, JournalCalls {
  setPolicy(document: string): Promise<SetPolicyResponse>
  assignPolicy(request: MessageInitShape<typeof AssignPolicyRequestSchema>): Promise<AssignPolicyResponse>
  getPolicy(name: string): Promise<GetPolicyResponse>
  close(): void
}

/** Calls that trust is managed by. An `id` may be the beginning of one. */
export interface TrustCalls {
  importTrust(request: MessageInitShape<typeof ImportTrustRequestSchema>): Promise<ImportTrustResponse>
  listAnchors(request: MessageInitShape<typeof ListAnchorsRequestSchema>): Promise<ListAnchorsResponse>
  getAnchor(id: string): Promise<GetAnchorResponse>
  listIntermediates(
    request: MessageInitShape<typeof ListIntermediatesRequestSchema>,
  ): Promise<ListIntermediatesResponse>
  listCrls(request: MessageInitShape<typeof ListCrlsRequestSchema>): Promise<ListCrlsResponse>
  listEks(request: MessageInitShape<typeof ListEksRequestSchema>): Promise<ListEksResponse>
  removeTrust(id: string): Promise<RemoveTrustResponse>
  listPendingIssuers(): Promise<ListPendingIssuersResponse>
  getPendingIssuer(id: string): Promise<GetPendingIssuerResponse>
  dismissPendingIssuer(id: string): Promise<DismissPendingIssuerResponse>
  getTrustState(): Promise<GetTrustStateResponse>
}

/** How a server is reached, beside its address. */
export interface Reach {
  /** A credential or an enrollment token. */
  readonly credential?: string
  /** TLS, in PEM; without a `ca`, whom Node trusts. */
  readonly tls?: { readonly ca?: Uint8Array; readonly certificate?: Uint8Array; readonly key?: Uint8Array }
}

/** How a session token is to be checked; `client/session.ts` says what each means. */
export interface SessionCheck {
  readonly keys: { readonly keys: readonly object[] }
  readonly issuer: string
  readonly audience: string
  readonly at: Date
  readonly confirmation?: Confirmation | "checked-elsewhere"
}

/** What a session token says that was found to be good. */
export interface CheckedSession {
  readonly issuer: string
  readonly audience: string
  readonly id: string
  readonly device: string
  readonly tenant: string
  readonly deviceRevision: number
  readonly issuedAt: Date
  readonly expiresAt: Date
  readonly tier: string
  readonly vector: Readonly<Record<string, number>>
  readonly policies: readonly string[]
  readonly confirmation: Confirmation | undefined
}

/** What the commands need of other adapters. */
export interface CliParts {
  /** Of this program. */
  readonly version: string
  /** `unix:/absolute/path` or a loopback address, with TLS any other. @throws {AssayError} INPUT. */
  readonly adminClient: (address: string, reach: Reach) => AdminCalls | Promise<AdminCalls>
  /** @throws {AssayError} of the kind `denied`. */
  readonly verifySessionToken: (token: string, check: SessionCheck) => CheckedSession
  /** Verifies by any of these key sets. @throws {AssayError} TOKEN_KEY for one that is none. */
  readonly verifyJws: (sets: readonly { readonly keys: readonly object[] }[]) => VerifyJws
  /** Commands that reach further than this room may, such as `serve` and `demo`. */
  readonly commands: readonly NamedCommand[]
}

/** The process that a command runs in. Tests hand in another. */
export interface CliIo {
  readonly out: (text: string) => void
  /** Resolves when `out` may be given more: at once, but for a reader that is slower than we are. */
  readonly written: () => Promise<void>
  readonly err: (text: string) => void
  /** Whether a person reads `out`: then the default is a table, else JSON. */
  readonly isTerminal: boolean
  readonly colors: boolean
  readonly env: Readonly<Record<string, string | undefined>>
  readonly now: () => Date
  readonly stdin: AsyncIterable<Uint8Array>
}

/** The process itself. Colors only on a terminal, and not with NO_COLOR (no-color.org). */
export const processIo = (): CliIo => {
  const isTerminal = process.stdout.isTTY === true
  // Whoever reads may stop reading, as `head` does. The status still says how it ended.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error
  })
  return {
    out: (text) => void process.stdout.write(text),
    written: () =>
      new Promise((resolve) => {
        const { stdout } = process
        if (!stdout.writableNeedDrain || stdout.destroyed) return resolve()
        const go = (): void => {
          for (const event of ["drain", "close", "error"]) stdout.off(event, go)
          resolve()
        }
        for (const event of ["drain", "close", "error"]) stdout.on(event, go)
      }),
    err: (text) => void process.stderr.write(text),
    isTerminal,
    colors: isTerminal && (process.env["NO_COLOR"] ?? "") === "",
    env: process.env,
    now: () => new Date(),
    stdin: process.stdin,
  }
}
