import { AssayError } from "../errors.ts"
import { anchorsDigest } from "../verification/journal/anchors.ts"
import type { CheckpointJournal } from "./checkpoint-journal.ts"
import type { Anchors, Breathe, Caller, Clock, JournalArchive, KeptChain, KeptCheckpoint } from "./ports.ts"

/** What was removed. */
export interface PrunedJournal {
  readonly records: number
  readonly chains: number
}

/** How many records one transaction removes: others wait for it. */
const SWEPT_AT_ONCE = 1000

/**
 * Removes the records of the caller's tenant that are older than `before`, in whole segments: each chain begins with the last
 * checkpoint up to which every record is older. The journal has a record of it, under a checkpoint of its own, that names
 * all beginnings; without it the rest does not verify.
 *
 * @throws {AssayError} FIELD for an instant to come; SNAPSHOT_MOVED if somebody else was removing records; SIGNER, JOURNAL.
 *   After SIGNER the records are removed all the same, and the next checkpoint covers the record of it.
 */
export const createPruneJournal =
  ({
    archive,
    clock,
    breathe,
    checkpoint,
  }: {
    readonly archive: JournalArchive
    readonly clock: Clock
    readonly breathe: Breathe
    readonly checkpoint: CheckpointJournal
  }) =>
  async (before: Date, { tenant, id: caller }: Caller): Promise<PrunedJournal> => {
    const at = clock.now()
    if (before > at)
      throw new AssayError("FIELD", "before: what has not happened yet cannot be removed", {
        location: "before",
        expected: `${at.toISOString()} or earlier`,
        actual: before.toISOString(),
      })
    const chains = await archive.chains(tenant)
    const beginnings = await Promise.all(
      chains.map(async (chain) => ({
        chain,
        anchor: laterOf(chain.anchor, await archive.checkpointBefore(tenant, chain.writer, before)),
      })),
    )
    const moved = beginnings.filter(({ chain, anchor }) => anchor !== chain.anchor)
    const anchored = beginnings.flatMap(({ chain: { writer }, anchor }) =>
      anchor === undefined ? [] : [{ writer, number: anchor.number, compact: anchor.compact }],
    )
    if (moved.length > 0) {
      await archive.begin(tenant, anchorsOf(chains), anchored, {
        at,
        tenant,
        caller,
        act: "prune-journal",
        device: "",
        outcome: "done",
        codes: [],
        evidenceDigest: anchorsDigest(tenant, anchored),
        policyDigest: undefined,
        revisions: undefined,
        tokenId: undefined,
      })
      await checkpoint(tenant)
    }
    // Also what is left of a removal that was interrupted.
    while ((await archive.sweep(tenant, SWEPT_AT_ONCE)) > 0) await breathe()
    const records = moved.reduce(
      (sum, { chain, anchor }) => sum + (anchor?.sequence ?? 0) - (chain.anchor?.sequence ?? 0),
      0,
    )
    return { records, chains: moved.length }
  }

/** A later one is never given up for an earlier one. */
const laterOf = (
  current: KeptCheckpoint | undefined,
  found: KeptCheckpoint | undefined,
): KeptCheckpoint | undefined =>
  found !== undefined && found.sequence > (current?.sequence ?? 0) ? found : current

const anchorsOf = (chains: readonly KeptChain[]): Anchors =>
  chains.flatMap(({ writer, anchor }) => (anchor === undefined ? [] : [{ writer, number: anchor.number }]))
