/** Two servers on one PostgreSQL, as in production: what is begun on one ends on the other, whatever the engine. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type AdminClient, createAdminClient } from "../../src/client/admin.ts"
import { type AttestationClient, createAttestationClient } from "../../src/client/attestation.ts"
import { createEnrollmentClient } from "../../src/client/enrollment.ts"
import { type SessionClaims, verifySessionToken } from "../../src/client/session.ts"
import { readConfig } from "../../src/config.ts"
import { enrollmentParts } from "../../src/device/enrollment.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import type { Code } from "../../src/errors.ts"
import { DeviceState } from "../../src/gen/assay/v1/enrollment_pb.ts"
import { AnchorPurpose, AnchorRevocation } from "../../src/gen/assay/v1/trust_pb.ts"
import { createLog, start } from "../../src/main.ts"
import { rejectsCode } from "../support/assert.ts"
import { waitUntil } from "../support/engines.ts"
import { ekChainFor, newcomer } from "../support/newcomer.ts"
import { DURABLE, needs, usePostgres } from "../support/postgres.ts"
import { isThere } from "../support/prerequisites.ts"
import { createRedis } from "../support/redis.ts"
import { TEST_ANCHOR } from "../support/service.ts"
import { policyDocument } from "../support/world.ts"
import { assay } from "./programs.ts"
import { answered, attest, sessionOf } from "./server.ts"

const test = suite("servers that share a store")
// Registered before what they run on, and so done before that ends.
test.after(() => stopAll())
const postgres = usePostgres(test, { settings: DURABLE, isInMemory: true })
const redis = createRedis()
test.before(async () => {
  if (isThere("redis")) await redis.start()
})
test.after(() => redis.stop())
const onPostgres = needs("postgres", test)

/** Of the form that needs no stretching. */
const passphraseOf = (character: string): string => `random-256-bit.${character.repeat(43)}`
const ISSUER = "https://assay.example"
const CREDENTIAL = "ZGVmYXVsdC1nYXRld2F5LW9mLWFsbC1yZXBsaWNhcw"
const root = mkdtempSync(join(tmpdir(), "assay-shared-"))
test.after(() => rmSync(root, { recursive: true }))

/** A server, and who calls it. */
interface Replica {
  readonly server: Awaited<ReturnType<typeof start>>
  readonly gateway: AttestationClient
  readonly options: { readonly credential: string }
  readonly address: string
  readonly operator: AdminClient
  stop(): Promise<void>
}

type Environment = Readonly<Record<string, string>>

/** Where a replica has its data, which another one never has. */
const dataOf = (name: string): string => {
  const data = join(root, name)
  mkdirSync(data, { recursive: true })
  writeFileSync(join(data, "gateway.credential"), CREDENTIAL, { mode: 0o600 })
  return data
}

const startReplica = async (name: string, environment: Environment): Promise<Replica> => {
  const data = dataOf(name)
  const document = {
    data,
    issuer: ISSUER,
    web: { public: "127.0.0.1:0", private: "127.0.0.1:0" },
    credentials: [{ name: "gateway", role: "gateway", file: join(data, "gateway.credential") }],
  }
  const server = await start(readConfig({}, environment, JSON.stringify(document)), createLog("silent"))
  const options = { credential: CREDENTIAL }
  const [address = ""] = server.listen
  const gateway = createAttestationClient(address, options)
  const operator = createAdminClient(server.admin)
  const stop = (): Promise<void> => {
    gateway.close()
    operator.close()
    return server.stop()
  }
  return { server, gateway, options, address, operator, stop }
}

let environment: Environment = {}
const running: Replica[] = []
const stopAll = async (): Promise<void> => {
  for (const { stop } of running.splice(0)) await stop()
}
const restart = async (more: Environment = {}): Promise<void> => {
  await stopAll()
  for (const name of ["one", "other"]) running.push(await startReplica(name, { ...environment, ...more }))
}
const both = (): readonly [Replica, Replica] => {
  const [one, other] = running
  if (one === undefined || other === undefined) throw new TypeError("two servers are there")
  return [one, other]
}
/** Enrolls a device: begun on one, completed on the other. Gives its id. */
const enroll = async (device: SoftwareDevice, one: Replica, other: Replica): Promise<string> => {
  const [first, second] = [one, other].map(({ address, options }) => createEnrollmentClient(address, options))
  if (first === undefined || second === undefined) throw new TypeError("two clients are there")
  try {
    const begun = await first.beginEnrollment({
      akPublic: device.akPublic,
      ekPublic: await device.ekPublic(),
      ekCertificateChain: await ekChainFor(device),
    })
    const made = await second.completeEnrollment(await device.answerEnrollment(enrollmentParts(begun)))
    assert.is(made.state, DeviceState.ACTIVE)
    return made.device
  } finally {
    first.close()
    second.close()
  }
}

/** What a relying party makes of a token that has only ever heard of one of the servers. */
const claimsBy = async ({ server }: Replica, token: string): Promise<SessionClaims> => {
  const keys = JSON.parse(await (await fetch(`${server.publicUrl}/.well-known/jwks.json`)).text())
  return verifySessionToken(token, {
    keys,
    issuer: ISSUER,
    audience: "orders",
    at: new Date(),
    clockToleranceSeconds: 5,
    confirmation: "checked-elsewhere",
  })
}

const isReady = async ({ server }: Replica): Promise<boolean> =>
  (await fetch(`${server.privateUrl}/readyz`)).status === 200

const device = newcomer()
const revoked = newcomer()
let id = ""

