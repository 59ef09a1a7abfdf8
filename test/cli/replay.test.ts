/** Logs of many makers through `assay replay eventlog`. */
import { execFileSync } from "node:child_process"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat } from "../../src/bytes.ts"
import { isThere, needs, VECTORS, vector, vectorJson } from "../support/vectors.ts"
import { testDevice } from "../support/world.ts"
import { assay, fileOf, jsonOf } from "./run.ts"

const test = suite("assay replay eventlog")
const withVectors = needs("vectors", test)
const withTools = isThere("vectors") ? needs("swtpm", test) : withVectors

type Banks = Readonly<Record<string, Readonly<Record<string, string>>>>

interface Replayed {
  readonly banks: Banks
  readonly format: string
  readonly events: number
  readonly startupLocality: number | null
  readonly paddingBytes: number
  readonly gaps: readonly { readonly bank: string; readonly event: number; readonly pcr: number }[]
}

interface ExpectedLog {
  readonly format?: string
  readonly events: number
  readonly startupLocality: readonly number[]
  readonly replayedPcrs: Banks
}

const replay = async (log: Uint8Array): Promise<Replayed> => {
  const ran = await assay(["replay", "eventlog", fileOf(log)])
  assert.equal([ran.status, ran.err], [0, ""])
  return jsonOf<Replayed>(ran)
}

/** The first bytes of a padded log. */
const CCEL_BYTES = 65536 - 63416

withVectors("gives the values of every log", async () => {
  const expected = Object.entries(vectorJson<Record<string, ExpectedLog>>("eventlogs/expected.json")).filter(
    ([, { format }]) => format !== undefined,
  )
  assert.is(expected.length, 31)
  for (const [name, log] of expected) {
    const result = await replay(vector(`eventlogs/${name}`))
    assert.equal(result.banks, log.replayedPcrs, name)
    assert.is(result.events, log.events, name)
    assert.is(result.startupLocality, log.startupLocality[0] ?? null, name)
    assert.is(result.format === "sha1", log.format?.startsWith("legacy"), name)
    assert.is(result.paddingBytes, name === "ccel-ovmf.bin" ? 63416 : 0, name)
  }
})

withVectors("leads to the PCRs that a server had after the boot of its log", async () => {
  const { upstreamPcrs } = vectorJson<Record<string, { upstreamPcrs: Banks }>>("ima/expected.json")[
    "h12ssl.bios_measurements"
  ] ?? { upstreamPcrs: {} }
  const { banks } = await replay(vector("ima/h12ssl.bios_measurements"))
  assert.equal(Object.keys(banks), ["sha1", "sha256"])
  for (const [bank, values] of Object.entries(banks))
    for (const [pcr, value] of Object.entries(values))
      assert.is(value, upstreamPcrs[bank]?.[pcr], `${bank}:${pcr}`)
})

withVectors("says which event leaves a bank without digest", async () => {
  const result = await replay(vector("eventlogs/tpm2tools-event-uefivar.bin"))
  assert.equal(result.gaps, [
    { bank: "sha384", event: 1, pcr: 7 },
    { bank: "sha512", event: 1, pcr: 7 },
  ])
  assert.equal([result.banks["sha384"], result.banks["sha512"]], [{}, {}])
})

withVectors("counts padding of zeros or ones, and gives the same values with it", async () => {
  const log = vector("eventlogs/gce-ubuntu-2104-no-dbx.bin")
  const plain = await replay(log)
  for (const fill of [0x00, 0xff])
    for (const size of [1, 7, 4096]) {
      const padded = await replay(concat(log, new Uint8Array(size).fill(fill)))
      assert.equal(padded, { ...plain, paddingBytes: size })
    }
})

/** tpm2_eventlog 5.4 ends with a crash on option-rom-sha1, leaves StartupLocality out, and reads no padding. */
const JUDGED = [
  "gce-rhel8-uefi.bin",
  "gce-arch-linux-workstation.bin",
  "coreos-36-no-secure-boot.bin",
  "crypto-agile.bin",
  "tpm2tools-event-bootorder.bin",
  "tpm2tools-event-moklisttrusted.bin",
  "uefi-eventlog-rs-bootlog.bin",
  "hirs-laptop-default.bin",
]

