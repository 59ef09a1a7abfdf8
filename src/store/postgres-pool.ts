import { type ClientBase, Pool } from "pg"
import { FACTS, factsFrom, flawOf } from "./postgres-server.ts"
import { ROW_TYPES } from "./postgres-types.ts"

/**
 * Within this a statement ends, or is ended by the server. Waiting for a lock counts, and a server that has its default
 * looks after a second whether those who wait do so in a circle.
 */
const STATEMENT_MS = 1500
/** Within this the server has answered, or is away: it has its time, and the answer some to travel. */
const ANSWER_MS = 2000
const CONNECT_MS = 1000
/** A process that stops in the middle of a transaction is not waited for any longer than this. */
const TRANSACTION_PAUSE_MS = 2000
/** Enough to keep a server of many cores busy; more only wait for each other. */
const CONNECTIONS_MAX = 10
/** So that a plan that was made for a small table does not stay for ever. */
const CONNECTION_LIFE_S = 300

/**
 * Set for each connection, whatever its role or its URL says. Nothing here is read without an index, even while a table is
 * small or was never looked over; so no plan is made that has to be thrown away, or is not, when it has grown.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  default_transaction_read_only: "on",
  statement_timeout: String(STATEMENT_MS),
  idle_in_transaction_session_timeout: String(TRANSACTION_PAUSE_MS),
  enable_seqscan: "off",
  jit: "off",
  bytea_output: "hex",
}

/**
 * Connections to the database at `url`, made when they are needed, each to a server that is to be relied on, and used for
 * the tables of one schema. Each takes what is sent to it without waiting for the answers to what was sent before.
 *
 * @param schema In quotes.
 */
export function createPool(url: string, schema: string): Pool {
  const settings = Object.entries({ ...SETTINGS, search_path: `${schema}, pg_temp` })
  const setup = {
    text: `SELECT ${settings.map((_, i) => `set_config($${2 * i + 1}, $${2 * i + 2}, false)`).join()}`,
    values: settings.flat(),
  }
  const pool = new Pool({
    connectionString: url,
    max: CONNECTIONS_MAX,
    pipeline: true,
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: ANSWER_MS,
    maxLifetimeSeconds: CONNECTION_LIFE_S,
    application_name: "assay-store",
    types: ROW_TYPES,
    onConnect: async (client) => {
      await client.query(setup)
      await checkServer(client)
    },
  })
  // A connection that breaks is replaced, whether it idles or not: whoever uses it is told by what fails.
  pool.on("error", () => {})
  pool.on("connect", (client) => client.on("error", () => {}))
  return pool
}

/** @throws {Error} if the server is not to be relied on, or is not any more. */
export const checkServer = async (client: ClientBase): Promise<void> => {
  const { rows } = await client.query(`SELECT ${FACTS}`)
  const flaw = flawOf(factsFrom(rows[0]))
  if (flaw !== undefined) throw new Error(flaw.why)
}
