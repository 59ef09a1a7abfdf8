import type { Logger } from "pino"
import type { AssayError } from "../errors.ts"
import type { DeniedKeys } from "../verification/weak-key.ts"
import { type Credential, checkCredentials, createKnowCaller, type KnowCaller } from "./caller.ts"
import { type CertificateFiles, pemOf, watchCertificateRules } from "./certificate-rules.ts"
import { createKnowHolder, type DeviceAuthority } from "./certificates.ts"

/** By what a server's callers are known. */
export interface IdentityConfig {
  readonly credentials: readonly Credential[]
  /** Whether callers on this machine without a credential are served, known by their connection alone. */
  readonly anonymous: boolean
  /** Rules about client certificates, for listeners with TLS. */
  readonly clientCertificates?: readonly CertificateFiles[]
  readonly deviceAuthority?: DeviceAuthority
  /** Keys that nobody is trusted by. */
  readonly denied?: DeniedKeys
  readonly now?: () => Date
}

/** Who callers are, by files that are read again when they change. */
export interface Identities {
  readonly knowCaller: KnowCaller
  /** PEM of the CAs whose certificates clients may show. */
  readonly authorities: () => readonly string[]
  /** Why files are not used as they are now. */
  unready(): readonly string[]
  /** Looks at all files now. */
  look(): Promise<void>
  close(): void
}

/** How files that operators replace are looked at, and who is told. */
export interface Watching {
  readonly changed: () => void
  readonly alarm: (error: AssayError | undefined) => void
  readonly intervalMs?: number
}

/** Says in the log what becomes of replaced files. */
export const watching = (log: Logger, changed: () => void, intervalMs: number | undefined): Watching => ({
  changed: () => {
    log.info("took changed certificates")
    changed()
  },
  alarm: (error) => {
    if (error === undefined) log.info("changed certificates can be used again")
    else log.error({ err: error }, "changed certificates cannot be used: those before them still are")
  },
  ...(intervalMs !== undefined && { intervalMs }),
})

const NONE_DENIED: DeniedKeys = { size: 0, find: () => undefined }

/**
 * Reads everything that callers are known by.
 *
 * @throws {AssayError} INPUT for a credential or a file that is not usable; whatever the parsers throw.
 */
export function openIdentities(config: IdentityConfig, watch: Watching): Identities {
  const { credentials, anonymous, deviceAuthority } = config
  checkCredentials(credentials)
  const certificates = watchCertificateRules(config.clientCertificates ?? [], watch)
  const holderOf = createKnowHolder({
    rules: certificates.rules,
    devices: deviceAuthority,
    denied: config.denied ?? NONE_DENIED,
    now: config.now ?? (() => new Date()),
  })
  return {
    ...certificates,
    knowCaller: createKnowCaller({ credentials, anonymous, holderOf }),
    authorities: () => [
      ...certificates.rules().flatMap(({ authorities }) => authorities.map(({ bytes }) => pemOf(bytes))),
      ...(deviceAuthority?.certificates() ?? []).map(pemOf),
    ],
  }
}
