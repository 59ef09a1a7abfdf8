/** K-05 and N-04 against enrollment: answers to credentials that are not their own, and values of other purposes. */
import { randomBytes } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import {
  activationMac,
  challengeExtraData,
  enrollmentExtraData,
  nonceExtraData,
} from "../../src/evidence/transcript.ts"
import type { CompleteEnrollmentInput } from "../../src/service/complete-enrollment.ts"
import { TRIES_MAX } from "../../src/service/sealed-enrollment.ts"
import { rejectsCode } from "../support/assert.ts"
import { flipped } from "../support/core.ts"
import {
  assertHonestEnrollment,
  assertUnknown,
  type EnrollAttack,
  type Enrolling,
  type EnrollRefusal,
  enrollAttacks,
  enrolling,
} from "../support/enroll-attack.ts"
import { begin, enrolls, secretOf, tokenHolder, transcriptBy } from "../support/enrolling.ts"
import { newcomer } from "../support/newcomer.ts"
import { sceneFor, watch } from "../support/scene.ts"
import { answered, evidenceOver, GATEWAY, withService } from "../support/service.ts"

const test = suite("attacks on activation")
const scenes = sceneFor(test, [])
let tokens: Promise<unknown> | undefined
/** A scene with an enrollment token that is good. */
const scene = async () => {
  const made = await scenes()
  tokens ??= tokenHolder(made.world, "t-1")
  await tokens
  return made
}

type Activation = NonNullable<CompleteEnrollmentInput["activation"]>
const mac = (value: Uint8Array): Activation => ({ kind: "mac", value })
const plain = (value: Uint8Array): Activation => ({ kind: "secret", value })

/** The honest answer with another answer to the credential. */
const answering =
  (activation: (attempt: Enrolling) => Activation | Promise<Activation>): EnrollAttack["forge"] =>
  async (attempt) => ({ ...attempt.honest, activation: await activation(attempt) })

const WRONG: EnrollRefusal = { code: "ACTIVATION" }
const elsewhere = newcomer()

const guesses: readonly (readonly [
  name: string,
  activation: (attempt: Enrolling) => Activation | Promise<Activation>,
])[] = [
  ["a guess", () => plain(new Uint8Array(randomBytes(32)))],
  ["a guess at the HMAC", () => mac(new Uint8Array(randomBytes(32)))],
  ["zeros in place of the HMAC", () => mac(new Uint8Array(32))],
  ["the HMAC by an empty secret", ({ transcript }) => mac(activationMac(new Uint8Array(), transcript))],
  [
    "the HMAC by the public random value",
    ({ transcript }) => mac(activationMac(transcript.random, transcript)),
  ],
  ["the secret with its last bit changed", ({ secret }) => plain(flipped(secret, 31))],
  ["the secret without its last byte", ({ secret }) => plain(secret.subarray(0, 31))],
  ["the secret with a byte behind it", ({ secret }) => plain(Uint8Array.of(...secret, 0))],
  ["the secret as if it were the HMAC", ({ secret }) => mac(secret)],
  ["the HMAC as if it were the secret", ({ honest }) => plain(honest.activation?.value ?? new Uint8Array())],
  [
    "the secret of an enrollment that the same device began before",
    async ({ world, device }) => plain(await secretOf(device, await begin(world, device))),
  ],
  [
    "the HMAC by the secret of an enrollment that it began before",
    async ({ world, device, transcript }) =>
      mac(activationMac(await secretOf(device, await begin(world, device)), transcript)),
  ],
  [
    "the secret of an enrollment that is completed",
    async ({ world }) => {
      const other = await enrolling(world)
      await assertHonestEnrollment(other, "enrolls")
      return plain(other.secret)
    },
  ],
  [
    "the secret of another device",
    async ({ world }) => plain(await secretOf(elsewhere, await begin(world, elsewhere))),
  ],
  [
    "the HMAC of another device over its own enrollment",
    async ({ world }) => (await enrolling(world)).honest.activation ?? mac(new Uint8Array(32)),
  ],
  [
    "the HMAC over the Name of another key",
    ({ secret, transcript }) => mac(activationMac(secret, { ...transcript, akName: elsewhere.akName })),
  ],
  [
    "the HMAC over another endorsement key",
    ({ secret, transcript }) => mac(activationMac(secret, { ...transcript, ekDigest: new Uint8Array(32) })),
  ],
  [
    "the HMAC over another tenant",
    ({ secret, transcript }) => mac(activationMac(secret, { ...transcript, tenant: "other" })),
  ],
  [
    "the HMAC over another enrollment's random value",
    ({ secret, transcript }) => mac(activationMac(secret, { ...transcript, random: new Uint8Array(32) })),
  ],
  ["the digest that is quoted", ({ transcript }) => mac(enrollmentExtraData(transcript))],
]
enrollAttacks(
  test,
  "K-05",
  guesses.map(([name, activation]) => ({ name, forge: answering(activation), refusal: WRONG })),
  scene,
)

