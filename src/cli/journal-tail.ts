import { timestampFromDate } from "@bufbuild/protobuf/wkt"
import { type Command, InvalidArgumentError } from "commander"
import { printable } from "../errors.ts"
import type { RecordFilter } from "../gen/assay/v1/journal_pb.ts"
import { recordJson } from "../service/journal-json.ts"
import type { ChainedRecord } from "../verification/journal/verify.ts"
import { type AdminOptions, withAdmin, withAdminOption } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import { parseInstant } from "./input.ts"
import { recordFromProto } from "./journal-view.ts"
import { type Report, tableLines, toJson } from "./output.ts"
import type { AdminCalls, CliIo } from "./parts.ts"

const EXAMPLES = `
Examples:
  assay journal tail
  assay journal tail -n 500 --device gate-7
  assay journal tail --act suspend-device --since 2026-03-01T00:00:00Z
  assay journal tail -f -o json | jq .outcome            one record a line`

interface Options extends AdminOptions {
  readonly lines: number
  readonly follow?: boolean
  readonly device?: string
  readonly act?: string
  readonly since?: string
  readonly until?: string
}

const LINES_DEFAULT = 20
const LINES_MAX = 100_000
const PAGE_SIZE_MAX = 1000

const parseLines = (text: string): number => {
  const lines = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (lines < 1 || lines > LINES_MAX) throw new InvalidArgumentError(`a number from 1 to ${LINES_MAX}`)
  return lines
}

/** `assay journal tail`. */
export const addJournalTail = (journal: Command, context: CommandContext): void => {
  withAdminOption(journal.command("tail"))
    .description("Show the newest records, and with -f those to come.")
    .option("-n, --lines <N>", "how many", parseLines, LINES_DEFAULT)
    .option("-f, --follow", "go on with what is written from now on")
    .option("--device <ID>", "only those about a device")
    .option("--act <ACT>", "only those of an act, as verify or set-policy")
    .option("--since <TIME>", "only those of this instant or later, as 2026-03-01T12:00:00Z")
    .option("--until <TIME>", "only those before this instant")
    .addHelpText("after", EXAMPLES)
    .action((options: Options) =>
      options.follow === true ? follow(options, context) : context.reporting(() => tail(options, context))(),
    )
}

const tail = (options: Options, context: CommandContext): Promise<Report> =>
  withAdmin(context, options, async (admin) => {
    const records = await newest(admin, filterOf(options, context.io), options.lines)
    return {
      accepted: true,
      json: { records: records.map(recordJson) },
      table: () =>
        records.length === 0 ? ["There is no such record."] : tableLines(TITLES, records.map(cellsOf)),
    }
  })

const follow = (options: Options, context: CommandContext): Promise<void> =>
  withAdmin(context, options, async (admin) => {
    const { io, output } = context
    const filter = filterOf(options, io)
    const write = (records: readonly ChainedRecord[]): void =>
      io.out(
        records.map((record) => `${output() === "json" ? jsonLine(record) : tableLine(record)}\n`).join(""),
      )
    const seen = new Map<string, number>()
    let isFirst = true
    for await (const answer of admin.watchRecords({ filter })) {
      // None is missed between those that are there and those to come; none is shown twice.
      const records = isFirst
        ? await newest(admin, filter, options.lines)
        : answer.records.map(recordFromProto)
      isFirst = false
      const fresh = records.filter(({ writer, sequence }) => sequence > (seen.get(writer) ?? 0))
      for (const { writer, sequence } of fresh) seen.set(writer, Math.max(seen.get(writer) ?? 0, sequence))
      write(fresh)
    }
  })

const filterOf = (options: Options, io: CliIo): Pick<RecordFilter, "device" | "act" | "since" | "until"> => {
  const instant = (option: "since" | "until") => {
    const text = options[option]
    return text === undefined ? undefined : timestampFromDate(parseInstant(text, io, `--${option}`))
  }
  const since = instant("since")
  const until = instant("until")
  return {
    device: options.device ?? "",
    act: options.act ?? "",
    ...(since && { since }),
    ...(until && { until }),
  }
}

/** The newest records, the oldest of them first. */
const newest = async (
  admin: AdminCalls,
  filter: ReturnType<typeof filterOf>,
  most: number,
): Promise<readonly ChainedRecord[]> => {
  const found: ChainedRecord[] = []
  let pageToken = ""
  do {
    const pageSize = Math.min(most - found.length, PAGE_SIZE_MAX)
    const page = await admin.listRecords({ filter, pageSize, pageToken })
    found.push(...page.records.map(recordFromProto))
    pageToken = page.nextPageToken
  } while (pageToken !== "" && found.length < most)
  return found.reverse()
}

const TITLES = ["TIME", "ACT", "OUTCOME", "DEVICE", "CALLER", "CODES"]

const cellsOf = ({ content }: ChainedRecord): readonly string[] => [
  content.at.toISOString(),
  content.act,
  content.outcome,
  content.device || "-",
  content.caller,
  content.codes.join(" "),
]

/** Wide enough for most: what is to come is not known. */
const WIDTHS = [24, 16, 15, 20, 20, 0]

const tableLine = (record: ChainedRecord): string =>
  cellsOf(record)
    .map((cell, i) => printable(cell).padEnd(WIDTHS[i] ?? 0))
    .join("  ")
    .trimEnd()

/** On one line: `toJson` breaks lines only between members. */
const jsonLine = (record: ChainedRecord): string => toJson(recordJson(record)).replace(/\n */g, " ")
