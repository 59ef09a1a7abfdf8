/**
 * `kill -9` of each worker between the spend and the answer, and then the evidence replayed through every other worker and
 * the one that comes after: nobody gets a token for it, whoever made the challenge, and whoever was to answer.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { AttestationClient } from "../../src/client/attestation.ts"
import { AssayError } from "../../src/errors.ts"
import type { VerifyRequest } from "../../src/gen/assay/v1/attestation_pb.ts"
import { waitUntil } from "../support/engines.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import { answered, enroll, readiness, type ServerProcess, sessionOf, verifications } from "./server.ts"
import { clientsOf, serveWorkers, twoOf, untilReady, workersOf } from "./workers.ts"

const device = testDevice()

/** What became of one call: the code that it was refused with. */
const refusalOf = async (client: AttestationClient, request: VerifyRequest): Promise<string> => {
  try {
    return sessionOf(await client.verify(request)) === undefined ? "no session" : "a session"
  } catch (error) {
    if (error instanceof AssayError) return error.code
    throw error
  }
}

const REFUSED: readonly string[] = ["NONCE_SPENT", "NONCE_UNKNOWN", "NONCE_FENCED", "NONCE_STORE"]

/** Whoever is asked, through every connection that there is. Those that died with a worker are made anew. */
const replay = async (clients: readonly AttestationClient[], request: VerifyRequest): Promise<void> => {
  for (const client of clients) {
    let refusal = await refusalOf(client, request)
    for (let tries = 0; refusal === "NO_ANSWER" && tries < 20; tries++)
      refusal = await refusalOf(client, request)
    assert.ok(REFUSED.includes(refusal), `${refusal} is no refusal`)
  }
}

/** Who made the challenge and who is to answer; the one who is to answer is killed. */
const cases: readonly [name: string, maker: 0 | 1, answering: 0 | 1][] = [
  ["the first dies with a challenge of its own", 0, 0],
  ["the second dies with a challenge of its own", 1, 1],
  ["the first dies with a challenge of the second", 1, 0],
  ["the second dies with a challenge of the first", 0, 1],
]

/** Whoever has spent a challenge ends before it has told anybody. */
const POINT = "singleUse.spend:after"

const test = suite("workers that are killed")
const folder = mkdtempSync(join(tmpdir(), "assay-crash-"))
let server: ServerProcess
let owned: ServerProcess | undefined
const clients: AttestationClient[] = []
const ownedClients: AttestationClient[] = []

test.before(async () => {
  server = await serveWorkers(folder, { ASSAY_FAULT: POINT })
  await enroll(server, device, "device-1", policyDocument(device))
})
test.after(async () => {
  for (const client of [...clients, ...ownedClients]) client.close()
  await server.end("SIGKILL")
  if (owned === undefined) return rmSync(folder, { recursive: true, force: true })
  const left = workersOf(owned)
  owned.child.kill("SIGKILL")
  for (const pid of left) if (existsSync(`/proc/${pid}`)) process.kill(pid, "SIGKILL")
  await owned.end("SIGKILL")
  rmSync(folder, { recursive: true, force: true })
})

for (const [name, maker, answering] of cases)
  test(`refuses S-07 a token to everybody after ${name}`, async () => {
    await untilReady(server)
    const before = (await verifications(server)).length
    // New connections too: those of before have all gone to who was left.
    clients.push(...clientsOf(server, clients.length, 2))
    const two = await twoOf(clients)
    const { request } = await answered(two[maker], device)
    assert.is(await refusalOf(two[answering], request), "NO_ANSWER")
    assert.is((await readiness(server)).status, 503)
    await replay(clients, request)
    await untilReady(server)
    await replay(clients.slice(-2), request)
    assert.is((await verifications(server)).length, before)
  })

/** Another server, whose workers end when they have spent what another asked them to, before they have said so. */
for (const owner of [0, 1] as const)
  test(`refuses S-07 a token to everybody after the ${owner === 0 ? "first" : "second"} dies, which owned what was spent`, async () => {
    owned ??= await serveWorkers(join(folder, "owned"), { ASSAY_FAULT: "owner.use:after" })
    const found = owned
    await untilReady(found)
    if (owner === 0) await enroll(found, device, "device-1", policyDocument(device))
    ownedClients.push(...clientsOf(found, ownedClients.length, 2))
    const two = await twoOf(ownedClients)
    const dying = workersOf(found)
    const { request } = await answered(two[owner], device)
    const refusal = await refusalOf(two[owner === 0 ? 1 : 0], request)
    assert.ok(["NONCE_FENCED", "NONCE_STORE"].includes(refusal), refusal)
    await waitUntil(3000, () => workersOf(found).filter((pid) => dying.includes(pid)).length === 1)
    await replay(ownedClients, request)
    await untilReady(found)
    await replay(ownedClients, request)
    assert.is((await verifications(found)).length, 0)
  })

test("refuses S-07 to go on without the supervisor: every worker ends with it", async () => {
  const pids = workersOf(server)
  assert.is(pids.length, 2)
  server.child.kill("SIGKILL")
  const lives = (pid: number): boolean => existsSync(`/proc/${pid}`)
  try {
    await waitUntil(3000, () => !pids.some(lives))
  } finally {
    // Those that go on would keep their end of the pipes, and this process.
    for (const pid of pids.filter(lives)) process.kill(pid, "SIGKILL")
  }
})

test.run()
