/**
 * Who calls. Callers are told apart by what they cannot choose in a request: by a secret or a token that they were given, by
 * a client certificate, else by the one connection that they hold; over a Unix socket, which has no number, by the socket.
 * None can be taken for another: ids begin with their kind, as `cert:`, `jwt:`, `device:`, `enrollment:` and `local:`, but
 * for credentials' names, which have no colon.
 */
import { hash, timingSafeEqual } from "node:crypto"
import type { Metadata, MetadataValue } from "@grpc/grpc-js"
import { LRUCache } from "lru-cache"
import { isSameSecret } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { KnowBearer } from "./bearer.ts"
import type { KnowHolder, ShownChain } from "./certificates.ts"
import { Memory } from "./memory.ts"
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
export type Transport = "tcp" | "tls" | "unix" | "admin"

const TENANT = "default"
const TENANT_METADATA = "assay-tenant"
/** As in a DNS label, so that no spelling of a tenant is taken for another's. */
const TENANT_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
/** RFC 6750, 2.1. A token of an issuer has a few hundred characters, and more with many roles. */
const BEARER = /^Bearer ([A-Za-z0-9._~+/-]{1,8192}=*)$/i
/** How enrollment tokens begin, so that who finds one knows what it is. */
const ENROLLMENT_PREFIX = "aet_"

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

/** How a call came in. */
export interface Shown {
  readonly transport: Transport
  /** `address:port`, as grpc-js gives it; asking takes longer than all else does for most callers. */
  readonly peer: () => string
  /** Its connection's id, where connections are counted. */
  readonly connection: string | undefined
  /** What a TLS client has shown: DER, its own certificate first. Empty if it has shown none. */
  readonly chain: ShownChain
}

/** An enrollment token, by the digest of its secret, if it can be used now. */
export type FindEnrollmentToken = (
  sha256: Uint8Array,
) => Promise<{ readonly tenant: string; readonly id: string } | undefined>

/** Counts enrollment tokens that were looked for in vain, of each connection. */
export interface Tries {
  /** Before one is looked for. @throws {AssayError} RATE after too many in vain. */
  check(connection: string | undefined): void
  /** There was none. */
  failed(connection: string | undefined): void
}

/** What callers are known by. */
export interface CallerParts {
  readonly credentials: readonly Credential[]
  /**
   * Whether callers on this machine without a credential are served. HTTP/2 drops a header with a malformed value without a
   * word.
   */
  readonly anonymous: boolean
  readonly holderOf: KnowHolder
  readonly bearerOf: KnowBearer
  readonly enrollmentToken: FindEnrollmentToken
  readonly tries: Tries
}

/**
 * Says who makes a call: who holds what the authorization metadata has, if it has anything, and else who is at the
 * connection's other end. Only an enrollment token takes time to find.
 *
 * @throws {AssayError} CALLER_UNKNOWN for a caller who is nobody's, and for a TCP peer that is gone; TOKEN_FORMAT and others
 *   of its kind for a token of an issuer; PERMISSION for one who chooses a tenant; ID for a tenant that is none.
 */
export type KnowCaller = (metadata: Pick<Metadata, "get">, shown: Shown) => Principal | Promise<Principal>

/** The one place where a caller becomes somebody. */
export const createKnowCaller = (parts: CallerParts): KnowCaller => {
  const enrolleeOf = createKnowEnrollee(parts)
  const digestOf = createDigestOf()
  return (metadata, shown) => {
    const given = metadata.get("authorization")
    const isOperator = given.length === 0 && shown.transport === "admin"
    const tenant = metadata.get(TENANT_METADATA)
    if (tenant.length > 0 && !isOperator)
      throw new AssayError("PERMISSION", "a caller's tenant comes with its identity", {
        location: TENANT_METADATA,
        expected: "no tenant, but on the administration socket",
      })
    // The file mode of the administration socket says who may use it.
    if (isOperator) return { tenant: tenantOf(tenant), id: "local:admin", role: "operator" }
    if (given.length === 0) return peerOf(shown, parts)
    const [, secret] = (given.length === 1 && BEARER.exec(String(given[0]))) || []
    if (secret === undefined) throw unknown("the authorization metadata is not one Bearer credential")
    return bearerOf(secret, shown, parts, enrolleeOf, digestOf)
  }
}

