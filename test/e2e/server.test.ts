/** The server as a process: what it listens on, whom it takes for whom, how it ends, and what it knows when it is back. */
import { randomBytes } from "node:crypto"
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { createServer as createHttpServer } from "node:http"
import { connect as connectHttp2, type IncomingHttpHeaders } from "node:http2"
import { join } from "node:path"
import { toBinary } from "@bufbuild/protobuf"
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js"
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from "jose"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { createAdminClient } from "../../src/client/admin.ts"
import { type AttestationClient, createAttestationClient } from "../../src/client/attestation.ts"
import { readConfig } from "../../src/config.ts"
import {
  AttestationService,
  type VerifyRequest,
  VerifyRequestSchema,
} from "../../src/gen/assay/v1/attestation_pb.ts"
import { createLog, start } from "../../src/main.ts"
import { pathOf } from "../../src/rpc.ts"
import { rawCall, running } from "../server/fake.ts"
import { rejectsCode } from "../support/assert.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import { assayHere, inFolder } from "./programs.ts"
import {
  answered,
  attest,
  callerOf,
  enroll,
  type ServerProcess,
  serve,
  sessionOf,
  verifications,
} from "./server.ts"

const device = testDevice()
const policy = policyDocument(device)
/** To check its signatures takes longer than all that most requests do. */
const costly = testDevice({ algorithm: "p521" })
const HEALTH = "/grpc.health.v1.Health/Check"

/** Runs `act` with clients that are closed afterwards. */
const withClients = async (
  clients: readonly { close(): void }[],
  act: () => Promise<void>,
): Promise<void> => {
  try {
    await act()
  } finally {
    for (const client of clients) client.close()
  }
}

/** The gRPC status of an error that a client threw. */
const statusOf = ({ cause }: { readonly cause?: unknown }): unknown =>
  cause instanceof Error && "code" in cause ? cause.code : undefined

const development = suite("serve --development")
let folder: string
let server: ServerProcess
let gateway: AttestationClient
let leave: () => void
let left: Promise<void>
/** Everything that may be presented to somebody, and that no log may show. */
const secrets: string[] = []
const keepSecret = (...all: readonly (string | Uint8Array)[]): void => {
  for (const secret of all)
    if (typeof secret === "string")
      secrets.push(secret, ...secret.split(".").filter((part) => part.length > 40))
    else
      for (const form of ["hex", "base64", "base64url"] as const)
        secrets.push(Buffer.from(secret).toString(form))
}

development.before(async () => {
  const ready = Promise.withResolvers<void>()
  left = inFolder(
    (own) =>
      new Promise((resolve) => {
        folder = own
        leave = resolve
        ready.resolve()
      }),
  )
  await ready.promise
  server = await serve(folder, { umask: "000", env: { ASSAY_LOG_LEVEL: "debug" } })
  gateway = callerOf(server, server.tcp, "gateway")
  await enroll(server, device, "device-1", policy)
  await enroll(server, costly, "device-521", policyDocument(costly))
})
development.after(async () => {
  gateway.close()
  await server.end("SIGKILL")
  leave()
  await left
})

development("is healthy on every listener", async () => {
  for (const address of [...server.listen, server.admin]) {
    const answer = await rawCall(address, HEALTH, Buffer.alloc(0))
    if (answer.error !== undefined) throw answer.error
    assert.equal([...answer.answer], [0x08, 1], "SERVING")
  }
})

development("lets an honest device in, over TCP and over the Unix socket", async () => {
  for (const address of server.listen) {
    const caller = callerOf(server, address, "gateway")
    await withClients([caller], async () => keepSecret(await attest(caller, device)))
  }
})

