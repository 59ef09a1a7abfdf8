/** N-07: whatever takes long of a request runs under the meter, by the caller whose request it is, however it ends. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createSoftwareDevice } from "../../src/device/software.ts"
import { AssayError } from "../../src/errors.ts"
import { nonceExtraData } from "../../src/evidence/transcript.ts"
import type { Meter, Ports } from "../../src/service/ports.ts"
import { rejectsCode } from "../support/assert.ts"
import { TLS_KEY } from "../support/certified.ts"
import { authority } from "../support/crl.ts"
import { akChainOf, attestShowing, caOf, enrollEndorsed, leafOf } from "../support/endorsed.ts"
import { answerOf, begin, certifiedBy, shownBy } from "../support/enrolling.ts"
import { longDevice, QUOTED } from "../support/large-log.ts"
import { naming } from "../support/logs.ts"
import { newcomer } from "../support/newcomer.ts"
import { answered, enroll, evidenceOver, GATEWAY, type TestService, withService } from "../support/service.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import { caExtensions, ecKeys } from "../support/x509.ts"

/** What ran under the meter, in this order, by how it ended; what else was charged, in milliseconds; and whether something runs now. */
interface Seen {
  readonly runs: string[]
  readonly charged: number[]
  readonly isRunning: () => boolean
}

const metered = (
  act: (world: TestService, seen: Seen) => Promise<void>,
  ports: (seen: Seen, own: Ports) => Partial<Ports> = () => ({}),
): Promise<void> => {
  const runs: string[] = []
  const charged: number[] = []
  let depth = 0
  const isGateway = ({ tenant, id }: { readonly tenant: string; readonly id: string }): void =>
    assert.equal([tenant, id], [GATEWAY.tenant, GATEWAY.id])
  const meter: Meter = {
    run(who, run) {
      isGateway(who)
      depth += 1
      try {
        const value = run()
        runs.push(value instanceof AssayError ? `gave ${value.code}` : "gave")
        return value
      } catch (error) {
        runs.push(error instanceof AssayError ? `threw ${error.code}` : "threw")
        throw error
      } finally {
        depth -= 1
      }
    },
    charge(who, ms) {
      isGateway(who)
      charged.push(ms)
    },
  }
  const seen: Seen = { runs, charged, isRunning: () => depth > 0 }
  return withService((world) => act(world, seen), { ports: (own) => ({ meter, ...ports(seen, own) }) })
}
/** Of what was seen, only what comes from now on. */
const since = ({ runs }: Seen): (() => readonly string[]) => {
  const { length } = runs
  return () => runs.slice(length)
}

const test = suite("what runs under the meter")

test("N-07 reads evidence, proves it and judges it", () =>
  metered(async (world, seen) => {
    const device = testDevice()
    await enrollEndorsed(world, device)
    const after = since(seen)
    await attestShowing(world, device)
    // The log is replayed apart.
    assert.equal(after(), ["gave", "gave", "gave", "gave"])
    assert.equal(seen.charged, [])
  }))

test("N-07 checks a signature that is forged as one that is not", () =>
  metered(async (world, seen) => {
    const device = testDevice({ algorithm: "p521" })
    await enrollEndorsed(world, device)
    const nonce = new Uint8Array(32)
    const evidence = evidenceOver(device, nonceExtraData(GATEWAY.tenant, nonce))
    const signature = evidence.signature.with(-1, (evidence.signature.at(-1) ?? 0) ^ 1)
    const after = since(seen)
    await world.service.verify(
      { freshness: { kind: "nonce", nonce }, evidence: { ...evidence, signature } },
      GATEWAY,
    )
    assert.equal(after(), ["gave", "gave SIGNATURE"])
  }))

test("N-07 reads evidence of devices that there are not, and certificates that are none", () =>
  metered(async (world, seen) => {
    const device = testDevice()
    await rejectsCode(() => attestShowing(world, device, akChainOf(device)), "DEVICE_NOT_FOUND")
    assert.equal(seen.runs, ["gave"])
    const error = await rejectsCode(() => attestShowing(world, device, [new Uint8Array(16)]), "DER")
    assert.equal(seen.runs, ["gave", `threw ${error.code}`])
  }))

