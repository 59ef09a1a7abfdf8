/** Backups in memory, of stores in tests. */

import { createHash } from "node:crypto"
import { utf8 } from "../../src/bytes.ts"
import { createCheckpointJournal } from "../../src/service/checkpoint-journal.ts"
import { createExportJournal } from "../../src/service/export-journal.ts"
import { dumpStore } from "../../src/store/backup/dump.ts"
import {
  checkBackup,
  type Restored,
  type RestoreOptions,
  restoreBackup,
} from "../../src/store/backup/restore.ts"
import type { Database } from "../../src/store/database.ts"
import type { Store } from "../../src/store/store.ts"
import {
  type JournalEntry,
  type VerifiedJournal,
  verifyJournal,
} from "../../src/verification/journal/verify.ts"
import { ISSUER, verifyBy } from "./journal.ts"
import { UNMETERED } from "./meter.ts"
import { afterNoon, NOON } from "./ports/samples.ts"
import type { TestSigner } from "./signer.ts"

/** A store with the database that it is over. */
export interface BackedUp {
  readonly database: Database
  readonly store: Store
}

/** The lines of a backup, without their line feeds. */
export type Lines = readonly string[]

/** Backs a store up. */
export const backUp = async ({ database }: Pick<BackedUp, "database">): Promise<Lines> => {
  const lines: string[] = []
  await database.read(() => dumpStore({ at: NOON, build: "0.0.0" }, (line) => void lines.push(line)))
  return lines.map((line) => line.slice(0, -1))
}

/** Restores lines into a store. */
export const restoreLines = async (
  { database }: Pick<BackedUp, "database">,
  lines: Lines,
  change: Partial<RestoreOptions> = {},
): Promise<Restored> => {
  const options = {
    lines: () => lines.map(utf8),
    at: afterNoon(60_000),
    operator: "ada",
    replace: false,
    ...change,
  }
  return restoreBackup(database, checkBackup(options), options)
}

/** The lines with another last one, that counts them and is over them. */
export const sealed = (lines: Lines): Lines => {
  const rows = Object.fromEntries(tablesOf(lines).map((name) => [name, 0]))
  const tenants: Record<string, { devices: number; records: number }> = {}
  const body = lines.slice(0, -1)
  for (const line of body.slice(1)) {
    const value: unknown = JSON.parse(line)
    if (!Array.isArray(value)) continue
    const [name, ...values]: unknown[] = value
    rows[String(name)] = (rows[String(name)] ?? 0) + 1
    if (name !== "devices" && name !== "journal") continue
    const tenant = String(values[name === "devices" ? 0 : 1])
    const of = tenants[tenant] ?? { devices: 0, records: 0 }
    tenants[tenant] = of
    if (name === "devices") of.devices += 1
    else of.records += 1
  }
  const sha256 = createHash("sha256")
    .update(body.map((line) => `${line}\n`).join(""))
    .digest("hex")
  return [...body, JSON.stringify({ kind: "end", rows, tenants, sha256 })]
}

const tablesOf = ([header = "{}"]: Lines): readonly string[] => Object.keys(JSON.parse(header).schema)

/** The rows of a table in a backup, by the names of its columns. */
export const rowsIn = (lines: Lines, table: string): readonly Readonly<Record<string, unknown>>[] => {
  const columns: readonly string[] = JSON.parse(lines[0] ?? "{}").schema[table]
  return lines.slice(1, -1).flatMap((line) => {
    const [name, ...values] = JSON.parse(line)
    return name === table ? [Object.fromEntries(columns.map((column, i) => [column, values[i]]))] : []
  })
}

/** The whole journal of a store's tenant, verified against heads that were kept elsewhere, with checkpoints up to its end. */
export const verifyJournalOf = async (
  { archive }: Store,
  signer: TestSigner,
  heads: readonly string[] = [],
): Promise<VerifiedJournal> => {
  const clock = { now: () => afterNoon(120_000) }
  const ports = { archive, signer, meter: UNMETERED, clock, settings: { issuer: ISSUER } }
  const exportJournal = createExportJournal({ ...ports, checkpoint: createCheckpointJournal(ports) })
  const entries: JournalEntry[] = []
  for await (const part of exportJournal({ tenant: "default", id: "auditor" }))
    if (part.kind === "entries") entries.push(...part.entries)
  return verifyJournal(entries, { tenant: "default", issuer: ISSUER, verify: verifyBy(signer), heads })
}

/** The latest checkpoint of each chain of a store's tenant. */
export const headsOf = async ({ archive }: Store): Promise<readonly string[]> =>
  (await archive.chains("default")).flatMap(({ checkpoint }) => checkpoint?.compact ?? [])
