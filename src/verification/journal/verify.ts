import { sameBytes, toHex } from "../../bytes.ts"
import { AssayError } from "../../errors.ts"
import { type Verified, vouch } from "../verified.ts"
import { type Anchor, anchorsDigest } from "./anchors.ts"
import { CHAIN_START, type ChainHead, nextHead } from "./chain.ts"
import { checkpointDigest, type ReadCheckpoint } from "./checkpoint.ts"
import { createHeads, type JournalCheck, readOurs } from "./heads.ts"
import type { RecordContent } from "./record.ts"
import { refusalAt } from "./refusal.ts"

/** A record as it is kept: where it stands, what it says, and the hash of its chain up to it. */
export interface ChainedRecord extends ChainHead {
  readonly writer: string
  readonly content: RecordContent
}

/** One part of a journal: each chain's parts in their order, a checkpoint right after the record that it is about. */
export type JournalEntry =
  | ({ readonly kind: "record" } & ChainedRecord)
  | { readonly kind: "checkpoint"; readonly compact: string }

/** One chain that holds. */
export interface VerifiedChain {
  readonly writer: string
  /** The first record that is there: 1 unless older ones were removed. */
  readonly first: number
  /** The last one; one less than `first` if there is none. */
  readonly last: number
  /** Hash of the last. */
  readonly hash: Uint8Array
  /** How far a checkpoint vouches for it, by a key that is known; 0 for not at all. */
  readonly covered: number
}

/** A journal that holds. */
export interface VerifiedJournal {
  readonly records: number
  readonly checkpoints: number
  readonly chains: readonly VerifiedChain[]
}

/** Verifies a journal part by part, in memory that depends on the number of writers alone. */
export interface JournalVerifier {
  /**
   * @throws {AssayError} JOURNAL_CHAIN for a record that was changed, removed, inserted or moved; JOURNAL_CHECKPOINT for
   *   a checkpoint that is forged, foreign, replayed or of another chain; JOURNAL_HEAD where a head says otherwise.
   */
  take(entry: JournalEntry): void
  /**
   * @throws {AssayError} JOURNAL_HEAD for records that a head knows and the journal does not have; JOURNAL_CHECKPOINT for
   *   a checkpoint by an unknown key that no later one vouches for; JOURNAL_CHAIN for a beginning that nobody removed.
   */
  end(): Verified<VerifiedJournal>
}

interface Chain {
  readonly first: number
  readonly anchor: string | undefined
  head: ChainHead
  /** The last checkpoint. */
  checkpoint: { readonly digest: Uint8Array; readonly sequence: number } | undefined
  /** The first checkpoint that nobody vouches for yet. */
  unvouched: number | undefined
  covered: number
  /** The last record that says where the journal begins. */
  pruned: { readonly sequence: number; readonly digest: Uint8Array } | undefined
}

/** More replicas than anybody runs, each restored often. */
const WRITERS_MAX = 100_000

/** The act of a record that says from where on the chains are kept. */
const PRUNE_ACT = "prune-journal"

/** @throws {AssayError} JOURNAL_CHECKPOINT for a head that is forged, or of another tenant or issuer. */
export const createJournalVerifier = (check: JournalCheck): JournalVerifier => {
  const chains = new Map<string, Chain>()
  const heads = createHeads(check)
  let records = 0
  let checkpoints = 0

  const opened = (writer: string, chain: () => Chain): Chain => {
    const found = chains.get(writer) ?? chain()
    chains.set(writer, found)
    if (chains.size > WRITERS_MAX)
      throw new AssayError("LENGTH", "more writers than a journal has", { expected: `${WRITERS_MAX}` })
    return found
  }

  const takeRecord = ({ writer, sequence, hash, content }: ChainedRecord): void => {
    const chain = opened(writer, () => newChain(CHAIN_START, undefined))
    const next = computed(check.tenant, writer, chain.head, content)
    if (sequence !== next.sequence)
      throw refusalAt("JOURNAL_CHAIN", writer, sequence, "is not the next one of its chain", {
        expected: `record ${next.sequence}`,
      })
    if (!sameBytes(hash, next.hash))
      throw refusalAt("JOURNAL_CHAIN", writer, sequence, "and the chain before it do not lead to its hash", {
        expected: toHex(next.hash),
        actual: toHex(hash),
      })
    chain.head = next
    if (content.act === PRUNE_ACT) chain.pruned = { sequence, digest: content.evidenceDigest }
    records += 1
    heads.compare(writer, chain.head)
  }

  const takeCheckpoint = (compact: string): void => {
    const found = readOurs(compact, check)
    const { writer } = found.chain
    const isAnchor = !chains.has(writer)
    const chain = opened(writer, () => newChain(found.head, compact))
    if (isAnchor) heads.compare(writer, chain.head)
    else checkFits(found, chain)
    chain.checkpoint = { digest: checkpointDigest(compact), sequence: found.head.sequence }
    if (found.signed) {
      chain.covered = found.head.sequence
      chain.unvouched = undefined
    } else chain.unvouched ??= found.head.sequence
    checkpoints += 1
  }

  return {
    take: (entry) => {
      switch (entry.kind) {
        case "record":
          return takeRecord(entry)
        case "checkpoint":
          return takeCheckpoint(entry.compact)
      }
    },
    end: () => {
      heads.checkReached(chains)
      for (const [writer, { unvouched }] of chains)
        if (unvouched !== undefined)
          throw refusalAt(
            "JOURNAL_CHECKPOINT",
            writer,
            unvouched,
            "has a checkpoint by a key that is not known",
            {
              expected: "a key of the key set, or a later checkpoint by one",
            },
          )
      checkBeginnings(check.tenant, chains)
      return vouch({ records, checkpoints, chains: [...chains].map(verifiedChain) })
    },
  }
}