test("N-07 verifies certificates that come with evidence, until there is nothing left to pay them with", () =>
  metered(async (world, seen) => {
    const device = testDevice()
    await enrollEndorsed(world, device)
    const issuer = authority("CA A")
    const others = Array.from({ length: 7 }, () => caOf(issuer, issuer, caExtensions(), ecKeys("P-521")))
    const after = since(seen)
    await rejectsCode(() => attestShowing(world, device, [leafOf(device, issuer), ...others]), "PATH")
    assert.equal(after(), ["gave", "gave", "gave", "threw PATH"])
  }))

test("N-07 verifies certificates of a registration, and views what is registered", () => {
  let verified = 0
  return metered(
    async (world, seen) => {
      const device = testDevice()
      await enrollEndorsed(world, device, {}, { akCertificateChain: akChainOf(device) })
      assert.equal(seen.runs, ["gave", "gave", "gave"])
      await attestShowing(world, device)
      assert.is(verified, 1)
    },
    ({ isRunning }, { verifyEndorsements }) => ({
      verifyEndorsements: (...of) => {
        assert.ok(isRunning())
        verified += 1
        return verifyEndorsements(...of)
      },
    }),
  )
})

test("N-07 replays a long log, slice by slice, and lets others have their turn outside", () =>
  metered(
    async (world, seen) => {
      const device = longDevice()
      await enroll(world.service, device, policyDocument(device, { banks: QUOTED }))
      await world.service.verify(await answered(world.service, device), GATEWAY)
      assert.ok(seen.runs.length > 45, `${seen.runs.length}`)
    },
    ({ isRunning }) => ({
      breathe: async () => {
        assert.not.ok(isRunning())
      },
    }),
  ))

test("N-07 loads a log that is named, and counts what was read of it", () =>
  metered(async (world, seen) => {
    const device = longDevice()
    await enroll(world.service, device, policyDocument(device, { banks: QUOTED }))
    const sent = await answered(world.service, device)
    const size = sent.evidence.eventLog?.length ?? 0
    const before = since(seen)
    await world.service.verify(sent, GATEWAY)
    const runs = before().length
    const named = since(seen)
    await world.service.verify(naming(await answered(world.service, device)), GATEWAY)
    assert.is(named().length, runs + 1)
    assert.equal(seen.charged, [size / 700_000])
  }))

test("N-07 counts what a certificate takes, which is issued in many parts", () =>
  metered(async (world, seen) => {
    const device = createSoftwareDevice({ algorithm: "p384" })
    await enroll(world.service, device, policyDocument(device))
    const confirmation = { method: "name", name: TLS_KEY.name } as const
    const input = await answered(world.service, device, { confirmation })
    const { certification } = device.certifying(TLS_KEY)
    const result = await world.service.verify(
      { ...input, evidence: { ...input.evidence, certification } },
      GATEWAY,
    )
    assert.is(result.certificateChain.length, 2)
    assert.equal(seen.charged, [3])
  }))

test("N-07 reads and verifies the keys of who comes to enroll, and makes a credential", () =>
  metered(async (world, seen) => {
    const device = newcomer()
    const begun = await begin(world, device)
    // The keys; the endorsement key by itself, then all certificates; the credential.
    assert.equal(seen.runs, ["gave", "gave", "gave", "gave"])
    const after = since(seen)
    await world.service.completeEnrollment(await answerOf(device, begun), GATEWAY)
    // The evidence; the same again; and the quote.
    assert.equal(after(), ["gave", "gave", "gave", "gave", "gave"])
  }))

test("N-07 reads the evidence of who completes an enrollment that was never begun", () =>
  metered(async (world, seen) => {
    const device = newcomer()
    const input = await answerOf(device, await begin(world, device))
    const after = since(seen)
    const evidence = { ...input.evidence, akCertificateChain: akChainOf(device) }
    await rejectsCode(() => world.service.completeEnrollment({ ...input, evidence }, GATEWAY), "FIELD")
    assert.equal(after(), ["gave"])
  }))

test("N-07 reads and verifies the keys of who may not enroll", () =>
  metered(async (world, seen) => {
    const device = newcomer()
    const strange = authority("Stranger")
    const keys = certifiedBy(device, { akCertificateChain: [leafOf(device, strange)] })
    await rejectsCode(() => begin(world, device, { keys }), "UNTRUSTED_ROOT")
    const none = await shownBy(device, { ekCertificateChain: [new Uint8Array(16)] })
    const error = await rejectsCode(() => begin(world, device, { keys: none }), "DER")
    assert.equal(seen.runs, ["gave", "gave", "threw UNTRUSTED_ROOT", `threw ${error.code}`])
  }))

test.run()
