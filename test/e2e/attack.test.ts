/**
 * An attacker before the running service, over the wire. After each attack the process is the one that it was, and an
 * honest device is let in (U4); what was refused has let no session out (U1) and left every unmatched challenge as it
 * was (U3).
 */
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { connect as connectHttp2 } from "node:http2"
import { connect as connectSocket } from "node:net"
import { join } from "node:path"
import { clone, fromBinary, toBinary } from "@bufbuild/protobuf"
import { anyUnpack } from "@bufbuild/protobuf/wkt"
import { status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat } from "../../src/bytes.ts"
import { createAdminClient } from "../../src/client/admin.ts"
import { type AttestationClient, createAttestationClient } from "../../src/client/attestation.ts"
import { verifySessionToken } from "../../src/client/session.ts"
import { challengeParts, tpmEvidence } from "../../src/device/attester.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import type { Code } from "../../src/errors.ts"
import { challengeExtraData } from "../../src/evidence/transcript.ts"
import {
  AttestationService,
  type CreateChallengeResponse,
  type VerifyRequest,
  VerifyRequestSchema,
  type VerifyResponse,
} from "../../src/gen/assay/v1/attestation_pb.ts"
import { Tier } from "../../src/gen/assay/v1/result_pb.ts"
import { BadRequestSchema, ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts"
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { rawCall } from "../server/fake.ts"
import { rejectsCode, throwsCode } from "../support/assert.ts"
import { flipped } from "../support/core.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import { inFolder } from "./programs.ts"
import {
  answered,
  attest,
  callerOf,
  enroll,
  OWN,
  type ServerProcess,
  serve,
  sessionOf,
  verifications,
} from "./server.ts"
import { WRONG_FIELDS } from "./wrong-fields.ts"

const honest = testDevice()
const second = testDevice()
const raw = testDevice()

const test = suite("an attacker")
let server: ServerProcess
let gateway: AttestationClient
/** A service on the same machine, with a credential of its own, that wants sessions which are not its. */
let mallory: AttestationClient
let pid: number | undefined
let leave: () => void
let left: Promise<void>

test.before(async () => {
  const ready = Promise.withResolvers<string>()
  left = inFolder(
    (folder) =>
      new Promise((resolve) => {
        leave = resolve
        ready.resolve(folder)
      }),
  )
  server = await serve(await ready.promise)
  pid = server.child.pid
  gateway = callerOf(server, server.tcp, "gateway")
  mallory = callerOf(server, server.tcp, "backend")
  await enroll(server, honest, "honest", policyDocument(honest, { name: "strict" }))
  await enroll(server, second, "second", policyDocument(second, { name: "strict-2" }))
  await enroll(server, raw, "raw", policyDocument(raw, { name: "raw", evidence: { rawNonce: true } }))
  const operator = createAdminClient(server.admin)
  await operator.setPolicy(
    policyDocument(honest, { name: "weak", pcrs: [0], session: { audiences: ["orders", "all"] } }),
  )
  operator.close()
})
test.after(async () => {
  gateway.close()
  mallory.close()
  assert.is(await server.end(), 0)
  leave()
  await left
})

/** A test of one attack, after which nothing may be different for anybody else. */
const attack = (name: string, act: () => Promise<void>): void => {
  test(name, async () => {
    await act()
    assert.equal([server.child.pid, server.child.exitCode, server.child.signalCode], [pid, null, null])
    await attest(gateway, honest)
  })
}

/** Whether a call was refused, however: an error with this code, or a contraindicated result with it and no session. */
const refuses = async (call: Promise<VerifyResponse>, code: Code): Promise<void> => {
  const found = await call.then(
    (answer) => {
      assert.is(sessionOf(answer), undefined, "a session came")
      assert.is(answer.result?.tier, Tier.CONTRAINDICATED)
      return answer.result?.findings[0]?.code
    },
    (error) => error.code ?? error,
  )
  assert.is(found, code)
}

/** The same request, of its own. */
const copyOf = (request: VerifyRequest): VerifyRequest => clone(VerifyRequestSchema, request)

const changed = (request: VerifyRequest, change: (evidence: ReturnType<typeof tpmEvidence>) => void) => {
  const copy = copyOf(request)
  change(tpmEvidence(copy))
  return copy
}

/** Evidence of a device that quotes whatever bytes it is handed, as agents of others do. */
const quotedRaw = async (device: SoftwareDevice, extraData: Uint8Array): Promise<VerifyRequest> => {
  const request = await device.answerNonce("default", new Uint8Array(16))
  const { attest, signature } = device.attest({ extraData })
  return changed(request, (evidence) => {
    evidence.attest = attest
    evidence.signature = signature
  })
}

const against = (request: VerifyRequest, freshness: VerifyRequest["freshness"]): VerifyRequest => ({
  ...request,
  freshness,
})
const withChallenge = (request: VerifyRequest, { challenge }: CreateChallengeResponse): VerifyRequest =>
  against(request, { case: "challenge", value: challenge })

/** What a device that answers `challenge` would have to quote. */
const digestOf = ({ transcript }: CreateChallengeResponse): Uint8Array => {
  if (transcript === undefined) throw new TypeError("no transcript")
  const { random, tenant, device, audience, policy } = transcript
  return challengeExtraData({ random, tenant, device, audience, confirmation: undefined, policy })
}

// Replays.

const replays: readonly [name: string, replay: (request: VerifyRequest) => Promise<VerifyResponse>][] = [
  ["on the same connection", (request) => gateway.verify(request)],
  [
    "on another listener",
    async (request) => {
      const other = callerOf(server, server.unix, "gateway")
      return other.verify(request).finally(() => other.close())
    },
  ],
  [
    "in a stream",
    async (request) => {
      const [answer] = await streamed(gateway, [request])
      if (answer?.case === "response") return answer.value
      throw Object.assign(new Error("refused"), { code: answer?.code })
    },
  ],
  [
    "with a new quote over the same transcript",
    async (request) => {
      const { challenge, random } = last
      const again = await honest.answer({ challenge, random, tenant: "default", device: "", policy: "" }, OWN)
      assert.equal(again.freshness, request.freshness)
      return gateway.verify(again)
    },
  ],
  [
    "with other PCR values",
    (request) =>
      gateway.verify(
        changed(request, ({ pcrBanks: [bank] }) => {
          if (bank !== undefined) bank.values = flipped(bank.values, 0)
        }),
      ),
  ],
]
let last: { readonly challenge: Uint8Array; readonly random: Uint8Array }
for (const [name, replay] of replays)
  attack(`refuses N-01 evidence once more ${name}`, async () => {
    const { challenge, request } = await answered(gateway, honest)
    last = challengeParts(challenge)
    assert.ok(sessionOf(await gateway.verify(request)))
    await refuses(replay(request), "NONCE_SPENT")
    await refuses(replay(request), "NONCE_SPENT")
  })

attack("refuses N-01 good evidence after the same challenge was answered with bad", async () => {
  const { request } = await answered(gateway, honest)
  const bad = changed(request, ({ pcrBanks: [bank] }) => {
    if (bank !== undefined) bank.values = flipped(bank.values, 0)
  })
  await refuses(gateway.verify(bad), "PCR_DIGEST")
  await refuses(gateway.verify(request), "NONCE_SPENT")
})

/** What a stream answers to these requests, in their order: the answer, or the code of the error. */
type Streamed =
  | { readonly case: "response"; readonly value: VerifyResponse }
  | { readonly case: "error"; readonly code: string }

const streamed = async (
  caller: AttestationClient,
  requests: readonly VerifyRequest[],
): Promise<readonly Streamed[]> => {
  const stream = caller.verifyStream()
  const answers = new Map<string, Streamed>()
  const reading = (async () => {
    for await (const { id, outcome } of stream)
      if (outcome.case === "response") answers.set(id, outcome)
      else answers.set(id, { case: "error", code: reasonIn(outcome.value?.details ?? []) })
  })()
  for (const [i, request] of requests.entries()) await stream.send({ id: String(i), request })
  stream.end()
  await reading
  return requests.map((_, i) => {
    const answer = answers.get(String(i))
    if (answer === undefined) throw new Error(`no answer to ${i}`)
    return answer
  })
}

const reasonIn = (
  details: NonNullable<ReturnType<typeof fromBinary<typeof StatusSchema>>>["details"],
): string => details.flatMap((any) => anyUnpack(any, ErrorInfoSchema)?.reason ?? [])[0] ?? ""

// Races.

attack("refuses N-05 all but one of 200 calls that race on four connections", async () => {
  const before = (await verifications(server)).length
  const { request } = await answered(gateway, honest)
  // grpc-js shares a connection between clients of one address, so there is an address for each.
  const connections = [...server.listen, server.admin].map((address) => callerOf(server, address, "gateway"))
  assert.is(connections.length, 4)
  const outcomes = await Promise.allSettled(
    Array.from({ length: 200 }, (_, i) => connections[i % 4]?.verify(request)),
  )
  for (const connection of connections) connection.close()
  const answers = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []))
  assert.is(answers.length, 1)
  assert.ok(answers[0] !== undefined && sessionOf(answers[0]))
  const codes = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason.code] : []))
  assert.equal([...new Set(codes)], ["NONCE_SPENT"])
  assert.is((await verifications(server)).length, before + 1, "one decision is in the journal")
})

