/**
 * Where a server listens: with TLS anywhere, without it on this machine only. A Unix socket is made in a private folder and then moved to its
 * place, so that nobody can connect before its mode is set, and a file left by a dead server is replaced in one step.
 */
import { chmodSync, lstatSync, mkdtempSync, renameSync, rmSync } from "node:fs"
import { connect, createServer, type ListenOptions, type Socket } from "node:net"
import { dirname } from "node:path"
import { type Server, ServerCredentials } from "@grpc/grpc-js"
import { hostAndPort, hostText } from "../addresses.ts"
import { AssayError } from "../errors.ts"
import { type Address, parseAddress } from "../rpc.ts"
import { type ServerFiles, watchServerIdentity } from "../tls.ts"
import type { Takes } from "./connection.ts"
import type { Connections } from "./connections.ts"
import type { Watching } from "./identities.ts"
import { listening, listenTls } from "./tls.ts"

/** Readable and writable by the owner alone. */
export const ADMIN_MODE = 0o600
/** By the group as well, so that gateways run as users of their own. */
export const SOCKET_MODE = 0o660

/** sockaddr_un.sun_path holds 108 bytes and ends with a NUL; the folder's name within takes 15. */
const UNIX_PATH_BYTES_MAX = 107
const PRIVATE_BYTES = 15

/**
 * Checks an address before anything is opened: one of this machine, and plaintext over TCP in development mode only.
 *
 * @throws {AssayError} INPUT.
 */
export function checkAddress(text: string, development: boolean): Address {
  const address = parseAddress(text)
  if (address.kind === "tcp" && !development)
    throw new AssayError("INPUT", `${text}: TCP is served in development mode only, use a Unix socket`, {
      location: "listen",
      expected: "unix:/absolute/path",
      actual: text,
    })
  if (address.kind === "unix") {
    const sizes = [Buffer.byteLength(address.path), Buffer.byteLength(dirname(address.path)) + PRIVATE_BYTES]
    if (sizes.some((size) => size > UNIX_PATH_BYTES_MAX))
      throw new AssayError("INPUT", `${text}: too long for a Unix socket`, {
        location: "listen",
        expected: `at most ${UNIX_PATH_BYTES_MAX - PRIVATE_BYTES} bytes`,
      })
  }
  return address
}

/** Where to listen: an address of this machine, or any address with TLS. */
export type Listen = string | { readonly address: string; readonly tls: ServerFiles }

/** The same, checked. */
export type ListenAddress =
  | Address
  | { readonly kind: "tls"; readonly host: string; readonly port: number; readonly files: ServerFiles }

/** @throws {AssayError} INPUT. */
export function checkListen(listen: Listen, development: boolean): ListenAddress {
  if (typeof listen === "string") return checkAddress(listen, development)
  const { address, tls: files } = listen
  const found = hostAndPort(address)
  if (found === undefined)
    throw new AssayError("INPUT", `${address} is not an address and a port`, {
      location: "listen",
      expected: "an IPv4 address, an IPv6 address in brackets or localhost, and a port",
      actual: address,
    })
  return { kind: "tls", ...found, files }
}

/** A bound listener. */
export interface Bound {
  /** With the port that port 0 became. */
  readonly address: string
  /** Why its certificate is not used as the files have it now. */
  unready(): string | undefined
  /** Takes the CAs of clients as they are now. */
  renew(): void
  /** Serves a connection that another process has accepted, of a listener that does not accept any itself. */
  take?(socket: Socket): void
  /** Looks now whether its certificate has changed. */
  look(): Promise<void>
  /** Takes no more connections, if it is not the server that does. */
  close(): void
  /** Removes what is left of it. */
  release(): void
}

/** What listeners with TLS share. */
export interface BindTls {
  /** Whether clients are asked for a certificate. */
  readonly clients: boolean
  readonly authorities: () => readonly string[]
  /** Whether a connection from this address is taken at all. */
  readonly admit: (address: string) => boolean
  readonly watch: Watching
  readonly now: () => Date
}

/** What all listeners share. */
export interface BindShared {
  readonly tls: BindTls
  readonly connections: Connections
  /** Who answers calls of this listener without grpc-js, if anybody does. */
  readonly takes: Takes | undefined
}

