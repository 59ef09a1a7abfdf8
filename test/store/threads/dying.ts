/** The journal's thread, which ends right after it has written a record about the device `die`. */
import { parentPort } from "node:worker_threads"

const port = parentPort
if (port === null) throw new TypeError("a thread")
let isDying = false
port.on("message", ({ group }: { group: readonly { record: { device: string } }[] }) => {
  isDying ||= group.some(({ record }) => record.device === "die")
})
const post = port.postMessage.bind(port)
port.postMessage = (message) => {
  if (isDying) process.exit(1)
  post(message)
}
await import("../../../src/store/journal-writer.ts")
