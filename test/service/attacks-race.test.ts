/** N-02 and N-05 against the whole service: random bytes that are none, and many calls at a time with one challenge. */
import { randomBytes } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AssayError, type Code } from "../../src/errors.ts"
import { createRandom, type RandomSource } from "../../src/keys/random.ts"
import type { AttestationResult } from "../../src/result/result.ts"
import type { Caller } from "../../src/service/ports.ts"
import type { VerifyInput } from "../../src/service/service.ts"
import { createMemoryEngine } from "../../src/store/engine/memory.ts"
import { rejectsCode } from "../support/assert.ts"
import { assertError, assertHonest, assertNoSession } from "../support/attack.ts"
import { flipped } from "../support/core.ts"
import { attemptOn, createScene, sceneFor, watch } from "../support/scene.ts"
import { evidenceOver, GATEWAY } from "../support/service.ts"
import {
  type Attempt,
  P256,
  P384,
  RSAPSS,
  RSASSA,
  showing,
  showingBanks,
  type Victim,
} from "../support/victim.ts"

const test = suite("attacks by races and bad random bytes")

// N-02: no sound random bytes, no challenge and no token, for nobody, until the process starts anew.

const [first, other] = [randomBytes(64), randomBytes(16)]
const sources: readonly [name: string, of: Victim, source: RandomSource][] = [
  ["gives zeros", RSASSA, (size) => new Uint8Array(size)],
  ["gives one byte over and over", P256, (size) => new Uint8Array(size).fill(randomBytes(1)[0] ?? 0)],
  ["gives one block over and over", P384, (size) => Buffer.alloc(size, other)],
  ["gives again what it gave first", RSAPSS, (size) => first.subarray(0, size)],
  ["gives too little", RSASSA, (size) => randomBytes(size - 1)],
  ["gives nothing", P256, () => new Uint8Array()],
  [
    "throws",
    P384,
    () => {
      throw new Error("no entropy")
    },
  ],
]
for (const [name, of, source] of sources)
  test(`refuses N-02 challenges and tokens when the random source ${name}, ${of.label}`, async () => {
    let isBroken = false
    let drawn = 0
    const sound = (size: number): Uint8Array => (drawn++ === 0 ? first.subarray(0, size) : randomBytes(size))
    const random = createRandom((size) => (isBroken ? source(size) : sound(size)))
    const scene = await createScene([of], {
      ports: () => ({ random, singleUse: createMemoryEngine(random).singleUse }),
    })
    const { world } = scene
    try {
      const { honest } = await attemptOn(scene, of)
      isBroken = true
      const asked = { device: "", audience: "orders", confirmation: undefined, policy: "" }
      const { outcomes, journaled } = await watch<unknown>(
        scene,
        [
          () => world.service.createChallenge(asked, GATEWAY),
          () => world.service.createChallenge(asked, GATEWAY),
          () => world.service.verify(honest, GATEWAY),
        ],
        { bystander: "reads" },
      )
      const refusal = { code: "RNG", ends: "unavailable" } as const
      const errors = outcomes.map((outcome) => (outcome.status === "rejected" ? outcome.reason : outcome))
      for (const [i, challenge] of (["none", "none", "spent"] as const).entries())
        assertError(errors[i], journaled, { ...refusal, challenge })
      isBroken = false
      await rejectsCode(() => world.service.createChallenge(asked, GATEWAY), "RNG")
      await assertHonest(scene, of, honest, "NONCE_SPENT")
    } finally {
      world.close()
    }
  })

// N-05: however many calls, one session for one challenge.

interface Call {
  readonly input: VerifyInput
  readonly as?: Caller
}
type Race = readonly [
  name: string,
  of: Victim,
  calls: (attempt: Attempt) => readonly Call[],
  /** How many calls end with a session, and with each code. */
  ends: Partial<Record<"session" | Code, number>>,
  /** What the challenge is answered with afterwards. */
  afterwards?: Code,
]
const times = (count: number, make: (i: number) => Call): readonly Call[] =>
  Array.from({ length: count }, (_, i) => make(i))
const junk = showing(({ signature }) => ({ signature: flipped(signature, signature.length - 1) }))
const otherValues = showingBanks((banks) =>
  banks.map(({ hash, values }) => ({ hash, values: flipped(values, 0) })),
)
const THIEF: Caller = { tenant: "default", id: "thief" }

