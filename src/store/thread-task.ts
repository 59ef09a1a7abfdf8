/**
 * What the journal's thread does beside the journal: what is large. To write 23 MB, the longest list of revoked certificates, takes
 * a tenth of a second of CPU time and then the disk's; to read it and to compare its digest, half of that.
 */
import type { Act, ImportedTrust, TrustImport, TrustRecord } from "../service/ports.ts"
import { createAdminister } from "./administer.ts"
import type { Database } from "./database.ts"
import type { LogBounds, ShownNow } from "./event-log-statements.ts"
import type { KeepLogs } from "./event-logs.ts"
import type { ChainWriter } from "./journal-append.ts"
import { createTrust, type TrustOptions } from "./trust.ts"

/** An import, as `TrustStore` takes it. */
export interface ImportTask {
  readonly tenant: string
  readonly parts: TrustImport
  readonly act: Act
  readonly expectedGeneration: number | undefined
  readonly options: TrustOptions
}

/** Something large that is asked of a store: data alone, so that it can be sent. */
export type ThreadTask =
  | { readonly kind: "logs"; readonly notes: readonly ShownNow[]; readonly bounds: LogBounds }
  | { readonly kind: "trust"; readonly tenant: string }
  | { readonly kind: "import"; readonly task: ImportTask }

/** What has come of it. */
export type TaskDone =
  | { readonly kind: "logs" }
  | { readonly kind: "trust"; readonly trust: TrustRecord }
  | { readonly kind: "import"; readonly imported: ImportedTrust }

/** What it is done with. */
export interface LargeParts {
  readonly database: Database
  readonly chains: ChainWriter
  readonly keepLogs: KeepLogs
}

/**
 * Does it, on a connection that writes no groups: what is remembered of devices holds while nobody else's has written.
 *
 * @throws {AssayError} as `TrustStore`.
 */
export const doTask = async (
  asked: ThreadTask,
  { database, chains, keepLogs }: LargeParts,
): Promise<TaskDone> => {
  const trust = (options: TrustOptions) => createTrust(database, createAdminister(database, chains), options)
  switch (asked.kind) {
    case "logs":
      await keepLogs(asked.notes, asked.bounds)
      return { kind: "logs" }
    case "trust":
      return { kind: "trust", trust: await trust({}).trust(asked.tenant) }
    case "import": {
      const { tenant, parts, act, expectedGeneration, options } = asked.task
      const imported = await trust(options).importTrust(tenant, parts, act, expectedGeneration)
      return { kind: "import", imported }
    }
  }
}

/** What of it is moved to the other thread instead of copied, which would hold both. */
export const movable = (done: TaskDone): ArrayBuffer[] =>
  done.kind === "trust"
    ? done.trust.crls.flatMap(({ crl: { buffer } }) => (buffer instanceof ArrayBuffer ? [buffer] : []))
    : []
