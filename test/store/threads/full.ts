/** Appends large records to the journal in the file it is told, and says what becomes of each, until its input ends. */
import { setTimeout as sleep } from "node:timers/promises"
import { openServedStore } from "../../../src/store/sqlite.ts"
import { newRecord } from "../../support/ports/samples.ts"

const store = openServedStore(process.argv[2] ?? "")
let isOver = false
process.stdin.on("end", () => {
  isOver = true
})
process.stdin.resume()
let wasFull = false
for (let i = 0; !isOver && i < 2000; i += 1) {
  try {
    await store.journal.append(newRecord(`device-${i}`, { codes: ["x".repeat(20_000)] }))
    console.log(`written ${i}`)
    if (wasFull && (await store.unready()) === undefined) {
      console.log("ready again")
      break
    }
  } catch (error) {
    wasFull = true
    console.log(`${error} ${error instanceof Error ? error.cause : ""}; ${await store.unready()}`)
    await sleep(50)
  }
}
await store.close()
process.exit(0)