/** What never changes. */
export const FIXED = { unready: () => undefined, renew: () => {}, look: async () => {}, close: () => {} }

/**
 * Binds `server`. A socket file that nobody listens on is replaced.
 *
 * @throws {AssayError} INPUT if somebody listens there, or the path cannot be used.
 */
export async function bind(
  server: Server,
  address: ListenAddress,
  { mode, ...shared }: { readonly mode: number } & BindShared,
): Promise<Bound> {
  if (address.kind === "tls") return bindTls(server, address, shared)
  const take = takePlain(server, shared)
  const listener = createServer(take)
  const close = (): void => void listener.close()
  const listen = async (name: string, where: ListenOptions): Promise<number> => {
    try {
      return await listening(listener, where)
    } catch (error) {
      throw unusable(name, error)
    }
  }
  if (address.kind === "tcp") {
    const port = await listen(address.target, { host: address.host, port: address.port })
    return { ...FIXED, address: `${hostText(address.host)}:${port}`, close, release: close }
  }
  const remove = await placeSocket(address.path, mode, (path) => listen(address.path, { path }))
  const release = (): void => {
    close()
    remove()
  }
  return { ...FIXED, address: `unix:${address.path}`, close, release }
}

/** Takes connections as they come: nobody but who is on this machine makes them. */
export function takePlain(
  server: Server,
  { connections, takes }: Pick<BindShared, "connections" | "takes">,
): (socket: Socket) => void {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  return (socket) => {
    if (connections.admit(socket, takes) !== undefined) injector.injectConnection(socket)
  }
}

/**
 * Puts a socket at `path` that `listen` makes elsewhere. A socket file that nobody listens on is replaced.
 *
 * @returns What removes it.
 * @throws {AssayError} INPUT if somebody listens there, or the path cannot be used.
 */
export async function placeSocket(
  path: string,
  mode: number,
  listen: (temporary: string) => Promise<unknown>,
): Promise<() => void> {
  await checkVacant(path)
  const folder = attempt(path, () => mkdtempSync(`${dirname(path)}/.assay-`))
  try {
    const temporary = `${folder}/s`
    await listen(temporary)
    attempt(path, () => {
      chmodSync(temporary, mode)
      renameSync(temporary, path)
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const { ino } = lstatSync(path)
  return () => {
    // Another server may have taken the place meanwhile.
    if (lstatSync(path, { throwIfNoEntry: false })?.ino === ino) rmSync(path)
  }
}

async function bindTls(
  server: Server,
  { host, port, files }: Extract<ListenAddress, { readonly kind: "tls" }>,
  { tls: { clients, authorities, admit, watch, now }, connections, takes }: BindShared,
): Promise<Bound> {
  const identity = watchServerIdentity(files, now, watch)
  try {
    const parts = {
      identity: identity.current,
      clients,
      authorities,
      admit,
      connections,
      takes,
    }
    const listener = await listenTls(server, { host, port }, parts)
    return {
      address: `${hostText(host)}:${listener.port}`,
      unready: identity.unready,
      renew: listener.renew,
      look: identity.look,
      close: listener.close,
      release: () => {
        identity.close()
        listener.close()
      },
    }
  } catch (error) {
    identity.close()
    throw unusable(`${hostText(host)}:${port}`, error)
  }
}

/** That a place cannot be listened on. */
export const unusable = (place: string, cause: unknown): AssayError =>
  new AssayError("INPUT", `cannot listen on ${place}: ${cause instanceof Error ? cause.message : ""}`, {
    location: "listen",
    cause,
  })

function attempt<T>(path: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    throw unusable(path, error)
  }
}

/** Nothing is there, or a socket that nobody listens on. A file of another kind is not ours to remove. */
async function checkVacant(path: string): Promise<void> {
  const there = attempt(path, () => lstatSync(path, { throwIfNoEntry: false }))
  if (there === undefined) return
  if (!there.isSocket()) throw unusable(path, new Error("there is a file that is no socket"))
  if (await isAlive(path)) throw unusable(path, new Error("another server listens there"))
}

const isAlive = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path)
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    // Only a refused connection proves that nobody is there; whatever else it is, the file stays.
    socket.once("error", (error) => resolve(!("code" in error && error.code === "ECONNREFUSED")))
  })
