import { AssayError, type Code } from "../errors.ts"
import type { Answer, Ask, Dialect, Work } from "./statement.ts"

/**
 * What SQLite and PostgreSQL look like to everything else. Errors are as the engine made them: `storeError` says how they
 * leave the store.
 */
export interface Database {
  readonly dialect: Dialect
  /** Asks one that only reads. It sees everything that was committed before, and all or nothing of what is later. */
  ask(one: Ask): Promise<Answer>
  /** Does work that only reads, all of it on one state of the database. */
  read<T>(work: () => Work<T>): Promise<T>
  /**
   * Does work in one transaction: all of it is durable when this resolves, and whatever the work throws undoes it. The work
   * may be done over from its start if another transaction was in its way.
   *
   * @param options.ahead Whether it need not wait for others that write. One such is under way at a time.
   * @throws {CommitUnknown} if it may have been committed, and may have not.
   */
  write<T>(work: () => Work<T>, options?: { readonly ahead?: boolean }): Promise<T>
  /** Why it cannot be asked; nothing while it can. For readiness. */
  unready(): Promise<string | undefined>
  /** Ends it. Whatever is asked afterwards fails. */
  close(): Promise<void>
}

/** The connection was lost between the word to commit and the answer to it. */
export class CommitUnknown extends Error {
  override readonly name = "CommitUnknown"
}

const MESSAGE = {
  REGISTRY: "the registry cannot be read or written",
  JOURNAL: "the journal cannot be read or written",
} as const satisfies Partial<Record<Code, string>>

/** `cause` as it may leave the store: as it is if it is an answer, else as REGISTRY or JOURNAL that keeps it. */
export const storeError = (code: keyof typeof MESSAGE, cause: unknown): AssayError =>
  cause instanceof AssayError ? cause : new AssayError(code, MESSAGE[code], { cause })

/** What `act` gives; whatever it throws leaves as an answer or as REGISTRY. */
export const guard = async <T>(act: () => Promise<T>): Promise<T> => {
  try {
    return await act()
  } catch (cause) {
    throw storeError("REGISTRY", cause)
  }
}

/** SQLITE_CONSTRAINT_PRIMARYKEY and SQLITE_CONSTRAINT_UNIQUE. */
const SQLITE_DUPLICATE: readonly unknown[] = [1555, 2067]
/** unique_violation. */
const POSTGRES_DUPLICATE = "23505"

/** Whether a statement failed because a row that must be the only one of its kind is not. */
export const isDuplicate = (error: unknown): boolean =>
  error instanceof Error &&
  (("errcode" in error && SQLITE_DUPLICATE.includes(error.errcode)) ||
    ("code" in error && error.code === POSTGRES_DUPLICATE))
