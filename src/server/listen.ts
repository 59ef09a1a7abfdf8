/**
 * Where a server listens: on this machine only. A Unix socket is made in a private folder and then moved to its
 * place, so that nobody can connect before its mode is set, and a file left by a dead server is replaced in one step.
 */
import { chmodSync, lstatSync, mkdtempSync, renameSync, rmSync } from "node:fs"
import { connect } from "node:net"
import { dirname } from "node:path"
import { type Server, ServerCredentials } from "@grpc/grpc-js"
import { AssayError } from "../errors.ts"
import { type Address, parseAddress } from "../rpc.ts"

/** Readable and writable by the owner alone. */
export const ADMIN_MODE = 0o600
/** By the group as well, so that gateways run as users of their own. */
export const SOCKET_MODE = 0o660

/** sockaddr_un.sun_path holds 108 bytes and ends with a NUL; the folder's name within takes 15. */
const UNIX_PATH_BYTES_MAX = 107
const PRIVATE_BYTES = 15

/**
 * Checks an address before anything is opened: one of this machine, and plaintext over TCP in development mode only.
 *
 * @throws {AssayError} INPUT.
 */
export function checkAddress(text: string, development: boolean): Address {
  const address = parseAddress(text)
  if (address.kind === "tcp" && !development)
    throw new AssayError("INPUT", `${text}: TCP is served in development mode only, use a Unix socket`, {
      location: "listen",
      expected: "unix:/absolute/path",
      actual: text,
    })
  if (address.kind === "unix") {
    const sizes = [Buffer.byteLength(address.path), Buffer.byteLength(dirname(address.path)) + PRIVATE_BYTES]
    if (sizes.some((size) => size > UNIX_PATH_BYTES_MAX))
      throw new AssayError("INPUT", `${text}: too long for a Unix socket`, {
        location: "listen",
        expected: `at most ${UNIX_PATH_BYTES_MAX - PRIVATE_BYTES} bytes`,
      })
  }
  return address
}

/** A bound listener: its address, with the port that port 0 became, and how its socket file is removed. */
export interface Bound {
  readonly address: string
  release(): void
}

/**
 * Binds `server`. A socket file that nobody listens on is replaced.
 *
 * @throws {AssayError} INPUT if somebody listens there, or the path cannot be used.
 */
export async function bind(server: Server, address: Address, mode: number): Promise<Bound> {
  if (address.kind === "tcp") {
    const port = await listen(server, address.target)
    const host = address.host.includes(":") ? `[${address.host}]` : address.host
    return { address: `${host}:${port}`, release: () => {} }
  }
  const { path } = address
  await checkVacant(path)
  const folder = attempt(path, () => mkdtempSync(`${dirname(path)}/.assay-`))
  try {
    const temporary = `${folder}/s`
    await listen(server, `unix:${temporary}`)
    attempt(path, () => {
      chmodSync(temporary, mode)
      renameSync(temporary, path)
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const { ino } = lstatSync(path)
  const release = (): void => {
    // Another server may have taken the place meanwhile.
    if (lstatSync(path, { throwIfNoEntry: false })?.ino === ino) rmSync(path)
  }
  return { address: `unix:${path}`, release }
}

const listen = (server: Server, target: string): Promise<number> =>
  new Promise((resolve, reject) => {
    server.bindAsync(target, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port)
      else reject(unusable(target, error))
    })
  })

const unusable = (place: string, cause: unknown): AssayError =>
  new AssayError("INPUT", `cannot listen on ${place}: ${cause instanceof Error ? cause.message : ""}`, {
    location: "listen",
    cause,
  })

function attempt<T>(path: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    throw unusable(path, error)
  }
}

/** Nothing is there, or a socket that nobody listens on. A file of another kind is not ours to remove. */
async function checkVacant(path: string): Promise<void> {
  const there = attempt(path, () => lstatSync(path, { throwIfNoEntry: false }))
  if (there === undefined) return
  if (!there.isSocket()) throw unusable(path, new Error("there is a file that is no socket"))
  if (await isAlive(path)) throw unusable(path, new Error("another server listens there"))
}

const isAlive = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path)
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    // Only a refused connection proves that nobody is there; whatever else it is, the file stays.
    socket.once("error", (error) => resolve(!("code" in error && error.code === "ECONNREFUSED")))
  })
