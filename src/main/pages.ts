/** Both kinds of pages of a server, out of its settings. */
import type { Logger } from "pino"
import { hostAndPort } from "../addresses.ts"
import type { Config } from "../config.ts"
import { certificatePem } from "../evidence/x509/certificate.ts"
import { createPrivateApp, type PrivatePages } from "../web/private.ts"
import { createPublicApp } from "../web/public.ts"
import { TENANT } from "./constants.ts"
import type { Cleanup, Opened } from "./open.ts"
import { bucketOf, servePrivate, servePublic } from "./web.ts"

/** Serves the pages; the issuer is theirs unless the settings have one. @throws {AssayError} INPUT. */
export const servePages = async (
  config: Config,
  log: Logger,
  { service, signer, authority, settings }: Opened,
  pages: Pick<PrivatePages, "metrics" | "ready">,
  cleanup: Cleanup,
) => {
  const { host } = hostAndPort(config.web.private) ?? { host: "" }
  const privateWeb = await servePrivate(
    config,
    createPrivateApp({ ...pages, live: () => [], host, bucketOf }),
  )
  cleanup.push(() => privateWeb.close())
  const deviceCa = certificatePem(authority.certificate.bytes)
  const publicApp = createPublicApp({
    bucketOf,
    issuer: () => settings.issuer,
    jwks: () => signer.publicJwks(),
    deviceCa: () => deviceCa,
    epoch: async () => {
      const { epoch, token } = await service.epoch({ tenant: TENANT, id: "web" })
      return { ...epoch, token }
    },
  })
  const publicWeb = await servePublic(config, publicApp, log)
  cleanup.push(() => publicWeb.close())
  settings.issuer ||= publicWeb.url
  return {
    unready: () => publicWeb.unready() ?? [],
    urls: { publicUrl: publicWeb.url, privateUrl: privateWeb.url, issuer: settings.issuer },
  }
}
