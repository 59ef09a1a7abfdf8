import { createDecipheriv } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex, utf8 } from "../../../src/bytes.ts"
import { AssayError } from "../../../src/errors.ts"
import { createRandom } from "../../../src/keys/random.ts"
import type { OpenedValue, Random, SingleUse } from "../../../src/service/ports.ts"
import { createMemoryEngine } from "../../../src/store/engine/memory.ts"
import { rejectsCode, throwsCode } from "../../support/assert.ts"
import { seededRandom } from "../../support/ports/random.ts"
import { afterNoon, digestOf, NOON } from "../../support/ports/samples.ts"
import { handedOut, newValue, oneOf, singleUseConformance } from "../../support/ports/single-use.ts"

const test = suite("createMemoryEngine")

let instances = 0
const create = (spentMax?: number): SingleUse =>
  createMemoryEngine(seededRandom(`memory ${instances++}`), spentMax === undefined ? {} : { spentMax })
    .singleUse

singleUseConformance(test, "memory", async (body) => body(create(), NOON))

/** A value of a minute, which follows from its name. */
const named = (singleUse: SingleUse, name: string, expiresAt = afterNoon(60_000)): Promise<OpenedValue> =>
  handedOut(singleUse, newValue(NOON, { id: digestOf(name), expiresAt }), NOON)

test("refuses N-04 a value that another key sealed, as from before a restart", async () => {
  const sealed = await create().seal(newValue(NOON))
  await rejectsCode(() => create().open("attest", sealed, NOON), "NONCE_UNKNOWN")
})

test("refuses N-01 a spent value when it is opened again", async () => {
  const singleUse = create()
  const sealed = await singleUse.seal(newValue(NOON))
  await singleUse.spend(await singleUse.open("attest", sealed, NOON), NOON)
  await rejectsCode(() => singleUse.open("attest", sealed, NOON), "NONCE_SPENT")
})

test("refuses N-01 a spent value in the last millisecond of its life, whatever came meanwhile", async () => {
  const singleUse = create()
  const value = await named(singleUse, "one")
  await singleUse.spend(value, NOON)
  for (let i = 0; i < 60; i++) await singleUse.spend(await named(singleUse, `${i}`), afterNoon(i * 1000))
  await rejectsCode(() => singleUse.spend(value, afterNoon(59_999)), "NONCE_SPENT")
})

test("refuses N-01 a spent value after it expired and the clock stepped back", async () => {
  const singleUse = create()
  const value = await named(singleUse, "one")
  await singleUse.spend(value, NOON)
  await singleUse.spend(await named(singleUse, "late", afterNoon(200_000)), afterNoon(120_000))
  await rejectsCode(() => singleUse.spend(value, NOON), ["NONCE_EXPIRED", "NONCE_SPENT"])
})

test("accepts a value made after the clock stepped back", async () => {
  const singleUse = create()
  await singleUse.spend(await named(singleUse, "one"), NOON)
  const two = await named(singleUse, "two")
  await rejectsCode(() => singleUse.spend(two, afterNoon(365 * 86_400_000)), "NONCE_EXPIRED")
  await singleUse.spend(await named(singleUse, "three", afterNoon(62_000)), afterNoon(2000))
})

test("refuses K-05 to begin anew with the tries when the clock stepped back", async () => {
  const singleUse = create()
  const value = await named(singleUse, "one")
  await singleUse.attempt(value, NOON)
  await singleUse.attempt(await named(singleUse, "late", afterNoon(200_000)), afterNoon(120_000))
  await rejectsCode(() => singleUse.attempt(value, NOON), "NONCE_EXPIRED")
})

test("refuses N-05 all but one of 1000 calls at once", async () => {
  const singleUse = create()
  const value = await named(singleUse, "one")
  await oneOf(1000, async () => {
    await Promise.resolve()
    await singleUse.spend(value, NOON)
  })
})

test("refuses N-05 all but one of 1000 calls at once in a full store", async () => {
  const singleUse = create(2)
  await singleUse.spend(await named(singleUse, "other"), NOON)
  const value = await named(singleUse, "one")
  await oneOf(1000, () => singleUse.spend(value, NOON))
})

