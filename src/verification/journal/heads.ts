import { sameBytes, toHex } from "../../bytes.ts"
import type { AssayError } from "../../errors.ts"
import type { ChainHead } from "./chain.ts"
import { type ReadCheckpoint, readCheckpoint, type VerifyJws } from "./checkpoint.ts"
import { refusalAt } from "./refusal.ts"

/** What a journal is verified against. */
export interface JournalCheck {
  readonly tenant: string
  /** Who must have made the checkpoints; anybody with a known key if nothing is said. */
  readonly issuer: string | undefined
  readonly verify: VerifyJws
  /** Checkpoints from elsewhere that the journal has to lead to: what was cut off or rewritten since is found by them. */
  readonly heads: readonly string[]
}

/** The heads that a journal has to lead to. */
export interface Heads {
  /** @throws {AssayError} JOURNAL_HEAD if there is a head of this very record, and it is another. */
  compare(writer: string, head: ChainHead): void
  /** @throws {AssayError} JOURNAL_HEAD if a chain does not have the record of a head. */
  checkReached(chains: ReadonlyMap<string, { readonly first: number; readonly head: ChainHead }>): void
}

/** @throws {AssayError} JOURNAL_CHECKPOINT for a head that is forged, or of another tenant or issuer. */
export const createHeads = (check: JournalCheck): Heads => {
  const heads = readHeads(check)
  return {
    compare: (writer, { sequence, hash }) => {
      for (const expected of heads.get(writer) ?? [])
        if (expected.sequence === sequence && !sameBytes(expected.hash, hash))
          throw refusalAt("JOURNAL_HEAD", writer, sequence, "is not the one that the head was made over", {
            expected: toHex(expected.hash),
            actual: toHex(hash),
          })
    },
    checkReached: (chains) => {
      for (const [writer, expected] of heads)
        for (const { sequence } of expected) {
          const chain = chains.get(writer)
          if (chain === undefined || chain.head.sequence < sequence)
            throw refusalAt("JOURNAL_HEAD", writer, sequence, "is gone: the journal was cut off before it", {
              actual: chain === undefined ? "no record" : `record ${chain.head.sequence}`,
            })
          // Whoever has the key could have written anew what an older head is about, and removed it.
          if (sequence < chain.first - 1)
            throw refusalAt("JOURNAL_HEAD", writer, sequence, "is gone: the journal begins after it", {
              actual: `record ${chain.first}`,
            })
        }
    },
  }
}

const readHeads = (check: JournalCheck): ReadonlyMap<string, readonly ChainHead[]> => {
  const heads = new Map<string, ChainHead[]>()
  for (const compact of check.heads) {
    const { chain, head, signed } = readOurs(compact, check)
    if (!signed)
      throw refusalAt(
        "JOURNAL_CHECKPOINT",
        chain.writer,
        head.sequence,
        "has a head by a key that is not known",
        {
          expected: "a key of the key set",
        },
      )
    heads.set(chain.writer, [...(heads.get(chain.writer) ?? []), head])
  }
  return heads
}

/**
 * Reads a checkpoint of this tenant and issuer.
 *
 * @throws {AssayError} JOURNAL_CHECKPOINT.
 */
export const readOurs = (compact: string, { tenant, issuer, verify }: JournalCheck): ReadCheckpoint => {
  const checkpoint = readCheckpoint(compact, verify)
  const { chain, head } = checkpoint
  const differs = (what: string, expected: string, actual: string): AssayError =>
    refusalAt("JOURNAL_CHECKPOINT", chain.writer, head.sequence, `has a checkpoint of another ${what}`, {
      expected,
      actual,
    })
  if (chain.tenant !== tenant) throw differs("tenant", tenant, chain.tenant)
  if (issuer !== undefined && checkpoint.issuer !== issuer) throw differs("issuer", issuer, checkpoint.issuer)
  return checkpoint
}
