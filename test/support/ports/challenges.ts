import type { Test } from "uvu"
import * as assert from "uvu/assert"
import { AssayError } from "../../../src/errors.ts"
import type { Challenge, Challenges } from "../../../src/service/ports.ts"
import { rejectsCode, throwsCode } from "../assert.ts"
import { afterNoon, NOON, newChallenge } from "./samples.ts"

/** What every store of challenges does. `create` makes one with a key of its own that remembers `spentMax`. */
export const challengesConformance = (
  test: Test,
  name: string,
  create: (spentMax?: number) => Challenges,
): void => {
  const check = (behavior: string, body: () => void | Promise<void>): void =>
    test(`${name} ${behavior}`, body)

  const genuine: [what: string, challenge: Challenge][] = [
    ["for any device, without a key", newChallenge("any", { device: "", policy: "" })],
    ["with a certificate's digest", withKey("x5t#S256")],
    ["with a key's thumbprint", withKey("jkt")],
    ["with a policy and its lowest revision", newChallenge("p", { policy: "base", policyRevision: 2 ** 40 })],
    ["with names outside of ASCII", newChallenge("u", { caller: "\ufeffgerät-ß-😀", tenant: "ñ" })],
  ]
  for (const [what, challenge] of genuine)
    check(`opens what it sealed ${what}`, () => {
      const challenges = create()
      assert.equal(challenges.open(challenges.seal(challenge), NOON), challenge)
    })

  check("seals the same challenge into another value each time", () => {
    const challenges = create()
    const values = Array.from({ length: 100 }, () => String(challenges.seal(newChallenge("one"))))
    assert.is(new Set(values).size, 100)
  })

  check("opens again and again until the challenge is spent", async () => {
    const challenges = create()
    const sealed = challenges.seal(newChallenge("one"))
    for (let i = 0; i < 3; i++) challenges.open(sealed, NOON)
    await challenges.spend(challenges.open(sealed, NOON), NOON)
    throwsCode(() => challenges.open(sealed, NOON), "NONCE_SPENT")
  })

  check("refuses N-01 the same challenge twice", async () => {
    const challenges = create()
    const challenge = challenges.open(challenges.seal(newChallenge("one")), NOON)
    await challenges.spend(challenge, NOON)
    await rejectsCode(() => challenges.spend(challenge, NOON), "NONCE_SPENT")
  })

  check("refuses N-01 a second seal of the same challenge", async () => {
    const challenges = create()
    const [first, second] = [challenges.seal(newChallenge("one")), challenges.seal(newChallenge("one"))]
    await challenges.spend(challenges.open(first, NOON), NOON)
    throwsCode(() => challenges.open(second, NOON), "NONCE_SPENT")
  })

  check("refuses N-01 a spent challenge in the last millisecond of its life", async () => {
    const challenges = create()
    const sealed = challenges.seal(newChallenge("one"))
    await challenges.spend(challenges.open(sealed, NOON), NOON)
    for (let i = 0; i < 60; i++) await challenges.spend(newChallenge(`other ${i}`), afterNoon(i * 1000))
    throwsCode(() => challenges.open(sealed, afterNoon(59_999)), "NONCE_SPENT")
    await rejectsCode(() => challenges.spend(newChallenge("one"), afterNoon(59_999)), "NONCE_SPENT")
  })

  check("refuses N-01 a spent challenge after it expired and the clock stepped back", async () => {
    const challenges = create()
    const sealed = challenges.seal(newChallenge("one"))
    const challenge = challenges.open(sealed, NOON)
    await challenges.spend(challenge, NOON)
    await challenges.spend(newChallenge("late", { expiresAt: afterNoon(200_000) }), afterNoon(120_000))
    throwsCode(() => challenges.open(sealed, NOON), ["NONCE_EXPIRED", "NONCE_SPENT"])
    await rejectsCode(() => challenges.spend(challenge, NOON), ["NONCE_EXPIRED", "NONCE_SPENT"])
  })

  check("accepts a challenge made after the clock stepped back", async () => {
    const challenges = create()
    await challenges.spend(newChallenge("one"), NOON)
    const yearAhead = afterNoon(365 * 86_400_000)
    await rejectsCode(() => challenges.spend(newChallenge("two"), yearAhead), "NONCE_EXPIRED")
    await challenges.spend(newChallenge("three", { expiresAt: afterNoon(62_000) }), afterNoon(2000))
  })

  check("refuses N-01 a challenge spent by way of another copy of it", async () => {
    const challenges = create()
    const sealed = challenges.seal(newChallenge("one"))
    const [a, b] = [challenges.open(sealed, NOON), challenges.open(sealed, NOON)]
    await challenges.spend(a, NOON)
    await rejectsCode(() => challenges.spend(b, NOON), "NONCE_SPENT")
  })

  for (const ms of [60_000, 60_001, 61_000, 86_400_000])
    check(`refuses N-04 a challenge ${ms} ms after its issue, expired`, async () => {
      const challenges = create()
      const sealed = challenges.seal(newChallenge("one"))
      const challenge = challenges.open(sealed, afterNoon(59_999))
      throwsCode(() => challenges.open(sealed, afterNoon(ms)), "NONCE_EXPIRED")
      await rejectsCode(() => challenges.spend(challenge, afterNoon(ms)), "NONCE_EXPIRED")
    })

  check("refuses N-04 any challenge while the clock says nothing", async () => {
    const challenges = create()
    const sealed = challenges.seal(newChallenge("one"))
    const noTime = new Date(Number.NaN)
    await challenges.spend(newChallenge("two"), NOON)
    throwsCode(() => challenges.open(sealed, noTime), "NONCE_EXPIRED")
    await rejectsCode(() => challenges.spend(newChallenge("one"), noTime), "NONCE_EXPIRED")
    await rejectsCode(() => challenges.spend(newChallenge("two"), NOON), "NONCE_SPENT")
  })

  check("refuses N-04 a challenge that another key sealed, as from before a restart", () => {
    const sealed = create().seal(newChallenge("one"))
    throwsCode(() => create().open(sealed, NOON), "NONCE_UNKNOWN")
  })

  check("refuses N-04 a challenge with any one byte changed", () => {
    const challenges = create()
    const sealed = challenges.seal(withKey("jkt"))
    for (let i = 0; i < sealed.length; i++) {
      const changed = sealed.slice()
      changed[i] = (changed[i] ?? 0) ^ 0xff
      throwsCode(() => challenges.open(changed, NOON), "NONCE_UNKNOWN")
    }
  })

  check("refuses N-04 every proper prefix of a challenge, and one byte too many", () => {
    const challenges = create()
    const sealed = challenges.seal(newChallenge("one"))
    for (let size = 0; size < sealed.length; size++)
      throwsCode(() => challenges.open(sealed.subarray(0, size), NOON), "NONCE_UNKNOWN")
    throwsCode(() => challenges.open(Uint8Array.of(...sealed, 0), NOON), "NONCE_UNKNOWN")
  })

  const invented: [what: string, bytes: Uint8Array][] = [
    ["nothing", new Uint8Array()],
    ["zeros", new Uint8Array(200)],
    ["a raw nonce", newChallenge("one").random],
    ["the plain random twice", Uint8Array.of(...newChallenge("one").random, ...newChallenge("one").random)],
    ["a megabyte", new Uint8Array(1_048_576)],
  ]
  for (const [what, bytes] of invented)
    check(`refuses N-04 ${what} in place of a challenge`, () => {
      throwsCode(() => create().open(bytes, NOON), "NONCE_UNKNOWN")
    })

  check("refuses N-04 the halves of two challenges put together", () => {
    const challenges = create()
    const [a, b] = [challenges.seal(newChallenge("one")), challenges.seal(newChallenge("two"))]
    for (const cut of [12, 16, 28, 60])
      throwsCode(
        () => challenges.open(Uint8Array.of(...a.subarray(0, cut), ...b.subarray(cut)), NOON),
        "NONCE_UNKNOWN",
      )
  })

  const races: [what: string, copies: number, open: boolean][] = [
    ["2 calls", 2, false],
    ["1000 calls", 1000, false],
    ["1000 calls that each open it first", 1000, true],
  ]
  for (const [what, copies, open] of races)
    check(`refuses N-05 all but one of ${what} at once`, async () => {
      const challenges = create()
      const sealed = challenges.seal(newChallenge("one"))
      const opened = challenges.open(sealed, NOON)
      await oneOf(copies, async () => {
        const challenge = open ? challenges.open(sealed, NOON) : opened
        await Promise.resolve()
        await challenges.spend(challenge, NOON)
      })
    })

  check("refuses N-05 all but one of 1000 calls at once in a full store", async () => {
    const challenges = create(2)
    await challenges.spend(newChallenge("other"), NOON)
    await oneOf(1000, () => challenges.spend(newChallenge("one"), NOON))
  })

  check("refuses N-05 all but one of 1000 calls at once about its expiry", async () => {
    const challenges = create()
    await oneOf(1000, (i) => challenges.spend(newChallenge("one"), afterNoon(59_500 + i)))
  })

  for (const spentMax of [1, 2, 3, 10, 500])
    check(`refuses N-07 to spend more than ${spentMax} at a time, and forgets none`, async () => {
      const challenges = create(spentMax)
      for (let i = 0; i < spentMax; i++) await challenges.spend(newChallenge(`${i}`), NOON)
      const sealed = challenges.seal(newChallenge("more"))
      const more = challenges.open(sealed, NOON)
      await rejectsCode(() => challenges.spend(more, NOON), "CHALLENGES_FULL")
      await rejectsCode(() => challenges.spend(newChallenge("0"), NOON), "NONCE_SPENT")
      challenges.open(sealed, NOON) // unspent still
      await rejectsCode(() => challenges.spend(more, afterNoon(59_999)), "CHALLENGES_FULL")
      const later = newChallenge("later", { expiresAt: afterNoon(180_000) })
      await challenges.spend(later, afterNoon(61_000))
    })
}

const withKey = (method: "x5t#S256" | "jkt"): Challenge =>
  newChallenge(method, { confirmation: { method, digest: newChallenge("key").random } })

/** Of so many calls at once, exactly one succeeds and every other is told why not. */
const oneOf = async (copies: number, act: (i: number) => Promise<void>): Promise<void> => {
  const outcomes = await Promise.allSettled(Array.from({ length: copies }, (_, i) => act(i)))
  assert.is(outcomes.filter(({ status }) => status === "fulfilled").length, 1)
  for (const outcome of outcomes)
    if (outcome.status === "rejected") {
      assert.instance(outcome.reason, AssayError)
      assert.ok(["NONCE_SPENT", "NONCE_EXPIRED", "CHALLENGES_FULL"].includes(outcome.reason.code))
    }
}
