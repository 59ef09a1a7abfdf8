import { AssayError } from "../errors.ts"
import { type BackupParts, type RestoreDone, tenantLines } from "./backup.ts"
import type { AddCommand } from "./command.ts"
import { fieldLines, type Report } from "./output.ts"
import { createProgress } from "./progress.ts"
import { configOf, type SettingOptions } from "./settings.ts"

const RESTORE_HELP = `
All of the file is looked at before anything is changed, and then all of it is restored, or nothing. Afterwards every revision is
higher than it was here and in the backup, and sessions from before are revoked. Into an empty store it is all of the backup; with
--replace, what goes only one way stays where it had come to: counters, devices that were revoked, retired, suspended or
removed, enrollment tokens, revocation lists, the journal. A device that enrolled since the backup is removed.

Examples:
  assay restore assay-2026-03-01.jsonl --config /etc/assay.yaml
  assay restore assay-2026-03-01.jsonl --replace --sha256 $(cat assay-2026-03-01.sha256)`

interface RestoreOptions extends SettingOptions {
  readonly replace?: true
  readonly operator?: string
  readonly sha256?: string
}

/** `assay restore`. */
export const addRestore =
  ({ restore, operator }: Pick<BackupParts, "restore" | "operator">): AddCommand =>
  (program, { io, reporting }) => {
    program
      .command("restore <FILE>")
      .description("Restore a backup. Revisions go on, sessions end, and no counter goes back.")
      .option("--config <file>", "settings, YAML or JSON")
      .option("--data <folder>", "the data folder (default: .assay)")
      .option("--replace", "into a store that is not empty, and that the backup was made of")
      .option("--sha256 <HEX>", "what `assay backup` said: refuse any other file")
      .option("--operator <name>", "whom the journal names (default: who is logged in)")
      .addHelpText("after", RESTORE_HELP)
      .action(
        reporting(async (file: string, options: RestoreOptions) => {
          const told = {
            checked: createProgress(io, "rows checked"),
            restored: createProgress(io, "rows restored"),
          }
          const done = await restore(configOf(options, io.env), file, {
            at: io.now(),
            operator: operatorOf(options.operator ?? operator()),
            replace: options.replace === true,
            ...(options.sha256 !== undefined && { sha256: digestOf(options.sha256) }),
            progress: (stage, rows, total) => told[stage](rows, total),
          })
          return restoreReport(done)
        }),
      )
  }

/** As callers on this machine are called. */
const operatorOf = (name: string): string => {
  if (/^[!-~]{1,63}$/.test(name)) return `local:${name}`
  throw new AssayError("INPUT", "--operator is not a name", {
    location: "--operator",
    expected: "1 to 63 visible ASCII characters",
    actual: name,
  })
}

const digestOf = (hex: string): string => {
  if (/^[0-9a-f]{64}$/.test(hex)) return hex
  throw new AssayError("INPUT", "--sha256 is no SHA-256", {
    location: "--sha256",
    expected: "64 digits of lowercase hexadecimal",
    actual: hex,
  })
}

const restoreReport = ({ backup, ...rest }: RestoreDone): Report => {
  const { sha256, tenants, header } = backup
  const some = (count: number): number | undefined => (count === 0 ? undefined : count)
  return {
    accepted: true,
    json: { sha256, madeAt: header.at.toISOString(), tenants, ...rest },
    table: () => [
      ...fieldLines([
        ["SHA-256", sha256],
        ["made", `${header.at.toISOString()} by Assay ${header.build}`],
        ["epoch", rest.epoch],
        ["devices restored", rest.devices],
        ["stay suspended, revoked, retired or removed", some(rest.withheld)],
        ["removed, for they enrolled since", some(rest.removed)],
        ["enrollment tokens revoked, for they were made since", some(rest.tokensRevoked)],
        ["anchors and keys removed, for they were added since", some(rest.trustRemoved)],
        ["anchors and keys that were removed since, and stay so", some(rest.trustWithheld)],
      ]),
      "",
      ...tenantLines(tenants),
    ],
  }
}
