import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AssayError, type Code } from "../../../src/errors.ts"
import type { Checkpoint } from "../../../src/verification/journal/checkpoint.ts"
import type { JournalCheck } from "../../../src/verification/journal/heads.ts"
import type { RecordContent } from "../../../src/verification/journal/record.ts"
import { type JournalEntry, verifyJournal } from "../../../src/verification/journal/verify.ts"
import { throwsCode } from "../../support/assert.ts"
import {
  type ChainBuilder,
  chainBuilder,
  flipped,
  ISSUER,
  recordContent,
  recordOf,
  sampleChain,
  TENANT,
  verifyBy,
  WRITER,
} from "../../support/journal.ts"
import { type TestSigner, testSigner } from "../../support/signer.ts"

const test = suite("verifyJournal")

const { signer, chain, entries } = sampleChain()
const checkBy = (change: Partial<JournalCheck> = {}, by: TestSigner = signer): JournalCheck => ({
  tenant: TENANT,
  issuer: ISSUER,
  verify: verifyBy(by),
  heads: [],
  ...change,
})
const refused = (
  parts: readonly JournalEntry[],
  code: Code | readonly Code[],
  change: Partial<JournalCheck> = {},
): AssayError => throwsCode(() => verifyJournal(parts, checkBy(change)), code)
const without = (place: (entry: JournalEntry) => boolean): readonly JournalEntry[] =>
  entries.filter((entry) => !place(entry))
const isRecord =
  (sequence: number) =>
  (entry: JournalEntry): boolean =>
    entry.kind === "record" && entry.sequence === sequence
/** The sample with one record saying something else, and its hash as it was. */
const changed = (sequence: number, change: (content: RecordContent) => object): readonly JournalEntry[] =>
  entries.map((entry) =>
    entry.kind === "record" && entry.sequence === sequence
      ? { ...entry, content: { ...entry.content, ...change(entry.content) } }
      : entry,
  )
const whole = { writer: WRITER, first: 1, last: 12, hash: chain.head().hash, covered: 12 }

test("accepts a journal that is whole, and says how far it goes", () => {
  assert.equal(verifyJournal(entries, checkBy()), { records: 12, checkpoints: 3, chains: [whole] })
  assert.equal(verifyJournal(entries, checkBy({ issuer: undefined })).records, 12)
})

test("accepts an empty journal, and one that no checkpoint vouches for yet", () => {
  assert.equal(verifyJournal([], checkBy()), { records: 0, checkpoints: 0, chains: [] })
  const [first] = entries
  assert.is(first?.kind, "record")
  const { chains } = verifyJournal(entries.slice(0, 3), checkBy())
  assert.equal(
    chains.map(({ last, covered }) => [last, covered]),
    [[3, 0]],
  )
})

test("accepts records after the last checkpoint, and says that they are not covered", () => {
  const { chains } = verifyJournal(entries.slice(0, 7), checkBy())
  assert.equal(
    chains.map(({ last, covered }) => [last, covered]),
    [[6, 4]],
  )
})

test("accepts the parts of several chains in any mixture, each in its order", () => {
  const other = chainBuilder(signer, { writer: "c3d4.0" }).add().add().checkpoint()
  const mixed = entries.flatMap((entry, i) => [entry, ...other.entries.slice(i, i + 1)])
  const { chains } = verifyJournal(mixed, checkBy())
  assert.equal(
    chains.map(({ writer, last }) => [writer, last]),
    [
      [WRITER, 12],
      ["c3d4.0", 2],
    ],
  )
})

const OTHER: readonly [what: string, { readonly [K in keyof RecordContent]?: RecordContent[K] }][] = [
  ["whose at was changed", { at: new Date(0) }],
  ["whose caller was changed", { caller: "backend" }],
  ["whose act was changed", { act: "set-policy" }],
  ["whose device was changed", { device: "device-x" }],
  ["whose outcome was changed", { outcome: "contraindicated" }],
  ["whose codes was changed", { codes: ["EK_MISSING"] }],
  ["whose evidenceDigest was changed", { evidenceDigest: new Uint8Array(32) }],
  ["whose policyDigest was changed", { policyDigest: new Uint8Array(32) }],
  ["whose revisions was changed", { revisions: undefined }],
  ["whose tokenId was changed", { tokenId: "token-2" }],
]
test("has a test for each member of a record", () => {
  assert.equal(OTHER.flatMap(([, change]) => Object.keys(change)).sort(), Object.keys(recordContent()).sort())
})
for (const [what, change] of OTHER)
  test(`refuses a record ${what}, and names it`, () => {
    const error = refused(
      changed(6, () => change),
      "JOURNAL_CHAIN",
    )
    assert.is(error.location, `${WRITER} 6`)
  })

