import { writeFileSync } from "node:fs"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { addConfig, type CheckedSetting } from "../../src/cli/check-config.ts"
import type { Config } from "../../src/config.ts"
import { AssayError } from "../../src/errors.ts"
import { inFolder } from "../server/fake.ts"
import { assay, noParts } from "./run.ts"

const test = suite("assay config check")
const good: CheckedSetting = { setting: "admin", finding: "unix:/a: an operator" }
const bad: CheckedSetting = {
  setting: "listen.0",
  fault: new AssayError("INPUT", "127.0.0.1:1\u001b[2J: TCP is served in development mode only", {
    location: "listen",
  }),
}
const seen: Config[] = []
const checking = (...checked: readonly CheckedSetting[]) => ({
  ...noParts,
  commands: [
    {
      name: "config",
      load: () =>
        addConfig({
          check: async (config) => {
            seen.push(config)
            return checked
          },
        }),
    },
  ],
})

test("ends with status 0 where everything is well, in a table and as JSON", async () => {
  const table = await assay(["config", "check", "-o", "table"], { parts: checking(good) })
  assert.equal([table.status, table.err], [0, ""])
  assert.match(table.out, /admin +ok +unix:\/a: an operator/)
  const json = await assay(["config", "check", "-o", "json"], { parts: checking(good) })
  assert.equal(JSON.parse(json.out), { accepted: true, settings: [good] })
})
test("ends with status 1 where something is not, with what and where, and nothing that moves a cursor", async () => {
  const table = await assay(["config", "check", "-o", "table"], { parts: checking(good, bad) })
  assert.is(table.status, 1)
  assert.match(table.out, /listen\.0 +INPUT +127\.0\.0\.1:1\\u\{1b\}\[2J: TCP/)
  const json = await assay(["config", "check", "-o", "json"], { parts: checking(good, bad) })
  assert.is(json.status, 1)
  const { accepted, settings } = JSON.parse(json.out)
  assert.equal([accepted, settings[1].setting, settings[1].fault.code], [false, "listen.0", "INPUT"])
})
test("reads settings as `assay serve` does", () =>
  inFolder(async (folder) => {
    const file = `${folder}/assay.yaml`
    writeFileSync(file, "data: /from-file\nreflection: false\n")
    seen.length = 0
    await assay(["config", "check", "--config", file, "--data", "/from-flag"], {
      parts: checking(good),
      env: { ASSAY_LOG_LEVEL: "warn" },
    })
    const [config] = seen
    assert.equal([config?.data, config?.reflection, config?.logLevel], ["/from-flag", false, "warn"])
  }))
test("ends with status 2 for settings that are none", () =>
  inFolder(async (folder) => {
    const file = `${folder}/assay.yaml`
    writeFileSync(file, "port: 7400\n")
    seen.length = 0
    const { status, err } = await assay(["config", "check", "--config", file], { parts: checking(good) })
    assert.is(status, 2)
    assert.match(err, /port/)
    assert.is(
      (await assay(["config", "check", "--config", `${folder}/absent`], { parts: checking(good) })).status,
      2,
    )
    assert.equal(seen, [])
  }))
test.run()
