import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { addBackup } from "../../src/cli/backup.ts"
import { addRestore } from "../../src/cli/restore.ts"
import { backupParts } from "../../src/main/backup.ts"
import { openSqliteStore } from "../../src/store/sqlite.ts"
import { inFolder } from "../server/fake.ts"
import { fillStore } from "../support/ports/backup.ts"
import { newAct, newDevice } from "../support/ports/samples.ts"
import { assay, jsonOf, noParts, type Ran } from "./run.ts"

const test = suite("assay backup and restore")
const parts = {
  ...noParts,
  commands: [
    { name: "backup", load: () => addBackup(backupParts) },
    { name: "restore", load: () => addRestore(backupParts) },
  ],
}
const run = (...argv: readonly string[]): Promise<Ran> => assay(argv, { parts })

const withBackup = (act: (folder: string, out: string) => Promise<void>): Promise<void> =>
  inFolder(async (folder) => {
    const data = join(folder, "data")
    const store = openSqliteStore(join(data, "assay.db"))
    await fillStore(store)
    await store.close()
    const out = join(folder, "b.jsonl")
    const ran = await run("backup", "--data", data, "--out", out)
    assert.is(ran.status, 0, ran.err)
    await act(folder, out)
  })
const codeOf = (ran: Ran): string => jsonOf<{ error: { code: string } }>(ran).error.code

test("writes a file that only its owner can read, says its SHA-256, and leaves nothing else behind", () =>
  withBackup(async (folder, out) => {
    assert.is(statSync(out).mode & 0o777, 0o600)
    assert.equal(readdirSync(folder).sort(), ["b.jsonl", "data"])
    const table = await run(
      "backup",
      "--data",
      join(folder, "data"),
      "--out",
      join(folder, "c.jsonl"),
      "-o",
      "table",
    )
    assert.match(table.out, /SHA-256 +[0-9a-f]{64}\n/)
    assert.match(table.out, /default +3 +13\n/)
  }))

test("writes no private key, no passphrase and no secret of an enrollment token", () =>
  withBackup(async (_, out) => {
    const text = readFileSync(out, "utf8")
    assert.not.match(text, /service_keys|PRIVATE|passphrase/)
  }))

test("never takes the place of another file", () =>
  withBackup(async (folder, out) => {
    const kept = readFileSync(out, "utf8")
    const ran = await run("backup", "--data", join(folder, "data"), "--out", out)
    assert.equal([ran.status, codeOf(ran)], [2, "INPUT"])
    assert.is(readFileSync(out, "utf8"), kept)
    assert.equal(readdirSync(folder).sort(), ["b.jsonl", "data"])
  }))

test("leaves no part of a backup where there is no store, or no place for it", () =>
  inFolder(async (folder) => {
    const ran = await run("backup", "--data", join(folder, "none"), "--out", join(folder, "b.jsonl"))
    assert.equal([ran.status, codeOf(ran), readdirSync(folder)], [1, "REGISTRY", []])
    await openSqliteStore(join(folder, "data", "assay.db")).close()
    const other = await run(
      "backup",
      "--data",
      join(folder, "data"),
      "--out",
      join(folder, "nowhere", "b.jsonl"),
    )
    assert.equal([other.status, codeOf(other)], [2, "INPUT"])
  }))

test("restores into an empty store, and only with --replace into another", () =>
  withBackup(async (folder, out) => {
    const other = join(folder, "other")
    const ran = await run("restore", out, "--data", other, "--operator", "ada")
    assert.is(ran.status, 0, ran.err)
    const json = jsonOf(ran)
    assert.equal([json["epoch"], json["devices"], json["madeAt"]], [1, 3, "2026-03-01T12:00:00.000Z"])
    assert.is(codeOf(await run("restore", out, "--data", other)), "RESTORE")
    const store = openSqliteStore(join(folder, "data", "assay.db"))
    await store.registry.registerDevice(newDevice("device-5"), newAct("register-device"))
    await store.close()
    const table = await run("restore", out, "--data", join(folder, "data"), "--replace", "-o", "table")
    assert.is(table.status, 0, table.err)
    assert.match(table.out, /devices restored +3\nremoved, for they enrolled since +1\n/)
  }))

test("names in the journal who restored it: who is told, else who is logged in", () =>
  withBackup(async (folder, out) => {
    const callers: string[] = []
    for (const [i, argv] of [[], ["--operator", "ada"]].entries()) {
      const data = join(folder, `other-${i}`)
      assert.is((await run("restore", out, "--data", data, ...argv)).status, 0)
      const store = openSqliteStore(join(data, "assay.db"))
      callers.push((await store.journal.records("default", { limit: 1 }))[0]?.caller ?? "")
      await store.close()
    }
    assert.equal(callers, [`local:${backupParts.operator()}`, "local:ada"])
  }))

const refused: [what: string, code: string, argv: readonly string[]][] = [
  ["an operator without a name", "INPUT", ["--operator", ""]],
  ["an operator with a line feed in the name", "INPUT", ["--operator", "a\nb"]],
  ["a SHA-256 that is none", "INPUT", ["--sha256", "abc"]],
  ["a file that is another than the one asked for", "RESTORE", ["--sha256", "00".repeat(32)]],
]
for (const [what, code, argv] of refused)
  test(`refuses ${what}`, () =>
    withBackup(async (folder, out) => {
      const ran = await run("restore", out, "--data", join(folder, "other"), ...argv)
      assert.is(codeOf(ran), code)
    }))

test("refuses a file that was cut off, in the middle of a line or behind one, with status 2", () =>
  withBackup(async (folder, out) => {
    const { size } = statSync(out)
    for (const less of [1, 10, Math.floor(size / 2)]) {
      truncateSync(out, size - less)
      const ran = await run("restore", out, "--data", join(folder, `other-${less}`))
      assert.equal([ran.status, codeOf(ran)], [2, "BACKUP"])
    }
    assert.equal(readdirSync(folder).sort(), ["b.jsonl", "data"]) // nothing is made before all of it was looked at
    const text = readFileSync(out, "utf8")
    writeFileSync(out, text.slice(0, text.lastIndexOf("\n") + 1))
    assert.is(codeOf(await run("restore", out, "--data", join(folder, "other"))), "BACKUP")
  }))

test("refuses a file that is not there, and a folder", () =>
  inFolder(async (folder) => {
    const missing = await run("restore", join(folder, "none"), "--data", join(folder, "data"))
    assert.equal([missing.status, codeOf(missing)], [2, "INPUT"])
    mkdirSync(join(folder, "b"))
    const ran = await run("restore", join(folder, "b"), "--data", join(folder, "data"))
    assert.equal([ran.status, codeOf(ran)], [2, "INPUT"])
  }))

test("tells how far it is once it takes longer than a second", async () => {
  const slow = {
    ...backupParts,
    backUp: async (...[, , , progress]: Parameters<typeof backupParts.backUp>) => {
      progress(1)
      await new Promise((resolve) => setTimeout(resolve, 1100))
      progress(5000)
      return { rows: {}, tenants: {}, sha256: "00" }
    },
  }
  const ran = await assay(["backup", "--out", "x"], {
    parts: { ...noParts, commands: [{ name: "backup", load: () => addBackup(slow) }] },
  })
  assert.equal([ran.status, ran.err], [0, "5000 rows written\n"])
})

test.run()
