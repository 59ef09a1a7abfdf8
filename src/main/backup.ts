/** Backups of the store, out of the settings. The server of the store need not run, and knows nothing of it. */
import { closeSync, fsyncSync, linkSync, openSync, rmSync, statSync, writeSync } from "node:fs"
import { userInfo } from "node:os"
import { basename, dirname, join, resolve } from "node:path"
import {
  addBackup,
  type BackupDone,
  type BackupParts,
  type RestoreDone,
  type RestoreWish,
} from "../cli/backup.ts"
import { addRestore } from "../cli/restore.ts"
import type { Config } from "../config.ts"
import { AssayError } from "../errors.ts"
import type { Database } from "../store/database.ts"
import { VERSION } from "./constants.ts"
import { sharedStore } from "./store.ts"

/** What a database is opened for: to be read while it is served, or to be restored into. */
type Purpose = "read" | "restore"

/** The database of the settings. Loaded only here, as what builds its statements costs every other command its time. */
const openDatabase = async (config: Config, purpose: Purpose): Promise<Database> => {
  const shared = sharedStore(config)
  if (shared !== undefined) {
    const { openPostgresDatabase } = await import("../store/postgres.ts")
    return openPostgresDatabase(shared, { asItIs: purpose === "read" })
  }
  const { openSqliteAlone, openSqliteToRead } = await import("../store/backup/open-sqlite.ts")
  const path = join(resolve(config.data), "assay.db")
  return purpose === "read" ? openSqliteToRead(path) : openSqliteAlone(path)
}

/** @throws {AssayError} INPUT for a file that is there, or cannot be written; REGISTRY. */
const backUp = async (
  config: Config,
  out: string,
  at: Date,
  progress: (rows: number) => void,
): Promise<BackupDone> => {
  const { dumpStore } = await import("../store/backup/dump.ts")
  const database = await openDatabase(config, "read")
  const file = createOutput(out)
  try {
    const end = await database.read(() => dumpStore({ at, build: VERSION }, file.write, progress))
    file.finish()
    return end
  } finally {
    file.end()
    await database.close()
  }
}

/** @throws {AssayError} INPUT for a file that cannot be read; BACKUP, LENGTH, RESTORE, REGISTRY, JOURNAL. */
const restore = async (config: Config, path: string, wish: RestoreWish): Promise<RestoreDone> => {
  const { checkBackup, restoreBackup } = await import("../store/backup/restore.ts")
  const { fileLines } = await import("../store/backup/lines.ts")
  const file = openInput(path)
  try {
    const options = { ...wish, lines: () => fileLines(file) }
    // Before the store is opened, which is made where there is none.
    const backup = checkBackup(options)
    const database = await openDatabase(config, "restore")
    try {
      return await restoreBackup(database, backup, options)
    } finally {
      await database.close()
    }
  } finally {
    closeSync(file)
  }
}

/** What the commands are given. */
export const backupParts: BackupParts = { backUp, restore, operator: () => userInfo().username }

/** `assay backup`. */
export const backupCommand = addBackup(backupParts)

/** `assay restore`. */
export const restoreCommand = addRestore(backupParts)

/** A file, for it is read twice. */
const openInput = (path: string): number => {
  try {
    if (statSync(path).isFile()) return openSync(path, "r")
  } catch (cause) {
    throw new AssayError("INPUT", `${path} cannot be read`, { location: path, cause })
  }
  throw new AssayError("INPUT", `${path} is no regular file`, { location: path })
}

const WRITTEN_AT_ONCE = 1024 * 1024

/** A file for its owner alone that is there in whole and durably, or not at all, and never takes the place of another. */
const createOutput = (path: string) => {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`)
  const file = located(path, () => openSync(temporary, "wx", 0o600))
  let waiting: string[] = []
  let size = 0
  const flush = (): void => {
    const bytes = Buffer.from(waiting.join(""))
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
    waiting = []
    size = 0
  }
  return {
    write(line: string): void {
      waiting.push(line)
      size += line.length
      if (size >= WRITTEN_AT_ONCE) located(path, flush)
    },
    /** Puts it in its place. A link and not a rename, which would replace what is there. */
    finish: () =>
      located(path, () => {
        flush()
        fsyncSync(file)
        linkSync(temporary, path)
        const folder = openSync(dirname(path), "r")
        fsyncSync(folder)
        closeSync(folder)
      }),
    end(): void {
      closeSync(file)
      rmSync(temporary, { force: true })
    },
  }
}

const located = <T>(path: string, act: () => T): T => {
  try {
    return act()
  } catch (cause) {
    const exists = cause instanceof Error && "code" in cause && cause.code === "EEXIST"
    throw new AssayError("INPUT", `${path} ${exists ? "is there already" : "cannot be written"}`, {
      location: path,
      expected: "a file that is not there yet",
      cause,
    })
  }
}
