/** What a crash may and may not leave behind, use case by use case. */

import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as assert from "uvu/assert"
import { createAdminClient } from "../../src/client/admin.ts"
import type { AttestationClient } from "../../src/client/attestation.ts"
import { createEnrollmentClient, type EnrollmentClient } from "../../src/client/enrollment.ts"
import { enrollmentParts } from "../../src/device/enrollment.ts"
import { createSoftwareDevice, type SoftwareDevice } from "../../src/device/software.ts"
import type { VerifyRequest } from "../../src/gen/assay/v1/attestation_pb.ts"
import { type CompleteEnrollmentRequest, DeviceState } from "../../src/gen/assay/v1/enrollment_pb.ts"
import type { JournalAct } from "../../src/service/ports.ts"
import { answered, attest, callerOf, enroll, recordsOf, sessionOf } from "../e2e/server.ts"
import { rejectsCode } from "../support/assert.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import type { Scenario, Served } from "./crash.ts"

/** `act` with a gateway that is closed afterwards. */
const withGateway = async <T>(
  server: Served,
  act: (gateway: AttestationClient) => Promise<T>,
): Promise<T> => {
  const gateway = callerOf(server, server.unix, "gateway")
  try {
    return await act(gateway)
  } finally {
    gateway.close()
  }
}

/** jti of a token. */
const idOf = (token: string): unknown =>
  JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8")).jti

/**
 * Verify: whoever has a token, has one that is in the journal; the evidence that it was given for is worth nothing any
 * more; and the device is as it was.
 */
export const verifyScenario = (): Scenario<string> => {
  const device = testDevice()
  let request: VerifyRequest | undefined
  return {
    name: "verify",
    prepare: (server) => enroll(server, device, "gate-7", policyDocument(device)),
    act: (server) =>
      withGateway(server, async (gateway) => {
        request = undefined
        request = (await answered(gateway, device)).request
        const token = sessionOf(await gateway.verify(request))
        if (token === undefined) throw new Error("an honest device gets no session")
        return token
      }),
    check: (server, token) =>
      withGateway(server, async (gateway) => {
        const before = await recordsOf(server, "verify")
        if (token !== undefined)
          assert.ok(
            before.some(({ tokenId }) => tokenId === idOf(token)),
            "a token is out that the journal does not know",
          )
        assert.ok(before.length <= 1, "one call has more than one record")
        const shown = request
        if (shown !== undefined) await rejectsCode(() => gateway.verify(shown), "NONCE_UNKNOWN")
        await attest(gateway, device)
        assert.is((await recordsOf(server, "verify")).length, before.length + 1)
      }),
  }
}

type Operator = ReturnType<typeof createAdminClient>

/** `act` with an operator's client that is closed afterwards. */
const withOperator = async <T>(server: Served, act: (operator: Operator) => Promise<T>): Promise<T> => {
  const operator = createAdminClient(server.admin)
  try {
    return await act(operator)
  } finally {
    operator.close()
  }
}

/** `act` with the client of a gateway that lets devices enroll, which is closed afterwards. */
const withEnrollment = async <T>(
  server: Served,
  act: (client: EnrollmentClient) => Promise<T>,
): Promise<T> => {
  const credential = readFileSync(join(server.data, "gateway.credential"), "utf8").trim()
  const client = createEnrollmentClient(server.unix, { credential })
  try {
    return await act(client)
  } finally {
    client.close()
  }
}

/** What came of an act by the journal. */
const codesOf = async (server: Served, act: JournalAct): Promise<string[]> =>
  (await recordsOf(server, act)).map(({ device }) => device)

/**
 * Enrollment: a device is there whole and on record, or it is not there and can begin again. What was answered before the
 * crash is worth nothing after it.
 */
export const enrollScenario = (): Scenario<string> => {
  let device: SoftwareDevice | undefined
  let answer: CompleteEnrollmentRequest | undefined
  const enrollNow = (server: Served): Promise<string> =>
    withEnrollment(server, async (client) => {
      const newcomer = present(device)
      const { certificate } = await newcomer.endorsement()
      const begun = await client.beginEnrollment({
        akPublic: newcomer.akPublic,
        ekPublic: await newcomer.ekPublic(),
        ekCertificateChain: [certificate],
      })
      answer = await newcomer.answerEnrollment(enrollmentParts(begun))
      return (await client.completeEnrollment(answer)).device
    })
  return {
    name: "enroll",
    prepare: (server) =>
      withOperator(server, async (operator) => {
        const maker = readFileSync(join(server.data, "software-tpm-maker.pem"), "utf8")
        device = createSoftwareDevice({ algorithm: "p256", maker })
        const { policy } = await operator.setPolicy(policyDocument(device, { ak: { binding: "proven" } }))
        await operator.assignPolicy({ policy: policy?.name ?? "" })
      }),
    act: (server) => {
      answer = undefined
      return enrollNow(server)
    },
    check: async (server, id) => {
      const there = await withOperator(server, async (operator) =>
        (await operator.listDevices({})).devices.map((one) => one.id),
      )
      assert.equal(
        there,
        await codesOf(server, "enroll-device"),
        "a device without its record, or the reverse",
      )
      if (id !== undefined) assert.equal(there, [id], "a device that was told of is not there")
      assert.ok(there.length <= 1, "one enrollment made more than one device")
      const shown = answer
      if (shown !== undefined)
        await withEnrollment(server, (client) =>
          rejectsCode(() => client.completeEnrollment(shown), "NONCE_UNKNOWN"),
        )
      if (there.length === 0) await enrollNow(server)
      await withGateway(server, (gateway) => attest(gateway, present(device)))
    },
  }
}

/** Revocation: it holds and is on record, or neither; and whoever was told that it holds can rely on it. */
export const revokeScenario = (): Scenario<string> => {
  const device = testDevice()
  return {
    name: "revoke",
    prepare: (server) => enroll(server, device, "gate-7", policyDocument(device)),
    act: (server) =>
      withOperator(server, async (operator) => {
        await operator.revokeDevice({ id: "gate-7" })
        return "gate-7"
      }),
    check: async (server, told) => {
      const found = await withOperator(server, (operator) => operator.getDevice("gate-7"))
      const revoked = found.device?.state === DeviceState.REVOKED
      assert.equal(await codesOf(server, "revoke-device"), revoked ? ["gate-7"] : [])
      if (told !== undefined) assert.ok(revoked, "a revocation that was told of does not hold")
      const session = await withGateway(server, async (gateway) => {
        const { request } = await answered(gateway, device)
        return sessionOf(await gateway.verify(request))
      })
      assert.is(session === undefined, revoked)
    },
  }
}

/** All of them. */
export const SCENARIOS = [verifyScenario, enrollScenario, revokeScenario]

const present = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error("the scenario was not prepared")
  return value
}