development(
  "keeps its folder, its files and its sockets from everybody else, whatever the umask",
  async () => {
    const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)
    assert.is(modeOf(server.data), "700")
    const modes = Object.fromEntries(
      readdirSync(server.data)
        .sort()
        .map((name) => [name, modeOf(join(server.data, name))]),
    )
    assert.equal(modes, {
      "admin.sock": "600",
      "assay.db": "600",
      "assay.db-shm": "600",
      "assay.db-wal": "600",
      "assay.sock": "660",
      "backend.credential": "600",
      "device-ca.pem": "600",
      "gateway.credential": "600",
      "signing-key.passphrase": "600",
      "signing-key.pem": "600",
      "software-tpm-maker.pem": "600",
    })
  },
)

const callers: readonly [name: string, make: () => AttestationClient][] = [
  ["the backend over TCP", () => callerOf(server, server.tcp, "backend")],
  ["the backend over the Unix socket", () => callerOf(server, server.unix, "backend")],
  ["nobody over TCP", () => createAttestationClient(server.tcp)],
  ["nobody over the Unix socket", () => createAttestationClient(server.unix)],
  ["the backend over the administration socket", () => callerOf(server, server.admin, "backend")],
]
for (const [name, make] of callers) {
  development(
    `refuses N-04 the gateway's challenge from ${name}, and the gateway can still use it`,
    async () => {
      const thief = make()
      await withClients([thief], async () => {
        const { request } = await answered(gateway, device)
        const error = await rejectsCode(() => thief.verify(request), "NONCE_CONTEXT")
        assert.is(statusOf(error), status.FAILED_PRECONDITION)
        assert.is(error.challenge, "unspent")
        assert.ok(sessionOf(await gateway.verify(request)))
      })
    },
  )
  development(`refuses N-04 the gateway the challenge of ${name}`, async () => {
    const maker = make()
    await withClients([maker], async () => {
      const { request } = await answered(maker, device)
      await rejectsCode(() => gateway.verify(request), "NONCE_CONTEXT")
      assert.ok(sessionOf(await maker.verify(request)))
    })
  })
}

development("takes a credential for the same caller on every listener", async () => {
  const local = callerOf(server, server.unix, "gateway")
  await withClients([local], async () => {
    const { request } = await answered(local, device)
    assert.ok(sessionOf(await gateway.verify(request)))
  })
})

development("answers UNAUTHENTICATED to a credential that nobody has, on every listener", async () => {
  const good = readFileSync(join(server.data, "gateway.credential"), "utf8").trim()
  const stray = randomBytes(32).toString("base64url")
  keepSecret(stray)
  for (const address of [server.tcp, server.unix, server.admin])
    for (const authorization of [
      `Bearer ${stray}`,
      `Bearer ${good}x`,
      `Bearer ${good.slice(0, -1)}`,
      "Bearer gateway",
      `Basic ${good}`,
      good,
      `Bearer ${good}, Bearer ${good}`,
    ]) {
      const client = createAttestationClient(address)
      await withClients([client], async () => {
        const call = { metadata: { authorization } }
        for (const act of [
          () => client.createChallenge({ audience: "orders" }, call),
          () => client.getEpoch(call),
        ]) {
          const error = await rejectsCode(act, "CALLER_UNKNOWN")
          assert.is(statusOf(error), status.UNAUTHENTICATED)
        }
      })
    }
})

development("refuses G-11 administration to whoever is no operator", async () => {
  for (const address of server.listen) {
    const stranger = createAdminClient(address)
    await withClients([stranger], async () => {
      for (const act of [
        () => stranger.setPolicy(policy),
        () => stranger.assignPolicy({ policy: "test" }),
        () => stranger.registerDevice({ id: "device-9", akPublic: testDevice().akPublic }),
        () => stranger.getDevice("device-1"),
        () => stranger.getPolicy("test"),
      ])
        assert.is(statusOf(await rejectsCode(act, "PERMISSION")), status.PERMISSION_DENIED)
    })
  }
})

/** How a server ends a request for its schema. */
const reflected = (address: string): Promise<status> =>
  new Promise((resolve) => {
    const same = (bytes: Buffer): Buffer => bytes
    const client = new Client(address, credentials.createInsecure())
    const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    const stream = client.makeBidiStreamRequest(path, same, same)
    stream.on("data", () => {})
    stream.on("error", (_: ServiceError) => {})
    stream.on("status", ({ code }) => {
      client.close()
      resolve(code)
    })
    stream.end(Buffer.from([0x3a, 1, 0x2a]))
  })

