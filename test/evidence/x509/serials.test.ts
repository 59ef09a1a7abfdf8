import { suite } from "uvu"
import * as assert from "uvu/assert"
import { SortedEntries } from "../../../src/evidence/x509/serials.ts"

const test = suite("SortedEntries")

/** Entries whose place is their index: what each has, and what of that is the key. */
const sorted = (values: readonly number[], keyOf: (value: number) => number, count = 7) => {
  const value = (place: number): number => values[place] ?? Number.NaN
  const entries = new SortedEntries((a, b) => value(a) - value(b))
  const twice: number[] = []
  for (const [place, one] of values.entries()) entries.add(keyOf(one), place)
  let steps = 1
  while (!entries.sort(count, (place) => void twice.push(place))) steps += 1
  const find = (wanted: number): number | undefined =>
    entries.find(keyOf(wanted), (place) => wanted - value(place))
  return { entries, twice, steps, find }
}
const shuffled = (size: number): number[] => {
  const values = Array.from({ length: size }, (_, i) => i * 3)
  let seed = 12_345
  for (let i = size - 1; i > 0; i--) {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    const j = seed % (i + 1)
    const [a = 0, b = 0] = [values[i], values[j]]
    values[i] = b
    values[j] = a
  }
  return values
}
const keys: [name: string, keyOf: (value: number) => number][] = [
  ["each with a key of its own", (value) => value],
  ["many with one key", (value) => value % 16],
  ["all with one key", () => 7],
]
for (const [name, keyOf] of keys)
  test(`finds all that were added and nothing else, ${name}, however many`, () => {
    for (const size of [0, 1, 2, 3, 5, 63, 64, 65, 1000, 1025])
      for (const values of [
        shuffled(size),
        shuffled(size).sort((a, b) => a - b),
        shuffled(size).sort((a, b) => b - a),
      ]) {
        const { entries, twice, find } = sorted(values, keyOf)
        assert.equal([entries.size, twice], [size, []])
        for (const [place, value] of values.entries()) assert.is(find(value), place)
        for (const other of [-1, 1, 3 * size]) assert.is(find(other), undefined)
      }
  })
for (const [name, keyOf] of keys)
  test(`tells of one that is there twice, ${name}, wherever the two are`, () => {
    for (const size of [2, 3, 64, 257])
      for (const [first, second] of [
        [0, 1],
        [0, size - 1],
        [size - 2, size - 1],
        [size >> 1, size - 1],
      ] as const) {
        if (first === second) continue
        const values = shuffled(size)
        values[second] = values[first] ?? 0
        assert.ok(sorted(values, keyOf).twice.includes(second), `${first} and ${second} of ${size}`)
      }
  })
test("moves no more at a time than it is told, and nothing of what is sorted", () => {
  const values = shuffled(1000)
  assert.ok(sorted(values, (value) => value, 100).steps >= 100)
  assert.is(
    sorted(
      values.toSorted((a, b) => a - b),
      (value) => value,
      1,
    ).steps,
    1,
  )
})

test.run()
