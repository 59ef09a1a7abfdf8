import { connect as connectNet } from "node:net"
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { keyPem, pem, SERVER_AUTHORITY, writeServer } from "../support/callers.ts"
import { gateway, outcomeOf, serving } from "./tls.ts"

const test = suite("handshakes")

/** How a handshake went. */
interface Shaken {
  readonly error: string | undefined
  readonly protocol?: string | null
  readonly alpn?: string | false | null
  readonly reused: boolean
  /** What the server gave to resume by. */
  readonly session: Buffer | undefined
}

const hostAndPort = (address: string) => {
  const [host = "", port] = address.split(":")
  return { host, port: Number(port) }
}

/** Shakes hands as the gateway, unless the options say otherwise, and goes once the server has said something or gone. */
const shake = (address: string, options: ConnectionOptions): Promise<Shaken> =>
  new Promise((done) => {
    let session: Buffer | undefined
    const socket: TLSSocket = connectTls({
      ...hostAndPort(address),
      ca: pem(SERVER_AUTHORITY.der),
      cert: pem(gateway.der),
      key: keyPem(gateway),
      ...options,
    })
    let shaken: Omit<Shaken, "session"> = { error: undefined, reused: false }
    socket.once("secureConnect", () => {
      const protocol = socket.getProtocol()
      shaken = { error: undefined, protocol, alpn: socket.alpnProtocol, reused: socket.isSessionReused() }
    })
    socket.on("session", (ticket: Buffer) => {
      session = ticket
    })
    // In TLS 1.3 what to resume by comes behind the handshake, with the server's first bytes.
    socket.once("data", () => socket.destroy())
    socket.on("error", ({ message }) => {
      shaken = { ...shaken, error: message }
    })
    socket.once("close", () => done({ ...shaken, session }))
  })
const H2 = { ALPNProtocols: ["h2"] }

for (const version of ["TLSv1.2", "TLSv1.3"] as const)
  test(`refuses G-11 to resume a session of ${version}, with the key or without`, () =>
    serving(async ({ address }) => {
      const versions = { ...H2, minVersion: version, maxVersion: version }
      const first = await shake(address, versions)
      assert.equal([first.error, first.protocol, first.alpn, first.reused], [undefined, version, "h2", false])
      const { session } = first
      assert.ok(session !== undefined, "there is something to try with")
      assert.is((await shake(address, { ...versions, session })).reused, false)
      const stolen = { ...versions, session, cert: undefined, key: undefined }
      assert.is((await shake(address, stolen)).reused, false)
    }))
test("refuses G-11 a session of another listener's context, and under another name", () =>
  serving(
    async ({ addresses: [first = "", second = ""] }) => {
      for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
        const { session } = await shake(first, { ...H2, maxVersion })
        assert.ok(session !== undefined)
        assert.is((await shake(second, { ...H2, maxVersion, session })).reused, false)
        assert.is((await shake(first, { ...H2, maxVersion, session, servername: "localhost" })).reused, false)
      }
    },
    (folder) => {
      const tls = writeServer(folder)
      return { listen: [1, 2].map(() => ({ address: "127.0.0.1:0", tls })) }
    },
  ))

const refused: [name: string, options: ConnectionOptions][] = [
  ["TLS 1.1", { ...H2, minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" }],
  ["a cipher without forward secrecy", { ...H2, maxVersion: "TLSv1.2", ciphers: "AES128-GCM-SHA256" }],
  ["a cipher in CBC mode", { ...H2, maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-SHA256" }],
  ["HTTP/1.1", { ALPNProtocols: ["http/1.1"] }],
]
test("refuses G-11 old versions, weak ciphers and other protocols", () =>
  serving(async ({ address }) => {
    for (const [name, options] of refused)
      assert.ok((await shake(address, options)).error !== undefined, name)
  }))
test("refuses G-11 who does not say that it speaks HTTP/2", () =>
  serving(async ({ address }) => {
    // The connection is closed without a word, by the server.
    const { alpn, error } = await shake(address, {})
    assert.equal([alpn, error], [false, undefined])
  }))
test("refuses G-11 another certificate in mid-connection", () =>
  serving(async ({ address }) => {
    const socket = connectTls({
      ...hostAndPort(address),
      ...H2,
      ca: pem(SERVER_AUTHORITY.der),
      maxVersion: "TLSv1.2",
    })
    await new Promise((resolve) => socket.once("secureConnect", resolve))
    const ended = new Promise<string>((resolve) => {
      socket.resume().once("close", () => resolve("closed"))
      socket.renegotiate({}, (error) => resolve(error === null ? "renegotiated" : "refused"))
    })
    assert.is.not(await ended, "renegotiated")
    socket.destroy()
  }))
test("survives peers that say nothing, nonsense, or go away in mid-handshake", () =>
  serving(async ({ address }) => {
    const { host, port } = hostAndPort(address)
    const silent = connectNet(port, host)
    const rude = connectNet(port, host, () => void rude.write(Buffer.alloc(2000, 0x41)))
    const gone = connectNet(port, host, () => void gone.resetAndDestroy())
    for (const socket of [silent, rude, gone]) socket.on("error", () => {})
    await new Promise((resolve) => rude.once("close", resolve))
    assert.is(await outcomeOf(address, gateway), "OK")
    silent.destroy()
  }))
test.run()
