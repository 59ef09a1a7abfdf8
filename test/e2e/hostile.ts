/** A server in a process of its own, on a port without TLS, and attackers who write their frames by hand. */
import { once } from "node:events"
import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { type ClientHttp2Session, connect as connectHttp2, type OutgoingHttpHeaders } from "node:http2"
import { connect, type Socket } from "node:net"
import { join } from "node:path"
import type { suite } from "uvu"
import * as assert from "uvu/assert"
import type { AttestationClient } from "../../src/client/attestation.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import { AttestationService } from "../../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { frame, HEADERS, literal, SETTINGS, until } from "../server/raw.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import { inFolder } from "./programs.ts"
import { attest, callerOf, enroll, type ServeOptions, type ServerProcess, serve } from "./server.ts"

export const [VERIFY, STREAM, EPOCH] = [
  pathOf(AttestationService.method.verify),
  pathOf(AttestationService.method.verifyStream),
  pathOf(AttestationService.method.getEpoch),
]
export const CHECK = "/grpc.health.v1.Health/Check"
const MIB = 2 ** 20
/** What a busy process may keep of what it had for others. */
const KEPT_MIB = 160
const ANSWER_MS = 2000

type Test = ReturnType<typeof suite>

/** A victim: the server, and an honest gateway whose device is let in. */
export interface Victim {
  readonly server: ServerProcess
  readonly gateway: AttestationClient
  readonly device: SoftwareDevice
  readonly address: string
  readonly credential: string
  /** Fails unless the process is the one that it was, has given back what it held, and answers the honest. */
  unharmed(): Promise<void>
}

/** Has one server for all tests of a file, and gives what finds it. */
export function victimOf(test: Test, options: ServeOptions = {}): () => Victim {
  const device = testDevice()
  let victim: Victim | undefined
  let leave = (): void => {}
  let left = Promise.resolve()
  test.before(async () => {
    const ready = Promise.withResolvers<string>()
    left = inFolder(
      (folder) =>
        new Promise((resolve) => {
          leave = resolve
          ready.resolve(folder)
        }),
    )
    const server = await serve(await ready.promise, options)
    const gateway = callerOf(server, server.unix, "gateway")
    await enroll(server, device, "honest", policyDocument(device))
    const credential = readFileSync(join(server.data, "gateway.credential"), "utf8").trim()
    const { pid = 0 } = server.child
    await attest(gateway, device)
    const before = { mib: residentMiB(pid), sockets: socketsOf(pid) }
    const unharmed = async (): Promise<void> => {
      assert.equal(
        [server.child.exitCode, server.child.signalCode],
        [null, null],
        server.output().slice(-2000),
      )
      const since = performance.now()
      await attest(gateway, device)
      assert.ok(performance.now() - since < ANSWER_MS, "others wait")
      await until(() => socketsOf(pid) <= before.sockets)
      assert.ok(residentMiB(pid) - before.mib < KEPT_MIB, `${residentMiB(pid)} MiB`)
    }
    victim = { server, gateway, device, address: server.tcp, credential, unharmed }
  })
  test.after(async () => {
    victim?.gateway.close()
    const { exitCode, signalCode } = victim?.server.child ?? {}
    const status = await victim?.server.end()
    // Of one that has ended before, a test has told.
    if (exitCode === null && signalCode === null) assert.is(status, 0)
    leave()
    await left
  })
  return () => {
    if (victim === undefined) throw new TypeError("not started")
    return victim
  }
}

const residentMiB = (pid: number): number =>
  (Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024) / MIB
/** Sockets that a process has open: files come and go with what is stored. */
const socketsOf = (pid: number): number =>
  readdirSync(`/proc/${pid}/fd`).filter((fd) => isSocket(`/proc/${pid}/fd/${fd}`)).length
const isSocket = (path: string): boolean => {
  try {
    return readlinkSync(path).startsWith("socket:")
  } catch {
    return false // it was closed meanwhile
  }
}

/** A connection with a library, for what a library will send. */
export const session = (address: string): ClientHttp2Session => {
  const one = connectHttp2(`http://${address}`, { maxSessionMemory: 1000 })
  one.on("error", () => {})
  return one
}

