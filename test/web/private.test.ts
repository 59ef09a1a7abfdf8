import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createMetrics } from "../../src/web/metrics.ts"
import { type Check, createPrivateApp } from "../../src/web/private.ts"
import { bucketOf } from "../support/buckets.ts"

const test = suite("createPrivateApp")

const metrics = createMetrics({
  challenges: () => ({ created: 0, spent: 0, outstanding: 0 }),
  caches: () => [],
})
const app = (live: Check, ready: Check = () => []) =>
  createPrivateApp({ metrics: metrics.registry, live, ready, bucketOf })

test("shows the metrics as Prometheus reads them", async () => {
  const response = await app(() => []).request("/metrics")
  assert.is(response.status, 200)
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/)
  assert.is(response.headers.get("cache-control"), "no-store")
  assert.match(await response.text(), "assay_verifications_total")
})

test("answers 200 while there is no reason against it", async () => {
  for (const path of ["/livez", "/readyz"]) {
    const response = await app(() => []).request(path)
    assert.is(response.status, 200)
    assert.equal(await response.json(), { status: "ok" })
  }
})

test("answers 503 with every reason", async () => {
  const reasons = ["no random bytes", "the signing key has ended"]
  const response = await app(
    () => [],
    async () => reasons,
  ).request("/readyz")
  assert.is(response.status, 503)
  assert.is(response.headers.get("cache-control"), "no-store")
  assert.equal(await response.json(), { status: "unavailable", reasons })
})

for (const [name, check] of [
  [
    "throws",
    () => {
      throw new Error("secret")
    },
  ],
  ["rejects", () => Promise.reject(new Error("secret"))],
] as const)
  test(`answers 503 for a check that ${name}, and does not say what`, async () => {
    for (const path of ["/livez", "/readyz"]) {
      const response = await app(check, check).request(path)
      assert.is(response.status, 503)
      assert.not((await response.text()).includes("secret"))
    }
  })

test("G-09 makes metrics and readiness once for all who ask at once, and no more often than it may", async () => {
  let made = 0
  const app = createPrivateApp({
    metrics: {
      contentType: metrics.registry.contentType,
      metrics: async () => `${++made}`,
    },
    live: () => [],
    ready: async () => [`${++made}`],
    // What it grants at once, and no more.
    bucketOf: ({ burst }) => {
      let left = burst
      return { take: () => (left-- > 0 ? 0 : 1), wait: () => 0 }
    },
  })
  for (const [path, atOnce] of [
    ["/metrics", 150],
    ["/readyz", 100],
  ] as const) {
    made = 0
    await Promise.all(Array.from({ length: 50 }, () => app.request(path)))
    assert.is(made, 1)
    for (let i = 0; i < atOnce + 100; i++) await app.request(path)
    assert.is(made, 1 + atOnce)
  }
})

for (const host of ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil.example"])
  test(`refuses requests for ${host}, which a browser may have been led to here`, async () => {
    assert.is((await app(() => []).request(`http://${host}:7402/metrics`)).status, 421)
  })
for (const host of ["127.0.0.1", "localhost", "[::1]"])
  test(`answers requests for ${host}`, async () => {
    assert.is((await app(() => []).request(`http://${host}:7402/livez`)).status, 200)
  })

test("does not show the public pages", async () => {
  for (const path of ["/.well-known/jwks.json", "/epoch", "/"])
    assert.is((await app(() => []).request(path)).status, 404)
})

test.run()
