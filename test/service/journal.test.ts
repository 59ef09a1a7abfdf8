import { setTimeout as sleep } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AssayError } from "../../src/errors.ts"
import { createCheckpointJournal } from "../../src/service/checkpoint-journal.ts"
import { createJournalUseCases } from "../../src/service/journal.ts"
import type { JournalArchive, JournalRecord } from "../../src/service/ports.ts"
import type { JournalCheck } from "../../src/verification/journal/heads.ts"
import { type JournalEntry, verifyJournal } from "../../src/verification/journal/verify.ts"
import { rejectsCode } from "../support/assert.ts"
import { ISSUER, verifyBy, WRITER } from "../support/journal.ts"
import { UNMETERED } from "../support/meter.ts"
import { archiveConformance } from "../support/ports/archive.ts"
import { memoryArchive } from "../support/ports/memory-archive.ts"
import { afterNoon, NOON, newRecord } from "../support/ports/samples.ts"
import { type TestSigner, testSigner } from "../support/signer.ts"

const test = suite("journal use cases")
const OPERATOR = { tenant: "default", id: "operator" }

archiveConformance(test, "memory", () => {
  const { archive, append } = memoryArchive()
  return { archive, append: async (record) => append(record) }
})

/** The use cases over an archive in memory, with a clock that tests set. */
const world = (change: { archive?: Partial<JournalArchive>; signer?: Partial<TestSigner> } = {}) => {
  const kept = memoryArchive()
  const archive = { ...kept.archive, ...change.archive }
  const signer = { ...testSigner(), ...change.signer }
  let now = NOON
  const parts = {
    archive,
    signer,
    meter: UNMETERED,
    clock: { now: () => now },
    settings: { issuer: ISSUER },
    breathe: async () => {},
    pause: async (ms: number, signal: AbortSignal) =>
      void (await sleep(ms / 100, undefined, { signal }).catch(() => {})),
  }
  return {
    ...kept,
    signer,
    service: createJournalUseCases(parts),
    checkpoint: createCheckpointJournal(parts),
    set: (at: Date) => {
      now = at
    },
    fill: (count: number, change: Partial<JournalRecord> = {}) => {
      for (let i = 0; i < count; i += 1) kept.append(newRecord(`device-${i}`, { at: now, ...change }))
    },
  }
}
const exported = async (
  { service }: ReturnType<typeof world>,
  tenant = "default",
): Promise<JournalEntry[]> => {
  const all: JournalEntry[] = []
  for await (const part of service.exportJournal({ ...OPERATOR, tenant }))
    if (part.kind === "entries") all.push(...part.entries)
  return all
}
const checkBy = (signer: TestSigner, heads: readonly string[] = []): JournalCheck => ({
  tenant: "default",
  issuer: ISSUER,
  verify: verifyBy(signer),
  heads,
})

test("makes a checkpoint after so many records, or so long after the last", async () => {
  const under = world()
  const due = { records: 100, ms: 60_000 }
  assert.is(await under.checkpoint("default", due), 0)
  under.fill(1)
  assert.is(await under.checkpoint("default", due), 1)
  under.fill(99)
  assert.is(await under.checkpoint("default", due), 0)
  under.fill(1)
  assert.is(await under.checkpoint("default", due), 1)
  under.set(afterNoon(60_000))
  assert.is(await under.checkpoint("default", due), 0)
  under.fill(1)
  assert.is(await under.checkpoint("default", due), 1)
  under.fill(1)
  under.set(afterNoon(119_999))
  assert.is(await under.checkpoint("default", due), 0)
  under.set(afterNoon(120_000))
  assert.is(await under.checkpoint("default", due), 1)
})

test("makes S-06 checkpoints although the clock was set back an hour", async () => {
  const under = world()
  under.fill(1)
  await under.checkpoint("default")
  under.set(afterNoon(-3_600_000))
  under.fill(1)
  assert.is(await under.checkpoint("default", { records: 100, ms: 60_000 }), 1)
  assert.is(verifyJournal(await exported(under), checkBy(under.signer)).chains[0]?.covered, 2)
})

test("makes a checkpoint of every writer's chain, whoever runs", async () => {
  const under = world()
  for (const writer of ["c3d4.0", "e5f6.0"]) under.append(newRecord("device-1"), writer)
  assert.is(await under.checkpoint("default"), 2)
  assert.is(await under.checkpoint("default"), 0)
})

