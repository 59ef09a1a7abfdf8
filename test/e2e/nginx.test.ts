/**
 * Three replicas on PostgreSQL and Redis behind nginx, of which one is killed under load: what was accepted is in the
 * journal, no challenge is good for two sessions, and calls go on with the others.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { Client, status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { AttestationClient } from "../../src/client/attestation.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import { AssayError } from "../../src/errors.ts"
import { PolicyService } from "../../src/gen/assay/v1/admin_pb.ts"
import { AttestationService, type VerifyRequest } from "../../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { clientCredentials, rawUnary } from "../support/callers.ts"
import { waitUntil } from "../support/engines.ts"
import { DURABLE, needs, usePostgres } from "../support/postgres.ts"
import { isThere } from "../support/prerequisites.ts"
import { createRedis } from "../support/redis.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import { type BehindNginx, letIn, startBehindNginx } from "./behind-nginx.ts"
import { answered, sessionOf } from "./server.ts"

const test = suite("replicas behind nginx")
const ALL = ["postgres", "redis", "nginx"] as const
const folder = mkdtempSync(join(tmpdir(), "assay-nginx-"))
let stage: BehindNginx | undefined
test.after(async () => {
  await stage?.stop()
  rmSync(folder, { recursive: true, force: true })
})
const postgres = usePostgres(test, { settings: DURABLE, isInMemory: true })
const redis = createRedis()
test.after(() => redis.stop())
// One of them is missing: then it is that one that the test is skipped, or fails, for.
const onAll = needs(ALL.find((one) => !isThere(one)) ?? "nginx", test)

/** One attestation: what was sent, and what came of it. */
interface Attempt {
  readonly request: VerifyRequest | undefined
  readonly token: string | undefined
  /** Code that it was refused with. */
  readonly refusal: string | undefined
  readonly endedAt: number
}

const DEVICES = 8
/** So many sessions, and compilers are warm. */
const BEFORE = 5 * DEVICES
const BEFORE_MS = 10_000
const AFTER_MS = 2000
/** Within this the others have taken over: what was under way on the one that died has failed by then. */
const TAKEN_OVER_MS = 1500
/** What nginx makes of a call whose replica is gone: UNAVAILABLE before its answer has begun, INTERNAL after. */
const BROKEN: readonly string[] = ["NO_ANSWER", "INTERNAL"]
const devices = Array.from({ length: DEVICES }, () => testDevice())
const attempts: Attempt[] = []
let isDone = false
let url = ""

const attemptBy = async (client: AttestationClient, device: SoftwareDevice): Promise<Attempt> => {
  let request: VerifyRequest | undefined
  try {
    request = (await answered(client, device)).request
    const token = sessionOf(await client.verify(request))
    return { request, token, refusal: undefined, endedAt: performance.now() }
  } catch (error) {
    if (!(error instanceof AssayError)) throw error
    return { request, token: undefined, refusal: error.code, endedAt: performance.now() }
  }
}

const attestUntilDone = async (client: AttestationClient, device: SoftwareDevice): Promise<void> => {
  while (!isDone) attempts.push(await attemptBy(client, device))
}

/** `jti` of a token. */
const idOf = (token: string): string =>
  JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()).jti

/** The sessions in the journal: token, evidence, and who wrote it. */
const sessions = () =>
  postgres.query(
    `SELECT token_id, encode(evidence_digest, 'hex') AS evidence, writer FROM assay.journal
     WHERE act = 'verify' AND token_id IS NOT NULL`,
    url,
  )

const accepted = (): readonly string[] =>
  attempts.flatMap(({ token }) => (token === undefined ? [] : [token]))

test.before(async () => {
  if (!ALL.every(isThere)) return
  await redis.start()
  url = await postgres.createDatabase()
  stage = await startBehindNginx(folder, { store: url, engine: redis.url })
  const [first = testDevice()] = devices
  await letIn(stage, devices, policyDocument(first))
})

const started = (): BehindNginx => {
  if (stage === undefined) throw new TypeError("everything has been started")
  return stage
}

