/**
 * Addresses: which to listen on, and whom one belongs to. What callers are not authenticated on stays on this machine, or
 * where an operator said so in numbers: no name is ever looked up.
 */
import { isIPv4, isIPv6 } from "node:net"

const DOTTED_LOOPBACK = /^127(?:\.(?:0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])){3}$/

/**
 * The address to bind for `text` if it can be reached from this machine alone, else nothing: 127.0.0.0/8 in
 * dotted decimal, `::1` with or without brackets, and `localhost`. The last is mapped to 127.0.0.1 here, since
 * a resolver may say otherwise. No other spelling is read, however a resolver might understand it.
 */
export const loopbackHost = (text: string): string | undefined => {
  if (text === "localhost") return "127.0.0.1"
  if (text === "::1" || text === "[::1]") return "::1"
  return DOTTED_LOOPBACK.test(text) ? text : undefined
}

/** A host, as it is bound, and a port; 0 lets the system choose. */
export interface HostAndPort {
  readonly host: string
  readonly port: number
}

const PORT_MAX = 65_535

/**
 * Reads `HOST:PORT`, where host is an IPv4 address in dotted decimal, an IPv6 address in brackets, each in its one
 * spelling, or `localhost` (taken as 127.0.0.1). Nothing for everything else.
 */
export const hostAndPort = (text: string): HostAndPort | undefined => {
  const [, name = "", digits = ""] = /^(\[[0-9a-f:]+\]|[a-z0-9.]+):(0|[1-9]\d{0,4})$/.exec(text) ?? []
  const host = loopbackHost(name) ?? ipHost(name)
  const port = Number(digits)
  return host === undefined || port > PORT_MAX ? undefined : { host, port }
}

/** An address as it is bound: in the one spelling that URLs have, and not one of IPv4 in IPv6. */
const ipHost = (name: string): string | undefined => {
  const bare = name.replace(/^\[|\]$/g, "")
  if (!(name === bare ? isIPv4(bare) : isIPv6(bare)) || bare.startsWith("::ffff:")) return undefined
  return new URL(`http://${name}/`).hostname === name ? bare : undefined
}

/** RFC 1918, RFC 6598, RFC 4193 and RFC 3927: networks that nobody outside of them routes to. */
const PRIVATE =
  /^(?:10\.|172\.(?:1[6-9]|2\d|3[01])\.|192\.168\.|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|169\.254\.|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:)/

/** Whether a host, as `hostAndPort` gives it, is one of a private network or of this machine alone. */
export const isPrivateHost = (host: string): boolean =>
  loopbackHost(host) !== undefined || ((isIPv4(host) || isIPv6(host)) && PRIVATE.test(host))

/** A host in a URL or before a port: an IPv6 address in brackets. */
export const hostText = (host: string): string => (host.includes(":") ? `[${host}]` : host)

/**
 * Whom an address belongs to: of IPv6 the first 64 bits, for nobody has less than a network of them.
 *
 * @param address As a socket gives it.
 */
export function networkOf(address: string): string {
  const [, inIpv6] = /^::ffff:(.*)$/.exec(address) ?? []
  if (inIpv6 !== undefined && isIPv4(inIpv6)) return inIpv6
  if (!address.includes(":")) return address
  const [bare = ""] = address.split("%", 1)
  const [head = "", tail] = bare.split("::", 2)
  const left = head === "" ? [] : head.split(":")
  if (tail === undefined) return left.slice(0, 4).join(":")
  const right = tail === "" ? [] : tail.split(":")
  const zeros = Array<string>(Math.max(8 - left.length - right.length, 0)).fill("0")
  return [...left, ...zeros, ...right].slice(0, 4).join(":")
}