attack(
  "refuses N-05 all but one of many requests that race in streams and in calls beside them",
  async () => {
    const { request } = await answered(gateway, honest)
    const all = Array.from({ length: 60 }, () => request)
    const outcomes = await Promise.all([
      streamed(gateway, all),
      streamed(gateway, all),
      Promise.all(
        all.map((one) =>
          gateway.verify(one).then(
            (value): Streamed => ({ case: "response", value }),
            ({ code }): Streamed => ({ case: "error", code }),
          ),
        ),
      ),
    ])
    const sessions = outcomes.flat().filter((one) => one.case === "response" && sessionOf(one.value))
    assert.is(sessions.length, 1)
    const codes = outcomes.flat().flatMap((one) => (one.case === "error" ? [one.code] : []))
    assert.equal([codes.length, ...new Set(codes)], [179, "NONCE_SPENT"])
  },
)

attack("refuses N-05 a thief every one of the calls that race with the gateway's", async () => {
  const { request } = await answered(gateway, honest)
  const calls = Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? mallory : gateway).verify(request))
  const outcomes = await Promise.allSettled(calls)
  const winners = outcomes.flatMap(({ status }, i) => (status === "fulfilled" ? [i % 2] : []))
  assert.equal(winners, [1])
})

attack("refuses N-05 a second session where good evidence races with bad that answers as well", async () => {
  for (let round = 0; round < 5; round++) {
    const { request } = await answered(gateway, honest)
    const bad = changed(request, ({ pcrBanks: [bank] }) => {
      if (bank !== undefined) bank.values = flipped(bank.values, 0)
    })
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => gateway.verify(i % 2 === 0 ? bad : request)),
    )
    const answers = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []))
    assert.is(answers.length, 1)
  }
})

