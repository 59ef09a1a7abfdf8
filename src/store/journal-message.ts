/** What goes between the main thread and the one that writes the journal. Everything survives a structured clone. */
import { AssayError, type Code } from "../errors.ts"
import type { GroupEntry } from "./journal-commit.ts"

/** What the thread is started with. */
export interface ThreadStart {
  readonly path: string
  /** The writer's name, see `createChainWriter`. */
  readonly writer: string
}

/** A group to write. */
export interface GroupMessage {
  readonly group: readonly GroupEntry[]
}

/** A refusal without its class, which a clone would lose. */
export interface RefusalMessage {
  readonly code: Code
  readonly message: string
  readonly location: string | undefined
  readonly expected: string | undefined
  readonly actual: string | undefined
  /** What it was made of, as text. */
  readonly cause: string | undefined
}

/** What became of a group, or why all of it was refused. The answers come in order. */
export type ThreadMessage =
  | { readonly kind: "written"; readonly refusals: readonly (RefusalMessage | undefined)[] }
  | { readonly kind: "failed"; readonly reason: string }

/**
 * A group as it may be sent: of bytes that are a view of something larger, all of that would be cloned, and Node's own
 * digests are views of a pool.
 */
export const toMessage = (group: readonly GroupEntry[]): GroupMessage => ({
  group: group.map(({ record, commit }) => {
    const { evidenceDigest, policyDigest } = record
    return {
      record: {
        ...record,
        evidenceDigest: new Uint8Array(evidenceDigest),
        policyDigest: policyDigest && new Uint8Array(policyDigest),
      },
      commit,
    }
  }),
})

/** A refusal as it may be sent. */
export const refusalToMessage = (error: AssayError): RefusalMessage => ({
  code: error.code,
  message: error.message,
  location: error.location,
  expected: error.expected,
  actual: error.actual,
  cause: error.cause === undefined ? undefined : String(error.cause),
})

/** The refusal again. */
export const refusalFromMessage = (message: RefusalMessage): AssayError =>
  new AssayError(message.code, message.message, {
    ...(message.location !== undefined && { location: message.location }),
    ...(message.expected !== undefined && { expected: message.expected }),
    ...(message.actual !== undefined && { actual: message.actual }),
    ...(message.cause !== undefined && { cause: new Error(message.cause) }),
  })
