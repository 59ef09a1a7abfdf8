import { createServer, type RequestListener, type Server } from "node:http"
import { gzipSync } from "node:zlib"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Code } from "../../src/errors.ts"
import type { Published } from "../../src/service/ports.ts"
import { createFetch, type FetchOptions } from "../../src/web/fetch.ts"
import { rejectsCode } from "../support/assert.ts"

const test = suite("createFetch")

const servers: Server[] = []
const serve = (listener: RequestListener): Promise<string> =>
  new Promise((resolve) => {
    const server = createServer(listener)
    servers.push(server)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resolve(`127.0.0.1:${typeof address === "object" ? address?.port : 0}`)
    })
  })
test.after(() => {
  for (const server of servers) {
    server.close()
    server.closeAllConnections()
  }
})

const BODY = Buffer.from("a list of what is revoked")
const asked: { readonly url: string | undefined; readonly headers: Readonly<Record<string, unknown>> }[] = []

/** Pages that misbehave, by path. */
const PAGES: Readonly<Record<string, RequestListener>> = {
  "/good": (_, response) => response.end(BODY),
  "/empty": (_, response) => response.end(),
  "/in-parts": (_, response) => {
    for (const octet of BODY) response.write(Buffer.of(octet))
    response.end()
  },
  "/redirect": (_, response) => response.writeHead(302, { Location: "/good" }).end(),
  "/redirect-elsewhere": (_, response) =>
    response.writeHead(301, { Location: "http://169.254.169.254/latest" }).end(),
  "/redirect-with-body": (_, response) => response.writeHead(307, { Location: "/good" }).end(BODY),
  "/refresh": (_, response) => response.writeHead(201, { Refresh: "0; url=/good" }).end(BODY),
  "/no-content": (_, response) => response.writeHead(204).end(),
  "/partial": (_, response) => response.writeHead(206).end(BODY),
  "/not-found": (_, response) => response.writeHead(404).end(BODY),
  "/error": (_, response) => response.writeHead(503).end(BODY),
  "/bundle": (_, response) => response.end(Buffer.alloc(256 * 1024)),
  "/more-than-a-bundle": (_, response) => response.end(Buffer.alloc(256 * 1024 + 1)),
  "/long": (_, response) => response.end(Buffer.alloc(1001)),
  "/long-in-parts": (_, response) => {
    for (let i = 0; i < 20; i++) response.write(Buffer.alloc(100))
    response.end()
  },
  "/long-announced": (_, response) => response.writeHead(200, { "Content-Length": "1001" }).end(),
  "/endless": (_, response) => {
    const write = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(1024))) {}
      if (!response.destroyed) response.once("drain", write)
    }
    write()
  },
  "/gzip": (_, response) => response.writeHead(200, { "Content-Encoding": "gzip" }).end(gzipSync(BODY)),
  "/gzip-bomb": (_, response) =>
    response.writeHead(200, { "Content-Encoding": "gzip" }).end(gzipSync(Buffer.alloc(900_000))),
  "/unknown-encoding": (_, response) => response.writeHead(200, { "Content-Encoding": "br, x" }).end(BODY),
  "/silent": () => {},
  "/slow": (_, response) => {
    const timer = setInterval(() => response.write("."), 20)
    response.on("close", () => clearInterval(timer))
  },
  "/cut": (_, response) => {
    response.writeHead(200, { "Content-Length": "1000" }).write(BODY)
    setTimeout(() => response.destroy(), 10)
  },
  "/no-http": ({ socket }) => socket.end("SSH-2.0-OpenSSH_9.2\r\n"),
}
const listener: RequestListener = (request, response) => {
  asked.push({ url: request.url, headers: request.headers })
  const page = PAGES[request.url ?? ""]
  if (page === undefined) response.writeHead(404).end()
  else page(request, response)
}

const open = new AbortController().signal
const bench = async (options: Partial<FetchOptions> = {}) => {
  const host = await serve(listener)
  const fetch = createFetch({ hosts: [host], maxBytes: 1000, timeoutMs: 2000, ...options })
  return { host, load: (path: string) => fetch(`http://${host}${path}`, "crl", open), fetch }
}

test("loads a page, in one part or many", async () => {
  const { load } = await bench()
  assert.equal(Buffer.from(await load("/good")), BODY)
  assert.equal(Buffer.from(await load("/in-parts")), BODY)
})

test("loads up to the limit and not a byte more", async () => {
  const { load } = await bench({ maxBytes: BODY.length })
  assert.equal(Buffer.from(await load("/in-parts")), BODY)
  const { load: loadLess } = await bench({ maxBytes: BODY.length - 1 })
  await rejectsCode(() => loadLess("/in-parts"), "REVOCATION")
})

test("refuses X-17 more for certificates than an issuer's have, where a CRL may be longer", async () => {
  const { host, fetch } = await bench({ maxBytes: 16 * 1024 * 1024 })
  const load = (path: string, kind: Published): Promise<Uint8Array> =>
    fetch(`http://${host}${path}`, kind, open)
  assert.is((await load("/bundle", "certificates")).length, 256 * 1024)
  assert.is((await load("/more-than-a-bundle", "crl")).length, 256 * 1024 + 1)
  await rejectsCode(() => load("/more-than-a-bundle", "certificates"), "TRUST")
  const { host: small, fetch: fetchLess } = await bench({ maxBytes: 1000 })
  await rejectsCode(() => fetchLess(`http://${small}/bundle`, "certificates", open), "TRUST")
})

