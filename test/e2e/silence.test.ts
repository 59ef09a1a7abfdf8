/**
 * S-08 before the running service: what ends or cannot go on beside the calls is told by readiness within its bound, no device is
 * let in meanwhile by what was good before, and all is well again when its cause has gone.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { create } from "@bufbuild/protobuf"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Running } from "../../src/cli/serve.ts"
import { createAdminClient } from "../../src/client/admin.ts"
import { type AttestationClient, createAttestationClient } from "../../src/client/attestation.ts"
import { readConfig } from "../../src/config.ts"
import {
  AnchorPurpose,
  AnchorRevocation,
  NewAnchorSchema,
  NewCrlSchema,
} from "../../src/gen/assay/v1/trust_pb.ts"
import { createLog, start } from "../../src/main.ts"
import { rejectsCode } from "../support/assert.ts"
import { writeServer } from "../support/callers.ts"
import { authority, crlNumber, makeCrl } from "../support/crl.ts"
import { caOf } from "../support/endorsed.ts"
import { waitUntil } from "../support/engines.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import { time } from "../support/x509.ts"
import { answered, attest, enroll, readiness } from "./server.ts"

const BOUND_MS = 10_000
const SECOND_MS = 1000
const device = testDevice()
const root = authority("Root with lists")
const certificate = caOf(root, root)
const data = mkdtempSync(join(tmpdir(), "assay-silence-"))
const tls = writeServer(data)

const test = suite("silence")
let server: Running
let gateway: AttestationClient

const begin = async (): Promise<void> => {
  const settings = {
    ...{ development: true, data, listen: ["127.0.0.1:0", { address: "127.0.0.1:0", tls }] },
    ...{ web: { public: "127.0.0.1:0", private: "127.0.0.1:0" }, journal: { checkpointRecords: 1 } },
  }
  server = await start(readConfig({}, {}, JSON.stringify(settings)), createLog("silent"))
  const credential = readFileSync(join(data, "gateway.credential"), "utf8").trim()
  gateway = createAttestationClient(server.listen[0] ?? "", { credential })
}
const end = async (): Promise<void> => {
  gateway.close()
  await server.stop()
}
/** What is looked at when a server starts, and then not for a while. */
const again = async (): Promise<void> => {
  await end()
  await begin()
}
test.before(async () => {
  await begin()
  await enroll(server, device, "device-1", policyDocument(device))
  await attest(gateway, device)
  await isReady()
})
test.after(async () => {
  await end()
  rmSync(data, { recursive: true })
})

const isReady = () => waitUntil(BOUND_MS, async () => (await readiness(server)).status === 200)
const isUnready = async (why: RegExp): Promise<void> => {
  await waitUntil(BOUND_MS, async () => why.test((await readiness(server)).text))
  assert.is((await readiness(server)).status, 503)
  assert.is((await fetch(`${server.privateUrl}/livez`)).status, 200)
}
/** Does something in the database, beside the server. */
const inStore = async <T>(act: (store: DatabaseSync) => T | Promise<T>): Promise<T> => {
  const store = new DatabaseSync(join(data, "assay.db"))
  try {
    store.exec("PRAGMA busy_timeout = 5000")
    return await act(store)
  } finally {
    store.close()
  }
}

test("refuses S-08 to be ready while nobody can write the journal, and lets no device in", () =>
  inStore(async (store) => {
    const { request } = await answered(gateway, device)
    store.exec("BEGIN IMMEDIATE")
    await rejectsCode(() => gateway.verify(request), "JOURNAL")
    await isUnready(/the journal cannot be written/)
    store.exec("ROLLBACK")
    await isReady()
    await attest(gateway, device)
  }))
const tables: readonly [name: string, table: string, why: RegExp][] = [
  [
    "the journal's checkpoints cannot be made",
    "journal_checkpoints",
    /the journal's checkpoints cannot be made/,
  ],
  ["the journal cannot be read", "journal", /the database cannot be read/],
  ["what is trusted cannot be read", "trust_state", /what is trusted cannot be read/],
]
for (const [name, table, why] of tables)
  test(`refuses S-08 to be ready while ${name}`, () =>
    inStore(async (store) => {
      store.exec(`ALTER TABLE ${table} RENAME TO kept_elsewhere`)
      try {
        // So that there is something to make a checkpoint of.
        await attest(gateway, device).catch(() => undefined)
        await isUnready(why)
      } finally {
        store.exec(`ALTER TABLE kept_elsewhere RENAME TO ${table}`)
      }
      await isReady()
      await attest(gateway, device)
    }))
test("refuses S-08 to be ready while its certificate is not what its files have", async () => {
  const before = readFileSync(tls.certificate)
  writeFileSync(tls.certificate, before.subarray(0, 100))
  await isUnready(/certificate/)
  writeFileSync(tls.certificate, before)
  await isReady()
  await attest(gateway, device)
})

const importing = async (
  given: Parameters<ReturnType<typeof createAdminClient>["importTrust"]>[0],
): Promise<void> => {
  const operator = createAdminClient(server.admin)
  await operator.importTrust(given)
  operator.close()
}
const listUntil = (until: Date) => {
  const parts = { thisUpdate: time(new Date(Date.now() - 60 * SECOND_MS)), nextUpdate: time(until) }
  return create(NewCrlSchema, { crl: makeCrl(root, { ...parts, extensions: [crlNumber("01")] }) })
}
test("refuses S-08 to be ready while there is no list of a maker whose lists are required", async () => {
  const [purpose, revocation] = [AnchorPurpose.EK, AnchorRevocation.REQUIRE]
  const anchor = { certificate, label: "lists", provenance: "test", purpose, revocation }
  await importing({ anchors: [create(NewAnchorSchema, anchor)] })
  await again()
  await isUnready(/there is no CRL of CN=Root with lists/)
})
test("refuses S-08 to be ready when such a list has ended, though nothing looks at it until then", async () => {
  const until = new Date(Math.ceil(Date.now() / SECOND_MS) * SECOND_MS + 3 * SECOND_MS)
  await importing({ crls: [listUntil(until)] })
  await again()
  await isReady()
  assert.ok(Date.now() < until.getTime())
  await isUnready(/the CRL of CN=Root with lists has expired/)
  assert.ok(Date.now() >= until.getTime())
})

test.run()
