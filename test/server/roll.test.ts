import * as fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type Listed, Roll } from "../../src/server/roll.ts"

const test = suite("Roll")

interface Named extends Listed {
  readonly name: number
}
const named = (name: number): Named => ({ name, place: 0 })
const namesOf = (roll: Roll<Named>): readonly number[] => roll.all().map(({ name }) => name)

test("has what was added and not deleted, whatever the order", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 20 })), (acts) => {
      const roll = new Roll<Named>()
      const on = new Map<number, Named>()
      for (const name of acts) {
        const member = on.get(name)
        if (member === undefined) {
          const added = named(name)
          on.set(name, added)
          roll.add(added)
        } else {
          on.delete(name)
          roll.delete(member)
        }
        assert.equal(new Set(namesOf(roll)), new Set(on.keys()))
        assert.is(roll.size, on.size)
      }
    }),
  )
})

test("gives all members as they are now, whoever leaves meanwhile", () => {
  const roll = new Roll<Named>()
  for (const name of [1, 2, 3, 4]) roll.add(named(name))
  const seen: number[] = []
  for (const member of roll.all()) {
    seen.push(member.name)
    roll.delete(member)
  }
  assert.equal(seen, [1, 2, 3, 4])
  assert.is(roll.size, 0)
})

test.run()
