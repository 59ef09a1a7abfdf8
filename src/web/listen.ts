import { createServer, type Server, type ServerOptions } from "node:http"
import { getRequestListener } from "@hono/node-server"
import type { Hono } from "hono"
import { AssayError } from "../errors.ts"
import { loopbackHost } from "../loopback.ts"

/** Where to listen. */
export interface Address {
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
}

/** An application that is being served. */
export interface Listening extends Address {
  /** Takes no more requests, waits for those under way, and gives up on them after a second. */
  close(): Promise<void>
}

/** The pages take no body and no long query, so that a request is small and soon there. */
const LIMITS: ServerOptions = {
  maxHeaderSize: 8192,
  headersTimeout: 5000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 1000,
}
const CONNECTIONS_MAX = 256
const REQUESTS_PER_CONNECTION_MAX = 1000
const DRAIN_MS_MAX = 1000
const PORT_MAX = 65_535

/**
 * Serves `app` over HTTP/1.1 on this machine alone.
 *
 * @throws {AssayError} INPUT if the host is none of this machine's own or the port is none.
 * @throws {Error} as `node:net` gives it if the address cannot be bound.
 */
export const listen = async (app: Hono, { host, port }: Address): Promise<Listening> => {
  const address = loopbackHost(host)
  if (address === undefined)
    throw new AssayError("INPUT", "Assay listens on loopback only, until callers are authenticated", {
      location: "host",
      expected: "127.0.0.0/8, ::1 or localhost",
      actual: host,
    })
  if (!Number.isInteger(port) || port < 0 || port > PORT_MAX)
    throw new AssayError("INPUT", `a port is a number from 0 to ${PORT_MAX}`, { location: "port" })

  const server = createServer(LIMITS, getRequestListener(app.fetch))
  server.maxConnections = CONNECTIONS_MAX
  server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION_MAX
  const bound = await bind(server, address, port)
  return { host: address, port: bound, close: () => close(server) }
}

const bind = (server: Server, host: string, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen({ host, port, exclusive: true }, () => {
      server.off("error", reject)
      const address = server.address()
      resolve(typeof address === "object" && address !== null ? address.port : port)
    })
  })

const close = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    const giveUp = setTimeout(() => server.closeAllConnections(), DRAIN_MS_MAX)
    server.close(() => {
      clearTimeout(giveUp)
      resolve()
    })
    server.closeIdleConnections()
  })
