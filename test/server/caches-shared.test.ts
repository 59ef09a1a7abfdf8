/** C-05 to C-07 against a server with every cache, through gRPC: what else the evidence is shown for, what fails, what floods, and what comes at a time. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createAttestationClient } from "../../src/client/attestation.ts"
import { tpmEvidence } from "../../src/device/attester.ts"
import { EV_IPL, standardBoot } from "../../src/device/boot.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import type { Code } from "../../src/errors.ts"
import type { VerifyRequest } from "../../src/gen/assay/v1/attestation_pb.ts"
import { flipped } from "../support/core.ts"
import { enrollEndorsed } from "../support/endorsed.ts"
import { logDigest } from "../support/logs.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import {
  answering,
  codesOf,
  device,
  EPOCH_MS,
  type Request,
  remembers,
  type Warm,
  warm,
  withEvidence,
} from "./warm.ts"

const test = suite("caches behind the server, shared")
const OPERATOR = { tenant: "default", id: "operator" }

const questions: readonly [name: string, ask: (warm: Warm) => Promise<Request>, code: Code][] = [
  ["for the epoch before", async ({ shown }) => epochOf(shown, -1n), "NONCE_MISMATCH"],
  ["for an epoch to come", async ({ shown }) => epochOf(shown, 1n), "EPOCH"],
  [
    "for a nonce",
    async ({ shown }) => ({ ...shown, freshness: { case: "nonce", value: new Uint8Array(32) } }),
    "NONCE_MISMATCH",
  ],
  [
    "for a challenge",
    async ({ client, shown }) => ({ ...shown, freshness: (await answering(client)).freshness }),
    "NONCE_MISMATCH",
  ],
  [
    "for a challenge that is spent",
    async ({ client }) => {
      const request = await answering(client)
      await client.verify(request)
      return request
    },
    "NONCE_SPENT",
  ],
]
const epochOf = (request: VerifyRequest, by: bigint): Request => {
  if (request.freshness.case !== "epoch") throw new TypeError("no epoch")
  return { ...request, freshness: { case: "epoch", value: request.freshness.value + by } }
}
for (const [name, ask, code] of questions)
  test(`refuses C-05 through gRPC what was accepted before, ${name}`, () =>
    warm(async (given) => {
      const codes = await codesOf(given.client, await ask(given))
      assert.equal(codes, [code])
      await remembers(given)
    }))

for (const what of ["trust", "registry", "journal"] as const)
  test(`C-06 holds no failure against anybody through gRPC: ${what} is away once`, () =>
    warm(async (given) => {
      const { client, world } = given
      world.advance(EPOCH_MS)
      // What is remembered of the device is made anew, so that the registry is asked.
      await world.service.setPolicy(policyDocument(device, { name: "device-1" }), OPERATOR)
      const epoch = await client.getEpoch()
      const request = await testShown(epoch)
      given.fail(what)
      assert.equal(await codesOf(client, request), [what === "journal" ? "JOURNAL" : "REGISTRY"])
      assert.equal(await codesOf(client, request), await codesOf(given.plain.client, request))
    }))
const testShown = (epoch: Parameters<SoftwareDevice["answerEpoch"]>[1]): Promise<VerifyRequest> =>
  device.answerEpoch("default", epoch)

test("C-06 lets through gRPC no junk take the place of what is proven, however much of it there is", () =>
  warm(async (given) => {
    const { signature } = tpmEvidence(given.shown)
    for (let i = 0; i < 60; i++) {
      const junk = withEvidence(given.shown, () => ({
        signature: flipped(signature, 8 + (i % 60), 1 + (i >> 3)),
      }))
      assert.ok((await codesOf(given.client, junk)).length > 0)
    }
    await remembers(given)
  }))

test("C-06 lets through gRPC a device in as soon as it is registered, however often it was asked for before", () =>
  warm(async ({ client, world }) => {
    const epoch = await client.getEpoch()
    const newcomer = testDevice()
    const request = await newcomer.answerEpoch("default", epoch)
    for (let i = 0; i < 3; i++) assert.equal(await codesOf(client, request), ["DEVICE_NOT_FOUND"])
    await enrollEndorsed(world, newcomer, {}, {}, "newcomer")
    assert.not.ok((await codesOf(client, request)).includes("DEVICE_NOT_FOUND"))
  }))

test("C-06 lets through gRPC a device name its log as soon as it has shown it, however often it was refused before", () =>
  warm(async ({ client }) => {
    device.boot([...standardBoot(), { pcr: 9, type: EV_IPL, data: Uint8Array.of(1) }])
    try {
      const naming = async (): Promise<Request> =>
        withEvidence(await answering(client), ({ eventLog }) => ({
          eventLog: new Uint8Array(),
          eventLogDigest: logDigest(eventLog),
        }))
      for (let i = 0; i < 3; i++) assert.equal(await codesOf(client, await naming()), ["EVENT_LOG_NEEDED"])
      await client.verify(await answering(client))
      assert.not.ok((await codesOf(client, await naming())).includes("EVENT_LOG_NEEDED"))
    } finally {
      device.boot() // other tests have this device, too
    }
  }))

/** Evidence that nobody has shown yet, and how many judge it. */
const fresh = async ({ client, world, judged }: Warm) => {
  world.advance(1000)
  device.advance(1000)
  const request = await device.answerEpoch("default", await client.getEpoch())
  const before = judged()
  return { request, judged: () => judged() - before }
}

