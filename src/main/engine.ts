/** What replicas have to agree on, out of the settings: what was used, what was changed, and what time it is. */
import type { Config } from "../config.ts"
import { createClockWatch } from "../keys/clock.ts"
import { readPassphraseFile } from "../keys/privatefile.ts"
import type { Changes, Clock, Confirm, Random, SingleUse } from "../service/ports.ts"
import { type Nudges, type Revisions, watchChanges } from "../store/changes.ts"
import type { Engine } from "../store/engine/engine.ts"
import { createMemberEngine, type Members } from "../store/engine/members.ts"
import { createMemoryEngine, type MemoryOptions } from "../store/engine/memory.ts"
import { type EngineSettings, openEngine, openNudges } from "../store/engine/open.ts"
import type { Store } from "../store/store.ts"
import { sharedStore } from "./store.ts"

/** What a service goes by from its start, and a part of it that begins later too. */
export interface Known {
  /** What lay between the clocks of this machine, see `createClockWatch`. */
  readonly betweenMs: number
  readonly revisions: Revisions | undefined
}

/** An engine, and whether this replica may decide by it. */
export interface Agreement {
  readonly engine: Engine
  readonly changes: Changes
  readonly confirm: Confirm
  /** Why this replica may not decide. For readiness. */
  unready(): readonly (string | undefined)[]
  known(): Known
  close(): Promise<void>
}

/** What a process has to do with others that share its work, where the engine is in memory. */
export interface MemoryParts {
  readonly options: Required<Pick<MemoryOptions, "sealing" | "epoch">>
  readonly members: Members
  readonly counts: "here" | "elsewhere"
  /** Is given what this process owns, to answer the others with. */
  readonly owns: (singleUse: SingleUse) => void
  readonly nudges: Nudges
}

/** What the engine is made of beside the settings. */
export interface AgreementParts {
  readonly store: Pick<Store, "revisions" | "onChange">
  readonly random: Random
  readonly clock: Clock
  /** Asked for only where keys are shared. @throws {AssayError} SIGNER, INPUT. */
  readonly passphrase: () => string
  readonly memory?: MemoryParts
  /** Of a process that begins when its service has begun. */
  readonly known?: Known
}

/**
 * Opens the engine of the settings, and watches the clock and the store's revisions.
 *
 * @throws {AssayError} INPUT, SIGNER, RNG as `openEngine`: nothing is left running then.
 */
export const openAgreement = async (
  config: Config,
  { store, random, clock, passphrase, memory, known }: AgreementParts,
): Promise<Agreement> => {
  const settings = engineSettings(config)
  const clockBoundMs = config.clock.boundSeconds * 1000
  const clockWatch = createClockWatch(clockBoundMs, undefined, known?.betweenMs)
  const { spentMax } = config.challenge
  const engine =
    settings.kind === "memory" && memory !== undefined
      ? memberEngine(memory, random, spentMax)
      : await openEngine(settings, {
          random,
          clock,
          clockBoundMs,
          checkClock: clockWatch.check,
          passphrase,
          spentMax,
        })
  const nudging = nudgesOf(config, settings)
  const nudges = nudging.kind === "memory" && memory !== undefined ? memory.nudges : await openNudges(nudging)
  const changes = watchChanges(store.revisions, nudges, known?.revisions)
  store.onChange(changes.announce)
  await changes.look()
  return {
    engine,
    changes,
    confirm() {
      clockWatch.check()
      changes.confirmed()
    },
    unready: () => [clockWatch.unready(), engine.unready(), changes.unready()],
    known: () => ({ betweenMs: clockWatch.betweenMs, revisions: changes.known() }),
    async close() {
      await changes.close()
      await engine.close()
    },
  }
}

/** Of a process that shares its work: what it has sealed it owns, and what others have sealed they own. */
const memberEngine = (
  { options, members, counts, owns }: MemoryParts,
  random: Random,
  spentMax: number,
): Engine => {
  const own = createMemoryEngine(random, { ...options, spentMax })
  owns(own.singleUse)
  return createMemberEngine(own, options.sealing.id, members, counts)
}

/**
 * What the engine is opened with. Replicas that share a store share an engine too, the same database unless they are told
 * otherwise: in memory, what one hands out none of the others takes.
 *
 * @throws {AssayError} SIGNER for a file that is not usable; INPUT as `sharedStore`.
 */
export const engineSettings = (config: Config): EngineSettings => {
  const { engine, store } = config
  const { kind = store.kind === "postgres" ? "postgres" : "memory", schema } = engine
  if (kind === "memory") return { kind }
  const own = engine.urlFile === undefined ? engine.url : readPassphraseFile(engine.urlFile)
  const { url, plaintext } =
    own === undefined ? (sharedStore(config) ?? NOWHERE) : { url: own, plaintext: engine.plaintext }
  return { kind, url, schema, plaintext }
}

/** What no settings say. Nobody connects to it. */
const NOWHERE = { url: "", plaintext: false }

/** Who wakes the other replicas: the store itself, where it is one that tells of what was committed to it. */
const nudgesOf = (config: Config, engine: EngineSettings): EngineSettings => {
  const shared = sharedStore(config)
  return shared === undefined ? engine : { kind: "postgres", ...shared }
}
