/** A server, out of its settings. */
import { resolve } from "node:path"
import type { Logger } from "pino"
import type { Running } from "../cli/serve.ts"
import type { Config } from "../config.ts"
import { certificatePem } from "../evidence/x509/certificate.ts"
import { createRandom } from "../keys/random.ts"
import { createSigner } from "../keys/signer.ts"
import { hostAndPort } from "../loopback.ts"
import { createServer } from "../server/server.ts"
import type { Clock } from "../service/ports.ts"
import { createPrivateApp } from "../web/private.ts"
import { createPublicApp } from "../web/public.ts"
import {
  certificateRules,
  deviceCallers,
  enrollmentTokens,
  localCallers,
  readCredential,
  tokenRules,
} from "./callers.ts"
import { TENANT } from "./constants.ts"
import { openAgreement } from "./engine.ts"
import { openKeys } from "./keys.ts"
import { adminOf, listenersOf } from "./listeners.ts"
import { createDecisions } from "./service.ts"
import { openStore } from "./store.ts"
import { openTrust, prepareTrust } from "./trust.ts"
import { servePrivate, servePublic } from "./web.ts"

/** What has to be closed, the last first. */
type Cleanup = (() => void | Promise<void>)[]

/**
 * Starts a server: every port of the service gets its adapter.
 *
 * @throws {AssayError} INPUT, SIGNER, RNG, REGISTRY: nothing is left running then.
 */
export async function start(config: Config, log: Logger): Promise<Running> {
  const cleanup: Cleanup = []
  const stop = async (): Promise<void> => {
    for (const close of cleanup.splice(0).reverse()) await close()
  }
  try {
    const parts = await open(config, log, cleanup)
    return { ...(await serve(config, log, parts, cleanup)), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Everything that has to be there before anybody is listened to. */
const open = async (config: Config, log: Logger, cleanup: Cleanup) => {
  const folder = resolve(config.data)
  const clock: Clock = { now: () => new Date() }
  const random = createRandom()
  const store = await openStore(config, folder, random)
  cleanup.push(() => store.close())
  const keys = await openKeys(config, folder, { keys: store.keys, clock, random })
  const signer = createSigner(keys.signing, clock)
  cleanup.push(() => signer.close())
  await prepareTrust(config, folder, { clock, trust: store.trust }, { random, log })
  const trust = openTrust(config, store, { clock, random, log })
  const agreement = await openAgreement(config, { store, random, clock, passphrase: () => keys.passphrase })
  cleanup.push(() => agreement.close())
  const parts = { clock, random, log, store, signer, authority: keys.deviceCa, agreement, trust }
  const decisions = createDecisions(config, parts)
  // After everything that writes has stopped, and before what it needs has.
  cleanup.push(() => decisions.checkpointer.stop())
  return { ...parts, ...decisions, folder }
}

type Opened = Awaited<ReturnType<typeof open>>

/** Why a server is not ready, but for what its listeners say. */
const reasonsOf = async ({ signer, random, agreement, store, trust, checkpointer }: Opened) =>
  [
    signer.unready(),
    random.unready(),
    ...agreement.unready(),
    await store.unready(),
    ...(await trust.unready()),
    checkpointer.unready(),
  ].flatMap((reason) => reason ?? [])

const serve = async (
  config: Config,
  log: Logger,
  parts: Opened,
  cleanup: Cleanup,
): Promise<Omit<Running, "stop">> => {
  const { folder, clock, random, store, signer, authority, trust, settings } = parts
  const { checkpointer, metrics, service } = parts
  const watched: (() => string | readonly string[])[] = []
  const ready = async (): Promise<string[]> => [
    ...(await reasonsOf(parts)),
    ...watched.flatMap((unready) => unready()),
  ]
  trust.refresher.start()
  cleanup.push(() => trust.refresher.stop())
  const { host } = hostAndPort(config.web.private) ?? { host: "" }
  const privateWeb = await servePrivate(
    config,
    createPrivateApp({ metrics: metrics.registry, live: () => [], ready, host }),
  )
  cleanup.push(() => privateWeb.close())
  const publicApp = createPublicApp({
    issuer: () => settings.issuer,
    jwks: () => signer.publicJwks(),
    deviceCa: () => certificatePem(authority.certificate.bytes),
    epoch: async () => {
      const { epoch, token } = await service.epoch({ tenant: TENANT, id: "web" })
      return { ...epoch, token }
    },
  })
  const publicWeb = await servePublic(config, publicApp, log)
  cleanup.push(() => publicWeb.close())
  watched.push(() => publicWeb.unready() ?? [])
  settings.issuer ||= publicWeb.url
  checkpointer.start()

  const credentials = localCallers(config, folder)
  const admin = adminOf(config, folder)
  const server = createServer({
    service,
    log,
    listen: listenersOf(config, folder),
    admin,
    credentials: credentials.map((caller) => readCredential(config, caller, random)),
    clientCertificates: certificateRules(config),
    tokenIssuers: tokenRules(config),
    deviceAuthority: deviceCallers(authority),
    enrollmentToken: enrollmentTokens(store.devices, clock),
    denied: trust.denied,
    rates: config.rates,
    reflection: config.reflection,
    development: config.development,
    ...(config.anonymous !== undefined && { anonymous: config.anonymous }),
    observe: metrics.called,
    refused: metrics.refused,
  })
  watched.push(() => server.unready())
  const addresses = await server.start()
  cleanup.push(() => server.stop())
  return {
    listen: addresses.slice(0, -1),
    admin,
    publicUrl: publicWeb.url,
    privateUrl: privateWeb.url,
    issuer: settings.issuer,
    credentials: Object.fromEntries(credentials.map(({ name, file }) => [name, file])),
  }
}
