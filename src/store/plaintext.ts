import { loopbackHost } from "../addresses.ts"
import { AssayError } from "../errors.ts"

/** Which setting has the address. */
export type Addressed = "engine" | "store"

/**
 * Refuses an address beyond this machine that is reached without TLS that proves whose it is: whoever stands between Assay
 * and its database could say what he likes.
 *
 * @throws {AssayError} INPUT, also for what is no URL: some drivers make one of it, with a host of their own choice.
 */
export const refusePlaintext = (
  setting: Addressed,
  { kind, url }: { readonly kind: "redis" | "postgres"; readonly url: string },
): void => {
  if (kind === "redis" && url.startsWith("unix:")) return
  const location = `${setting}.url`
  if (!URL.canParse(url))
    throw new AssayError("INPUT", `the address of the ${setting} is no URL`, { location })
  const { protocol, hostname, searchParams } = new URL(url)
  // Of parameters that are given twice, the driver takes the last one.
  const parameter = (name: string): string | undefined => searchParams.getAll(name).at(-1)
  const host = (kind === "postgres" ? parameter("host") : undefined) || decodeURIComponent(hostname)
  const isEncrypted = kind === "redis" ? protocol === "rediss:" : parameter("sslmode") === "verify-full"
  if (isEncrypted || host.startsWith("/") || loopbackHost(host) !== undefined) return
  throw new AssayError(
    "INPUT",
    `the ${setting} is on another machine, and nothing protects what is said to it`,
    {
      location,
      expected: `${kind === "redis" ? "rediss://" : "sslmode=verify-full"}, or ${setting}.plaintext`,
      actual: host,
    },
  )
}
