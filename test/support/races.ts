/** N-05 over replicas: many spends of one challenge at a time, with the engine killed and started again in the middle. */
import { AssayError } from "../../src/errors.ts"
import { createRandom } from "../../src/keys/random.ts"
import type { SingleUse } from "../../src/service/ports.ts"
import type { Engine } from "../../src/store/engine/engine.ts"
import { createMemoryEngine } from "../../src/store/engine/memory.ts"
import { createEngineServer, openReplica, type StoreKind, waitUntil } from "./engines.ts"
import { newValue } from "./ports/single-use.ts"

/** What a race is run on. */
export type RaceKind = "memory" | StoreKind

/** What a race came to. */
export interface RaceFigures {
  readonly engine: RaceKind
  readonly replicas: number
  readonly spends: number
  /** One at most, ever. */
  readonly successes: number
  /** Spent before, or stale since the engine was started again. */
  readonly refused: number
  /** Nobody could tell: the engine was away. */
  readonly unavailable: number
  readonly ms: number
}

/** How a race is run. */
export interface RaceOptions {
  readonly spends?: number
  readonly replicas?: number
  /** The engine is killed once so large a part of those that begin together has ended, 0 to 1. */
  readonly killAt?: number
}

/** Replicas, and what kills and starts what they share. */
interface Field {
  readonly replicas: () => readonly SingleUse[]
  readonly kill: () => Promise<void>
  readonly restart: () => Promise<void>
  readonly close: () => Promise<void>
}

/**
 * Seals one challenge, and has all replicas open and spend it: two thirds of all spends at once, while the engine is killed,
 * and the rest once it is back.
 */
export const raceSpends = async (
  engine: RaceKind,
  { spends = 1000, replicas = 3, killAt = 0.5 }: RaceOptions = {},
): Promise<RaceFigures> => {
  const field = engine === "memory" ? memoryField(replicas) : await serverField(engine, replicas)
  const counts = { successes: 0, refused: 0, unavailable: 0 }
  try {
    const start = performance.now()
    const sealed = await replicaOf(field, 0).seal(newValue(new Date()))
    let ended = 0
    const spend = async (i: number): Promise<void> => {
      counts[await outcomeOf(replicaOf(field, i), sealed)]++
      ended++
    }
    const together = Math.ceil((spends * 2) / 3)
    const race = Promise.all(Array.from({ length: together }, (_, i) => spend(i)))
    while (ended < together * killAt) await new Promise((resolve) => setImmediate(resolve))
    await field.kill()
    await race
    await field.restart()
    await Promise.all(Array.from({ length: spends - together }, (_, i) => spend(i)))
    return { engine, replicas, spends, ...counts, ms: Math.round(performance.now() - start) }
  } finally {
    await field.close()
  }
}

const replicaOf = ({ replicas }: Field, i: number): SingleUse => {
  const all = replicas()
  const replica = all[i % all.length]
  if (replica === undefined) throw new TypeError("a race has replicas")
  return replica
}

/** How a spend ended. Anything that is no answer of Assay's is a failure of the race. */
const outcomeOf = async (
  singleUse: SingleUse,
  sealed: Uint8Array,
): Promise<"successes" | "refused" | "unavailable"> => {
  try {
    await singleUse.spend(await singleUse.open("attest", sealed, new Date()), new Date())
    return "successes"
  } catch (error) {
    if (!(error instanceof AssayError)) throw error
    if (error.kind === "stale") return "refused"
    if (error.kind === "unavailable") return "unavailable"
    throw error
  }
}

/** In memory, each replica owns what it sealed, and whoever restarts begins anew. */
const memoryField = (size: number): Field => {
  const fresh = (): SingleUse[] =>
    Array.from({ length: size }, () => createMemoryEngine(createRandom()).singleUse)
  let replicas = fresh()
  return {
    replicas: () => replicas,
    kill: async () => {
      replicas = fresh()
    },
    restart: async () => {},
    close: async () => {},
  }
}

const serverField = async (kind: StoreKind, size: number): Promise<Field> => {
  const server = createEngineServer(kind)
  const engines: Engine[] = []
  const close = async (): Promise<void> => {
    await Promise.all(engines.map((engine) => engine.close()))
    await server.stop()
  }
  try {
    await server.start()
    for (let i = 0; i < size; i++) engines.push(await openReplica(server))
  } catch (error) {
    await close()
    throw error
  }
  const replicas = engines.map(({ singleUse }) => singleUse)
  return {
    replicas: () => replicas,
    kill: server.kill,
    restart: async () => {
      await server.start()
      await waitUntil(5000, () => engines.every((engine) => engine.unready() === undefined))
    },
    close,
  }
}
