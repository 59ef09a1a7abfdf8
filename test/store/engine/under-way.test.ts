import { createSecretKey } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../../src/bytes.ts"
import { AssayError } from "../../../src/errors.ts"
import type { OpenedValue, SealedPurpose, SingleUse } from "../../../src/service/ports.ts"
import { createMemoryEngine } from "../../../src/store/engine/memory.ts"
import { createSealer, openedOf, type SealingKey } from "../../../src/store/engine/sealing.ts"
import { createUnderWay } from "../../../src/store/engine/under-way.ts"
import { throwsCode } from "../../support/assert.ts"
import { seededRandom } from "../../support/ports/random.ts"
import { afterNoon, digestOf, NOON } from "../../support/ports/samples.ts"
import { newValue } from "../../support/ports/single-use.ts"

const test = suite("createUnderWay")

const keyOf = (id: string, secret: string): SealingKey => ({
  id: digestOf(id).slice(0, 8),
  key: createSecretKey(digestOf(secret)),
})
const KEY = keyOf("a", "a")
/** What is inside of a value with such a content. */
const inside = (content: Uint8Array) => ({
  value: openedOf(newValue(NOON, { content }), { keyId: KEY.id, fence: "" }),
  key: KEY.key,
})

test("gives what is inside of exactly the bytes that were sealed, once", () => {
  const underWay = createUnderWay(2 ** 20)
  const within = inside(Uint8Array.of(4))
  underWay.put(Uint8Array.of(1, 2, 3), within)
  assert.is(underWay.take(Uint8Array.of(1, 2)), undefined)
  assert.is(underWay.take(Uint8Array.of(1, 2, 4)), undefined)
  assert.is(underWay.take(Uint8Array.of(1, 2, 3, 0)), undefined)
  assert.is(underWay.take(Uint8Array.of(1, 2, 3))?.value, within.value)
  assert.is(underWay.take(Uint8Array.of(1, 2, 3)), undefined)
  assert.is(underWay.size, 0)
})

test("finds the later of two values that are found by the same bytes, and no other for either", () => {
  const underWay = createUnderWay(2 ** 20)
  const [one, other] = [digestOf("one"), digestOf("other")]
  other.set(one.subarray(0, 12))
  for (const sealed of [one, other]) underWay.put(sealed, inside(sealed))
  assert.is(underWay.take(one), undefined)
  assert.is(underWay.take(other)?.value.content, other)
  assert.is(underWay.size, 0)
})

test("knows bytes as they were, whoever changes theirs afterwards", () => {
  const underWay = createUnderWay(2 ** 20)
  const sealed = Uint8Array.of(1, 2, 3)
  underWay.put(sealed, inside(Uint8Array.of(4)))
  sealed[0] = 9
  assert.is(underWay.take(sealed), undefined)
  assert.is(underWay.take(Uint8Array.of(1, 2, 3))?.value.content[0], 4)
})

for (const maxBytes of [0, 500, 2000, 10_000])
  test(`remembers at most ${maxBytes} bytes, and forgets the oldest`, () => {
    const underWay = createUnderWay(maxBytes)
    const sealed = Array.from({ length: 100 }, (_, i) => digestOf(`${i}`))
    for (const bytes of sealed) underWay.put(bytes, inside(bytes))
    const { size } = underWay
    assert.ok(size * (800 + 2 * 32) <= maxBytes, `${size}`)
    const known = sealed.filter((bytes) => underWay.take(bytes) !== undefined)
    assert.equal(known, size === 0 ? [] : sealed.slice(-size))
    assert.is(underWay.size, 0)
  })

test("refuses N-04 a value under another key of the same id, remembered or not", () => {
  for (const bytes of [0, 2 ** 20]) {
    const sealer = createSealer(seededRandom("keys"), bytes)
    const sealed = sealer.seal(newValue(NOON), KEY, "")
    throwsCode(() => sealer.open("attest", sealed, keyOf("a", "b")), "NONCE_UNKNOWN")
    assert.is(sealer.open("attest", sealed, KEY).tenant, "default")
  }
})

test("refuses N-04 a challenge for an enrollment and an enrollment for a challenge, remembered or not", () => {
  const purposes: [SealedPurpose, SealedPurpose][] = [
    ["attest", "enroll"],
    ["enroll", "attest"],
  ]
  for (const bytes of [0, 2 ** 20])
    for (const [purpose, other] of purposes) {
      const sealer = createSealer(seededRandom("purposes"), bytes)
      const sealed = sealer.seal(newValue(NOON, { purpose }), KEY, "")
      throwsCode(() => sealer.open(other, sealed, KEY), "NONCE_UNKNOWN")
      assert.is(sealer.open(purpose, sealed, KEY).purpose, purpose)
    }
})

