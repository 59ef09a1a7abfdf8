/**
 * What an engine that replicas share asks of its store. Redis and PostgreSQL each have a link; everything that does not
 * depend on which one it is stands in `shared.ts`.
 */

/** What a shared key is for. */
export type KeyUse = "sealing" | "epoch"

/** A shared key as the store keeps it: encrypted, for one day. */
export interface KeyRecord {
  readonly use: KeyUse
  /** Days since 1970. */
  readonly period: number
  /** As `key-record.ts` writes it. */
  readonly bytes: Uint8Array
}

/** What a look at the store shows. */
export interface Sight {
  /**
   * What the store is now. It changes whenever the store may have forgotten what it acknowledged: with every start,
   * failover and promotion.
   */
  readonly fence: string
  /** By the store's clock. */
  readonly now: Date
  readonly keys: readonly KeyRecord[]
  /** Whether nothing more can be remembered. */
  readonly isFull: boolean
}

/** One use of something that is counted or used once. */
export interface Use {
  /** `spend` is refused after the first; `count` is not. */
  readonly kind: "spend" | "count"
  readonly tenant: string
  /** What is used: kinds are counted apart. */
  readonly what: string
  /** 32 bytes. */
  readonly id: Uint8Array
  /** How long it has to be remembered. */
  readonly until: Date
  /** Where it was sealed; nothing of what never was. */
  readonly origin: { readonly keyId: Uint8Array; readonly fence: string } | undefined
}

/** What became of a use. Nothing was written but for `used`. */
export type Verdict =
  | { readonly kind: "used"; readonly uses: number; readonly now: Date }
  /** Of `spend`: it was spent before. */
  | { readonly kind: "spent" }
  /** The store is not any more what it was when the value was sealed. */
  | { readonly kind: "fenced" }
  /** By the store's clock, its time is over. */
  | { readonly kind: "over" }
  /** There is no room. */
  | { readonly kind: "full" }

/** A connection to a store that comes back by itself. Each method ends within about a second. */
export interface EngineLink {
  /** What people call the store. */
  readonly name: string
  /** @throws {AssayError} INPUT for a store whose settings would forget; NONCE_STORE. */
  look(): Promise<Sight>
  /** Stores a key unless there is one for its use and period. @throws {AssayError} NONCE_STORE. */
  claim(key: KeyRecord): Promise<void>
  /** Removes what is over: keys of periods before `period`, and whatever had to be remembered until before `at`. */
  tend(period: number, at: Date): Promise<void>
  /** Compares where the value was sealed and uses it, in one step. @throws {AssayError} NONCE_STORE: it may have been used. */
  use(use: Use): Promise<Verdict>
  /** Has `changed` called whenever the connection is lost or back, where the store has one. */
  watch(changed: (isConnected: boolean) => void): void
  close(): Promise<void>
}
