import { hash } from "node:crypto"
import { createServer, type Server } from "node:http"
import { setImmediate as breathe, setTimeout as sleep } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AssayError } from "../../src/errors.ts"
import { createParseTrust } from "../../src/service/parse-trust.ts"
import { createRefresh } from "../../src/service/refresh.ts"
import type { RefreshReport } from "../../src/service/refresh-report.ts"
import { createFetch } from "../../src/web/fetch.ts"
import { createRefresher, type Refresher, type RefresherOptions } from "../../src/web/refresher.ts"
import { authority, crlNumber, makeCrl } from "../support/crl.ts"
import { clockAt } from "../support/ports/clock.ts"
import { memoryTrust } from "../support/ports/memory-trust.ts"
import { afterNoon, NOON, newAct, trustOf } from "../support/ports/samples.ts"
import { caExtensions, distributionPoint, makeCertificate, time } from "../support/x509.ts"

const test = suite("createRefresher")

const MINUTE = 60_000
const running: Refresher[] = []
test.after.each(async () => {
  for (const refresher of running.splice(0)) await refresher.stop()
})

const report = (tenant: string, change: Partial<RefreshReport> = {}): RefreshReport => ({
  tenant,
  at: NOON,
  generation: 3,
  anchors: 2,
  crls: 1,
  nextUpdate: afterNoon(MINUTE),
  thisUpdate: afterNoon(-MINUTE),
  outcomes: { changed: 1, unchanged: 2, failed: 3 },
  sources: [],
  ...change,
})

type Pass = RefresherOptions["refresh"]["refresh"]

const bench = (pass: Pass, change: Partial<RefresherOptions> = {}) => {
  const clock = clockAt(NOON.toISOString())
  const passed: string[] = []
  const failed: string[] = []
  const refresher = createRefresher({
    refresh: { refresh: pass, unready: () => [] },
    tenants: ["default"],
    clock,
    intervalMs: 1,
    observe: { passed: ({ tenant }) => passed.push(tenant), failed: (tenant) => failed.push(tenant) },
    ...change,
  })
  running.push(refresher)
  return { refresher, clock, passed, failed }
}

/** Waits until something holds. */
const until = async (holds: () => boolean): Promise<void> => {
  for (let i = 0; i < 1000 && !holds(); i++) await sleep(1)
  assert.ok(holds(), "it never came to hold")
}

test("passes over all tenants, again and again, and never twice at a time", async () => {
  let now = 0
  let most = 0
  const { refresher, passed } = bench(
    async (tenant) => {
      most = Math.max(most, ++now)
      await sleep(2)
      now--
      return report(tenant)
    },
    { tenants: ["a", "b"] },
  )
  refresher.start()
  refresher.start()
  await until(() => passed.length >= 6)
  assert.equal(passed.slice(0, 4), ["a", "b", "a", "b"])
  assert.is(most, 1)
})

test("does nothing before it is started, and nothing after it is stopped", async () => {
  const { refresher, passed } = bench(async (tenant) => report(tenant))
  await sleep(10)
  assert.equal(passed, [])
  refresher.start()
  await until(() => passed.length > 2)
  await refresher.stop()
  const count = passed.length
  await sleep(10)
  assert.is(passed.length, count)
})

test("stops a pass that is under way, and does not call that a failure", async () => {
  const { refresher, failed } = bench(
    (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason))
      }),
  )
  refresher.start()
  await refresher.stop()
  assert.equal(failed, [])
  assert.equal(refresher.unready(), [])
})

test("adds up what the tenants' reports say", async () => {
  const other = { generation: 4, anchors: 5, crls: 0, nextUpdate: undefined, thisUpdate: undefined }
  const { refresher, passed } = bench(
    async (tenant) => report(tenant, tenant === "b" ? other : { nextUpdate: afterNoon(5) }),
    { tenants: ["a", "b"], intervalMs: MINUTE },
  )
  assert.equal(refresher.counts().nextUpdate, undefined)
  refresher.start()
  await until(() => passed.length === 2)
  assert.equal(refresher.counts(), {
    anchors: 7,
    generation: 7,
    crls: 1,
    nextUpdate: afterNoon(5),
    ageSeconds: 60,
    outcomes: { changed: 2, unchanged: 4, failed: 6, aborted: 0 },
  })
})

const throws: [name: string, thrown: unknown, code: string][] = [
  ["an error of ours", new AssayError("REGISTRY", "the disk is gone"), "REGISTRY"],
  ["trust that is damaged", new AssayError("TRUST", "damaged"), "TRUST"],
  ["any error", new TypeError("undefined is not a function"), "INTERNAL"],
  ["a text", "text", "INTERNAL"],
  ["nothing", undefined, "INTERNAL"],
]
for (const [name, thrown, code] of throws)
  test(`refuses S-08 to be ready after a pass that threw ${name}, and runs on`, async () => {
    let fails = true
    const { refresher, passed, failed } = bench(async (tenant) => {
      if (fails) throw thrown
      return report(tenant)
    })
    refresher.start()
    await until(() => failed.length > 1)
    assert.equal(refresher.unready(), [`the refresh of trust failed: ${code}`])
    assert.ok(refresher.counts().outcomes.aborted > 1)
    fails = false
    await until(() => passed.length > 0)
    assert.equal(refresher.unready(), [])
  })

