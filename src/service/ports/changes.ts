/**
 * Throws unless this replica may decide anything: about a challenge, evidence, an enrollment or an epoch. Whoever decides
 * asks first, and once more before what was decided leaves.
 *
 * @throws {AssayError} CLOCK, REVISION_UNCONFIRMED.
 */
export type Confirm = () => void

/**
 * Administrative changes, as this replica hears of them: each moves its tenant's revision on. Whoever could not ask for the
 * revisions lately may be deciding by what an operator has taken back.
 */
export interface Changes {
  /** @throws {AssayError} REVISION_UNCONFIRMED if the revisions were not heard for 2 seconds. */
  confirmed(): void
  /** The tenant's revision that was heard last; 0 before its first change. It never goes back. */
  latest(tenant: string): number
  /** Calls `heard` with each tenant that was changed and its revision, until the function that it gives is called. */
  subscribe(heard: (tenant: string, revision: number) => void): () => void
  /** Tells this replica and all others that something was changed, so that they need not wait for their next look. */
  announce(): void
}
