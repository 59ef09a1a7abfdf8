import * as assert from "uvu/assert"
import type {
  JournalArchive,
  JournalRecord,
  KeptCheckpoint,
  KeptRecord,
  RecordFilter,
} from "../../../src/service/ports.ts"
import { CHAIN_START, nextHead } from "../../../src/verification/journal/chain.ts"
import { rejectsCode } from "../assert.ts"
import type { Awaitable, Check } from "./check.ts"
import { afterNoon, newRecord } from "./samples.ts"

/** An archive, and what appends to it. */
export interface ArchiveUnderTest {
  readonly archive: JournalArchive
  readonly append: (record: JournalRecord) => Promise<void>
}

/** What every archive does. `create` makes an empty one for each test. */
export const archiveConformance = (
  test: Check,
  name: string,
  create: () => Awaitable<ArchiveUnderTest>,
): void => {
  const check = (
    behavior: string,
    body: (under: ArchiveUnderTest & { readonly writer: string }) => Promise<void>,
  ): void =>
    test(`${name} ${behavior}`, async () => {
      const under = await create()
      await body({ ...under, writer: await under.archive.writer() })
    })
  const fill = async ({ append }: ArchiveUnderTest, count: number): Promise<JournalRecord[]> => {
    const records = Array.from({ length: count }, (_, i) => newRecord(`device-${i}`, { at: afterNoon(i) }))
    await Promise.all(records.map((record) => append(record)))
    return records
  }
  /** A checkpoint of what was filled in: the archive does not look into its text. */
  const checkpoint = (number: number, sequence: number): KeptCheckpoint => ({
    number,
    sequence,
    compact: `checkpoint ${number}`,
    at: afterNoon(1000 + number),
    newestAt: afterNoon(sequence - 1),
  })
  const devices = (records: readonly KeptRecord[]): string[] => records.map(({ content }) => content.device)
  const pruning = newRecord("", { act: "prune-journal", outcome: "done", at: afterNoon(5000) })

  check("chains each tenant's records by writer, without a gap", async ({ archive, append, writer }) => {
    const records = await fill({ archive, append }, 20)
    await append(newRecord("device-x", { tenant: "other" }))
    let head = CHAIN_START
    for (const kept of await archive.records("default", writer, 0, 1000)) {
      const record = records[kept.sequence - 1]
      assert.equal(kept.content, record)
      head = nextHead({ tenant: "default", writer }, head, kept.content)
      assert.equal([kept.sequence, hex(kept.hash)], [head.sequence, hex(head.hash)])
    }
    assert.is(head.sequence, 20)
    const [chain, ...others] = await archive.chains("default")
    assert.equal(others, [])
    assert.equal(
      [chain?.writer, chain?.head.sequence, hex(chain?.head.hash), chain?.newestAt],
      [writer, 20, hex(head.hash), afterNoon(19)],
    )
    assert.equal([chain?.anchor, chain?.checkpoint], [undefined, undefined])
    assert.is((await archive.chains("other"))[0]?.head.sequence, 1)
    assert.equal(await archive.chains("nobody"), [])
  })

  check("remembers the latest instant of a chain, whatever the order of records", async (under) => {
    for (const ms of [5, 900, 7]) await under.append(newRecord("device-1", { at: afterNoon(ms) }))
    assert.equal((await under.archive.chains("default"))[0]?.newestAt, afterNoon(900))
  })

  check("gives records of a chain from anywhere on", async (under) => {
    await fill(under, 12)
    const { archive, writer } = under
    assert.equal(devices(await archive.records("default", writer, 4, 3)), [
      "device-4",
      "device-5",
      "device-6",
    ])
    assert.equal(devices(await archive.records("default", writer, 11, 3)), ["device-11"])
    assert.equal(await archive.records("default", writer, 12, 3), [])
    assert.equal(await archive.records("default", "nobody", 0, 3), [])
    assert.equal(await archive.records("other", writer, 0, 3), [])
  })

  const filters: [what: string, filter: RecordFilter, expected: readonly number[]][] = [
    ["all", {}, [7, 6, 5, 4, 3, 2, 1, 0]],
    ["of a device", { device: "device-3" }, [3]],
    ["of an act", { act: "suspend-device" }, [7, 5]],
    ["since an instant", { since: afterNoon(6) }, [7, 6]],
    ["until an instant", { until: afterNoon(2) }, [1, 0]],
    ["between instants, of an act", { since: afterNoon(5), until: afterNoon(7), act: "suspend-device" }, [5]],
    ["of nothing", { device: "device-3", act: "suspend-device" }, []],
  ]
  for (const [what, filter, expected] of filters)
    check(`lists records ${what}, the newest first, page by page`, async ({ archive, append }) => {
      for (let i = 0; i < 8; i += 1)
        await append(
          newRecord(`device-${i}`, {
            at: afterNoon(i),
            act: i === 5 || i === 7 ? "suspend-device" : "verify",
          }),
        )
      await append(newRecord("device-3", { tenant: "other", at: afterNoon(6) }))
      for (const max of [1, 3, 1000]) {
        const found: string[] = []
        let before: number | undefined
        do {
          const page = await archive.list("default", filter, before, max)
          assert.ok(page.records.length <= max)
          found.push(...devices(page.records))
          before = page.next
        } while (before !== undefined)
        assert.equal(
          found,
          expected.map((i) => `device-${i}`),
        )
      }
    })

  check("keeps pages whole while records are written", async (under) => {
    await fill(under, 6)
    const first = await under.archive.list("default", {}, undefined, 3)
    await under.append(newRecord("later"))
    const second = await under.archive.list("default", {}, first.next, 3)
    assert.equal(devices(second.records), ["device-2", "device-1", "device-0"])
  })

  check("keeps checkpoints in their order, each number once", async (under) => {
    await fill(under, 12)
    const { archive, writer } = under
    assert.ok(await archive.addCheckpoint("default", writer, checkpoint(1, 4)))
    assert.ok(await archive.addCheckpoint("default", writer, checkpoint(2, 8)))
    assert.not(await archive.addCheckpoint("default", writer, checkpoint(2, 12)))
    assert.not(await archive.addCheckpoint("default", writer, checkpoint(1, 12)))
    assert.not(await archive.addCheckpoint("default", writer, checkpoint(4, 12)))
    assert.ok(await archive.addCheckpoint("default", writer, checkpoint(3, 8)))
    assert.equal(await archive.checkpoints("default", writer, 0, 1000), [
      checkpoint(1, 4),
      checkpoint(2, 8),
      checkpoint(3, 8),
    ])
    assert.equal(await archive.checkpoints("default", writer, 1, 1), [checkpoint(2, 8)])
    assert.equal((await archive.chains("default"))[0]?.checkpoint, checkpoint(3, 8))
    assert.equal(await archive.checkpoints("other", writer, 0, 1000), [])
  })

  check("refuses a checkpoint of a chain that is not there", async ({ archive }) => {
    await rejectsCode(() => archive.addCheckpoint("default", "nobody", checkpoint(1, 1)), "JOURNAL")
  })

  check("finds the last checkpoint up to which everything is older", async (under) => {
    await fill(under, 12)
    const { archive, writer } = under
    for (const [i, sequence] of [4, 8, 12].entries())
      await archive.addCheckpoint("default", writer, checkpoint(i + 1, sequence))
    const before = async (ms: number): Promise<number | undefined> =>
      (await archive.checkpointBefore("default", writer, afterNoon(ms)))?.number
    assert.equal(
      [await before(3), await before(4), await before(8), await before(9999)],
      [undefined, 1, 2, 3],
    )
  })

  check("begins where it is told to, with the record of it, and sweeps what lies before", async (under) => {
    await fill(under, 12)
    const { archive, writer } = under
    for (const [i, sequence] of [4, 8, 12].entries())
      await archive.addCheckpoint("default", writer, checkpoint(i + 1, sequence))
    await archive.begin("default", [], [{ writer, number: 2 }], pruning)
    const [chain] = await archive.chains("default")
    assert.equal([chain?.anchor, chain?.head.sequence], [checkpoint(2, 8), 13])
    let swept = 0
    for (
      let count = await archive.sweep("default", 3);
      count > 0;
      count = await archive.sweep("default", 3)
    ) {
      assert.ok(count <= 3)
      swept += count
    }
    assert.is(swept, 8)
    assert.equal(devices(await archive.records("default", writer, 0, 1000)), [
      "device-8",
      "device-9",
      "device-10",
      "device-11",
      "",
    ])
    assert.equal(await archive.checkpoints("default", writer, 0, 1000), [checkpoint(2, 8), checkpoint(3, 12)])
    await under.append(newRecord("device-13"))
    assert.is((await archive.chains("default"))[0]?.head.sequence, 14)
    await archive.begin("default", [{ writer, number: 2 }], [{ writer, number: 3 }], pruning)
    while ((await archive.sweep("default", 1000)) > 0);
    assert.equal(await archive.checkpoints("default", writer, 0, 1000), [checkpoint(3, 12)])
  })

  check("refuses to begin elsewhere than it was looked at, and changes nothing", async (under) => {
    await fill(under, 12)
    const { archive, writer } = under
    for (const [i, sequence] of [4, 8, 12].entries())
      await archive.addCheckpoint("default", writer, checkpoint(i + 1, sequence))
    await archive.begin("default", [], [{ writer, number: 1 }], pruning)
    for (const from of [[], [{ writer, number: 2 }], [{ writer: "nobody", number: 1 }]])
      await rejectsCode(
        () => archive.begin("default", from, [{ writer, number: 3 }], pruning),
        "SNAPSHOT_MOVED",
      )
    await rejectsCode(
      () => archive.begin("default", [{ writer, number: 1 }], [{ writer, number: 9 }], pruning),
      "JOURNAL",
    )
    const [chain] = await archive.chains("default")
    assert.equal([chain?.anchor?.number, chain?.head.sequence], [1, 13])
  })
}

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex")
