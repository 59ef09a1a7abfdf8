/** The journal's thread, which ends right after it has written a record about the device `die`. */
import { parentPort } from "node:worker_threads"
import { fromMessage } from "../../../src/store/journal-message.ts"

const port = parentPort
if (port === null) throw new TypeError("a thread")
let isDying = false
port.on("message", (message: Uint8Array) => {
  isDying ||= fromMessage(message).some(({ record }) => record.columns.device === "die")
})
const post = port.postMessage.bind(port)
port.postMessage = (message) => {
  if (isDying) process.exit(1)
  post(message)
}
await import("../../../src/store/journal-writer.ts")
