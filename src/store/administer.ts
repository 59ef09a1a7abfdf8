import { setTimeout } from "node:timers/promises"
import { AssayError } from "../errors.ts"
import type { Act } from "../service/ports.ts"
import { CommitUnknown, type Database, storeError } from "./database.ts"
import { closeFence, moveOn } from "./fence.ts"
import {
  actRecord,
  appendRecords,
  type ChainWriter,
  isRecorded,
  type Made,
  type Place,
  type PreparedRecord,
  prepareRecord,
} from "./journal-append.ts"
import { ask, type Work } from "./statement.ts"

/** What an administrative change came to: what its record tells, and what its caller is told. */
export interface Done<T> extends Made {
  readonly value: T
}

/** Does administrative changes, each in one transaction with its record in the journal and the tenant's next revision. */
export interface Administer {
  /** @param change Is given the revision that the tenant has with it. Nobody else changes anything meanwhile. */
  <T>(tenant: string, act: Act, change: (revision: number) => Work<Done<T>>): Promise<T>
  /** The same for what takes long: others are kept out only at its end. `change` locks what it depends on. */
  long<T>(tenant: string, act: Act, change: () => Work<Done<T>>): Promise<T>
}

/** Where a change was put on record. */
interface Written {
  readonly record: PreparedRecord
  readonly place: Place
}

/** Administrative changes by one writer of the journal. `changed` is told when one is over, however it ended. */
export const createAdminister = (
  database: Database,
  chains: ChainWriter,
  changed: () => void = () => {},
): Administer => {
  const attempt = async <T>(work: (written: (place: Written) => void) => Work<T>): Promise<T> => {
    let place: Written | undefined
    let value: { readonly of: T } | undefined
    try {
      return await database.write(function* () {
        const made = yield* work((written) => {
          place = written
        })
        value = { of: made }
        return made
      })
    } catch (cause) {
      if (!(cause instanceof CommitUnknown) || place === undefined || value === undefined)
        throw storeError("REGISTRY", cause)
      if (await wasCommitted(database, place, cause)) return value.of
      throw storeError("REGISTRY", cause)
    }
  }

  function* record(tenant: string, act: Act, made: Made): Work<Written> {
    const prepared = prepareRecord(actRecord(tenant, act, made))
    try {
      return { record: prepared, place: yield* appendRecords(chains, tenant, [prepared]) }
    } catch (cause) {
      throw storeError("JOURNAL", cause)
    }
  }

  const administer = <T>(tenant: string, act: Act, change: (revision: number) => Work<Done<T>>): Promise<T> =>
    attempt(function* (written) {
      yield* ask(closeFence({ tenant }))
      const done = yield* change(yield* moveOn(tenant))
      written(yield* record(tenant, act, done))
      return done.value
    }).finally(changed)
  const long = <T>(tenant: string, act: Act, change: () => Work<Done<T>>): Promise<T> =>
    attempt(function* (written) {
      const done = yield* change()
      yield* ask(closeFence({ tenant }))
      yield* moveOn(tenant)
      written(yield* record(tenant, act, done))
      return done.value
    }).finally(changed)
  return Object.assign(administer, { long })
}

/** How long, and how often, it is asked what became of a change when the answer to its commit was lost. */
const UNKNOWN_MS = 3000
const PAUSE_MS = 100

/**
 * Whether a change was committed, by the one thing that tells for sure: its record. The head of its writer's journal is
 * locked first, which waits for a transaction that has not ended yet.
 *
 * @throws {AssayError} REGISTRY if the database does not tell within 3 seconds.
 */
const wasCommitted = async (
  database: Database,
  { record, place }: Written,
  lost: CommitUnknown,
): Promise<boolean> => {
  const until = performance.now() + UNKNOWN_MS
  for (;;)
    try {
      return await database.write(() => isRecorded(place, record))
    } catch {
      if (performance.now() > until)
        throw new AssayError(
          "REGISTRY",
          "the database went away while the change was committed: look whether it was made before you try again",
          { cause: lost },
        )
      await setTimeout(PAUSE_MS)
    }
}