onAll("S-07 goes on with the others soon after kill -9 of one under load", async () => {
  const { client, replicas } = started()
  const clients = [client(), client()]
  const load = devices.map((device, i) => attestUntilDone(clients[i % clients.length] ?? client(), device))
  await waitUntil(BEFORE_MS, () => accepted().length > BEFORE)
  const killedAt = performance.now()
  assert.is(await replicas[1]?.end("SIGKILL"), "SIGKILL")
  await setTimeout(AFTER_MS)
  isDone = true
  await Promise.all(load)
  const end = performance.now()

  const succeeded = attempts.filter(({ token }) => token !== undefined).map(({ endedAt }) => endedAt)
  const after = succeeded.filter((at) => at >= killedAt).sort((a, b) => a - b)
  assert.ok(after.length > DEVICES, "too little after")
  const gaps = [...after, end].map((at, i) => at - (after[i - 1] ?? killedAt))
  assert.ok(Math.max(...gaps) < TAKEN_OVER_MS, `${Math.max(...gaps)} ms without a session`)
  const failed = attempts.filter(({ token }) => token === undefined)
  for (const { refusal, endedAt } of failed) {
    assert.ok(BROKEN.includes(refusal ?? ""), refusal)
    assert.ok(endedAt >= killedAt && endedAt < killedAt + TAKEN_OVER_MS, `${endedAt - killedAt} ms`)
  }
  assert.ok(failed.length <= 2 * DEVICES, `${failed.length} failed`)
})

onAll("S-07 loses no record of a call that was accepted, whoever of the three had it", async () => {
  const records = await sessions()
  const recorded = new Set(records.map(({ token_id }) => token_id))
  const tokens = accepted().map(idOf)
  assert.is(new Set(tokens).size, tokens.length)
  assert.equal(
    tokens.filter((id) => !recorded.has(id)),
    [],
  )
  // Beyond them there is at most what was written and never came to be answered.
  const unanswered = attempts.filter(({ token }) => token === undefined).length
  assert.ok(records.length <= tokens.length + unanswered, `${records.length} records`)
  assert.is(new Set(records.map(({ writer }) => writer)).size, 3, "all three had some")
})

/** So many accepted ones are shown again; the others are like them. */
const REPLAYED = 60

onAll("S-07 refuses every challenge a second session when it is replayed afterwards", async () => {
  const client = started().client()
  const refusalOf = async (request: VerifyRequest): Promise<string> => {
    try {
      return sessionOf(await client.verify(request)) === undefined ? "no session" : "a session"
    } catch (error) {
      if (error instanceof AssayError) return error.code
      throw error
    }
  }
  const answeredTo = (wanted: boolean): readonly VerifyRequest[] =>
    attempts.flatMap(({ request, token }) =>
      request !== undefined && (token !== undefined) === wanted ? [request] : [],
    )
  const spent = answeredTo(true).slice(-REPLAYED)
  const refusals = await Promise.all(spent.map(refusalOf))
  assert.equal(
    refusals.filter((code) => code !== "NONCE_SPENT"),
    [],
  )
  // Of one that was not answered nobody knows whether it was spent: once it may be good for a session, twice never.
  for (const request of answeredTo(false)) {
    const first = await refusalOf(request)
    assert.ok(["a session", "NONCE_SPENT"].includes(first), first)
    assert.is(await refusalOf(request), "NONCE_SPENT")
  }
  const evidence = (await sessions()).map((record) => record["evidence"])
  assert.is(new Set(evidence).size, evidence.length)
})

/** What a call with nobody's credential ends with. */
const statusOf = async (method: string): Promise<number | undefined> => {
  const client = new Client(started().address, clientCredentials())
  try {
    await rawUnary(client, method)
    return undefined
  } catch (error) {
    if (error instanceof Error && "code" in error) return Number(error.code)
    throw error
  } finally {
    client.close()
  }
}

onAll("passes nothing on that operators call, and leaves it to Assay who a caller is", async () => {
  const { setPolicy } = PolicyService.method
  assert.is(await statusOf(pathOf(setPolicy)), status.UNIMPLEMENTED)
  assert.is(await statusOf(pathOf(AttestationService.method.getEpoch)), status.UNAUTHENTICATED)
})

test.run()