const subtle: [name: string, change: (content: RecordContent) => object][] = [
  ["a policy digest taken away", () => ({ policyDigest: undefined })],
  ["a token id taken away", () => ({ tokenId: undefined })],
  ["one code moved into the one before", () => ({ codes: ["EK_MISSINGAK_BINDING_UNPROVEN"] })],
  ["the codes in another order", ({ codes }) => ({ codes: codes.toReversed() })],
  ["one digest bit turned", ({ evidenceDigest }) => ({ evidenceDigest: flipped(evidenceDigest) })],
  ["a millisecond later", ({ at }) => ({ at: new Date(at.getTime() + 1) })],
  ["caller and act swapped", ({ caller, act }) => ({ caller: act, act: caller })],
  ["another device revision", ({ revisions }) => ({ revisions: { ...revisions, device: 4 } })],
  ["no device revision", ({ revisions }) => ({ revisions: { ...revisions, device: undefined } })],
  [
    "another policy",
    ({ revisions }) => ({ revisions: { ...revisions, policy: { name: "b", revision: 7 } } }),
  ],
  [
    "another policy revision",
    ({ revisions }) => ({ revisions: { ...revisions, policy: { name: "base", revision: 8 } } }),
  ],
  ["no policy", ({ revisions }) => ({ revisions: { ...revisions, policy: undefined } })],
  ["another generation of trust", ({ revisions }) => ({ revisions: { ...revisions, trust: 6 } })],
  ["text that UTF-8 cannot spell", () => ({ device: "\ud800" })],
  ["an instant that is none", () => ({ at: new Date(Number.NaN) })],
]
for (const [name, change] of subtle)
  test(`refuses a record with ${name}`, () => void refused(changed(6, change), "JOURNAL_CHAIN"))

const mangled: [name: string, parts: readonly JournalEntry[], code: Code, location: string][] = [
  ["a record removed", without(isRecord(6)), "JOURNAL_CHAIN", `${WRITER} 7`],
  ["the first record removed", without(isRecord(1)), "JOURNAL_CHAIN", `${WRITER} 2`],
  ["a record before a checkpoint removed", without(isRecord(8)), "JOURNAL_CHECKPOINT", `${WRITER} 8`],
  ["a record twice", entries.toSpliced(6, 0, recordEntry(5)), "JOURNAL_CHAIN", `${WRITER} 5`],
  [
    "a record inserted, with a number of its own",
    entries.toSpliced(6, 0, { ...recordEntry(6), content: recordContent() }),
    "JOURNAL_CHAIN",
    `${WRITER} 6`,
  ],
  [
    "a record that says another number",
    entries.with(6, { ...recordEntry(6), sequence: 7 }),
    "JOURNAL_CHAIN",
    `${WRITER} 7`,
  ],
  [
    "two records swapped",
    entries.with(6, recordEntry(7)).with(7, recordEntry(6)),
    "JOURNAL_CHAIN",
    `${WRITER} 7`,
  ],
  [
    "what two records say swapped",
    entries
      .with(6, { ...recordEntry(6), content: recordOf(entries, 7).content })
      .with(7, { ...recordEntry(7), content: recordOf(entries, 6).content }),
    "JOURNAL_CHAIN",
    `${WRITER} 6`,
  ],
  [
    "a hash changed",
    entries.with(6, { ...recordEntry(6), hash: flipped(recordOf(entries, 6).hash) }),
    "JOURNAL_CHAIN",
    `${WRITER} 6`,
  ],
  [
    "the records of another writer",
    entries.map((entry) => (entry.kind === "record" ? { ...entry, writer: "c3d4.0" } : entry)),
    "JOURNAL_CHAIN",
    "c3d4.0 1",
  ],
  ["a checkpoint removed", entries.toSpliced(9, 1), "JOURNAL_CHECKPOINT", `${WRITER} 12`],
  ["the first checkpoint removed", entries.toSpliced(4, 1), "JOURNAL_CHECKPOINT", `${WRITER} 8`],
  [
    "a checkpoint twice",
    entries.toSpliced(4, 0, entries[4] ?? recordEntry(1)),
    "JOURNAL_CHECKPOINT",
    `${WRITER} 4`,
  ],
  [
    "an older checkpoint once more",
    [...entries, entries[9] ?? recordEntry(1)],
    "JOURNAL_CHECKPOINT",
    `${WRITER} 8`,
  ],
  [
    "a checkpoint a record early",
    entries.with(3, entries[4] ?? recordEntry(1)).with(4, recordEntry(4)),
    "JOURNAL_CHECKPOINT",
    `${WRITER} 4`,
  ],
  [
    "no record, but checkpoints",
    entries.filter(({ kind }) => kind === "checkpoint"),
    "JOURNAL_CHECKPOINT",
    `${WRITER} 8`,
  ],
]
function recordEntry(sequence: number): JournalEntry & { readonly kind: "record" } {
  return { kind: "record", ...recordOf(entries, sequence) }
}
for (const [name, parts, code, location] of mangled)
  test(`refuses a journal with ${name}, and says where`, () =>
    void assert.is(refused(parts, code).location, location))