const eventlogTool = (path: string): Banks => {
  const lines = execFileSync("tpm2_eventlog", [path], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  })
    .split(/^pcrs:$/m)
    .at(-1)
  const banks: Record<string, Record<string, string>> = {}
  let bank = ""
  for (const line of (lines ?? "").split("\n")) {
    bank = /^ {2}(sha\d+):/.exec(line)?.[1] ?? bank
    const [, pcr, value] = /^ {4}(\d+) *: 0x([0-9a-f]+)/.exec(line) ?? []
    if (pcr !== undefined && value !== undefined) banks[bank] = { ...banks[bank], [pcr]: value }
  }
  return banks
}

withTools("agrees with tpm2_eventlog where that is right", async () => {
  for (const name of JUDGED) {
    const path = `${VECTORS}/eventlogs/${name}`
    const { banks } = jsonOf<Replayed>(await assay(["replay", "eventlog", path]))
    assert.equal(banks, eventlogTool(path), name)
  }
})

test("agrees with a device about its own PCRs, whichever form its log has and wherever it started", async () => {
  for (const [log, hash] of [
    ["crypto-agile", "sha256"],
    ["sha1", "sha1"],
  ] as const)
    for (const startupLocality of [0, 3, 4] as const) {
      const device = testDevice({ banks: ["sha1", "sha256"], sharedKeys: true })
      device.boot(undefined, { log, startupLocality })
      const result = await replay(device.eventLog)
      const values = Object.entries(result.banks[hash] ?? {})
      assert.ok(values.length > 0)
      for (const [pcr, value] of values)
        assert.is(
          value,
          Buffer.from(device.pcrValues([{ hash, pcrs: [Number(pcr)] }])).toString("hex"),
          `${log} ${startupLocality} ${pcr}`,
        )
      assert.is(result.startupLocality, startupLocality === 0 ? null : startupLocality)
    }
})

test("shows a person a table, and what proves nothing", async () => {
  const { eventLog } = testDevice()
  const { status, out } = await assay(["replay", "eventlog", "-"], { stdin: eventLog, isTerminal: true })
  assert.is(status, 0)
  assert.match(out, /^format +crypto-agile\nevents +\d+\n/)
  assert.match(out, /^sha256 +0 +[0-9a-f]{64}$/m)
})

const whole = testDevice().eventLog
const u32 = (value: number): number[] =>
  [value, value >>> 8, value >>> 16, value >>> 24].map((byte) => byte & 0xff)
const malformed: readonly [name: string, log: Uint8Array, code: string][] = [
  ["a log that is cut short", whole.subarray(0, whole.length - 1), "FRAMING"],
  [
    "a bank that the header does not name",
    concat(whole, Uint8Array.of(...u32(1), ...u32(4), ...u32(1), 0x27, 0)),
    "EVENT",
  ],
  [
    "more digests than there can be",
    concat(whole, Uint8Array.of(...u32(1), ...u32(4), ...u32(99))),
    "LENGTH",
  ],
  [
    "event data that never ends",
    concat(whole, Uint8Array.of(...u32(1), ...u32(4), ...u32(0), ...u32(0x7fffffff))),
    "LENGTH",
  ],
  ["text", new TextEncoder().encode("this is not an event log"), "FRAMING"],
  ["more than a log can be", new Uint8Array((1 << 20) + 1), "LOG_SIZE"],
]
for (const [name, log, code] of malformed)
  test(`ends with status 2 for ${name}`, async () => {
    const ran = await assay(["replay", "eventlog", fileOf(log)])
    assert.is(ran.status, 2)
    assert.is(jsonOf<{ error: { code: string } }>(ran).error.code, code)
    assert.match(ran.err, new RegExp(`^assay: ${code}: `))
  })

test("says at which byte a log is cut", async () => {
  const { err } = await assay(["replay", "eventlog", fileOf(whole.subarray(0, whole.length - 1))])
  assert.match(err, /events\[\d+\]\.data at byte \d+/)
})

test("ends with a status and nothing else, whatever byte of a log is changed", async () => {
  for (let at = 0; at < whole.length; at += 13) {
    const { status } = await assay([
      "replay",
      "eventlog",
      fileOf(whole.map((byte, i) => (i === at ? byte ^ 0xff : byte))),
    ])
    assert.ok([0, 1, 2].includes(status), `byte ${at}`)
  }
})

withVectors("takes the unpadded part of a padded log for a whole one", async () => {
  const padded = vector("eventlogs/ccel-ovmf.bin")
  const { banks } = await replay(padded)
  assert.equal((await replay(padded.subarray(0, CCEL_BYTES))).banks, banks)
})

test.run()
