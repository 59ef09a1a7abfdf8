/** What every TLS listener of Assay is set up with, whoever serves on it. */
import { constants, createPrivateKey, X509Certificate } from "node:crypto"
import { createSecureContext, type SecureContextOptions } from "node:tls"
import { AssayError } from "./errors.ts"
import { type Watched, type WatchOptions, watchFiles } from "./reload.ts"

/**
 * TLS 1.2 with forward secrecy and authenticated encryption, and 1.3. No session is ever resumed and none is
 * renegotiated: who a peer is gets proven in each connection, and does not change within one.
 */
export const TLS: SecureContextOptions = {
  minVersion: "TLSv1.2",
  ciphers: [
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
  ].join(":"),
  honorCipherOrder: true,
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
}

/** How long a peer may take to shake hands. */
export const HANDSHAKE_MS = 10_000

/** A certificate with its key, both in PEM. */
export interface ServerIdentity {
  /** The leaf first, the certificates of its issuers after it. */
  readonly certificate: Buffer
  readonly key: Buffer
  readonly subject: string
  readonly notAfter: Date
}

/** Where a server's certificate and key are. */
export interface ServerFiles {
  readonly certificate: string
  readonly key: string
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/**
 * Reads a server's certificate and key, and sees that they belong together.
 *
 * @throws {AssayError} INPUT for what is no PEM, for a key that is encrypted or of another certificate, for a certificate
 *   that is not valid now, and for what OpenSSL would not serve with.
 */
export function readServerIdentity(
  { certificate: path, key: keyPath }: ServerFiles,
  [certificate, key]: readonly Uint8Array[],
  at: Date,
): ServerIdentity {
  const pem = Buffer.from(certificate ?? [])
  const blocks = pem.toString("latin1").match(BLOCK) ?? []
  // A file that was cut off has a beginning without an end.
  if (blocks.length !== pem.toString("latin1").split("-----BEGIN ").length - 1)
    throw refused(path, "is not PEM of certificates alone, or cut off")
  const [leaf] = blocks.map((block) =>
    attempt(path, "holds no certificate", () => new X509Certificate(block)),
  )
  if (leaf === undefined) throw refused(path, "holds no certificate")
  const keyPem = Buffer.from(key ?? [])
  attempt(keyPath, "holds no private key without a passphrase", () => createPrivateKey(keyPem))
  checkNow(leaf, path, at)
  // OpenSSL says whether the two belong together, and whether it deems them strong enough.
  attempt(path, `cannot be served with the key in ${keyPath}`, () =>
    createSecureContext({ ...TLS, cert: pem, key: keyPem }),
  )
  return { certificate: pem, key: keyPem, subject: leaf.subject, notAfter: leaf.validToDate }
}

function checkNow(leaf: X509Certificate, path: string, at: Date): void {
  if (at < leaf.validFromDate || at > leaf.validToDate)
    throw refused(
      path,
      `is valid from ${leaf.validFromDate.toISOString()} to ${leaf.validToDate.toISOString()}`,
    )
}

function attempt<T>(path: string, flaw: string, act: () => T): T {
  try {
    return act()
  } catch (cause) {
    const reason = cause instanceof Error && "reason" in cause ? `: ${String(cause.reason)}` : ""
    throw refused(path, `${flaw}${reason}`, cause)
  }
}

const refused = (path: string, flaw: string, cause?: unknown): AssayError =>
  new AssayError("INPUT", `${path} ${flaw}`, { location: path, ...(cause === undefined ? {} : { cause }) })

/** A server's certificate and key, read again when they change. */
export const watchServerIdentity = (
  files: ServerFiles,
  now: () => Date,
  options: Pick<WatchOptions<ServerIdentity>, "changed" | "alarm" | "intervalMs"> = {},
): Watched<ServerIdentity> => {
  const watched = watchFiles({
    ...options,
    files: [{ path: files.certificate }, { path: files.key, secret: true }],
    read: (contents) => readServerIdentity(files, contents, now()),
  })
  return {
    ...watched,
    unready: () => {
      const { notAfter } = watched.current()
      return watched.unready() ?? (now() > notAfter ? `${files.certificate} has expired` : undefined)
    },
  }
}
