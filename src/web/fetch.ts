import { AssayError, type Code } from "../errors.ts"
import type { Fetch, Published } from "../service/ports.ts"
import { BUNDLE_BYTES_MAX } from "../service/refresh-accept.ts"
import { allowedUrl } from "../service/refresh-sources.ts"

/** Bounds of what is loaded from others. */
export interface FetchOptions {
  /** In lowercase, as `host` or `host:port`; see `allowedUrl`. */
  readonly hosts: readonly string[]
  /** For all of one answer, from the first byte sent to the last received. */
  readonly timeoutMs?: number
  /** Of one answer; certificates are held to `BUNDLE_BYTES_MAX` besides. */
  readonly maxBytes?: number
  /** Answers that are waited for at the same time. */
  readonly maxConcurrent?: number
}

const TIMEOUT_MS = 10_000
const BYTES_MAX = 16 * 1024 * 1024
const CONCURRENT_MAX = 4
const FIRST_BYTES = 65_536

const CODE_OF: Readonly<Record<Published, Code>> = { crl: "REVOCATION", certificates: "TRUST" }
const ACCEPTED: Readonly<Record<Published, string>> = {
  crl: "application/pkix-crl, */*;q=0.1",
  certificates: "application/pkix-cert, application/pkcs7-mime, */*;q=0.1",
}

/**
 * Loads what others publish, and does nothing else that they say: GET of a listed host, no redirects, no cookies, no
 * credentials, no other answer than 200, and no encoding, for a compressed answer grows after its size was looked at.
 */
export function createFetch(options: FetchOptions): Fetch {
  const { timeoutMs = TIMEOUT_MS, maxBytes = BYTES_MAX, maxConcurrent = CONCURRENT_MAX } = options
  const hosts = new Set(options.hosts)
  const turns = new Turns(maxConcurrent)
  return async (text, kind, signal) => {
    const refuse: Refuse = (message, details = {}) =>
      new AssayError(CODE_OF[kind], message, { location: shown(text), ...details })
    const url = allowedUrl(text, hosts)
    if (url === undefined) throw refuse("a URL that is not http or https of a listed host")
    await turns.take()
    const stop = new AbortController()
    const abort = (): void => stop.abort()
    const timer = setTimeout(abort, timeoutMs)
    signal.addEventListener("abort", abort)
    try {
      if (signal.aborted) throw refuse("stopped before it was loaded")
      const headers = { accept: ACCEPTED[kind], "accept-encoding": "identity" }
      const response = await fetch(url, { redirect: "manual", headers, signal: stop.signal })
      const limit = kind === "certificates" ? Math.min(maxBytes, BUNDLE_BYTES_MAX) : maxBytes
      return await bodyOf(response, limit, refuse)
    } catch (cause) {
      if (cause instanceof AssayError) throw cause
      const why =
        stop.signal.aborted && !signal.aborted ? `not there within ${timeoutMs} ms` : "cannot be loaded"
      throw refuse(why, { cause })
    } finally {
      clearTimeout(timer)
      signal.removeEventListener("abort", abort)
      // Ends what was refused half read; what was read to its end is left alone by it.
      abort()
      turns.give()
    }
  }
}

type Refuse = (
  message: string,
  details?: { readonly expected?: string; readonly actual?: string; readonly cause?: unknown },
) => AssayError

/** A URL as errors show it: credentials in it are nobody's business. */
const shown = (text: string): string => {
  if (!URL.canParse(text)) return "a URL that is none"
  const url = new URL(text)
  url.username = ""
  url.password = ""
  return url.href
}

async function bodyOf(
  { status, headers, body }: Response,
  maxBytes: number,
  refuse: Refuse,
): Promise<Uint8Array> {
  if (status !== 200) throw refuse("another answer than 200", { expected: "200", actual: String(status) })
  const encoding = headers.get("content-encoding") ?? "identity"
  if (encoding !== "identity") throw refuse("an encoded answer", { expected: "identity", actual: encoding })
  const tooLong = (): AssayError =>
    refuse("longer than may be loaded", { expected: `at most ${maxBytes} bytes` })
  // What it announces is a hint: it may be too small, or not there.
  if (Number(headers.get("content-length") ?? 0) > maxBytes) throw tooLong()
  // Into one array that grows: who sends one byte a chunk does not get an object for each.
  let bytes = new Uint8Array(Math.min(FIRST_BYTES, maxBytes))
  let size = 0
  for await (const chunk of body ?? []) {
    const end = size + chunk.length
    if (end > maxBytes) throw tooLong()
    if (end > bytes.length) {
      const larger = new Uint8Array(Math.min(Math.max(end, 2 * bytes.length), maxBytes))
      larger.set(bytes.subarray(0, size))
      bytes = larger
    }
    bytes.set(chunk, size)
    size = end
  }
  if (size === 0) throw refuse("an empty answer")
  return bytes.slice(0, size)
}

/** Lets so many through at a time, in the order in which they came. Each turn ends, for what is done in it has a time limit. */
class Turns {
  readonly #waiting: (() => void)[] = []
  #free: number

  constructor(count: number) {
    this.#free = count
  }

  take(): Promise<void> {
    if (this.#free > 0) {
      this.#free--
      return Promise.resolve()
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  give(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}
