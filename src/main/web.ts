/** Pages, out of the settings. */
import { resolve } from "node:path"
import type { Logger } from "pino"
import type { Config } from "../config.ts"
import { AssayError } from "../errors.ts"
import type { Watched } from "../reload.ts"
import { Buckets } from "../server/buckets.ts"
import { type ServerIdentity, watchServerIdentity } from "../tls.ts"
import type { Bucket, Rate } from "../web/admission.ts"
import { type Listening, type ListenOptions, listen } from "../web/listen.ts"

type App = Parameters<typeof listen>[0]

/** Pages that are served, and why their certificate is not used as its files have it now. */
export interface Serving extends Listening {
  unready(): string | undefined
}

/**
 * Serves the public pages, with TLS where the settings have it.
 *
 * @throws {AssayError} INPUT.
 */
export const servePublic = async ({ web }: Config, app: App, log: Logger): Promise<Serving> => {
  if (web.tls === undefined)
    return {
      ...(await listenAt("web.public", web.public, app, { reach: "loopback" })),
      unready: () => undefined,
    }
  let site: Listening | undefined
  const identity: Watched<ServerIdentity> = watchServerIdentity(
    { certificate: resolve(web.tls.certificate), key: resolve(web.tls.key) },
    () => new Date(),
    {
      changed: () => site?.renew(),
      alarm: (error) => {
        if (error === undefined) log.info("the certificate of the public pages can be used again")
        else
          log.error(
            { err: error },
            "the certificate of the public pages cannot be used: the one before it still is",
          )
      },
    },
  )
  try {
    const listening = await listenAt("web.public", web.public, app, { reach: "loopback", identity })
    site = listening
    const close = (): Promise<void> => {
      identity.close()
      return listening.close()
    }
    return { ...listening, close, unready: identity.unready }
  } catch (error) {
    identity.close()
    throw error
  }
}

/** Serves the private pages. @throws {AssayError} INPUT. */
export const servePrivate = ({ web }: Config, app: App): Promise<Listening> =>
  listenAt("web.private", web.private, app, { reach: "private" })

/** Addresses that are told apart at a time. */
const ADDRESSES_MAX = 16_384

/** Counts how often each of them does something. */
export const bucketOf = (rate: Rate): Bucket => new Buckets(rate, ADDRESSES_MAX)

const listenAt = async (
  location: string,
  address: string,
  app: App,
  options: Omit<ListenOptions, "bucketOf">,
): Promise<Listening> => {
  try {
    return await listen(app, address, { ...options, bucketOf })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : ""
    const expected = cause instanceof AssayError ? cause.expected : undefined
    throw new AssayError("INPUT", `cannot serve ${location} on ${address}: ${reason}`, {
      location,
      cause,
      ...(expected !== undefined && { expected }),
    })
  }
}
