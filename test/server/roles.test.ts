import { hash } from "node:crypto"
import { globSync } from "node:fs"
import { resolve } from "node:path"
import type { DescService } from "@bufbuild/protobuf"
import { Client, credentials, Metadata, Server, type ServiceError, status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { errorFromStatus } from "../../src/client/failure.ts"
import type { Credential } from "../../src/server/caller.ts"
import { authorize, isOpenToAll, methodsWithEntry, type Principal, ROLES } from "../../src/server/roles.ts"
import type { Caller } from "../../src/service/ports.ts"
import { throwsCode } from "../support/assert.ts"
import { makeAuthority, makeClient, writeServer } from "../support/callers.ts"
import { inFolder, type Running, running } from "./fake.ts"
import { connectAs } from "./tls.ts"

const test = suite("roles")

/** Everybody that there is: each role, and what an enrollment token alone makes of a device. */
const WHO = [...ROLES, "enrollee"] as const
type Who = (typeof WHO)[number]

/** What the design says, in section 3, of a method: not read from the table that it judges. */
const mayCall = (method: string, who: Who): boolean => {
  const [, name = "", verb = ""] = /^assay\.v1\.(\w+)\/(\w+)$/.exec(method) ?? []
  switch (name) {
    case "":
      return /^grpc\.(health\.v1|reflection\.v1|reflection\.v1alpha)\./.test(method)
    case "AttestationService":
      if (who === "enrollee") return verb === "CreateChallenge" || verb === "Verify"
      return who === "gateway" || who === "backend" || who === "device"
    case "EnrollmentService":
      return who === "gateway" || who === "enrollee"
    default:
      return who === "operator" || (who === "auditor" && /^(Get|List|Watch|Export)/.test(verb))
  }
}

const ownOf = (who: Who): Pick<Caller, "own"> => {
  switch (who) {
    case "device":
      return { own: { kind: "device", id: "device-1" } }
    case "enrollee":
      return { own: { kind: "enrollment", token: "token-1" } }
    default:
      return {}
  }
}
const principalOf = (who: Who): Principal => ({
  tenant: "default",
  id: `test:${who}`,
  role: who === "enrollee" ? "device" : who,
  ...ownOf(who),
})

const isService = (value: unknown): value is DescService =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === "service"

/** Every method of the schema, whether or not a server adds it. */
const schemaMethods = async (): Promise<readonly string[]> => {
  const files = await Promise.all(globSync("src/gen/assay/**/*_pb.ts").map((file) => import(resolve(file))))
  const services = files.flatMap((file: object) => Object.values(file).filter(isService))
  return services.flatMap(({ typeName, methods }) => methods.map(({ name }) => `${typeName}/${name}`))
}

/** Every method that a server adds, health and reflection included, with the server that has added them. */
const observing = async <T>(act: () => Promise<T>): Promise<{ value: T; methods: readonly string[] }> => {
  const methods = new Set<string>()
  const { addService } = Server.prototype
  Server.prototype.addService = function (definition, implementation) {
    for (const { path } of Object.values(definition)) methods.add(path.slice(1))
    return addService.call(this, definition, implementation)
  }
  try {
    return { value: await act(), methods: [...methods] }
  } finally {
    Server.prototype.addService = addService
  }
}

test("has an entry for every method of the schema, and none for a method that is not there", async () => {
  const methods = await schemaMethods()
  assert.ok(methods.length > 15)
  for (const method of methods) assert.ok(methodsWithEntry().includes(method), `${method} has no entry`)
  const ours = methodsWithEntry().filter((method) => method.startsWith("assay."))
  for (const method of ours) assert.ok(methods.includes(method), `${method} is no method`)
})

test("G-11 lets each role call exactly what the design says of it", async () => {
  for (const method of await schemaMethods())
    for (const who of WHO) {
      const principal = principalOf(who)
      if (mayCall(method, who)) authorize(method, principal)
      else {
        const { location, actual } = throwsCode(() => authorize(method, principal), "PERMISSION")
        const called = who === "enrollee" ? "device with an enrollment token" : who
        assert.equal([location, actual], [method, called])
      }
    }
})

const unlisted = [
  "assay.v1.DeviceService/Exterminate",
  "assay.v1.DeviceService/getDevice",
  "assay.v1.DeviceService/GetDevice/",
  "assay.v2.DeviceService/GetDevice",
  "grpc.health.v1.Health/Kill",
  "grpc.health.v1.Health",
  "grpc.channelz.v1.Channelz/GetServers",
  "constructor",
  "__proto__",
  "",
]
for (const method of unlisted)
  test(`refuses G-11 everybody the method ${JSON.stringify(method)}, which has no entry`, () => {
    assert.not.ok(isOpenToAll(method))
    for (const who of WHO) throwsCode(() => authorize(method, principalOf(who)), "PERMISSION")
  })

type Outcome = { readonly code: status; readonly reason: string }

/** Calls a method of any kind with one empty message. What it answers first is how it ends, as far as rights go. */
const outcomeOf = (client: Client, method: string, authorization: string | undefined): Promise<Outcome> =>
  new Promise((done) => {
    const metadata = new Metadata()
    if (authorization !== undefined) metadata.set("authorization", authorization)
    const same = (bytes: Buffer): Buffer => bytes
    const options = { deadline: Date.now() + 5000 }
    const call = client.makeBidiStreamRequest(`/${method}`, same, same, metadata, options)
    call.on("data", () => {
      done({ code: status.OK, reason: "" })
      call.cancel()
    })
    call.on("error", (error: ServiceError) => done({ code: error.code, reason: errorFromStatus(error).code }))
    call.on("end", () => done({ code: status.OK, reason: "" }))
    call.write(Buffer.alloc(0))
    call.end()
  })

const SECRETS = ["gateway", "backend", "operator", "auditor"] as const
const own = makeAuthority("Device CA")
const device = makeClient(own, "spiffe://assay.example/tenant/default/device/device-1")
const local: readonly Credential[] = SECRETS.map((role) => ({
  name: `the-${role}`,
  role,
  tenant: "default",
  sha256: hash("sha256", `secret-of-${role}`, "buffer"),
}))

/** With the administration socket, for the operator whom its file's mode admits. */
const served = async (
  reflection: boolean,
  act: (server: Running, methods: readonly string[]) => Promise<void>,
): Promise<void> =>
  inFolder(async (folder) => {
    const { value: server, methods } = await observing(() =>
      running(
        {},
        {
          credentials: local,
          listen: ["127.0.0.1:0", { address: "127.0.0.1:0", tls: writeServer(folder) }],
          admin: `unix:${folder}/admin.sock`,
          anonymous: false,
          deviceAuthority: {
            certificates: () => [own.der],
            deviceOf: () => ({ tenant: "default", device: "device-1" }),
          },
          enrollmentToken: async () => ({ tenant: "default", id: "token-1" }),
          reflection,
        },
      ),
    )
    try {
      await act(server, methods)
    } finally {
      await server.stop()
    }
  })

/** Everybody with a way in: by a credential, by an enrollment token, by a certificate, or by the administration socket. */
const waysInto = ([publicly = "", secure = "", admin = ""]: readonly string[]) => {
  const client = new Client(publicly, credentials.createInsecure())
  const socket = new Client(admin, credentials.createInsecure())
  const tls = connectAs(secure, device)
  const nobody = connectAs(secure)
  const ways: readonly (readonly [who: Who | "nobody", client: Client, authorization?: string])[] = [
    ...SECRETS.map((role) => [role, client, `Bearer secret-of-${role}`] as const),
    ["operator", socket],
    ["enrollee", client, "Bearer aet_0123456789"],
    ["enrollee", nobody, "Bearer aet_0123456789"],
    ["device", tls],
    // What is sent along is who calls, whatever the connection.
    ["enrollee", tls, "Bearer aet_0123456789"],
    ["auditor", socket, "Bearer secret-of-auditor"],
    ["nobody", client],
    ["nobody", client, "Bearer secret-of-nobody"],
    ["nobody", client, "Basic secret-of-operator"],
    ["nobody", nobody],
    ["nobody", nobody, "Bearer secret-of-operator"],
    ["nobody", tls, "Bearer secret-of-operator"],
  ]
  const close = (): void => {
    for (const one of [client, socket, tls, nobody]) one.close()
  }
  return { ways, close }
}

const DENIED = { code: status.PERMISSION_DENIED, reason: "PERMISSION" }
const UNKNOWN = { code: status.UNAUTHENTICATED, reason: "CALLER_UNKNOWN" }

test("G-11 walks every method that a server adds with everybody who has a way in, and with nobody", () =>
  served(true, async (server, methods) => {
    assert.ok(methods.some((method) => method.startsWith("grpc.health.v1.")))
    assert.ok(methods.some((method) => method.startsWith("grpc.reflection.v1.")))
    for (const name of ["AttestationService/Verify", "DeviceService/GetDevice", "TrustService/ImportTrust"])
      assert.ok(methods.includes(`assay.v1.${name}`))
    const { ways, close } = waysInto(server.addresses)
    for (const method of methods)
      for (const [who, client, authorization] of ways) {
        const outcome = await outcomeOf(client, method, authorization)
        const open = method.startsWith("grpc.")
        const what = `${method} of ${who}, ${authorization ?? "by the connection"}`
        if (who === "nobody" && !open) assert.equal(outcome, UNKNOWN, what)
        else if (who !== "nobody" && !mayCall(method, who)) assert.equal(outcome, DENIED, what)
        else if (outcome.code !== status.OK)
          // An empty message is not always a request: then it was read, so its caller was let through.
          assert.is(outcome.code, open ? status.UNKNOWN : status.INVALID_ARGUMENT, what)
      }
    close()
    const ids = new Set(server.seen.map(({ caller }) => caller.id))
    const known = /^(the-(gateway|backend|operator|auditor)|local:admin|device:device-1|enrollment:token-1)$/
    for (const id of ids) assert.match(id, known)
  }))

test("refuses G-11 reflection to everybody where it is switched off", () =>
  served(false, async (server, methods) => {
    assert.not.ok(methods.some((method) => method.includes("reflection")))
    const reflecting = methodsWithEntry().filter((method) => method.includes("reflection"))
    assert.is(reflecting.length, 2)
    const { ways, close } = waysInto(server.addresses)
    for (const method of reflecting)
      for (const [, client, authorization] of ways)
        assert.is((await outcomeOf(client, method, authorization)).code, status.UNIMPLEMENTED)
    close()
  }))

test.run()