// Relays: a relying party has a device quote what it needs itself.

const handed: readonly [name: string, nonce: (challenge: CreateChallengeResponse) => Uint8Array][] = [
  ["the digest that a device would quote", digestOf],
  ["the challenge's random bytes", ({ transcript }) => transcript?.random ?? new Uint8Array()],
  ["the beginning of the sealed challenge", ({ challenge }) => challenge.subarray(0, 64)],
  ["the digest, with more behind it", (challenge) => concat(digestOf(challenge), new Uint8Array(8))],
  ["half of the digest", (challenge) => digestOf(challenge).subarray(0, 16)],
]
for (const [name, nonceOf] of handed) {
  attack(`refuses N-06 a session for ${name}, handed to a device as a nonce`, async () => {
    const challenge = await mallory.createChallenge({ audience: "orders" })
    const nonce = nonceOf(challenge)
    const evidence = await honest.answerNonce("default", nonce)
    await refuses(mallory.verify(withChallenge(evidence, challenge)), "NONCE_MISMATCH")
    const result = await mallory.verify(evidence)
    assert.is(result.token.case, "resultToken", "as the nonce that it is, it gets a result and no session")
    const own = await honest.answer(challengeParts(challenge), OWN)
    assert.ok(sessionOf(await mallory.verify(own)), "the challenge was not spent by it")
  })
  attack(
    `refuses N-06 a session for ${name}, handed to a device that quotes nonces as they are`,
    async () => {
      const challenge = await mallory.createChallenge({ audience: "orders" })
      const nonce = nonceOf(challenge)
      const evidence = await quotedRaw(raw, nonce)
      const code = nonceOf === digestOf ? "SESSION_KEY_UNCERTIFIED" : "NONCE_MISMATCH"
      await refuses(mallory.verify(withChallenge(evidence, challenge)), code)
      const result = await mallory.verify(against(evidence, { case: "nonce", value: nonce }))
      assert.is(result.token.case, "resultToken")
      const jwks: unknown = await (await fetch(`${server.publicUrl}/.well-known/jwks.json`)).json()
      for (const audience of ["orders", "backend"])
        throwsCode(
          () =>
            verifySessionToken(String(result.token.value), {
              keys: jwks as { keys: object[] },
              issuer: server.issuer,
              audience,
              at: new Date(),
            }),
          "TOKEN_FORMAT",
        )
    },
  )
}