const races: readonly Race[] = [
  ["two calls", P256, ({ honest }) => times(2, () => ({ input: honest })), { session: 1, NONCE_SPENT: 1 }],
  [
    "three hundred calls",
    RSASSA,
    ({ honest }) => times(300, () => ({ input: honest })),
    { session: 1, NONCE_SPENT: 299 },
  ],
  [
    "a hundred calls, each with a quote of its own",
    P384,
    ({ honest, device, extraData }) =>
      times(100, () => ({ input: { ...honest, evidence: evidenceOver(device, extraData) } })),
    { session: 1, NONCE_SPENT: 99 },
  ],
  [
    "calls of two callers",
    RSAPSS,
    ({ honest }) => times(100, (i) => ({ input: honest, as: i % 2 === 0 ? THIEF : GATEWAY })),
    { session: 1, NONCE_SPENT: 49, NONCE_CONTEXT: 50 },
  ],
  [
    "calls with junk signatures between them",
    P256,
    (attempt) => times(50, (i) => ({ input: i % 2 === 0 ? junk(attempt) : attempt.honest })),
    { session: 1, NONCE_SPENT: 24, SIGNATURE: 25 },
  ],
  [
    "calls of which the first shows other PCR values",
    RSASSA,
    (attempt) => times(50, (i) => ({ input: i % 2 === 0 ? otherValues(attempt) : attempt.honest })),
    { PCR_DIGEST: 1, NONCE_SPENT: 49 },
  ],
  [
    "calls in the last millisecond of its life",
    P384,
    ({ honest, world }) => {
      world.advance(59_999)
      return times(50, () => ({ input: honest }))
    },
    { session: 1, NONCE_SPENT: 49 },
  ],
  [
    "calls at the instant of its end",
    RSAPSS,
    ({ honest, world }) => {
      world.advance(60_000)
      return times(50, () => ({ input: honest }))
    },
    { NONCE_EXPIRED: 50 },
    "NONCE_EXPIRED",
  ],
]

const countEnds = (outcomes: readonly PromiseSettledResult<AttestationResult>[]): Race[3] => {
  const ends = new Map<string, number>()
  for (const outcome of outcomes) {
    if (outcome.status === "rejected" && !(outcome.reason instanceof AssayError)) throw outcome.reason
    const refused = outcome.status === "rejected" ? outcome.reason.code : outcome.value.findings[0]?.code
    const end = outcome.status === "fulfilled" && outcome.value.token.kind === "session" ? "session" : refused
    ends.set(end, (ends.get(end) ?? 0) + 1)
  }
  return Object.fromEntries(ends)
}

const raceTest = (scene: ReturnType<typeof sceneFor>, [name, of, calls, ends, afterwards]: Race): void =>
  test(`refuses N-05 all but one of ${name} with one challenge, ${of.label}`, async () => {
    const here = await scene()
    const attempt = await attemptOn(here, of)
    const made = calls(attempt).map(
      ({ input, as = GATEWAY }) =>
        () =>
          here.world.service.verify(input, as),
    )
    const { outcomes, journaled } = await watch(here, made, { answers: of.id })
    assert.equal(countEnds(outcomes), ends)
    const answers = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []))
    for (const result of answers) if (result.token.kind === "result") assertNoSession(here, result)
    assert.equal(journaled.map(({ tokenId }) => tokenId).toSorted(), answers.map(({ id }) => id).toSorted())
    await assertHonest(here, of, attempt.honest, afterwards ?? "NONCE_SPENT")
    await assertHonest(here, of, (await attemptOn(here, of)).honest, "session")
  })
const scene = sceneFor(test)
for (const race of races) raceTest(scene, race)

const SPENT_MAX = 8
const crowded = sceneFor(test, [P256], { spentMax: SPENT_MAX })

test("refuses N-05 to forget a spent challenge when the memory for them is full, P-256", async () => {
  const here = await crowded()
  const { world } = here
  world.advance(120_000)
  const waiting: Attempt[] = []
  for (let i = 0; i < SPENT_MAX; i++) waiting.push(await attemptOn(here, P256))
  const [raced, late, ...early] = waiting
  assert.ok(raced !== undefined && late !== undefined)
  for (const { honest } of early) await assertHonest(here, P256, honest, "session")
  // Two places are left: one for the raced challenge, one for the bystander's.
  const calls = Array.from({ length: 20 }, () => () => world.service.verify(raced.honest, GATEWAY))
  const { outcomes } = await watch(here, calls, { answers: P256.id })
  assert.equal(countEnds(outcomes), { session: 1, NONCE_SPENT: 19 })
  for (const { honest } of [raced, ...early]) await assertHonest(here, P256, honest, "NONCE_SPENT")
  const error = await rejectsCode(() => world.service.verify(late.honest, GATEWAY), "CHALLENGES_FULL")
  assert.is(error.challenge, "unspent")
  world.advance(60_000)
  await assertHonest(here, P256, (await attemptOn(here, P256)).honest, "session")
})

test.run()