/** A frame as it came. */
export interface Got {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** A connection on which frames are written by hand, and what came back. */
export interface Wire {
  readonly socket: Socket
  readonly got: Got[]
  /** Writes, and waits while the other side takes no more, for half a second at most. */
  send(...parts: readonly Uint8Array[]): Promise<void>
  isClosed(): boolean
  /** The error code of the GOAWAY that has come. */
  goaway(): number | undefined
  /** The error code that a stream was reset with. */
  resetOf(stream: number): number | undefined
  /** Whether a stream was answered with headers. */
  isAnswered(stream: number): boolean
  close(): void
}

export const [DATA, PRIORITY, RST_STREAM, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION] = [0, 2, 3, 6, 7, 8, 9]
export const [END_STREAM, ACK, END_HEADERS] = [1, 1, 4]
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** Opens a connection, from any of this machine's addresses. `settings` is the payload of its first frame. */
export const wire = async (
  address: string,
  settings: Uint8Array = new Uint8Array(),
  localAddress?: string,
): Promise<Wire> => {
  const [host = "", port] = address.split(":")
  const socket = connect({ port: Number(port), host, ...(localAddress && { localAddress }) })
  socket.on("error", () => {})
  await once(socket, "connect")
  const got: Got[] = []
  let rest = Buffer.alloc(0)
  socket.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const size = rest.readUIntBE(0, 3)
      const payload = rest.subarray(9, 9 + size)
      got.push({ type: rest.readUInt8(3), flags: rest.readUInt8(4), stream: rest.readUInt32BE(5), payload })
      rest = rest.subarray(9 + size)
    }
  })
  let closed = false
  socket.on("close", () => {
    closed = true
  })
  const send = async (...parts: readonly Uint8Array[]): Promise<void> => {
    if (closed || socket.write(Buffer.concat(parts))) return
    await new Promise((resolve) => {
      for (const event of ["drain", "close"]) socket.once(event, resolve)
      setTimeout(resolve, 500).unref()
    })
  }
  await send(PREFACE, frame(SETTINGS, 0, 0, settings), frame(SETTINGS, ACK, 0))
  const first = (type: number, stream: number): Got | undefined =>
    got.find((one) => one.type === type && one.stream === stream)
  return {
    socket,
    got,
    send,
    isClosed: () => closed,
    goaway: () => first(GOAWAY, 0)?.payload.readUInt32BE(4),
    resetOf: (stream) => first(RST_STREAM, stream)?.payload.readUInt32BE(0),
    isAnswered: (stream) => first(HEADERS, stream) !== undefined,
    close: () => socket.destroy(),
  }
}

export type Header = readonly [name: string, value: string]

/** The headers of a gateway's call, each as often as it is there. */
export const callHeaders = ({ credential }: Victim, path = EPOCH): readonly Header[] => [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", path],
  [":authority", "localhost"],
  ["content-type", "application/grpc"],
  ["te", "trailers"],
  ["authorization", `Bearer ${credential}`],
]

/** Headers in a frame, that ends them or does not. */
export const headersOf = (
  stream: number,
  headers: readonly Header[] | Uint8Array,
  flags = END_HEADERS,
): Buffer =>
  frame(HEADERS, flags, stream, headers instanceof Uint8Array ? headers : Buffer.concat(headers.map(literal)))

/** A whole call without a word in its message. */
export const wholeCall = (stream: number, headers: readonly Header[]): Buffer =>
  Buffer.concat([headersOf(stream, headers), frame(DATA, END_STREAM, stream, Buffer.alloc(5))])

/** What one attacker does as the gateway, on a connection of its own. */
export type Act = (one: ClientHttp2Session, headers: OutgoingHttpHeaders, found: Victim) => Promise<void>

/** Adds tests of one attack each, after which nothing is different for anybody else. */
export const attacking =
  (test: Test, victim: () => Victim) =>
  (name: string, act: Act): void => {
    test(name, async () => {
      const one = session(victim().address)
      try {
        await act(one, { authorization: `Bearer ${victim().credential}` }, victim())
      } finally {
        one.destroy()
      }
      await victim().unharmed()
    })
  }