test("refuses a journal of another tenant", () => {
  refused(entries, "JOURNAL_CHAIN", { tenant: "other" })
  const other = sampleChain({ tenant: "other" })
  throwsCode(() => verifyJournal(other.entries, checkBy({}, other.signer)), "JOURNAL_CHAIN")
})

/** Twelve records, the last four with a checkpoint that says something else. */
const lastSaying = (change: Partial<Checkpoint>, by?: TestSigner): ChainBuilder =>
  Array.from({ length: 4 })
    .reduce<ChainBuilder>((builder) => builder.add(), chainBuilder(signer).add().add().checkpoint())
    .checkpoint(change, by)
function sixth() {
  return lastSaying({}).head()
}
const wrongCheckpoints: [name: string, change: Partial<Checkpoint>][] = [
  ["of another tenant", { chain: { tenant: "other", writer: WRITER } }],
  ["of another writer that has records", { chain: { tenant: TENANT, writer: "c3d4.0" } }],
  ["of another issuer", { issuer: "https://other.example" }],
  ["over more records than there are", { head: { sequence: 7, hash: sixth().hash } }],
  ["over another head", { head: { sequence: 6, hash: chain.head().hash } }],
  ["over another number of records", { count: 3 }],
  ["that follows none", { previous: undefined }],
  ["that follows another", { previous: chain.head().hash }],
]
for (const [name, change] of wrongCheckpoints)
  test(`refuses a checkpoint ${name}`, () => {
    const other = chainBuilder(signer, { writer: "c3d4.0" }).add()
    refused([...other.entries, ...lastSaying(change).entries], "JOURNAL_CHECKPOINT")
  })

test("accepts a checkpoint again over the same records, as a new key makes one", () => {
  const next = testSigner()
  const again = chainBuilder(signer).add().add().checkpoint().checkpoint({}, next)
  const { chains } = verifyJournal(again.entries, checkBy({ verify: verifyBy(next) }))
  assert.is(chains[0]?.covered, 2)
})

test("accepts checkpoints by a key that is gone, if a later one by a known key vouches for them", () => {
  const old = testSigner()
  const rotated = chainBuilder(signer).add().checkpoint({}, old).add().checkpoint({}, old).add().checkpoint()
  assert.is(verifyJournal(rotated.entries, checkBy()).chains[0]?.covered, 3)
  refused(rotated.entries.slice(0, -2), "JOURNAL_CHECKPOINT")
})

test("refuses a checkpoint by a key that nobody knows, at the end of a chain", () => {
  assert.is(refused(lastSaying({}, testSigner()).entries, "JOURNAL_CHECKPOINT").location, `${WRITER} 6`)
})

