import { parseCertificate } from "../evidence/x509/certificate.ts"
import { parseCrl } from "../evidence/x509/crl.ts"
import { openAll, readWatchedFile, type WatchedFile, type WatchOptions, watchFiles } from "../reload.ts"
import { readItems } from "../service/certificate-file.ts"
import type { CertificateId, CertificateRule } from "./certificates.ts"
import type { Role } from "./roles.ts"

/** A rule about client certificates, as it is configured. */
export interface CertificateFiles {
  readonly name: string
  /** File of the CAs, PEM or DER. */
  readonly authority: string
  /** File of CRLs of all CAs down to the clients' certificates, PEM or DER. Without it, revocation is not checked. */
  readonly crls: string | undefined
  readonly role: Exclude<Role, "device">
  readonly tenant: string
  readonly id: CertificateId
}

/** Rules that are read again when their files change. */
export interface WatchedRules {
  readonly rules: () => readonly CertificateRule[]
  readonly unready: () => readonly string[]
  readonly look: () => Promise<void>
  readonly close: () => void
}

/**
 * Reads the files of rules, and reads them again when they change.
 *
 * @throws {AssayError} INPUT for a file that cannot be read or holds none of what it should; whatever the parsers throw.
 */
export function watchCertificateRules(
  all: readonly CertificateFiles[],
  {
    changed,
    alarm,
    intervalMs,
  }: Pick<WatchOptions<unknown>, "alarm" | "intervalMs"> & { changed?: () => void },
): WatchedRules {
  const watched = openAll(all, (files) =>
    watchFiles({
      files: filesOf(files),
      read: (contents) => ruleOf(files, contents),
      ...(changed && { changed }),
      ...(alarm && { alarm }),
      ...(intervalMs !== undefined && { intervalMs }),
    }),
  )
  return {
    rules: () => watched.map((one) => one.current()),
    unready: () => watched.flatMap((one) => one.unready() ?? []),
    look: async () => void (await Promise.all(watched.map((one) => one.look()))),
    close: () => {
      for (const one of watched) one.close()
    },
  }
}

/** Reads the files of a rule once. @throws {AssayError} as `watchCertificateRules`. */
export const readCertificateRule = (files: CertificateFiles): CertificateRule =>
  ruleOf(files, filesOf(files).map(readWatchedFile))

const filesOf = ({ authority, crls }: CertificateFiles): readonly WatchedFile[] => [
  { path: authority },
  ...(crls === undefined ? [] : [{ path: crls }]),
]

function ruleOf(files: CertificateFiles, [authority, crls]: readonly Uint8Array[]): CertificateRule {
  const { name, role, tenant, id } = files
  const authorities = readItems(authority ?? new Uint8Array(), files.authority, "certificate")
  const lists = crls === undefined ? [] : readItems(crls, files.crls ?? "", "crl")
  return {
    name,
    role,
    tenant,
    id,
    authorities: authorities.map(({ der, label }) => parseCertificate(der, label)),
    crls: lists.map(({ der, label }) => parseCrl(der, label)),
  }
}
