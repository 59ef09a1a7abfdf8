import { appendFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { connect } from "node:tls"
import pino from "pino"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createServer } from "../../src/server/server.ts"
import { rejectsCode, throwsCode } from "../support/assert.ts"
import {
  keyPem,
  makeClient,
  makeServerCertificate,
  pem,
  SERVER,
  SERVER_AUTHORITY,
  writeAuthorities,
  writeServer,
} from "../support/callers.ts"
import { cn, p256Keys } from "../support/x509.ts"
import { fakeService, inFolder } from "./fake.ts"
import { connectAs, edge, gateway, office, outcomeOf, outcomeOn, serving } from "./tls.ts"

const test = suite("TLS reload")
const next = makeServerCertificate(SERVER_AUTHORITY, { subject: cn("next") }, p256Keys())

/** The subject of the certificate that a connection of now is shown. */
const shownAt = (address: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const [host, port] = address.split(":")
    const options = { ca: pem(SERVER_AUTHORITY.der), ALPNProtocols: ["h2"], servername: "localhost" }
    const socket = connect({ host: host ?? "", port: Number(port), ...options }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN))
      socket.destroy()
    })
    socket.on("error", reject)
  })

test("shows a new certificate to new connections, and leaves those that there are alone", () =>
  serving(async ({ address, folder, look, unready, lines }) => {
    const client = connectAs(address, gateway)
    assert.is(await outcomeOn(client), "OK")
    assert.is(await shownAt(address), "server")
    writeServer(folder, next)
    await look()
    assert.is(await shownAt(address), "next")
    assert.is(await outcomeOn(client), "OK")
    assert.equal(unready(), [])
    assert.is(lines.filter(({ msg }) => msg === "took changed certificates or keys").length, 1)
    client.close()
  }))

const damages: [name: string, damage: (certificate: string, key: string) => void][] = [
  ["a certificate without its key", (certificate) => writeFileSync(certificate, pem(next.der))],
  ["a key without its certificate", (_, key) => writeFileSync(key, keyPem(next))],
  [
    "a certificate that is half written",
    (certificate) => writeFileSync(certificate, pem(next.der).slice(0, 99)),
  ],
  ["a certificate that is empty", (certificate) => truncateSync(certificate)],
  ["a key that is gone", (_, key) => rmSync(key)],
]
for (const [name, damage] of damages)
  test(`S-09 goes on with the last good certificate over ${name}, and is not ready until it is good`, () =>
    serving(async ({ address, folder, look, unready, lines }) => {
      damage(`${folder}/server.pem`, `${folder}/server.key`)
      await look()
      assert.is(await shownAt(address), "server")
      assert.is(await outcomeOf(address, gateway), "OK")
      assert.is(unready().length, 1)
      const alarms = lines.filter(({ level, msg }) => level === 50 && /cannot be used/.test(String(msg)))
      assert.is(alarms.length, 1)
      assert.not.match(JSON.stringify(lines), /PRIVATE/)
      writeServer(folder, next)
      await look()
      assert.is(await shownAt(address), "next")
      assert.equal(unready(), [])
    }))

test("refuses G-11 the next call of a caller whose CA was taken away, on a connection that is open", () =>
  serving(async ({ address, folder, look }) => {
    const client = connectAs(address, gateway)
    assert.is(await outcomeOn(client), "OK")
    writeAuthorities(folder, "edge", office)
    await look()
    assert.is(await outcomeOn(client), "CALLER_UNKNOWN")
    writeAuthorities(folder, "edge", office, edge)
    await look()
    assert.is(await outcomeOn(client), "OK")
    client.close()
  }))
test("S-09 goes on with the last good CAs over a file that is half written", () =>
  serving(async ({ address, folder, look, unready }) => {
    appendFileSync(`${folder}/edge.pem`, pem(office.der).slice(0, 99))
    await look()
    assert.is(unready().length, 1)
    assert.is(await outcomeOf(address, gateway), "OK")
    writeFileSync(`${folder}/edge.pem`, "")
    await look()
    assert.is(await outcomeOf(address, gateway), "OK")
    writeAuthorities(folder, "edge", edge)
    await look()
    assert.equal(unready(), [])
  }))
test("refuses G-11 a call behind the end of its certificate, on a connection that is open", () => {
  let now = new Date("2026-11-21T12:00:00Z")
  return serving(
    async ({ address, unready }) => {
      const client = connectAs(address, makeClient(edge))
      assert.is(await outcomeOn(client), "OK")
      now = new Date("2041-01-01T00:00:00Z")
      assert.is(await outcomeOn(client), "CALLER_UNKNOWN")
      assert.match(unready().join(), /has expired/)
      client.close()
    },
    () => ({ now: () => now }),
  )
})

const configured = (folder: string, changed: Partial<Parameters<typeof createServer>[0]> = {}) =>
  createServer({
    service: fakeService([]),
    log: pino({ enabled: false }),
    listen: [
      { address: "127.0.0.1:0", tls: { certificate: `${folder}/server.pem`, key: `${folder}/server.key` } },
    ],
    admin: undefined,
    credentials: [],
    reflection: false,
    development: false,
    ...changed,
  })
test("refuses S-09 to start with a certificate or CAs that cannot be used", () =>
  inFolder(async (folder) => {
    await rejectsCode(() => configured(folder).start(), "INPUT")
    writeServer(folder, { ...SERVER, keys: p256Keys() })
    await rejectsCode(() => configured(folder).start(), "INPUT")
    const rule = { name: "edge", crls: undefined, role: "gateway", tenant: "acme" } as const
    const clientCertificates = [
      { ...rule, authority: `${folder}/absent.pem`, id: { kind: "spiffe", ids: undefined } } as const,
    ]
    throwsCode(() => configured(folder, { clientCertificates }), "INPUT")
  }))
test("refuses an address that is none, or taken", () =>
  inFolder(async (folder) => {
    const tls = writeServer(folder)
    for (const address of [
      "example.com:1",
      "0.0.0.0",
      "[::1%lo]:1",
      "10.0.0.256:1",
      "*:1",
      "unix:/run/x",
      "::1:1",
    ])
      throwsCode(() => configured(folder, { listen: [{ address, tls }] }), "INPUT")
    const first = configured(folder)
    const [address = ""] = await first.start()
    await rejectsCode(() => configured(folder, { listen: [{ address, tls }] }).start(), "INPUT")
    await first.stop()
  }))
test.run()
