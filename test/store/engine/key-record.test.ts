import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../../src/bytes.ts"
import { createKeyRecords } from "../../../src/store/engine/key-record.ts"
import { createKeyRing, periodOf } from "../../../src/store/engine/key-ring.ts"
import type { KeyRecord } from "../../../src/store/engine/link.ts"
import { rejectsCode } from "../../support/assert.ts"
import { flipped } from "../../support/core.ts"
import { seededRandom } from "../../support/ports/random.ts"

const test = suite("createKeyRecords")

const ours = createKeyRecords("correct horse battery staple", seededRandom("ours"))
const DAY = 20_000
const midnight = (days: number, ms = 0): Date => new Date(days * 86_400_000 + ms)

test("opens on another replica what it made, with the same key and id", async () => {
  const record = await ours.create("sealing", DAY)
  const theirs = createKeyRecords("correct horse battery staple", seededRandom("theirs"))
  const [here, there] = [await ours.open(record), await theirs.open(record)]
  assert.is(toHex(here.id), toHex(there.id))
  assert.is(toHex(here.key.export()), toHex(there.key.export()))
  assert.is(here.key.symmetricKeySize, 32)
})

test("makes another key each time, and shows none of it", async () => {
  const records = await Promise.all(Array.from({ length: 20 }, () => ours.create("sealing", DAY)))
  const keys = await Promise.all(records.map(async (record) => toHex((await ours.open(record)).key.export())))
  assert.is(new Set(keys).size, 20)
  for (const { bytes } of records) for (const key of keys) assert.not(toHex(bytes).includes(key))
})

test("refuses a record of another passphrase", async () => {
  const record = await createKeyRecords("another", seededRandom("another")).create("sealing", DAY)
  await rejectsCode(() => ours.open(record), "INPUT")
})

const changes: [what: string, change: (record: KeyRecord) => KeyRecord][] = [
  ["for another use", (record) => ({ ...record, use: "epoch" })],
  ["for another day", (record) => ({ ...record, period: DAY + 1 })],
  ["cut short", (record) => ({ ...record, bytes: record.bytes.subarray(0, -1) })],
  ["with a byte more", (record) => ({ ...record, bytes: Uint8Array.of(...record.bytes, 0) })],
  ["of nothing", (record) => ({ ...record, bytes: new Uint8Array() })],
  ...[0, 16, 24, 36, 52, 83].map((at): [string, (record: KeyRecord) => KeyRecord] => [
    `with byte ${at} changed`,
    (record) => ({ ...record, bytes: flipped(record.bytes, at) }),
  ]),
]
for (const [what, change] of changes)
  test(`refuses a record ${what}`, async () => {
    const record = await ours.create("sealing", DAY)
    await ours.open(record)
    await rejectsCode(() => ours.open(change(record)), "INPUT")
  })

test("a ring asks for a key of each use for the day, and an hour before its end for the next one's too", async () => {
  const wanted = async (at: Date): Promise<string[]> =>
    (await createKeyRing(ours).missing(at)).map(({ use, period }) => `${use} ${period - DAY}`)
  assert.equal(await wanted(midnight(DAY)), ["sealing 0", "epoch 0"])
  assert.equal(await wanted(midnight(DAY, 82_799_999)), ["sealing 0", "epoch 0"])
  assert.equal(await wanted(midnight(DAY, 82_800_000)), ["sealing 0", "epoch 0", "sealing 1", "epoch 1"])
})

test("a ring seals with the day's key, and opens with those of other days as long as they are there", async () => {
  const ring = createKeyRing(ours)
  const records = await Promise.all([DAY - 1, DAY].map((period) => ours.create("sealing", period)))
  assert.is(await ring.take(records), true)
  assert.is(await ring.take(records), false)
  const [before, current] = await Promise.all(records.map((record) => ours.open(record)))
  assert.ok(before !== undefined && current !== undefined)
  assert.equal(ring.currentKey(midnight(DAY))?.id, current.id)
  assert.equal(ring.currentKey(midnight(DAY, -1))?.id, before.id)
  assert.equal(ring.currentKey(midnight(DAY + 1)), undefined)
  assert.equal(ring.sealingKey(before.id)?.id, before.id)
  await ring.take(records.slice(1))
  assert.is(ring.sealingKey(before.id), undefined)
  assert.is(ring.epochKey(DAY), undefined)
})

test("a ring takes no key for epochs as one that values were sealed under", async () => {
  const ring = createKeyRing(ours)
  const record = await ours.create("epoch", DAY)
  const { id } = await ours.open(record)
  await ring.take([record])
  assert.is(ring.sealingKey(id), undefined)
  assert.is(ring.epochKey(periodOf(midnight(DAY)))?.type, "secret")
})

test.run()
