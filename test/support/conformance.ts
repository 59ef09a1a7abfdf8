/** What every store does, whatever it keeps its rows in: all suites together, and all adapters side by side. */
import type { Callback, Test } from "uvu"
import type { KeyStore } from "../../src/service/ports.ts"
import type { LogOptions } from "../../src/store/event-logs.ts"
import { createSqliteStore } from "../../src/store/sqlite.ts"
import type { Store } from "../../src/store/store.ts"
import type { TrustOptions } from "../../src/store/trust.ts"
import { scratch } from "../store/folder.ts"
import { actsConformance } from "./ports/acts.ts"
import { type ArchiveUnderTest, archiveConformance } from "./ports/archive.ts"
import type { Awaitable, Check } from "./ports/check.ts"
import { type DamagedUnderTest, damageConformance } from "./ports/damage.ts"
import { type DevicesUnderTest, devicesConformance } from "./ports/devices.ts"
import { eventLogsConformance, type LogsUnderTest } from "./ports/event-logs.ts"
import { journalConformance } from "./ports/journal.ts"
import { keysConformance, memoryKeys } from "./ports/keys.ts"
import { memoryStore } from "./ports/memory.ts"
import { memoryArchive } from "./ports/memory-archive.ts"
import { pendingConformance } from "./ports/pending.ts"
import { registryConformance } from "./ports/registry.ts"
import { trustConformance } from "./ports/trust.ts"
import { usePostgresStore } from "./postgres-store.ts"
import { isThere } from "./prerequisites.ts"

/** A store for the suites. */
export interface StoreUnderTest {
  /** An empty store, for each check. */
  readonly create: (options?: TrustOptions) => Awaitable<DevicesUnderTest>
  /** Its journal, as it is read, vouched for and cut. */
  readonly archive: () => Awaitable<ArchiveUnderTest>
  readonly keys: () => Awaitable<KeyStore>
  /** What it keeps of event logs; nothing where it keeps none. */
  readonly logs?: (options: LogOptions) => Awaitable<LogsUnderTest>
  /** An empty store, with a way to alter its rows past it; nothing where there are no rows. */
  readonly damaged?: () => Awaitable<DamagedUnderTest>
}

/** Registers all suites that a store has to pass. */
export const storeConformance = (
  test: Check,
  name: string,
  { create, archive, keys, logs, damaged }: StoreUnderTest,
): void => {
  registryConformance(test, name, async () => (await create()).registry)
  actsConformance(test, name, create)
  devicesConformance(test, name, create)
  journalConformance(test, name, create)
  archiveConformance(test, name, archive)
  trustConformance(test, name, create)
  pendingConformance(test, name, create)
  keysConformance(test, name, keys)
  if (logs !== undefined) eventLogsConformance(test, name, logs)
  if (damaged !== undefined) damageConformance(test, name, damaged)
}

/** When a suite begins and ends. */
type Hooks = Pick<Test, "before" | "after">

const archiveOf = ({ archive, journal }: Store): ArchiveUnderTest => ({
  archive,
  append: (record) => journal.append(record),
})

const ADAPTERS = {
  memory: () => ({
    create: memoryStore,
    keys: memoryKeys,
    archive: () => {
      const { archive, append } = memoryArchive()
      return { archive, append: async (record) => append(record) }
    },
  }),
  sqlite: (hooks) => {
    const { quick, file } = scratch(hooks)
    return {
      create: quick,
      keys: () => quick().keys,
      logs: (options) => quick({}, options),
      archive: () => archiveOf(quick()),
      damaged: () => {
        const database = file()
        return { ...createSqliteStore(database), alter: (sql) => database.exec(sql) }
      },
    }
  },
  postgres: (hooks) => {
    const { store, damage } = usePostgresStore(hooks)
    return {
      create: store,
      keys: async () => (await store()).keys,
      logs: (options) => store({}, options),
      archive: async () => archiveOf(await store()),
      damaged: async () => ({ ...(await store()), alter: damage }),
    }
  },
} as const satisfies Record<string, (hooks: Hooks) => StoreUnderTest>

/** What a store keeps its rows in. */
export type Adapter = keyof typeof ADAPTERS

/** The store of an adapter, for the suites of a test file. */
export const storeOf = (adapter: Adapter, hooks: Hooks): StoreUnderTest => ADAPTERS[adapter](hooks)

/** What became of a check; `-` where there is nothing to check, or nothing to check it with. */
export type Verdict = "passed" | "FAILED" | "-"

/** One check on all adapters. */
export type ConformanceRow = { readonly check: string } & Readonly<Record<Adapter, Verdict>>

/**
 * Runs every check on every adapter, one after another.
 *
 * @param failed Is called with what a check of an adapter threw.
 */
export const runConformance = async (
  failed: (adapter: Adapter, check: string, error: unknown) => void = () => {},
): Promise<readonly ConformanceRow[]> => {
  const verdicts = {
    memory: await runAdapter("memory", failed),
    sqlite: await runAdapter("sqlite", failed),
    postgres: isThere("postgres") ? await runAdapter("postgres", failed) : new Map<string, Verdict>(),
  }
  const checks = new Set(Object.values(verdicts).flatMap((found) => [...found.keys()]))
  return [...checks].map((check) => ({
    check,
    memory: verdicts.memory.get(check) ?? "-",
    sqlite: verdicts.sqlite.get(check) ?? "-",
    postgres: verdicts.postgres.get(check) ?? "-",
  }))
}

const runAdapter = async (
  adapter: Adapter,
  failed: (adapter: Adapter, check: string, error: unknown) => void,
): Promise<ReadonlyMap<string, Verdict>> => {
  const [befores, afters, checks]: [Hook[], Hook[], [string, () => Promise<void>][]] = [[], [], []]
  const hooks: Hooks = {
    before: Object.assign((act: Hook) => void befores.push(act), { each: () => {} }),
    after: Object.assign((act: Hook) => void afters.push(act), { each: () => {} }),
  }
  storeConformance((name, body) => void checks.push([name, body]), adapter, storeOf(adapter, hooks))
  const verdicts = new Map<string, Verdict>()
  try {
    for (const act of befores) await act(NOTHING)
    for (const [name, body] of checks) {
      const check = name.slice(adapter.length + 1)
      try {
        await body()
        verdicts.set(check, "passed")
      } catch (error) {
        verdicts.set(check, "FAILED")
        failed(adapter, check, error)
      }
    }
  } finally {
    for (const act of afters) await act(NOTHING)
  }
  return verdicts
}

type Hook = Callback
const NOTHING = { __suite__: "conformance", __test__: "" }

const WIDTHS = { check: 92, memory: 8, sqlite: 8, postgres: 8 }

/** The table of all checks, and a line that counts. */
export const conformanceTable = (rows: readonly ConformanceRow[]): string => {
  const line = (row: Readonly<Record<keyof ConformanceRow, string>>): string =>
    `${row.check.slice(0, WIDTHS.check).padEnd(WIDTHS.check)} ${row.memory.padEnd(WIDTHS.memory)} ${row.sqlite.padEnd(WIDTHS.sqlite)} ${row.postgres}`
  const count = (adapter: Adapter): string => {
    const run = rows.filter((row) => row[adapter] !== "-")
    return `${run.filter((row) => row[adapter] === "passed").length}/${run.length}`
  }
  return [
    line({ check: "check", memory: "memory", sqlite: "sqlite", postgres: "postgres" }),
    ...rows.map(line),
    line({ check: "passed", memory: count("memory"), sqlite: count("sqlite"), postgres: count("postgres") }),
  ].join("\n")
}
