import { fork } from "node:child_process"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createAttestationClient } from "../../src/client/attestation.ts"
import { goodVerify } from "./fake.ts"

const test = suite("what calls leave behind")

const CALLS = 600
const AT_ONCE = 20
/** A stream of Node's and what belongs to it, which is not ours to let go of: some 2,700, and 4,900 with our listeners. */
const KEPT_BYTES_MAX = 3700

test("is hardly more than Node's streams, when the young are collected", async () => {
  // So much room that nothing is collected meanwhile.
  const execArgv = ["--expose-gc", "--max-semi-space-size=64", "--min-semi-space-size=64"]
  const child = fork(join(import.meta.dirname, "kept-process.ts"), { execArgv })
  const answer = (): Promise<unknown> => new Promise((resolve) => child.once("message", resolve))
  const ask = (what: "begin" | "end"): Promise<unknown> => {
    const answered = answer()
    child.send(what)
    return answered
  }
  try {
    const client = createAttestationClient(String(await answer()))
    const callAll = async (): Promise<void> => {
      for (let i = 0; i < CALLS; i += AT_ONCE)
        await Promise.all(Array.from({ length: AT_ONCE }, () => client.verify(goodVerify())))
    }
    await callAll()
    await ask("begin")
    await callAll()
    const kept = Math.round(Number(await ask("end")) / CALLS)
    client.close()
    assert.ok(kept > 0 && kept < KEPT_BYTES_MAX, `${kept} bytes a call`)
  } finally {
    const ended = new Promise((resolve) => child.once("exit", resolve))
    child.disconnect()
    await ended
  }
})

test.run()
