/** The differential suites against `openssl verify`, as `make soak` runs them in full and `make test` in part. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Suite, Tally } from "../suite.ts"
import { type Case, caseOf, fits, makeCase } from "./case.ts"
import { compare, type Outcome, report } from "./compare.ts"
import { FAULTS } from "./faults/index.ts"
import { askAssay, askOpenssl } from "./judges.ts"
import { REASONS, SEARCH } from "./reasons.ts"
import { openShell, type Shell } from "./shell.ts"

const GENERATED = 20_000
/** Seeds that each fault is tried on by itself. */
const SEEDS_EACH = 8
/** A seed for that, far from those of the generated cases. */
const FIRST_SEED = 1_000_000
/** Any seed in so many gives a chain that a fault fits. */
const SEEDS_MAX = 1000

const THEY_REFUSE = "they refuse alone"
const notes = Object.fromEntries([SEARCH, ...REASONS].map(({ id, text }) => [`${THEY_REFUSE}: ${id}`, text]))

/** Case number `n` of the faults by themselves. */
export function caseAlone(n: number): Case {
  const fault = FAULTS[n % FAULTS.length]
  if (fault === undefined) throw new RangeError("an empty catalogue")
  let seed = FIRST_SEED + n * SEEDS_MAX
  for (const end = seed + SEEDS_MAX; seed < end; seed++) if (fits(seed, fault)) return caseOf(seed, [fault])
  throw new RangeError(`no chain fits "${fault.id}"`)
}

/** Compares cases, `abreast` of them at a time. */
async function compareAll(
  numbers: readonly number[],
  make: (n: number) => Case,
  abreast: number,
): Promise<Tally> {
  const counts: Record<string, number> = {}
  const failures: string[] = []
  const queue = [...numbers]
  const worker = async (): Promise<void> => {
    const folder = mkdtempSync(join(tmpdir(), "assay-openssl-"))
    const shell = openShell(folder)
    try {
      for (let n = queue.shift(); n !== undefined; n = queue.shift()) {
        const one = make(n)
        const outcome = await compare(one, shell)
        const label = labelOf(outcome)
        counts[label] = (counts[label] ?? 0) + 1
        const failure = await failureOf(one, outcome, shell)
        if (failure !== undefined) failures.push(failure)
      }
    } finally {
      shell.close()
      rmSync(folder, { recursive: true, force: true })
    }
  }
  await Promise.all(Array.from({ length: abreast }, worker))
  return { counts, failures }
}

const labelOf = (outcome: Outcome): string => {
  switch (outcome.kind) {
    case "both-accept":
      return "both accept"
    case "both-refuse":
      return "both refuse"
    case "we-refuse":
      return `we refuse alone: ${outcome.code}`
    case "they-refuse":
      return `${THEY_REFUSE}: ${outcome.reasons.map(({ id }) => id).join(" + ")}`
    case "unexplained":
      return `${THEY_REFUSE}: UNEXPLAINED`
  }
}

/** What fails a suite: what nobody explains, a good chain that is refused, and a fault by itself that nobody sees. */
async function failureOf(one: Case, outcome: Outcome, shell: Shell): Promise<string | undefined> {
  if (outcome.kind === "unexplained") return outcome.report
  const [fault, more] = one.faults
  if (more !== undefined) return undefined
  const isAccepted = outcome.kind === "both-accept" || (outcome.kind === "they-refuse" && fault !== undefined)
  const isGood = fault === undefined || fault.harmless === true
  if (isGood === isAccepted) return undefined
  const ours = askAssay(one.files, one.question)
  const theirs = await askOpenssl(one.files, { question: one.question, strict: true }, shell)
  const why = isGood ? "a good chain was refused" : "nobody saw the fault"
  return `${why}: ${report(one, ours.accepted ? "accepted" : ours.message, theirs)}`
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

/** Chains with none to two faults. */
export const generated = {
  name: "openssl verify, generated chains",
  volume: GENERATED,
  notes,
  run: (from: number, to: number, abreast = 1) => compareAll(range(from, to), makeCase, abreast),
} satisfies Suite

/** Every fault of the catalogue by itself. */
export const alone: Suite = {
  name: "openssl verify, each fault by itself",
  volume: FAULTS.length * SEEDS_EACH,
  notes,
  run: (from, to) => compareAll(range(from, to), caseAlone, 1),
}
