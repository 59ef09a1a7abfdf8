import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { AssayError } from "../../src/errors.ts"
import { type PreparedRecord, prepareRecord } from "../../src/store/journal-append.ts"
import type { GroupEntry } from "../../src/store/journal-commit.ts"
import { fromMessage, outcomeOf, toMessage, writtenMessage } from "../../src/store/journal-message.ts"
import { afterNoon, digestOf, newCommit, newCounters, newRecord } from "../support/ports/samples.ts"

const test = suite("journal message")

/** As text, for what comes back has bytes of another class. */
const plain = ({ columns, bytes }: PreparedRecord) => ({
  ...columns,
  evidence_digest: toHex(columns.evidence_digest),
  policy_digest: columns.policy_digest && toHex(columns.policy_digest),
  bytes: toHex(bytes),
})
const policy = { name: "base", revision: 7 }
const result = { at: afterNoon(3), tier: "affirming", code: undefined, admitted: true }
const carried: [what: string, entry: GroupEntry][] = [
  ["a record alone", { record: newRecord("device-1"), commit: undefined }],
  ["a record without revisions", { record: newRecord("", { revisions: undefined }), commit: undefined }],
  [
    "a record with all that there may be",
    {
      record: newRecord("device-1", {
        codes: ["REFERENCE_SET", "CLOCK_INFO_UNSAFE"],
        policyDigest: digestOf("document"),
        revisions: { device: 3, policy, trust: 5 },
        tokenId: "",
      }),
      commit: undefined,
    },
  ],
  [
    "the revisions of a change of trust",
    {
      record: newRecord("", { revisions: { device: undefined, policy: undefined, trust: 0 } }),
      commit: undefined,
    },
  ],
  [
    "a commit of nothing but revisions",
    { record: newRecord("device-1"), commit: newCommit({ counters: undefined }) },
  ],
  [
    "a commit with all that there may be",
    {
      record: newRecord("device-1"),
      commit: newCommit({
        revisions: { device: 1, policy, trust: 0 },
        counters: newCounters({ clockMs: 2n ** 64n - 1n, safe: false }),
        result: { ...result, code: "", admitted: false },
        known: false,
        remembered: {
          before: newCounters({ firmwareVersion: undefined }),
          clock: { clockMs: 7n, resetCount: 1, restartCount: 2, safe: false },
        },
        freshSince: afterNoon(-1),
      }),
    },
  ],
  [
    "that a device was remembered without counters",
    {
      record: newRecord("device-1"),
      commit: newCommit({ result, remembered: { before: undefined, clock: undefined } }),
    },
  ],
  [
    "names in any script, and long ones",
    {
      record: newRecord("d\u00e9\u4e2d\u{1f600}", { caller: "x".repeat(33), codes: ["y".repeat(5000), ""] }),
      commit: newCommit({ device: "\u{1f600}".repeat(40) }),
    },
  ],
]
for (const [what, entry] of carried)
  test(`carries ${what}`, () => {
    const { bytes, refusals } = toMessage([entry])
    const [carried, ...others] = fromMessage(bytes)
    assert.equal([others, refusals], [[], [undefined]])
    assert.equal(carried && plain(carried.record), plain(prepareRecord(entry.record)))
    assert.equal(carried?.commit, entry.commit)
  })

test("carries what there is of a group, in its order", () => {
  const group = carried.map(([, entry]) => entry)
  assert.equal(
    fromMessage(toMessage(group).bytes).map(({ record }) => plain(record)),
    group.map(({ record }) => plain(prepareRecord(record))),
  )
})

test("hands over a buffer that no later group is written to", () => {
  const [one, other] = [newRecord("device-1"), newRecord("device-2")].map((record) =>
    toMessage([{ record, commit: undefined }]),
  )
  assert.is(one?.bytes.byteLength, one?.bytes.buffer.byteLength)
  assert.is.not(one?.bytes.buffer, other?.bytes.buffer)
  assert.is(fromMessage(one?.bytes ?? new Uint8Array())[0]?.record.columns.device, "device-1")
})