for (const [how, altered] of [
  ["the first byte of the IV differs", (sealed: Uint8Array) => sealed.with(8, (sealed[8] ?? 0) ^ 1)],
  ["the last byte of what it is found by differs", (sealed) => sealed.with(31, (sealed[31] ?? 0) ^ 1)],
  ["the first byte behind that differs", (sealed) => sealed.with(32, (sealed[32] ?? 0) ^ 1)],
  ["the last byte differs", (sealed) => sealed.with(-1, (sealed.at(-1) ?? 0) ^ 1)],
  ["its end is missing", (sealed) => sealed.slice(0, -1)],
  ["there is a byte behind it", (sealed) => Uint8Array.of(...sealed, 0)],
] satisfies [string, (sealed: Uint8Array) => Uint8Array][])
  test(`refuses N-04 a challenge of which ${how}, and still opens the true one`, () => {
    const sealer = createSealer(seededRandom("ends"), 2 ** 20)
    const sealed = Uint8Array.from(sealer.seal(newValue(NOON), KEY, ""))
    throwsCode(() => sealer.open("attest", altered(sealed), KEY), "NONCE_UNKNOWN")
    assert.is(sealer.open("attest", sealed, KEY).tenant, "default")
  })

/** What came of a call, to compare. */
const outcomeOf = async (act: () => Promise<unknown>): Promise<unknown> => {
  try {
    return await act()
  } catch (error) {
    if (error instanceof AssayError) return error.code
    throw error
  }
}
const shown = ({ id, content, tenant, purpose, expiresAt, origin }: OpenedValue): string =>
  [toHex(id), toHex(content), tenant, purpose, expiresAt.getTime(), toHex(origin.keyId), origin.fence].join(
    " ",
  )

/** A number below `bound` that follows from where it is asked for. */
const pick = (bound: number, ...place: readonly (string | number)[]): number =>
  (digestOf(place.join("/"))[0] ?? 0) % bound

/** One history of challenges and enrollments: made, altered, opened, spent, at whatever time. */
const historyOf = async (seed: number, singleUse: SingleUse): Promise<unknown[]> => {
  const outcomes: unknown[] = []
  const sealed: { readonly purpose: SealedPurpose; readonly bytes: Uint8Array }[] = []
  const opened: OpenedValue[] = []
  for (let step = 0; step < 60; step++) {
    const at = afterNoon(pick(90, seed, step, "at") * 1000)
    const one = sealed[pick(Math.max(sealed.length, 1), seed, step, "which")]
    const value = opened[pick(Math.max(opened.length, 1), seed, step, "value")]
    switch (pick(6, seed, step)) {
      case 0:
      case 1: {
        const purpose: SealedPurpose = pick(4, seed, step, "purpose") === 0 ? "enroll" : "attest"
        const tenant = `t${pick(2, seed, step, "tenant")}`
        const [id, content] = [digestOf(`${seed}/${step}`), digestOf(`content ${step}`)]
        const bytes = await singleUse.seal(newValue(NOON, { purpose, tenant, id, content }))
        sealed.push({ purpose, bytes })
        break
      }
      case 2:
      case 3:
        if (one === undefined) break
        outcomes.push(
          await outcomeOf(async () => {
            const found = await singleUse.open(one.purpose, one.bytes, at)
            opened.push(found)
            return shown(found)
          }),
        )
        break
      case 4: {
        if (one === undefined) break
        const altered = one.bytes.slice()
        const place = pick(altered.length, seed, step, "place")
        altered[place] = (altered[place] ?? 0) ^ (1 << pick(8, seed, step, "bit"))
        const other = one.purpose === "attest" ? "enroll" : "attest"
        outcomes.push(await outcomeOf(() => singleUse.open(one.purpose, altered, at)))
        outcomes.push(await outcomeOf(() => singleUse.open(other, one.bytes, at)))
        break
      }
      default:
        if (value !== undefined) outcomes.push(await outcomeOf(() => singleUse.spend(value, at)))
    }
  }
  return outcomes
}

test("answers as an engine that deciphers everything, over 100 random histories", async () => {
  let length = 0
  for (let seed = 0; seed < 100; seed++) {
    const engine = (underWayBytes: number): SingleUse =>
      createMemoryEngine(seededRandom(`${seed}`), { underWayBytes, spentMax: 5 }).singleUse
    const expected = await historyOf(seed, engine(0))
    length += expected.length
    assert.equal(await historyOf(seed, engine(2 ** 20)), expected)
    assert.equal(await historyOf(seed, engine(1500)), expected)
  }
  assert.ok(length > 1500, `${length}`)
})

test.run()
