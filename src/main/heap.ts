/** How the heap of a process that serves grows. */
import { constants, PerformanceObserver } from "node:perf_hooks"
import { getHeapStatistics, setFlagsFromString } from "node:v8"

const MIB = 1024 * 1024
/** The heap may come to so much before it is collected. */
const ROOM_BYTES = 160 * MIB
/** What is allocated between two collections at least, however much is live: each costs as much as all that is live. */
const STEP_BYTES = 32 * MIB
/** More than V8 itself ever lets a heap grow by. */
const PERCENT_MAX = 300

/**
 * Has all of the heap collected when it comes to `ROOM_BYTES`, or when it has grown by `STEP_BYTES` if more than the rest is live. V8
 * by itself waits until the heap is twice to four times what is live: beside a hundred thousand devices, as much again would
 * wait to be collected. It may be set while V8 runs, which reads it at the end of each collection.
 *
 * @returns Ends it.
 */
export const boundHeap = (): (() => void) => {
  const bound = (live: number): void => {
    const percent = Math.ceil((100 * Math.max(STEP_BYTES, ROOM_BYTES - live)) / live)
    setFlagsFromString(`--heap-growing-percent=${Math.min(percent, PERCENT_MAX)}`)
  }
  const collections = new PerformanceObserver((list) => {
    if (list.getEntries().some(isMajor)) bound(getHeapStatistics().used_heap_size)
  })
  // What is live is not known before the first.
  bound(ROOM_BYTES)
  collections.observe({ entryTypes: ["gc"] })
  return () => collections.disconnect()
}

const isMajor = (entry: object): boolean =>
  "detail" in entry &&
  typeof entry.detail === "object" &&
  entry.detail !== null &&
  "kind" in entry.detail &&
  entry.detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR
