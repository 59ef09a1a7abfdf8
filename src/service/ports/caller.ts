/** Who calls: told by the connection and its credentials, never by the request. */
export interface Caller {
  readonly tenant: string
  readonly id: string
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
