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

/** As much of a caller as says which one it is. */
export type Who = Pick<Caller, "tenant" | "id">

/**
 * Sees whose requests take the time of the event loop. What takes longer than it does of most requests is taken from that
 * caller's turns, whatever it is that takes so long: nobody has to think of all that somebody may send.
 */
export interface Meter {
  /** Runs what may take long, and gives or throws what that does. */
  run<T>(who: Who, act: () => T): T
  /** Counts so many milliseconds, of what cannot be run by it. */
  charge(who: Who, ms: number): void
}

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
