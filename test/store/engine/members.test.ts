import { suite } from "uvu"
import * as assert from "uvu/assert"
import { sameBytes } from "../../../src/bytes.ts"
import type { OpenedValue, SingleUse } from "../../../src/service/ports.ts"
import type { Engine } from "../../../src/store/engine/engine.ts"
import {
  answerUse,
  createMemberEngine,
  type MemberUse,
  type MemberVerdict,
} from "../../../src/store/engine/members.ts"
import { createMemoryEngine, createSealingKey } from "../../../src/store/engine/memory.ts"
import type { SealingKey } from "../../../src/store/engine/sealing.ts"
import { rejectsCode } from "../../support/assert.ts"
import { seededRandom } from "../../support/ports/random.ts"
import { afterNoon, digestOf, NOON } from "../../support/ports/samples.ts"
import { newValue, oneOf, singleUseConformance } from "../../support/ports/single-use.ts"

const test = suite("createMemberEngine")

/** Processes in one: each with an engine, and a way between them that can be cut. */
interface Crew {
  readonly members: readonly Member[]
  /** What members ask of each other goes through it. */
  route: (use: MemberUse) => Promise<MemberVerdict>
}
interface Member {
  readonly sealing: SealingKey
  readonly own: Engine
  readonly engine: Engine
  lives: boolean
}

let crews = 0
const createCrew = (count: number, spentMax = 1000): Crew => {
  const random = seededRandom(`crew ${crews++}`)
  const members: Member[] = []
  const crew: Crew = {
    members,
    route: async (use) => {
      const owner = members.find(({ sealing, lives }) =>
        use.kind === "count" ? true : lives && sameBytes(sealing.id, use.keyId),
      )
      if (owner === undefined) return { kind: "gone" }
      return structuredClone(await answerUse(owner.own.singleUse, owner.sealing.id, structuredClone(use)))
    },
  }
  for (let i = 0; i < count; i++) {
    const sealing = createSealingKey(random)
    const own = createMemoryEngine(random, { sealing, spentMax })
    const others = {
      key: (id: Uint8Array) => members.find((one) => one.lives && sameBytes(one.sealing.id, id))?.sealing,
      use: (use: MemberUse) => crew.route(use),
    }
    const engine = createMemberEngine(own, sealing.id, others, i === 0 ? "here" : "elsewhere")
    members.push({ sealing, own, engine, lives: true })
  }
  return crew
}

const two = (crew: Crew): readonly [Member, Member] => {
  const [one, other] = crew.members
  if (one === undefined || other === undefined) throw new TypeError("two members")
  return [one, other]
}

/** Each call on the next member, as a balancer would have it; one seals, for no id is ever sealed twice but by a test. */
const balanced = (crew: Crew): SingleUse => {
  const { members } = crew
  let calls = 0
  const next = (): SingleUse => {
    const member = members[calls++ % members.length]
    if (member === undefined) throw new TypeError("a member")
    return member.engine.singleUse
  }
  return {
    seal: (value) => two(crew)[0].engine.singleUse.seal(value),
    open: (purpose, sealed, at) => next().open(purpose, sealed, at),
    attempt: (value, at) => next().attempt(value, at),
    count: (tenant, id, until, at) => next().count(tenant, id, until, at),
    spend: (value, at) => next().spend(value, at),
  }
}
for (const count of [2, 3])
  singleUseConformance(test, `${count} members`, async (body) => body(balanced(createCrew(count)), NOON))

/** A value that the first has sealed, opened by the second. */
const handedOver = async ([one, other]: readonly [Member, Member], name = "one"): Promise<OpenedValue> => {
  const sealed = await one.engine.singleUse.seal(
    newValue(NOON, { id: digestOf(name), expiresAt: afterNoon(60_000) }),
  )
  return other.engine.singleUse.open("attest", sealed, NOON)
}

test("refuses N-05 all but one of 1000 spends on all members at once", async () => {
  const crew = createCrew(4)
  const value = await handedOver(two(crew))
  let calls = 0
  await oneOf(1000, async () => {
    const member = crew.members[calls++ % crew.members.length]
    await member?.engine.singleUse.spend(value, NOON)
  })
})

