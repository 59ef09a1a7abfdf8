import { AssayError } from "../errors.ts"
import { type Evidence, parseSentLog, type SentLog } from "../evidence/evidence.ts"
import { createLogOutcome, type LogOutcome } from "../verification/log-outcome.ts"
import type { Replay } from "../verification/replay.ts"
import type { Freshness } from "./freshness.ts"
import type { EventLogs, LogOwner, LogStore, Ports, ReadLog, Who } from "./ports.ts"

/** What is read of a store, and hashed, in a millisecond. */
const BYTES_OF_MS = 700_000

/** Event logs over where they are kept, each read again whenever it is asked for. */
export const createEventLogs = (store: LogStore): EventLogs => ({
  read: (_tenant, log) => readLog(log),
  known: () => undefined,
  shown: (owner, digest) => store.shown(owner, digest),
  async load(who, digest, meter) {
    const bytes = await store.log(who.tenant, digest)
    if (bytes === undefined) return undefined
    meter.charge(who, bytes.length / BYTES_OF_MS)
    return meter.run(who, () => readLog({ digest, bytes })) // load
  },
  held: () => {},
  keep: (owner, { digest, bytes }, at) => store.note(owner, { digest, bytes }, at),
})

const readLog = ({ digest, bytes }: SentLog): ReadLog => ({
  digest,
  bytes,
  outcome: createLogOutcome(() => parseSentLog(bytes)),
})

/** The log of evidence that has it with it, read before anything else is done. @throws {AssayError} as `parseSentLog`. */
export const readSent = (logs: EventLogs, { log }: Evidence, tenant: string): ReadLog | undefined =>
  log.kind === "sent" ? logs.read(tenant, log) : undefined

/** The log that evidence is judged with, if it is at hand: `logOf` gives all others. */
export const logAtHand = (
  logs: EventLogs,
  { log }: Pick<Evidence, "log">,
  sent: ReadLog | undefined,
  owner: LogOwner,
): ReadLog | undefined => (log.kind === "named" ? logs.known(owner, log.digest) : sent)

/**
 * The log that evidence is judged with: the one that was sent, or the named one if its device has shown it. Only evidence
 * that is proven is told whether a log is known.
 *
 * @throws {AssayError} EVENT_LOG_NEEDED, REGISTRY.
 */
export const logOf = async (
  { logs, meter }: Pick<Ports, "logs" | "meter">,
  { log }: Pick<Evidence, "log">,
  sent: ReadLog | undefined,
  owner: LogOwner,
  who: Who,
): Promise<ReadLog | undefined> => {
  if (log.kind !== "named") return sent
  const isShown = (await logs.shown(owner, log.digest)) !== undefined
  const known = isShown ? await logs.load(who, log.digest, meter) : undefined
  if (known === undefined)
    throw new AssayError(
      "EVENT_LOG_NEEDED",
      "this log is not known of the device: send the evidence with it",
      {
        location: "evidence.tpm.event_log_digest",
        expected: "a log that the device has shown before",
      },
    )
  return known
}

/** What is left to replay of a log in the banks of the evidence; nothing if all of it was replayed before. */
export const leftToReplay = ({ outcome }: ReadLog, { pcrs }: Evidence): Slices | undefined =>
  outcome.replaying(pcrs.kind === "indexed" ? [...pcrs.banks.keys()] : pcrs.banks.map(({ hash }) => hash))

/** A replay that can be interrupted. */
type Slices = NonNullable<ReturnType<LogOutcome["replaying"]>>

/** Replays a log in slices: a long one holds nobody up, but for who sent it. */
export const replayInSlices = async (
  slices: Slices,
  { breathe, meter }: Pick<Ports, "breathe" | "meter">,
  who: Who,
): Promise<void> => {
  while (meter.run(who, () => slices.next()).done !== true) await breathe()
}

/** Remembers a log that led to what was quoted, and lets its device name it if the quote answered a challenge. */
export const rememberLog = (
  logs: EventLogs,
  owner: LogOwner,
  log: ReadLog,
  { kind }: Freshness,
  at: Date,
): void => {
  logs.held(owner, log)
  // What moves without a challenge, whoever has old evidence could move.
  if (kind === "challenge") logs.keep(owner, log, at)
}

/** Whether a log led to any PCR: one that extends none of those that were quoted has proven nothing of itself. */
export const isLeading = (replay: Replay | undefined): boolean =>
  replay !== undefined && [...replay.explained.values()].some((pcrs) => pcrs.length > 0)
