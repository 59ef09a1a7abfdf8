/**
 * PostgreSQL as the database of a store.
 *
 * A transaction reads what others have committed (READ COMMITTED), and statements lock what they depend on: `fence.ts` says
 * what, and in which order. So one that is in another's way waits for it, and goes on with what that one left; only one
 * that waits in a circle is undone by the server, and then done over. Work that only reads sees one state
 * (REPEATABLE READ). Connections are for reading unless a transaction says otherwise: what is sent together with the
 * beginning of a transaction that then does not begin can write nothing.
 *
 * Every transaction reads the version of the schema first. That also keeps whoever upgrades it out until the transaction
 * ends, and whoever was written for another version from writing afterwards.
 */

import { setTimeout } from "node:timers/promises"
import type { Pool, PoolClient } from "pg"
import { AssayError } from "../errors.ts"
import { CommitUnknown, type Database } from "./database.ts"
import { checkServer } from "./postgres-pool.ts"
import { createReader } from "./postgres-reads.ts"
import { reasonOf, sqlStateOf } from "./postgres-server.ts"
import type { Row } from "./row.ts"
import { type Answer, type Ask, parametersOf, type Text, type Value, type Work } from "./statement.ts"
import { Turns } from "./turns.ts"

const WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
const READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

/** Transactions that wait for each other in a circle: one of them is undone. Nearly always once is enough. */
const ATTEMPTS_MAX = 4
const PAUSE_MS = 20
/**
 * Transactions that write at a time. Most of them wait for each other, and would keep every connection from those who only
 * read: a flood of enrollments must not hold up verifications.
 */
const WRITERS_MAX = 4
/** For a turn to write: as long as a statement may take. */
const PATIENCE_MS = 1500
/** serialization_failure, deadlock_detected. */
const IN_THE_WAY = ["40001", "40P01"]

/**
 * Answers to COMMIT after which it is sure that nothing was committed: data, constraints, rollbacks, resources, limits, raised
 * errors. Whatever ends the connection may have come after the commit.
 */
const NOT_COMMITTED = /^(22|23|40|53|54|P0)/

/** Answers after which the connection is as it was: constraints, rollbacks. */
const REFUSED = /^(23|40)/

/** What is in flight at a time besides: large values are sent one after another. */
const TOGETHER_BYTES_MAX = 1024 * 1024

/** A database on connections of `createPool`, of a schema of that version. */
export function postgresDatabase(pool: Pool, schemaVersion: number): Database {
  const prepared = new Map<Text, Prepared>()
  const send = async ({ text, values }: Ask, client: PoolClient): Promise<Answer> => {
    let run = prepared.get(text)
    if (run === undefined) {
      run = prepare(text, `assay-${prepared.size}`)
      prepared.set(text, run)
    }
    return run(client, values)
  }

  const check = async (client: PoolClient): Promise<void> => {
    const { rows } = await client.query<Row>(VERSION)
    const version = rows[0]?.["version"]
    if (version !== schemaVersion)
      throw new Error(`the schema is of version ${version}, and not of ${schemaVersion} any more`)
  }

  /** Does work in a transaction that is left open. What begins it is sent together with its first statements. */
  const begin = async <T>(client: PoolClient, how: string, work: () => Work<T>): Promise<T> => {
    const begun = Promise.all([client.query(how), check(client)])
    const value = await toEnd(work(), async (asks) => {
      const answers: Answer[] = []
      for (const batch of batchesOf(asks))
        answers.push(
          ...(await allOf(
            begun,
            batch.map((one) => send(one, client)),
          )),
        )
      return answers
    })
    await begun
    return value
  }

  const writeOnce = <T>(work: () => Work<T>): Promise<T> =>
    connected(pool, async (client) => {
      const value = await begin(client, WRITE, work)
      await commit(client)
      return value
    })
  const writeAtLast = async <T>(work: () => Work<T>): Promise<T> => {
    for (let attempt = 1; ; attempt++)
      try {
        return await writeOnce(work)
      } catch (error) {
        if (attempt === ATTEMPTS_MAX || !isInTheWay(error)) throw error
        await setTimeout(PAUSE_MS * attempt * Math.random())
      }
  }
  const turns = new Turns(WRITERS_MAX, PATIENCE_MS)
  let closed: Promise<void> | undefined

  return {
    dialect: "postgres",
    ask: createReader(pool, { send, check }),
    read: (work) =>
      connected(pool, async (client) => {
        const value = await begin(client, READ, work)
        await client.query("COMMIT")
        return value
      }),
    write: (work, { ahead = false } = {}) =>
      ahead ? writeAtLast(work) : turns.take(() => writeAtLast(work)),
    async unready() {
      try {
        await connected(pool, async (client) => {
          await checkServer(client)
          await check(client)
        })
        return undefined
      } catch (error) {
        return `PostgreSQL cannot be relied on: ${reasonOf(error)}`
      }
    },
    close() {
      closed ??= pool.end()
      return closed
    },
  }
}

