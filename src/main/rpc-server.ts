/** The gRPC server of a process, out of the settings. */
import type { Config } from "../config.ts"
import { createServer, type ServerConfig } from "../server/server.ts"
import {
  certificateRules,
  deviceCallers,
  enrollmentTokens,
  localCallers,
  readCredential,
  tokenRules,
} from "./callers.ts"
import { limitsOf } from "./listeners.ts"
import type { Opened } from "./open.ts"

/** What a process serves of it. */
export type Served = Pick<ServerConfig, "listen" | "admin" | "brought">

/** Makes it, and the files with local credentials, by name. Nothing is listened to yet. @throws {AssayError} INPUT, SIGNER. */
export const createRpcServer = (
  config: Config,
  { folder, log, clock, random, store, authority, trust, service, charging, metrics }: Opened,
  served: Served,
) => {
  const credentials = localCallers(config, folder)
  const server = createServer({
    ...served,
    service,
    log,
    credentials: credentials.map((caller) => readCredential(config, caller, random)),
    clientCertificates: certificateRules(config),
    tokenIssuers: tokenRules(config),
    deviceAuthority: deviceCallers(authority),
    enrollmentToken: enrollmentTokens(store.devices, clock),
    denied: trust.denied,
    rates: config.rates,
    limits: limitsOf(config),
    reflection: config.reflection,
    development: config.development,
    ...(config.anonymous !== undefined && { anonymous: config.anonymous }),
    observe: metrics.called,
    refused: metrics.refused,
    waited: metrics.waited,
    charged: metrics.charged,
  })
  charging(server.charge)
  return { server, credentials: Object.fromEntries(credentials.map(({ name, file }) => [name, file])) }
}
