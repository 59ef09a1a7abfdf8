/** Where gRPC is served, out of the settings. */
import { join, resolve } from "node:path"
import type { Config } from "../config.ts"
import type { Limits } from "../server/limits.ts"
import type { Listen } from "../server/listen.ts"

/** What a development server is reached at unless it is told otherwise. */
const DEVELOPMENT_ADDRESS = "127.0.0.1:7400"

/** Where callers find it. */
export const listenersOf = (config: Config, folder: string): readonly Listen[] =>
  config.listen?.map((one) =>
    typeof one === "string"
      ? one
      : {
          address: one.address,
          tls: { certificate: resolve(one.tls.certificate), key: resolve(one.tls.key) },
        },
  ) ?? [...(config.development ? [DEVELOPMENT_ADDRESS] : []), `unix:${join(folder, "assay.sock")}`]

/** The administration socket. */
export const adminOf = ({ admin }: Config, folder: string): string =>
  admin ?? `unix:${join(folder, "admin.sock")}`

/** What the server takes on at a time. */
export const limitsOf = ({ limits }: Config): Partial<Limits> => ({
  connectionsMax: limits.connections,
  addressConnectionsMax: limits.connectionsPerAddress,
  strangersMax: limits.strangers,
  strangerIdleMs: limits.strangerSeconds * 1000,
  bytesMax: limits.heldBytes,
  callerBytesMax: limits.heldBytesPerCaller,
  runningMax: limits.running,
  waitingMax: limits.waiting,
  waitMs: limits.waitSeconds * 1000,
  receiveMs: limits.receiveSeconds * 1000,
  callMs: limits.callSeconds * 1000,
})
