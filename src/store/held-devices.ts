import { sql } from "kysely"
import type { Counters, LastResult } from "../service/ports.ts"
import { countersFrom } from "./counters.ts"
import { resultFrom } from "./device-row.ts"
import { shareFence } from "./fence.ts"
import type { GroupEntry, PreparedEntry } from "./journal-commit.ts"
import { judgedIn } from "./registry.ts"
import { integer, optional, type Row, text } from "./row.ts"
import { askAll, rowOf, statement, type Work } from "./statement.ts"

/** What is stored of a device, as the records of a group move it on. */
export interface Held {
  readonly tenant: string
  readonly device: string
  readonly revision: number
  readonly policyName: string | undefined
  readonly policyRevision: number | undefined
  readonly trustGeneration: number
  counters: Counters | undefined
  result: LastResult | undefined
  /** Whether counters or result are others than what is stored. */
  hasMoved: boolean
}

interface Names {
  readonly tenant: string
  readonly device: string
}

/** Locks a device against every other commit; where there is only one writer at a time there is nothing to lock. */
const lockDevice = statement<{ tenant: string; device: string }>((builder, at, dialect) =>
  dialect === "sqlite"
    ? undefined
    : builder
        .selectFrom("devices")
        .select("id")
        .where("tenant", "=", at("tenant"))
        .where("id", "=", at("device"))
        .forNoKeyUpdate(),
)

/** What commits are held against, and no more: it is asked for at every record. */
const selectCurrent = statement<{ tenant: string; device: string }>((builder, at) =>
  judgedIn(builder)
    .select("d.revision")
    .where("d.tenant", "=", at("tenant"))
    .where("d.id", "=", at("device")),
)

/**
 * A number of SQLite's that moves when any other connection has committed, in this process or another, and not when this one
 * has. In a transaction that writes it is exact, for nobody else commits until that ends.
 *
 * @see https://sqlite.org/pragma.html#pragma_data_version
 */
const selectVersion = statement<Record<never, never>>((builder, _, dialect) =>
  dialect === "sqlite" ? { compile: () => sql`PRAGMA data_version`.compile(builder) } : undefined,
)

/** Devices that are remembered; all are forgotten when there are more: some 1 MB. */
const REMEMBERED_MAX = 2000

/**
 * What a connection to a SQLite file that writes nothing but groups knows of devices: what it read or wrote of them last, as
 * long as nobody else has written anything.
 */
export class DeviceMemory {
  readonly #max: number
  readonly #held = new Map<string, Held>()
  #version: number | undefined

  constructor(max = REMEMBERED_MAX) {
    this.#max = max
  }

  /** What still holds, by `keyOf`. In a transaction that nobody else can write beside. */
  *recall(): Work<Map<string, Held>> {
    const row = yield* rowOf(selectVersion({}))
    if (row === undefined) throw new Error("nobody knows who else has written")
    const version = integer(row, "data_version")
    if (version !== this.#version || this.#held.size > this.#max) this.#held.clear()
    this.#version = version
    return this.#held
  }

  /** After a transaction that was undone: what was remembered in it was never stored. */
  forget(): void {
    this.#held.clear()
    this.#version = undefined
  }
}

/**
 * Reads all devices that commits of a group are about, as far as they are not remembered, and keeps everybody else from
 * changing them.
 *
 * @returns For each of the group its device: one of several that are about it; nothing if there is none.
 */
export function* holdDevices(
  group: readonly (GroupEntry | PreparedEntry)[],
  memory: DeviceMemory | undefined,
): Work<readonly (Held | undefined)[]> {
  const held = memory === undefined ? new Map<string, Held>() : yield* memory.recall()
  const missing = new Map<string, Names>()
  const keys = group.map(({ record: { tenant }, commit }) => {
    if (commit === undefined) return ""
    const key = keyOf(tenant, commit.device)
    if (!held.has(key)) missing.set(key, { tenant, device: commit.device })
    return key
  })
  if (missing.size > 0) yield* readDevices(missing, held)
  return keys.map((key) => held.get(key))
}

/** Of a device, and of no other one. Never empty. */
const keyOf = (tenant: string, device: string): string => `${tenant.length} ${tenant}${device}`

function* readDevices(missing: ReadonlyMap<string, Names>, held: Map<string, Held>): Work<void> {
  const names = [...missing.values()].sort(byNames)
  const tenants = [...new Set(names.map(({ tenant }) => tenant))]
  const locks = [...tenants.map((tenant) => shareFence({ tenant })), ...names.map(lockDevice)]
  const answers = yield* askAll([...locks, ...names.map(selectCurrent)])
  names.forEach(({ tenant, device }, i) => {
    const row = answers[locks.length + i]?.rows[0]
    if (row !== undefined) held.set(keyOf(tenant, device), heldFrom(tenant, device, row))
  })
}

/** Whoever locks several devices does it in this order, so that no two wait for each other. */
const byNames = (a: Names, b: Names): number => {
  if (a.tenant !== b.tenant) return a.tenant < b.tenant ? -1 : 1
  return a.device < b.device ? -1 : 1
}

const heldFrom = (tenant: string, device: string, row: Row): Held => ({
  tenant,
  device,
  revision: integer(row, "revision"),
  policyName: optional(text, row, "policy_name"),
  policyRevision: optional(integer, row, "policy_revision"),
  trustGeneration: integer(row, "trust_generation"),
  counters: row["clock_ms"] === null ? undefined : countersFrom(row),
  result: row["tier"] === null ? undefined : resultFrom(row),
  hasMoved: false,
})
