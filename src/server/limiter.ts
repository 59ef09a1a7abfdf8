/**
 * What one caller, and what comes from one address, may ask of this process. Several replicas each grant as much. Nobody
 * is limited on the administration socket: whoever can open it can do worse.
 */
import { isIPv4 } from "node:net"
import { AssayError } from "../errors.ts"
import { Buckets, type Rate } from "./buckets.ts"
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
  /** Steps of enrollment of one caller; and enrollment tokens that are looked for, from one address. */
  readonly enrollment: Rate
  /** Calls of one caller that are not answered yet. */
  readonly callsMax: number
}

/** A gateway makes thousands of calls a second, and a device a few a minute. */
export const RATES: Rates = {
  connection: { perSecond: 200, burst: 2000 },
  source: { perSecond: 20_000, burst: 40_000 },
  caller: { perSecond: 10_000, burst: 20_000 },
  device: { perSecond: 5, burst: 50 },
  challenge: { perSecond: 5000, burst: 10_000 },
  enrollment: { perSecond: 50, burst: 500 },
  callsMax: 1024,
}

/** Addresses, and callers, that are told apart at a time. */
const KEYS_MAX = 65_536

const CREATE_CHALLENGE = "assay.v1.AttestationService/CreateChallenge"
const ENROLLMENT = "assay.v1.EnrollmentService/"

/** Counts what is asked. But for the first, all methods throw RATE when there is nothing left. */
export interface Limiter {
  /** Whether a connection may shake hands. */
  connection(address: string): boolean
  /** A call, before anybody has looked at who makes it. Without an address it is not counted. */
  source(address: string | undefined): void
  /** A secret that is about to be looked for in a store. */
  lookup(address: string | undefined): void
  /** A call of a caller who is known. Gives what has to be called when it ends. */
  call(principal: Principal, method: string): () => void
  /** One more request of a call that is a stream. */
  request(principal: Principal): void
}

/** @param nowMs A clock that never goes back. */
export function createLimiter(rates: Rates = RATES, nowMs = (): number => performance.now()): Limiter {
  const buckets = (rate: Rate): Buckets => new Buckets(rate, KEYS_MAX)
  const connections = buckets(rates.connection)
  const sources = buckets(rates.source)
  const lookups = buckets(rates.enrollment)
  const callers = buckets(rates.caller)
  const devices = buckets(rates.device)
  const challenges = buckets(rates.challenge)
  const enrollments = buckets(rates.enrollment)
  const open = new Map<string, number>()

  const take = (from: Buckets, key: string, what: string): void => {
    const waitMs = from.take(key, nowMs())
    if (waitMs > 0)
      throw new AssayError("RATE", `too many ${what}`, { location: what, retryMs: Math.ceil(waitMs) })
  }
  const ofAddress = (from: Buckets, address: string | undefined, what: string): void => {
    if (address !== undefined) take(from, networkOf(address), what)
  }
  const request = (principal: Principal): void =>
    take(principal.own === undefined ? callers : devices, keyOf(principal), "calls of this caller")
  return {
    connection: (address) => connections.take(networkOf(address), nowMs()) === 0,
    source: (address) => ofAddress(sources, address, "calls from this address"),
    lookup: (address) => take(lookups, address === undefined ? "" : networkOf(address), "enrollment tokens"),
    request,
    call: (principal, method) => {
      const key = keyOf(principal)
      const now = open.get(key) ?? 0
      if (now >= rates.callsMax)
        throw new AssayError("RATE", "too many calls of this caller at a time", {
          location: "calls at a time",
          expected: `at most ${rates.callsMax}`,
        })
      request(principal)
      if (method === CREATE_CHALLENGE) take(challenges, key, "challenges of this caller")
      else if (method.startsWith(ENROLLMENT)) take(enrollments, key, "enrollments of this caller")
      open.set(key, now + 1)
      let ended = false
      return () => {
        if (ended) return
        ended = true
        const left = (open.get(key) ?? 1) - 1
        if (left === 0) open.delete(key)
        else open.set(key, left)
      }
    },
  }
}

/** A tenant has no space in it. */
const keyOf = ({ tenant, id }: Principal): string => `${tenant} ${id}`

/**
 * Whom an address belongs to: of IPv6 the first 64 bits, for nobody has less than a network of them.
 *
 * @param address As a socket gives it.
 */
export function networkOf(address: string): string {
  const [, inIpv6] = /^::ffff:(.*)$/.exec(address) ?? []
  if (inIpv6 !== undefined && isIPv4(inIpv6)) return inIpv6
  if (!address.includes(":")) return address
  const [bare = ""] = address.split("%", 1)
  const [head = "", tail] = bare.split("::", 2)
  const left = head === "" ? [] : head.split(":")
  if (tail === undefined) return left.slice(0, 4).join(":")
  const right = tail === "" ? [] : tail.split(":")
  const zeros = Array<string>(Math.max(8 - left.length - right.length, 0)).fill("0")
  return [...left, ...zeros, ...right].slice(0, 4).join(":")
}