test("tells the host no more than what it wants", async () => {
  const { host, fetch } = await bench()
  asked.length = 0
  await fetch(`http://${host}/good#part`, "certificates", open)
  const [request] = asked
  assert.is(request?.url, "/good")
  const { headers = {} } = request ?? {}
  assert.is(headers["accept-encoding"], "identity")
  for (const name of ["cookie", "authorization", "referer", "origin"]) assert.is(headers[name], undefined)
})

const refused: [name: string, path: string][] = [
  ["a redirect", "/redirect"],
  ["a redirect to another host", "/redirect-elsewhere"],
  ["a redirect with a body", "/redirect-with-body"],
  ["a status that is not 200", "/refresh"],
  ["no content", "/no-content"],
  ["a part of it", "/partial"],
  ["a page that is not there", "/not-found"],
  ["an error with a body", "/error"],
  ["an empty answer", "/empty"],
  ["an answer that is too long", "/long"],
  ["an answer that is too long in parts", "/long-in-parts"],
  ["an answer that says that it is too long", "/long-announced"],
  ["an answer without an end", "/endless"],
  ["a compressed answer", "/gzip"],
  ["a compressed answer that is larger than it looks", "/gzip-bomb"],
  ["an answer in an unknown encoding", "/unknown-encoding"],
  ["an answer that is cut off", "/cut"],
  ["what is no HTTP", "/no-http"],
]
for (const [name, path] of refused)
  test(`refuses X-20 ${name}`, async () => {
    const { host, load } = await bench()
    asked.length = 0
    const error = await rejectsCode(() => load(path), "REVOCATION")
    assert.is(error.kind, "unavailable")
    assert.is(error.location, `http://${host}${path}`)
    assert.equal(
      asked.map(({ url }) => url),
      [path],
    )
  })

for (const path of ["/silent", "/slow"])
  test(`refuses X-20 an answer that does not come in time: ${path}`, async () => {
    const { load } = await bench({ timeoutMs: 100 })
    const before = performance.now()
    await rejectsCode(() => load(path), "REVOCATION")
    const ms = performance.now() - before
    assert.ok(ms >= 90 && ms < 1500, `${ms} ms`)
  })

test("refuses X-20 a host that does not answer", async () => {
  const { host, load } = await bench()
  const server = servers.pop()
  await new Promise((resolve) => server?.close(resolve))
  const error = await rejectsCode(() => load("/good"), "REVOCATION")
  assert.is(error.location, `http://${host}/good`)
})

const foreign: [name: string, url: (host: string) => string][] = [
  ["another port", () => "http://127.0.0.1:1/good"],
  ["the same host under another name", (host) => `http://${host.replace("127.0.0.1", "localhost")}/good`],
  ["another address of this machine", (host) => `http://${host.replace("127.0.0.1", "127.0.0.2")}/good`],
  ["the protocol's own port", () => "http://127.0.0.1/good"],
  ["credentials", (host) => `http://user:secret@${host}/good`],
  ["a user without a password", (host) => `http://user@${host}/good`],
  ["ftp", (host) => `ftp://${host}/good`],
  ["file", (host) => `file://${host}/etc/passwd`],
  ["data", () => "data:application/pkix-crl,x"],
  ["a listed host in the path", (host) => `http://evil.example/${host}/good`],
  ["no URL", (host) => host],
  ["nothing", () => ""],
]
for (const [name, url] of foreign)
  test(`refuses X-20 to ask for a URL with ${name}`, async () => {
    const { host, fetch } = await bench()
    asked.length = 0
    const error = await rejectsCode(() => fetch(url(host), "certificates", open), "TRUST")
    assert.equal(asked, [])
    assert.is(`${error.message}${error.location}`.includes("secret"), false)
  })

test("finds a listed host behind another spelling of it", async () => {
  const { host, fetch } = await bench()
  const port = host.split(":")[1]
  assert.ok(await fetch(`HTTP://0x7f.0.0.1:${port}/good`, "crl", open))
})

test("asks no more than so many at once, and the others in their turn", async () => {
  let now = 0
  let most = 0
  const host = await serve((_, response) => {
    most = Math.max(most, ++now)
    setTimeout(() => {
      now--
      response.end(BODY)
    }, 10)
  })
  const fetch = createFetch({ hosts: [host], maxConcurrent: 3 })
  const all = Array.from({ length: 12 }, (_, i) => fetch(`http://${host}/${i}`, "crl", open))
  assert.is((await Promise.all(all)).length, 12)
  assert.is(most, 3)
})

test("gives its turn back after a failure", async () => {
  const { load } = await bench({ maxConcurrent: 1 })
  for (let i = 0; i < 3; i++) await rejectsCode(() => load("/error"), "REVOCATION")
  assert.equal(Buffer.from(await load("/good")), BODY)
})

test("stops what is under way and what waits when it is told to", async () => {
  const host = await serve(listener)
  const fetch = createFetch({ hosts: [host], maxConcurrent: 1, timeoutMs: 60_000 })
  const stop = new AbortController()
  const ends: Promise<Code>[] = ["/silent", "/good"].map(async (path) => {
    const error = await rejectsCode(() => fetch(`http://${host}${path}`, "crl", stop.signal), "REVOCATION")
    return error.code
  })
  asked.length = 0
  setTimeout(() => stop.abort(), 20)
  await Promise.all(ends)
  assert.equal(
    asked.map(({ url }) => url),
    ["/silent"],
  )
})

test.run()
