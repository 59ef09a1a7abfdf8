/** A worker that does nothing but what a test has it do to itself. */
import { joinCrew } from "../../src/workers/member.ts"
import type { WorkerOffers } from "../../src/workers/offers.ts"
import type { TestTrade } from "./trade.ts"

let keys: readonly string[] = []

const offers: WorkerOffers<TestTrade> = {
  begin: async ({ keys: known, fails }) => {
    if (fails) throw new Error("it does not begin")
    keys = known
  },
  keys: (known) => {
    keys = known.map(({ id }) => Buffer.from(id).toString("hex"))
  },
  ping: () => {},
  use: async (use) => {
    switch (use) {
      case "die":
        return process.exit(3)
      case "be killed":
        process.kill(process.pid, "SIGKILL")
        return ""
      case "hang":
        for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
      case "stop":
        process.kill(process.pid, "SIGSTOP")
        return ""
      case "throw asynchronously":
        setImmediate(() => {
          throw new Error("nobody catches it")
        })
        return ""
      case "hold a turn":
        void member.turns.take(() => new Promise(() => {}))
        return ""
      case "take a turn":
        return member.turns.take(async () => "taken")
      case "keys":
        return keys.join()
      default:
        return use
    }
  },
  reasons: async () => ["it says so"],
  metrics: async () => keys.length,
  nudge: () => {},
  drain: async () => {},
  stop: async () => process.exit(0),
}
const member = joinCrew<TestTrade>(offers, (listener, socket) => {
  socket.end(`${process.pid} ${listener}`)
})
// What an uncaught error says is not for the report of the tests.
process.on("uncaughtException", () => {
  process.exit(4)
})