test("refuses a forged checkpoint in the middle, which no later one follows", () => {
  const forger = testSigner()
  const forged = chainBuilder(signer).add().checkpoint({}, forger)
  const rest = chainBuilder(signer).add().checkpoint().add().checkpoint()
  refused([...forged.entries, ...rest.entries.slice(2)], "JOURNAL_CHECKPOINT")
})

// What only a head from elsewhere shows.

test("accepts a journal that leads to each of its heads", () => {
  const heads = entries.flatMap((entry) => (entry.kind === "checkpoint" ? [entry.compact] : []))
  assert.is(verifyJournal(entries, checkBy({ heads })).records, 12)
})

test("refuses a tail cut off at a checkpoint only against a head", () => {
  const cut = entries.slice(0, 10)
  assert.is(verifyJournal(cut, checkBy()).chains[0]?.covered, 8)
  assert.is(refused(cut, "JOURNAL_HEAD", { heads: [chain.last()] }).location, `${WRITER} 12`)
})

const cuts: [name: string, parts: readonly JournalEntry[]][] = [
  ["one record", entries.slice(0, -2)],
  ["all records after the first checkpoint", entries.slice(0, 5)],
  ["every record", []],
  ["a whole writer", chainBuilder(signer, { writer: "c3d4.0" }).add().checkpoint().entries],
]
for (const [name, parts] of cuts)
  test(`refuses a journal with ${name} cut off, against a head`, () => {
    verifyJournal(parts, checkBy())
    refused(parts, "JOURNAL_HEAD", { heads: [chain.last()] })
  })

test("refuses a chain written anew, with its checkpoints by the same key, against a head from before", () => {
  const anew = chainBuilder(signer)
  for (let n = 1; n <= 12; n += 1) {
    anew.add(n === 6 ? { outcome: "affirming", codes: [] } : {})
    if (n % 4 === 0) anew.checkpoint()
  }
  verifyJournal(anew.entries, checkBy())
  assert.is(refused(anew.entries, "JOURNAL_HEAD", { heads: [chain.last()] }).location, `${WRITER} 12`)
})

test("refuses records written anew below a checkpoint that stayed", () => {
  const anew = chainBuilder(signer).add().add().add({ outcome: "contraindicated" }).add()
  assert.is(refused([...anew.entries, ...entries.slice(4)], "JOURNAL_CHECKPOINT").location, `${WRITER} 4`)
})

const wrongHeads: [name: string, head: string][] = [
  ["by another key", lastSaying({}, testSigner()).last()],
  ["of another tenant", lastSaying({ chain: { tenant: "other", writer: WRITER } }).last()],
  ["of another issuer", lastSaying({ issuer: "https://other.example" }).last()],
  ["that is none", "head"],
]
for (const [name, head] of wrongHeads)
  test(`refuses a head ${name}`, () => void refused(entries, "JOURNAL_CHECKPOINT", { heads: [head] }))

// Beginnings.

const pruned = (): ChainBuilder => {
  const builder = chainBuilder(signer)
  for (let n = 1; n <= 8; n += 1) {
    builder.add()
    if (n % 4 === 0) builder.checkpoint()
  }
  builder.prune(0)
  return builder
}

test("accepts a journal whose older records were removed, and that says so", () => {
  const builder = pruned()
  builder.tell(builder).checkpoint()
  assert.equal(
    verifyJournal(builder.entries, checkBy()).chains.map(({ first, last, covered }) => [
      first,
      last,
      covered,
    ]),
    [[5, 9, 9]],
  )
})

test("accepts a journal of which a writer has nothing left, if the journal says so", () => {
  const gone = chainBuilder(signer, { writer: "c3d4.0" }).add().checkpoint().prune(0)
  const builder = pruned()
  builder.tell(gone, builder).checkpoint()
  const { chains } = verifyJournal([...gone.entries, ...builder.entries], checkBy())
  assert.equal(
    chains.map(({ first, last }) => [first, last]),
    [
      [2, 1],
      [5, 9],
    ],
  )
})

