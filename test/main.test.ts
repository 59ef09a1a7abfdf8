import { randomInt } from "node:crypto"
import { readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createAttestationClient } from "../src/client/attestation.ts"
import { readConfig } from "../src/config.ts"
import { createLog, start, VERSION } from "../src/main.ts"
import { openSqliteStore } from "../src/store/sqlite.ts"
import { assay, inFolder, run } from "./e2e/programs.ts"
import { rejectsCode } from "./support/assert.ts"
import { newAct } from "./support/ports/samples.ts"

const test = suite("start")

/** Settings of a development server on free ports. */
const configIn = (folder: string, flags: Readonly<Record<string, unknown>> = {}) =>
  readConfig(
    {
      development: true,
      data: join(folder, "data"),
      listen: ["127.0.0.1:0", `unix:${folder}/assay.sock`],
      "web.public": "127.0.0.1:0",
      "web.private": "127.0.0.1:0",
      ...flags,
    },
    {},
    undefined,
  )
const log = createLog("silent")

const answers = async (url: string): Promise<boolean> =>
  fetch(url).then(
    () => true,
    () => false,
  )

test("gives addresses that are in use, an issuer that is its public page, and a credential for each caller", () =>
  inFolder(async (folder) => {
    const running = await start(configIn(folder), log)
    const [tcp = "", unix] = running.listen
    assert.match(tcp, /^127\.0\.0\.1:[1-9]\d+$/)
    assert.is(unix, `unix:${folder}/assay.sock`)
    assert.is(running.admin, `unix:${join(folder, "data", "admin.sock")}`)
    assert.is(running.issuer, running.publicUrl)
    assert.equal(Object.keys(running.credentials), ["gateway", "backend"])
    const secrets = Object.values(running.credentials).map((file) => readFileSync(file, "utf8").trim())
    assert.is(new Set(secrets).size, 2)
    for (const secret of secrets) assert.is(Buffer.from(secret, "base64url").length, 32)
    const client = createAttestationClient(tcp)
    assert.is((await client.getEpoch()).value.length, 32)
    client.close()
    const pages = [`${running.publicUrl}/epoch`, `${running.privateUrl}/readyz`]
    assert.equal(await Promise.all(pages.map(answers)), [true, true])
    await running.stop()
    assert.equal(await Promise.all(pages.map(answers)), [false, false])
    for (const socket of [`${folder}/assay.sock`, join(folder, "data", "admin.sock")])
      assert.is(statSync(socket, { throwIfNoEntry: false }), undefined)
    await running.stop()
  }))

test("keeps its key, its passphrase and its credentials from one start to the next", () =>
  inFolder(async (folder) => {
    const seen = new Set<string>()
    for (const _ of [1, 2]) {
      const running = await start(configIn(folder), log)
      const jwks = await (await fetch(`${running.publicUrl}/.well-known/jwks.json`)).text()
      const secrets = Object.values(running.credentials).map((file) => readFileSync(file, "utf8"))
      seen.add(JSON.stringify([jwks, secrets]))
      await running.stop()
    }
    assert.is(seen.size, 1)
  }))

test("refuses S-09 to keep the maker of software TPMs outside development mode, in whatever words", () =>
  inFolder(async (folder) => {
    await (await start(configIn(folder), log)).stop()
    const file = join(folder, "data", "assay.db")
    const before = openSqliteStore(file)
    const { anchors } = await before.trust.trust("default")
    assert.is(anchors.length, 1)
    const renamed = anchors.map((anchor) => ({ ...anchor, label: "root", provenance: "checked by hand" }))
    const parts = { anchors: renamed, intermediates: [], crls: [], eks: [] }
    await before.trust.importTrust("default", parts, newAct("import-trust"))
    await before.close()
    const production = {
      development: false,
      listen: [`unix:${folder}/assay.sock`],
      "key.passphraseFile": join(folder, "data", "signing-key.passphrase"),
    }
    const running = await start(configIn(folder, production), log)
    const pages = await fetch(`${running.privateUrl}/readyz`)
    assert.match(await pages.text(), "no trust anchor is installed")
    await running.stop()
    const after = openSqliteStore(file)
    assert.equal((await after.trust.trust("default")).anchors, [])
    const records = await after.journal.records("default")
    assert.equal(
      records.map(({ act, caller, revisions }) => [act, caller, revisions?.trust]),
      [
        ["import-trust", "system", 1],
        ["import-trust", "operator", 2],
        ["remove-trust", "system", 3],
      ],
    )
    after.close()
  }))

test("leaves nothing behind when the last of its listeners cannot be opened", () =>
  inFolder(async (folder) => {
    // Below those that the system gives away, which another test may be given before it is opened here.
    const page = `127.0.0.1:${randomInt(20_000, 30_000)}`
    const config = configIn(folder, { "web.public": page, listen: [`unix:${folder}/not/there.sock`] })
    const error = await rejectsCode(() => start(config, log), "INPUT")
    assert.is(error.location, "listen")
    assert.not.ok(await answers(`http://${page}/epoch`), "the page that was opened before is closed")
    const again = await start(configIn(folder, { "web.public": page }), log)
    assert.is(again.publicUrl, `http://${page}`)
    await again.stop()
  }))
test.run()

const program = suite("main")
program("says the version of its package, and ends with status 0", async () => {
  const file = fileURLToPath(new URL("../package.json", import.meta.url))
  const { version } = JSON.parse(readFileSync(file, "utf8")) as { version: string }
  assert.is(VERSION, version)
  const { status, stdout } = await assay(["--version"])
  assert.equal([status, stdout], [0, `${version}\n`])
})
program("ends with status 2 when it is used wrongly", async () => {
  const { status, stderr } = await assay(["serve", "--port", "7400", "-o", "table"])
  assert.is(status, 2)
  assert.match(stderr, /^assay: INPUT: unknown option '--port'/)
})
program("logs nothing under a name that says it is secret", async () => {
  const main = new URL("../src/main.ts", import.meta.url).href
  const secrets = ["token", "challenge", "nonce", "credential", "passphrase"]
  const logged = Object.fromEntries(secrets.map((name) => [name, `hidden ${name}`]))
  const script = `
    const { createLog } = await import(${JSON.stringify(main)})
    const logged = ${JSON.stringify(logged)}
    createLog("info").info({ ...logged, request: logged, shown: "plain" }, "line")`
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script])
  assert.ok(stdout.includes("plain"))
  assert.not.ok(stdout.includes("hidden"), stdout)
})
program.run()
