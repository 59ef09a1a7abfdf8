import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createSoftwareDevice } from "../../src/device/software.ts"
import { nonceExtraData } from "../../src/evidence/transcript.ts"
import type { ChargeCaller } from "../../src/service/ports.ts"
import { rejectsCode } from "../support/assert.ts"
import { TLS_KEY } from "../support/certified.ts"
import { authority } from "../support/crl.ts"
import { akChainOf, attestShowing, caOf, enrollEndorsed, leafOf } from "../support/endorsed.ts"
import { answerOf, begin, certifiedBy } from "../support/enrolling.ts"
import { newcomer } from "../support/newcomer.ts"
import {
  answered,
  evidenceOver,
  GATEWAY,
  type ServiceOptions,
  type TestService,
  withService,
} from "../support/service.ts"
import { testDevice } from "../support/world.ts"
import { caExtensions, ecKeys } from "../support/x509.ts"

/** What a caller was charged, one number after another. */
const charging = (
  act: (world: TestService, taken: () => readonly number[]) => Promise<void>,
  options: ServiceOptions = {},
): Promise<void> => {
  let charged: number[] = []
  const charge: ChargeCaller = ({ tenant, id }, checks) => {
    assert.equal([tenant, id], [GATEWAY.tenant, GATEWAY.id])
    charged.push(checks)
  }
  const taken = (): readonly number[] => {
    const all = charged
    charged = []
    return all
  }
  return withService((world) => act(world, taken), { ...options, ports: () => ({ charge }) })
}

const test = suite("charges")

for (const [algorithm, charges] of [
  ["rsa-2048", []],
  ["rsa-4096", []],
  ["p256", []],
  ["p384", [2]],
  ["p521", [4]],
] as const)
  test(`N-07 charges ${charges[0] ?? "nothing"} for a quote by a key of ${algorithm}`, () =>
    charging(async (world, taken) => {
      const device = testDevice({ algorithm })
      await enrollEndorsed(world, device)
      await attestShowing(world, device)
      assert.equal(taken(), charges)
    }))

test("N-07 charges for a quote that is forged as for one that is not", () =>
  charging(async (world, taken) => {
    const device = testDevice({ algorithm: "p521" })
    await enrollEndorsed(world, device)
    const nonce = new Uint8Array(32)
    const evidence = evidenceOver(device, nonceExtraData(GATEWAY.tenant, nonce))
    const signature = evidence.signature.with(-1, (evidence.signature.at(-1) ?? 0) ^ 1)
    const input = { freshness: { kind: "nonce", nonce } as const, evidence: { ...evidence, signature } }
    assert.is((await world.service.verify(input, GATEWAY)).tier, "contraindicated")
    assert.equal(taken(), [4])
  }))

test("N-07 charges for the signature over a certified key", () =>
  charging(async (world, taken) => {
    const device = createSoftwareDevice({ algorithm: "p384" })
    await enrollEndorsed(world, device)
    const confirmation = { method: "name", name: TLS_KEY.name } as const
    const input = await answered(world.service, device, { confirmation })
    const { certification } = device.certifying(TLS_KEY)
    await world.service.verify({ ...input, evidence: { ...input.evidence, certification } }, GATEWAY)
    assert.equal(taken(), [5])
  }))

test("N-07 charges for the certificates that come with evidence, each time", () =>
  charging(
    async (world, taken) => {
      const device = testDevice()
      await enrollEndorsed(world, device)
      for (let i = 0; i < 2; i++) {
        await attestShowing(world, device, akChainOf(device))
        assert.equal(taken(), [1, 1])
      }
    },
    { cached: true },
  ))

test("N-07 charges once for the certificates of a registration", () =>
  charging(
    async (world, taken) => {
      const device = testDevice()
      await enrollEndorsed(world, device, {}, { akCertificateChain: akChainOf(device) })
      assert.equal(taken(), [1, 1])
      await attestShowing(world, device)
      assert.equal(taken(), [1, 1])
      await attestShowing(world, device)
      assert.equal(taken(), [])
    },
    { cached: true },
  ))

test("N-07 charges for links that do not hold, as long as there are any left to pay for", () =>
  charging(async (world, taken) => {
    const device = testDevice()
    await enrollEndorsed(world, device)
    const issuer = authority("CA A")
    const others = Array.from({ length: 7 }, () => caOf(issuer, issuer, caExtensions(), ecKeys("P-521")))
    await rejectsCode(() => attestShowing(world, device, [leafOf(device, issuer), ...others]), "PATH")
    assert.equal(taken(), Array(6).fill(5))
  }))

for (const [ekTemplate, credential] of [
  ["L-1", 1],
  ["H-3", 3],
  ["H-4", 5],
] as const)
  test(`N-07 charges for all that an enrollment checks, and for its credential, ${ekTemplate}`, () =>
    charging(async (world, taken) => {
      const device = newcomer({ ekTemplate })
      const begun = await begin(world, device)
      // The endorsement key by itself first, then all certificates.
      assert.equal(taken(), [1, 1, 1, 1, credential])
      await world.service.completeEnrollment(await answerOf(device, begun), GATEWAY)
      assert.equal(taken(), [1, 1, 1, 1])
    }))

test("N-07 charges for the quote that completes an enrollment", () =>
  charging(async (world, taken) => {
    const device = newcomer({ algorithm: "p521" })
    const begun = await begin(world, device, { keys: certifiedBy(device) })
    assert.equal(taken(), [1, 1])
    await world.service.completeEnrollment(await answerOf(device, begun), GATEWAY)
    assert.equal(taken(), [1, 1, 4])
  }))

test.run()
