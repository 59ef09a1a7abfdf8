/** The keys of a server, out of the settings: what signs tokens, and what issues to devices; in files or in the database. */
import { join } from "node:path"
import type { InitFiles } from "../cli/serve.ts"
import type { Config } from "../config.ts"
import type { Authority } from "../keys/authority.ts"
import { ensureAuthorityFile, readAuthorityFile } from "../keys/authority-file.ts"
import type { SigningKey } from "../keys/key.ts"
import { ensureKeyFile, readKeyFile } from "../keys/keyfile.ts"
import { ensurePassphraseFile, fileError, readPassphraseFile } from "../keys/privatefile.ts"
import { sharedAuthority, sharedSigningKey } from "../keys/shared.ts"
import type { Clock, KeyStore, Random } from "../service/ports.ts"

const KEY_LIFETIME_MS = 90 * 86_400_000
/** Where the keys are, in the data folder, unless they are elsewhere. */
const SIGNING_KEY = "signing-key.pem"
const DEVICE_CA = "device-ca.pem"
const PASSPHRASE = "signing-key.passphrase"

/** What is wrong with a key that development mode would make. */
export const ABSENT = "is not there: make one with `assay init`"

/** What keys are found and made with. */
export interface KeyParts {
  readonly keys: KeyStore
  readonly clock: Clock
  readonly random: Random
}

/** Everything that only this passphrase opens. */
export interface OwnKeys {
  readonly passphrase: string
  readonly signing: SigningKey
  readonly deviceCa: Authority
}

/** One key, wherever it is kept. */
interface Kept<T> {
  /** Where, for people. */
  readonly place: string
  /** Nothing if it is not there. */
  read(): Promise<T | undefined>
  /** Makes it first if it is not there. Of several that do so at once, all have the one that was first. */
  ensure(): Promise<T>
}

/** The files of a server's keys, made or not; nothing for a key that replicas find in their database. */
export const keyFiles = ({ key, deviceAuthority, store }: Config, folder: string) => {
  const fileIn = (name: string): string | undefined =>
    store.kind === "postgres" ? undefined : join(folder, name)
  return {
    key: key.file ?? fileIn(SIGNING_KEY),
    deviceCa: deviceAuthority.file ?? fileIn(DEVICE_CA),
  }
}

/** The passphrase of both, if the settings have one. @throws {AssayError} SIGNER for a file that is not usable. */
export const configuredPassphrase = ({ key }: Config): string | undefined =>
  key.passphrase ?? (key.passphraseFile === undefined ? undefined : readPassphraseFile(key.passphraseFile))

/** The passphrase that development mode has made, if it has. @throws {AssayError} SIGNER. */
export const madePassphrase = (folder: string): string => readPassphraseFile(join(folder, PASSPHRASE))

const passphrase = (config: Config, folder: string, random: Random): string => {
  const known = configuredPassphrase(config)
  if (known !== undefined) return known
  if (config.development) return ensurePassphraseFile(join(folder, PASSPHRASE), random)
  throw fileError(
    keyFiles(config, folder).key ?? "the signing key",
    "needs ASSAY_KEY_PASSPHRASE or ASSAY_KEY_PASSPHRASE_FILE",
  )
}

/**
 * Opens the keys; development mode makes what is absent.
 *
 * @throws {AssayError} SIGNER, also for another passphrase than theirs; RNG, REGISTRY.
 */
export const openKeys = async (config: Config, folder: string, parts: KeyParts): Promise<OwnKeys> => {
  const secret = passphrase(config, folder, parts.random)
  const opened = async <T>({ place, read, ensure }: Kept<T>): Promise<T> => {
    const key = await (config.development ? ensure() : read())
    if (key === undefined) throw fileError(place, ABSENT)
    return key
  }
  return {
    passphrase: secret,
    signing: await opened(keptSigningKey(config, folder, secret, parts)),
    deviceCa: await opened(keptDeviceCa(config, folder, secret, parts)),
  }
}

/** Makes the keys that are absent, and says where they are. @throws {AssayError} SIGNER, RNG, REGISTRY. */
export const initKeys = async (config: Config, folder: string, parts: KeyParts): Promise<InitFiles> => {
  const secret = passphrase(config, folder, parts.random)
  const key = keptSigningKey(config, folder, secret, parts)
  const ca = keptDeviceCa(config, folder, secret, parts)
  await key.ensure()
  await ca.ensure()
  return { key: key.place, deviceCa: ca.place }
}

const keptSigningKey = (
  config: Config,
  folder: string,
  secret: string,
  { keys, ...making }: KeyParts,
): Kept<SigningKey> => {
  const fresh = { algorithm: config.key.algorithm, lifetimeMs: KEY_LIFETIME_MS }
  const file = keyFiles(config, folder).key
  if (file === undefined) return sharedSigningKey(keys, secret, fresh, making)
  return {
    place: file,
    read: async () => readKeyFile(file, secret),
    ensure: async () => ensureKeyFile(file, secret, fresh, making),
  }
}

const keptDeviceCa = (
  config: Config,
  folder: string,
  secret: string,
  { keys, ...making }: KeyParts,
): Kept<Authority> => {
  const { trustDomain } = config.deviceAuthority
  const file = keyFiles(config, folder).deviceCa
  if (file === undefined)
    return ofTrustDomain(trustDomain, sharedAuthority(keys, secret, trustDomain, making))
  return ofTrustDomain(trustDomain, {
    place: file,
    read: async () => readAuthorityFile(file, secret),
    ensure: () => ensureAuthorityFile(file, secret, trustDomain, making),
  })
}

const ofTrustDomain = (expected: string, { place, read, ensure }: Kept<Authority>): Kept<Authority> => ({
  place,
  read: async () => {
    const authority = await read()
    return authority && checkTrustDomain(authority, expected, place)
  },
  ensure: async () => checkTrustDomain(await ensure(), expected, place),
})

/** The authority itself, if it is of that trust domain. @throws {AssayError} SIGNER. */
export const checkTrustDomain = (authority: Authority, expected: string, place: string): Authority => {
  const { trustDomain: actual } = authority
  if (actual === expected) return authority
  throw fileError(place, "is of another trust domain: set deviceAuthority.trustDomain, or make another one", {
    expected,
    actual,
  })
}
