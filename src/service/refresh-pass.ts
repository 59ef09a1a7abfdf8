import { hash } from "node:crypto"
import { concat } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { Trust } from "../verification/trust.ts"
import type { DeniedKeys } from "../verification/weak-key.ts"
import { actOf } from "./act.ts"
import { trustOf } from "./load-trust.ts"
import type { ParsedTrust, ParseTrust } from "./parse-trust.ts"
import type { Breathe, Clock, Fetch, Published, TrustStore } from "./ports.ts"
import { type RequiredCrl, requiredCrls } from "./refresh-health.ts"
import { type LoadedParts, newParts } from "./refresh-load.ts"
import {
  keptOf,
  type ProgressOf,
  type RefreshOutcome,
  type RefreshReport,
  reportOf,
} from "./refresh-report.ts"
import {
  attempted,
  dueAt,
  failed,
  fairly,
  type Kept,
  NO_PROGRESS,
  type Progress,
  succeeded,
} from "./refresh-schedule.ts"
import { keyOf, type Source, sourcesOf, type Wanted } from "./refresh-sources.ts"

/** What the refresher works with. */
export interface RefreshParts {
  readonly store: Pick<TrustStore, "trustState" | "trust" | "importTrust">
  readonly parse: ParseTrust
  readonly fetch: Fetch
  readonly denied: DeniedKeys
  readonly clock: Clock
  readonly breathe: Breathe
  /** From 0 to 1, for the pause after a failure. */
  readonly jitter: (url: string, failures: number) => number
  /** Hosts that something may be loaded from, in lowercase, as `host` or `host:port`. None: nothing is. */
  readonly hosts: readonly string[]
}

/** What waits to be stored in one import, so that the generation moves once, is held in memory up to this size. */
const BATCH_BYTES_MAX = 32 * 1024 * 1024
/** Certificates come first, for CRLs are accepted by them; twice, for TPM makers have two levels of CAs. */
const ROUNDS: readonly Published[] = ["certificates", "certificates", "crl"]
/** After this, a round asks nobody any more: hosts that answer nothing do not hold up the rounds and the reports to come. */
const ROUND_MS_MAX = 60_000
/** Sources that are asked at the same time. */
const LANES = 4

/** What one pass is over. */
export interface PassInputs {
  readonly tenant: string
  readonly hosts: ReadonlySet<string>
  readonly wanted: readonly Wanted[]
  /** How each URL went so far, by kind and URL. Written as the pass goes on. */
  readonly progress: ProgressOf & { set(key: string, progress: Progress): unknown }
  readonly signal: AbortSignal
  /** Called after each step. */
  readonly progressed: () => void
}

/**
 * Runs one pass. A source that fails is noted; what is kept of it stays.
 *
 * @throws {AssayError} TRUST, REGISTRY, JOURNAL.
 */
export const runPass = (
  parts: RefreshParts,
  inputs: PassInputs,
): Promise<{ readonly report: RefreshReport; readonly required: readonly RequiredCrl[] }> =>
  new Pass(parts, inputs).run()

/** Something good and new that waits to be stored. */
interface Loaded {
  readonly source: Source
  readonly parts: LoadedParts
  readonly sizeBytes: number
}

class Pass {
  readonly #parts: RefreshParts
  readonly #inputs: PassInputs
  readonly #at: Date
  readonly #outcomes: Record<RefreshOutcome, number> = { changed: 0, unchanged: 0, failed: 0 }
  #loaded: Loaded[] = []
  /** The one that everything is accepted by. */
  #generation = 0

  constructor(parts: RefreshParts, inputs: PassInputs) {
    this.#parts = parts
    this.#inputs = inputs
    this.#at = parts.clock.now()
  }

