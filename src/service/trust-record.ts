import { AssayError } from "../errors.ts"
import type { Caller, Clock, Journal, JournalRecord } from "./ports.ts"

/** A change of trust that the store has made. */
export interface TrustChange {
  readonly act: Extract<
    JournalRecord["act"],
    "import-trust" | "remove-trust" | "dismiss-issuer" | "refresh-trust"
  >
  /** SHA-256 of what was imported, or the id of what was removed. */
  readonly digest: Uint8Array
  /** The generation that it made; nothing if it made none. */
  readonly generation: number | undefined
}

/**
 * Puts a change of trust on record. It has been made by now, and stays made.
 *
 * @throws {AssayError} JOURNAL, which says so.
 */
export async function recordTrust(
  { journal, clock }: { readonly journal: Journal; readonly clock: Clock },
  { tenant, id: caller }: Caller,
  { act, digest, generation }: TrustChange,
): Promise<void> {
  try {
    await journal.append({
      at: clock.now(),
      tenant,
      caller,
      act,
      device: "",
      outcome: "done",
      codes: [],
      evidenceDigest: digest,
      policyDigest: undefined,
      revisions:
        generation === undefined ? undefined : { device: undefined, policy: undefined, trust: generation },
      tokenId: undefined,
    })
  } catch (cause) {
    throw new AssayError("JOURNAL", "the change was made, and the journal could not record it", {
      expected: `a record of ${act}`,
      ...(generation !== undefined && { actual: `generation ${generation} without one` }),
      cause,
    })
  }
}
