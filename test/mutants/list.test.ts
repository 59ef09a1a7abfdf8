import { existsSync, readFileSync } from "node:fs"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { CLASSES, MUTANTS, ROWS } from "./list.ts"

const test = suite("the list of mutants")

const covered = new Set(MUTANTS.flatMap(({ covers }) => covers))
test("has a mutant for each row of the quote's checks and each class in scope", () => {
  for (const goal of [...ROWS, ...CLASSES]) assert.ok(covered.has(goal), goal)
})

test("covers nothing that there is not, and names each mutant once", () => {
  for (const goal of covered) assert.ok(ROWS.includes(goal) || CLASSES.includes(goal), goal)
  const ids = MUTANTS.map(({ id }) => id)
  assert.equal(
    ids.filter((id, i) => ids.indexOf(id) !== i),
    [],
  )
})

test("takes away what occurs exactly once in the file, and changes it", () => {
  for (const { id, file, find, replace } of MUTANTS) {
    assert.is(readFileSync(file, "utf8").split(find).length - 1, 1, `${id}: in ${file}`)
    assert.is.not(find, replace, id)
  }
})

test("names test files that are there, with a test that carries the name", () => {
  for (const { id, named, tests } of MUTANTS) {
    for (const file of tests) assert.ok(existsSync(file), `${id}: ${file}`)
    assert.ok(
      tests.some((file) => sourcesOf(file).some((source) => source.includes(named))),
      `${id}: ${named}`,
    )
  }
})

/** A test file and the conformance checks that it runs. */
const sourcesOf = (file: string): string[] => {
  const source = readFileSync(file, "utf8")
  const shared = [...source.matchAll(/from "(?:\.\.\/)+(support\/(?:ports\/[^"]+|forgeries\.ts))"/g)].map(
    ([, path = ""]) => readFileSync(`test/${path}`, "utf8"),
  )
  return [source, ...shared]
}

test.run()
