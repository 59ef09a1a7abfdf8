import { timestampFromDate } from "@bufbuild/protobuf/wkt"
import type { Command } from "commander"
import { type AdminOptions, withAdmin, withAdminOption } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import { parseInstant } from "./input.ts"
import { addJournalExport } from "./journal-export.ts"
import { addJournalTail } from "./journal-tail.ts"
import { addJournalVerify } from "./journal-verify.ts"
import { fieldLines } from "./output.ts"

const HELP = `
Examples:
  assay journal tail -f
  assay journal head /media/elsewhere/assay.head
  assay journal export journal.jsonl
  assay journal verify --head /media/elsewhere/assay.head
  assay journal prune --before 2026-01-01T00:00:00Z`

/** `assay journal …`: every decision and every administrative act. */
export const addJournal = (program: Command, context: CommandContext): void => {
  const journal = program
    .command("journal")
    .description("Read, verify, export and cut the journal.")
    .addHelpText("after", HELP)
  addJournalTail(journal, context)
  addJournalVerify(journal, context)
  addJournalExport(journal, context)
  addJournalPrune(journal, context)
}

interface PruneOptions extends AdminOptions {
  readonly before: string
}

const addJournalPrune = (journal: Command, context: CommandContext): void => {
  withAdminOption(journal.command("prune"))
    .description("Remove old records, in whole segments between checkpoints. Export them first.")
    .requiredOption("--before <TIME>", "remove what is older than this instant, as 2026-03-01T12:00:00Z")
    .action(
      context.reporting(async (options: PruneOptions) => {
        const before = parseInstant(options.before, context.io, "--before")
        const pruned = await withAdmin(context, options, (admin) =>
          admin.pruneJournal({ before: timestampFromDate(before) }),
        )
        const json = { before: before.toISOString(), records: Number(pruned.records), chains: pruned.chains }
        return {
          accepted: true,
          json,
          table: () =>
            fieldLines([
              ["removed", `${json.records} records`],
              ["from", `${json.chains} chains`],
            ]),
        }
      }),
    )
}