test("refuses N-05 a second spend by the maker after another has spent", async () => {
  const pair = two(createCrew(2))
  const value = await handedOver(pair)
  await pair[1].engine.singleUse.spend(value, NOON)
  await rejectsCode(() => pair[0].engine.singleUse.spend(value, NOON), "NONCE_SPENT")
})

test("refuses S-07 what the maker may have spent before it ended, opened before or after", async () => {
  const crew = createCrew(2)
  const [maker, other] = two(crew)
  const sealed = await maker.engine.singleUse.seal(newValue(NOON))
  const value = await other.engine.singleUse.open("attest", sealed, NOON)
  await maker.engine.singleUse.spend(value, NOON)
  maker.lives = false
  const error = await rejectsCode(() => other.engine.singleUse.spend(value, NOON), "NONCE_FENCED")
  assert.is(error.kind, "stale")
  await rejectsCode(() => other.engine.singleUse.attempt(value, NOON), "NONCE_FENCED")
  await rejectsCode(() => other.engine.singleUse.open("attest", sealed, NOON), "NONCE_UNKNOWN")
})

test("refuses S-07 what is asked of the one that came after its maker", async () => {
  const [maker, next] = two(createCrew(2))
  const value = await handedOver([maker, next])
  const { purpose, tenant, id, expiresAt } = value
  const use = { kind: "spend", purpose, tenant, id, keyId: maker.sealing.id, expiresAt, at: NOON } as const
  assert.equal(await answerUse(next.own.singleUse, next.sealing.id, use), { kind: "gone" })
})

for (const [name, act] of [
  ["a spend", (member: Member, value: OpenedValue) => member.engine.singleUse.spend(value, NOON)],
  ["a try", (member: Member, value: OpenedValue) => member.engine.singleUse.attempt(value, NOON)],
  [
    "a count",
    (member: Member, { tenant, id, expiresAt }: OpenedValue) =>
      member.engine.singleUse.count(tenant, id, expiresAt, NOON),
  ],
] as const)
  test(`refuses S-08 ${name} whose owner does not answer, and takes nothing for granted`, async () => {
    const crew = createCrew(2)
    const [maker, other] = two(crew)
    const value = await handedOver([maker, other])
    crew.route = async () => Promise.reject(new Error("use was not answered in time"))
    await rejectsCode(async () => act(other, value), "NONCE_STORE")
  })

for (const code of ["INTERNAL", "REGISTRY"] as const)
  test(`refuses S-08 a spend that its owner could not do: ${code}`, async () => {
    const crew = createCrew(2)
    const [maker, other] = two(crew)
    const value = await handedOver([maker, other])
    crew.route = async () => ({ kind: "refused", code })
    await rejectsCode(() => other.engine.singleUse.spend(value, NOON), "NONCE_STORE")
  })

test("refuses N-04 what has expired, without asking its maker", async () => {
  const crew = createCrew(2)
  const [maker, other] = two(crew)
  const sealed = await maker.engine.singleUse.seal(newValue(NOON, { expiresAt: afterNoon(1000) }))
  crew.route = async () => Promise.reject(new Error("asked"))
  await rejectsCode(() => other.engine.singleUse.open("attest", sealed, afterNoon(1000)), "NONCE_EXPIRED")
})

test("refuses N-07 to spend for others beyond what the maker can remember", async () => {
  const [maker, other] = two(createCrew(2, 2))
  for (const name of ["a", "b"])
    await other.engine.singleUse.spend(await handedOver([maker, other], name), NOON)
  const more = await handedOver([maker, other], "more")
  await rejectsCode(() => other.engine.singleUse.spend(more, NOON), "CHALLENGES_FULL")
})

test("asks nobody about what it has made itself", async () => {
  const crew = createCrew(2)
  const [maker] = two(crew)
  crew.route = async () => Promise.reject(new Error("asked"))
  const sealed = await maker.engine.singleUse.seal(newValue(NOON))
  await maker.engine.singleUse.spend(await maker.engine.singleUse.open("attest", sealed, NOON), NOON)
})

test.run()
