import type { Command } from "commander"
import type { CommandContext } from "./command.ts"
import { addJournalVerify } from "./journal-verify.ts"

/** `assay journal …`: every decision and every administrative act. */
export const addJournal = (program: Command, context: CommandContext): void => {
  const journal = program.command("journal").description("Verify the journal.")
  addJournalVerify(journal, context)
}
