import { createWriteStream } from "node:fs"
import { rename, rm, writeFile } from "node:fs/promises"
import { pipeline } from "node:stream/promises"
import type { Command } from "commander"
import { toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { createJournalLines, type JournalLine } from "../service/journal-file.ts"
import { readCheckpoint } from "../verification/journal/checkpoint.ts"
import { type AdminOptions, withAdmin, withAdminOption } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import { keysFromProto, linesFromProto } from "./journal-view.ts"
import { fieldLines, type Report, tableLines } from "./output.ts"
import { createProgress } from "./progress.ts"

const EXAMPLES = `
Examples:
  assay journal export journal.jsonl
  assay journal export journal.jsonl --head journal.head

The file has all records up to a checkpoint that is made for it, as JSON lines that \`assay journal verify\` checks without a
server. Keep heads where whoever runs the server cannot write: they show later what was cut off or written anew.`

interface ExportOptions extends AdminOptions {
  readonly head?: string
}

/** Readable by its owner alone: it names every device. */
const FILE_MODE = 0o600

/** `assay journal export` and `assay journal head`. */
export const addJournalExport = (journal: Command, context: CommandContext): void => {
  const { reporting } = context
  withAdminOption(journal.command("export <FILE>"))
    .description("Write the whole journal to a file that can be verified without a server.")
    .option("--head <FILE>", "write each chain's last checkpoint to this file too")
    .addHelpText("after", EXAMPLES)
    .action(reporting((file: string, options: ExportOptions) => exportTo(file, options, context)))
  withAdminOption(journal.command("head [FILE]"))
    .description("Make checkpoints now, and write them to a file, one a line.")
    .action(reporting((file: string | undefined, options: AdminOptions) => heads(file, options, context)))
}

const exportTo = async (file: string, options: ExportOptions, context: CommandContext): Promise<Report> => {
  const { io, parts } = context
  const partial = `${file}.partial`
  const progress = createProgress(io, "records exported")
  const heads = new Map<string, string>()
  const counts = { records: 0, checkpoints: 0 }
  const texts = async function* (lines: AsyncIterable<JournalLine>, writerOf: (compact: string) => string) {
    const writing = createJournalLines()
    for await (const line of lines)
      switch (line.kind) {
        case "header":
          yield writing.header(line.header)
          break
        case "entry":
          counts[line.entry.kind === "record" ? "records" : "checkpoints"] += 1
          if (line.entry.kind === "checkpoint") heads.set(writerOf(line.entry.compact), line.entry.compact)
          progress(counts.records)
          yield writing.entry(line.entry)
          break
        case "end":
          yield writing.end()
      }
  }
  try {
    await withAdmin(context, options, async (admin) => {
      let verify = parts.verifyJws([])
      const lines = linesFromProto(admin.exportJournal(), ({ jwks }) => {
        verify = parts.verifyJws([keysFromProto(jwks)])
      })
      const writerOf = (compact: string): string => readCheckpoint(compact, verify).chain.writer
      await pipeline(texts(lines, writerOf), createWriteStream(partial, { mode: FILE_MODE, flush: true }))
    })
    await rename(partial, file)
    if (options.head !== undefined) await writeHeads(options.head, [...heads.values()])
  } catch (error) {
    await rm(partial, { force: true })
    throw error instanceof AssayError ? error : writeError(file, error)
  }
  const json = { file, ...counts, head: options.head }
  return { accepted: true, json, table: () => fieldLines(Object.entries(json)) }
}

const heads = async (
  file: string | undefined,
  options: AdminOptions,
  context: CommandContext,
): Promise<Report> => {
  const { checkpoints, jwks } = await withAdmin(context, options, (admin) => admin.getHeads())
  const verify = context.parts.verifyJws([keysFromProto(jwks)])
  const found = checkpoints.map((compact) => {
    const { chain, head, issuedAt } = readCheckpoint(compact, verify)
    return { writer: chain.writer, sequence: head.sequence, hash: toHex(head.hash), issuedAt, compact }
  })
  if (file !== undefined) await writeHeads(file, checkpoints)
  return {
    accepted: true,
    json: {
      file,
      heads: found.map(({ issuedAt, compact, ...head }) => ({
        ...head,
        issuedAt: new Date(issuedAt * 1000).toISOString(),
        checkpoint: compact,
      })),
    },
    table: () => [
      ...tableLines(
        ["WRITER", "RECORDS", "HASH OF THE LAST"],
        found.map(({ writer, sequence, hash }) => [writer, sequence, hash]),
      ),
      ...(file === undefined ? ["", ...checkpoints] : []),
    ],
  }
}

const writeHeads = async (file: string, checkpoints: readonly string[]): Promise<void> => {
  try {
    await writeFile(file, checkpoints.map((compact) => `${compact}\n`).join(""), { mode: FILE_MODE })
  } catch (error) {
    throw writeError(file, error)
  }
}

const writeError = (file: string, cause: unknown): AssayError => {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "writing failed"
  return new AssayError("INPUT", `${file} cannot be written: ${code}`, { location: file, cause })
}