const beginnings: [name: string, parts: () => readonly JournalEntry[]][] = [
  ["that no record tells of", () => pruned().add().checkpoint().entries],
  [
    "that a record tells of otherwise",
    () => {
      const builder = pruned()
      const other = chainBuilder(signer, { writer: "c3d4.0" }).add().checkpoint().prune(0)
      return builder.tell(other).checkpoint().entries
    },
  ],
  [
    "that only a record tells of which no checkpoint vouches for",
    () => {
      const builder = pruned()
      return builder.tell(builder).entries
    },
  ],
  [
    "further on than the journal tells",
    () => {
      const builder = pruned()
      builder.tell(builder).checkpoint().add().checkpoint()
      return builder.prune(1).entries
    },
  ],
  [
    "of a writer whom the journal does not tell of",
    () => {
      const builder = pruned()
      builder.tell(builder).checkpoint()
      const gone = chainBuilder(signer, { writer: "c3d4.0" }).add().checkpoint().prune(0)
      return [...gone.entries, ...builder.entries]
    },
  ],
]
for (const [name, parts] of beginnings)
  test(`refuses a beginning ${name}`, () => void refused(parts(), "JOURNAL_CHAIN"))

test("compares heads with the checkpoint that a chain begins with, and refuses those before it", () => {
  const builder = pruned()
  const [anchor] = builder.entries
  const heads = anchor?.kind === "checkpoint" ? [anchor.compact] : []
  builder.tell(builder).checkpoint()
  assert.is(verifyJournal(builder.entries, checkBy({ heads })).records, 5)
  const before = chainBuilder(signer).add().checkpoint()
  refused(builder.entries, "JOURNAL_HEAD", { heads: [before.last()] })
  const other = chainBuilder(signer).add().add().add().add({ outcome: "none" }).checkpoint()
  refused(builder.entries, "JOURNAL_HEAD", { heads: [other.last()] })
})

// Whatever is done to it.

const mutations: ((parts: JournalEntry[], at: number, to: number) => void)[] = [
  (parts, at) => void parts.splice(at, 1),
  (parts, at, to) => void parts.splice(to, 0, ...parts.slice(at, at + 1)),
  (parts, at, to) => void parts.splice(to, 0, ...parts.splice(at, 1)),
  (parts, at, to) => {
    const [a, b] = [parts[at], parts[to]]
    if (a?.kind !== "record" || b?.kind !== "record") return
    parts[at] = { ...a, content: { ...a.content, device: `${b.content.device}x` } }
  },
  (parts, at, to) => {
    const [a, b] = [parts[at], parts[to]]
    if (a?.kind === "record" && b?.kind === "record") parts[at] = { ...a, hash: b.hash }
  },
  (parts, at) => {
    const one = parts[at]
    if (one?.kind === "checkpoint") parts[at] = { ...one, compact: one.compact.replace(/.$/, "") }
  },
]
test("refuses whatever changes a journal, given its head", () => {
  const heads = [chain.last()]
  const places = fc.nat(entries.length - 1)
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(mutations.length - 1), places, places), { minLength: 1, maxLength: 3 }),
      (steps) => {
        const parts = [...entries]
        for (const [which, at, to] of steps) mutations[which]?.(parts, at, to)
        const isSame = parts.length === entries.length && parts.every((part, i) => same(part, entries[i]))
        // Checkpoints may be missing at the end: what they were about is there all the same, and the head says so.
        const isCovered = isSame || onlyLacksLast(parts)
        try {
          verifyJournal(parts, checkBy({ heads }))
          assert.ok(isCovered, "accepted")
        } catch (error) {
          if (!(error instanceof AssayError)) throw error
          assert.ok(!isSame, error.message)
        }
      },
    ),
    { numRuns: 500 },
  )
})
const same = (a: JournalEntry | undefined, b: JournalEntry | undefined): boolean =>
  a === b || JSON.stringify(a) === JSON.stringify(b)
const onlyLacksLast = (parts: readonly JournalEntry[]): boolean => {
  const rest = [...entries]
  for (let i = 0; i < rest.length; ) {
    if (same(rest[i], parts[i])) i += 1
    else if (rest[i]?.kind === "checkpoint") rest.splice(i, 1)
    else return false
  }
  const kept = parts.filter(({ kind }) => kind === "checkpoint").length
  const first = entries.filter(({ kind }) => kind === "checkpoint").slice(0, kept)
  return (
    rest.length === parts.length && first.every((checkpoint) => parts.some((part) => same(part, checkpoint)))
  )
}

test.run()