development("shows its schema to who asks", async () => {
  assert.is(await reflected(server.tcp), status.OK)
})

/** A JSON object that anyone may read. */
const documentAt = async (url: string): Promise<Readonly<Record<string, unknown>>> => {
  const document: unknown = await (await fetch(url)).json()
  return typeof document === "object" && document !== null ? { ...document } : {}
}

development("publishes its keys where discovery says, for the tokens that it signs", async () => {
  const discovery = await documentAt(`${server.publicUrl}/.well-known/openid-configuration`)
  const issuer = String(discovery["issuer"])
  assert.is(issuer, server.issuer)
  assert.equal(discovery["id_token_signing_alg_values_supported"], ["ES256"])
  const keys = createRemoteJWKSet(new URL(String(discovery["jwks_uri"])))
  const token = await attest(gateway, device)
  keepSecret(token)
  const { payload } = await jwtVerify(token, keys, {
    algorithms: ["ES256"],
    issuer,
    audience: "orders",
    typ: "assay-session+jwt",
  })
  assert.is(payload.sub, "device-1")
  const page = await documentAt(`${server.publicUrl}/epoch`)
  const { number, value, token: epochToken } = await gateway.getEpoch()
  assert.equal([page["number"], page["value"]], [Number(number), Buffer.from(value).toString("base64url")])
  for (const signed of [String(page["token"]), epochToken]) {
    const epoch = await jwtVerify(signed, keys, { issuer: server.issuer, typ: "assay-epoch+jwt" })
    assert.is(epoch.payload["value"], page["value"])
  }
})

development("counts what happens, and is alive and ready", async () => {
  const counts = async (): Promise<(name: string) => number> => {
    const text = await (await fetch(`${server.privateUrl}/metrics`)).text()
    return (name) =>
      Number(
        text
          .split("\n")
          .find((line) => line.startsWith(`${name} `))
          ?.slice(name.length + 1),
      )
  }
  const before = await counts()
  const { request } = await answered(gateway, device)
  await gateway.verify(request)
  await rejectsCode(() => gateway.verify(request), "NONCE_SPENT")
  const changed = await answered(gateway, testDevice())
  await rejectsCode(() => gateway.verify(changed.request), "DEVICE_NOT_FOUND")
  await attest(gateway, costly)
  const after = await counts()
  const expected: readonly [name: string, more: number][] = [
    ['assay_verifications_total{tier="warning"}', 2],
    ['assay_verifications_total{tier="contraindicated"}', 0],
    ['assay_refusals_total{code="NONCE_SPENT"}', 1],
    ["assay_challenges_created_total", 3],
    ["assay_challenges_spent_total", 2],
    ["assay_challenges_outstanding", 2],
    ['assay_rpc_duration_seconds_count{method="assay.v1.AttestationService/Verify",code="OK"}', 2],
    [
      'assay_rpc_duration_seconds_count{method="assay.v1.AttestationService/Verify",code="FAILED_PRECONDITION"}',
      1,
    ],
  ]
  const chargedSeconds = after("assay_charged_seconds_total") - before("assay_charged_seconds_total")
  assert.ok(chargedSeconds > 0.0003 && chargedSeconds < 5, `${chargedSeconds}`)
  for (const [name, more] of expected) assert.is(after(name) - (before(name) || 0), more, name)
  for (const probe of ["livez", "readyz"]) {
    const answer = await fetch(`${server.privateUrl}/${probe}`)
    assert.equal([answer.status, await answer.json()], [200, { status: "ok" }])
  }
  for (const [url, path] of [
    [server.publicUrl, "metrics"],
    [server.publicUrl, "readyz"],
    [server.privateUrl, "epoch"],
  ])
    assert.is((await fetch(`${url}/${path}`)).status, 404, path)
})

