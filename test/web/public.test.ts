import { createRemoteJWKSet, jwtVerify } from "jose"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AssayError } from "../../src/errors.ts"
import { type Listening, listen } from "../../src/web/listen.ts"
import { createPublicApp, type PublishedEpoch } from "../../src/web/public.ts"
import { bucketOf } from "../support/buckets.ts"
import { SIGNER_TIME, signedToken, testSigner, tokenHeader } from "../support/signer.ts"

const test = suite("createPublicApp")

const ec = testSigner("ES256")
const ed = testSigner("EdDSA")
const epoch: PublishedEpoch = {
  number: 5_907_888,
  value: new Uint8Array(32).fill(0xab),
  startsAt: new Date("2026-03-01T12:00:00Z"),
  endsAt: new Date("2026-03-01T12:05:00Z"),
  token: "header.payload.signature",
}
let currentEpoch = (): PublishedEpoch | Promise<PublishedEpoch> => epoch

let site: Listening
let origin = ""
test.before(async () => {
  // The issuer is known only once the port is.
  const app = createPublicApp({
    bucketOf,
    issuer: () => origin,
    jwks: () => ({ keys: [...ec.jwks.keys, ...ed.jwks.keys] }),
    deviceCa: () => "the authority's certificate\n",
    epoch: () => currentEpoch(),
  })
  site = await listen(app, "127.0.0.1:0", { bucketOf, reach: "loopback" })
  origin = site.url
})
test.after(() => site.close())
test.before.each(() => {
  currentEpoch = () => epoch
})

test("lets jose verify tokens of both algorithms, found by discovery alone", async () => {
  const response = await fetch(`${origin}/.well-known/openid-configuration`)
  const discovered: unknown = await response.json()
  assert.equal(discovered, {
    issuer: origin,
    jwks_uri: `${origin}/.well-known/jwks.json`,
    response_types_supported: ["id_token"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["ES256", "EdDSA"],
  })
  const keys = createRemoteJWKSet(new URL(`${origin}/.well-known/jwks.json`))
  for (const signer of [ec, ed]) {
    const now = SIGNER_TIME.getTime() / 1000
    const token = signedToken(signer, tokenHeader(signer), { iss: origin, aud: "orders", exp: now + 60 })
    const { payload } = await jwtVerify(token, keys, {
      algorithms: ["ES256", "EdDSA"],
      issuer: origin,
      audience: "orders",
      currentDate: SIGNER_TIME,
    })
    assert.is(payload.aud, "orders")
  }
})

test("shows the keys as a JWK Set and nothing secret of them", async () => {
  const response = await fetch(`${origin}/.well-known/jwks.json`)
  assert.is(response.headers.get("content-type"), "application/jwk-set+json")
  assert.is(response.headers.get("cache-control"), "public, max-age=300")
  assert.is(response.headers.get("x-content-type-options"), "nosniff")
  const text = await response.text()
  assert.equal(JSON.parse(text), { keys: [...ec.jwks.keys, ...ed.jwks.keys] })
  assert.not(text.includes('"d"'))
})

test("shows the device authority's certificate as PEM", async () => {
  const response = await fetch(`${origin}/.well-known/assay/device-ca.pem`)
  assert.is(response.headers.get("content-type"), "application/pem-certificate-chain")
  assert.is(response.headers.get("cache-control"), "public, max-age=3600")
  assert.is(response.headers.get("x-content-type-options"), "nosniff")
  assert.is(await response.text(), "the authority's certificate\n")
})

test("shows the epoch, and lets nobody remember it", async () => {
  const response = await fetch(`${origin}/epoch`)
  assert.is(response.headers.get("content-type"), "application/json")
  assert.is(response.headers.get("cache-control"), "no-store")
  assert.equal(await response.json(), {
    number: 5_907_888,
    value: "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s",
    start: "2026-03-01T12:00:00.000Z",
    end: "2026-03-01T12:05:00.000Z",
    token: "header.payload.signature",
  })
})

test("G-09 signs one epoch for all who ask at once, and no more often than it may", async () => {
  let made = 0
  const app = createPublicApp({
    bucketOf: ({ burst }) => {
      let left = burst
      return { take: () => (left-- > 0 ? 0 : 1), wait: () => 0 }
    },
    issuer: () => origin,
    jwks: () => ec.jwks,
    deviceCa: () => "",
    epoch: async () => {
      made++
      return epoch
    },
  })
  await Promise.all(Array.from({ length: 50 }, () => app.request("/epoch")))
  assert.is(made, 1)
  for (let i = 0; i < 100; i++) assert.is((await app.request("/epoch")).status, 200)
  assert.is(made, 21)
})

test("answers HEAD as GET, without the body", async () => {
  const response = await fetch(`${origin}/.well-known/jwks.json`, { method: "HEAD" })
  assert.is(response.status, 200)
  assert.is(response.headers.get("content-type"), "application/jwk-set+json")
  assert.is(await response.text(), "")
})

for (const path of [
  "/",
  "/metrics",
  "/livez",
  "/.well-known",
  "/.well-known/jwks.json/",
  "/epoch/../x",
  "/__proto__",
])
  test(`answers 404 in problem details for ${path}`, async () => {
    const response = await fetch(origin + path)
    assert.is(response.status, 404)
    assert.is(response.headers.get("content-type"), "application/problem+json")
    assert.equal(await response.json(), { type: "about:blank", title: "Not Found", status: 404 })
  })

for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
  test(`answers 405 in problem details for ${method}`, async () => {
    const body = method === "OPTIONS" ? null : "x".repeat(100_000)
    const response = await fetch(`${origin}/epoch`, { method, body })
    assert.is(response.status, 405)
    assert.is(response.headers.get("allow"), "GET, HEAD")
    assert.is(response.headers.get("content-type"), "application/problem+json")
    assert.equal(await response.json(), { type: "about:blank", title: "Method Not Allowed", status: 405 })
  })

for (const [name, error, status, code] of [
  ["503 with the code while something is away", new AssayError("SIGNER", "a secret reason"), 503, "SIGNER"],
  ["500 and nothing more for a fault", new Error("a secret reason"), 500, undefined],
] as const)
  test(`answers ${name}`, async () => {
    currentEpoch = () => Promise.reject(error)
    const response = await fetch(`${origin}/epoch`)
    assert.is(response.status, status)
    assert.is(response.headers.get("cache-control"), "no-store")
    const text = await response.text()
    assert.not(text.includes("secret"))
    const problem: { code?: string } = JSON.parse(text)
    assert.is(problem.code, code)
  })

test.run()
