import { createLocalJWKSet, jwtVerify } from "jose"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { fromBase64Url, toHex } from "../../src/bytes.ts"
import { verifySessionToken } from "../../src/client/session.ts"
import { epochExtraData } from "../../src/evidence/transcript.ts"
import { rejectsCode, throwsCode } from "../support/assert.ts"
import { codesOf, enroll, evidenceOver, GATEWAY, START, withService } from "../support/service.ts"
import { policyDocument, testDevice } from "../support/world.ts"

const LENGTH_MS = 300_000
const device = testDevice()

const test = suite("createEpoch")

const issuer = "https://assay.example"

for (const algorithm of ["ES256", "EdDSA"] as const)
  test(`signs the epoch with ${algorithm}, so that jose accepts it until the epoch ends`, () =>
    withService(
      async (world) => {
        world.advance(90_500)
        const { epoch, token } = await world.service.epoch(GATEWAY)
        const verify = (currentDate: Date) =>
          jwtVerify(token, createLocalJWKSet({ keys: [...world.jwks.keys] }), {
            algorithms: [algorithm],
            typ: "assay-epoch+jwt",
            issuer,
            audience: "default",
            requiredClaims: ["exp", "nbf", "iat", "jti", "sub"],
            currentDate,
          })
        const { payload } = await verify(world.now())
        assert.is(payload["epoch"], epoch.number)
        assert.is(payload.sub, `epoch:${epoch.number}`)
        const value = fromBase64Url(String(payload["value"])) ?? new Uint8Array()
        assert.is(toHex(value), toHex(epoch.value))
        assert.is(payload.nbf, epoch.startsAt.getTime() / 1000)
        assert.is(payload.exp, epoch.endsAt.getTime() / 1000)
        assert.is(payload.iat, Math.floor(world.now().getTime() / 1000))
        let late = false
        await verify(epoch.endsAt).catch(() => {
          late = true
        })
        assert.ok(late, "jose refuses it once the epoch has ended")
      },
      { algorithm },
    ))

test("gives one value within an epoch, and another in the next", () =>
  withService(async (world) => {
    const { epoch: first } = await world.service.epoch(GATEWAY)
    assert.is(first.endsAt.getTime() - first.startsAt.getTime(), LENGTH_MS)
    assert.ok(first.startsAt <= START && START < first.endsAt)
    world.advance(first.endsAt.getTime() - START.getTime() - 1)
    const { epoch: last } = await world.service.epoch({ tenant: "default", id: "another caller" })
    assert.equal(last, first)
    world.advance(1)
    const { epoch: next } = await world.service.epoch(GATEWAY)
    assert.is(next.number, first.number + 1)
    assert.equal(next.startsAt, first.endsAt)
    assert.is.not(toHex(next.value), toHex(first.value))
  }))

test("gives each tenant a value of its own", () =>
  withService(async ({ service }) => {
    const tenants = ["default", "other", "default2", ""]
    const values = await Promise.all(
      tenants.map(async (tenant) => toHex((await service.epoch({ tenant, id: "gateway" })).epoch.value)),
    )
    assert.is(new Set(values).size, tenants.length)
  }))

test("gives a token of its own each time, and never one beyond the signing key's end", () =>
  withService(
    async ({ service, jwks }) => {
      const tokens = await Promise.all([service.epoch(GATEWAY), service.epoch(GATEWAY)])
      const payloads = await Promise.all(
        tokens.map(async ({ token }) => {
          const { payload } = await jwtVerify(token, createLocalJWKSet({ keys: [...jwks.keys] }), {
            currentDate: START,
          })
          return payload
        }),
      )
      assert.is(new Set(payloads.map(({ jti }) => jti)).size, 2)
      for (const { exp } of payloads) assert.is(exp, START.getTime() / 1000 + 10)
    },
    { keyLifetimeMs: 10_000 },
  ))

test("refuses T-03 an epoch's token as a session", () =>
  withService(async ({ service, jwks }) => {
    const { token } = await service.epoch(GATEWAY)
    throwsCode(
      () => verifySessionToken(token, { keys: jwks, issuer, audience: "default", at: START }),
      "TOKEN_FORMAT",
    )
  }))

test("refuses evidence over an epoch of another tenant, of another process, and of a guess", () =>
  withService(async ({ service, ports }) =>
    withService(async (twin) => {
      await enroll(service, device, policyDocument(device))
      const { epoch } = await service.epoch(GATEWAY)
      const values = [
        epochExtraData("other", epoch.value),
        epochExtraData("default", (await ports.epochs.current("other", START)).value),
        epochExtraData("default", (await twin.ports.epochs.current("default", START)).value),
        epochExtraData("default", new Uint8Array(32)),
        epoch.value,
      ]
      for (const extraData of values) {
        const freshness = { kind: "epoch", number: epoch.number } as const
        const result = await service.verify({ freshness, evidence: evidenceOver(device, extraData) }, GATEWAY)
        assert.equal(codesOf(result), ["NONCE_MISMATCH"])
        assert.is(result.token.kind, "result")
      }
    }),
  ))

test("accepts the epoch before and the current one, and refuses the one before those", () =>
  withService(async (world) => {
    await enroll(world.service, device, policyDocument(device))
    const { epoch } = await world.service.epoch(GATEWAY)
    const evidence = evidenceOver(device, epochExtraData("default", epoch.value))
    const show = () =>
      world.service.verify({ freshness: { kind: "epoch", number: epoch.number }, evidence }, GATEWAY)
    world.advance(epoch.endsAt.getTime() + LENGTH_MS - 1 - START.getTime())
    const { tier, evidenceAgeMs = 0 } = await show()
    assert.is(tier, "warning")
    assert.is(evidenceAgeMs, 2 * LENGTH_MS - 1)
    world.advance(1)
    await rejectsCode(show, "EPOCH")
  }))

test.run()
