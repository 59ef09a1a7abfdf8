import { existsSync, readFileSync } from "node:fs"
import { resolve } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Code, Kind } from "../src/errors.ts"
import { ATTACKS, ATTACKS_FILE, attacksPage, codesOf, collectTestNames, testsOf } from "./attacks.ts"
import { CLASSES } from "./mutants/list.ts"
import { needs, VECTORS } from "./support/vectors.ts"

const test = suite("docs/attacks.md")

const VARIANTS_MIN = 5

/** What whoever reaches the service can do to it: so many tests each run before the server as `assay serve` composes it. */
const BAD_INPUT: readonly string[] = [
  ...["C-01", "C-02", "C-03", "C-04", "C-05", "C-06", "C-07"],
  ...["G-01", "G-02", "G-03", "G-04", "G-05", "G-06", "G-07", "G-08", "G-09", "G-10"],
  ...["N-07", "S-08"],
]

test("has every class in scope, each once", () => {
  assert.equal(
    ATTACKS.map(({ id }) => id),
    CLASSES,
  )
})

test("says of every class what a caller gets", () => {
  for (const { id, gets } of ATTACKS) assert.ok(gets !== undefined || codesOf(id).length > 0, id)
})

// Some tests are named for the vectors that they read.
needs("vectors", test)("is what the tests are now, each class with five of them or more", () => {
  const all = collectTestNames()
  for (const { id } of ATTACKS) {
    const count = testsOf(id, all).reduce((sum, [, names]) => sum + names.length, 0)
    assert.ok(count >= VARIANTS_MIN, `${id} has ${count} tests`)
  }
  for (const id of BAD_INPUT) {
    const whole = testsOf(id, all).filter(([file]) => file.startsWith("test/e2e/"))
    const count = whole.reduce((sum, [, names]) => sum + names.length, 0)
    assert.ok(count >= VARIANTS_MIN, `${id} has ${count} tests before the running service`)
  }
  assert.ok(readFileSync(ATTACKS_FILE, "utf8") === attacksPage(all), "it is out of date: run make attacks")
})

/** The catalogue's words for how a refusal ends. */
const KINDS: Readonly<Record<string, Kind>> = {
  MALFORMED: "malformed",
  REJECT: "refuted",
  STALE: "stale",
  UNAUTH: "denied",
  UNAVAIL: "unavailable",
  LIMIT: "exhausted",
}
/** Where the design has another word, or another way for it to end, than the catalogue. */
const SETTLED: Readonly<Record<string, Code>> = {
  POLICY_STORE: "REGISTRY",
  AUDIT: "JOURNAL",
  CPU: "PATH",
  POLICY_VERSION: "POLICY_VERSION",
}
const CATALOGUE = resolve(VECTORS, "../reference/attack-catalogue.md")

if (existsSync(CATALOGUE)) {
  const rows = new Map(
    readFileSync(CATALOGUE, "utf8")
      .split("\n")
      .filter((line) => /^\| [A-Z]-\d\d \|/.test(line))
      .map((line) => line.split("|").map((cell) => cell.trim()))
      .map(([, id = "", , , required = ""]) => [id, required]),
  )
  test("gives each class the outcome that the catalogue asks for", () => {
    for (const { id } of ATTACKS) {
      const outcomes = [...(rows.get(id) ?? "").matchAll(/`([A-Z]+)(?:\(([A-Z_]+)\))?`/g)]
      for (const [outcome, word = "", reason = ""] of outcomes) {
        const kind = KINDS[word]
        if (kind === undefined) continue
        const settled = SETTLED[reason]
        if (settled !== undefined) {
          assert.ok(
            codesOf(id).some(({ code }) => code === settled),
            `${id}: no ${settled}`,
          )
          continue
        }
        assert.ok(
          codesOf(id).some((code) => code.kind === kind && code.code.includes(reason)),
          `${id}: no code for ${outcome}`,
        )
      }
    }
  })
} else test.skip("gives each class the outcome that the catalogue asks for")

test.run()