/** Whoever uses the administration socket owns every tenant, and says which one is meant. @throws {AssayError} ID. */
function tenantOf(given: readonly MetadataValue[]): string {
  const [tenant = TENANT, ...others] = given.map(String)
  if (others.length > 0 || !TENANT_NAME.test(tenant))
    throw new AssayError("ID", "not one name of a tenant", {
      location: TENANT_METADATA,
      expected: "a-z 0-9 - with at most 63 characters",
      actual: tenant,
    })
  return tenant
}

/** The caller that a connection alone says, without any credential. */
function peerOf({ transport, peer, chain }: Shown, { anonymous, holderOf }: CallerParts): Principal {
  if (transport === "tls") {
    if (chain.length === 0) throw unknown("callers need a client certificate or a credential here")
    return holderOf(chain)
  }
  if (!anonymous) throw unknown("callers need a credential here")
  // With its port: without a credential a caller is one connection, and no other can use its challenges.
  const end = transport === "tcp" ? peer() : transport
  if (transport === "tcp" && !LOOPBACK_PEER.test(end))
    throw unknown("the connection is not from this machine, or gone")
  return { tenant: TENANT, id: `local:${end}`, role: "gateway" }
}

/** Who holds what is sent along: a secret of this machine, an enrollment token, or a token of an issuer. */
function bearerOf(
  secret: string,
  { transport, connection }: Shown,
  parts: CallerParts,
  enrolleeOf: KnowEnrollee,
  digestOf: DigestOf,
): Principal | Promise<Principal> {
  const digest = digestOf.get(secret)
  // Every entry is compared, so that the time taken tells nothing about which one came close.
  const [found] = parts.credentials.filter(({ sha256 }) => timingSafeEqual(digest, sha256))
  // What people choose for a secret between two programs of one machine is not what keeps others out.
  if (found !== undefined && transport !== "tls") {
    digestOf.keep(secret, digest)
    return { tenant: found.tenant, id: found.name, role: found.role }
  }
  if (secret.startsWith(ENROLLMENT_PREFIX)) return enrolleeOf(digest, connection)
  if (secret.includes(".")) return parts.bearerOf(secret)
  throw unknown("no caller has this credential here")
}

/** Digests of secrets. Those that are callers' are kept, for each call of theirs shows the same. */
interface DigestOf {
  get(secret: string): Buffer
  keep(secret: string, digest: Buffer): void
}

/** Secrets of callers whose digests are remembered. */
const DIGESTS_MAX = 1024

function createDigestOf(): DigestOf {
  const kept = new LRUCache<string, Buffer>({ max: DIGESTS_MAX })
  /** The one that was kept last, for most calls are one gateway's: it need not be looked up. */
  let last: { readonly secret: string; readonly digest: Buffer } | undefined
  return {
    get: (secret) =>
      last !== undefined && isSameSecret(secret, last.secret)
        ? last.digest
        : (kept.get(secret) ?? hash("sha256", secret, "buffer")),
    keep: (secret, digest) => {
      if (digest === last?.digest) return
      last = { secret, digest }
      if (!kept.has(secret)) kept.set(secret, digest)
    },
  }
}

type KnowEnrollee = (digest: Buffer, connection: string | undefined) => Promise<Principal>

/** Tokens that were found are remembered for that alone: their holders do not pay for others' guesses. */
const FOUND_MAX = 4096
const FOUND_MS = 600_000

function createKnowEnrollee({ enrollmentToken, tries }: CallerParts): KnowEnrollee {
  const found = new Memory<{ readonly validUntil: number }>(FOUND_MAX)
  return async (digest, connection) => {
    const key = digest.toString("base64url")
    const at = new Date()
    if (found.get(key, at) === undefined) tries.check(connection)
    const token = await enrollmentToken(digest)
    if (token === undefined) {
      tries.failed(connection)
      throw unknown("no enrollment token is this one, or it can no longer be used")
    }
    found.set(key, { validUntil: at.getTime() + FOUND_MS })
    const { tenant, id } = token
    return { tenant, id: `enrollment:${id}`, role: "device", own: { kind: "enrollment", token: id } }
  }
}

const LOOPBACK_PEER = /^(127(?:\.\d{1,3}){3}|::1):\d+$/

const unknown = (message: string): AssayError =>
  new AssayError("CALLER_UNKNOWN", message, { location: "authorization" })
