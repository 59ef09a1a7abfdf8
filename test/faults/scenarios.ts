/** What a crash may and may not leave behind, use case by use case. */
import * as assert from "uvu/assert"
import { createAdminClient } from "../../src/client/admin.ts"
import type { AttestationClient } from "../../src/client/attestation.ts"
import type { VerifyRequest } from "../../src/gen/assay/v1/attestation_pb.ts"
import {
  answered,
  attest,
  callerOf,
  enroll,
  type ServerProcess,
  sessionOf,
  verifications,
} from "../e2e/server.ts"
import { rejectsCode } from "../support/assert.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import type { Scenario } from "./crash.ts"

/** `act` with a gateway that is closed afterwards. */
const withGateway = async <T>(
  server: ServerProcess,
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
        const before = await verifications(server)
        if (token !== undefined)
          assert.ok(
            before.some(({ tokenId }) => tokenId === idOf(token)),
            "a token is out that the journal does not know",
          )
        assert.ok(before.length <= 1, "one call has more than one record")
        const shown = request
        if (shown !== undefined) await rejectsCode(() => gateway.verify(shown), "NONCE_UNKNOWN")
        await attest(gateway, device)
        assert.is((await verifications(server)).length, before.length + 1)
      }),
  }
}

/** `act` with an operator's client that is closed afterwards. */
export const withOperator = async <T>(
  server: ServerProcess,
  act: (operator: ReturnType<typeof createAdminClient>) => Promise<T>,
): Promise<T> => {
  const operator = createAdminClient(server.admin)
  try {
    return await act(operator)
  } finally {
    operator.close()
  }
}