test("refuses K-05 repeated guesses: after five, the right answer comes too late", async () => {
  const { world } = await scene()
  const attempt = await enrolling(world)
  const before = (await world.journal.records("default")).length
  for (let i = 0; i < TRIES_MAX; i++) {
    const guess = { ...attempt.honest, activation: plain(new Uint8Array(randomBytes(32))) }
    const error = await rejectsCode(() => world.service.completeEnrollment(guess, GATEWAY), "ACTIVATION")
    assert.is(error.challenge, "unspent")
  }
  for (let i = 0; i < 3; i++) {
    const error = await rejectsCode(
      () => world.service.completeEnrollment(attempt.honest, GATEWAY),
      "ACTIVATION",
    )
    assert.is(error.challenge, "spent")
  }
  await assertUnknown(world, attempt.device.akName)
  const records = await world.journal.records("default")
  assert.is(records.length - before, TRIES_MAX, "a flood of answers is no flood of records")
  await enrolls(world, attempt.device)
})

test("refuses K-05 guesses at a time: no more of them than one after another", async () => {
  const made = await scene()
  const attempt = await enrolling(made.world)
  const guess = { ...attempt.honest, activation: mac(new Uint8Array(randomBytes(32))) }
  const calls = Array.from({ length: 50 }, () => () => made.world.service.completeEnrollment(guess, GATEWAY))
  const { outcomes, journaled } = await watch(made, calls)
  assert.ok(
    outcomes.every((outcome) => outcome.status === "rejected" && outcome.reason.code === "ACTIVATION"),
  )
  assert.is(journaled.length, TRIES_MAX)
  await assertHonestEnrollment(attempt, "ACTIVATION")
})

test("accepts the right answer after four wrong ones, and no more after that", async () => {
  const { world } = await scene()
  const attempt = await enrolling(world)
  const guess = { ...attempt.honest, activation: mac(new Uint8Array(32)) }
  for (let i = 1; i < TRIES_MAX; i++)
    await rejectsCode(() => world.service.completeEnrollment(guess, GATEWAY), "ACTIVATION")
  await assertHonestEnrollment(attempt, "enrolls")
  await assertHonestEnrollment(attempt, "NONCE_SPENT")
})

const replays: readonly (readonly [name: string, forge: EnrollAttack["forge"]])[] = [
  ["the whole answer a second time", ({ honest }) => honest],
  [
    "the same secret with a new quote",
    ({ honest, device, transcript }) => ({
      ...honest,
      evidence: { ...evidenceOver(device, enrollmentExtraData(transcript)), eventLog: undefined },
    }),
  ],
  [
    "the same enrollment with the plain secret",
    ({ honest, secret }) => ({ ...honest, activation: plain(secret) }),
  ],
  [
    "the same enrollment with another key's quote",
    ({ honest, transcript }) => ({
      ...honest,
      evidence: { ...evidenceOver(elsewhere, enrollmentExtraData(transcript)), eventLog: undefined },
    }),
  ],
  ["the same enrollment with a guess", ({ honest }) => ({ ...honest, activation: mac(new Uint8Array(32)) })],
]
for (const [name, forge] of replays)
  test(`refuses K-05 ${name}, once a device was made`, async () => {
    const made = await scene()
    const attempt = await enrolling(made.world)
    const device = await assertHonestEnrollment(attempt, "enrolls")
    const { outcomes, journaled } = await watch(made, [
      async () => made.world.service.completeEnrollment(await forge(attempt), GATEWAY),
    ])
    const [outcome] = outcomes
    assert.is(outcome?.status === "rejected" && outcome.reason.code, "NONCE_SPENT")
    assert.is(outcome?.status === "rejected" && outcome.reason.challenge, "spent")
    assert.equal(journaled, [])
    assert.equal(await made.world.registry.device("default", device?.id ?? ""), device)
  })