attack("refuses N-06 a challenge for another audience or key than the device's own", async () => {
  const jkt = { method: { case: "jkt" as const, value: randomBytes(32) } }
  for (const wanted of [
    { audience: "all" },
    { audience: "orders", confirmation: jkt },
    { audience: "orders", confirmation: { method: { case: "x5tS256" as const, value: jkt.method.value } } },
  ]) {
    const challenge = await mallory.createChallenge(wanted)
    await refuses(mallory.verify(await honest.answer(challengeParts(challenge), OWN)), "NONCE_MISMATCH")
  }
  const bound = { ...OWN, confirmation: { method: "jkt" as const, digest: jkt.method.value } }
  const challenge = await mallory.createChallenge({ audience: "orders" })
  await refuses(mallory.verify(await honest.answer(challengeParts(challenge), bound)), "NONCE_MISMATCH")
})

attack("refuses a session for evidence over an epoch, and an epoch that is not there", async () => {
  const epoch = await gateway.getEpoch()
  const evidence = await honest.answerEpoch("default", epoch)
  const challenge = await gateway.createChallenge({ audience: "orders" })
  await refuses(gateway.verify(withChallenge(evidence, challenge)), "NONCE_MISMATCH")
  assert.is((await mallory.verify(evidence)).token.case, "resultToken")
  assert.is((await gateway.verify(evidence)).token.case, "resultToken")
  for (const number of [0n, epoch.number + 1n, epoch.number - 2n, 2n ** 53n - 1n])
    await refuses(gateway.verify(against(evidence, { case: "epoch", value: number })), "EPOCH")
  await refuses(
    gateway.verify(against(evidence, { case: "epoch", value: epoch.number - 1n })),
    "NONCE_MISMATCH",
  )
  await refuses(gateway.verify(against(evidence, { case: "nonce", value: epoch.value })), "NONCE_MISMATCH")
})

// Other devices, other policies.

