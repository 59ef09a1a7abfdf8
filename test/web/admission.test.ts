import { EventEmitter } from "node:events"
import { request } from "node:http"
import { connect, type Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type Bucket, createAdmission, PAGE_LIMITS, type Rate } from "../../src/web/admission.ts"
import { createApp } from "../../src/web/app.ts"
import { type Listening, listen } from "../../src/web/listen.ts"
import { bucketOf } from "../support/buckets.ts"

const test = suite("admission to pages")

let asked = 0
const app = createApp({
  "/fast": () => {
    asked++
    return new Response("fast")
  },
  "/slow": async () => {
    asked++
    await sleep(100)
    return new Response("slow")
  },
  "/never": () => new Promise(() => {}),
})

const sites: Listening[] = []
const start = async (buckets: (rate: Rate) => Bucket = bucketOf): Promise<Listening> => {
  const site = await listen(app, "127.0.0.1:0", { reach: "loopback", bucketOf: buckets })
  sites.push(site)
  asked = 0
  return site
}
/** As if everything came at once. */
const atOnce = (rate: Rate): Bucket => {
  const bucket = bucketOf(rate)
  return { take: (key) => bucket.take(key, 0), wait: (key) => bucket.wait(key, 0) }
}
test.after(async () => {
  await Promise.all(sites.map((site) => site.close()))
})

const GET = "GET /fast HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
const PROBE = "127.0.0.200"
let addresses = 0
/** One that nobody has asked from. */
const newAddress = (): string => `127.0.9.${++addresses}`

/** A connection to a site, and what comes back. */
const open = async (
  { port }: Listening,
  localAddress: string,
): Promise<{ readonly socket: Socket; text: string; readonly closed: Promise<void> }> => {
  const socket = connect({ port, host: "127.0.0.1", localAddress })
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()))
  const connection = { socket, text: "", closed }
  socket.setEncoding("latin1").on("error", () => {})
  socket.on("data", (chunk: string) => {
    connection.text += chunk
  })
  await new Promise<void>((resolve) => socket.once("connect", resolve).once("close", () => resolve()))
  return connection
}

/** What an address gets for some bytes until the connection ends. */
const answerTo = async (site: Listening, bytes: string, address = newAddress()): Promise<string> => {
  const connection = await open(site, address)
  connection.socket.write(bytes)
  await connection.closed
  return connection.text
}

/** The status that an address gets, on a connection of its own. */
const statusFor = (
  { port }: Listening,
  localAddress: string,
  path = "/fast",
): Promise<{ readonly status: number | undefined; readonly retryAfter: string | undefined }> =>
  new Promise((resolve, reject) => {
    const sent = request({ port, path, localAddress, agent: false }, (response) => {
      response.resume()
      resolve({ status: response.statusCode, retryAfter: response.headers["retry-after"] })
    })
    sent.on("error", reject).end()
  })