onPostgres("has of keys that racing inits make one pair, and starts with no other passphrase", async () => {
  environment = {
    ASSAY_KEY_PASSPHRASE: passphraseOf("a"),
    ASSAY_STORE: "postgres",
    ASSAY_STORE_URL: await postgres.createDatabase(),
  }
  await rejectsCode(() => startReplica("one", environment), "SIGNER")
  const inits = await Promise.all(
    ["one", "other"].map((name) =>
      assay(["init", "--data", dataOf(name), "-o", "json"], { env: environment }),
    ),
  )
  assert.equal(
    inits.map(({ status }) => status),
    [0, 0],
    inits.map(({ stderr }) => stderr).join(),
  )
  const rows = await postgres.query(
    "SELECT name FROM assay.service_keys ORDER BY name",
    environment["ASSAY_STORE_URL"],
  )
  assert.equal(rows, [{ name: "device-ca" }, { name: "signing-key" }])
  const stranger = { ...environment, ASSAY_KEY_PASSPHRASE: passphraseOf("b") }
  const { message } = await rejectsCode(() => startReplica("one", stranger), "SIGNER")
  assert.match(message, /the passphrase is wrong/)
})

onPostgres("enrolls a device across two servers, and gives it tokens that both vouch for", async () => {
  await restart()
  const [one, other] = both()
  assert.not.ok(await isReady(other))
  await one.operator.importTrust({
    anchors: [
      {
        certificate: TEST_ANCHOR,
        label: "test",
        purpose: AnchorPurpose.ANY,
        revocation: AnchorRevocation.OFF,
        provenance: "test",
      },
    ],
  })
  assert.ok(await isReady(other))
  await one.operator.setPolicy(policyDocument(device, { ak: { binding: "proven" } }))
  await one.operator.assignPolicy({ policy: "test" })
  id = await enroll(device, one, other)

  const { request } = await answered(one.gateway, device)
  const token = sessionOf(await other.gateway.verify(request)) ?? ""
  await rejectsCode(() => one.gateway.verify(request), "NONCE_SPENT")
  for (const replica of [one, other]) assert.is((await claimsBy(replica, token)).device, id)
})

/** How long a revocation on one may take until the other one knows. */
const REVOKED_MS = 1000

onPostgres("refuses a device on one server within a second of its revocation on the other", async () => {
  const [one, other] = both()
  const gone = await enroll(revoked, other, one)
  await attest(other.gateway, revoked)
  const { request } = await answered(other.gateway, revoked)
  const before = performance.now()
  await one.operator.revokeDevice({ id: gone })
  const answer = await other.gateway.verify(request)
  const tookMs = performance.now() - before
  assert.is(sessionOf(answer), undefined)
  assert.equal(
    answer.result?.findings.flatMap(({ code }) => code || []),
    ["DEVICE_STATE"],
  )
  assert.ok(tookMs < REVOKED_MS, `${tookMs} ms`)
  await attest(other.gateway, device)
})

/** What a caller gets while the store, or the engine beside it, is away. */
const AWAY: readonly Code[] = ["REGISTRY", "NONCE_STORE", "JOURNAL", "REVISION_UNCONFIRMED"]
const RECOVERED_MS = 5000

const survivesOutage = async (): Promise<void> => {
  const [one, other] = both()
  const [first, second] = [await answered(one.gateway, device), await answered(one.gateway, device)]
  await postgres.kill()
  for (const { request } of [first, second]) {
    const error = await rejectsCode(() => other.gateway.verify(request), AWAY)
    assert.is(error.kind, "unavailable")
  }
  await waitUntil(3000, async () => !(await isReady(one)) && !(await isReady(other)))
  const readiness = await (await fetch(`${other.server.privateUrl}/readyz`)).text()
  // By what is remembered a server goes as far as the journal, and that says it then.
  assert.match(readiness, /PostgreSQL cannot be relied on|the journal cannot be written: connect/)
  // An engine that is another server goes on: what it seals meanwhile is worth nothing as long as this lasts.
  await rejectsCode(async () => one.gateway.verify((await answered(one.gateway, device)).request), AWAY)
  await postgres.start()
  const tookMs = await waitUntil(RECOVERED_MS, async () => (await isReady(one)) && (await isReady(other)))
  assert.ok(tookMs < RECOVERED_MS, `${tookMs} ms`)
  const { request } = await answered(one.gateway, device)
  assert.ok(sessionOf(await other.gateway.verify(request)) !== undefined)
}

onPostgres("issues S-03 nothing while PostgreSQL is away, and recovers with it", survivesOutage)

const withRedis = isThere("postgres") ? needs("redis", test) : onPostgres
withRedis("knows its device and its key after a restart, which brings another engine", async () => {
  const token = await attest(both()[0].gateway, device)
  await restart({ ASSAY_ENGINE: "redis", ASSAY_ENGINE_URL: redis.url })
  const [one, other] = both()
  assert.is((await claimsBy(other, token)).device, id)
  const { request } = await answered(one.gateway, device)
  const next = sessionOf(await other.gateway.verify(request)) ?? ""
  assert.is((await claimsBy(one, next)).device, id)
  await enroll(newcomer(), other, one)
  // Whoever the engine is, the store wakes the others: it alone knows what was committed to it.
  const listening = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'assay-changes'"
  await waitUntil(2000, async () => (await postgres.query(listening)).length === 2)
})
withRedis(
  "issues S-03 nothing while PostgreSQL is away and Redis is there, and recovers with it",
  survivesOutage,
)

test.run()