const none: [what: string, trust: number][] = [
  ["NaN", Number.NaN],
  ["more than any number", Number.POSITIVE_INFINITY],
]
for (const [what, trust] of none)
  test(`carries S-04 a generation of trust that is ${what} as one that no store has`, () => {
    const commit = newCommit({ revisions: { device: 1, policy: undefined, trust } })
    const [entry] = fromMessage(toMessage([{ record: newRecord("device-1"), commit }]).bytes)
    assert.ok(Object.is(entry?.commit?.revisions.trust, trust))
  })

const unsent: [what: string, entry: GroupEntry][] = [
  ["an instant that is none", { record: newRecord("a", { at: new Date(Number.NaN) }), commit: undefined }],
  ["a name that UTF-8 cannot spell", { record: newRecord("device-\ud800"), commit: undefined }],
  ["a tenant that UTF-8 cannot spell", { record: newRecord("a", { tenant: "\udfff" }), commit: undefined }],
  [
    "a revision that is no whole number",
    {
      record: newRecord("a", { revisions: { device: 0.5, policy: undefined, trust: 1 } }),
      commit: undefined,
    },
  ],
  [
    "a clock that is no u64",
    { record: newRecord("a"), commit: newCommit({ counters: newCounters({ clockMs: 2n ** 64n }) }) },
  ],
  [
    "firmware below 0",
    { record: newRecord("a"), commit: newCommit({ counters: newCounters({ firmwareVersion: -1n }) }) },
  ],
]
for (const [what, entry] of unsent)
  test(`refuses ${what} where it is, and sends the rest of its group`, () => {
    const [before, after] = [newRecord("before"), newRecord("after")]
    const group = [{ record: before, commit: undefined }, entry, { record: after, commit: newCommit() }]
    const { bytes, refusals } = toMessage(group)
    assert.equal(
      refusals.map((refusal) => refusal?.code),
      [undefined, "JOURNAL", undefined],
    )
    const sent = fromMessage(bytes)
    assert.equal(
      sent.map(({ record }) => record.columns.device),
      ["before", "after"],
    )
    assert.equal(sent[1]?.commit, newCommit())
    const refusal = new AssayError("SNAPSHOT_MOVED", "meanwhile")
    const outcome = outcomeOf(structuredClone(writtenMessage([undefined, refusal])), refusals)
    assert.equal(
      outcome.map((one) => one?.code),
      [undefined, "JOURNAL", "SNAPSHOT_MOVED"],
    )
  })

test("takes nothing for a group that is cut off, or goes on", () => {
  const { bytes } = toMessage([{ record: newRecord("device-1"), commit: newCommit() }])
  for (let size = 1; size < bytes.length; size += 1)
    assert.throws(() => fromMessage(bytes.slice(0, size)), undefined, `${size}`)
  for (const more of [1, 4]) assert.throws(() => fromMessage(Buffer.concat([bytes, new Uint8Array(more)])))
})

test("tells of each record what became of it", () => {
  const refusal = new AssayError("SNAPSHOT_MOVED", "meanwhile", {
    location: "there",
    expected: "1",
    actual: "2",
    cause: new Error("why"),
  })
  const sent = [undefined, undefined, undefined]
  const outcome = outcomeOf(structuredClone(writtenMessage([undefined, refusal, undefined])), sent)
  assert.equal(
    outcome.map((one) => one?.code),
    [undefined, "SNAPSHOT_MOVED", undefined],
  )
  const [, told] = outcome
  assert.equal(
    [told?.message, told?.location, told?.expected, told?.actual],
    ["meanwhile", "there", "1", "2"],
  )
  assert.match(String(told?.cause), /why/)
})

const others: [what: string, answered: number, asked: number][] = [
  ["fewer records than were sent", 2, 3],
  ["more records than were sent", 3, 2],
  ["none", 0, 1],
]
for (const [what, answered, asked] of others)
  test(`lets nothing out S-07 by an answer about ${what}`, () => {
    const message = writtenMessage(new Array(answered).fill(undefined))
    assert.throws(() => outcomeOf(message, new Array(asked).fill(undefined)), /another group/)
  })

test.run()
