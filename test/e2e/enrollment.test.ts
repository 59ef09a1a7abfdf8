/** The whole of enrollment over gRPC: a device that nobody knew gets a session, with TPMs of software and of swtpm. */
import { hash, X509Certificate } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createAttestationClient } from "../../src/client/attestation.ts"
import { createEnrollmentClient, type EnrollmentClient } from "../../src/client/enrollment.ts"
import { verifySessionToken } from "../../src/client/session.ts"
import { createAgent } from "../../src/device/agent.ts"
import { type Attester, challengeParts } from "../../src/device/attester.ts"
import { type EnrollmentParts, enrollmentParts } from "../../src/device/enrollment.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import { startSwtpm } from "../../src/device/swtpm.ts"
import type { Code } from "../../src/errors.ts"
import type {
  BeginEnrollmentResponse,
  CompleteEnrollmentRequest,
} from "../../src/gen/assay/v1/enrollment_pb.ts"
import { DeviceState } from "../../src/gen/assay/v1/enrollment_pb.ts"
import { enrollmentTokens } from "../../src/main/callers.ts"
import { type Running, running } from "../server/fake.ts"
import { rejectsCode } from "../support/assert.ts"
import { idOf } from "../support/endorsed.ts"
import { enrolls, tokenHolder, trusts } from "../support/enrolling.ts"
import { ekChainFor, newcomer } from "../support/newcomer.ts"
import { GATEWAY, START, type TestService, withService } from "../support/service.ts"
import { needs } from "../support/vectors.ts"
import { policyDocument } from "../support/world.ts"

const test = suite("enrollment over gRPC")

const EMPTY = new Uint8Array()
const derOf = (file: string): Uint8Array => new Uint8Array(new X509Certificate(readFileSync(file)).raw)

interface Parties {
  readonly world: TestService
  readonly server: Running
  readonly client: EnrollmentClient
}

/** A real service behind a real server, at the time that it is: real TPMs are certified now. */
const withServer = (act: (parties: Parties) => Promise<void>): Promise<void> =>
  withService(
    async (world) => {
      world.advance(Date.now() - START.getTime() + 1000)
      const server = await running({}, { service: world.service, listen: ["127.0.0.1:0", "127.0.0.1:0"] })
      const client = createEnrollmentClient(server.address)
      try {
        await act({ world, server, client })
      } finally {
        client.close()
        await server.stop()
      }
    },
    { keyLifetimeMs: Math.max(0, Date.now() - START.getTime()) + 86_400_000 },
  )

/** Enrolls, attests and checks the session, as a gateway lets a device. */
const joins = async (
  { world, server, client }: Parties,
  device: Attester,
  chain: readonly Uint8Array[],
  measured: SoftwareDevice,
): Promise<void> => {
  const begun = await client.beginEnrollment({
    akPublic: device.akPublic,
    ekPublic: await device.ekPublic(),
    ekCertificateChain: [...chain],
    claimedName: "a newcomer",
  })
  const answer = await device.answerEnrollment(enrollmentParts(begun))
  const made = await client.completeEnrollment(answer)
  assert.match(made.device, /^d-[a-z2-7]{24}$/)
  assert.is(made.state, DeviceState.ACTIVE)
  await rejectsCode(() => client.completeEnrollment(answer), "NONCE_SPENT")

  const policy = policyDocument(measured, { ak: { binding: "proven" } })
  const { name } = await world.service.setPolicy(policy, GATEWAY)
  await world.service.assignPolicy({ policy: name, device: made.device }, GATEWAY)

  const gateway = createAttestationClient(server.address)
  try {
    const challenge = challengeParts(await gateway.createChallenge({ audience: "orders" }))
    const { result, token } = await gateway.verify(
      await device.answer(challenge, { audience: "orders", confirmation: undefined }),
    )
    assert.is(token.case, "sessionToken", result?.findings.map(({ code }) => code).join())
    assert.equal([result?.vector?.instanceIdentity, result?.vector?.hardware], [2, 2])
    const claims = verifySessionToken(token.value ?? "", {
      keys: world.jwks,
      issuer: "https://assay.example",
      audience: "orders",
      at: world.now(),
      confirmation: "checked-elsewhere",
    })
    assert.is(claims.device, made.device)
  } finally {
    gateway.close()
  }
}

for (const ekTemplate of ["L-1", "L-2", "H-3"] as const)
  test(`gives a session to a software device that nobody knew, ${ekTemplate}`, () =>
    withServer(async (parties) => {
      const device = newcomer({ ekTemplate })
      await joins(parties, device, await ekChainFor(device), device)
    }))

for (const ekTemplate of ["L-1", "H-3"] as const)
  needs("swtpm", test)(
    `gives a session to a swtpm that nobody knew, by its maker's certificate, ${ekTemplate}`,
    async () => {
      const swtpm = await startSwtpm(["sha256"], { certified: true })
      try {
        await withServer(async (parties) => {
          const [issuer = EMPTY, root = EMPTY] = swtpm.authorities.map(derOf)
          const { trust, trustAnchor } = parties.world
          const measured = newcomer({ sharedKeys: true })
          await swtpm.measure(measured.eventLog)
          const eventLogPath = join(swtpm.folder, "log.bin")
          writeFileSync(eventLogPath, measured.eventLog)
          const agent = await createAgent({ tcti: swtpm.tcti, ekTemplate, eventLogPath })
          const chain = await agent.ekCertificateChain()
          await rejectsCode(() => joins(parties, agent, chain, measured), "UNTRUSTED_ROOT")
          const [pending] = await trust.pendingIssuers("default")
          assert.match(pending?.issuer ?? "", /swtpm-localca/)
          trustAnchor(root, { purpose: "ek" })
          const intermediates = [{ id: idOf(issuer), certificate: issuer, source: "import" }]
          await trusts(parties.world, { intermediates })
          await joins(parties, agent, chain, measured)
        })
      } finally {
        await swtpm.stop()
      }
    },
  )