for (const spentMax of [1, 2, 3, 10, 500])
  test(`refuses N-07 to spend more than ${spentMax} at a time, and forgets none`, async () => {
    const singleUse = create(spentMax)
    for (let i = 0; i < spentMax; i++) await singleUse.spend(await named(singleUse, `${i}`), NOON)
    const more = await named(singleUse, "more")
    await rejectsCode(() => singleUse.spend(more, NOON), "CHALLENGES_FULL")
    await rejectsCode(async () => singleUse.spend(await named(singleUse, "0"), NOON), "NONCE_SPENT")
    await named(singleUse, "more") // unspent still
    await rejectsCode(() => singleUse.spend(more, afterNoon(59_999)), "CHALLENGES_FULL")
    await singleUse.spend(await named(singleUse, "later", afterNoon(180_000)), afterNoon(61_000))
  })

test("refuses N-07 to count the tries of more than it can remember, and forgets none", async () => {
  const singleUse = create(2)
  const [one, two, three] = await Promise.all(["1", "2", "3"].map((name) => named(singleUse, name)))
  assert.ok(one !== undefined && two !== undefined && three !== undefined)
  await singleUse.attempt(one, NOON)
  await singleUse.attempt(two, NOON)
  await rejectsCode(() => singleUse.attempt(three, NOON), "CHALLENGES_FULL")
  assert.is(await singleUse.attempt(one, NOON), 2)
  assert.is(
    await singleUse.attempt(await named(singleUse, "later", afterNoon(180_000)), afterNoon(61_000)),
    1,
  )
})

test("seals with AES-256-GCM: key id, IV, tag, ciphertext, under a label with the purpose", async () => {
  const keys = seededRandom("format")
  const [key, id] = [keys.bytes(32), keys.bytes(8)]
  const { singleUse } = createMemoryEngine(seededRandom("format"))
  const sealed = await singleUse.seal(newValue(NOON, { content: utf8("https://a.example") }))
  assert.is(toHex(sealed.subarray(0, 8)), toHex(id))
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(8, 20))
  decipher.setAAD(utf8("assay/v1/sealed/attest"))
  decipher.setAuthTag(sealed.subarray(20, 36))
  const plain = Buffer.concat([decipher.update(sealed.subarray(36)), decipher.final()])
  assert.ok(plain.includes("https://a.example"))
})

test("never uses an IV twice, not even if the source repeats itself", async () => {
  const constant: Random = { bytes: (size) => new Uint8Array(size).fill(7) }
  const { singleUse } = createMemoryEngine(constant)
  const ivs = new Set<string>()
  for (let i = 0; i < 1000; i++) ivs.add(toHex((await singleUse.seal(newValue(NOON))).subarray(8, 20)))
  assert.is(ivs.size, 1000)
})
test("tells nobody by its IVs how much was sealed", async () => {
  const { singleUse } = createMemoryEngine(createRandom())
  let before = 0
  for (let i = 0; i < 100; i++) {
    const iv = Buffer.from((await singleUse.seal(newValue(NOON))).subarray(8, 20))
    const end = iv.readUInt32BE(8)
    assert.ok(Math.abs(end - before) > 1 && end !== i, "no two in a row")
    before = end
  }
})

test("refuses N-02 to start when the source fails", () => {
  const failing: Random = {
    bytes: () => {
      throw new AssayError("RNG", "the source is silent")
    },
  }
  throwsCode(() => createMemoryEngine(failing), "RNG")
})

test("counts what was sealed and spent, and what it has to remember", async () => {
  const { singleUse, counts } = createMemoryEngine(seededRandom("counts"))
  const [one] = [
    await handedOut(singleUse, newValue(NOON), NOON),
    await handedOut(singleUse, newValue(NOON), NOON),
  ]
  await singleUse.spend(one, NOON)
  await singleUse.spend(one, NOON).catch(() => {})
  assert.equal(counts(), { created: 2, spent: 1, outstanding: 1 })
})

for (const spentMax of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
  test(`refuses a bound of ${spentMax}`, () => {
    assert.throws(
      () => create(spentMax),
      (error: unknown) => error instanceof TypeError,
    )
  })

test.run()
