/**
 * Who calls. Callers are told apart by what they cannot choose in a request: by a local credential that their
 * operator gave them, else by the one connection that they hold; over a Unix socket, which has no number, by the socket.
 * Neither can be taken for the other: ids of the second kind begin with `local:`, which no credential's name does.
 */
import { hash, timingSafeEqual } from "node:crypto"
import type { Metadata } from "@grpc/grpc-js"
import { AssayError } from "../errors.ts"
import type { Principal, Role } from "./roles.ts"

/** A secret of a caller on this machine. */
export interface Credential {
  /** The caller's id. Lowercase letters, digits, dot, underscore and hyphen, at most 63 characters. */
  readonly name: string
  /** What its holder is. A device is never known by a secret that others were given too. */
  readonly role: Exclude<Role, "device">
  readonly tenant: string
  /** SHA-256 of the secret, 32 bytes. */
  readonly sha256: Uint8Array
}

/** How a connection came in. `admin` is the administration socket. */
export type Transport = "tcp" | "unix" | "admin"

const TENANT = "default"
/** As in a DNS label, so that no spelling of a tenant is taken for another's. */
const TENANT_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const CREDENTIAL = /^Bearer ([A-Za-z0-9._~+/-]{1,512}=*)$/i

/**
 * Checks a list of credentials at start.
 *
 * @throws {AssayError} INPUT for a name or digest that is malformed or occurs twice.
 */
export function checkCredentials(credentials: readonly Credential[]): void {
  const seen = new Set<string>()
  for (const { name, tenant, sha256 } of credentials) {
    const digest = Buffer.from(sha256).toString("hex")
    if (
      !/^[a-z0-9][a-z0-9._-]{0,62}$/.test(name) ||
      !TENANT_NAME.test(tenant) ||
      sha256.length !== 32 ||
      seen.has(name) ||
      seen.has(digest)
    )
      throw new AssayError("INPUT", `credential ${name}: malformed, or there twice`, {
        location: "credentials",
        expected: "a name of a-z 0-9 . _ - and a SHA-256 of 32 bytes, each once, and a tenant of a-z 0-9 -",
      })
    seen.add(name).add(digest)
  }
}

/** Whom a listener admits, and how its connections come in. */
export interface Admission {
  readonly transport: Transport
  readonly credentials: readonly Credential[]
  /** Whether callers without a credential are served. HTTP/2 drops a header with a malformed value without a word. */
  readonly anonymous: boolean
}

/**
 * The caller of a call. `peer` is `address:port` as grpc-js gives it.
 *
 * @throws {AssayError} CALLER_UNKNOWN for a credential that is unknown or malformed, and for a TCP peer that is gone.
 */
export function callerOf(
  metadata: Metadata,
  peer: string,
  { transport, credentials, anonymous }: Admission,
): Principal {
  const given = metadata.get("authorization")
  if (given.length === 0) {
    // The file mode of the administration socket says who may use it.
    if (!anonymous && transport !== "admin") throw unknown("callers need a credential here")
    const role = transport === "admin" ? "operator" : "gateway"
    return { tenant: TENANT, id: `local:${localIdOf(transport, peer)}`, role }
  }
  const [, secret] = (given.length === 1 && CREDENTIAL.exec(String(given[0]))) || []
  if (secret === undefined) throw unknown("the authorization metadata is not one Bearer credential")
  const digest = hash("sha256", secret, "buffer")
  // Every entry is compared, so that the time taken tells nothing about which one came close.
  const [found] = credentials.filter(({ sha256 }) => timingSafeEqual(digest, sha256))
  if (found === undefined) throw unknown("no caller has this credential")
  return { tenant: found.tenant, id: found.name, role: found.role }
}

function localIdOf(transport: Transport, peer: string): string {
  switch (transport) {
    case "unix":
    case "admin":
      return transport
    case "tcp": {
      // With its port: without a credential a caller is one connection, and no other can use its challenges.
      if (!/^(127(?:\.\d{1,3}){3}|::1):\d+$/.test(peer))
        throw unknown("the connection is not from this machine, or gone")
      return peer
    }
  }
}

const unknown = (message: string): AssayError =>
  new AssayError("CALLER_UNKNOWN", message, { location: "authorization" })
