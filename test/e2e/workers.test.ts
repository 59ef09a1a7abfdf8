/** `assay serve --workers 2` as processes: what one worker hands out the others take, once, and it dies with its maker. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createAdminClient } from "../../src/client/admin.ts"
import type { AttestationClient } from "../../src/client/attestation.ts"
import { AssayError } from "../../src/errors.ts"
import type { VerifyRequest } from "../../src/gen/assay/v1/attestation_pb.ts"
import { rejectsCode } from "../support/assert.ts"
import { waitUntil } from "../support/engines.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import {
  answered,
  attest,
  enroll,
  readiness,
  type ServerProcess,
  sessionOf,
  verifications,
} from "./server.ts"
import { clientsOf, makerOf, metric, serveWorkers, twoOf, untilReady, workersOf } from "./workers.ts"

const test = suite("workers")
const device = testDevice()
const folder = mkdtempSync(join(tmpdir(), "assay-workers-"))
let server: ServerProcess
let clients: readonly AttestationClient[] = []

test.before(async () => {
  server = await serveWorkers(folder)
  await enroll(server, device, "device-1", policyDocument(device))
  clients = clientsOf(server)
})
test.after(async () => {
  for (const client of clients) client.close()
  await server.end("SIGKILL")
  rmSync(folder, { recursive: true, force: true })
})

test("accepts a challenge of each worker on the other, and refuses N-01 on both from then on", async () => {
  const both = await twoOf(clients)
  for (const [maker, other] of [both, both.toReversed()]) {
    if (maker === undefined || other === undefined) throw new TypeError("two")
    const { request } = await answered(maker, device)
    assert.ok(sessionOf(await other.verify(request)) !== undefined)
    for (const client of both) {
      const error = await rejectsCode(() => client.verify(request), "NONCE_SPENT")
      assert.is(error.challenge, "spent")
    }
  }
  const epochs = await Promise.all(clients.map((client) => client.getEpoch()))
  for (const { value } of epochs) assert.equal(value, epochs[0]?.value)
})

test("logs which process each worker is, beside its own", async () => {
  const begun = server.lines().filter(({ msg }) => msg === "a worker serves")
  assert.equal(new Set(begun.map(({ workerPid }) => workerPid)), new Set(workersOf(server)))
  assert.ok(begun.every(({ pid }) => pid === server.child.pid))
})

/** So many calls with one request, spread over all connections: how many had a session, and the codes of the others. */
const race = async (
  request: VerifyRequest,
  count: number,
): Promise<{ sessions: number; codes: Set<string> }> => {
  const codes = new Set<string>()
  let sessions = 0
  const call = async (client: AttestationClient): Promise<void> => {
    try {
      if (sessionOf(await client.verify(request)) !== undefined) sessions++
    } catch (error) {
      if (!(error instanceof AssayError)) throw error
      codes.add(error.code)
    }
  }
  const calls = Array.from({ length: count }, (_, i) => clients[i % clients.length])
  // Of many at once some are not even looked at, and on a busy machine all of them: then they ask again.
  do {
    codes.delete("OVERLOADED")
    await Promise.all(calls.map((client) => client && call(client)))
  } while (sessions === 0 && codes.size === 1 && codes.has("OVERLOADED"))
  codes.delete("OVERLOADED")
  return { sessions, codes }
}

for (const count of [2, 10, 100, 1000])
  test(`refuses N-05 all but one of ${count} calls over connections to all workers`, async () => {
    const before = (await verifications(server)).length
    const [maker] = await twoOf(clients)
    const { sessions, codes } = await race((await answered(maker, device)).request, count)
    assert.is(sessions, 1)
    assert.equal([...codes], ["NONCE_SPENT"])
    assert.is((await verifications(server)).length, before + 1)
  })