attack("refuses N-04 a challenge of another connection, where neither caller has a credential", async () => {
  const [address = ""] = server.listen
  const victim = createAttestationClient(address)
  const { request } = await answered(victim, honest)
  const stolen = await rawCall(
    address,
    pathOf(AttestationService.method.verify),
    toBinary(VerifyRequestSchema, request),
    {},
    { "grpc.use_local_subchannel_pool": 1 },
  )
  if (stolen.error === undefined) throw new Error("a stranger got an answer")
  assert.is(stolen.error.code, status.FAILED_PRECONDITION)
  assert.ok(sessionOf(await victim.verify(request)), "it is still unspent")
  victim.close()
})

attack("refuses N-04 the evidence of another device, whatever it says of itself", async () => {
  const challenge = await gateway.createChallenge({ device: "honest", audience: "orders" })
  const parts = challengeParts(challenge)
  const theirs = await second.answer(parts, OWN)
  await refuses(gateway.verify(theirs), "NONCE_CONTEXT")
  await refuses(gateway.verify(await second.answer({ ...parts, device: "second" }, OWN)), "NONCE_CONTEXT")
  await refuses(gateway.verify(await second.answer({ ...parts, device: "" }, OWN)), "NONCE_CONTEXT")
  const masked = changed(theirs, (evidence) => {
    evidence.akName = honest.akName
  })
  await refuses(gateway.verify(masked), "SIGNATURE")
  const nobody = await testDevice().answer(parts, OWN)
  await refuses(gateway.verify(nobody), "DEVICE_NOT_FOUND")
  assert.ok(sessionOf(await gateway.verify(await honest.answer(parts, OWN))), "it is still unspent")
})

attack("refuses P-06 a weaker policy than the device's own", async () => {
  const asked = (wanted: { device?: string; policy: string }) =>
    gateway.createChallenge({ audience: "orders", ...wanted })
  await rejectsCode(() => asked({ device: "honest", policy: "weak" }), "NONCE_CONTEXT")
  await rejectsCode(() => asked({ device: "honest", policy: "nothing" }), "NONCE_CONTEXT")
  await rejectsCode(() => asked({ policy: "nothing" }), "POLICY_NOT_FOUND")
  const weak = await asked({ policy: "weak" })
  const parts = challengeParts(weak)
  await refuses(gateway.verify(await honest.answer(parts, OWN)), "NONCE_CONTEXT")
  await refuses(gateway.verify(await honest.answer({ ...parts, policy: "strict" }, OWN)), "NONCE_CONTEXT")
  const all = await gateway.createChallenge({ audience: "all" })
  await refuses(
    gateway.verify(await honest.answer(challengeParts(all), { ...OWN, audience: "all" })),
    "AUDIENCE",
  )
})

attack(
  "judges by the policy as it is when evidence comes, not as it was when the challenge was made",
  async () => {
    const other = testDevice()
    await enroll(server, other, "other", policyDocument(other, { name: "moving" }))
    const { request } = await answered(gateway, other, { device: "other", policy: "moving" })
    const operator = createAdminClient(server.admin)
    await operator.setPolicy(policyDocument(other, { name: "moving", ak: { binding: "proven" } }))
    operator.close()
    await refuses(gateway.verify(request), "AK_BINDING_UNPROVEN")
  },
)

// Requests that are not what they have to be.

attack("refuses any wrong field with its path, and the challenge can still be used", async () => {
  const { request } = await answered(gateway, honest)
  const path = pathOf(AttestationService.method.verify)
  const authorization = `Bearer ${readFileSync(join(server.data, "gateway.credential"), "utf8").trim()}`
  const before = (await verifications(server)).length
  for (const wrong of WRONG_FIELDS) {
    const { error } = await rawCall(server.tcp, path, wrong.bytes(request), { authorization })
    assert.is(error?.code, status.INVALID_ARGUMENT, wrong.name)
    const [bytes] = error?.metadata.get("grpc-status-details-bin") ?? []
    const { details } = fromBinary(StatusSchema, bytes instanceof Buffer ? bytes : new Uint8Array())
    const found = details.flatMap((any) => anyUnpack(any, BadRequestSchema)?.fieldViolations ?? [])
    const paths = found.map(({ field }) => field)
    assert.equal(paths, [wrong.path], wrong.name)
  }
  assert.is((await verifications(server)).length, before, "nothing was decided")
  assert.ok(sessionOf(await gateway.verify(request)))
})

