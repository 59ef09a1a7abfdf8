import { readFileSync } from "node:fs"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { ENVIRONMENT } from "../src/config/environment.ts"
import { CONFIGURATION_FILE, configurationPage, settings } from "./configuration.ts"

const test = suite("docs/configuration.md")

test("is what the schema says now", () => {
  const current = readFileSync(CONFIGURATION_FILE, "utf8") === configurationPage()
  assert.ok(current, "it is out of date: run make configuration")
})

test("says of every setting what it means, and which values it has", () => {
  assert.ok(settings().length > 25)
  for (const { path, values, meaning } of settings()) {
    assert.match(meaning, /^\S.*\.$/, path)
    assert.not.match(values, /undefined|^ |^$/, path)
  }
})

test("has a setting for every variable of the environment", () => {
  const paths = settings().map(({ path }) => path)
  for (const [variable, [path]] of Object.entries(ENVIRONMENT)) assert.ok(paths.includes(path), variable)
})

test.run()