/** What somebody in between may change of the answer, and how that ends. */
const changed: readonly (readonly [
  name: string,
  change: (answer: CompleteEnrollmentRequest, begun: BeginEnrollmentResponse) => void,
  code: Code,
])[] = [
  [
    "K-02 an answer without the activation",
    (answer) => Object.assign(answer, { activation: { case: undefined } }),
    "AK_BINDING",
  ],
  [
    "K-05 a guess at the secret",
    (answer) =>
      Object.assign(answer, { activation: { case: "activationSecret", value: new Uint8Array(32) } }),
    "ACTIVATION",
  ],
  [
    "K-05 a guess at the HMAC",
    (answer) => Object.assign(answer, { activation: { case: "activationHmac", value: new Uint8Array(32) } }),
    "ACTIVATION",
  ],
  [
    "K-03 the quote of another key",
    (answer) => {
      const other = newcomer()
      const tpm = answer.evidence?.kind.value
      if (tpm !== undefined)
        Object.assign(tpm, { akName: other.akName, ...other.quote({ extraData: new Uint8Array(32) }) })
    },
    "AK_BINDING",
  ],
  [
    "N-04 the random value as the enrollment",
    (answer, { random }) => Object.assign(answer, { enrollment: random }),
    "NONCE_UNKNOWN",
  ],
]
for (const [name, change, code] of changed)
  test(`refuses ${name}, over gRPC`, () =>
    withServer(async ({ client, world }) => {
      const device = newcomer()
      const begun = await client.beginEnrollment({
        akPublic: device.akPublic,
        ekPublic: await device.ekPublic(),
        ekCertificateChain: await ekChainFor(device),
      })
      const parts: EnrollmentParts = enrollmentParts(begun)
      const answer = await device.answerEnrollment(parts)
      change(answer, begun)
      const error = await rejectsCode(() => client.completeEnrollment(answer), code)
      assert.is(error.challenge, "unspent")
      await rejectsCode(() => world.registry.snapshotFor("default", device.akName), "DEVICE_NOT_FOUND")
      assert.is(
        (await client.completeEnrollment(await device.answerEnrollment(parts))).state,
        DeviceState.ACTIVE,
      )
    }))

test("lets a device join with an enrollment token, which speaks for no other device", () =>
  withService(async (world) => {
    const secret = "aet_the-secret-of-a-token"
    const digest = new Uint8Array(hash("sha256", secret, "buffer"))
    await tokenHolder(world, "t-1", { digest, usesMax: 1, group: "kiosks" })
    const find = enrollmentTokens(world.ports.devices, world)
    const server = await running({}, { service: world.service, enrollmentToken: find })
    const [client, attesting, stranger] = [
      createEnrollmentClient(server.address, { credential: secret }),
      createAttestationClient(server.address, { credential: secret }),
      createEnrollmentClient(server.address, { credential: "aet_another-secret" }),
    ]
    try {
      const [device, other] = [newcomer(), newcomer()]
      const { id: otherId } = await enrolls(world, other)
      const show = async (one: typeof device) => ({
        akPublic: one.akPublic,
        ekPublic: await one.ekPublic(),
        ekCertificateChain: await ekChainFor(one),
      })
      await rejectsCode(async () => stranger.beginEnrollment(await show(device)), "CALLER_UNKNOWN")
      const begun = await client.beginEnrollment(await show(device))
      const { device: id } = await client.completeEnrollment(
        await device.answerEnrollment(enrollmentParts(begun)),
      )
      assert.equal((await world.registry.device("default", id)).group, "kiosks")

      const policy = policyDocument(device, { ak: { binding: "proven" } })
      const { name } = await world.service.setPolicy(policy, GATEWAY)
      await world.service.assignPolicy({ policy: name, device: undefined }, GATEWAY)
      const own = { audience: "orders", confirmation: undefined }
      const challenge = await attesting.createChallenge({ audience: "orders", device: id })
      const { token } = await attesting.verify(await device.answer(challengeParts(challenge), own))
      assert.is(token.case, "sessionToken")
      for (const named of [otherId, "d-nobody", ""])
        await rejectsCode(
          () => attesting.createChallenge({ audience: "orders", device: named }),
          "PERMISSION",
        )

      // The token was for one device. Used up, it makes no more, and lets the one it made attest.
      const more = newcomer()
      const again = enrollmentParts(await client.beginEnrollment(await show(more)))
      await rejectsCode(
        async () => client.completeEnrollment(await more.answerEnrollment(again)),
        "ENROLLMENT_TOKEN",
      )
      await attesting.createChallenge({ audience: "orders", device: id })
    } finally {
      for (const one of [client, attesting, stranger]) one.close()
      await server.stop()
    }
  }))

test("refuses K-05 what was begun over another connection, over gRPC", () =>
  withServer(async ({ client, server }) => {
    const device = newcomer()
    const begun = await client.beginEnrollment({
      akPublic: device.akPublic,
      ekCertificateChain: await ekChainFor(device),
    })
    const answer = await device.answerEnrollment(enrollmentParts(begun))
    const other = createEnrollmentClient(server.addresses[1] ?? "")
    await rejectsCode(() => other.completeEnrollment(answer), "NONCE_CONTEXT")
    other.close()
    await client.completeEnrollment(answer)
  }))

test.run()
