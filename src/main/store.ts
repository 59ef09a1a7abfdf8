/** Where everything is kept, out of the settings. */
import { join } from "node:path"
import { toHex, utf8 } from "../bytes.ts"
import type { Config } from "../config.ts"
import { createPrivateFile, fileError, readPassphraseFile, readPrivateFile } from "../keys/privatefile.ts"
import type { Random } from "../service/ports.ts"
import { refusePlaintext } from "../store/plaintext.ts"
import { LOCAL_WRITER } from "../store/schema-sqlite-3.ts"
import type { Store } from "../store/store.ts"
import type { TakeTurns } from "../store/turns.ts"

/** A database that replicas share. */
export interface SharedStore {
  readonly url: string
  readonly schema: string
  readonly plaintext: boolean
}

/**
 * The database that replicas share, if they do.
 *
 * @throws {AssayError} SIGNER for a file that is not usable, INPUT for an address beyond this machine without TLS.
 */
export const sharedStore = ({ store }: Config): SharedStore | undefined => {
  const { kind, urlFile, schema, plaintext } = store
  if (kind === "sqlite") return undefined
  const url = urlFile === undefined ? (store.url ?? "") : readPassphraseFile(urlFile)
  if (!plaintext) refusePlaintext("store", { kind, url })
  return { url, schema, plaintext }
}

/** What a store is opened for. */
export interface StoreUse {
  /** A service is not to wait for the disk: where the store is a file, a thread of its own writes the journal. */
  readonly how: "served" | "alone"
  /** Which worker it is: its chains of the journal are its own. A number after a dot would be that of a restore. */
  readonly member?: number | undefined
  /** Its turns at a file that several processes write to. */
  readonly turns?: TakeTurns
}

/**
 * Opens the store, its tables made and brought up to date. Only what it needs is loaded: what builds its statements costs
 * every other command its time.
 *
 * @throws {AssayError} as `sharedStore`; INPUT for a server that is not to be relied on; REGISTRY; SIGNER, RNG.
 */
export const openStore = async (
  config: Config,
  folder: string,
  random: Random,
  { how, member, turns }: StoreUse = { how: "served" },
): Promise<Store> => {
  const shared = sharedStore(config)
  if (shared === undefined) {
    const { openServedStore, openSqliteStore } = await import("../store/sqlite.ts")
    const file = join(folder, "assay.db")
    if (how === "alone") return openSqliteStore(file)
    return openServedStore(file, undefined, {
      ...(member !== undefined && { writer: `${LOCAL_WRITER}-${member}` }),
      ...(turns !== undefined && { turns }),
    })
  }
  const { url, schema } = shared
  const { openPostgresStore } = await import("../store/postgres.ts")
  const replica = replicaName(folder, random)
  return openPostgresStore({ url, schema, writer: member === undefined ? replica : `${replica}-${member}` })
}

/** Where a replica finds its name again after a restart, in its data folder. */
const REPLICA = "replica"
const NAME_BYTES = 8
const NAME = /^[0-9a-f]{16}$/

/** What a replica's chains of the journal are called: made with its data folder, which no other process has. */
const replicaName = (folder: string, random: Random): string => {
  const file = join(folder, REPLICA)
  createPrivateFile(file, utf8(toHex(random.bytes(NAME_BYTES))), random)
  const name = new TextDecoder().decode(readPrivateFile(file))
  if (NAME.test(name)) return name
  throw fileError(file, "is not the name of a replica: remove it, and another is made")
}