development("logs every call, and nothing that could be presented to anybody", async () => {
  const nonce = randomBytes(32)
  const relying = await gateway.verify(await device.answerNonce("default", nonce))
  const { challenge, request } = await answered(gateway, device)
  keepSecret(await attest(gateway, device), String(relying.token.value))
  keepSecret(challenge.challenge, challenge.transcript?.random ?? new Uint8Array(), nonce)
  const junk = { ...request, freshness: { case: "challenge" as const, value: randomBytes(100) } }
  await rejectsCode(() => gateway.verify(junk), "NONCE_UNKNOWN")
  keepSecret(String((await gateway.verify(request)).token.value))
  for (const file of [
    "gateway.credential",
    "backend.credential",
    "signing-key.passphrase",
    "signing-key.pem",
  ])
    keepSecret(readFileSync(join(server.data, file), "utf8").trim())
  const calls = () => server.lines().filter(({ msg }) => msg === "call")
  // Lines are written a moment after what they are about; the last call was a good one after a bad one.
  const isWritten = () => {
    const bad = calls().findIndex(({ reason }) => reason === "NONCE_UNKNOWN")
    return (
      bad >= 0 &&
      calls()
        .slice(bad)
        .some(({ code }) => code === "OK")
    )
  }
  while (!isWritten()) await new Promise((resolve) => setTimeout(resolve, 5))
  const output = server.output()
  for (const secret of secrets) {
    assert.ok(secret.length >= 20, `${secret} is too short to be found or not`)
    assert.not.ok(output.includes(secret), `the log shows ${secret.slice(0, 8)}…`)
  }
  assert.ok(calls().some(({ caller, code }) => caller === "gateway" && code === "OK"))
  assert.ok(calls().some(({ caller, code }) => caller === undefined && code === "UNAUTHENTICATED"))
})
development.run()

// What a restart ends, and what it does not.

/** A call whose request is under way: the server has its headers, and waits for the rest. */
const beginCall = async (address: string, method: string, authorization: string) => {
  const session = connectHttp2(`http://${address}`)
  session.on("error", () => {})
  const stream = session.request({
    ":method": "POST",
    ":path": method,
    "content-type": "application/grpc",
    te: "trailers",
    authorization,
  })
  const ended = new Promise<{ trailers: IncomingHttpHeaders; size: number }>((resolve, reject) => {
    let size = 0
    let trailers: IncomingHttpHeaders = {}
    stream.on("trailers", (all) => {
      trailers = all
    })
    stream.on("data", (bytes: Buffer) => {
      size += bytes.length
    })
    stream.on("error", reject)
    stream.on("close", () => {
      session.destroy()
      resolve({ trailers, size })
    })
  })
  // What comes after the headers on one connection is answered after they were read.
  await new Promise<void>((resolve) => session.ping(() => resolve()))
  const finish = (request: VerifyRequest): void => {
    const message = toBinary(VerifyRequestSchema, request)
    const size = Buffer.alloc(5)
    size.writeUInt32BE(message.length, 1)
    stream.end(Buffer.concat([size, message]))
  }
  return { finish, ended }
}

/** Waits until the server's log has a line with this message. */
const logged = async ({ lines }: ServerProcess, message: string): Promise<void> => {
  while (!lines().some(({ msg }) => msg === message)) await new Promise((resolve) => setTimeout(resolve, 5))
}

