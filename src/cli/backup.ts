import type { Config } from "../config.ts"
import type { AddCommand } from "./command.ts"
import { fieldLines, type Report, tableLines } from "./output.ts"
import { createProgress } from "./progress.ts"
import { configOf, type SettingOptions } from "./settings.ts"

/** What is in a backup. */
export interface BackupDone {
  readonly rows: Readonly<Record<string, number>>
  readonly tenants: Readonly<Record<string, { readonly devices: number; readonly records: number }>>
  /** Of every line before the last one. */
  readonly sha256: string
}

/** How a backup is to be restored. */
export interface RestoreWish {
  readonly at: Date
  readonly operator: string
  readonly replace: boolean
  /** The SHA-256 that it has to have, if one was told. */
  readonly sha256?: string
  readonly progress: (stage: "checked" | "restored", rows: number, total?: number) => void
}

/** What came of a backup. */
export interface RestoreDone {
  readonly backup: BackupDone & { readonly header: { readonly at: Date; readonly build: string } }
  readonly epoch: number
  readonly devices: number
  readonly removed: number
  readonly withheld: number
  readonly tokensRevoked: number
  readonly trustRemoved: number
  readonly trustWithheld: number
}

/** What `backup` and `restore` are given by `main.ts`. */
export interface BackupParts {
  readonly backUp: (
    config: Config,
    out: string,
    at: Date,
    progress: (rows: number) => void,
  ) => Promise<BackupDone>
  readonly restore: (config: Config, file: string, wish: RestoreWish) => Promise<RestoreDone>
  /** Who runs this. */
  readonly operator: () => string
}

const BACKUP_HELP = `
The server may run meanwhile: what is written is one state of the store. The file has everything of the registry, of trust and of
the journal, and no key, passphrase or token; only its owner can read it. Keep the SHA-256 elsewhere: it is what tells this
backup from another.

Example:
  assay backup --config /etc/assay.yaml --out /var/backups/assay-2026-03-01.jsonl`

/** `assay backup`. */
export const addBackup =
  ({ backUp }: Pick<BackupParts, "backUp">): AddCommand =>
  (program, { io, reporting }) => {
    program
      .command("backup")
      .description("Write the registry, trust and the journal to a file.")
      .option("--config <file>", "settings, YAML or JSON")
      .option("--data <folder>", "the data folder (default: .assay)")
      .requiredOption("--out <FILE>", "a file that is not there yet")
      .addHelpText("after", BACKUP_HELP)
      .action(
        reporting(async (options: SettingOptions & { readonly out: string }) => {
          const progress = createProgress(io, "rows written")
          const done = await backUp(configOf(options, io.env), options.out, io.now(), progress)
          return backupReport(options.out, done)
        }),
      )
  }

const backupReport = (file: string, { rows, tenants, sha256 }: BackupDone): Report => ({
  accepted: true,
  json: { file, sha256, tenants, rows },
  table: () => [
    ...fieldLines([
      ["file", file],
      ["SHA-256", sha256],
    ]),
    "",
    ...tenantLines(tenants),
  ],
})

/** A table of tenants. */
export const tenantLines = (tenants: BackupDone["tenants"]): string[] =>
  tableLines(
    ["TENANT", "DEVICES", "RECORDS"],
    Object.entries(tenants).map(([tenant, { devices, records }]) => [tenant, devices, records]),
  )
