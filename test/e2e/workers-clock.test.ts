/**
 * The clock of the machine is turned while a server of two workers runs, and one of them ends: the one that comes after it
 * has seen no other time, and must not take it for the right one while all others refuse.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { AttestationClient } from "../../src/client/attestation.ts"
import { AssayError } from "../../src/errors.ts"
import { waitUntil } from "../support/engines.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import { answered, enroll, readiness, type ServerProcess, sessionOf } from "./server.ts"
import { clientsOf, serveWorkers, twoOf, untilReady, workersOf } from "./workers.ts"

const test = suite("workers and a clock that is turned")
const HOUR_MS = 3_600_000
const CLIENTS = 4

const codeOf = async (act: () => Promise<unknown>): Promise<string> => {
  try {
    await act()
    return "OK"
  } catch (error) {
    if (error instanceof AssayError) return error.code
    throw error
  }
}

const folder = mkdtempSync(join(tmpdir(), "assay-clock-"))
const turnedBy = join(folder, "turned-by")
const turn = (ms: number): void => writeFileSync(turnedBy, String(ms))
const device = testDevice()
const clients: AttestationClient[] = []
let server: ServerProcess

test.before(async () => {
  turn(0)
  const turned = pathToFileURL(join(import.meta.dirname, "../support/turned-clock.ts")).href
  server = await serveWorkers(join(folder, "server"), {
    NODE_OPTIONS: `--import=${turned}`,
    ASSAY_TURNED_BY: turnedBy,
  })
  await enroll(server, device, "device-1", policyDocument(device))
})
test.after(async () => {
  for (const client of clients) client.close()
  await server.end("SIGKILL")
  rmSync(folder, { recursive: true, force: true })
})

/** How many workers have begun to serve so far. */
const begunIn = ({ lines }: ServerProcess): number =>
  lines().filter(({ msg }) => msg === "a worker serves").length
const wants = (client: AttestationClient) => client.createChallenge({ audience: "orders" })

for (const [direction, ms] of [
  ["back", -HOUR_MS],
  ["ahead", HOUR_MS],
] as const)
  test(`refuses S-06 whatever a worker is asked that begins after the clock was turned ${direction}`, async () => {
    await untilReady(server)
    const before = clientsOf(server, clients.length, CLIENTS)
    clients.push(...before)
    const [one, other] = await twoOf(before)
    const { request } = await answered(one, device)
    turn(ms)
    for (const client of [one, other])
      await waitUntil(3000, async () => (await codeOf(() => wants(client))) === "CLOCK")

    const begun = begunIn(server)
    const pid = workersOf(server).at(-1)
    if (pid === undefined) throw new TypeError("a worker")
    process.kill(pid, "SIGKILL")
    await waitUntil(10_000, () => begunIn(server) > begun)
    // Half of these go to the new one, which has none.
    const after = clientsOf(server, clients.length, CLIENTS)
    clients.push(...after)
    for (const client of after) {
      assert.is(await codeOf(() => wants(client)), "CLOCK")
      assert.is(await codeOf(() => client.verify(request)), "CLOCK")
    }
    assert.is((await readiness(server)).status, 503)

    turn(0)
    await untilReady(server)
    for (const client of after) {
      const shown = await answered(client, device)
      assert.ok(sessionOf(await client.verify(shown.request)) !== undefined)
    }
  })

test.run()
