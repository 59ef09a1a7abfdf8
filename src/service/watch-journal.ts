import type { Caller, JournalArchive, KeptRecord, Meter, Pause, RecordFilter } from "./ports.ts"

/** How long a record may wait to be seen. */
const INTERVAL_MS = 500
const RECORDS_AT_ONCE = 500

/**
 * Records of the caller's tenant that are written from now on, by whichever replica; those of one chain in their order. The
 * first turn has none, and says from when on; a later one without any is there for who hands them on to have the next look
 * wait: it comes before each, and after each page of which nothing is wanted.
 *
 * @throws {AssayError} JOURNAL.
 */
export const createWatchJournal = ({
  archive,
  meter,
  pause,
}: {
  readonly archive: JournalArchive
  readonly meter: Meter
  readonly pause: Pause
}) =>
  async function* watchJournal(
    filter: RecordFilter,
    caller: Caller,
    signal: AbortSignal,
  ): AsyncGenerator<readonly KeptRecord[]> {
    const { tenant } = caller
    const seen = new Map<string, number>()
    for (const { writer, head } of await archive.chains(tenant)) seen.set(writer, head.sequence)
    yield []
    while (!signal.aborted) {
      for (const { writer, head } of await archive.chains(tenant)) {
        let after = seen.get(writer) ?? 0
        while (after < head.sequence && !signal.aborted) {
          const from = after
          const records = await meter.run(caller, () =>
            archive.records(tenant, writer, from, RECORDS_AT_ONCE),
          )
          // What is not there any more was removed meanwhile.
          after = records.at(-1)?.sequence ?? head.sequence
          yield records.filter(({ content }) => isWanted(content, filter))
        }
        seen.set(writer, after)
      }
      await pause(INTERVAL_MS, signal)
      if (!signal.aborted) yield []
    }
  }

const isWanted = (
  { device, act, at }: KeptRecord["content"],
  { device: wanted, act: verb, since, until }: RecordFilter,
): boolean =>
  (wanted === undefined || device === wanted) &&
  (verb === undefined || act === verb) &&
  (since === undefined || at >= since) &&
  (until === undefined || at < until)
