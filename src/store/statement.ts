/**
 * Statements, and work made of them, that know neither SQLite nor PostgreSQL.
 *
 * A statement is built by kysely once for each of the two, and then prepared and run with values by the engine itself: the
 * builder costs more than most of the statements do.
 *
 * Work is a generator that hands out statements and is handed answers. So one text serves an embedded database that answers
 * at once and a remote one that does not: SQLite runs it to its end in one go, and no turn of the event loop can come into
 * the middle of a transaction; PostgreSQL awaits each answer, and is sent what is asked together in one go.
 */

import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type RawBuilder,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from "kysely"
import type { Row } from "./row.ts"
import type { Builder, Tables } from "./tables.ts"

/** The two that there are. */
export type Dialect = "sqlite" | "postgres"

/** What a column can be given. */
export type Value = string | number | Uint8Array | null

/** The values of one statement, by the names that it was built with. */
export type Values = Readonly<Record<string, Value>>

/** A place in a statement for the value of a name, of the type that values of that name have. */
export type Place<V extends Values> = <K extends keyof V & string>(name: K) => RawBuilder<V[K]>

/** What to build a statement from; nothing where a dialect needs none, as SQLite has no rows to lock. */
export type Build<V extends Values> = (
  builder: Builder,
  place: Place<V>,
  dialect: Dialect,
) => { compile(): CompiledQuery } | undefined

/** A statement without its values. What is prepared is kept by it. */
export interface Text {
  readonly build: (dialect: Dialect) => CompiledQuery | undefined
}

/** A statement and its values. */
export interface Ask {
  readonly text: Text
  readonly values: Values
}

/** What came of a statement. */
export interface Answer {
  readonly rows: readonly Row[]
  /** How many rows it changed. Of one that only reads, nothing in particular. */
  readonly changes: number
}

/** What is to be done, in one transaction or on one state: asks for answers to statements until it ends. */
export type Work<T> = Generator<readonly Ask[], T, readonly Answer[]>

/** Stands for a value among the parameters of a statement. */
class Named {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

const builderOf = (dialect: Dialect): Builder =>
  new Kysely<Tables>({
    dialect: {
      createDriver: () => new DummyDriver(),
      createAdapter: () => (dialect === "sqlite" ? new SqliteAdapter() : new PostgresAdapter()),
      createIntrospector: (db) =>
        dialect === "sqlite" ? new SqliteIntrospector(db) : new PostgresIntrospector(db),
      createQueryCompiler: () =>
        dialect === "sqlite" ? new SqliteQueryCompiler() : new PostgresQueryCompiler(),
    },
  })

const BUILDERS: Readonly<Record<Dialect, Builder>> = {
  sqlite: builderOf("sqlite"),
  postgres: builderOf("postgres"),
}

/** Defines a statement: a function from its values to what can be asked. */
export const statement = <V extends Values>(build: Build<V>): ((values: V) => Ask) => {
  const place = <K extends keyof V & string>(name: K) => sql<V[K]>`${new Named(name)}`
  const text: Text = { build: (dialect) => build(BUILDERS[dialect], place, dialect)?.compile() }
  return (values) => ({ text, values })
}

/** The values of a statement in the order of its parameters. */
export const parametersOf = (compiled: CompiledQuery, values: Values): Value[] =>
  compiled.parameters.map((parameter) => {
    if (parameter instanceof Named) {
      const value = values[parameter.name]
      if (value === undefined) throw new TypeError(`no value for ${parameter.name}`)
      return value
    }
    if (isValue(parameter)) return parameter
    throw new TypeError("a statement has a parameter that no column can be given")
  })

const isValue = (parameter: unknown): parameter is Value =>
  parameter === null ||
  typeof parameter === "string" ||
  typeof parameter === "number" ||
  parameter instanceof Uint8Array

const NO_ANSWER: Answer = { rows: [], changes: 0 }

/** Asks one. */
export function* ask(one: Ask): Work<Answer> {
  const [answer = NO_ANSWER] = yield [one]
  return answer
}

/** All rows of an answer. */
export function* rowsOf(one: Ask): Work<readonly Row[]> {
  return (yield* ask(one)).rows
}

/** The first row of an answer, if there is one. */
export function* rowOf(one: Ask): Work<Row | undefined> {
  return (yield* ask(one)).rows[0]
}

/** How many rows it changed. */
export function* changesOf(one: Ask): Work<number> {
  return (yield* ask(one)).changes
}

/** What is in flight at a time: an answer to any of them comes within the time that one statement may take. */
const TOGETHER_MAX = 250

/** Asks many, in their order, as many together as may be. The first that fails ends it. */
export function* askAll(asks: readonly Ask[]): Work<readonly Answer[]> {
  const answers: Answer[] = []
  for (let i = 0; i < asks.length; i += TOGETHER_MAX) answers.push(...(yield asks.slice(i, i + TOGETHER_MAX)))
  return answers
}