test("refuses S-08 to be ready when one tenant of several fails, and serves the others", async () => {
  const { refresher, passed } = bench(
    async (tenant) => {
      if (tenant === "a") throw new AssayError("TRUST", "damaged")
      return report(tenant)
    },
    { tenants: ["a", "b"] },
  )
  refresher.start()
  await until(() => passed.length > 1)
  assert.equal(new Set(passed), new Set(["b"]))
  assert.is(refresher.unready().length, 1)
})

test("refuses S-08 to be ended by an observer that throws", async () => {
  let calls = 0
  const angry = (): never => {
    calls++
    throw new Error("the log is full")
  }
  const { refresher } = bench(async (tenant) => report(tenant), { observe: { passed: angry, failed: angry } })
  refresher.start()
  await until(() => calls > 4)
  assert.equal(refresher.unready(), ["the refresh of trust failed: INTERNAL"])
})

for (const [name, pass] of [
  ["that was never started", undefined],
  ["whose pass never ends", (): Promise<never> => new Promise(() => {})],
] as const)
  test(`refuses S-08 to be ready by a loop ${name}`, async () => {
    const { refresher, clock } = bench(pass ?? (async (tenant) => report(tenant)), { intervalMs: MINUTE })
    if (pass !== undefined) refresher.start()
    running.length = 0
    assert.equal(refresher.unready(), [])
    clock.advance(3 * MINUTE)
    assert.equal(refresher.unready(), [])
    clock.advance(1)
    assert.equal(refresher.unready(), ["the refresh of trust does not run"])
  })

test("is ready while a pass goes on step by step, however long it takes", async () => {
  let step = (): void => {}
  const { refresher, clock } = bench(
    (_, signal, progressed = () => {}) =>
      new Promise((_resolve, reject) => {
        step = progressed
        signal.addEventListener("abort", () => reject(signal.reason))
      }),
    { intervalMs: MINUTE },
  )
  refresher.start()
  await sleep(1)
  for (let minute = 0; minute < 60; minute++) {
    clock.advance(MINUTE)
    step()
    assert.equal(refresher.unready(), [])
  }
  clock.advance(3 * MINUTE + 1)
  assert.equal(refresher.unready(), ["the refresh of trust does not run"])
  step()
  assert.equal(refresher.unready(), [])
})

test("waits for one slow answer longer than for short intervals", async () => {
  const { refresher, clock } = bench(() => new Promise(() => {}), { intervalMs: 10_000 })
  refresher.start()
  running.length = 0
  clock.advance(2 * MINUTE)
  assert.equal(refresher.unready(), [])
  clock.advance(1)
  assert.is(refresher.unready().length, 1)
})

test("says why the trust itself is not fit for use", () => {
  const { refresher, clock } = bench(async (tenant) => report(tenant), {
    refresh: {
      refresh: async (tenant) => report(tenant),
      unready: (at) => [`expired at ${at.getTime() - NOON.getTime()}`],
    },
  })
  clock.advance(2)
  assert.equal(refresher.unready(), ["expired at 2"])
})

test("refuses X-20 to be ready while the source of a required CRL is down, then loads it over HTTP", async () => {
  let body: Uint8Array | undefined
  const server: Server = createServer((_, response) => {
    if (body === undefined) response.writeHead(503)
    response.end(body)
  })
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resolve(typeof address === "object" && address !== null ? address.port : 0)
    })
  })
  try {
    const host = `127.0.0.1:${port}`
    const url = `http://${host}/root.crl`
    const root = authority("Root")
    const extensions = [...caExtensions(), distributionPoint(url)]
    const certificate = makeCertificate(root.keys, root.keys, root.name, root.name, extensions)
    const { trust: store } = memoryTrust()
    const id = hash("sha256", certificate, "hex")
    const anchor = {
      id,
      certificate,
      label: "",
      purpose: "ek",
      revocation: "require",
      provenance: "",
    } as const
    await store.importTrust("default", trustOf({ anchors: [anchor] }), newAct("import-trust"))
    const clock = clockAt(NOON.toISOString())
    const refresh = createRefresh({
      store,
      parse: createParseTrust(() => breathe()),
      fetch: createFetch({ hosts: [host], timeoutMs: 2000 }),
      denied: { size: 0, find: () => undefined },
      clock,
      breathe: () => breathe(),
      jitter: () => 0,
      hosts: [host],
    })
    const { refresher, passed } = bench(refresh.refresh, { refresh, clock })
    refresher.start()
    await until(() => passed.length > 0)
    assert.equal(refresher.unready(), ["there is no CRL of CN=Root"])
    assert.equal(refresher.counts().outcomes, { changed: 0, unchanged: 0, failed: 1, aborted: 0 })
    body = makeCrl(root, {
      thisUpdate: time(afterNoon(-MINUTE)),
      nextUpdate: time(afterNoon(60 * MINUTE)),
      extensions: [crlNumber("01")],
    })
    // Not before its time: the source is asked again when the pause is over.
    const before = passed.length
    await until(() => passed.length > before + 2)
    assert.is(refresher.counts().crls, 0)
    clock.advance(5 * MINUTE)
    await until(() => refresher.counts().crls === 1)
    assert.equal(refresher.unready(), [])
    assert.is((await store.trust("default")).crls[0]?.source.startsWith(`${url}#`), true)
    clock.advance(60 * MINUTE)
    assert.equal(refresher.unready().includes("the CRL of CN=Root has expired"), true)
  } finally {
    server.close()
    server.closeAllConnections()
  }
})

test.run()
