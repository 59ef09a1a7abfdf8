/**
 * Whom pages are made for. Nobody has to say who he is, and the same loop answers calls: so an address (of IPv6: one /64)
 * is bounded in what it may ask, and a connection that has nothing to be answered is the first to go.
 */

import type { IncomingMessage, ServerResponse } from "node:http"
import type { Socket } from "node:net"
import { networkOf } from "../addresses.ts"
import { refuse } from "./app.ts"

/** How often something may be done: in the long run, and at once after a while without. */
export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

/** Counts for each key what a rate grants it. */
export interface Bucket {
  /** Takes one: 0, or how many milliseconds until there is one to take. */
  take(key: string, nowMs: number): number
  /** The same, and takes none. */
  wait(key: string, nowMs: number): number
}

/** Probes and scrapers ask once a second each, and devices once an epoch: some dozens of them share an address. */
const PAGE_RATES = {
  /** Connections of one address, for each costs more than its request, and a handshake where there is TLS. */
  connection: { perSecond: 50, burst: 200 },
  /** Requests of one address. */
  request: { perSecond: 200, burst: 500 },
  /** Requests of one address that are answered whatever all others ask: those of probes. */
  first: { perSecond: 10, burst: 20 },
  /** Requests of all addresses together, but for those. */
  all: { perSecond: 300, burst: 600 },
  /** Connections of one address that were closed for what they sent: that it was read at all is dear. */
  hasty: { perSecond: 0.2, burst: 3 },
} as const satisfies Readonly<Record<string, Rate>>

/** What is open at a time. */
export const PAGE_LIMITS = {
  /** Each has one request at a time, so that this bounds also what is asked at a time over all. */
  connections: 1024,
  addressConnections: 128,
  /** Requests of one address: probes that wait for a store that hangs, or readers that are slow. */
  addressAsking: 16,
  /** No page takes a body; one that is longer is not waited for. */
  bodyBytes: 131_072,
}

/** Decides who is let in. */
export interface Admission {
  /** Takes a connection on, or closes it. */
  connected(socket: Socket): void
  /** Whether a request is to be answered; else that has been seen to. */
  begins(request: IncomingMessage, response: ServerResponse): boolean
  /** Closes connections that have nothing to be answered, and each other as soon as it has been answered. */
  end(): void
}

/** Where a connection comes from, and what else does. */
interface Network {
  readonly key: string
  readonly open: Set<Connection>
  asking: number
}

interface Connection {
  readonly socket: Socket
  readonly name: string
  readonly network: Network
  /** A request of it is being answered, or was refused. */
  isAsking: boolean
}

/** @param bucketOf Makes what counts a rate. @param nowMs A clock that never goes back. */
export function createAdmission(
  bucketOf: (rate: Rate) => Bucket,
  nowMs = (): number => performance.now(),
): Admission {
  const buckets = {
    connection: bucketOf(PAGE_RATES.connection),
    request: bucketOf(PAGE_RATES.request),
    first: bucketOf(PAGE_RATES.first),
    all: bucketOf(PAGE_RATES.all),
    hasty: bucketOf(PAGE_RATES.hasty),
  }
  const connections = new Map<string, Connection>()
  const networks = new Map<string, Network>()
  /** Those that have waited longest first. */
  const idle = new Set<Connection>()
  let isEnding = false

  const forget = (connection: Connection): void => {
    const { name, network } = connection
    if (connections.get(name) !== connection) return
    connections.delete(name)
    idle.delete(connection)
    network.open.delete(connection)
    if (network.open.size === 0) networks.delete(network.key)
  }
  const close = (connection: Connection): void => {
    forget(connection)
    connection.socket.destroy()
  }
  /** Closes the one of `all` that has waited longest. */
  const makeRoom = (all: Iterable<Connection>): boolean => {
    for (const connection of all)
      if (!connection.isAsking) {
        close(connection)
        return true
      }
    return false
  }
  /** Everything that has come with it is still read to its end: so who does it again is not read at all. */
  const punish = (connection: Connection): void => {
    const { network } = connection
    close(connection)
    if (buckets.hasty.take(network.key, nowMs()) > 0) for (const other of [...network.open]) close(other)
  }
  /** How long to wait before the next request, in milliseconds. */
  const waitOf = (network: string): number => {
    const now = nowMs()
    const waitMs = buckets.request.take(network, now)
    if (waitMs > 0 || buckets.first.take(network, now) === 0) return waitMs
    return buckets.all.take("", now)
  }
  return {
    connected(socket) {
      const { remoteAddress } = socket
      // It has gone before it was looked at.
      if (remoteAddress === undefined) {
        socket.destroy()
        return
      }
      const name = nameOf(socket)
      // Whoever had its port has gone, which is seen later.
      const before = connections.get(name)
      if (before !== undefined) close(before)
      const key = networkOf(remoteAddress)
      const now = nowMs()
      const network = networks.get(key) ?? { key, open: new Set(), asking: 0 }
      const isLetIn =
        !isEnding &&
        buckets.hasty.wait(key, now) === 0 &&
        buckets.connection.take(key, now) === 0 &&
        (network.open.size < PAGE_LIMITS.addressConnections || makeRoom(network.open)) &&
        (connections.size < PAGE_LIMITS.connections || makeRoom(idle))
      if (!isLetIn) {
        socket.destroy()
        return
      }
      const connection = { socket, name, network, isAsking: false }
      connections.set(name, connection)
      networks.set(key, network)
      network.open.add(connection)
      idle.add(connection)
      socket.once("close", () => forget(connection))
    },
    begins(request, response) {
      const connection = connections.get(nameOf(request.socket))
      // What had come before its connection was closed.
      if (connection === undefined) return false
      if (connection.isAsking || hasLongBody(request)) {
        punish(connection)
        return false
      }
      const { network } = connection
      connection.isAsking = true
      idle.delete(connection)
      const waitMs = network.asking >= PAGE_LIMITS.addressAsking ? 1000 : waitOf(network.key)
      if (waitMs > 0) {
        refuse(response, waitMs)
        return false
      }
      network.asking++
      response.once("close", () => {
        network.asking--
        connection.isAsking = false
        if (isEnding) close(connection)
        else if (connections.get(connection.name) === connection) idle.add(connection)
      })
      return true
    },
    end() {
      isEnding = true
      for (const connection of [...idle]) close(connection)
    },
  }
}

/** As no other connection's, while it lasts; with TLS, the same on both sides of it. */
const nameOf = ({ remoteAddress, remotePort, localAddress }: Socket): string =>
  [remoteAddress, remotePort, localAddress].join(" ")

const hasLongBody = ({ headers }: IncomingMessage): boolean =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > PAGE_LIMITS.bodyBytes
