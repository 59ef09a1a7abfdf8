import type { ClockInfo } from "../../evidence/tpm/attest.ts"
import type { LastResult } from "./device.ts"
import type { Counters, Revisions } from "./registry.ts"

/** What the journal tells of. */
export const JOURNAL_ACTS = [
  "verify",
  "register-device",
  "set-policy",
  "assign-policy",
  "import-trust",
  "remove-trust",
  "dismiss-issuer",
  "refresh-trust",
  "enroll-device",
  "approve-device",
  "update-device",
  "suspend-device",
  "resume-device",
  "revoke-device",
  "retire-device",
  "delete-device",
  "import-devices",
  "permit-re-enrollment",
  "permit-ak-rotation",
  "permit-board-swap",
  "transfer-device",
  "accept-firmware",
  "create-enrollment-token",
  "revoke-enrollment-token",
  "prune-journal",
  "restore",
] as const

/** What a record tells of. */
export type JournalAct = (typeof JOURNAL_ACTS)[number]

/** The revisions that a record tells of: no device's of a change of trust. */
export interface RecordedRevisions extends Omit<Revisions, "device"> {
  readonly device: number | undefined
}

/** One decision, as the journal keeps it. Never a token, a nonce or a key. */
export interface JournalRecord {
  readonly at: Date
  readonly tenant: string
  readonly caller: string
  readonly act: JournalAct
  readonly device: string
  /** Tier of a verification; "done" of an administrative act. */
  readonly outcome: string
  /** Codes of the findings, the worst first. */
  readonly codes: readonly string[]
  /** SHA-256 of the evidence, or of the document of an administrative act. */
  readonly evidenceDigest: Uint8Array
  readonly policyDigest: Uint8Array | undefined
  /** What a verification was judged under, or what an administrative act made. */
  readonly revisions: RecordedRevisions | undefined
  /** jti of the token that this record lets out. */
  readonly tokenId: string | undefined
}

/** What an administrative act says of itself; the store adds which device and which revisions came of it. */
export interface Act {
  readonly at: Date
  readonly caller: string
  readonly act: JournalAct
  /** SHA-256 of what was asked for, 32 bytes. */
  readonly evidenceDigest: Uint8Array
}

/** What is written together with a record, or not at all. */
export interface Commit {
  readonly device: string
  /** Compared with what is current at commit. */
  readonly revisions: Revisions
  /** The new counters, after evidence that answered a challenge. Never rewinds what is stored. */
  readonly counters: Counters | undefined
  /** What came of evidence that answered a challenge. An earlier one never takes the place of a later. */
  readonly result: (Omit<LastResult, "admittedAt"> & { readonly admitted: boolean }) | undefined
  /** Whether the snapshot had counters to judge the evidence by. */
  readonly known: boolean
  /**
   * What the evidence was judged by, if that may be older than the store: counters of another boot or firmware than the
   * stored ones were nothing to judge by, and neither was another clock, if the evidence lies behind either of them.
   */
  readonly remembered:
    | {
        readonly before: Counters | undefined
        /** What the evidence says of its clock, if it was proven. */
        readonly clock: ClockInfo | undefined
      }
    | undefined
  /** Before this instant the evidence cannot have been made. */
  readonly freshSince: Date
}

/** The record of every decision, durable before its token leaves. */
export interface Journal {
  /**
   * Appends, and writes the commit in the same transaction. Resolves when both are durable.
   *
   * @throws {AssayError} SNAPSHOT_MOVED if a revision is no longer current, or if the device has meanwhile
   *   answered from a later boot; JOURNAL if it cannot be made durable. Then nothing was written.
   */
  append(record: JournalRecord, commit?: Commit): Promise<void>
}
