import { connect, type Socket } from "node:net"
import { networkInterfaces } from "node:os"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createApp } from "../../src/web/app.ts"
import { type Listening, listen } from "../../src/web/listen.ts"
import { rejectsCode } from "../support/assert.ts"
import { bucketOf } from "../support/buckets.ts"

const test = suite("listen")

const app = createApp({
  "/fast": () => new Response("fast"),
  "/slow": () => new Promise((resolve) => setTimeout(() => resolve(new Response("slow")), 200)),
  "/never": () => new Promise(() => {}),
})

const sites: Listening[] = []
const start = async (host = "127.0.0.1"): Promise<Listening> => {
  const site = await listen(app, `${host}:0`, { bucketOf, reach: "loopback" })
  sites.push(site)
  return site
}
test.after(async () => {
  await Promise.all(sites.map((site) => site.close()))
})

/** What comes back for some bytes, up to the end of the connection. */
const answerTo = (port: number, bytes: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ""
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes))
    socket.setEncoding("latin1")
    socket.on("data", (chunk: string) => {
      text += chunk
    })
    socket.on("close", () => resolve(text))
    socket.on("error", reject)
  })

/** So many connections from an address on this machine, of which those that are left open after a moment. */
const holding = async (port: number, localAddress: string, count: number): Promise<readonly Socket[]> => {
  const sockets = Array.from({ length: count }, () => connect({ port, host: "127.0.0.1", localAddress }))
  for (const socket of sockets) socket.on("error", () => {}).on("data", () => {})
  await new Promise((resolve) => setTimeout(resolve, 300))
  return sockets.filter((socket) => !socket.destroyed && socket.readyState === "open")
}
test("N-07 lets one address hold no more than 128 connections, and keeps no other address out", async () => {
  const { port, url } = await start()
  const [held, others] = await Promise.all([holding(port, "127.0.0.2", 150), holding(port, "127.0.0.3", 100)])
  assert.is(held.length, 128)
  assert.is(others.length, 100)
  assert.is(await (await fetch(`${url}/fast`)).text(), "fast")
  for (const socket of held) socket.destroy()
  await new Promise((resolve) => setTimeout(resolve, 100))
  const again = await holding(port, "127.0.0.2", 40)
  assert.is(again.length, 40, "what was closed counts no more")
  for (const socket of [...others, ...again]) socket.destroy()
})

for (const host of [
  "0.0.0.0",
  "::",
  "",
  "10.1.2.3",
  "192.168.0.1",
  "assay.example",
  "localhost.localdomain",
  "127.0.0.1.example.org",
  "::ffff:0.0.0.0",
  "2130706433",
])
  test(`refuses to listen on ${host || "no address"}`, async () => {
    await rejectsCode(() => listen(app, `${host}:0`, { bucketOf, reach: "loopback" }), "INPUT")
  })

for (const port of [-1, 65_536, 1.5, Number.NaN])
  test(`refuses port ${port}`, async () => {
    await rejectsCode(() => listen(app, `127.0.0.1:${port}`, { bucketOf, reach: "loopback" }), "INPUT")
  })

test("listens on localhost, and on no other address of the machine", async () => {
  const { host, port } = await start("localhost")
  assert.is(host, "127.0.0.1")
  assert.is(await (await fetch(`http://127.0.0.1:${port}/fast`)).text(), "fast")
  const others = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ internal, family }) => !internal && family === "IPv4")
  for (const { address } of others) {
    const reached = await fetch(`http://${address}:${port}/fast`).then(
      () => true,
      () => false,
    )
    assert.not(reached)
  }
})

test("rejects when the port is taken", async () => {
  const { port } = await start()
  let failure: unknown
  await listen(app, `127.0.0.1:${port}`, { bucketOf, reach: "loopback" }).catch((error: unknown) => {
    failure = error
  })
  assert.instance(failure, Error)
})

test("refuses headers of more than 8 KiB", async () => {
  const { port } = await start()
  const answer = await answerTo(port, `GET /fast HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(9000)}\r\n\r\n`)
  assert.match(answer, /^HTTP\/1\.1 431 /)
})

for (const [name, bytes] of [
  ["no HTTP", "\x16\x03\x01\x00\x05hello\r\n\r\n"],
  ["no host", "GET /fast HTTP/1.1\r\n\r\n"],
  ["two lengths", "POST /fast HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"],
  [
    "a length and chunks",
    "POST /fast HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  ],
  ["a line feed in a header", "GET /fast HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"],
  ["a host that is none", "GET /fast HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n"],
  ["a tunnel", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"],
  ["TRACE", "TRACE /fast HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"],
] as const)
  test(`answers nothing good to ${name}, and lives on`, async () => {
    const { port } = await start()
    assert.not.match(await answerTo(port, bytes), /^HTTP\/1\.1 2/)
    assert.is((await fetch(`http://127.0.0.1:${port}/fast`)).status, 200)
  })

test("finishes what is under way before it closes", async () => {
  const { port, close } = await start()
  const answer = fetch(`http://127.0.0.1:${port}/slow`).then((response) => response.text())
  await new Promise((resolve) => setTimeout(resolve, 50))
  await close()
  assert.is(await answer, "slow")
})

test("gives up after a second on a request that does not end", async () => {
  const { port, close } = await start()
  const answer = fetch(`http://127.0.0.1:${port}/never`).then(
    () => "answered",
    () => "given up",
  )
  await new Promise((resolve) => setTimeout(resolve, 50))
  await close()
  assert.is(await answer, "given up")
})

test.run()