const restart = suite("a server that is stopped and started again")
restart(
  "answers what is under way when it is told to stop, and refuses N-04 every challenge from before",
  () =>
    inFolder(async (own) => {
      const env = { ASSAY_ISSUER: "https://assay.example" }
      const first = await serve(own, { env })
      await enroll(first, device, "device-1", policy)
      const caller = callerOf(first, first.tcp, "gateway")
      const before = await attest(caller, device)
      const unspent = await answered(caller, device)
      const spent = await answered(caller, device)
      assert.ok(sessionOf(await caller.verify(spent.request)))
      const { number: epoch } = await caller.getEpoch()
      const epochEvidence = await device.answerEpoch("default", await caller.getEpoch())

      const stream = caller.verifyStream()
      const last = await answered(caller, device)
      const credential = readFileSync(join(first.data, "gateway.credential"), "utf8").trim()
      const call = await beginCall(
        first.tcp,
        pathOf(AttestationService.method.verify),
        `Bearer ${credential}`,
      )
      await stream.send({ id: "one", request: (await answered(caller, device)).request })
      const answers = stream[Symbol.asyncIterator]()
      const answer = (await answers.next()).value
      assert.ok(answer?.outcome.case === "response" && sessionOf(answer.outcome.value))
      const end = first.end()
      await logged(first, "draining")
      call.finish(last.request)
      const { trailers, size } = await call.ended
      assert.is(trailers["grpc-status"], "0")
      assert.ok(size > 500, "an answer with a token came")
      await rejectsCode(async () => answers.next(), "SHUTTING_DOWN")
      assert.is(await end, 0)
      caller.close()
      const messages = first.lines().map(({ msg }) => msg)
      assert.equal(messages.slice(-1), ["stopped"])
      for (const socket of [first.unix, first.admin]) assert.not.ok(existsSync(socket.replace("unix:", "")))
      assert.is((await verifications(first)).length, 4)

      const second = await serve(own, { env })
      const again = callerOf(second, second.tcp, "gateway")
      for (const { request } of [unspent, spent, last]) {
        const error = await rejectsCode(() => again.verify(request), "NONCE_UNKNOWN")
        assert.is(statusOf(error), status.FAILED_PRECONDITION)
      }
      const old = await again.verify(epochEvidence).then(
        ({ token, result }) => [token.case, result?.findings[0]?.code],
        ({ code }) => ["resultToken", code],
      )
      assert.is(old[0], "resultToken")
      assert.ok(["NONCE_MISMATCH", "EPOCH"].includes(String(old[1])), `epoch ${epoch} has another value now`)

      const operator = createAdminClient(second.admin)
      const kept = await operator.getDevice("device-1")
      assert.is(toHex(kept.device?.akName ?? new Uint8Array()), toHex(device.akName))
      assert.is((await operator.getPolicy("test")).policy?.document, policy)
      operator.close()
      const keys = createRemoteJWKSet(new URL(`${second.publicUrl}/.well-known/jwks.json`))
      for (const token of [before, await attest(again, device)])
        await jwtVerify(token, keys, { issuer: "https://assay.example", audience: "orders" })

      // Killed in the middle of a crowd of calls: no token has left without its record.
      const crowd = await Promise.all(Array.from({ length: 60 }, () => answered(again, device)))
      const received: string[] = []
      const calls = crowd.map(async ({ request }, i) => {
        const { result } = await again.verify(request)
        received.push(result?.id ?? "")
        if (i === 20) second.child.kill("SIGKILL")
      })
      await Promise.allSettled(calls)
      assert.is(await second.end("SIGKILL"), "SIGKILL")
      again.close()
      assert.ok(received.length > 0)
      const recorded = new Set((await verifications(second)).map(({ tokenId }) => tokenId))
      for (const id of received) assert.ok(recorded.has(id), `${id} left without a record`)
    }),
)
restart.run()

// Outside development mode: nothing is made by itself, and nothing is open that has no owner.

