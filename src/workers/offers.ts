/** What a supervisor and its workers ask of each other. */

/** A key that one process seals with, as it goes to the others. */
export interface MemberKey {
  /** 8 bytes. */
  readonly id: Uint8Array
  /** 32 bytes, secret. */
  readonly bytes: Uint8Array
}

/** What is particular to the service: how a worker begins, and how one uses what another owns. */
export interface Trade {
  readonly begin: unknown
  readonly use: unknown
  readonly verdict: unknown
}

/** What a supervisor asks of a worker. */
export type WorkerOffers<T extends Trade> = {
  /** Makes it ready to serve. @throws {AssayError} whatever a server may refuse to start with. */
  readonly begin: (begin: T["begin"]) => Promise<void>
  /** The keys of all that live: what is not among them has no owner any more. */
  readonly keys: (keys: readonly MemberKey[]) => void
  readonly ping: () => void
  /** Uses what it owns. */
  readonly use: (use: T["use"]) => Promise<T["verdict"]>
  /** Why it cannot serve. */
  readonly reasons: () => Promise<readonly string[]>
  readonly metrics: () => Promise<unknown>
  /** Somebody else has changed something. */
  readonly nudge: () => void
  /** Takes no more calls, and answers those that are open. */
  readonly drain: () => Promise<void>
  /** Writes what waits, and ends. */
  readonly stop: () => Promise<void>
}

/** What a worker asks of its supervisor. */
export type SupervisorOffers<T extends Trade> = {
  /** Has the owner use it. Fails if it does not answer. */
  readonly use: (use: T["use"]) => Promise<T["verdict"]>
  /** Resolves when it is this worker's turn to write, until `turnEnds`. */
  readonly turn: () => Promise<void>
  readonly turnEnds: () => void
  /** It has changed something. */
  readonly nudge: () => void
  /** Certificates (DER) of a chain that a device has shown, the leaf first. */
  readonly want: (tenant: string, chain: readonly Uint8Array[], device: string) => void
  /** So many connections have ended. */
  readonly closed: (count: number) => void
}
