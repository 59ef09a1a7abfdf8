/** Who may call, out of the settings. */
import { hash } from "node:crypto"
import { join, resolve } from "node:path"
import type { Config } from "../config.ts"
import { ensurePassphraseFile, readPassphraseFile } from "../keys/privatefile.ts"
import type { Credential } from "../server/caller.ts"
import type { CertificateFiles } from "../server/certificate-rules.ts"
import type { CertificateId } from "../server/certificates.ts"
import type { Random } from "../service/ports.ts"

/** Local credentials that development mode makes, named for what their holders are. */
const DEVELOPMENT_CALLERS = ["gateway", "backend"] as const
/** The one tenant that there is until there are more. */
const TENANT = "default"

type LocalCaller = Config["credentials"][number]

/** Those of the configuration, and in development mode a gateway and a backend, unless they are configured too. */
export const localCallers = (config: Config, folder: string): readonly LocalCaller[] => {
  const configured = config.credentials.map((caller) => ({ ...caller, file: resolve(caller.file) }))
  const made = config.development ? DEVELOPMENT_CALLERS : []
  return [
    ...made
      .filter((name) => !configured.some((caller) => caller.name === name))
      .map((name) => ({ name, role: name, tenant: TENANT, file: join(folder, `${name}.credential`) })),
    ...configured,
  ]
}

/** The credential of a caller; in development mode it is made where it is absent. @throws {AssayError} SIGNER. */
export const readCredential = (
  { development }: Config,
  { name, file, role, tenant }: LocalCaller,
  random: Random,
): Credential => {
  const secret = development ? ensurePassphraseFile(file, random) : readPassphraseFile(file)
  return { name, role, tenant, sha256: hash("sha256", secret, "buffer") }
}

/** Rules about client certificates. */
export const certificateRules = ({ clientCertificates }: Config): readonly CertificateFiles[] =>
  clientCertificates.map(({ name, authority, crls, role, tenant, id, ids }) => ({
    name,
    role,
    tenant,
    authority: resolve(authority),
    crls: crls === undefined ? undefined : resolve(crls),
    id: idOf(id, ids),
  }))

const idOf = (kind: CertificateId["kind"], ids: readonly string[] | undefined): CertificateId =>
  kind === "sha256" ? { kind, ids: ids ?? [] } : { kind, ids }
