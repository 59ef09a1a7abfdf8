/**
 * Until callers are authenticated, every listener of Assay stays on this machine.
 */

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
