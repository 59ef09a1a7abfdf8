/** A server, out of its settings. */
import type { Logger } from "pino"
import type { Running } from "../cli/serve.ts"
import type { Config } from "../config.ts"
import { boundHeap } from "./heap.ts"
import { adminOf, listenersOf } from "./listeners.ts"
import { type Cleanup, open, reasonsOf, startBeside } from "./open.ts"
import { servePages } from "./pages.ts"
import { createRpcServer } from "./rpc-server.ts"
import { workersOf } from "./workers.ts"

/**
 * Starts a server: every port of the service gets its adapter. With several workers this process looks after them, and has
 * the pages and the administration socket.
 *
 * @throws {AssayError} INPUT, SIGNER, RNG, REGISTRY: nothing is left running then.
 */
export async function start(config: Config, log: Logger): Promise<Running> {
  const cleanup: Cleanup = []
  const stop = async (): Promise<void> => {
    for (const close of cleanup.splice(0).reverse()) await close()
  }
  try {
    cleanup.push(boundHeap())
    const count = workersOf(config)
    const serve = count === 1 ? serveAlone : (await import("./supervise.ts")).supervise(count)
    return { ...(await serve(config, log, cleanup)), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const serveAlone = async (config: Config, log: Logger, cleanup: Cleanup): Promise<Omit<Running, "stop">> => {
  const parts = await open(config, log, cleanup)
  const { folder, metrics, checkpointer } = parts
  const watched: (() => string | readonly string[])[] = []
  startBeside(parts, cleanup)
  const ready = async (): Promise<string[]> => [
    ...(await reasonsOf(parts)),
    ...watched.flatMap((unready) => unready()),
  ]
  const pages = await servePages(config, log, parts, { metrics: metrics.registry, ready }, cleanup)
  watched.push(pages.unready)
  checkpointer.start()

  const admin = adminOf(config, folder)
  const { server, credentials } = createRpcServer(config, parts, {
    listen: listenersOf(config, folder),
    admin,
  })
  watched.push(() => server.unready())
  const addresses = await server.start()
  cleanup.push(() => server.stop())
  return { listen: addresses.slice(0, -1), admin, ...pages.urls, credentials }
}