const production = suite("serve")
/** Of the form that needs no stretching, which costs every start its time. */
const PASSPHRASE = `random-256-bit.${randomBytes(32).toString("base64url")}`
production("serves on Unix sockets alone, with a key that `assay init` made and settings from a file", () =>
  inFolder(async (own) => {
    const data = join(own, "data")
    const env = { ASSAY_KEY_PASSPHRASE: PASSPHRASE }
    const secret = randomBytes(32).toString("base64url")
    writeFileSync(join(own, "edge.credential"), `${secret}\n`, { mode: 0o600 })
    const config = join(own, "assay.yaml")
    writeFileSync(
      config,
      [
        "issuer: https://assay.example",
        "reflection: false",
        "key: {algorithm: EdDSA}",
        "ear: {default: '2023'}",
        `credentials: [{name: edge, file: ${join(own, "edge.credential")}, role: gateway}]`,
      ].join("\n"),
    )
    const args = ["--config", config]
    const made = await assayHere(["init", "--data", data, ...args], env)
    assert.is(made.status, 0, made.stderr)
    assert.is(made.stderr, "")
    const server = await serve(own, { args, env })
    assert.equal(server.listen, [`unix:${join(data, "assay.sock")}`])
    assert.is(server.issuer, "https://assay.example")
    const ready = async () => (await fetch(`${server.privateUrl}/readyz`)).status
    assert.is(await ready(), 503, "nobody is trusted yet")
    writeFileSync(join(own, "anchor.der"), (await device.endorsement()).anchor)
    const trust = ["trust", "import", join(own, "anchor.der"), "--purpose", "ek", "--admin", server.admin]
    const imported = await assayHere(trust)
    assert.is(imported.status, 0, imported.stderr)
    assert.is(await ready(), 200)
    await enroll(server, device, "device-1", policy)
    const edge = createAttestationClient(server.unix, { credential: secret })
    const nobody = createAttestationClient(server.unix)
    await withClients([edge, nobody], async () => {
      const token = await attest(edge, device)
      assert.is(decodeProtectedHeader(token).alg, "EdDSA")
      const keys = createRemoteJWKSet(new URL(`${server.publicUrl}/.well-known/jwks.json`))
      const { payload } = await jwtVerify(token, keys, {
        issuer: "https://assay.example",
        audience: "orders",
      })
      assert.is(payload["eat_profile"], "tag:github.com,2023:veraison/ear")
      const { request } = await answered(edge, device)
      await rejectsCode(() => nobody.verify(request), "CALLER_UNKNOWN")
      assert.is(await reflected(server.unix), status.UNIMPLEMENTED)
      assert.equal(
        readdirSync(data).filter((name) => name.endsWith("passphrase")),
        [],
      )
    })
    const { output } = server
    assert.is(await server.end(), 0)
    for (const hidden of [PASSPHRASE, secret]) assert.not.ok(output().includes(hidden))
  }),
)

// In this process, with one key for all.

let shared: string
let leaveShared: () => void
let leftShared: Promise<void>
/** Starts a server in the shared folder, where nothing but what a test is about can go wrong, and stops it. */
const begin = async (flags: Readonly<Record<string, unknown>> = {}): Promise<void> => {
  const settings = {
    data: join(shared, "data"),
    listen: [`unix:${shared}/s`],
    "web.public": "127.0.0.1:0",
    "web.private": "127.0.0.1:0",
    "key.passphrase": PASSPHRASE,
    ...flags,
  }
  await (await start(readConfig(settings, {}, undefined), createLog("silent"))).stop()
}
production.before(async () => {
  const ready = Promise.withResolvers<void>()
  leftShared = inFolder(
    (own) =>
      new Promise((resolve) => {
        shared = own
        leaveShared = resolve
        ready.resolve()
      }),
  )
  await ready.promise
  await begin({ development: true })
})
production.after(async () => {
  leaveShared()
  await leftShared
})

const unreachable: readonly [name: string, flags: Readonly<Record<string, unknown>>, location: string][] = [
  ["every address of the machine", { listen: ["0.0.0.0:0"] }, "address"],
  ["loopback first and a host's name next", { listen: ["127.0.0.1:0", "assay.example:0"] }, "address"],
  ["TCP for administration", { admin: "127.0.0.1:0" }, "listen"],
  ["every address for its public pages", { "web.public": "0.0.0.0:0" }, "web.public"],
  ["a host's name for its private pages", { "web.private": "assay.example:0" }, "web.private"],
]
for (const [name, flags, location] of unreachable)
  production(`refuses a listener that others than this machine could reach: ${name}`, async () => {
    const error = await rejectsCode(() => begin({ development: true, ...flags }), "INPUT")
    assert.is(error.location, location)
  })

