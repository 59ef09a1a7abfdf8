import { z } from "zod"

/** Some text. */
export const text = () => z.string().min(1)

/** A file or folder, as the process finds it from where it runs. */
export const path = text

/** A schema of PostgreSQL, in the one spelling that needs no quotes. */
export const databaseSchema = () =>
  z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/, "not a schema of a-z 0-9 _ with at most 63")

/** A name of ours: of a caller, or of a rule about callers. No other kind of id looks like one. */
export const name = () =>
  z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "not a name of a-z 0-9 - with at most 63")

/** A tenant, as in a DNS label, so that no spelling of one is taken for another. */
export const tenant = () =>
  z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "not a tenant of a-z 0-9 - with at most 63")

/** Whether no two of `all` have the same name. */
export const eachNameOnce = (all: readonly { readonly name: string }[]): boolean =>
  new Set(all.map((one) => one.name)).size === all.length

/** Whether `host` is one in the one spelling that URLs are compared in. */
export const isHost = (host: string): boolean => {
  if (!/^[a-z0-9.:[\]-]+$/.test(host) || !URL.canParse(`http://${host}/`)) return false
  const url = new URL(`http://${host}/`)
  return host === url.host || host === `${url.hostname}:80`
}

/** Whether `text` is a SPIFFE trust domain in the form of a host name. */
export const isTrustDomain = (text: string): boolean =>
  text.length <= 255 &&
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/.test(text)
