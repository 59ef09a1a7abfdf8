/** Whose turn it is: the time that a caller's requests take is taken from its own, and who may be many shares his. */
import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { type AdminClient, createAdminClient } from "../../src/client/admin.ts"
import { createAttestationClient } from "../../src/client/attestation.ts"
import type { Service } from "../../src/service/service.ts"
import { newRecord } from "../support/ports/samples.ts"
import { goodVerify, type Running, result, running } from "./fake.ts"
import { pause, until } from "./raw.ts"

const test = suite("turns on a running server")
const names = ["dear", "cheap"] as const
const credentials = names.map((name) => ({
  name,
  role: "gateway" as const,
  tenant: "default",
  sha256: hash("sha256", `secret-of-${name}`, "buffer"),
}))
const ASKED = 30
const STRANGERS = 6
/** For all of them to come, while the first is answered. */
const TO_COME_MS = 300
/** One at a time, and whatever waits meanwhile is not refused for it. */
const GATED = { runningMax: 1, waitMs: 60_000 }

/** Who was served in which order, one at a time, when each request of the one has taken so many milliseconds. */
const order = async (ms: number): Promise<readonly string[]> => {
  const { promise: whenAllWait, resolve: begin } = Promise.withResolvers<void>()
  const served: string[] = []
  let calls = 0
  let server: Running | undefined
  const verify: Service["verify"] = async (_, caller) => {
    calls += 1
    await whenAllWait
    served.push(caller.id)
    if (caller.id === "dear" && ms > 0) server?.charge(caller, ms)
    return result()
  }
  const charged: number[] = []
  const limits = GATED
  server = await running({ verify }, { credentials, limits, charged: (seconds) => charged.push(seconds) })
  const { address, stop } = server
  const clients = names.map((name) => createAttestationClient(address, { credential: `secret-of-${name}` }))
  const answers = clients.flatMap((client) =>
    Array.from({ length: ASKED }, () => client.verify(goodVerify())),
  )
  await until(() => calls === 1)
  await pause(TO_COME_MS)
  begin()
  await Promise.all(answers)
  for (const client of clients) client.close()
  await stop()
  assert.equal(charged, Array(ms > 0 ? ASKED : 0).fill(ms / 1000))
  return served
}

test("N-07 takes turns by the time that requests take, and tells of it", async () => {
  const countIn = (all: readonly string[]): number =>
    all.slice(0, ASKED).filter((caller) => caller === "dear").length
  const [free, charged] = [countIn(await order(0)), countIn(await order(1.25))]
  assert.ok(free >= 12, `${free}`)
  assert.ok(charged <= 8, `${charged}`)
})

test("N-07 counts what was refused at once for a caller's own bound when it is asked whose turn it is", async () => {
  const { promise: whenAllWait, resolve: begin } = Promise.withResolvers<void>()
  const served: string[] = []
  let calls = 0
  const verify: Service["verify"] = async (_, caller) => {
    calls += 1
    await whenAllWait
    served.push(caller.id)
    return result()
  }
  const rates = { callsMax: ASKED + 1 }
  const server = await running({ verify }, { credentials, limits: GATED, rates })
  const [flood, modest] = names.map((name) =>
    createAttestationClient(server.address, { credential: `secret-of-${name}` }),
  )
  if (flood === undefined || modest === undefined) throw new TypeError("two callers")
  const ask = (client: typeof flood, count: number) =>
    Array.from({ length: count }, () => client.verify(goodVerify()))
  const answers = ask(flood, 1)
  await until(() => calls === 1)
  answers.push(...ask(flood, ASKED))
  await pause(TO_COME_MS)
  const refused = await Promise.allSettled(ask(flood, 10 * ASKED))
  assert.ok(refused.every(({ status }) => status === "rejected"))
  answers.push(...ask(modest, ASKED))
  await pause(TO_COME_MS)
  begin()
  await Promise.all(answers)
  for (const client of [flood, modest]) client.close()
  await server.stop()
  const first = served.slice(1, 1 + ASKED).filter((caller) => caller === "dear").length
  assert.ok(first <= 4, `${first}`)
})

test("N-07 lets holders of enrollment tokens, however many, have the turns of one caller", async () => {
  const { promise: whenAllWait, resolve: begin } = Promise.withResolvers<void>()
  const served: string[] = []
  const verify: Service["verify"] = async (_, caller) => {
    await whenAllWait
    served.push(caller.id)
    return result()
  }
  const limits = GATED
  const enrollmentToken = async (sha256: Uint8Array) => ({ tenant: "default", id: toHex(sha256) })
  const { address, stop } = await running({ verify }, { credentials, limits, enrollmentToken })
  const gateway = createAttestationClient(address, { credential: "secret-of-cheap" })
  const strangers = Array.from({ length: STRANGERS }, (_, i) =>
    createAttestationClient(address, { credential: `aet_${i}` }),
  )
  const answers = [...strangers, gateway].flatMap((client) =>
    Array.from({ length: ASKED }, () => client.verify(goodVerify())),
  )
  await pause(TO_COME_MS)
  begin()
  await Promise.all(answers)
  for (const client of [...strangers, gateway]) client.close()
  await stop()
  assert.is(served.length, (STRANGERS + 1) * ASKED)
  const own = served.slice(0, 2 * ASKED).filter((caller) => caller === "cheap").length
  assert.ok(own >= ASKED - 8, `${own}`)
  assert.is(new Set(served).size, STRANGERS + 1)
})
/** A moment of the loop, which a caller's answer takes. */
const TAKEN_MS = 3
const busy = (ms: number): void => {
  const end = performance.now() + ms
  while (performance.now() < end);
}
const auditor = [
  {
    name: "auditor",
    role: "auditor" as const,
    tenant: "default",
    sha256: hash("sha256", "secret-of-auditor", "buffer"),
  },
]
/** A record that takes long to be told. */
const longRecord = {
  kind: "record" as const,
  writer: "local",
  sequence: 1,
  position: 1,
  hash: new Uint8Array(32),
  get content() {
    busy(TAKEN_MS)
    return newRecord("device-1")
  },
}
const told: [what: string, overrides: Partial<Service>, ask: (client: AdminClient) => Promise<unknown>][] = [
  [
    "a page of records",
    { records: async () => ({ records: [longRecord], next: undefined }) },
    (client) => client.listRecords({ pageSize: 10 }),
  ],
  [
    "a part of an exported journal",
    {
      exportJournal: async function* () {
        yield { kind: "entries", entries: [longRecord] }
      },
    },
    async (client) => {
      for await (const _ of client.exportJournal()) void 0
    },
  ],
]
for (const [what, overrides, ask] of told)
  test(`N-07 takes what it takes to tell ${what} from the caller's turns`, async () => {
    const charged: number[] = []
    const charge = (seconds: number): void => void charged.push(seconds)
    const server = await running(overrides, { credentials: auditor, charged: charge })
    const client = createAdminClient(server.address, { credential: "secret-of-auditor" })
    try {
      await ask(client)
      assert.ok(charged.reduce((sum, one) => sum + one, 0) >= TAKEN_MS / 1000, `${charged}`)
    } finally {
      client.close()
      await server.stop()
    }
  })

test.run()
