import type { Devices, JournalArchive, KeyStore, Registry, TrustStore } from "../service/ports.ts"
import { createAdminister } from "./administer.ts"
import { createArchive } from "./archive.ts"
import type { ReadRevisions } from "./changes.ts"
import type { Database } from "./database.ts"
import { createDevices } from "./devices.ts"
import { createStoredLogs, type LogOptions, type StoredLogs } from "./event-logs.ts"
import { createJournal, type StoredJournal } from "./journal.ts"
import { createChainWriter } from "./journal-append.ts"
import { commitGroup } from "./journal-commit.ts"
import type { JournalThread } from "./journal-thread.ts"
import { withLargeLists } from "./large-trust.ts"
import { createRegistry } from "./registry.ts"
import { createReadRevisions } from "./revisions.ts"
import { createKeyStore } from "./service-keys.ts"
import { createTrust, type TrustOptions } from "./trust.ts"
import { forgetUndone } from "./undone.ts"

/** Registry, devices, trust and journal in one database, so that a decision and what it changes are one transaction. */
export interface Store {
  readonly registry: Registry
  readonly devices: Devices
  readonly trust: TrustStore
  readonly journal: StoredJournal
  readonly archive: JournalArchive
  readonly keys: KeyStore
  readonly logs: StoredLogs
  /** What each tenant's changes are counted by. @throws {AssayError} REGISTRY. */
  readonly revisions: ReadRevisions
  /** Calls `changed` whenever this process has changed something. */
  onChange(changed: () => void): void
  /** Why it cannot be asked; nothing while it can. For readiness. */
  unready(): Promise<string | undefined>
  /** Writes what waits in the journal and ends. Whatever is asked afterwards fails. */
  close(): Promise<void>
}

/** What a store is told beside its database. */
export interface StoreOptions {
  /** Who writes: no other process has the same name at the same time. Part of the key of each record. */
  readonly writer: string
  readonly trust?: TrustOptions
  readonly logs?: LogOptions
  /** What writes groups of the journal, and what is large, if not this thread. */
  readonly thread?: JournalThread
}

/** The store over a database. */
export function createStore(
  engine: Database,
  { writer, trust, logs: logOptions, thread }: StoreOptions,
): Store {
  const listeners: (() => void)[] = []
  const chains = createChainWriter(writer)
  const database = engine.dialect === "sqlite" ? forgetUndone(engine, chains) : engine
  const changed = (): void => {
    for (const listener of listeners) listener()
  }
  const administer = createAdminister(database, chains, changed)
  const journal = createJournal(
    database,
    thread?.commit ?? ((group) => database.write(() => commitGroup(chains, group), { ahead: true })),
  )
  const large = thread?.large
  const logs = createStoredLogs(database, logOptions, large?.keepLogs)
  const stored = createTrust(database, administer, trust)
  return {
    registry: createRegistry(database, administer),
    devices: createDevices(database, administer),
    trust:
      large === undefined
        ? stored
        : withLargeLists(stored, { database, large, options: trust ?? {}, changed }),
    journal,
    archive: createArchive(database, chains),
    keys: createKeyStore(database),
    logs,
    revisions: createReadRevisions(database),
    onChange: (listener) => void listeners.push(listener),
    unready: async () => journal.unready() ?? (await database.unready()),
    async close() {
      await journal.flush()
      await logs.flush()
      await thread?.close()
      await database.close()
    },
  }
}
