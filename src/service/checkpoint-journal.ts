import { fromBase64Url } from "../bytes.ts"
import { parseCanonicalJson } from "../evidence/json.ts"
import { encodeCheckpoint } from "../result/checkpoint.ts"
import { seconds } from "../result/token.ts"
import { checkpointDigest } from "../verification/journal/checkpoint.ts"
import type { KeptChain, KeptCheckpoint, Ports } from "./ports.ts"

/** When a chain's next checkpoint is due. */
export interface CheckpointDue {
  /** After so many records. */
  readonly records: number
  /** After so long, if there is any record. */
  readonly ms: number
}

/**
 * Makes the checkpoints of a tenant's chains that are due, whichever replica wrote the records; without `due`, of every chain
 * whose last record none is about yet. A chain also gets one when the key is another than that of its last one, so that
 * the published keys are enough to verify all of it.
 *
 * @returns How many were made. One that another replica was faster with is not counted, and not missed.
 * @throws {AssayError} SIGNER, JOURNAL.
 */
export type CheckpointJournal = (tenant: string, due?: CheckpointDue) => Promise<number>

/** What checkpoints are made with. */
export interface CheckpointParts extends Pick<Ports, "archive" | "clock" | "signer"> {
  readonly settings: { readonly issuer: string }
}

const AT_ONCE: CheckpointDue = { records: 1, ms: 0 }

export const createCheckpointJournal =
  ({ archive, clock, signer, settings }: CheckpointParts): CheckpointJournal =>
  async (tenant, due = AT_ONCE) => {
    let made = 0
    for (const chain of await archive.chains(tenant)) {
      const at = clock.now()
      const count = chain.head.sequence - (chain.checkpoint?.sequence ?? 0)
      if (!isDue(chain, count, due, at, signer.keyId)) continue
      const compact = encodeCheckpoint(
        {
          chain: { tenant, writer: chain.writer },
          head: chain.head,
          previous: chain.checkpoint && checkpointDigest(chain.checkpoint.compact),
          count,
          issuer: settings.issuer,
          issuedAt: seconds(at),
        },
        signer,
      )
      const number = (chain.checkpoint?.number ?? 0) + 1
      const { sequence } = chain.head
      const checkpoint = { number, sequence, compact, at, newestAt: chain.newestAt }
      if (await archive.addCheckpoint(tenant, chain.writer, checkpoint)) made += 1
    }
    return made
  }

const isDue = (
  { checkpoint }: KeptChain,
  count: number,
  due: CheckpointDue,
  now: Date,
  keyId: string,
): boolean => {
  if (checkpoint === undefined) return count > 0
  if (keyIdOf(checkpoint) !== keyId) return true
  // A clock that was set back must not put them off.
  const age = Math.abs(now.getTime() - checkpoint.at.getTime())
  return count > 0 && (count >= due.records || age >= due.ms)
}

/** Which key signed it. It is our own, or altered: then another is made. */
const keyIdOf = ({ compact }: KeptCheckpoint): unknown => {
  const [header = ""] = compact.split(".")
  return parseCanonicalJson(fromBase64Url(header) ?? new Uint8Array())?.["kid"]
}
