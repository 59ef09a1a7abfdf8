import type { Command } from "commander"
import { toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { createJournalLineReader, JOURNAL_LINE_BYTES_MAX, type JournalLine } from "../service/journal-file.ts"
import type { JournalHeader } from "../service/journal-json.ts"
import type { VerifyJws } from "../verification/journal/checkpoint.ts"
import { createJournalVerifier, type VerifiedJournal } from "../verification/journal/verify.ts"
import type { CommandContext } from "./command.ts"
import { keySetOf, readJson, readText } from "./input.ts"
import { readLines } from "./lines.ts"
import { errorJson, errorLine, fieldLines, type Report, tableLines } from "./output.ts"
import type { CliIo, CliParts } from "./parts.ts"
import { createProgress } from "./progress.ts"

const EXAMPLES = `
Examples:
  curl -s http://127.0.0.1:7401/.well-known/jwks.json > jwks.json
  assay journal verify journal.jsonl --jwks jwks.json
  assay journal verify journal.jsonl --jwks jwks.json --head 2026-03.head

Whoever can write to the database can cut records off its end, and whoever has the signing key can write it anew: both show
only against a head that was kept elsewhere. Checkpoints by a key that has been replaced are vouched for by later ones; give
--jwks again for key sets of then.`

interface Options {
  readonly jwks: readonly string[]
  readonly head: readonly string[]
  readonly issuer?: string
}

/** `assay journal verify`. */
export const addJournalVerify = (journal: Command, { io, parts, reporting }: CommandContext): void => {
  const each = (value: string, before: readonly string[]): readonly string[] => [...before, value]
  journal
    .command("verify <FILE>")
    .description("Verify an exported journal: its chains, its checkpoints, and that it leads to a head.")
    .option(
      "--jwks <FILE>",
      "Assay's key set, as /.well-known/jwks.json has it; may be given again",
      each,
      [],
    )
    .option("--head <FILE>", "checkpoints that it has to lead to, as `journal head` writes them", each, [])
    .option("--issuer <URL>", "who has to have made the checkpoints (default: whom the file names)")
    .addHelpText("after", EXAMPLES)
    .action(reporting((file: string, options: Options) => verifyFile(file, options, io, parts)))
}

/** What was verified, beside what came of it. */
interface Verified {
  readonly header: JournalHeader
  readonly journal: VerifiedJournal
  readonly heads: number
}

const verifyFile = async (file: string, options: Options, io: CliIo, parts: CliParts): Promise<Report> => {
  if (options.jwks.length === 0)
    throw new AssayError("INPUT", "--jwks is required: without keys, no checkpoint proves anything", {
      location: "--jwks",
    })
  const sets = await Promise.all(
    options.jwks.map(async (path) => keySetOf(await readJson(path, io), "--jwks")),
  )
  const heads = await readHeads(options.head, io)
  try {
    const lines = readJournal(file, io)
    return acceptedReport(await verifyLines(lines, parts.verifyJws(sets), heads, options.issuer, io))
  } catch (error) {
    if (error instanceof AssayError && error.kind === "refuted") return refusedReport(error)
    throw error
  }
}

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
  verify: VerifyJws,
  heads: readonly string[],
  issuer: string | undefined,
  io: CliIo,
): Promise<Verified> => {
  const progress = createProgress(io, "records verified")
  let header: JournalHeader | undefined
  let verifier: ReturnType<typeof createJournalVerifier> | undefined
  let records = 0
  for await (const line of lines) {
    if (line.kind === "header") {
      header = line.header
      verifier = createJournalVerifier({
        tenant: header.tenant,
        issuer: issuer ?? header.issuer,
        verify,
        heads,
      })
    } else if (line.kind === "entry") {
      verifier?.take(line.entry)
      if (line.entry.kind === "record") records += 1
      progress(records)
    }
  }
  if (header === undefined || verifier === undefined)
    throw new AssayError("INTERNAL", "a journal without a header")
  return { header, journal: verifier.end(), heads: heads.length }
}

const acceptedReport = ({ header, journal, heads }: Verified): Report => {
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
