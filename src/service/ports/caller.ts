/** Who calls: told by the connection and its credentials, never by the request. */
export interface Caller {
  readonly tenant: string
  readonly id: string
  /**
   * Set when the caller is a device that speaks for itself: by its own certificate, or by an enrollment token, whose id
   * this is. Such a caller may see and change its own record alone.
   */
  readonly own?:
    | { readonly kind: "device"; readonly id: string }
    | { readonly kind: "enrollment"; readonly token: string }
}

/**
 * Is told what a caller's request turned out to cost beyond what every request does, in signature checks by a cheap kind of
 * key: before they are made, or right after.
 */
export type ChargeCaller = (caller: Pick<Caller, "tenant" | "id">, checks: number) => void

/** The wall clock. */
export interface Clock {
  now(): Date
}

/** Random bytes from a source whose health is watched. */
export interface Random {
  /** @throws {AssayError} RNG if the source fails, repeats itself or gives constant output. */
  bytes(size: number): Uint8Array
}

/** Lets others work. What takes long calls it between its parts. */
export type Breathe = () => Promise<void>

/** Waits so long, or until it is told to stop; then it resolves at once. */
export type Pause = (ms: number, signal: AbortSignal) => Promise<void>
