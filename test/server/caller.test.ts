import { hash } from "node:crypto"
import { Metadata } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createAttestationClient } from "../../src/client/attestation.ts"
import { AssayError } from "../../src/errors.ts"
import {
  type CallerParts,
  type Credential,
  checkCredentials,
  createKnowCaller,
  type Transport,
} from "../../src/server/caller.ts"
import type { Principal } from "../../src/server/roles.ts"
import { rejectsCode, throwsCode } from "../support/assert.ts"
import { goodVerify, inFolder, running } from "./fake.ts"

const test = suite("callerOf")
const credential = (
  name: string,
  secret: string,
  role: Credential["role"] = "gateway",
  tenant = "default",
): Credential => ({
  name,
  role,
  tenant,
  sha256: hash("sha256", secret, "buffer"),
})
const credentials = [
  credential("gateway", "s3cret-of-gateway"),
  credential("backend", "s3cret-of-backend", "backend"),
  credential("watch", "s3cret-of-watch", "auditor", "acme"),
]
const metadataOf = (...values: readonly string[]): Metadata => {
  const metadata = new Metadata()
  for (const value of values) metadata.add("authorization", value)
  return metadata
}
/** No certificate is anybody's here. */
const holderOf = (): never => {
  throw new AssayError("CALLER_UNKNOWN", "nobody")
}
/** Nor is any token. */
const NO_TOKENS = {
  holderOf,
  bearerOf: holderOf,
  enrollmentToken: async () => undefined,
  tries: { check: () => {}, failed: () => {} },
}
const callerOf = (
  metadata: Metadata,
  peer: string,
  { transport, ...parts }: Pick<CallerParts, "credentials" | "anonymous"> & { readonly transport: Transport },
): Principal => {
  const known = createKnowCaller({ ...NO_TOKENS, ...parts })(metadata, {
    transport,
    peer: () => peer,
    connection: undefined,
    chain: [],
  })
  if (known instanceof Promise) throw new TypeError("nothing here takes time")
  return known
}
const callerWith = (transport: Transport, peer: string, ...authorization: readonly string[]): string =>
  callerOf(metadataOf(...authorization), peer, { transport, credentials, anonymous: true }).id

const roles: [name: string, transport: Transport, authorization: string[], expected: string][] = [
  ["a credential's holder", "tcp", ["Bearer s3cret-of-gateway"], "default gateway"],
  ["another credential's holder", "tcp", ["Bearer s3cret-of-backend"], "default backend"],
  ["a credential's holder in its tenant", "unix", ["Bearer s3cret-of-watch"], "acme auditor"],
  ["a credential's holder on the administration socket", "admin", ["Bearer s3cret-of-watch"], "acme auditor"],
  ["a connection by itself", "tcp", [], "default gateway"],
  ["a Unix socket peer", "unix", [], "default gateway"],
  ["a peer of the administration socket", "admin", [], "default operator"],
]
for (const [name, transport, authorization, expected] of roles)
  test(`takes ${name} for ${expected}`, () => {
    const caller = callerOf(metadataOf(...authorization), "127.0.0.1:1", {
      transport,
      credentials,
      anonymous: true,
    })
    assert.is(`${caller.tenant} ${caller.role}`, expected)
    assert.is(caller.own, undefined)
  })

const accepted: [name: string, transport: Transport, peer: string, authorization: string[], id: string][] = [
  ["a credential", "tcp", "127.0.0.1:4711", ["Bearer s3cret-of-gateway"], "gateway"],
  ["another credential", "tcp", "127.0.0.1:4711", ["Bearer s3cret-of-backend"], "backend"],
  ["a credential over a Unix socket", "unix", "unknown", ["bearer s3cret-of-backend"], "backend"],
  ["a connection by itself", "tcp", "127.0.0.1:4711", [], "local:127.0.0.1:4711"],
  ["another connection as another caller", "tcp", "127.0.0.1:4712", [], "local:127.0.0.1:4712"],
  ["an IPv6 connection", "tcp", "::1:4711", [], "local:::1:4711"],
  ["a Unix socket peer", "unix", "unknown", [], "local:unix"],
  ["a peer of the administration socket", "admin", "unknown", [], "local:admin"],
]
for (const [name, transport, peer, authorization, id] of accepted)
  test(`knows ${name} as ${id}`, () => assert.is(callerWith(transport, peer, ...authorization), id))

test("refuses G-11 callers without a credential where the operator wants one, but for the administration socket", () => {
  const admission = { credentials, anonymous: false }
  for (const transport of ["tcp", "unix"] as const)
    throwsCode(() => callerOf(new Metadata(), "127.0.0.1:1", { transport, ...admission }), "CALLER_UNKNOWN")
  assert.is(callerOf(new Metadata(), "unknown", { transport: "admin", ...admission }).id, "local:admin")
  const gateway = metadataOf("Bearer s3cret-of-gateway")
  assert.is(callerOf(gateway, "127.0.0.1:1", { transport: "tcp", ...admission }).id, "gateway")
})