test("C-07 judges once what a hundred show at a time over many connections, and journals each", () =>
  warm(async (given) => {
    const { request, judged } = await fresh(given)
    const clients = Array.from({ length: 4 }, () => createAttestationClient(given.server.address))
    const records = async () => (await given.world.journal.records("default", { limit: 1000 })).length
    const before = await records()
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => clients[i % 4]?.verify(request)))
    assert.is(judged(), 1)
    assert.is(new Set(answers.map((answer) => answer?.result?.id)).size, 100)
    assert.is(await records(), before + 100)
    for (const client of clients) client.close()
  }))

test("C-07 lets a failure be that of the calls that were under way, each with its own challenge's state", () =>
  warm(async (given) => {
    const { request } = await fresh(given)
    given.fail("trust")
    const codes = await Promise.all(Array.from({ length: 10 }, () => codesOf(given.client, request)))
    assert.ok(codes.some(([code]) => code === "REGISTRY"))
    assert.equal(await codesOf(given.client, request), await codesOf(given.plain.client, request))
  }))

test("C-07 goes on for everybody else when the caller that was first goes away", () =>
  warm(async (given) => {
    const { request, judged } = await fresh(given)
    const leaving = createAttestationClient(given.server.address)
    const first = leaving.verify(request).catch(() => undefined)
    const others = Array.from({ length: 10 }, () => given.client.verify(request))
    leaving.close()
    await first
    for (const { result } of await Promise.all(others)) assert.ok(result?.id)
    assert.is(judged(), 1)
  }))

test("C-07 keeps apart what two devices show at a time", () =>
  warm(async (given) => {
    const second = testDevice()
    await enrollEndorsed(given.world, second, {}, {}, "device-2")
    const { request, judged } = await fresh(given)
    const other = await second.answerEpoch("default", await given.client.getEpoch())
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => given.client.verify(i % 2 === 0 ? request : other)),
    )
    for (const [i, { result }] of answers.entries())
      assert.is(result?.device, i % 2 === 0 ? "device-1" : "device-2")
    assert.is(judged(), 2)
  }))

test("C-07 keeps apart at a time the genuine evidence and its forgeries", () =>
  warm(async (given) => {
    const { request, judged } = await fresh(given)
    const forged = withEvidence(request, ({ signature }) => ({ signature: flipped(signature, 40) }))
    const codes = await Promise.all(
      Array.from({ length: 20 }, (_, i) => codesOf(given.client, i % 2 === 0 ? forged : request)),
    )
    for (const [i, found] of codes.entries()) assert.is(found.includes("SIGNATURE"), i % 2 === 0)
    assert.is(judged(), 2)
  }))

test.run()
