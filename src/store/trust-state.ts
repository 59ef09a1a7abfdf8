import { AssayError } from "../errors.ts"
import { integer, type Row } from "./row.ts"
import { ask, type Place, rowOf, statement, type Work } from "./statement.ts"

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

const NONE: TrustState = { generation: 0, anchors: 0, intermediates: 0, crls: 0, crlBytes: 0, eks: 0 }

export const selectState = statement<{ tenant: string }>((builder, at) =>
  builder.selectFrom("trust_state").selectAll().where("tenant", "=", at("tenant")),
)

type StateValues = {
  tenant: string
  generation: number
  anchors: number
  intermediates: number
  crls: number
  crl_bytes: number
  eks: number
}

const moving = (at: Place<StateValues>) => ({
  generation: at("generation"),
  anchors: at("anchors"),
  intermediates: at("intermediates"),
  crls: at("crls"),
  crl_bytes: at("crl_bytes"),
  eks: at("eks"),
})

const insertState = statement<StateValues>((builder, at) =>
  builder.insertInto("trust_state").values({ tenant: at("tenant"), ...moving(at) }),
)

const updateState = statement<StateValues>((builder, at) =>
  builder.updateTable("trust_state").set(moving(at)).where("tenant", "=", at("tenant")),
)

/** The state of a row that `selectState` answers, or of none. */
export const stateFrom = (row: Row | undefined): TrustState =>
  row === undefined
    ? NONE
    : {
        generation: integer(row, "generation"),
        anchors: integer(row, "anchors"),
        intermediates: integer(row, "intermediates"),
        crls: integer(row, "crls"),
        crlBytes: integer(row, "crl_bytes"),
        eks: integer(row, "eks"),
      }

/** The state of a tenant's trust. */
export function* stateOf(tenant: string): Work<TrustState> {
  return stateFrom(yield* rowOf(selectState({ tenant })))
}

/** Counts what was added, less than nothing for what was removed, and moves the generation on. */
export function* moveState(tenant: string, before: TrustState, added: TrustCounts): Work<TrustState> {
  const after: TrustState = {
    generation: before.generation + 1,
    anchors: before.anchors + added.anchors,
    intermediates: before.intermediates + added.intermediates,
    crls: before.crls + added.crls,
    crlBytes: before.crlBytes + added.crlBytes,
    eks: before.eks + added.eks,
  }
  const { crlBytes, ...rest } = after
  const put = before.generation === 0 ? insertState : updateState
  yield* ask(put({ tenant, ...rest, crl_bytes: crlBytes }))
  return after
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
