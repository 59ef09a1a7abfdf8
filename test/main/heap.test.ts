/** How a heap grows, in a process of its own: what is set is the process's. */
import { execFileSync } from "node:child_process"
import { suite } from "uvu"
import * as assert from "uvu/assert"

const test = suite("boundHeap")

const MODULE = new URL("../../src/main/heap.ts", import.meta.url).href
const MIB = 1024 * 1024

/** MiB that the heap came to at most, of which `kept` MiB or so stay, while small things become old and are let go of. */
const mostOf = (kept: number): number => {
  const script = `
    import { getHeapStatistics } from "node:v8"
    import { setImmediate } from "node:timers/promises"
    const { boundHeap } = await import(${JSON.stringify(MODULE)})
    boundHeap()
    const make = () => Array.from({ length: 500 }, () => new Array(100).fill(0))
    const { used_heap_size: before } = getHeapStatistics()
    const kept = []
    while (getHeapStatistics().used_heap_size < before + ${kept * MIB}) kept.push(make())
    const ring = Array.from({ length: 50 }, () => make())
    // What follows a collection is bound by the one before.
    for (let i = 0; i < 2; i++) { gc(); await setImmediate(); await setImmediate() }
    let most = 0
    for (let round = 0; round < 600; round++) {
      ring[round % ring.length] = make()
      await setImmediate()
      most = Math.max(most, getHeapStatistics().used_heap_size)
    }
    console.log(most, kept.length)`
  const flags = ["--expose-gc", "--max-semi-space-size=4", "--input-type=module", "-e", script]
  return Number(execFileSync(process.execPath, flags, { encoding: "utf8" }).split(" ")[0]) / MIB
}

// By itself, V8 lets them come to some 350 and 510 MiB.
test("has a small heap collected when it comes to its room", () => {
  const most = mostOf(80)
  assert.ok(most < 260, `${most} MiB`)
})

test("has a large one collected when it has grown by a step", () => {
  const most = mostOf(240)
  assert.ok(most < 400, `${most} MiB`)
})

test.run()
