import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import type { CreateEnrollmentTokenInput } from "../../src/service/enrollment-tokens.ts"
import { rejectsCode } from "../support/assert.ts"
import { OPERATOR, STRANGER } from "../support/devices.ts"
import { START, withService } from "../support/service.ts"

const test = suite("enrollment tokens")

const input: CreateEnrollmentTokenInput = {
  usesMax: 5,
  lifetimeMs: 60_000,
  group: "edge",
  labels: new Map([["site", "north"]]),
}

test("makes a token of 256 random bits, and keeps its digest alone", () =>
  withService(async (world) => {
    const { token, secret } = await world.service.createEnrollmentToken(input, OPERATOR)
    assert.match(secret, /^aet_[A-Za-z0-9_-]{43}$/)
    assert.match(token.id, /^et-[0-9a-f]{16}$/)
    const kept = await world.ports.devices.enrollmentToken(hash("sha256", secret, "buffer"))
    assert.is(kept?.id, token.id)
    const { digest, ...view } = kept ?? { digest: new Uint8Array() }
    assert.is(toHex(digest), hash("sha256", secret, "hex"))
    const expected = {
      ...input,
      tenant: "default",
      id: token.id,
      uses: 0,
      createdAt: START,
      expiresAt: new Date(START.getTime() + 60_000),
      revoked: false,
    }
    const { lifetimeMs: _, ...withoutLifetime } = expected
    assert.equal(token, withoutLifetime)
    assert.equal(view, withoutLifetime)
    const [record, ...more] = await world.journal.records("default")
    assert.equal([record?.act, record?.caller, more.length], ["create-enrollment-token", "operator", 0])
    assert.not(JSON.stringify(record).includes(secret))
    const another = await world.service.createEnrollmentToken(input, OPERATOR)
    assert.is.not(another.secret, secret)
    assert.is.not(another.token.id, token.id)
  }))

test("lists tokens in the order of their ids, page by page, without their digests", () =>
  withService(async ({ service }) => {
    const ids: string[] = []
    for (let i = 0; i < 5; i++) ids.push((await service.createEnrollmentToken(input, OPERATOR)).token.id)
    const listed: string[] = []
    let pageToken = ""
    let pages = 0
    do {
      const page = await service.listEnrollmentTokens({ pageSize: 2, pageToken }, OPERATOR)
      listed.push(...page.tokens.map(({ id }) => id))
      for (const token of page.tokens) assert.not("digest" in token)
      pageToken = page.nextPageToken
      pages++
    } while (pageToken !== "")
    assert.equal([listed, pages], [ids.sort(), 3])
  }))

test("ends a token, on record", () =>
  withService(async (world) => {
    const { token, secret } = await world.service.createEnrollmentToken(input, OPERATOR)
    await world.service.revokeEnrollmentToken(token.id, OPERATOR)
    assert.is((await world.ports.devices.enrollmentToken(hash("sha256", secret, "buffer")))?.revoked, true)
    const { tokens } = await world.service.listEnrollmentTokens({ pageSize: 10, pageToken: "" }, OPERATOR)
    assert.equal(
      tokens.map(({ id, revoked }) => [id, revoked]),
      [[token.id, true]],
    )
    assert.is((await world.journal.records("default")).at(-1)?.act, "revoke-enrollment-token")
  }))

test("refuses to end a token that there is not", () =>
  withService(async ({ service }) => {
    await rejectsCode(() => service.revokeEnrollmentToken("et-1", OPERATOR), "ENROLLMENT_TOKEN_NOT_FOUND")
  }))

test("refuses P-06 to end or show a token of another tenant, as one that is not there", () =>
  withService(async (world) => {
    const { token, secret } = await world.service.createEnrollmentToken(input, OPERATOR)
    await rejectsCode(
      () => world.service.revokeEnrollmentToken(token.id, STRANGER),
      "ENROLLMENT_TOKEN_NOT_FOUND",
    )
    assert.is((await world.ports.devices.enrollmentToken(hash("sha256", secret, "buffer")))?.revoked, false)
    const page = await world.service.listEnrollmentTokens({ pageSize: 10, pageToken: "" }, STRANGER)
    assert.equal(page, { tokens: [], nextPageToken: "" })
  }))

test("refuses P-06 the page token of another tenant's list, and of devices", () =>
  withService(async ({ service }) => {
    for (let i = 0; i < 2; i++) await service.createEnrollmentToken(input, OPERATOR)
    const { nextPageToken } = await service.listEnrollmentTokens({ pageSize: 1, pageToken: "" }, OPERATOR)
    const page = { pageSize: 1, pageToken: nextPageToken }
    await rejectsCode(() => service.listEnrollmentTokens(page, STRANGER), "PAGE_TOKEN")
    await rejectsCode(() => service.listDevices({ ...page, filter: "", orderBy: "" }, OPERATOR), "PAGE_TOKEN")
    assert.is((await service.listEnrollmentTokens(page, OPERATOR)).tokens.length, 1)
  }))

test.run()
