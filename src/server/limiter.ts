/**
 * What one caller, and what comes from one address, may ask of this process. Several replicas each grant as much. Nobody
 * is limited on the administration socket: whoever can open it can do worse.
 */

import { networkOf } from "../addresses.ts"
import { AssayError } from "../errors.ts"
import { Buckets, type Rate } from "./buckets.ts"
import type { Tries } from "./caller.ts"
import { partyOf } from "./party.ts"
import type { Principal } from "./roles.ts"

/** Rates of one process. */
export interface Rates {
  /** Connections with TLS from one address, of which each costs a handshake. */
  readonly connection: Rate
  /** Calls from one address, whoever makes them. */
  readonly source: Rate
  /** Calls of one caller, each request of a stream counted. */
  readonly caller: Rate
  /** The same of a device that calls for itself. */
  readonly device: Rate
  /** Challenges of one caller. */
  readonly challenge: Rate
  /** The same of the holders of one enrollment token at one address: all of them together are a caller. */
  readonly enrollee: Rate
  /** Steps of enrollment of one caller. */
  readonly enrollment: Rate
  /** Enrollment tokens that are none, by one connection. */
  readonly guess: Rate
  /** Calls that anyone may make, from one address. */
  readonly anyone: Rate
  /** Calls of one caller that are refused when most of what they cost has been spent. Beyond it, all of its calls are refused at once. */
  readonly refused: Rate
  /** Calls of one caller that are not answered yet. */
  readonly callsMax: number
  /** Calls of one caller that stay open, as streams do. */
  readonly streamsMax: number
  /** Calls from one address that anyone may make, and that are not answered yet. */
  readonly anyoneMax: number
}

/** A gateway makes thousands of calls a second, and a device a few a minute. */
export const RATES: Rates = {
  connection: { perSecond: 200, burst: 2000 },
  source: { perSecond: 20_000, burst: 40_000 },
  caller: { perSecond: 10_000, burst: 20_000 },
  device: { perSecond: 5, burst: 50 },
  challenge: { perSecond: 5000, burst: 10_000 },
  enrollee: { perSecond: 100, burst: 1000 },
  enrollment: { perSecond: 50, burst: 500 },
  guess: { perSecond: 1, burst: 20 },
  anyone: { perSecond: 100, burst: 500 },
  refused: { perSecond: 500, burst: 1000 },
  callsMax: 1024,
  streamsMax: 64,
  anyoneMax: 64,
}

/** Calls of all who share their turns that are not answered yet, as many times as of one caller. */
const PARTY_CALLS = 8
/** Addresses, and callers, that are told apart at a time. */
const KEYS_MAX = 65_536

const CREATE_CHALLENGE = "assay.v1.AttestationService/CreateChallenge"
const ENROLLMENT = "assay.v1.EnrollmentService/"

/** Who asks. */
export interface Asker {
  /** As no other caller's. */
  readonly line: string
  readonly own?: Principal["own"]
}

/** How a call came in, and whether it stays open. */
interface CallBy {
  readonly network?: string | undefined
  readonly isStream?: boolean
}

/** Counts what is asked. `network` is whom an address belongs to. But for the first three, all methods throw RATE when there is nothing left. */
export interface Limiter {
  /** Whether one more call of a caller, or one from there, would be refused now, whatever it is. Counts nothing. */
  isSpent(line: string | undefined, network: string): boolean
  /** A call of that caller was refused, and not at once. */
  refused(line: string): void
  /** Whether a connection may shake hands. */
  connection(address: string): boolean
  /** A call, before anybody has looked at who makes it. Without a network it is not counted. */
  source(network: string | undefined): void
  /** A call that anyone may make. Gives what has to be called when it ends. */
  anyone(network: string | undefined): () => void
  /** Enrollment tokens that there are not. */
  readonly tries: Tries
  /** A call of a caller who is known. Gives what has to be called when it ends. */
  call(asker: Asker, method: string, by?: CallBy): () => void
  /** One more request of a call that is a stream. */
  request(asker: Asker, network?: string): void
}

