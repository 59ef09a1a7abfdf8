/** The keys of a server, out of the settings: what signs tokens, and what issues to devices. */
import { join } from "node:path"
import type { Config } from "../config.ts"
import type { Authority } from "../keys/authority.ts"
import { ensureAuthorityFile, readAuthorityFile } from "../keys/authority-file.ts"
import type { SigningKey } from "../keys/key.ts"
import { ensureKeyFile, readKeyFile } from "../keys/keyfile.ts"
import { ensurePassphraseFile, fileError, readPassphraseFile } from "../keys/privatefile.ts"
import type { Clock, Random } from "../service/ports.ts"

const KEY_LIFETIME_MS = 90 * 86_400_000
/** Where the keys are, in the data folder, unless they are elsewhere. */
const SIGNING_KEY = "signing-key.pem"
const DEVICE_CA = "device-ca.pem"
const PASSPHRASE = "signing-key.passphrase"

/** What keys are made with. */
export interface Making {
  readonly clock: Clock
  readonly random: Random
}

/** The files of a server's keys, made or not. */
export const keyFiles = ({ key, deviceAuthority }: Config, folder: string) => ({
  key: key.file ?? join(folder, SIGNING_KEY),
  deviceCa: deviceAuthority.file ?? join(folder, DEVICE_CA),
})

/** The passphrase of both, if the settings have one. @throws {AssayError} SIGNER for a file that is not usable. */
export const configuredPassphrase = ({ key }: Config): string | undefined =>
  key.passphrase ?? (key.passphraseFile === undefined ? undefined : readPassphraseFile(key.passphraseFile))

/** The same; development mode makes one. @throws {AssayError} SIGNER. */
export const passphrase = (config: Config, folder: string, random: Random): string => {
  const known = configuredPassphrase(config)
  if (known !== undefined) return known
  if (config.development) return ensurePassphraseFile(join(folder, PASSPHRASE), random)
  throw fileError(keyFiles(config, folder).key, "needs ASSAY_KEY_PASSPHRASE or ASSAY_KEY_PASSPHRASE_FILE")
}

/** The passphrase that development mode has made, if it has. @throws {AssayError} SIGNER. */
export const madePassphrase = (folder: string): string => readPassphraseFile(join(folder, PASSPHRASE))

/** The key that signs tokens. @throws {AssayError} SIGNER. */
export const readSigningKey = (config: Config, folder: string, secret: string): SigningKey => {
  const file = keyFiles(config, folder).key
  const key = readKeyFile(file, secret)
  if (key === undefined) throw fileError(file, "is not there: make one with `assay init`")
  return key
}

/** The same; development mode makes one. @throws {AssayError} SIGNER. */
export const signingKey = (config: Config, folder: string, secret: string, making: Making): SigningKey =>
  config.development ? makeSigningKey(config, folder, secret, making) : readSigningKey(config, folder, secret)

/** Makes the key that signs tokens, unless it is there. @throws {AssayError} SIGNER. */
export const makeSigningKey = (config: Config, folder: string, secret: string, making: Making): SigningKey =>
  ensureKeyFile(
    keyFiles(config, folder).key,
    secret,
    { algorithm: config.key.algorithm, lifetimeMs: KEY_LIFETIME_MS },
    making,
  )

/** Who issues to devices. @throws {AssayError} SIGNER. */
export const readDeviceCa = (config: Config, folder: string, secret: string): Authority => {
  const file = keyFiles(config, folder).deviceCa
  const authority = readAuthorityFile(file, secret)
  if (authority === undefined) throw fileError(file, "is not there: make one with `assay init`")
  return ofTrustDomain(authority, config, file)
}

/** The same; development mode makes one. @throws {AssayError} SIGNER. */
export const deviceCa = async (
  config: Config,
  folder: string,
  secret: string,
  making: Making,
): Promise<Authority> =>
  config.development ? makeDeviceCa(config, folder, secret, making) : readDeviceCa(config, folder, secret)

/** Makes who issues to devices, unless it is there. @throws {AssayError} SIGNER. */
export const makeDeviceCa = async (
  config: Config,
  folder: string,
  secret: string,
  making: Making,
): Promise<Authority> => {
  const file = keyFiles(config, folder).deviceCa
  const { trustDomain } = config.deviceAuthority
  return ofTrustDomain(await ensureAuthorityFile(file, secret, trustDomain, making), config, file)
}

const ofTrustDomain = (authority: Authority, { deviceAuthority }: Config, file: string): Authority => {
  if (authority.trustDomain === deviceAuthority.trustDomain) return authority
  throw fileError(file, "is of another trust domain: set deviceAuthority.trustDomain, or make another file", {
    expected: deviceAuthority.trustDomain,
    actual: authority.trustDomain,
  })
}
