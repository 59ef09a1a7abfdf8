import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { AssayError } from "../../src/errors.ts"
import type { GroupEntry } from "../../src/store/journal-commit.ts"
import { fromMessage, outcomeOf, toMessage, writtenMessage } from "../../src/store/journal-message.ts"
import { afterNoon, digestOf, newCommit, newCounters, newRecord } from "../support/ports/samples.ts"

const test = suite("journal message")

/** As text, for what comes back has bytes of another class. */
const plain = ({ record, commit }: GroupEntry) => ({
  record: {
    ...record,
    evidenceDigest: toHex(record.evidenceDigest),
    policyDigest: record.policyDigest && toHex(record.policyDigest),
  },
  commit,
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
  ["text that UTF-8 cannot spell", { record: newRecord("device-\ud800"), commit: undefined }],
]
for (const [what, entry] of carried)
  test(`carries ${what}`, () => {
    assert.equal(fromMessage(toMessage([entry])).map(plain), [plain(entry)])
  })

const none: [what: string, trust: number][] = [
  ["NaN", Number.NaN],
  ["more than any number", Number.POSITIVE_INFINITY],
]
for (const [what, trust] of none)
  test(`carries S-04 a generation of trust that is ${what} as one that no store has`, () => {
    const commit = newCommit({ revisions: { device: 1, policy: undefined, trust } })
    const [entry] = fromMessage(toMessage([{ record: newRecord("device-1"), commit }]))
    assert.is.not(entry?.commit?.revisions.trust, undefined)
  })

test("carries an instant that is none as one", () => {
  const record = newRecord("device-1", { at: new Date(Number.NaN) })
  const [entry] = fromMessage(toMessage([{ record, commit: undefined }]))
  assert.is(String(entry?.record.at), "Invalid Date")
})

test("tells of each record what became of it", () => {
  const refusal = new AssayError("SNAPSHOT_MOVED", "meanwhile", {
    location: "there",
    expected: "1",
    actual: "2",
    cause: new Error("why"),
  })
  const outcome = outcomeOf(structuredClone(writtenMessage([undefined, refusal, undefined])), 3)
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
    assert.throws(() => outcomeOf(message, asked), /another group/)
  })

test.run()