test("refuses N-05 all but one of many challenges that race at once on all workers", async () => {
  const requests: VerifyRequest[] = []
  const both = await twoOf(clients)
  while (requests.length < 25)
    for (const maker of both) requests.push((await answered(maker, device)).request)
  const raced = await Promise.all(requests.map((request) => race(request, 8)))
  assert.equal([...new Set(raced.map(({ sessions }) => sessions))], [1])
})

test("sums what the workers count, and keeps it when one has ended", async () => {
  const before = await metric(server, "assay_verifications_total")
  const calls = await metric(server, "assay_rpc_duration_seconds_count", "Verify")
  for (const client of [...clients, ...clients]) await attest(client, device)
  const count = 2 * clients.length
  assert.is(await metric(server, "assay_verifications_total"), before + count)
  assert.is(await metric(server, "assay_rpc_duration_seconds_count", "Verify"), calls + count)
  const [pid = 0] = workersOf(server)
  process.kill(pid, "SIGKILL")
  await waitUntil(2000, () => !workersOf(server).includes(pid))
  assert.is(await metric(server, "assay_verifications_total"), before + count)
  assert.is(await metric(server, "assay_rpc_duration_seconds_count", "Verify"), calls + count)
  await untilReady(server)
})

test("refuses S-08 to be ready while a worker is not there, and each comes back", async () => {
  for (const pid of workersOf(server)) {
    assert.is((await readiness(server)).status, 200)
    process.kill(pid, "SIGKILL")
    await waitUntil(2000, async () => (await readiness(server)).status === 503)
    assert.match((await readiness(server)).text, /worker \d is not there/)
    assert.is((await fetch(`${server.privateUrl}/livez`)).status, 200)
    await untilReady(server)
  }
  assert.is(workersOf(server).length, 2)
  for (const client of clients)
    await waitUntil(2000, () =>
      attest(client, device).then(
        () => true,
        () => false,
      ),
    )
})

test("refuses S-08 to be ready while a worker does nothing, and has another one in its place", async () => {
  const [pid = 0] = workersOf(server)
  process.kill(pid, "SIGSTOP")
  await waitUntil(5000, async () => (await readiness(server)).status === 503)
  assert.match((await readiness(server)).text, /worker \d does not answer/)
  await waitUntil(8000, () => !workersOf(server).includes(pid))
  await untilReady(server)
  for (const client of await twoOf(clients)) await attest(client, device)
})

test("refuses on every worker at once what an operator has revoked", async () => {
  const operator = createAdminClient(server.admin)
  const [one, other] = await twoOf(clients)
  for (const client of [one, other]) await attest(client, device)
  const late = await answered(one, device)
  await operator.revokeDevice({ id: "device-1" })
  operator.close()
  assert.is(sessionOf(await other.verify(late.request)), undefined)
  for (const client of clients) {
    const { request } = await answered(client, device)
    assert.is(sessionOf(await client.verify(request)), undefined)
  }
})

test("answers what is open when it is told to stop, and leaves no process behind", async () => {
  const before = (await verifications(server)).length
  // So many that most are open when the first has been recorded.
  const askers = Array.from({ length: 40 }, () => clients).flat()
  const made = await Promise.all(askers.map((client) => answered(client, device)))
  assert.ok(new Set(made.map(({ challenge }) => makerOf(challenge))).size > 1)
  // Each is answered by another than the one that made it.
  const calls = made.map(({ request }, i) =>
    clients[(i + 1) % clients.length]?.verify(request).then(
      () => "answered",
      (error: unknown) => (error instanceof AssayError ? error.code : "unknown"),
    ),
  )
  await waitUntil(2000, async () => (await verifications(server)).length > before)
  const pids = workersOf(server)
  assert.is(await server.end(), 0)
  const answers = await Promise.all(calls)
  const count = answers.filter((one) => one === "answered").length
  assert.equal(
    answers,
    made.map(() => "answered"),
  )
  assert.is((await verifications(server)).length, before + count)
  for (const pid of pids) assert.throws(() => process.kill(pid, 0))
})

test.run()
