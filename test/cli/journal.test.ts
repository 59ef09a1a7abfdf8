import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createAdminClient } from "../../src/client/admin.ts"
import { AssayError } from "../../src/errors.ts"
import { createJournalUseCases } from "../../src/service/journal.ts"
import type { JournalRecord } from "../../src/service/ports.ts"
import { running } from "../server/fake.ts"
import { ISSUER, WRITER } from "../support/journal.ts"
import { UNMETERED } from "../support/meter.ts"
import { memoryArchive } from "../support/ports/memory-archive.ts"
import { afterNoon, newRecord } from "../support/ports/samples.ts"
import { testSigner } from "../support/signer.ts"
import { assay, fileOf, jsonOf, type Ran, type RunOptions } from "./run.ts"

const test = suite("assay journal")

const folder = mkdtempSync(join(tmpdir(), "assay-journal-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))

/** A server whose journal is in memory, and the command line against it. */
const served = async (signer = testSigner()) => {
  const { archive, append } = memoryArchive()
  let now = afterNoon(0)
  const useCases = createJournalUseCases({
    archive,
    signer,
    meter: UNMETERED,
    clock: { now: () => now },
    settings: { issuer: ISSUER },
    breathe: async () => {},
    pause: async (_ms, signal) => void (await sleep(5, undefined, { signal }).catch(() => {})),
  })
  const address = `unix:${join(folder, `${count++}.sock`)}`
  const server = await running(useCases, { listen: [], admin: address })
  return {
    archive,
    append,
    set: (at: Date) => {
      now = at
    },
    fill: (many: number, change: Partial<JournalRecord> = {}) => {
      for (let i = 0; i < many; i += 1) append(newRecord(`device-${i}`, { at: afterNoon(i), ...change }))
    },
    jwks: fileOf(signer.jwks, "json"),
    journal: (argv: readonly string[], options: RunOptions = {}): Promise<Ran> =>
      assay(["journal", ...argv, "--admin", address], {
        parts: { adminClient: createAdminClient },
        ...options,
      }),
    stop: () => server.stop(),
  }
}
let count = 0
type Served = Awaited<ReturnType<typeof served>>
const check = (name: string, body: (under: Served) => Promise<void>): void =>
  test(name, async () => {
    const under = await served()
    try {
      await body(under)
    } finally {
      await under.stop()
    }
  })
const path = (name: string): string => join(folder, `${count++}-${name}`)
interface Tail {
  readonly records: readonly { readonly device: string; readonly sequence: number; readonly hash: string }[]
}
const devicesOf = (ran: Ran): string[] => jsonOf<Tail>(ran).records.map(({ device }) => device)

check("tail shows the newest records, the oldest of them first", async ({ fill, journal }) => {
  fill(30)
  const ran = await journal(["tail", "-n", "3"])
  assert.is(ran.status, 0)
  assert.equal(devicesOf(ran), ["device-27", "device-28", "device-29"])
  assert.is(devicesOf(await journal(["tail"])).length, 20)
  assert.is(devicesOf(await journal(["tail", "-n", "5000"])).length, 30)
})

check("tail shows all that a record says", async ({ append, archive, journal }) => {
  append(
    newRecord("device-1", { codes: ["PCR_DIGEST"], tokenId: "token-1", policyDigest: new Uint8Array(32) }),
  )
  append(
    newRecord("", {
      act: "import-trust",
      outcome: "done",
      revisions: { device: undefined, policy: undefined, trust: 0 },
    }),
  )
  const [first, second] = await archive.records("default", WRITER, 0, 10)
  const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex")
  const { records } = jsonOf<Tail>(await journal(["tail"]))
  assert.equal(records[0], {
    writer: WRITER,
    sequence: 1,
    hash: hex(first?.hash),
    at: "2026-03-01T12:00:00.000Z",
    caller: "gateway",
    act: "verify",
    device: "device-1",
    outcome: "affirming",
    codes: ["PCR_DIGEST"],
    evidenceDigest: hex(first?.content.evidenceDigest),
    policyDigest: "00".repeat(32),
    revisions: { device: 1 },
    tokenId: "token-1",
  })
  assert.equal(records[1]?.hash, hex(second?.hash))
  assert.equal(
    Object.entries(records[1] ?? {}).find(([name]) => name === "revisions"),
    ["revisions", { trust: 0 }],
  )
})

check("tail narrows records down", async ({ fill, append, journal }) => {
  fill(10)
  append(newRecord("device-3", { act: "suspend-device", at: afterNoon(60_000) }))
  assert.equal(devicesOf(await journal(["tail", "--device", "device-3"])), ["device-3", "device-3"])
  assert.equal(devicesOf(await journal(["tail", "--act", "suspend-device"])), ["device-3"])
  assert.equal(devicesOf(await journal(["tail", "--since", "2026-03-01T12:01:00Z"])), ["device-3"])
  assert.equal(devicesOf(await journal(["tail", "--until", "2026-03-01T12:00:00.002Z"])), [
    "device-0",
    "device-1",
  ])
  assert.is((await journal(["tail", "--act", "exterminate"])).status, 2)
  assert.is((await journal(["tail", "--since", "yesterday"])).status, 2)
  assert.is((await journal(["tail", "-n", "0"])).status, 2)
})

check(
  "tail shows a table to people, with nothing in it that a terminal obeys",
  async ({ append, journal }) => {
    append(newRecord("device-1", { caller: "gate\u001b[2J" }))
    const { out } = await journal(["tail"], { isTerminal: true })
    assert.match(
      out,
      /^TIME +ACT +OUTCOME +DEVICE +CALLER +CODES\n2026-03-01T12:00:00.000Z +verify +affirming +device-1/,
    )
    assert.not.match(out, "\u001b")
  },
)

for (const isTerminal of [false, true])
  test(`tail -f goes on with what is written, ${isTerminal ? "a row" : "a line of JSON"} each`, async () => {
    const { append, fill, journal, stop } = await served()
    fill(3)
    const lines: string[] = []
    const done = journal(["tail", "-n", "2", "-f"], {
      isTerminal,
      onOut: (text) => lines.push(...text.split("\n").filter(Boolean)),
    })
    while (lines.length < 2) await sleep(5)
    append(newRecord("device-a"))
    append(newRecord("device-b"), "c3d4.0")
    while (lines.length < 4) await sleep(5)
    await stop()
    const { status } = await done
    assert.is(status, 1) // the server went away
    const found = lines
      .slice(0, 4)
      .map((line) => (isTerminal ? / (device-\S+)/.exec(line)?.[1] : JSON.parse(line).device))
    assert.equal(found, ["device-1", "device-2", "device-a", "device-b"])
  })

check(
  "export writes a file that verifies without a server, and its heads",
  async ({ fill, append, journal, jwks }) => {
    fill(1200)
    append(newRecord("device-x"), "c3d4.0")
    const [file, head] = [path("journal.jsonl"), path("journal.head")]
    const ran = await journal(["export", file, "--head", head])
    assert.is(ran.status, 0)
    assert.equal(jsonOf(ran), { file, records: 1201, checkpoints: 2, head })
    assert.is(statSync(file).mode & 0o777, 0o600)
    assert.is(readFileSync(head, "utf8").trimEnd().split("\n").length, 2)
    assert.not(existsSync(`${file}.partial`))
    const verified = await assay(["journal", "verify", file, "--jwks", jwks, "--head", head])
    assert.is(verified.status, 0)
    const { records, uncovered, heads, keys } = jsonOf<Record<string, unknown>>(verified)
    assert.equal([records, uncovered, heads, keys], [1201, 0, 2, "given"])
  },
)

check("export leaves nothing half written", async ({ fill, journal, archive }) => {
  fill(10)
  const file = path("journal.jsonl")
  archive.records = async () => {
    throw new AssayError("JOURNAL", "out of order")
  }
  const ran = await journal(["export", file])
  assert.is(ran.status, 1)
  assert.is(jsonOf<{ error: { code: string } }>(ran).error.code, "JOURNAL")
  assert.not(existsSync(file))
  assert.not(existsSync(`${file}.partial`))
})

check("export says where it may not write", async ({ fill, journal }) => {
  fill(1)
  for (const argv of [
    ["export", "/nowhere/x"],
    ["head", "/nowhere/x"],
    ["export", path("x"), "--head", "/nowhere/x"],
  ])
    assert.is((await journal(argv)).status, 2, argv.join(" "))
})

check("verify holds what the server has against a head from before", async ({ fill, journal, jwks }) => {
  fill(5)
  const head = path("journal.head")
  assert.is((await journal(["head", head])).status, 0)
  fill(5)
  const ran = await journal(["verify", "--head", head])
  assert.is(ran.status, 0)
  const { records, keys } = jsonOf<Record<string, unknown>>(ran)
  assert.equal([records, keys], [10, "server"])
  const { out } = await journal(["verify"], { isTerminal: true })
  assert.match(out, /by the keys that the server gave/)
  assert.is(jsonOf<Record<string, unknown>>(await journal(["verify", "--jwks", jwks]))["keys"], "given")
  const other = fileOf(testSigner().jwks, "json")
  assert.is((await journal(["verify", "--jwks", other])).status, 1)
})

test("verify finds a journal that was cut off, and one written anew with the server's own key", async () => {
  const signer = testSigner()
  const head = path("journal.head")
  const before = await served(signer)
  before.fill(6)
  await before.journal(["head", head])
  await before.stop()
  const findings: [fill: (under: Served) => void, code: string][] = [
    [({ fill }) => fill(5), "JOURNAL_HEAD"],
    [({ fill }) => fill(9, { outcome: "contraindicated" }), "JOURNAL_HEAD"],
    [() => {}, "JOURNAL_HEAD"],
  ]
  for (const [fill, code] of findings) {
    const under = await served(signer)
    fill(under)
    assert.is((await under.journal(["verify"])).status, 0)
    const ran = await under.journal(["verify", "--head", head])
    assert.is(ran.status, 1)
    assert.is(jsonOf<{ code: string }>(ran).code, code)
    await under.stop()
  }
})

check("verify names the first record that was changed in the store", async ({ fill, journal, archive }) => {
  fill(9)
  const { records } = archive
  archive.records = async (...args) =>
    (await records(...args)).map((record) =>
      record.sequence === 4 ? { ...record, content: { ...record.content, outcome: "none" } } : record,
    )
  const ran = await journal(["verify"])
  assert.is(ran.status, 1)
  const { code, finding } = jsonOf<{ code: string; finding: { location: string } }>(ran)
  assert.equal([code, finding.location], ["JOURNAL_CHAIN", `${WRITER} 4`])
})

check("head shows each chain's checkpoint", async ({ fill, append, journal }) => {
  fill(5)
  append(newRecord("device-x"), "c3d4.0")
  const { heads } = jsonOf<{ heads: readonly Record<string, unknown>[] }>(await journal(["head"]))
  assert.equal(
    heads.map(({ writer, sequence }) => [writer, sequence]),
    [
      [WRITER, 5],
      ["c3d4.0", 1],
    ],
  )
  const { out } = await journal(["head"], { isTerminal: true })
  assert.match(out, /WRITER +RECORDS +HASH OF THE LAST/)
  const written = fileOf(
    out
      .split("\n")
      .filter((line) => line.startsWith("eyJ"))
      .join("\n"),
  )
  assert.is((await journal(["verify", "--head", written])).status, 0)
})

check("prune removes whole segments, and the rest verifies", async ({ fill, journal, set }) => {
  fill(4)
  await journal(["head"])
  fill(4, { at: afterNoon(60_000) })
  set(afterNoon(120_000))
  const ran = await journal(["prune", "--before", "2026-03-01T12:00:30Z"])
  assert.is(ran.status, 0)
  assert.equal(jsonOf(ran), { before: "2026-03-01T12:00:30.000Z", records: 4, chains: 1 })
  assert.is((await journal(["verify"])).status, 0)
  assert.equal(devicesOf(await journal(["tail", "--act", "prune-journal"])), [""])
  assert.is((await journal(["prune", "--before", "2027-01-01T00:00:00Z"])).status, 2)
  assert.is((await journal(["prune"])).status, 2)
})

test.run()
