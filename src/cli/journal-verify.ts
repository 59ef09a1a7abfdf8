import type { Command } from "commander"
import { toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { createJournalLineReader, JOURNAL_LINE_BYTES_MAX, type JournalLine } from "../service/journal-file.ts"
import type { JournalHeader } from "../service/journal-json.ts"
import type { VerifyJws } from "../verification/journal/checkpoint.ts"
import { createJournalVerifier, type VerifiedJournal } from "../verification/journal/verify.ts"
import { type AdminOptions, withAdmin, withAdminOption } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import { keySetOf, readJson, readText } from "./input.ts"
import { keysFromProto, linesFromProto } from "./journal-view.ts"
import { readLines } from "./lines.ts"
import { errorJson, errorLine, fieldLines, type Report, tableLines } from "./output.ts"
import type { CliIo } from "./parts.ts"
import { createProgress } from "./progress.ts"

const EXAMPLES = `
Examples:
  assay journal verify                                       what the server has now
  assay journal verify --head 2026-03.head
  curl -s http://127.0.0.1:7401/.well-known/jwks.json > jwks.json
  assay journal verify journal.jsonl --jwks jwks.json        a file, without a server

Whoever can write to the database can cut records off its end, and whoever has the signing key can write it anew: both show
only against a head that was kept elsewhere. Without --jwks a server's own word is taken for its keys. Checkpoints by a key
that has been replaced are vouched for by later ones; give --jwks again for key sets of then.`

interface Options extends AdminOptions {
  readonly jwks: readonly string[]
  readonly head: readonly string[]
  readonly issuer?: string
}

/** `assay journal verify`. */
export const addJournalVerify = (journal: Command, context: CommandContext): void => {
  const each = (value: string, before: readonly string[]): readonly string[] => [...before, value]
  withAdminOption(journal.command("verify [FILE]"))
    .description("Verify the journal: its chains, its checkpoints, and that it leads to a head.")
    .option(
      "--jwks <FILE>",
      "Assay's key set, as /.well-known/jwks.json has it; may be given again",
      each,
      [],
    )
    .option("--head <FILE>", "checkpoints that it has to lead to, as `journal head` writes them", each, [])
    .option("--issuer <URL>", "who has to have made each checkpoint (default: anybody with the keys)")
    .addHelpText("after", EXAMPLES)
    .action(
      context.reporting(async (file: string | undefined, options: Options) => {
        try {
          return acceptedReport(
            await (file === undefined ? verifyLive(options, context) : verifyFile(file, options, context)),
          )
        } catch (error) {
          if (error instanceof AssayError && error.kind === "refuted") return refusedReport(error)
          throw error
        }
      }),
    )
}

/** What was verified, beside what came of it. */
interface Verified {
  readonly header: JournalHeader
  readonly journal: VerifiedJournal
  readonly heads: number
  /** Whose word was taken for the keys. */
  readonly keys: "given" | "server"
}

const verifyFile = async (
  file: string,
  options: Options,
  { io, parts }: CommandContext,
): Promise<Verified> => {
  const sets = await readKeySets(options.jwks, io)
  if (sets === undefined)
    throw new AssayError("INPUT", "--jwks is required: without keys, no checkpoint proves anything", {
      location: "--jwks",
    })
  const heads = await readHeads(options.head, io)
  const verify = parts.verifyJws(sets)
  return {
    ...(await verifyLines(readJournal(file, io), () => verify, heads, options.issuer, io)),
    keys: "given",
  }
}

const verifyLive = async (options: Options, context: CommandContext): Promise<Verified> => {
  const { io, parts } = context
  const sets = await readKeySets(options.jwks, io)
  const heads = await readHeads(options.head, io)
  return withAdmin(context, options, async (admin) => {
    let theirs: { readonly keys: readonly object[] } = { keys: [] }
    const lines = linesFromProto(admin.exportJournal(), ({ jwks }) => {
      theirs = keysFromProto(jwks)
    })
    const verified = await verifyLines(
      lines,
      () => parts.verifyJws(sets ?? [theirs]),
      heads,
      options.issuer,
      io,
    )
    return { ...verified, keys: sets === undefined ? "server" : "given" }
  })
}

const readKeySets = async (
  paths: readonly string[],
  io: CliIo,
): Promise<readonly { readonly keys: readonly object[] }[] | undefined> =>
  paths.length === 0
    ? undefined
    : Promise.all(paths.map(async (path) => keySetOf(await readJson(path, io), "--jwks")))

/** The checkpoints in files: text without white space, parted by it. */
const readHeads = async (paths: readonly string[], io: CliIo): Promise<readonly string[]> => {
  const files = await Promise.all(paths.map((path) => readText(path, io)))
  return files.flatMap((text, i) => {
    const heads = text.split(/\s+/).filter(Boolean)
    if (heads.length === 0)
      throw new AssayError("INPUT", `${paths[i]} has no checkpoint in it`, { location: "--head" })
    return heads
  })
}

async function* readJournal(file: string, io: CliIo): AsyncGenerator<JournalLine> {
  const reader = createJournalLineReader()
  for await (const line of readLines(file, io, JOURNAL_LINE_BYTES_MAX)) yield reader.read(line)
  reader.end()
}

const verifyLines = async (
  lines: AsyncIterable<JournalLine>,
  verifyBy: () => VerifyJws,
  heads: readonly string[],
  issuer: string | undefined,
  io: CliIo,
): Promise<Omit<Verified, "keys">> => {
  const progress = createProgress(io, "records verified")
  let header: JournalHeader | undefined
  let verifier: ReturnType<typeof createJournalVerifier> | undefined
  let records = 0
  for await (const line of lines)
    if (line.kind === "header") {
      header = line.header
      verifier = createJournalVerifier({ tenant: header.tenant, issuer, verify: verifyBy(), heads })
    } else if (line.kind === "entry") {
      verifier?.take(line.entry)
      if (line.entry.kind === "record") records += 1
      progress(records)
    }
  if (header === undefined || verifier === undefined)
    throw new AssayError("INTERNAL", "a journal that does not say whose it is")
  return { header, journal: verifier.end(), heads: heads.length }
}

const acceptedReport = ({ header, journal, heads, keys }: Verified): Report => {
  const chains = journal.chains.map((chain) => ({ ...chain, hash: toHex(chain.hash) }))
  const uncovered = chains.reduce(
    (sum, { first, last, covered }) => sum + last - Math.max(covered, first - 1),
    0,
  )
  const json = {
    accepted: true,
    code: null,
    tenant: header.tenant,
    issuer: header.issuer,
    exportedAt: header.exportedAt.toISOString(),
    keys,
    records: journal.records,
    uncovered,
    checkpoints: journal.checkpoints,
    heads,
    chains,
  }
  return {
    accepted: true,
    json,
    table: ({ good, warn }) => [
      good("accepted"),
      ...(keys === "given" ? [] : [warn("by the keys that the server gave (--jwks)")]),
      ...(heads === 0 ? [warn("no --head was given: a tail that was cut off would not show")] : []),
      ...(uncovered === 0 ? [] : [warn(`${uncovered} records at the end are not covered by a checkpoint`)]),
      "",
      ...fieldLines([
        ["tenant", json.tenant],
        ["issuer", json.issuer],
        ["exported", json.exportedAt],
        ["records", json.records],
        ["checkpoints", json.checkpoints],
      ]),
      "",
      ...tableLines(
        ["WRITER", "FIRST", "LAST", "COVERED TO", "HASH OF THE LAST"],
        chains.map(({ writer, first, last, covered, hash }) => [writer, first, last, covered, hash]),
      ),
    ],
  }
}

const refusedReport = (error: AssayError): Report => ({
  accepted: false,
  json: { accepted: false, code: error.code, finding: errorJson(error) },
  table: ({ bad }) => [bad(`refused: ${error.code}`), errorLine(error)],
})