test("makes one more under another key, so that the published keys are enough", async () => {
  const under = world()
  under.fill(3)
  await under.checkpoint("default")
  const next = testSigner()
  const settings = { issuer: ISSUER }
  const again = createCheckpointJournal({ ...under, clock: { now: () => NOON }, settings, signer: next })
  assert.is(await again("default", { records: 1000, ms: 60_000 }), 1)
  assert.is(await again("default", { records: 1000, ms: 60_000 }), 0)
  const { service } = under
  const { checkpoints: heads } = await service.journalHeads(OPERATOR)
  // The key is the old one's again: one more.
  assert.is(heads.length, 1)
  assert.is(verifyJournal(await exported(under), checkBy(under.signer, heads)).chains[0]?.covered, 3)
})

test("counts no checkpoint that another replica was faster with", async () => {
  const under = world({ archive: { addCheckpoint: async () => false } })
  under.fill(3)
  assert.is(await under.checkpoint("default"), 0)
})

test("refuses to vouch for anything when the key does not sign", async () => {
  const sign = (): never => {
    throw new AssayError("SIGNER", "out of order")
  }
  const under = world({ signer: { sign } })
  under.fill(3)
  await rejectsCode(() => under.checkpoint("default"), "SIGNER")
  await rejectsCode(() => exported(under), "SIGNER")
  await rejectsCode(() => under.service.journalHeads(OPERATOR), "SIGNER")
  assert.equal(await under.archive.checkpoints("default", WRITER, 0, 10), [])
})

test("exports what verifies, up to a checkpoint of its own", async () => {
  const under = world()
  for (let i = 0; i < 12; i += 1) {
    under.fill(111)
    if (i % 2 === 0) await under.checkpoint("default")
  }
  under.append(newRecord("device-x"), "c3d4.0")
  under.append(newRecord("device-x", { tenant: "other" }))
  const entries = await exported(under)
  const { records, checkpoints, chains } = verifyJournal(entries, checkBy(under.signer))
  assert.equal([records, checkpoints], [1333, 8])
  assert.equal(
    chains.map(({ writer, first, last, covered }) => [writer, first, last, covered]),
    [
      [WRITER, 1, 1332, 1332],
      ["c3d4.0", 1, 1, 1],
    ],
  )
})

test("exports nothing of a tenant that has nothing, and says whose it is", async () => {
  const under = world()
  under.fill(3)
  const parts = []
  for await (const part of under.service.exportJournal({ tenant: "other", id: "operator" })) parts.push(part)
  const header = { tenant: "other", issuer: ISSUER, exportedAt: NOON }
  assert.equal(parts, [{ kind: "header", header, jwks: under.signer.jwks }])
})

test("leaves out of an export what is written meanwhile", async () => {
  const under = world()
  under.fill(700)
  const all: JournalEntry[] = []
  for await (const part of under.service.exportJournal(OPERATOR)) {
    if (part.kind === "entries") all.push(...part.entries)
    under.fill(100)
    await under.checkpoint("default")
  }
  assert.is(verifyJournal(all, checkBy(under.signer)).records, 700)
})

test("gives heads that the journal leads to later, and that find what was cut off or written anew", async () => {
  const under = world()
  under.fill(5)
  const { checkpoints: heads } = await under.service.journalHeads(OPERATOR)
  under.fill(5)
  const check = checkBy(under.signer, heads)
  assert.is(verifyJournal(await exported(under), check).records, 10)

  const anew = world({ signer: under.signer })
  anew.fill(10, { outcome: "contraindicated" })
  await rejectsCode(async () => verifyJournal(await exported(anew), check), "JOURNAL_HEAD")
  const cut = world({ signer: under.signer })
  cut.fill(4)
  await rejectsCode(async () => verifyJournal(await exported(cut), check), "JOURNAL_HEAD")
})

/** Three segments: of noon, of an hour later, and of two hours later. */
const segments = async () => {
  const under = world()
  for (const hours of [0, 1, 2]) {
    under.set(afterNoon(hours * 3_600_000))
    under.fill(4)
    await under.checkpoint("default")
  }
  under.set(afterNoon(3 * 3_600_000))
  return under
}

test("removes whole segments that are older, and says so in what is left", async () => {
  const under = await segments()
  const { checkpoints: heads } = await under.service.journalHeads(OPERATOR)
  const removed = await under.service.pruneJournal(afterNoon(3_600_001), OPERATOR)
  assert.equal(removed, { records: 8, chains: 1 })
  const entries = await exported(under)
  const { chains } = verifyJournal(entries, checkBy(under.signer, heads))
  assert.equal(
    chains.map(({ first, last, covered }) => [first, last, covered]),
    [[9, 13, 13]],
  )
  const told = entries.flatMap((entry) => (entry.kind === "record" ? [entry.content] : [])).at(-1)
  assert.equal([told?.act, told?.caller], ["prune-journal", "operator"])
})