const refused: [name: string, transport: Transport, peer: string, authorization: string[]][] = [
  ["an unknown credential", "tcp", "127.0.0.1:1", ["Bearer s3cret-of-nobody"]],
  ["a credential that begins like another", "tcp", "127.0.0.1:1", ["Bearer s3cret-of-gatewa"]],
  ["a credential's name in place of its secret", "tcp", "127.0.0.1:1", ["Bearer gateway"]],
  ["an empty credential", "tcp", "127.0.0.1:1", ["Bearer "]],
  ["another scheme", "tcp", "127.0.0.1:1", ["Basic s3cret-of-gateway"]],
  ["a credential without a scheme", "unix", "unknown", ["s3cret-of-gateway"]],
  ["empty metadata", "unix", "unknown", [""]],
  ["two credentials, both good", "unix", "unknown", ["Bearer s3cret-of-gateway", "Bearer s3cret-of-gateway"]],
  ["a list of credentials in one value", "unix", "unknown", ["Bearer s3cret-of-gateway, Bearer x"]],
  ["a very long credential", "unix", "unknown", [`Bearer ${"x".repeat(8193)}`]],
  ["a TCP peer that is gone", "tcp", "unknown", []],
  ["a TCP peer of another machine", "tcp", "10.0.0.1:4711", []],
  ["a TCP peer of an IPv4-mapped address", "tcp", "::ffff:127.0.0.1:4711", []],
]
for (const [name, transport, peer, authorization] of refused)
  test(`refuses ${name}`, () => {
    throwsCode(() => callerWith(transport, peer, ...authorization), "CALLER_UNKNOWN")
  })
test("tells callers apart by their whole credentials, whoever called before", () => {
  const knowCaller = createKnowCaller({ ...NO_TOKENS, credentials, anonymous: true })
  const shown = { transport: "tcp", peer: () => "127.0.0.1:1", connection: undefined, chain: [] } as const
  const known = (secret: string) => knowCaller(metadataOf(`Bearer ${secret}`), shown)
  const secret = "s3cret-of-gateway"
  const others = [...secret].map((_, at) => `${secret.slice(0, at)}x${secret.slice(at + 1)}`)
  for (const other of [...others, `${secret}x`, secret.slice(1), secret.toUpperCase()]) {
    assert.equal(known(secret), { tenant: "default", id: "gateway", role: "gateway" })
    throwsCode(() => known(other), "CALLER_UNKNOWN")
    assert.equal(known("s3cret-of-watch"), { tenant: "acme", id: "watch", role: "auditor" })
    throwsCode(() => known(other), "CALLER_UNKNOWN")
  }
})
test("says nothing of the credential that it refuses", () => {
  const error = throwsCode(
    () => callerWith("tcp", "127.0.0.1:1", "Bearer s3cret-of-nobody"),
    "CALLER_UNKNOWN",
  )
  assert.not.match(JSON.stringify({ ...error, message: error.message }), /s3cret/)
})

const selecting = (transport: Transport, ...tenants: readonly string[]): Principal => {
  const metadata = new Metadata()
  for (const tenant of tenants) metadata.add("assay-tenant", tenant)
  return callerOf(metadata, "127.0.0.1:1", { transport, credentials, anonymous: true })
}
test("takes the operator on the administration socket for one of the tenant that it names", () => {
  assert.equal(selecting("admin", "acme"), { tenant: "acme", id: "local:admin", role: "operator" })
  assert.is(selecting("admin", "a".repeat(63)).tenant, "a".repeat(63))
  assert.is(selecting("admin").tenant, "default")
})
const tenants: [name: string, tenants: readonly string[]][] = [
  ["nothing", [""]],
  ["capitals", ["Acme"]],
  ["a path", ["../acme"]],
  ["a slash", ["acme/prod"]],
  ["a dot", ["acme.example"]],
  ["a space at its end", ["acme x"]],
  ["a hyphen first", ["-acme"]],
  ["a hyphen last", ["acme-"]],
  ["an underscore", ["acme_1"]],
  ["percent signs", ["acme%0a"]],
  ["64 characters", ["a".repeat(64)]],
  ["a megabyte", ["a".repeat(1_000_000)]],
  ["two names", ["acme", "default"]],
  ["two names in one", ["acme, default"]],
]
for (const [name, all] of tenants)
  test(`refuses G-12 a tenant with ${name} in the operator's metadata`, () => {
    const { message, actual } = throwsCode(() => selecting("admin", ...all), "ID")
    assert.ok(message.length < 400 && (actual ?? "").length < 400)
  })
for (const transport of ["tcp", "unix"] as const)
  test(`refuses G-11 a tenant that a caller chooses over ${transport}`, () => {
    for (const tenant of ["acme", "default", ""]) throwsCode(() => selecting(transport, tenant), "PERMISSION")
  })
