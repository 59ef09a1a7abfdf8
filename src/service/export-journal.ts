import { AssayError } from "../errors.ts"
import type { JournalEntry } from "../verification/journal/verify.ts"
import type { CheckpointJournal } from "./checkpoint-journal.ts"
import type { JournalHeader } from "./journal-json.ts"
import type { Caller, Clock, JournalArchive, KeptChain, KeptCheckpoint, Meter, Signer } from "./ports.ts"

/** A part of an exported journal: what it is, first, and then what it has. */
export type ExportedPart =
  | { readonly kind: "header"; readonly header: JournalHeader; readonly jwks: PublicJwks }
  | { readonly kind: "entries"; readonly entries: readonly JournalEntry[] }

/** The keys that checkpoints are verified by, as they are published. */
export type PublicJwks = ReturnType<Signer["publicJwks"]>

/** How much is read and sent at a time. */
const RECORDS_AT_ONCE = 500
const CHECKPOINTS_AT_ONCE = 100

/**
 * The whole journal of the caller's tenant as it can be verified: checkpoints are made first, and every record up to them
 * follows. What is written meanwhile is left out.
 *
 * @throws {AssayError} SIGNER, JOURNAL; SNAPSHOT_MOVED if records were removed meanwhile.
 */
export const createExportJournal = ({
  archive,
  clock,
  meter,
  settings,
  signer,
  checkpoint,
}: {
  readonly archive: JournalArchive
  readonly meter: Meter
  readonly clock: Clock
  readonly settings: { readonly issuer: string }
  readonly signer: Signer
  readonly checkpoint: CheckpointJournal
}) =>
  async function* exportJournal(caller: Caller): AsyncGenerator<ExportedPart> {
    const { tenant } = caller
    const read: Read = (act) => meter.run(caller, act)
    await checkpoint(tenant)
    const chains = await archive.chains(tenant)
    const header = { tenant, issuer: settings.issuer, exportedAt: clock.now() }
    yield { kind: "header", header, jwks: signer.publicJwks() }
    for (const chain of chains)
      for await (const entries of entriesOf(archive, read, tenant, chain)) yield { kind: "entries", entries }
  }

/** Runs what may take long. */
type Read = <T>(act: () => T) => T

/** One chain, up to its latest checkpoint. */
async function* entriesOf(
  archive: JournalArchive,
  read: Read,
  tenant: string,
  { writer, anchor, checkpoint: last }: KeptChain,
): AsyncGenerator<readonly JournalEntry[]> {
  if (last === undefined) return
  if (anchor !== undefined) yield [entryOf(anchor)]
  let sequence = anchor?.sequence ?? 0
  for (let number = anchor?.number ?? 0; number < last.number; ) {
    const checkpoints = await read(() => archive.checkpoints(tenant, writer, number, CHECKPOINTS_AT_ONCE))
    if (checkpoints[0]?.number !== number + 1) throw moved()
    for (const checkpoint of checkpoints) {
      if (checkpoint.number > last.number) return
      while (sequence < checkpoint.sequence) {
        const after = sequence
        const most = Math.min(RECORDS_AT_ONCE, checkpoint.sequence - after)
        const records = await read(() => archive.records(tenant, writer, after, most))
        if (records[0]?.sequence !== sequence + 1) throw moved()
        yield records.map((record) => ({ kind: "record", ...record }))
        sequence += records.length
      }
      yield [entryOf(checkpoint)]
      number = checkpoint.number
    }
  }
}

const entryOf = ({ compact }: KeptCheckpoint): JournalEntry => ({ kind: "checkpoint", compact })

const moved = (): AssayError =>
  new AssayError("SNAPSHOT_MOVED", "older records were removed while the journal was read: export it again")
