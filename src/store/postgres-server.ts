/** What Assay asks of a PostgreSQL server, whatever for: that it is the one that decides, and keeps what it acknowledged. */

import { DatabaseError } from "pg"

/** The oldest version whose promises were read for this. */
const VERSION_MIN = 130_000

/** Answers of a server, by name. */
export type Facts = Readonly<Record<string, string>>

/** What is selected to know a server, for `flawOf`. */
export const FACTS = `current_setting('server_version_num') AS version, pg_is_in_recovery() AS standby,
  current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
  current_setting('synchronous_commit') AS synchronous_commit`

/** The facts in a row that `FACTS` selected, among others. */
export const factsFrom = (row: Readonly<Record<string, unknown>> | undefined): Facts =>
  Object.fromEntries(Object.entries(row ?? {}).map(([name, value]) => [name, String(value)]))

/** Why a server is not to be relied on. */
export interface Flaw {
  readonly setting: string
  readonly expected: string
  readonly actual: string
  readonly why: string
}

type Demand = readonly [setting: string, isKept: (actual: string) => boolean, expected: string, why: string]

const DEMANDS: readonly Demand[] = [
  [
    "version",
    (version) => Number(version) >= VERSION_MIN,
    "13 or later",
    "this PostgreSQL is too old: take version 13 or later",
  ],
  [
    "standby",
    (standby) => standby === "false",
    "false",
    "this PostgreSQL server is a standby, which may not have heard of what its primary acknowledged: name its primary",
  ],
  [
    "fsync",
    (fsync) => fsync === "on",
    "on",
    "this PostgreSQL forgets what it acknowledged when its machine stops: set fsync to on",
  ],
  [
    "full_page_writes",
    (writes) => writes === "on",
    "on",
    "this PostgreSQL may tear pages when its machine stops: set full_page_writes to on",
  ],
  [
    "synchronous_commit",
    (commit) => ["on", "local", "remote_write", "remote_apply"].includes(commit),
    "on",
    "this PostgreSQL forgets what it acknowledged: set synchronous_commit to on",
  ],
]

/** Why a server is not to be relied on, if it is not. What it does not tell counts against it. */
export const flawOf = (facts: Facts): Flaw | undefined => {
  for (const [setting, isKept, expected, why] of DEMANDS) {
    const actual = facts[setting] ?? ""
    if (!isKept(actual)) return { setting, expected, actual, why }
  }
  return undefined
}

/** The SQLSTATE that the server answered with; empty if it gave no answer. */
export const sqlStateOf = (error: unknown): string =>
  error instanceof DatabaseError ? (error.code ?? "") : ""

/** The name as an identifier in quotes; nothing for one that would need more than that. */
export const quotedSchema = (name: string): string | undefined =>
  /^[a-z_][a-z0-9_]{0,62}$/.test(name) ? `"${name}"` : undefined

/** What a person is told of an error: nothing of it is secret, for no driver repeats a password. */
export const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return "no answer"
  const code = "code" in error && typeof error.code === "string" ? error.code : "no answer"
  return error.message === "" ? code : error.message
}