test("refuses G-11 a tenant beside a credential, on the administration socket too", () => {
  const metadata = metadataOf("Bearer s3cret-of-watch")
  metadata.set("assay-tenant", "acme")
  const admission = { credentials, anonymous: true }
  for (const transport of ["tcp", "unix", "admin"] as const)
    throwsCode(() => callerOf(metadata, "127.0.0.1:1", { transport, ...admission }), "PERMISSION")
})

test("takes who holds an enrollment token for a device that enrolls, in the token's tenant", async () => {
  const asked: string[] = []
  const know = createKnowCaller({
    ...NO_TOKENS,
    credentials,
    anonymous: false,
    enrollmentToken: async (sha256) => {
      asked.push(Buffer.from(sha256).toString("hex"))
      return asked.length === 1 ? { tenant: "acme", id: "token-7" } : undefined
    },
  })
  const metadata = metadataOf("Bearer aet_0123456789abcdef")
  for (const transport of ["tls", "unix"] as const) {
    const call = async () =>
      know(metadata, { transport, peer: () => "unknown", connection: undefined, chain: [] })
    if (asked.length > 0) await rejectsCode(call, "CALLER_UNKNOWN")
    else
      assert.equal(await call(), {
        tenant: "acme",
        id: "enrollment:token-7",
        role: "device",
        own: { kind: "enrollment", token: "token-7" },
      })
  }
  assert.equal(asked, Array(2).fill(hash("sha256", "aet_0123456789abcdef", "hex")))
})
test("refuses G-11 an enrollment token where there are none, and while nobody can say", async () => {
  const metadata = metadataOf("Bearer aet_0123456789abcdef")
  const connection = { transport: "tls", peer: () => "unknown", connection: undefined, chain: [] } as const
  const none = createKnowCaller({ ...NO_TOKENS, credentials, anonymous: false })
  await rejectsCode(async () => none(metadata, connection), "CALLER_UNKNOWN")
  const enrollmentToken = () => Promise.reject(new AssayError("REGISTRY", "down"))
  const down = createKnowCaller({ ...NO_TOKENS, credentials, anonymous: false, enrollmentToken })
  await rejectsCode(async () => down(metadata, connection), "REGISTRY")
})

const lists: [name: string, list: Credential[]][] = [
  ["a name like that of a local caller", [credential("local:127.0.0.1", "x")]],
  ["an empty name", [credential("", "x")]],
  ["a name in capitals", [credential("Gateway", "x")]],
  ["a name that is too long", [credential("n".repeat(64), "x")]],
  ["a digest of 31 bytes", [{ ...credential("a", "x"), sha256: new Uint8Array(31) }]],
  ["an empty tenant", [credential("a", "x", "gateway", "")]],
  ["a tenant in capitals", [credential("a", "x", "gateway", "Acme")]],
  ["a tenant with a path", [credential("a", "x", "gateway", "acme/prod")]],
  ["a tenant that ends with a hyphen", [credential("a", "x", "gateway", "acme-")]],
  ["a tenant of 64 characters", [credential("a", "x", "gateway", "a".repeat(64))]],
  ["a tenant with a Cyrillic letter", [credential("a", "x", "gateway", "\u0430cme")]],
  ["a name twice", [credential("a", "x"), credential("a", "y")]],
  ["a secret twice", [credential("a", "x"), credential("b", "x")]],
]
for (const [name, list] of lists)
  test(`refuses a list of credentials with ${name}`, () => {
    throwsCode(() => checkCredentials(list), "INPUT")
  })

test("tells callers apart on a running server, and answers unknown ones UNAUTHENTICATED", () =>
  inFolder(async (folder) => {
    const server = await running({}, { credentials, listen: ["127.0.0.1:0", `unix:${folder}/public.sock`] })
    const [tcp = "", unix = ""] = server.addresses
    const callers = [
      createAttestationClient(tcp, { credential: "s3cret-of-gateway" }),
      createAttestationClient(tcp, { credential: "s3cret-of-backend" }),
      createAttestationClient(tcp),
      createAttestationClient(unix),
      createAttestationClient(unix, { credential: "s3cret-of-gateway" }),
    ]
    const stranger = createAttestationClient(tcp, { credential: "s3cret-of-nobody" })
    try {
      for (const client of callers) await client.verify(goodVerify())
      assert.equal(
        server.seen.map(({ caller }) => `${caller.tenant} ${caller.id.replace(/:\d+$/, ":PORT")}`),
        [
          "default gateway",
          "default backend",
          "default local:127.0.0.1:PORT",
          "default local:unix",
          "default gateway",
        ],
      )
      await rejectsCode(() => stranger.verify(goodVerify()), "CALLER_UNKNOWN")
      await rejectsCode(() => stranger.createChallenge({}), "CALLER_UNKNOWN")
      const call = stranger.verifyStream()
      await rejectsCode(async () => {
        for await (const _ of call) assert.unreachable()
      }, "CALLER_UNKNOWN")
      assert.is(server.seen.length, 5)
      assert.not.match(JSON.stringify(server.lines), /s3cret/)
    } finally {
      for (const client of [...callers, stranger]) client.close()
      await server.stop()
    }
  }))
test.run()