const hasty: readonly (readonly [name: string, bytes: string])[] = [
  ["two requests at once", GET.repeat(2)],
  ["900 requests at once", GET.repeat(900)],
  ["a request behind one that takes a while", GET.replace("fast", "slow") + GET],
  ["requests that name no host", "GET /fast HTTP/1.1\r\n\r\n".repeat(900)],
  ["requests that expect something", GET.replace("\r\n\r\n", "\r\nExpect: answers\r\n\r\n").repeat(900)],
  ["requests to go on", GET.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n").repeat(900)],
  [
    "requests of HTTP/1.0",
    GET.replace("1.1", "1.0").replace("\r\n\r\n", "\r\nConnection: keep-alive\r\n\r\n").repeat(900),
  ],
  [
    "a body in 9,000 chunks",
    `${GET.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n")}${"1\r\nx\r\n".repeat(9000)}`,
  ],
  [
    "a body of a gigabyte",
    GET.replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 1000000000\r\n\r\n"),
  ],
]
for (const [name, bytes] of hasty)
  test(`G-09 closes who sends ${name}, and begins no more than the first`, async () => {
    const site = await start()
    const address = newAddress()
    for (let i = 0; i < 3; i++) await answerTo(site, bytes, address)
    await sleep(150)
    assert.ok(asked <= 3, String(asked))
    const before = asked
    assert.is(await answerTo(site, GET, address), "", "who goes on is not read at all")
    assert.is(asked, before)
    assert.is((await statusFor(site, PROBE)).status, 200)
  })

test("G-09 closes all connections of who goes on with several at a time", async () => {
  const site = await start()
  const address = newAddress()
  const all = await Promise.all(Array.from({ length: 20 }, () => open(site, address)))
  const other = await open(site, PROBE)
  await sleep(100)
  const before = performance.now()
  for (const { socket } of all.slice(0, 4)) socket.write(GET.repeat(2))
  await Promise.all(all.map(({ closed }) => closed))
  assert.ok(performance.now() - before < 2000, "long before they would be closed for asking nothing")
  other.socket.write(GET)
  await sleep(50)
  assert.match(other.text, /^HTTP\/1\.1 200 /)
  other.socket.destroy()
})

test("G-09 answers one request of a connection after the other", async () => {
  const site = await start()
  const { socket, ...rest } = await open(site, PROBE)
  let answers = 0
  const done = new Promise<void>((resolve) => {
    socket.on("data", (chunk: string) => {
      answers += chunk.match(/HTTP\/1\.1 200 /g)?.length ?? 0
      if (answers === 50) resolve()
      else socket.write(GET)
    })
  })
  socket.write(GET)
  await Promise.race([done, rest.closed])
  assert.is(answers, 50)
  socket.destroy()
})

test("N-07 answers one address so often, then 429 with when to come again, and closes", async () => {
  const site = await start(atOnce)
  const address = newAddress()
  let last = ""
  let count = 0
  const connection = await open(site, address)
  connection.socket.on("data", (chunk: string) => {
    last = chunk
    count++
    connection.socket.write(GET)
  })
  connection.socket.write(GET)
  await connection.closed
  assert.is(count, 501)
  assert.match(last, /^HTTP\/1\.1 429 /)
  assert.match(last, /\r\nRetry-After: 1\r\n/)
  assert.match(last, /\r\nConnection: close\r\n/)
  assert.match(last, /\r\nContent-Type: application\/problem\+json\r\n/)
  assert.match(last, /"status":429\}$/)
  assert.equal(await statusFor(site, PROBE), { status: 200, retryAfter: undefined })
})

test("N-07 answers who asks seldom whatever others ask", async () => {
  const site = await start(atOnce)
  const flood = async (): Promise<number> => {
    const connection = await open(site, newAddress())
    let good = 0
    connection.socket.on("data", (chunk: string) => {
      if (chunk.startsWith("HTTP/1.1 200")) good++
      connection.socket.write(GET)
    })
    connection.socket.write(GET)
    await connection.closed
    return good
  }
  const counts = await Promise.all(Array.from({ length: 12 }, flood))
  const all = counts.reduce((sum, count) => sum + count, 0)
  assert.is(all, 600 + 12 * 20)
  for (let i = 0; i < 20; i++) assert.is((await statusFor(site, PROBE)).status, 200)
  assert.is((await statusFor(site, PROBE)).status, 429)
})

test("G-06 has an address wait for no more than 16 answers at a time", async () => {
  const site = await start()
  const address = newAddress()
  const waiting = await Promise.all(Array.from({ length: 16 }, () => open(site, address)))
  for (const { socket } of waiting) socket.write(GET.replace("fast", "never"))
  await sleep(50)
  assert.equal(await statusFor(site, address), { status: 429, retryAfter: "1" })
  assert.is((await statusFor(site, PROBE)).status, 200)
  for (const { socket } of waiting.slice(0, 1)) socket.destroy()
  await sleep(50)
  assert.is((await statusFor(site, address)).status, 200, "who has gone does not count")
  for (const { socket } of waiting) socket.destroy()
})