test("removes no segment of which a record is not older", async () => {
  const under = await segments()
  assert.equal(await under.service.pruneJournal(NOON, OPERATOR), { records: 0, chains: 0 })
  assert.equal(await under.service.pruneJournal(afterNoon(3_600_000), OPERATOR), { records: 4, chains: 1 })
  assert.equal(await under.service.pruneJournal(afterNoon(3_600_000), OPERATOR), { records: 0, chains: 0 })
  assert.equal(await under.service.pruneJournal(NOON, OPERATOR), { records: 0, chains: 0 })
  assert.is((await under.archive.records("default", WRITER, 0, 1000)).length, 9)
})

test("removes again, all of a writer that is gone too, and the rest still verifies", async () => {
  const under = await segments()
  under.append(newRecord("device-x"), "c3d4.0")
  await under.checkpoint("default")
  await under.service.pruneJournal(afterNoon(1), OPERATOR)
  await under.service.pruneJournal(afterNoon(3_600_001), OPERATOR)
  assert.equal(await under.service.pruneJournal(afterNoon(3_600_001), OPERATOR), { records: 0, chains: 0 })
  const { chains } = verifyJournal(await exported(under), checkBy(under.signer))
  assert.equal(
    chains.map(({ writer, first, last }) => [writer, first, last]),
    [
      [WRITER, 9, 14],
      ["c3d4.0", 2, 1],
    ],
  )
})

test("removes nothing of another tenant", async () => {
  const under = await segments()
  under.append(newRecord("device-x", { tenant: "other" }))
  await under.checkpoint("other")
  await under.service.pruneJournal(afterNoon(9_000_000), OPERATOR)
  assert.is((await under.archive.records("other", WRITER, 0, 10)).length, 1)
})

test("refuses to remove what has not happened yet", async () => {
  const under = await segments()
  await rejectsCode(() => under.service.pruneJournal(afterNoon(4 * 3_600_000), OPERATOR), "FIELD")
})

test("goes on with a removal that was interrupted", async () => {
  const under = await segments()
  let broken = true
  const archive: Partial<JournalArchive> = {
    ...under.archive,
    sweep: async (tenant, max) => {
      if (broken) throw new AssayError("JOURNAL", "out of order")
      return under.archive.sweep(tenant, max)
    },
  }
  const settings = { issuer: ISSUER }
  const service = createJournalUseCases({
    ...under,
    archive: { ...under.archive, ...archive },
    meter: UNMETERED,
    settings,
    clock: { now: () => afterNoon(3 * 3_600_000) },
    breathe: async () => {},
    pause: async () => {},
  })
  await rejectsCode(() => service.pruneJournal(afterNoon(3_600_001), OPERATOR), "JOURNAL")
  assert.is(verifyJournal(await exported(under), checkBy(under.signer)).chains[0]?.first, 9)
  assert.is((await under.archive.records("default", WRITER, 0, 1000)).length, 13)
  broken = false
  // An older beginning is still there, and is not gone back to.
  assert.equal(await service.pruneJournal(afterNoon(1), OPERATOR), { records: 0, chains: 0 })
  assert.is((await under.archive.records("default", WRITER, 0, 1000)).length, 5)
  assert.is(verifyJournal(await exported(under), checkBy(under.signer)).chains[0]?.first, 9)
})

for (const kind of ["header", "entries"] as const)
  test(`refuses an export from under which records are removed, after its ${kind}`, async () => {
    const under = await segments()
    await rejectsCode(async () => {
      for await (const part of under.service.exportJournal(OPERATOR))
        if (part.kind === kind) await under.service.pruneJournal(afterNoon(3_600_001), OPERATOR)
    }, "SNAPSHOT_MOVED")
  })

test("watches what is written from now on, by every writer, as far as it is wanted", async () => {
  const under = world()
  under.fill(3)
  const stop = new AbortController()
  const seen: string[] = []
  const watching = (async () => {
    const filter = { act: "suspend-device" } as const
    for await (const records of under.service.watchRecords(filter, OPERATOR, stop.signal))
      for (const { writer, content } of records) {
        seen.push(`${writer} ${content.device}`)
        if (seen.length === 3) stop.abort()
      }
  })()
  await sleep(5)
  under.append(newRecord("device-a", { act: "suspend-device" }))
  under.append(newRecord("device-b"))
  under.append(newRecord("device-c", { act: "suspend-device" }), "c3d4.0")
  under.append(newRecord("device-c", { act: "suspend-device", tenant: "other" }))
  await sleep(20)
  under.append(newRecord("device-d", { act: "suspend-device" }), "c3d4.0")
  await watching
  assert.equal(seen, [`${WRITER} device-a`, "c3d4.0 device-c", "c3d4.0 device-d"])
})

test.run()
