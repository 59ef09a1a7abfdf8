/** Bounds of what callers may ask for at once. */
export interface Limits {
  /** Of one request. The largest evidence is its event log of 1 MiB and 10 KiB around it. */
  readonly messageBytesMax: number
  /** The same over the administration socket. A revocation list may have 32 MiB. */
  readonly adminMessageBytesMax: number
  /**
   * Calls at a time on one connection. One that is beyond it is refused at once. More than one caller may have by its rates, so that
   * on a connection of several none takes all the room.
   */
  readonly callsMax: number
  /** Requests of one stream at a time. */
  readonly streamInFlightMax: number
  /** Connections at a time, but for the administration socket: sockets are what a process has fewest of. */
  readonly connectionsMax: number
  /** Of these from one address (of IPv6: one /64). */
  readonly addressConnectionsMax: number
  /** Of those on which nobody has called yet who is known. */
  readonly strangersMax: number
  /** How long one of those stays that does nothing. */
  readonly strangerIdleMs: number
  /** How long another one stays on which nothing is asked. */
  readonly idleMs: number
  /** What is held of requests that are not answered yet. */
  readonly bytesMax: number
  /** Of one caller. */
  readonly callerBytesMax: number
  /** Requests that are begun and not answered. */
  readonly runningMax: number
  /** Requests that wait for their turn. */
  readonly waitingMax: number
  /** For how long one may have to wait, as far as can be told. */
  readonly waitMs: number
  /** How long a request may take to come. */
  readonly receiveMs: number
  /** How long a call may take that is no stream. */
  readonly callMs: number
  /** How long a caller may take to take its answer. */
  readonly takeMs: number
  /** How often it is looked again at who the caller of a stream is, who asks nothing. */
  readonly proveMs: number
  /** How long a shutdown waits for calls that are not answered yet. */
  readonly drainMs: number
}

/** What is right unless somebody knows better. */
export const LIMITS: Limits = {
  messageBytesMax: 2 * 1024 * 1024,
  adminMessageBytesMax: 36 * 1024 * 1024,
  callsMax: 2048,
  streamInFlightMax: 64,
  connectionsMax: 4096,
  addressConnectionsMax: 1024,
  strangersMax: 128,
  strangerIdleMs: 20_000,
  idleMs: 600_000,
  bytesMax: 128 * 1024 * 1024,
  callerBytesMax: 32 * 1024 * 1024,
  runningMax: 256,
  waitingMax: 4096,
  waitMs: 100,
  receiveMs: 10_000,
  callMs: 30_000,
  takeMs: 10_000,
  proveMs: 5000,
  drainMs: 10_000,
}
