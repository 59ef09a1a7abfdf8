import type { ServerResponse } from "node:http"
import { type Context, Hono } from "hono"
import { AssayError } from "../errors.ts"

/** An answer of one page. A HEAD request gets the same without its body. */
export type Page = (context: Context) => Response | Promise<Response>

/** Nothing here is ever to be run, framed or guessed at by a browser. */
const HEADERS = {
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
}

/**
 * An application of a few pages to be read, by path. Everything else is answered with problem details (RFC 9457):
 * 404 for another path, 405 with `Allow` for another method, 503 or 500 for a page that threw, which says no more
 * than the code.
 *
 * @param isOurHost Which Host headers are answered; others get 421.
 */
export const createApp = (
  pages: Readonly<Record<string, Page>>,
  isOurHost: (host: string) => boolean = () => true,
): Hono => {
  const app = new Hono()
  app.use(async (context, next) => {
    await next()
    for (const [name, value] of Object.entries(HEADERS)) context.header(name, value)
  })
  app.use(async (context, next) =>
    isOurHost(new URL(context.req.url).hostname) ? next() : problem(421, "Misdirected Request"),
  )
  for (const [path, page] of Object.entries(pages)) {
    app.get(path, page)
    app.all(path, () => problem(405, "Method Not Allowed", { Allow: "GET, HEAD" }))
  }
  app.notFound(() => problem(404, "Not Found"))
  app.onError((error) =>
    error instanceof AssayError && error.kind === "unavailable"
      ? problem(503, "Service Unavailable", {}, error.code)
      : problem(500, "Internal Server Error"),
  )
  return app
}

/** A JSON document. */
export const json = (document: object, cacheControl: string, status = 200): Response =>
  new Response(JSON.stringify(document), {
    status,
    headers: { "Content-Type": "application/json", "Cache-Control": cacheControl },
  })

const TOO_MANY = JSON.stringify({ type: "about:blank", title: "Too Many Requests", status: 429 })

/** Answers 429, and closes the connection: no page is looked for, so that it costs next to nothing. */
export const refuse = (response: ServerResponse, retryMs: number): void => {
  response.writeHead(429, {
    ...HEADERS,
    "Content-Type": "application/problem+json",
    "Content-Length": TOO_MANY.length,
    "Cache-Control": "no-store",
    "Retry-After": Math.ceil(retryMs / 1000),
    Connection: "close",
  })
  response.end(TOO_MANY)
}

const problem = (
  status: number,
  title: string,
  headers: Readonly<Record<string, string>> = {},
  code?: string,
): Response =>
  new Response(
    JSON.stringify({ type: "about:blank", title, status, ...(code === undefined ? {} : { code }) }),
    {
      status,
      headers: { "Content-Type": "application/problem+json", "Cache-Control": "no-store", ...headers },
    },
  )
