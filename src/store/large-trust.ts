import type { ImportedTrust, TrustStore } from "../service/ports.ts"
import { type Database, guard } from "./database.ts"
import type { Large } from "./journal-thread.ts"
import type { TrustOptions } from "./trust.ts"
import { selectState, stateFrom } from "./trust-state.ts"

/** Bytes of revocation lists that are read and written by whoever asks: some milliseconds. */
const SMALL_BYTES = 1024 * 1024

/** What a trust store with another thread is made of. */
export interface LargeTrustParts {
  readonly database: Database
  readonly large: Large
  readonly options: TrustOptions
  /** Told when a change is over, however it ended. */
  readonly changed: () => void
}

/** Trust whose long revocation lists are read and written by another thread. */
export const withLargeLists = (
  inner: TrustStore,
  { database, large, options, changed }: LargeTrustParts,
): TrustStore => ({
  ...inner,
  trust: (tenant) =>
    guard(async () => {
      const [row] = (await database.ask(selectState({ tenant }))).rows
      return stateFrom(row).crlBytes > SMALL_BYTES ? large.trust(tenant) : inner.trust(tenant)
    }),
  importTrust: (tenant, parts, act, expectedGeneration): Promise<ImportedTrust> =>
    parts.crls.reduce((sum, { crl }) => sum + crl.length, 0) > SMALL_BYTES
      ? guard(() => large.importTrust({ tenant, parts, act, expectedGeneration, options })).finally(changed)
      : inner.importTrust(tenant, parts, act, expectedGeneration),
})