/** As `createJournalVerifier`, for all parts at once. */
export const verifyJournal = (
  entries: Iterable<JournalEntry>,
  check: JournalCheck,
): Verified<VerifiedJournal> => {
  const verifier = createJournalVerifier(check)
  for (const entry of entries) verifier.take(entry)
  return verifier.end()
}

const newChain = (head: ChainHead, anchor: string | undefined): Chain => ({
  first: head.sequence + 1,
  anchor,
  head,
  checkpoint: undefined,
  unvouched: undefined,
  covered: 0,
  pruned: undefined,
})

const verifiedChain = ([writer, { first, head, covered }]: [string, Chain]): VerifiedChain => ({
  writer,
  first,
  last: head.sequence,
  hash: head.hash,
  covered,
})

/** That a checkpoint is about exactly this head, and the next after the one before. */
const checkFits = (found: ReadCheckpoint, { first, head, checkpoint }: Chain): void => {
  const refusal = (what: string, expected: number | string, actual: number | string): AssayError =>
    refusalAt("JOURNAL_CHECKPOINT", found.chain.writer, found.head.sequence, `has a checkpoint ${what}`, {
      expected: String(expected),
      actual: String(actual),
    })
  if (found.head.sequence !== head.sequence)
    throw refusal("in another place", head.sequence, found.head.sequence)
  if (!sameBytes(found.head.hash, head.hash))
    throw refusal("over another chain", toHex(head.hash), toHex(found.head.hash))
  const before = checkpoint?.digest
  const fits = before === undefined ? found.previous === undefined : isSame(found.previous, before)
  if (!fits) throw refusal("that does not follow the one before it", hexOr(before), hexOr(found.previous))
  const count = head.sequence - (checkpoint?.sequence ?? first - 1)
  if (found.count !== count) throw refusal("over another number of records", count, found.count)
}

const isSame = (a: Uint8Array | undefined, b: Uint8Array): boolean => a !== undefined && sameBytes(a, b)

const hexOr = (digest: Uint8Array | undefined): string => (digest === undefined ? "none" : toHex(digest))

/**
 * That older records were removed by whoever may: a record that a checkpoint vouches for names every chain's beginning.
 * Each removal writes one for all chains, so that it is the last of its kind in the chain that it stands in.
 */
const checkBeginnings = (tenant: string, chains: ReadonlyMap<string, Chain>): void => {
  const anchors: Anchor[] = []
  for (const [writer, { anchor: compact }] of chains)
    if (compact !== undefined) anchors.push({ writer, compact })
  const [one] = anchors
  if (one === undefined) return
  const digest = anchorsDigest(tenant, anchors)
  for (const { pruned, covered } of chains.values())
    if (pruned !== undefined && pruned.sequence <= covered && sameBytes(pruned.digest, digest)) return
  const first = chains.get(one.writer)?.first ?? 0
  throw refusalAt(
    "JOURNAL_CHAIN",
    one.writer,
    first,
    "is the first, and no record tells that older ones were removed",
    {
      expected: `a record of ${PRUNE_ACT} that names where each chain begins`,
    },
  )
}

const computed = (tenant: string, writer: string, before: ChainHead, content: RecordContent): ChainHead => {
  try {
    return nextHead({ tenant, writer }, before, content)
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error
    throw refusalAt("JOURNAL_CHAIN", writer, before.sequence + 1, `cannot be a record: ${error.message}`)
  }
}
