import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { Texts } from "../src/texts.ts"

const test = suite("Texts")

/** Alike in all that their number is made of, but for the length. */
const ALIKE = "the same sixteen and more"

/** A few texts, several of which have one number. */
const text = fc.constantFrom(
  "",
  "a",
  "b",
  `1${ALIKE}`,
  `2${ALIKE}`,
  `3${ALIKE}`,
  // 31 a + b is the same of both.
  "Aa",
  "BB",
)
const step = fc.record({ act: fc.constantFrom("add", "add", "delete", "has"), text })

test("says N-01 of every text what a Map of counts says", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const texts = new Texts()
      const counts = new Map<string, number>()
      for (const { act, text } of steps) {
        if (act === "add") {
          counts.set(text, (counts.get(text) ?? 0) + 1)
          assert.is(texts.add(text), counts.get(text))
        } else if (act === "delete") {
          texts.delete(text)
          counts.delete(text)
        }
        assert.is(texts.has(text), counts.has(text))
        assert.is(texts.size, counts.size)
      }
      for (const one of counts.keys()) assert.ok(texts.has(one), one)
    }),
  )
})

test("tells texts apart that whoever chose them made alike: ten thousand of one number in a moment", () => {
  const texts = new Texts()
  const start = performance.now()
  for (let i = 0; i < 10_000; i++) assert.is(texts.add(`${String(i).padStart(5, "0")}${ALIKE}`), 1)
  assert.is(texts.size, 10_000)
  assert.not(texts.has(`10000${ALIKE}`))
  assert.ok(performance.now() - start < 500)
})

test.run()
