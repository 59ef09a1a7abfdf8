import pino from "pino"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Code } from "../../src/errors.ts"
import { type CallLine, createCallLog } from "../../src/server/call-log.ts"
import type { Line } from "./fake.ts"

const test = suite("createCallLog")

const logging = () => {
  const lines: Line[] = []
  const clock = { now: 0 }
  const log = pino({ level: "debug" }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const logCall = createCallLog(log, () => clock.now)
  const call = (reason: Code | undefined): void =>
    logCall({ method: "m", code: "X", reason, ms: 1, caller: "c", tenant: "t", request: "r" }, "info")
  return { lines, clock, call }
}

for (const reason of ["CALLER_UNKNOWN", "PERMISSION", "TOKEN_SIGNATURE", "PROTO", "RATE"] as const)
  test(`N-07 G-12 logs so many calls a second that are refused with ${reason}, and counts the others`, () => {
    const { lines, clock, call } = logging()
    for (let i = 0; i < 5000; i++) call(reason)
    assert.is(lines.length, 1000)
    clock.now = 10
    call(reason)
    assert.is(lines.length, 1001)
    assert.is(lines.at(-1)?.["omitted"], 4000)
    clock.now = 1000
    call(reason)
    assert.is(lines.at(-1)?.["omitted"], undefined)
  })
const ordinary: CallLine = {
  method: "assay.v1.AttestationService/Verify",
  code: "OK",
  reason: undefined,
  ms: 0.3,
  caller: "gateway",
  tenant: "default",
  request: "r",
}
const lines: [name: string, line: CallLine][] = [
  ["an ordinary call", ordinary],
  ["a call of nobody who is known", { ...ordinary, caller: undefined, tenant: undefined }],
  ["a call that failed", { ...ordinary, code: "INTERNAL", reason: "INTERNAL", ms: 30_000 }],
  ["a method with characters that JSON escapes", { ...ordinary, method: 'a"\\/b\n' }],
  ["a caller with characters that JSON escapes", { ...ordinary, caller: 'jwt:"\u0000\u2028\ud800 \u00e9' }],
  ["a duration that is no number", { ...ordinary, ms: Number.NaN }],
]
for (const [name, line] of lines)
  test(`logs ${name} in the bytes that pino would write`, () => {
    const written: string[] = []
    const destination = { write: (text: string) => written.push(text) }
    const log = pino({ level: "debug", timestamp: () => ',"time":1' }, destination).child({ worker: 3 })
    const logCall = createCallLog(log)
    for (const level of ["info", "debug"] as const) {
      log[level](line, "call")
      logCall(line, level)
    }
    assert.is(written.length, 4)
    assert.is(written[1], written[0])
    assert.is(written[3], written[2])
  })
test("logs every call that came to something, whatever was refused before", () => {
  const { lines, call } = logging()
  for (let i = 0; i < 5000; i++) call("RATE")
  lines.length = 0
  for (const reason of [undefined, "NONCE_SPENT", "JOURNAL", "INTERNAL", "DEVICE_EXISTS"] as const)
    call(reason)
  assert.equal(
    lines.map(({ reason, omitted }) => [reason, omitted]),
    [
      [undefined, 4000],
      ["NONCE_SPENT", undefined],
      ["JOURNAL", undefined],
      ["INTERNAL", undefined],
      ["DEVICE_EXISTS", undefined],
    ],
  )
})
test.run()
