/** Everything that has to be there before anybody is listened to. */
import { resolve } from "node:path"
import type { Logger } from "pino"
import type { Config } from "../config.ts"
import { createRandom } from "../keys/random.ts"
import { createSigner } from "../keys/signer.ts"
import type { Clock } from "../service/ports.ts"
import type { TakeTurns } from "../store/turns.ts"
import { type Known, type MemoryParts, openAgreement } from "./engine.ts"
import { openKeys } from "./keys.ts"
import { createDecisions, type Want } from "./service.ts"
import { openStore } from "./store.ts"
import { openTrust, prepareTrust } from "./trust.ts"

/** What has to be closed, the last first. */
export type Cleanup = (() => void | Promise<void>)[]

/** Where a process stands among those that share its work. */
export interface Place {
  /** Ends the name of its chains of the journal; none of the one process, and of the supervisor of several. */
  readonly member: number | undefined
  /** Its turns to write where the store is a file. */
  readonly turns?: TakeTurns
  /** What it shares where the engine is in memory. */
  readonly memory?: MemoryParts
  /** What its supervisor knew when it began. */
  readonly known?: Known
  /** Notes certificates that devices have shown, if another process looks after what they name. */
  readonly want?: Want
}

/** The one process that does everything. */
export const ALONE: Place = { member: undefined }

/** Opens it. What was opened when something throws is closed by `cleanup`. @throws {AssayError} INPUT, SIGNER, RNG, REGISTRY. */
export const open = async (config: Config, log: Logger, cleanup: Cleanup, place: Place = ALONE) => {
  const folder = resolve(config.data)
  const clock: Clock = { now: () => new Date() }
  const random = createRandom()
  const store = await openStore(config, folder, random, { ...place, how: "served" })
  cleanup.push(() => store.close())
  const keys = await openKeys(config, folder, { keys: store.keys, clock, random })
  const signer = createSigner(keys.signing, clock)
  cleanup.push(() => signer.close())
  if (place.member === undefined)
    await prepareTrust(config, folder, { clock, trust: store.trust }, { random, log })
  const trust = openTrust(config, store, { clock, random, log })
  const agreement = await openAgreement(config, {
    store,
    random,
    clock,
    passphrase: () => keys.passphrase,
    ...(place.memory !== undefined && { memory: place.memory }),
    ...(place.known !== undefined && { known: place.known }),
  })
  cleanup.push(() => agreement.close())
  const parts = { clock, random, log, store, signer, authority: keys.deviceCa, agreement, trust }
  const decisions = createDecisions(config, parts, place)
  return { ...parts, ...decisions, folder }
}

/** What was opened. */
export type Opened = Awaited<ReturnType<typeof open>>

/** Why a process cannot decide, whatever its part is. */
export const reasonsToDecide = async ({
  signer,
  random,
  agreement,
  store,
  trust,
}: Opened): Promise<string[]> =>
  [
    signer.unready(),
    random.unready(),
    ...agreement.unready(),
    await store.unready(),
    trust.unreadyToLoad(),
  ].flatMap((reason) => reason ?? [])

/** What goes on beside requests, once for all processes: trust is kept current, and the journal vouched for. */
export const startBeside = ({ trust, checkpointer }: Opened, cleanup: Cleanup): void => {
  // After everything that writes has stopped, and before what it needs has.
  cleanup.push(() => checkpointer.stop())
  trust.refresher.start()
  cleanup.push(() => trust.refresher.stop())
}

/** Why a process that does what goes on beside requests is not ready, but for what its listeners say. */
export const reasonsOf = async (parts: Opened): Promise<string[]> => [
  ...(await reasonsToDecide(parts)),
  ...[...(await parts.trust.unready()), parts.checkpointer.unready()].flatMap((reason) => reason ?? []),
]