  async run(): ReturnType<typeof runPass> {
    const { denied } = this.#parts
    let parsed = await this.#read()
    let sources: readonly Source[] = []
    for (const kind of ROUNDS) {
      const trust = trustOf(parsed, denied)
      sources = await this.#sources(parsed, trust)
      await this.#round(
        sources.filter((source) => source.kind === kind),
        parsed,
        trust,
      )
      parsed = await this.#read(parsed)
    }
    const required = requiredCrls(parsed, trustOf(parsed, denied), this.#at)
    const { tenant, progress } = this.#inputs
    const report = reportOf({ tenant, at: this.#at, outcomes: this.#outcomes, parsed, sources, progress })
    return { report, required }
  }

  /** Asks what is due, one after another in each lane, until nothing is or the time is over. */
  async #round(sources: readonly Source[], parsed: ParsedTrust, trust: Trust): Promise<void> {
    const { clock } = this.#parts
    const { signal, progressed } = this.#inputs
    const kept = keptOf(parsed, this.#at)
    const lastAttempt = (source: Source): number => this.#progressOf(source).lastAttempt ?? 0
    const queue = [...fairly(sources, (source) => this.#isDue(source, kept), lastAttempt)]
    const end = clock.now().getTime() + ROUND_MS_MAX
    const goesOn = (): boolean => queue.length > 0 && !signal.aborted && clock.now().getTime() < end
    const lane = async (): Promise<void> => {
      while (goesOn() && this.#waitingBytes() < BATCH_BYTES_MAX) {
        const source = queue.shift()
        if (source !== undefined) await this.#attempt(source, parsed, trust)
        progressed()
      }
    }
    this.#generation = parsed.generation
    do {
      await Promise.all(Array.from({ length: LANES }, lane))
      signal.throwIfAborted()
      await this.#store(this.#loaded.splice(0))
      progressed()
    } while (goesOn())
  }

  async #read(last?: ParsedTrust): Promise<ParsedTrust> {
    const { store, parse } = this.#parts
    const { tenant } = this.#inputs
    if (last !== undefined && (await store.trustState(tenant)).generation === last.generation) return last
    return parse(tenant, await store.trust(tenant))
  }

  #sources(parsed: ParsedTrust, trust: Trust): Promise<readonly Source[]> {
    const { wanted, hosts } = this.#inputs
    return sourcesOf({ parsed, trust, wanted, hosts, at: this.#at, breathe: this.#parts.breathe })
  }

  #progressOf(source: Source): Progress {
    return this.#inputs.progress.get(keyOf(source)) ?? NO_PROGRESS
  }

  #note(source: Source, progress: Progress): void {
    this.#inputs.progress.set(keyOf(source), progress)
  }

  #isDue(source: Source, kept: ReadonlyMap<string, Kept>): boolean {
    return dueAt(source.kind, this.#progressOf(source), kept.get(keyOf(source))) <= this.#at.getTime()
  }

  async #attempt(source: Source, parsed: ParsedTrust, trust: Trust): Promise<void> {
    const { signal } = this.#inputs
    this.#note(source, attempted(this.#progressOf(source), this.#at.getTime()))
    try {
      const bytes = await this.#parts.fetch(source.url, source.kind, signal)
      const { breathe } = this.#parts
      const parts = await newParts(source, bytes, { parsed, trust, at: this.#at, breathe })
      if (parts === undefined) this.#succeed(source, "unchanged")
      else this.#loaded.push({ source, parts, sizeBytes: bytes.length })
    } catch (error) {
      if (!signal.aborted) this.#fail(source, error)
    }
  }

  #waitingBytes(): number {
    return this.#loaded.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  }

  /** Stores all of it at once; one by one where the store is too full for all of it. */
  async #store(batch: readonly Loaded[]): Promise<void> {
    if (batch.length === 0) return
    try {
      await this.#import(batch)
    } catch (error) {
      if (!(error instanceof AssayError)) throw error
      if (error.kind === "exhausted" && batch.length > 1) for (const one of batch) await this.#store([one])
      // Trust has changed since, and perhaps who was believed: all of it is loaded again.
      else if (error.kind === "exhausted" || error.code === "SNAPSHOT_MOVED")
        for (const { source } of batch) this.#fail(source, error)
      else throw error
    }
  }

  async #import(batch: readonly Loaded[]): Promise<void> {
    const { tenant } = this.#inputs
    const crls = batch.flatMap(({ parts }) => parts.crls)
    const intermediates = batch.flatMap(({ parts }) => parts.intermediates)
    const parts = { anchors: [], eks: [], crls, intermediates }
    const ids = [...crls, ...intermediates].map(({ id }) => Buffer.from(id, "hex"))
    const digest = hash("sha256", concat(...ids), "buffer")
    const act = actOf(this.#parts, { tenant, id: "system" }, "refresh-trust", digest)
    const imported = await this.#parts.store.importTrust(tenant, parts, act, this.#generation)
    this.#generation = imported.generation
    for (const { source } of batch) this.#succeed(source, "changed")
  }

  #succeed(source: Source, outcome: RefreshOutcome): void {
    this.#note(source, succeeded(this.#progressOf(source), this.#at.getTime()))
    this.#outcomes[outcome]++
  }

  #fail(source: Source, error: unknown): void {
    const progress = this.#progressOf(source)
    const code = error instanceof AssayError ? error.code : "INTERNAL"
    const jitter = this.#parts.jitter(source.url, progress.failures + 1)
    this.#note(source, failed(progress, this.#at.getTime(), code, jitter))
    this.#outcomes.failed++
  }
}