const STRANGER = { tenant: "default", id: "another-gateway" }
const OTHER_TENANT = { tenant: "other", id: "gateway" }
/** The gateway by its id, and somebody with a token by its standing. */
const TOKEN = { tenant: "default", id: "gateway", own: { kind: "enrollment", token: "t-1" } } as const
const context: EnrollRefusal = { code: "NONCE_CONTEXT" }
enrollAttacks(
  test,
  "K-05",
  [
    {
      name: "the honest answer by another caller",
      forge: ({ honest }) => honest,
      refusal: context,
      as: STRANGER,
    },
    {
      name: "the honest answer in another tenant",
      forge: ({ honest }) => honest,
      refusal: context,
      as: OTHER_TENANT,
    },
    {
      name: "the honest answer under an enrollment token",
      forge: ({ honest }) => honest,
      refusal: context,
      as: TOKEN,
    },
    {
      name: "the honest answer by a device that is enrolled",
      forge: ({ honest }) => honest,
      refusal: { code: "PERMISSION" },
      as: { ...GATEWAY, own: { kind: "device", id: "device-1" } },
    },
    {
      name: "the honest answer without the token that it was begun with",
      forge: ({ honest }) => honest,
      refusal: context,
      coming: () => ({ caller: TOKEN }),
      as: GATEWAY,
    },
    {
      name: "the honest answer under another token than it was begun with",
      forge: ({ honest }) => honest,
      refusal: context,
      coming: () => ({ caller: TOKEN }),
      as: { ...GATEWAY, own: { kind: "enrollment", token: "t-2" } },
    },
  ],
  scene,
)

for (const ms of [299_001, 300_000, 3_600_000])
  test(`refuses K-05 the honest answer ${ms} ms after it was asked for`, () =>
    withService(async (world) => {
      const attempt = await enrolling(world)
      world.advance(ms + 999)
      const error = await rejectsCode(
        () => world.service.completeEnrollment(attempt.honest, GATEWAY),
        "NONCE_EXPIRED",
      )
      assert.is(error.challenge, "unspent")
      await assertUnknown(world, attempt.device.akName)
      await enrolls(world, attempt.device)
    }))

test("refuses K-05 an enrollment from before a restart", () =>
  withService(async (before) => {
    const attempt = await enrolling(before)
    await withService(async (world) => {
      await rejectsCode(() => world.service.completeEnrollment(attempt.honest, GATEWAY), "NONCE_UNKNOWN")
      await assertUnknown(world, attempt.device.akName)
    })
    await assertHonestEnrollment(attempt, "enrolls")
  }))

/** The honest answer with another value in place of the sealed enrollment. */
const presenting =
  (enrollment: (attempt: Enrolling) => Uint8Array | Promise<Uint8Array>): EnrollAttack["forge"] =>
  async (attempt) => ({ ...attempt.honest, enrollment: await enrollment(attempt) })

const challengeFor = async ({ world }: Enrolling): Promise<Uint8Array> =>
  (await answered(world.service, elsewhere)).freshness.challenge
const unknown: EnrollRefusal = { code: "NONCE_UNKNOWN" }
enrollAttacks(
  test,
  "N-04",
  [
    { name: "a challenge in place of the enrollment", forge: presenting(challengeFor), refusal: unknown },
    {
      name: "an enrollment with a bit changed",
      forge: presenting(({ honest }) => flipped(honest.enrollment, 60)),
      refusal: unknown,
    },
    {
      name: "an enrollment that is cut",
      forge: presenting(({ honest }) => honest.enrollment.subarray(0, 200)),
      refusal: unknown,
    },
    {
      name: "an enrollment with a byte behind it",
      forge: presenting(({ honest }) => Uint8Array.of(...honest.enrollment, 0)),
      refusal: unknown,
    },
    {
      name: "the random value alone",
      forge: presenting(({ transcript }) => transcript.random),
      refusal: unknown,
    },
    { name: "the chains in clear", forge: presenting(() => new Uint8Array(4096)), refusal: unknown },
  ],
  scene,
)

