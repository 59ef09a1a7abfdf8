/** Connections that one process accepts and others serve: where they are accepted, and where they are brought to. */
import { createServer, type ListenOptions, type Socket } from "node:net"
import type { Server } from "@grpc/grpc-js"
import { hostText } from "../addresses.ts"
import { watchServerIdentity } from "../tls.ts"
import {
  type BindShared,
  type Bound,
  checkListen,
  FIXED,
  type Listen,
  type ListenAddress,
  placeSocket,
  SOCKET_MODE,
  takePlain,
  unusable,
} from "./listen.ts"
import { listening, shakeTls } from "./tls.ts"

/** Serves on `server` what is brought. @throws {AssayError} INPUT for a certificate that is not usable. */
export function serveBrought(
  server: Server,
  address: ListenAddress,
  { tls: { clients, authorities, admit, watch, now }, connections, takes }: BindShared,
): Bound {
  if (address.kind !== "tls")
    return { ...FIXED, address: "", take: takePlain(server, { connections, takes }), release: () => {} }
  const identity = watchServerIdentity(address.files, now, watch)
  const parts = { identity: identity.current, clients, authorities, admit, connections, takes }
  const { take, renew } = shakeTls(server, parts)
  const { unready, look, close } = identity
  return { ...FIXED, address: "", unready, look, renew, take, release: close }
}

/** Listeners that are open, for others to serve what they accept. */
export interface Doors {
  /** In the order of the listeners, with the ports that 0 became. */
  readonly addresses: readonly string[]
  /** Accepts no more. */
  close(): void
}

/**
 * Opens listeners, all or none. They stay open whatever becomes of those that serve: who comes meanwhile waits.
 *
 * @param accepted Is given each connection, of which nothing has been read, and which listener it came to.
 * @throws {AssayError} INPUT for an address that is not allowed, or cannot be listened on.
 */
export async function openDoors(
  listen: readonly Listen[],
  development: boolean,
  accepted: (listener: number, socket: Socket) => void,
): Promise<Doors> {
  const opened: Door[] = []
  const close = (): void => {
    for (const one of opened.splice(0)) one.close()
  }
  try {
    for (const [listener, one] of listen.map((one) => checkListen(one, development)).entries())
      opened.push(await openDoor(one, (socket) => accepted(listener, socket)))
  } catch (error) {
    close()
    throw error
  }
  return { addresses: opened.map(({ address }) => address), close }
}

interface Door {
  readonly address: string
  close(): void
}

async function openDoor(address: ListenAddress, accepted: (socket: Socket) => void): Promise<Door> {
  const server = createServer({ pauseOnConnect: true, noDelay: true }, accepted)
  const listen = async (name: string, where: ListenOptions): Promise<number> => {
    try {
      return await listening(server, where)
    } catch (error) {
      throw unusable(name, error)
    }
  }
  if (address.kind === "unix") {
    const release = await placeSocket(address.path, SOCKET_MODE, (path) => listen(path, { path }))
    const close = (): void => {
      release()
      server.close()
    }
    return { address: `unix:${address.path}`, close }
  }
  const port = await listen(address.host, { host: address.host, port: address.port })
  return { address: `${hostText(address.host)}:${port}`, close: () => void server.close() }
}