// Floods.

attack("refuses N-07 to let junk spend anybody's challenge", async () => {
  const { request } = await answered(gateway, honest)
  const junk = Array.from({ length: 60 }, (_, i) =>
    changed(request, (evidence) => {
      // Behind the sizes, so that it is well formed: within r, and within the quote's PCR digest.
      if (i % 2 === 0) evidence.signature = flipped(evidence.signature, 6 + i / 2)
      else evidence.attest = flipped(evidence.attest, evidence.attest.length - 1 - (i % 32))
    }),
  )
  const foreign = await Promise.all([second, raw].map((device) => quotedRaw(device, randomBytes(32))))
  await Promise.all([
    ...junk.map((one) => refuses(gateway.verify(one), "SIGNATURE")),
    ...junk.map((one) => refuses(mallory.verify(one), "NONCE_CONTEXT")),
    ...foreign.map((one) => refuses(gateway.verify(against(one, request.freshness)), "NONCE_MISMATCH")),
  ])
  assert.ok(sessionOf(await gateway.verify(request)))
})
attack("refuses N-04 a sealed challenge with any of its bytes changed", async () => {
  const { challenge, request } = await answered(gateway, honest)
  const sealed = challenge.challenge
  const forged = [
    ...Array.from({ length: 40 }, (_, i) => flipped(sealed, Math.floor((i * sealed.length) / 40))),
    sealed.subarray(0, -1),
    sealed.subarray(1),
    concat(sealed, Uint8Array.of(0)),
    randomBytes(sealed.length),
    Uint8Array.of(0),
  ]
  await Promise.all(
    forged.map((value) =>
      refuses(gateway.verify(against(request, { case: "challenge", value })), "NONCE_UNKNOWN"),
    ),
  )
  assert.ok(sessionOf(await gateway.verify(request)))
})

attack("refuses N-07 to go down under challenges that nobody answers", async () => {
  const { request } = await answered(gateway, honest)
  for (let round = 0; round < 4; round++)
    await Promise.all(Array.from({ length: 200 }, () => mallory.createChallenge({ audience: "orders" })))
  assert.ok(sessionOf(await gateway.verify(request)))
})

attack("stays up under bytes that are no gRPC, and calls that are given up", async () => {
  const junk = [
    Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), randomBytes(500)]),
    randomBytes(2000),
    Buffer.alloc(5000, 0xff),
    Buffer.of(0),
  ]
  const [host, port] = server.tcp.split(":")
  const targets = [{ host, port: Number(port) }, { path: server.unix.replace("unix:", "") }]
  const sockets = targets.flatMap((target) =>
    junk.map((bytes) => {
      const socket = connectSocket(target)
      socket.on("error", () => {})
      socket.on("data", () => {})
      socket.write(bytes)
      return socket
    }),
  )
  const session = connectHttp2(`http://${server.tcp}`)
  session.on("error", () => {})
  const headers = { ":method": "POST", ":path": pathOf(AttestationService.method.verify), te: "trailers" }
  for (let i = 0; i < 100; i++) {
    const stream = session.request({ ...headers, "content-type": "application/grpc" })
    stream.on("error", () => {})
    stream.write(Buffer.from([0, 0, 0, 1, 0]))
    stream.close()
  }
  await attest(gateway, honest)
  for (const socket of sockets) socket.destroy()
  session.destroy()
})

test.run()
