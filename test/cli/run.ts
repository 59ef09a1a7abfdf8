/** Runs the command line with everything captured: no process, no terminal, no clock of its own. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { DeviceCalls } from "../../src/cli/device-calls.ts"
import type { JournalCalls } from "../../src/cli/journal-calls.ts"
import type { CliIo, CliParts, TrustCalls } from "../../src/cli/parts.ts"
import { runCli } from "../../src/cli/program.ts"
import { verifySessionToken } from "../../src/client/index.ts"
import { verifyCompactBy } from "../../src/jwt/compact.ts"

export const NOW = new Date("2026-03-01T12:00:00Z")

/** What a run left behind. */
export interface Ran {
  readonly status: number
  readonly out: string
  readonly err: string
}

/** How a run differs from one in a pipe, with nothing on standard input and no server. */
export interface RunOptions {
  readonly stdin?: Uint8Array
  readonly env?: Readonly<Record<string, string>>
  readonly isTerminal?: boolean
  readonly colors?: boolean
  readonly parts?: Partial<CliParts>
  /** Is told of each piece of output as it comes. */
  readonly onOut?: (text: string) => void
}

export const noParts: CliParts = {
  version: "0.0.0",
  adminClient: () => {
    throw new TypeError("no server in this test")
  },
  verifySessionToken,
  verifyJws: verifyCompactBy,
  commands: [],
}

const notAsked = (): never => {
  throw new TypeError("nothing of this is asked for in this test")
}

/** A server that knows nothing of devices and enrollment tokens. */
export const noDevices: DeviceCalls = {
  registerDevice: notAsked,
  getDevice: notAsked,
  listDevices: notAsked,
  updateDevice: notAsked,
  approveDevice: notAsked,
  suspendDevice: notAsked,
  resumeDevice: notAsked,
  revokeDevice: notAsked,
  retireDevice: notAsked,
  transferDevice: notAsked,
  acceptFirmware: notAsked,
  deleteDevice: notAsked,
  permitEnrollment: notAsked,
  importDevices: notAsked,
  exportDevices: notAsked,
  createEnrollmentToken: notAsked,
  listEnrollmentTokens: notAsked,
  revokeEnrollmentToken: notAsked,
}

/** A server that has no journal. */
export const noJournal: JournalCalls = {
  listRecords: notAsked,
  watchRecords: notAsked,
  getHeads: notAsked,
  exportJournal: notAsked,
  pruneJournal: notAsked,
}

/** A server that knows nothing of trust. */
export const noTrust: TrustCalls = {
  importTrust: notAsked,
  listAnchors: notAsked,
  getAnchor: notAsked,
  listIntermediates: notAsked,
  listCrls: notAsked,
  listEks: notAsked,
  removeTrust: notAsked,
  listPendingIssuers: notAsked,
  getPendingIssuer: notAsked,
  dismissPendingIssuer: notAsked,
  getTrustState: notAsked,
}

/** Runs `assay ARGUMENTS…`. */
export const assay = async (argv: readonly string[], options: RunOptions = {}): Promise<Ran> => {
  const out: string[] = []
  const err: string[] = []
  const io: CliIo = {
    out: (text) => {
      out.push(text)
      options.onOut?.(text)
    },
    written: async () => {},
    err: (text) => void err.push(text),
    isTerminal: options.isTerminal ?? false,
    colors: options.colors ?? false,
    env: options.env ?? {},
    now: () => NOW,
    stdin: (async function* () {
      yield options.stdin ?? new Uint8Array()
    })(),
  }
  const status = await runCli(argv, { ...noParts, ...options.parts }, io)
  return { status, out: out.join(""), err: err.join("") }
}

/** The JSON that a run wrote. */
export const jsonOf = <T = Record<string, unknown>>({ out }: Ran): T => JSON.parse(out) as T

const folder = mkdtempSync(join(tmpdir(), "assay-cli-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
let count = 0

/** The path of a new file with this content, gone with the process. */
export const fileOf = (content: Uint8Array | string | object, ending = "bin"): string => {
  const path = join(folder, `${count++}.${ending}`)
  const isBytes = content instanceof Uint8Array || typeof content === "string"
  writeFileSync(path, isBytes ? content : JSON.stringify(content))
  return path
}

/** What `assay check quote` is given, as content or left out. */
export interface QuoteFiles {
  readonly attest: Uint8Array
  readonly signature: Uint8Array
  readonly signatureScheme?: string | undefined
  readonly key: Uint8Array | string
  readonly nonce?: string | undefined
  readonly pcrs?: Uint8Array | object | undefined
  readonly eventLog?: Uint8Array | undefined
}

/** The arguments of `assay check quote` over these files. */
export const quoteArguments = (quote: QuoteFiles): string[] => [
  ...["check", "quote"],
  ...["--attest", fileOf(quote.attest), "--signature", fileOf(quote.signature), "--key", fileOf(quote.key)],
  ...(quote.signatureScheme === undefined ? [] : ["--signature-scheme", quote.signatureScheme]),
  ...(quote.nonce === undefined ? [] : ["--nonce", quote.nonce]),
  ...(quote.pcrs === undefined ? [] : ["--pcrs", fileOf(quote.pcrs)]),
  ...(quote.eventLog === undefined ? [] : ["--eventlog", fileOf(quote.eventLog)]),
]

/** The JSON of `assay check quote`. */
export interface CheckedQuote {
  readonly accepted: boolean
  readonly code: string | null
  readonly held: Readonly<Record<string, boolean | null>>
  readonly findings: readonly { readonly check: string; readonly code: string }[]
  readonly attest: Readonly<Record<string, unknown>> | null
  readonly replay: {
    readonly mismatches: readonly {
      readonly bank: string
      readonly pcr: number
      readonly event: number | null
    }[]
  }
}

/** Checks a quote and says how it ended. */
export const checkQuoteFiles = async (
  quote: QuoteFiles,
): Promise<CheckedQuote & { readonly status: number }> => {
  const ran = await assay(quoteArguments(quote))
  return { status: ran.status, ...jsonOf<CheckedQuote>(ran) }
}
