/**
 * TLS in front of gRPC. grpc-js can listen with TLS itself, but then it shows a client's certificate without those that came
 * with it, takes OpenSSL's word for who signed it, and drops every connection while a certificate's file is half written. So
 * the listener is ours, and grpc-js is handed connections whose handshake is done (`createConnectionInjector`).
 */
import type { X509Certificate } from "node:crypto"
import type { Socket } from "node:net"
import { createServer, type SecureContextOptions, type TLSSocket } from "node:tls"
import { type Server, ServerCredentials } from "@grpc/grpc-js"
import { HANDSHAKE_MS, type ServerIdentity, TLS } from "../tls.ts"
import type { ShownChain } from "./certificates.ts"

/** What a listener's connections are set up with. Both may change while it listens; connections keep what they began with. */
export interface TlsParts {
  readonly identity: () => ServerIdentity
  /** Whether clients are asked for a certificate. */
  readonly clients: boolean
  /** PEM of CAs that clients are told of, so that they know which certificate to show. */
  readonly authorities: () => readonly string[]
  /** Whether a connection from this address is taken at all. */
  readonly admit: (address: string) => boolean
  /** Connections at a time. */
  readonly connectionsMax: number
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

/** Who holds each open connection's other end, by the connection's two ends. */
export class Peers {
  readonly #chains = new Map<string, ShownChain>()

  /** The chain that was shown on a connection, empty if there was none; nothing for a connection without TLS. */
  chainOf(ends: Ends): ShownChain | undefined {
    return this.#chains.get(keyOf(ends))
  }

  /** Until it closes, the connection's other end is who has shown this chain. */
  add(socket: TLSSocket, chain: ShownChain): void {
    const key = keyOf(socket)
    this.#chains.set(key, chain)
    socket.once("close", () => {
      if (this.#chains.get(key) === chain) this.#chains.delete(key)
    })
  }
}

/** No two connections that are open have the same. */
interface Ends {
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
}

const keyOf = ({ localAddress, localPort, remoteAddress, remotePort }: Ends): string =>
  `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`

/**
 * Shakes hands and gives connections to `server`: those whose handshake is done in time, and that speak HTTP/2.
 *
 * Clients are asked for a certificate and may show none. Whoever shows one has proven to hold its key; whose it is,
 * nobody has looked at yet.
 */
const createListener = (server: Server, parts: TlsParts, peers: Peers) => {
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
  listener.maxConnections = parts.connectionsMax
  listener.prependListener("connection", (socket: Socket) => {
    if (!parts.admit(socket.remoteAddress ?? "")) socket.destroy()
  })
  listener.on("secureConnection", (socket) => {
    socket.on("error", () => socket.destroy())
    peers.add(socket, chainOf(socket.getPeerX509Certificate()))
    injector.injectConnection(socket)
  })
  listener.on("tlsClientError", (_error, socket) => socket.destroy())
  return { listener, renew: () => listener.setSecureContext(context()) }
}

/** Shakes hands on connections that are brought. Beyond `connectionsMax` at a time they are closed. */
export function shakeTls(server: Server, parts: TlsParts, peers: Peers): TlsShaking {
  const { listener, renew } = createListener(server, parts, peers)
  let open = 0
  return {
    renew,
    take: (socket) => {
      if (open >= parts.connectionsMax) return void socket.destroy()
      open++
      socket.once("close", () => open--)
      listener.emit("connection", socket)
    },
  }
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
  peers: Peers,
): Promise<TlsListening> {
  const { listener, renew } = createListener(server, parts, peers)
  const bound = await new Promise<number>((resolve, reject) => {
    listener.once("error", reject)
    listener.listen({ host, port, exclusive: true }, () => {
      listener.off("error", reject)
      const address = listener.address()
      resolve(typeof address === "object" && address !== null ? address.port : port)
    })
  })
  return {
    port: bound,
    renew,
    close: () => void listener.close(),
  }
}

const CHAIN_MAX = 10

/** The certificates in the order in which the client sent them. */
function chainOf(leaf: X509Certificate | undefined): ShownChain {
  const chain: Uint8Array[] = []
  for (let one = leaf; one !== undefined && chain.length < CHAIN_MAX; one = one.issuerCertificate)
    chain.push(new Uint8Array(one.raw))
  return chain
}