/** The honest answer with a quote over something else. */
const quoting =
  (extraData: (attempt: Enrolling) => Uint8Array): EnrollAttack["forge"] =>
  (attempt) => ({
    ...attempt.honest,
    evidence: { ...evidenceOver(attempt.device, extraData(attempt)), eventLog: undefined },
  })
const otherQuote: EnrollRefusal = { code: "NONCE_MISMATCH" }
const quoted: readonly (readonly [name: string, extraData: (attempt: Enrolling) => Uint8Array])[] = [
  [
    "a quote over a challenge with the same random value",
    ({ transcript: { random, tenant } }) =>
      challengeExtraData({
        random,
        tenant,
        device: "",
        audience: "orders",
        confirmation: undefined,
        policy: "",
      }),
  ],
  [
    "a quote over the random value as a nonce",
    ({ transcript: { random, tenant } }) => nonceExtraData(tenant, random),
  ],
  ["a quote over the bare random value", ({ transcript }) => transcript.random],
  [
    "a quote over another tenant",
    ({ transcript }) => enrollmentExtraData({ ...transcript, tenant: "other" }),
  ],
  [
    "a quote over no endorsement key",
    ({ transcript }) => enrollmentExtraData({ ...transcript, ekDigest: new Uint8Array() }),
  ],
  [
    "a quote over another attestation key",
    ({ transcript }) => enrollmentExtraData({ ...transcript, akName: elsewhere.akName }),
  ],
  [
    "a quote over another enrollment",
    ({ transcript }) => enrollmentExtraData({ ...transcript, random: new Uint8Array(32) }),
  ],
  [
    "a quote over what the credential is answered with",
    ({ honest }) => honest.activation?.value ?? new Uint8Array(32),
  ],
  ["a quote over nothing", () => new Uint8Array()],
]
enrollAttacks(
  test,
  "N-04",
  quoted.map(([name, extraData]) => ({ name, forge: quoting(extraData), refusal: otherQuote })),
  scene,
)

test("refuses N-04 an enrollment in place of a challenge, whose quote attests nothing", async () => {
  const made = await scene()
  const attempt = await enrolling(made.world)
  const { id } = (await assertHonestEnrollment(attempt, "enrolls")) ?? { id: "" }
  const again = await begin(made.world, attempt.device)
  const transcript = await transcriptBy(attempt.device, again)
  const evidence = evidenceOver(attempt.device, enrollmentExtraData(transcript))
  const { outcomes, journaled } = await watch(made, [
    () =>
      made.world.service.verify(
        { freshness: { kind: "challenge", challenge: again.sealed }, evidence },
        GATEWAY,
      ),
  ])
  const [outcome] = outcomes
  assert.is(outcome?.status === "rejected" && outcome.reason.code, "NONCE_UNKNOWN")
  assert.equal(journaled, [])
  assert.is((await made.world.registry.device("default", id)).counters?.clockMs, attempt.device.state.clockMs)
})

test("refuses N-04 the quote of an enrollment as the answer to a challenge, and the reverse", async () => {
  const made = await scene()
  const { world } = made
  const attempt = await enrolling(world)
  await assertHonestEnrollment(attempt, "enrolls")
  const { freshness } = await answered(world.service, attempt.device)
  const evidence = evidenceOver(attempt.device, enrollmentExtraData(attempt.transcript))
  const { outcomes } = await watch(made, [() => world.service.verify({ freshness, evidence }, GATEWAY)])
  const [outcome] = outcomes
  assert.is(outcome?.status === "fulfilled" && outcome.value.findings[0]?.code, "NONCE_MISMATCH")
})

test.run()
