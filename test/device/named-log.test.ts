/** A device that attests again, over gRPC, with its log named. */
import { toBinary } from "@bufbuild/protobuf"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { challengeParts, tpmEvidence } from "../../src/device/attester.ts"
import { EV_IPL, standardBoot } from "../../src/device/boot.ts"
import type { KeyAlgorithm } from "../../src/device/keys.ts"
import { namingLog, verifyNamingLog } from "../../src/device/named-log.ts"
import { createSoftwareDevice, type SoftwareDevice } from "../../src/device/software.ts"
import { AssayError, type Code } from "../../src/errors.ts"
import { type VerifyRequest, VerifyRequestSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import { type Running, running } from "../server/fake.ts"
import { rejectsCode } from "../support/assert.ts"
import { logDigest } from "../support/logs.ts"
import { createTestService, enroll } from "../support/service.ts"
import { policyDocument } from "../support/world.ts"

const test = suite("verifyNamingLog")

/** What a re-attestation may take on the wire. */
const REQUEST_BYTES_MAX = 2048
const LOG_RECORDS = 180

const booted = (algorithm: KeyAlgorithm): SoftwareDevice => {
  const loader = Array.from({ length: LOG_RECORDS }, (_, i) => ({
    pcr: 8,
    type: EV_IPL,
    data: new Uint8Array(80).fill(i),
  }))
  return createSoftwareDevice({ algorithm, sharedKeys: true, events: [...standardBoot(), ...loader] })
}

const withServer = async (
  device: SoftwareDevice,
  act: (server: Running, answer: () => Promise<VerifyRequest>) => Promise<void>,
): Promise<void> => {
  const world = createTestService({ cached: true })
  const server = await running(world.service)
  try {
    await enroll(world.service, device, policyDocument(device))
    const own = { audience: "orders", confirmation: { method: "jkt", digest: new Uint8Array(32) } } as const
    await act(server, async () => {
      const method = { case: "jkt", value: own.confirmation.digest } as const
      const asked = { audience: "orders", confirmation: { method }, device: "device-1", policy: "test" }
      return device.answer(challengeParts(await server.client.createChallenge(asked)), own)
    })
  } finally {
    await server.stop()
    world.close()
  }
}

for (const algorithm of ["rsa-2048", "p256", "p384"] as const)
  test(`attests again in less than ${REQUEST_BYTES_MAX} bytes, by ${algorithm}`, () =>
    withServer(booted(algorithm), async ({ client }, answer) => {
      const sizes: number[] = []
      const verify = (request: VerifyRequest) => {
        sizes.push(toBinary(VerifyRequestSchema, request).length)
        return client.verify(request)
      }
      const first = await verifyNamingLog(verify, await answer(), undefined)
      const again = await verifyNamingLog(verify, await answer(), first.shown)
      assert.equal([first.verdict.token.case, again.verdict.token.case], ["sessionToken", "sessionToken"])
      const [whole = 0, small = Number.POSITIVE_INFINITY] = sizes
      assert.ok(sizes.length === 2 && whole > 20_000 && small < REQUEST_BYTES_MAX, sizes.join())
    }))

test("sends the log of the same evidence when it is asked for it", () =>
  withServer(booted("p256"), async ({ client }, answer) => {
    const request = await answer()
    const { eventLog } = tpmEvidence(request)
    const sent: number[] = []
    const { verdict, shown } = await verifyNamingLog(
      (one) => {
        sent.push(tpmEvidence(one).eventLog.length)
        return client.verify(one)
      },
      request,
      logDigest(eventLog),
    )
    assert.equal(
      [sent, verdict.token.case, shown],
      [[0, eventLog.length], "sessionToken", logDigest(eventLog)],
    )
  }))

test("refuses evidence whose log is both sent and named, and a name of another size", () =>
  withServer(booted("p256"), async ({ client }, answer) => {
    const both = await answer()
    tpmEvidence(both).eventLogDigest = logDigest(tpmEvidence(both).eventLog)
    assert.is(
      (await rejectsCode(() => client.verify(both), "FIELD")).location,
      "evidence.tpm.event_log_digest",
    )
    for (const size of [0, 31, 33])
      await rejectsCode(async () => client.verify(namingLog(await answer(), new Uint8Array(size))), "FIELD")
  }))

const device = booted("p256")
const request = (): Promise<VerifyRequest> => device.answerNonce("default", new Uint8Array(32))

test("names no log that it has not shown, and no other one", async () => {
  for (const shown of [undefined, new Uint8Array(32), new Uint8Array()]) {
    const sent: boolean[] = []
    await verifyNamingLog(
      async (one) => void sent.push(tpmEvidence(one).eventLog.length > 0),
      await request(),
      shown,
    )
    assert.equal(sent, [true])
  }
})

test("names nothing where there is no log", async () => {
  const without = await request()
  tpmEvidence(without).eventLog = new Uint8Array()
  const { shown } = await verifyNamingLog(
    async (one) => assert.is(tpmEvidence(one).eventLogDigest, undefined),
    without,
    logDigest(new Uint8Array()),
  )
  assert.is(shown, undefined)
})

const final: [name: string, code: Code, challenge: "spent" | "unspent"][] = [
  ["a challenge that is spent", "EVENT_LOG_NEEDED", "spent"],
  ["another error", "NONCE_EXPIRED", "unspent"],
]
for (const [name, code, challenge] of final)
  test(`sends no log after ${name}`, async () => {
    let calls = 0
    const refuse = async (): Promise<never> => {
      calls++
      throw Object.assign(new AssayError(code, "no"), { challenge })
    }
    const asked = await request()
    await rejectsCode(() => verifyNamingLog(refuse, asked, logDigest(device.eventLog)), code)
    assert.is(calls, 1)
  })

test.run()
