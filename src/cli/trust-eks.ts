import type { Command } from "commander"
import { EK_LIST_ROWS_MAX, parseEkList } from "../service/ek-list.ts"
import { type AdminOptions, withAdmin, withAdminOption } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import { readText } from "./input.ts"
import { fieldLines, type Report } from "./output.ts"
import { createProgress } from "./progress.ts"
import { answered, answerLines } from "./trust-view.ts"

const HELP = `
Example:
  assay trust import-eks fleet.csv

  digest,label
  3f0a…64 hexadecimal digits…,rack 4 unit 7

digest is SHA-256 of the endorsement key's SubjectPublicKeyInfo in DER. At most ${EK_LIST_ROWS_MAX} rows, sent 1,000 at a time: each
thousand is imported whole. If it ends half-way, run it again: what is there already is left as it is.`

/** 100,000 rows with labels of 128 characters, every field quoted. */
const EK_LIST_BYTES_MAX = 32 << 20
/** As many as one request takes. */
const EKS_MAX = 1000

/** `assay trust import-eks`. */
export const addTrustImportEks = (trust: Command, context: CommandContext): void => {
  withAdminOption(trust.command("import-eks <FILE>"))
    .description("List endorsement keys that have no certificate, from CSV.")
    .addHelpText("after", HELP)
    .action(context.reporting((file: string, options: AdminOptions) => importEks(file, options, context)))
}

const importEks = async (file: string, options: AdminOptions, context: CommandContext): Promise<Report> => {
  const { io } = context
  const { eks, duplicates } = parseEkList(await readText(file, io, EK_LIST_BYTES_MAX))
  const progress = createProgress(io, "keys imported")
  const answer = await withAdmin(context, options, async (admin) => {
    let added = 0n
    let changed = 0n
    let generation = 0n
    for (let done = 0; done < eks.length; done += EKS_MAX) {
      try {
        const part = await admin.importTrust({ eks: eks.slice(done, done + EKS_MAX) })
        added += part.added
        changed += part.changed
        generation = part.generation
      } catch (error) {
        if (done > 0) io.err(`${done} of ${eks.length} keys were imported before it failed\n`)
        throw error
      }
      progress(Math.min(done + EKS_MAX, eks.length), eks.length)
    }
    return { added, changed, generation }
  })
  return {
    accepted: true,
    json: { keys: eks.length, duplicates, ...answered(answer) },
    table: () => [
      ...fieldLines([
        ["keys", eks.length],
        ["duplicates", duplicates],
      ]),
      ...answerLines(answer),
    ],
  }
}