const VERSION = { name: "assay-version", text: "SELECT version FROM schema_version" }

/** What `act` does with a connection, which is used again unless it may be broken, or in the middle of something. */
const connected = async <T>(pool: Pool, act: (client: PoolClient) => Promise<T>): Promise<T> => {
  const client = await pool.connect()
  let isClean = false
  try {
    const result = await act(client)
    isClean = true
    return result
  } catch (error) {
    isClean = await isUndone(client, error)
    throw error
  } finally {
    client.release(!isClean)
  }
}

/** Undoes what was begun, where that is worth a try. What is not undone here is undone with the end of its connection. */
const isUndone = async (client: PoolClient, error: unknown): Promise<boolean> => {
  if (!(error instanceof AssayError) && !REFUSED.test(sqlStateOf(error))) return false
  return client.query("ROLLBACK").then(
    () => true,
    () => false,
  )
}

const commit = async (client: PoolClient): Promise<void> => {
  let command: string
  try {
    command = (await client.query("COMMIT")).command
  } catch (cause) {
    if (NOT_COMMITTED.test(sqlStateOf(cause))) throw cause
    throw new CommitUnknown(`no answer came to a commit: ${reasonOf(cause)}`, { cause })
  }
  // What the server answers if a statement failed and nobody minded.
  if (command !== "COMMIT") throw new Error(`the transaction ended with ${command}`)
}

/** Whether the server undid a transaction for the sake of another. What the work made of that is around it. */
const isInTheWay = (error: unknown): boolean =>
  error instanceof Error &&
  !(error instanceof CommitUnknown) &&
  (IN_THE_WAY.includes(sqlStateOf(error)) || isInTheWay(error.cause))

type Prepared = (client: PoolClient, values: Ask["values"]) => Promise<Answer>

const NOTHING: Answer = { rows: [], changes: 0 }

const prepare = (text: Text, name: string): Prepared => {
  const compiled = text.build("postgres")
  if (compiled === undefined) return async () => NOTHING
  return async (client, values) => {
    const parameters = parametersOf(compiled, values)
    const { rows, rowCount } = await client.query<Row>({ name, text: compiled.sql, values: parameters })
    return { rows, changes: rowCount ?? 0 }
  }
}

/** All of what was sent, once all of it is answered. Of several failures the first is the cause of the others. */
const allOf = async <T>(begun: Promise<unknown>, sent: readonly Promise<T>[]): Promise<readonly T[]> => {
  await Promise.allSettled([begun, ...sent])
  await begun
  return Promise.all(sent)
}

/** Asks in their order, in parts that are sent together. */
const batchesOf = (asks: readonly Ask[]): readonly (readonly Ask[])[] => {
  const batches: Ask[][] = []
  let room = 0
  for (const one of asks) {
    const size = Object.values(one.values).reduce<number>((sum, value) => sum + sizeOf(value), 0)
    if (room < size || batches.length === 0) {
      batches.push([])
      room = TOGETHER_BYTES_MAX
    }
    batches.at(-1)?.push(one)
    room -= size
  }
  return batches
}

const sizeOf = (value: Value): number =>
  typeof value === "string" || value instanceof Uint8Array ? value.length : 8

/** Does work to its end. What `answer` throws is thrown at the ask that it is about. */
const toEnd = async <T>(
  work: Work<T>,
  answer: (asks: readonly Ask[]) => Promise<readonly Answer[]>,
): Promise<T> => {
  let step = work.next([])
  while (step.done !== true) {
    let answers: readonly Answer[]
    try {
      answers = await answer(step.value)
    } catch (error) {
      step = work.throw(error)
      continue
    }
    step = work.next(answers)
  }
  return step.value
}