production("refuses TCP outside development mode", async () => {
  const error = await rejectsCode(() => begin({ listen: ["127.0.0.1:0"] }), "INPUT")
  assert.match(error.message, "development mode only")
})

production("refuses to make a key by itself, and to open one without its passphrase", async () => {
  const keyless = await rejectsCode(() => begin({ data: join(shared, "other") }), "SIGNER")
  assert.match(keyless.message, /signing-key\.pem.*assay init/)
  const unopened = await rejectsCode(() => begin({ "key.passphrase": undefined }), "SIGNER")
  assert.match(unopened.message, /ASSAY_KEY_PASSPHRASE/)
})

production(
  "refuses to serve without its device authority, and under another trust domain than its own",
  async () => {
    const [file, away] = [join(shared, "data", "device-ca.pem"), join(shared, "data", "away.pem")]
    const elsewhere = await rejectsCode(
      () => begin({ "deviceAuthority.trustDomain": "another.example" }),
      "SIGNER",
    )
    assert.is(elsewhere.location, file)
    assert.equal([elsewhere.expected, elsewhere.actual], ["another.example", "assay.internal"])
    renameSync(file, away)
    const absent = await rejectsCode(() => begin(), "SIGNER")
    assert.match(absent.message, /device-ca\.pem.*assay init/)
    await begin({ "deviceAuthority.file": away })
    renameSync(away, file)
  },
)

production("refuses a socket and a port that another server listens on, which goes on", async () => {
  const holder = await running({}, { listen: ["127.0.0.1:0", `unix:${shared}/held`] })
  try {
    for (const address of holder.addresses) {
      const error = await rejectsCode(() => begin({ development: true, listen: [address] }), "INPUT")
      assert.match(error.message, /^cannot listen on /)
      const answer = await rawCall(address, HEALTH, Buffer.alloc(0))
      assert.is(answer.error, undefined)
    }
  } finally {
    await holder.stop()
  }
})

production("says which of its pages has a port that is taken", async () => {
  const holder = createHttpServer().listen(0, "127.0.0.1")
  await new Promise((resolve) => holder.once("listening", resolve))
  const bound = holder.address()
  const port = typeof bound === "object" ? bound?.port : undefined
  try {
    const error = await rejectsCode(() => begin({ "web.private": `127.0.0.1:${port}` }), "INPUT")
    assert.is(error.location, "web.private")
  } finally {
    holder.close()
  }
})

production("refuses a passphrase that is wrong, and secrets that others can read", async () => {
  const open = join(shared, "open")
  writeFileSync(open, PASSPHRASE, { mode: 0o644 })
  chmodSync(open, 0o644)
  const key = join(shared, "data", "signing-key.pem")
  await rejectsCode(() => begin({ "key.passphrase": "a guess of the passphrase" }), "SIGNER")
  await rejectsCode(() => begin({ "key.passphrase": undefined, "key.passphraseFile": open }), "SIGNER")
  await rejectsCode(() => begin({ credentials: [{ name: "edge", file: open, role: "gateway" }] }), "SIGNER")
  chmodSync(key, 0o640)
  await rejectsCode(() => begin(), "SIGNER")
  chmodSync(key, 0o600)
  await begin()
})

production("says on one line why it does not listen, and ends with status 2", async () => {
  const args = ["serve", "--data", join(shared, "data"), "--development", "--listen", "0.0.0.0:7400"]
  const env = {
    ASSAY_WEB_PUBLIC: "127.0.0.1:0",
    ASSAY_WEB_PRIVATE: "127.0.0.1:0",
    ASSAY_KEY_PASSPHRASE: PASSPHRASE,
  }
  const { status, stdout, stderr } = await assayHere([...args, "-o", "table"], env)
  assert.is(status, 2)
  assert.is(stdout, "")
  assert.match(stderr, /^assay: INPUT: 0\.0\.0\.0:7400 is not an address on this machine .*\n$/)
})
production.run()
