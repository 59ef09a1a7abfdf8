/** Stands between a client and a server on Unix sockets, and does to their connections what networks do. */
import { mkdtempSync, rmSync } from "node:fs"
import { createConnection, createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A proxy that is listening. */
export interface SocketProxy {
  /** Where its socket is, under the name of the server's. */
  readonly folder: string
  /** What becomes of what the server says: it is passed on, lost without a word, or lost with the connection. */
  replies: "passed" | "lost" | "reset"
  /** Is called with what a client says, before it is passed on. */
  heard: (said: Buffer) => void
  /** Ends all connections at once. */
  cut(): void
  /** Refuses new connections, or takes them again. */
  refuse(isRefusing: boolean): void
  close(): Promise<void>
}

/** A proxy to the server whose socket is `name` in `folder`. */
export const createProxy = async (folder: string, name: string): Promise<SocketProxy> => {
  const own = mkdtempSync(join(tmpdir(), "assay-proxy-"))
  const sockets = new Set<Socket>()
  let isRefusing = false
  const remember = (socket: Socket): Socket => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
    socket.on("error", () => {}) // its close follows
    return socket
  }
  const server = createServer((client) => {
    remember(client)
    if (isRefusing) {
      client.destroy()
      return
    }
    const target = remember(createConnection(join(folder, name)))
    client.on("data", (said: Buffer) => {
      proxy.heard(said)
      if (!client.destroyed) target.write(said)
    })
    client.on("end", () => target.end())
    target.on("data", (chunk) => {
      if (proxy.replies === "passed") client.write(chunk)
      else if (proxy.replies === "reset") client.destroy()
    })
    target.on("close", () => client.destroy())
    client.on("close", () => target.destroy())
  })
  await new Promise<void>((listening) => server.listen(join(own, name), listening))
  const proxy: SocketProxy = {
    folder: own,
    replies: "passed",
    heard: () => {},
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    refuse(isNow) {
      isRefusing = isNow
    },
    async close() {
      proxy.cut()
      await new Promise((closed) => server.close(closed))
      rmSync(own, { recursive: true, force: true })
    },
  }
  return proxy
}
