import { createServer, type RequestListener, type Server, type ServerOptions } from "node:http"
import { createServer as createTlsServer, type Server as TlsServer } from "node:https"
import { getRequestListener } from "@hono/node-server"
import type { Hono } from "hono"
import { type HostAndPort, hostAndPort, hostText, isPrivateHost, loopbackHost } from "../addresses.ts"
import { AssayError } from "../errors.ts"
import type { Watched } from "../reload.ts"
import { HANDSHAKE_MS, type ServerIdentity, TLS } from "../tls.ts"
import { type Admission, type Bucket, createAdmission, type Rate } from "./admission.ts"

/** Who may reach a page that is not encrypted. */
export type Reach =
  /** This machine alone. */
  | "loopback"
  /** Also a private network, at an address that is one of it: never at all addresses there are. */
  | "private"

/** How to serve. */
export interface ListenOptions {
  readonly reach: Reach
  /** With it pages are served over TLS, and at any address. */
  readonly identity?: Watched<ServerIdentity>
  /** Makes what counts how often an address does something. */
  readonly bucketOf: (rate: Rate) => Bucket
}

/** An application that is being served. */
export interface Listening extends HostAndPort {
  /** Where it is found, without a slash at the end. */
  readonly url: string
  /** Takes the certificate as it is now for the connections to come. */
  renew(): void
  /** Takes no more requests, closes what is idle, waits for requests under way, and gives up on them after a second. */
  close(): Promise<void>
}

/** The pages take no body and no long query, so that a request is small and soon there. */
const LIMITS: ServerOptions = {
  maxHeaderSize: 8192,
  headersTimeout: 5000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 1000,
  // Looked at with the page: what Node refuses by itself is counted by nobody.
  requireHostHeader: false,
}
/** Without a byte either way, whatever is waited for: readers that do not read. */
const SILENCE_MS_MAX = 10_000
const REQUESTS_PER_CONNECTION_MAX = 1000
const DRAIN_MS_MAX = 1000

/**
 * Serves `app` over HTTP/1.1, one request of a connection at a time: whoever sends another before the one before has been
 * answered is closed, for Node would begin all that have come.
 *
 * @param address `HOST:PORT`, the host in numbers or `localhost`; port 0 lets the system choose.
 * @throws {AssayError} INPUT if the address is none, or further away than it may be.
 * @throws {Error} as `node:net` gives it if the address cannot be bound.
 */
export const listen = async (app: Hono, address: string, options: ListenOptions): Promise<Listening> => {
  const { reach, identity, bucketOf } = options
  const { host, port } = checkAddress(address, { reach, tls: identity !== undefined })
  const admission = createAdmission(bucketOf)
  const answer = getRequestListener(app.fetch)
  const listener: RequestListener = (request, response) => {
    if (!admission.begins(request, response)) return
    // It gets 400, as Node would have it.
    if (request.headers.host === undefined) response.shouldKeepAlive = false
    void answer(request, response)
  }
  const secure = identity && createTlsServer({ ...LIMITS, ...tlsOptions(identity) }, listener)
  const server = secure ?? createServer(LIMITS, listener)
  server.timeout = SILENCE_MS_MAX
  server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION_MAX
  server.on("connection", admission.connected)
  // Node would answer these by itself.
  for (const event of ["checkContinue", "checkExpectation"]) server.on(event, listener)
  server.on("dropRequest", ({ socket }) => void socket.destroy())
  const bound = await bind(server, host, port)
  return {
    host,
    port: bound,
    url: `${secure === undefined ? "http" : "https"}://${hostText(host)}:${bound}`,
    renew: () => {
      if (secure !== undefined && identity !== undefined) secure.setSecureContext(contextOf(identity))
    },
    close: () => close(server, admission),
  }
}

/**
 * Reads an address that pages may be served at.
 *
 * @throws {AssayError} INPUT.
 */
export function checkAddress(
  address: string,
  { reach, tls }: { readonly reach: Reach; readonly tls: boolean },
): HostAndPort {
  const found = hostAndPort(address)
  const near = (host: string): boolean =>
    tls || (reach === "private" ? isPrivateHost(host) : loopbackHost(host) !== undefined)
  if (found !== undefined && near(found.host)) return found
  const expected = tls
    ? "an address in numbers"
    : reach === "private"
      ? "an address of this machine in a private network, or of loopback"
      : "127.0.0.0/8, ::1 or localhost, unless with TLS"
  throw new AssayError("INPUT", `pages are not served at ${address}`, {
    location: "address",
    expected: `${expected}, and a port`,
    actual: address,
  })
}

const contextOf = (identity: Watched<ServerIdentity>) => {
  const { certificate, key } = identity.current()
  return { ...TLS, cert: certificate, key }
}

const tlsOptions = (identity: Watched<ServerIdentity>) => ({
  ...contextOf(identity),
  ALPNProtocols: ["http/1.1"],
  handshakeTimeout: HANDSHAKE_MS,
})

const bind = (server: Server | TlsServer, host: string, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen({ host, port, exclusive: true }, () => {
      server.off("error", reject)
      const address = server.address()
      resolve(typeof address === "object" && address !== null ? address.port : port)
    })
  })

const close = (server: Server | TlsServer, admission: Admission): Promise<void> =>
  new Promise((resolve) => {
    const giveUp = setTimeout(() => server.closeAllConnections(), DRAIN_MS_MAX)
    server.close(() => {
      clearTimeout(giveUp)
      resolve()
    })
    admission.end()
  })