test("N-07 closes the connections that have waited longest when there are too many", async () => {
  const site = await start()
  const own = newAddress()
  const asking = await open(site, own)
  asking.socket.write(GET.replace("fast", "never"))
  const first = await open(site, own)
  const flood: Socket[] = []
  for (let i = 0; i < 8; i++) {
    const address = newAddress()
    const all = await Promise.all(Array.from({ length: 128 }, () => open(site, address)))
    flood.push(...all.map(({ socket }) => socket))
  }
  for (let i = 0; i < 5; i++) assert.is((await statusFor(site, PROBE)).status, 200)
  await first.closed
  assert.not(asking.socket.destroyed)
  asking.socket.destroy()
  for (const socket of flood) socket.destroy()
})

test("N-07 lets an address that has all of its connections idle have another", async () => {
  const site = await start()
  const address = newAddress()
  const all = await Promise.all(Array.from({ length: 128 }, () => open(site, address)))
  assert.is((await statusFor(site, address)).status, 200)
  await all[0]?.closed
  assert.not(all[1]?.socket.destroyed)
  for (const { socket } of all) socket.destroy()
})

test("N-07 closes at once what one address connects too often", async () => {
  const site = await start()
  const address = newAddress()
  let letIn = 0
  for (let i = 0; i < 400; i++) {
    const { socket } = await open(site, address)
    socket.destroy()
  }
  for (let i = 0; i < 5; i++)
    if ((await answerTo(site, GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"), address)) !== "")
      letIn++
  assert.ok(letIn < 5)
  assert.is((await statusFor(site, PROBE)).status, 200)
})

test("G-06 closes at once, when it ends, connections that have asked nothing", async () => {
  const site = await start()
  const all = await Promise.all(Array.from({ length: 100 }, () => open(site, PROBE)))
  for (const { socket } of all.slice(0, 50)) socket.write("GET /fast HTTP/1.1\r\n")
  const slow = await open(site, PROBE)
  slow.socket.write(GET.replace("fast", "slow"))
  await sleep(20)
  const before = performance.now()
  await site.close()
  await Promise.all([slow, ...all].map(({ closed }) => closed))
  assert.ok(performance.now() - before < 600)
  assert.match(slow.text, /slow$/)
})

test("G-06 closes a connection that asks nothing after seconds", async () => {
  const site = await start()
  const silent = await open(site, PROBE)
  const before = performance.now()
  await silent.closed
  assert.ok(performance.now() - before < 7500)
})

/** A connection of which nothing but its ends matters. */
class Ends extends EventEmitter {
  destroyed = false
  readonly remotePort = 50_000
  readonly remoteAddress: string | undefined
  readonly localAddress: string
  constructor(remoteAddress: string | undefined, localAddress = "192.0.2.1") {
    super()
    this.remoteAddress = remoteAddress
    this.localAddress = localAddress
  }
  destroy(): void {
    this.destroyed = true
  }
}
/** How many of as many as it is told of an admission leaves open. */
const leftOpen = (admission: ReturnType<typeof createAdmission>, all: readonly Ends[]): number => {
  // A socket has some fifty members more, of which this needs none.
  for (const one of all) Reflect.apply(admission.connected, admission, [one])
  return all.filter(({ destroyed }) => !destroyed).length
}
for (const [what, address, left] of [
  ["of a port that is used again before its end was seen", "198.51.100.7", 1],
  ["that has gone before it is looked at", undefined, 0],
] as const)
  test(`N-07 keeps no place for a connection ${what}`, () => {
    const admission = createAdmission(bucketOf, () => 0)
    const gone = [new Ends(address), new Ends(address)]
    assert.is(leftOpen(admission, gone), left)
    for (const one of gone) one.emit("close")
    const all = Array.from(
      { length: 2 * PAGE_LIMITS.connections },
      (_, i) => new Ends(`10.${i >> 8}.${i & 255}.1`),
    )
    assert.is(leftOpen(admission, all), PAGE_LIMITS.connections)
  })

test("N-07 takes connections from one port to two addresses for two", () => {
  const admission = createAdmission(bucketOf, () => 0)
  const both = ["192.0.2.1", "192.0.2.2"].map((local) => new Ends("198.51.100.7", local))
  assert.is(leftOpen(admission, both), 2)
})

test.run()