/** @param nowMs A clock that never goes back. */
export function createLimiter(rates: Rates = RATES, nowMs = (): number => performance.now()): Limiter {
  const buckets = (rate: Rate): Buckets => new Buckets(rate, KEYS_MAX)
  const connections = buckets(rates.connection)
  const sources = buckets(rates.source)
  const tries = buckets(rates.guess)
  const anyones = buckets(rates.anyone)
  const refusals = buckets(rates.refused)
  const callers = buckets(rates.caller)
  const devices = buckets(rates.device)
  const enrollees = buckets(rates.enrollee)
  const challenges = buckets(rates.challenge)
  const enrollments = buckets(rates.enrollment)
  const calls = new AtATime(rates.callsMax, "calls of this caller at a time")
  const together = new AtATime(rates.callsMax * PARTY_CALLS, "calls at a time of all who share their turns")
  const streams = new AtATime(rates.streamsMax, "streams of this caller at a time")
  const ofAnyone = new AtATime(rates.anyoneMax, "calls from this address at a time")

  const hold = (waitMs: number, what: string): void => {
    if (waitMs > 0)
      throw new AssayError("RATE", `too many ${what}`, { location: what, retryMs: Math.ceil(waitMs) })
  }
  const take = (from: Buckets, key: string, what: string): void => hold(from.take(key, nowMs()), what)
  const request = ({ line, own }: Asker, network = ""): void => {
    if (own?.kind === "enrollment")
      take(enrollees, `${line} ${network}`, "calls of this enrollment token from this address")
    take(own?.kind === "device" ? devices : callers, line, "calls of this caller")
  }
  return {
    isSpent: (line, network) => {
      const now = nowMs()
      if (network !== "" && sources.wait(network, now) > 0) return true
      if (line === undefined) return false
      if (calls.isFull(line) || callers.wait(line, now) > 0 || refusals.wait(line, now) > 0) return true
      const party = partyOf(line)
      if (party === line) return false
      return (
        together.isFull(party) || devices.wait(line, now) > 0 || enrollees.wait(`${line} ${network}`, now) > 0
      )
    },
    refused: (line) => void refusals.take(line, nowMs()),
    connection: (address) => connections.take(networkOf(address), nowMs()) === 0,
    source: (network) => {
      if (network !== undefined && network !== "") take(sources, network, "calls from this address")
    },
    anyone: (network = "") => {
      take(anyones, network, "calls that anyone may make, from this address")
      return ofAnyone.begin(network)
    },
    tries: {
      check: (connection = "") => hold(tries.wait(connection, nowMs()), "enrollment tokens that are none"),
      failed: (connection = "") => void tries.take(connection, nowMs()),
    },
    request,
    call: (asker, method, { network, isStream = false } = {}) => {
      const { line } = asker
      const party = partyOf(line)
      calls.check(line)
      if (party !== line) together.check(party)
      if (isStream) streams.check(line)
      request(asker, network)
      if (method === CREATE_CHALLENGE) take(challenges, line, "challenges of this caller")
      else if (method.startsWith(ENROLLMENT)) take(enrollments, line, "enrollments of this caller")
      const end = calls.begin(line)
      if (party === line && !isStream) return end
      const ends = [end]
      if (party !== line) ends.push(together.begin(party))
      if (isStream) ends.push(streams.begin(line))
      return () => {
        for (const one of ends) one()
      }
    },
  }
}

/** What each key has open. */
export class AtATime {
  readonly #open = new Map<string, number>()
  readonly #max: number
  readonly #what: string

  constructor(max: number, what: string) {
    this.#max = max
    this.#what = what
  }

  isFull(key: string): boolean {
    return (this.#open.get(key) ?? 0) >= this.#max
  }

  /** @throws {AssayError} RATE. */
  check(key: string): void {
    if (this.isFull(key))
      throw new AssayError("RATE", `too many ${this.#what}`, {
        location: this.#what,
        expected: `at most ${this.#max}`,
      })
  }

  /** Gives what has to be called when it ends. @throws {AssayError} RATE. */
  begin(key: string): () => void {
    this.check(key)
    this.#open.set(key, (this.#open.get(key) ?? 0) + 1)
    let ended = false
    return () => {
      if (ended) return
      ended = true
      const left = (this.#open.get(key) ?? 1) - 1
      if (left === 0) this.#open.delete(key)
      else this.#open.set(key, left)
    }
  }
}
