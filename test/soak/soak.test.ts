import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { freshProgress, type Progress, readProgress, writeProgress } from "./progress.ts"
import { BLOCK, soak } from "./soak.ts"
import type { Suite, Tally } from "./suite.ts"
import { tableOf } from "./table.ts"

const test = suite("soak")

const numbers: Suite = {
  name: "numbers",
  volume: 3 * BLOCK + 7,
  notes: { even: "of no interest" },
  run: async (from, to) => {
    const cases = Array.from({ length: to - from }, (_, i) => from + i)
    const even = cases.filter((n) => n % 2 === 0).length
    return { counts: { even, odd: cases.length - even }, failures: cases.includes(500) ? ["case 500"] : [] }
  },
}

/** Runs the suite; `blocks` are those that were run, and the one of `stopAt` throws. */
const runWith = async (
  before: Progress,
  stopAt?: number,
): Promise<{ readonly saved: Progress; readonly blocks: readonly number[] }> => {
  let saved = before
  const blocks: number[] = []
  const run = async (one: Suite, from: number, to: number): Promise<Tally> => {
    if (from === stopAt) throw new Error("interrupted")
    blocks.push(from)
    return one.run(from, to)
  }
  const save = (progress: Progress): void => {
    saved = progress
  }
  const outside = { run, abreast: 1, save, tell: () => {}, now: () => 0 }
  await soak([numbers], before, outside).catch(() => {})
  return { saved, blocks }
}

test("runs every case once, and sums up", async () => {
  const { saved, blocks } = await runWith(freshProgress("a"))
  assert.equal(blocks, [0, BLOCK, 2 * BLOCK, 3 * BLOCK])
  const { counts, failures } = saved.suites["numbers"] ?? {}
  assert.equal([counts, failures], [{ even: 304, odd: 303 }, ["case 500"]])
  assert.match(
    tableOf([numbers], saved),
    /numbers: 607 of 607 cases in 0 s, 1 failed\n {2}even .* 304 {2}of no/,
  )
})
test("goes on behind the last block that was done", async () => {
  const { saved, blocks } = await runWith(freshProgress("a"), 2 * BLOCK)
  assert.equal(blocks, [0, BLOCK])
  const rest = await runWith(saved)
  assert.equal(rest.blocks, [2 * BLOCK, 3 * BLOCK])
  assert.equal(rest.saved.suites["numbers"]?.counts, { even: 304, odd: 303 })
  assert.equal((await runWith(rest.saved)).blocks, [])
})
test("keeps its progress in a file, for the same code alone", async () => {
  const folder = mkdtempSync(join(tmpdir(), "assay-soak-"))
  try {
    const file = join(folder, "cache", "soak.json")
    assert.equal(readProgress(file, "a"), freshProgress("a"))
    const { saved } = await runWith(freshProgress("a"))
    writeProgress(file, saved)
    assert.not.ok(existsSync(`${file}.new`))
    assert.equal(readProgress(file, "a"), saved)
    assert.equal(readProgress(file, "b"), freshProgress("b"))
    writeFileSync(file, '{"code":"a","suites"')
    assert.equal(readProgress(file, "a"), freshProgress("a"))
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test.run()
