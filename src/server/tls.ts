/**
 * TLS in front of gRPC. grpc-js can listen with TLS itself, but then it shows a client's certificate without those that came
 * with it, takes OpenSSL's word for who signed it, and drops every connection while a certificate's file is half written. So
 * the listener is ours, and grpc-js is handed connections whose handshake is done (`createConnectionInjector`).
 */
import type { X509Certificate } from "node:crypto"
import type { Server as Listener, ListenOptions, Socket } from "node:net"
import { createServer, type SecureContextOptions } from "node:tls"
import { type Server, ServerCredentials } from "@grpc/grpc-js"
import { HANDSHAKE_MS, type ServerIdentity, TLS } from "../tls.ts"
import type { ShownChain } from "./certificates.ts"
import type { Takes } from "./connection.ts"
import type { Connections } from "./connections.ts"

/** What a listener's connections are set up with. Both may change while it listens; connections keep what they began with. */
export interface TlsParts {
  readonly identity: () => ServerIdentity
  /** Whether clients are asked for a certificate. */
  readonly clients: boolean
  /** PEM of CAs that clients are told of, so that they know which certificate to show. */
  readonly authorities: () => readonly string[]
  /** Whether a connection from this address is taken at all. */
  readonly admit: (address: string) => boolean
  readonly connections: Connections
  /** Who answers calls without grpc-js, if anybody does. */
  readonly takes: Takes | undefined
}

/** What shakes hands. */
export interface TlsShaking {
  /** Shakes hands on a connection that somebody else has accepted. */
  take(socket: Socket): void
  /** Takes the certificate and the CAs as they are now for the connections to come. */
  renew(): void
}

/** A listener that is open. */
export interface TlsListening extends Omit<TlsShaking, "take"> {
  readonly port: number
  /** Takes no more connections. Those that there are stay until the server has ended them. */
  close(): void
}

/**
 * Shakes hands and gives connections to `server`: those whose handshake is done in time, and that speak HTTP/2.
 *
 * Clients are asked for a certificate and may show none. Whoever shows one has proven to hold its key; whose it is,
 * nobody has looked at yet.
 */
const createListener = (server: Server, parts: TlsParts) => {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  const context = (): SecureContextOptions => {
    const { certificate, key } = parts.identity()
    return { ...TLS, cert: certificate, key, ca: [...parts.authorities()] }
  }
  const listener = createServer({
    ...context(),
    requestCert: parts.clients,
    // A certificate of an unknown CA is refused by who reads it, with a word of why.
    rejectUnauthorized: false,
    ALPNProtocols: ["h2"],
    handshakeTimeout: HANDSHAKE_MS,
  })
  listener.prependListener("connection", (socket: Socket) => {
    if (parts.admit(socket.remoteAddress ?? "")) parts.connections.admit(socket, parts.takes)
    else socket.destroy()
  })
  listener.on("secureConnection", (socket) => {
    socket.on("error", () => socket.destroy())
    const connection = parts.connections.shake(socket, chainOf(socket.getPeerX509Certificate()))
    // Where no protocol was agreed upon, HTTP/2 would hold the socket for another ten seconds, whoever has gone.
    if (connection === undefined || socket.alpnProtocol !== "h2") socket.destroy()
    else injector.injectConnection(socket)
  })
  listener.on("tlsClientError", (_error, socket) => socket.destroy())
  return { listener, renew: () => listener.setSecureContext(context()) }
}

/** Shakes hands on connections that are brought. */
export function shakeTls(server: Server, parts: TlsParts): TlsShaking {
  const { listener, renew } = createListener(server, parts)
  return { renew, take: (socket) => void listener.emit("connection", socket) }
}

/**
 * Listens with TLS for `server`.
 *
 * @throws {Error} as `node:net` gives it if the address cannot be bound.
 */
export async function listenTls(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
  parts: TlsParts,
): Promise<TlsListening> {
  const { listener, renew } = createListener(server, parts)
  const bound = await listening(listener, { host, port })
  return {
    port: bound,
    renew,
    close: () => void listener.close(),
  }
}

/** Listens. Gives the port. @throws {Error} as `node:net` gives it. */
export const listening = (listener: Listener, where: ListenOptions): Promise<number> =>
  new Promise((resolve, reject) => {
    listener.once("error", reject)
    listener.listen({ ...where, exclusive: true }, () => {
      listener.off("error", reject)
      // A connection that cannot be accepted, as when there are no more files, is no reason to end.
      listener.on("error", () => {})
      const address = listener.address()
      resolve(typeof address === "object" && address !== null ? address.port : 0)
    })
  })

const CHAIN_MAX = 10

/** The certificates in the order in which the client sent them. */
function chainOf(leaf: X509Certificate | undefined): ShownChain {
  const chain: Uint8Array[] = []
  for (let one = leaf; one !== undefined && chain.length < CHAIN_MAX; one = one.issuerCertificate)
    chain.push(new Uint8Array(one.raw))
  return chain
}
