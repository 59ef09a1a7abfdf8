import type { DatabaseSync } from "node:sqlite"
import { AssayError } from "../errors.ts"
import { integer } from "./row.ts"

/** How much trust there is, of each sort. */
export interface TrustCounts {
  readonly anchors: number
  readonly intermediates: number
  readonly crls: number
  /** Of all lists together. */
  readonly crlBytes: number
  readonly eks: number
}

/**
 * How much there may be for each tenant. There are some hundred TPM roots in the world, and no more than that many times
 * ten issuing authorities; the lists fit in memory, and the listed keys are those of a very large operator's devices.
 */
export const TRUST_BOUNDS: TrustCounts = {
  anchors: 10_000,
  intermediates: 20_000,
  crls: 10_000,
  crlBytes: 256 * 1024 * 1024,
  eks: 5_000_000,
}

const SORTS: Readonly<Record<keyof TrustCounts, string>> = {
  anchors: "trust anchors",
  intermediates: "intermediate certificates",
  crls: "revocation lists",
  crlBytes: "bytes of revocation lists",
  eks: "listed endorsement keys",
}

/** The row of a tenant in `trust_state`, or what stands for it before there is one. */
export interface TrustState extends TrustCounts {
  readonly generation: number
}

/** Reads and moves the state of each tenant's trust. Nothing here opens a transaction. */
export interface TrustStates {
  of(tenant: string): TrustState
  /** Counts what was added, less than nothing for what was removed, and moves the generation on. */
  move(tenant: string, added: TrustCounts): TrustState
}

/** The states in SQLite. */
export function createTrustStates(database: DatabaseSync): TrustStates {
  const select = database.prepare("SELECT * FROM trust_state WHERE tenant = ?")
  const insert = database.prepare(
    `INSERT INTO trust_state (generation, anchors, intermediates, crls, crl_bytes, eks, tenant)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  )
  const update = database.prepare(
    `UPDATE trust_state SET generation = ?, anchors = ?, intermediates = ?, crls = ?, crl_bytes = ?, eks = ?
     WHERE tenant = ?`,
  )

  const of = (tenant: string): TrustState => {
    const row = select.get(tenant)
    if (row === undefined)
      return { generation: 0, anchors: 0, intermediates: 0, crls: 0, crlBytes: 0, eks: 0 }
    return {
      generation: integer(row, "generation"),
      anchors: integer(row, "anchors"),
      intermediates: integer(row, "intermediates"),
      crls: integer(row, "crls"),
      crlBytes: integer(row, "crl_bytes"),
      eks: integer(row, "eks"),
    }
  }

  return {
    of,
    move(tenant, added) {
      const before = of(tenant)
      const after: TrustState = {
        generation: before.generation + 1,
        anchors: before.anchors + added.anchors,
        intermediates: before.intermediates + added.intermediates,
        crls: before.crls + added.crls,
        crlBytes: before.crlBytes + added.crlBytes,
        eks: before.eks + added.eks,
      }
      const write = before.generation === 0 ? insert : update
      const { generation, anchors, intermediates, crls, crlBytes, eks } = after
      write.run(generation, anchors, intermediates, crls, crlBytes, eks, tenant)
      return after
    },
  }
}

/** @throws {AssayError} TRUST_FULL if there is more of any sort than there may be. */
export function checkBounds(counts: TrustCounts, bounds: TrustCounts): void {
  for (const sort of ["anchors", "intermediates", "crls", "crlBytes", "eks"] as const)
    if (counts[sort] > bounds[sort])
      throw new AssayError("TRUST_FULL", `too many ${SORTS[sort]}: remove what is no longer needed`, {
        expected: `at most ${bounds[sort]}`,
        actual: String(counts[sort]),
      })
}

/** @throws {AssayError} SNAPSHOT_MOVED if another generation was expected. */
export function checkGeneration(generation: number, expected: number | undefined): void {
  if (expected === undefined || expected === generation) return
  throw new AssayError("SNAPSHOT_MOVED", "trust changed while this was compared with it: try again", {
    expected: `generation ${expected}`,
    actual: `generation ${generation}`,
  })
}

/** The answer to an id that nothing has. */
export const trustNotFound = (id: string): AssayError =>
  new AssayError("TRUST_NOT_FOUND", `nothing in the trust store has the id ${id}`)
