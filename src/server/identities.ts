import type { Logger } from "pino"
import type { AssayError } from "../errors.ts"
import { certificatePem } from "../evidence/x509/certificate.ts"
import type { DeniedKeys } from "../verification/weak-key.ts"
import { createKnowBearer } from "./bearer.ts"
import {
  type Credential,
  checkCredentials,
  createKnowCaller,
  type FindEnrollmentToken,
  type KnowCaller,
  type Tries,
} from "./caller.ts"
import { type CertificateFiles, watchCertificateRules } from "./certificate-rules.ts"
import { createKnowHolder, type DeviceAuthority } from "./certificates.ts"
import { type TokenFiles, type WatchedTokenRules, watchTokenRules } from "./token-rules.ts"

/** By what a server's callers are known. */
export interface IdentityConfig {
  readonly credentials: readonly Credential[]
  /** Whether callers on this machine without a credential are served, known by their connection alone. */
  readonly anonymous: boolean
  /** Rules about client certificates, for listeners with TLS. */
  readonly clientCertificates?: readonly CertificateFiles[]
  readonly deviceAuthority?: DeviceAuthority
  /** Rules about tokens of issuers. */
  readonly tokenIssuers?: readonly TokenFiles[]
  /** Finds enrollment tokens; without it there are none. */
  readonly enrollmentToken?: FindEnrollmentToken
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
    log.info("took changed certificates or keys")
    changed()
  },
  alarm: (error) => {
    if (error === undefined) log.info("changed certificates and keys can be used again")
    else log.error({ err: error }, "changed certificates or keys cannot be used: those before them still are")
  },
  ...(intervalMs !== undefined && { intervalMs }),
})

const NONE_DENIED: DeniedKeys = { size: 0, find: () => undefined }

/**
 * Reads everything that callers are known by.
 *
 * @throws {AssayError} INPUT for a credential or a file that is not usable; whatever the parsers throw.
 */
export function openIdentities(config: IdentityConfig, watch: Watching, tries: Tries): Identities {
  const { credentials, anonymous, deviceAuthority } = config
  const now = config.now ?? (() => new Date())
  checkCredentials(credentials)
  const certificates = watchCertificateRules(config.clientCertificates ?? [], watch)
  let tokens: WatchedTokenRules
  try {
    tokens = watchTokenRules(config.tokenIssuers ?? [], watch)
  } catch (error) {
    certificates.close()
    throw error
  }
  const holderOf = createKnowHolder({
    rules: certificates.rules,
    devices: deviceAuthority,
    denied: config.denied ?? NONE_DENIED,
    now,
  })
  return {
    knowCaller: createKnowCaller({
      credentials,
      anonymous,
      holderOf,
      bearerOf: createKnowBearer(tokens.rules, now),
      enrollmentToken: config.enrollmentToken ?? (async () => undefined),
      tries,
    }),
    authorities: () => [
      ...certificates
        .rules()
        .flatMap(({ authorities }) => authorities.map(({ bytes }) => certificatePem(bytes))),
      ...(deviceAuthority?.certificates() ?? []).map(certificatePem),
    ],
    unready: () => [...certificates.unready(), ...tokens.unready()],
    look: async () => void (await Promise.all([certificates.look(), tokens.look()])),
    close: () => {
      certificates.close()
      tokens.close()
    },
  }
}
