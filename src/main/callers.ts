/** Who may call, out of the settings. */
import { hash } from "node:crypto"
import { join, resolve } from "node:path"
import type { Config } from "../config.ts"
import type { Authority } from "../keys/authority.ts"
import { deviceOfUri } from "../keys/device-authority.ts"
import { ensureCredentialFile, readPassphraseFile } from "../keys/privatefile.ts"
import type { Meaning } from "../server/bearer.ts"
import type { Credential, FindEnrollmentToken } from "../server/caller.ts"
import type { CertificateFiles } from "../server/certificate-rules.ts"
import type { CertificateId, DeviceAuthority } from "../server/certificates.ts"
import type { TokenFiles } from "../server/token-rules.ts"
import type { Clock, Devices, Random } from "../service/ports.ts"
import { TENANT } from "./constants.ts"

/** Local credentials that development mode makes, named for what their holders are. */
const DEVELOPMENT_CALLERS = ["gateway", "backend"] as const

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
  const secret = development ? ensureCredentialFile(file, random) : readPassphraseFile(file)
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

/** Rules about tokens of issuers. */
export const tokenRules = ({ tokenIssuers }: Config): readonly TokenFiles[] =>
  tokenIssuers.map(({ keys, role, tenant, ...rule }) => ({
    ...rule,
    keys: resolve(keys),
    role: meaningOf<LocalCaller["role"]>(role),
    tenant: meaningOf(tenant),
  }))

const meaningOf = <T extends string>(
  said: T | { readonly claim: string; readonly values: Readonly<Record<string, T>> },
): Meaning<T> =>
  typeof said === "string"
    ? { kind: "fixed", value: said }
    : { kind: "claim", claim: said.claim, values: new Map(Object.entries(said.values)) }

/** Devices are known by the certificates of Assay's own CA. */
export const deviceCallers = ({ certificate, trustDomain }: Authority): DeviceAuthority => {
  const certificates = [certificate.bytes]
  return { certificates: () => certificates, deviceOf: (uri) => deviceOfUri(trustDomain, uri) }
}

/**
 * Finds enrollment tokens that have neither ended nor been revoked. One that is used up enrolls no more, which is looked at
 * when it would; but who has enrolled with it may still attest.
 */
export const enrollmentTokens =
  (devices: Pick<Devices, "enrollmentToken">, { now }: Clock): FindEnrollmentToken =>
  async (sha256) => {
    const token = await devices.enrollmentToken(sha256)
    return token === undefined || token.revoked || token.expiresAt <= now() ? undefined : token
  }
