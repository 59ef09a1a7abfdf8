import { writeFileSync } from "node:fs"
import { get } from "node:https"
import { connect, type TLSSocket } from "node:tls"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { watchServerIdentity } from "../../src/tls.ts"
import { createApp } from "../../src/web/app.ts"
import { checkAddress, listen } from "../../src/web/listen.ts"
import { createMetrics } from "../../src/web/metrics.ts"
import { createPrivateApp } from "../../src/web/private.ts"
import { inFolder } from "../server/fake.ts"
import { rejectsCode, throwsCode } from "../support/assert.ts"
import { bucketOf } from "../support/buckets.ts"
import { makeServerCertificate, pem, SERVER_AUTHORITY, writeServer } from "../support/callers.ts"
import { cn, p256Keys } from "../support/x509.ts"

const test = suite("pages with TLS")
const app = createApp({ "/page": () => new Response("a page") })
const now = () => new Date()

interface Answer {
  readonly body: string
  readonly subject: string
  readonly protocol: string | null
}
/** A page over a connection of its own, and what the connection was. */
const page = (url: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const options = { ca: pem(SERVER_AUTHORITY.der), agent: false, servername: "localhost" } as const
    const request = get(`${url}/page`, options, (response) => {
      const socket = response.socket as TLSSocket
      const found = {
        subject: String(socket.getPeerCertificate().subject.CN),
        protocol: socket.getProtocol(),
      }
      response.setEncoding("utf8").once("data", (body: string) => resolve({ ...found, body }))
    })
    request.on("error", reject)
  })

test("serves at any address, with the certificate of its files as they are now", () =>
  inFolder(async (folder) => {
    const identity = watchServerIdentity(writeServer(folder), now, { changed: () => site.renew() })
    assert.equal(checkAddress("0.0.0.0:443", { reach: "loopback", tls: true }), {
      host: "0.0.0.0",
      port: 443,
    })
    const site = await listen(app, "127.0.0.1:0", { bucketOf, reach: "loopback", identity })
    assert.match(site.url, /^https:\/\/127\.0\.0\.1:\d+$/)
    const first = await page(site.url)
    assert.equal([first.body, first.subject, first.protocol], ["a page", "server", "TLSv1.3"])
    writeServer(folder, makeServerCertificate(SERVER_AUTHORITY, { subject: cn("next") }, p256Keys()))
    await identity.look()
    assert.is((await page(site.url)).subject, "next")
    writeFileSync(`${folder}/server.pem`, "half")
    await identity.look()
    assert.is((await page(site.url)).subject, "next")
    assert.ok(identity.unready() !== undefined)
    await rejectsCode(
      () => listen(app, "assay.example:0", { bucketOf, reach: "loopback", identity }),
      "INPUT",
    )
    await rejected(fetch(`${site.url.replace("https", "http")}/page`))
    identity.close()
    await site.close()
  }))

const rejected = async (promise: Promise<unknown>): Promise<void> => {
  const outcome = await promise.then(
    () => "answered",
    () => "refused",
  )
  assert.is(outcome, "refused")
}

test("refuses G-11 to begin anew in mid-connection", () =>
  inFolder(async (folder) => {
    const identity = watchServerIdentity(writeServer(folder), now)
    const site = await listen(app, "127.0.0.1:0", { bucketOf, reach: "loopback", identity })
    const options = { ca: pem(SERVER_AUTHORITY.der), servername: "localhost", maxVersion: "TLSv1.2" } as const
    const socket = connect({ host: site.host, port: site.port, ...options })
    await new Promise((resolve) => socket.once("secureConnect", resolve))
    const ended = new Promise<string>((resolve) => {
      socket.resume().once("close", () => resolve("closed"))
      socket.on("error", () => resolve("refused"))
      socket.renegotiate({}, (error) => resolve(error === null ? "renegotiated" : "refused"))
    })
    assert.is.not(await ended, "renegotiated")
    socket.destroy()
    identity.close()
    await site.close()
  }))

test("closes G-09 who sends requests together, over TLS too", () =>
  inFolder(async (folder) => {
    const identity = watchServerIdentity(writeServer(folder), now)
    const site = await listen(app, "127.0.0.1:0", { reach: "loopback", bucketOf, identity })
    const options = { ca: pem(SERVER_AUTHORITY.der), servername: "localhost" } as const
    const socket = connect({ host: site.host, port: site.port, ...options })
    let answers = 0
    socket.on("data", (chunk: Buffer) => {
      answers += chunk.toString().match(/HTTP/g)?.length ?? 0
    })
    const closed = new Promise((resolve) => socket.on("error", () => {}).once("close", resolve))
    socket.write("GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100))
    await closed
    assert.ok(answers < 2)
    assert.is((await page(site.url)).body, "a page")
    identity.close()
    await site.close()
  }))

for (const address of [
  "0.0.0.0:1",
  "[::]:1",
  "8.8.8.8:1",
  "203.0.113.7:1",
  "[2001:db8::1]:1",
  "assay.example:1",
])
  test(`refuses to serve in plaintext at ${address}, private pages too`, () => {
    throwsCode(() => checkAddress(address, { reach: "loopback", tls: false }), "INPUT")
    throwsCode(() => checkAddress(address, { reach: "private", tls: false }), "INPUT")
  })
for (const address of ["10.0.0.5:7402", "192.168.3.4:7402", "[fd00::5]:7402"])
  test(`serves private pages alone at ${address}`, () => {
    assert.is(checkAddress(address, { reach: "private", tls: false }).port, 7402)
    throwsCode(() => checkAddress(address, { reach: "loopback", tls: false }), "INPUT")
  })

test("answers under the private address that it was given, and under no other name", async () => {
  const metrics = createMetrics({
    challenges: () => ({ created: 0, spent: 0, outstanding: 0 }),
    caches: () => [],
  })
  const pages = (host: string) =>
    createPrivateApp({ metrics: metrics.registry, live: () => [], ready: () => [], host, bucketOf })
  const statusAt = async (host: string, url: string) => (await pages(host).request(`${url}/livez`)).status
  assert.is(await statusAt("10.0.0.5", "http://10.0.0.5:7402"), 200)
  assert.is(await statusAt("10.0.0.5", "http://127.0.0.1:7402"), 200)
  assert.is(await statusAt("fd00::5", "http://[fd00::5]:7402"), 200)
  for (const url of ["http://10.0.0.6:7402", "http://rebound.example:7402", "http://10.0.0.5.example:7402"])
    assert.is(await statusAt("10.0.0.5", url), 421, url)
})
test.run()
