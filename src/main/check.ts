/** What a server of some settings would be, without starting one. Nothing is written, opened or asked for. */
import { existsSync } from "node:fs"
import { resolve } from "node:path"
import { addConfig, type CheckedSetting } from "../cli/check-config.ts"
import type { Config } from "../config.ts"
import { AssayError } from "../errors.ts"
import { nameText } from "../evidence/x509/name.ts"
import { readAuthorityFile } from "../keys/authority-file.ts"
import { readKeyFile } from "../keys/keyfile.ts"
import { fileError, readPassphraseFile } from "../keys/privatefile.ts"
import { readWatchedFile } from "../reload.ts"
import { readCertificateRule } from "../server/certificate-rules.ts"
import { checkAddress, checkListen, type Listen } from "../server/listen.ts"
import { readTokenRule } from "../server/token-rules.ts"
import { refusePlaintext } from "../store/plaintext.ts"
import { readServerIdentity, type ServerFiles } from "../tls.ts"
import { checkAddress as checkPageAddress } from "../web/listen.ts"
import { certificateRules, localCallers, tokenRules } from "./callers.ts"
import { engineSettings } from "./engine.ts"
import { ABSENT, checkTrustDomain, configuredPassphrase, keyFiles, madePassphrase } from "./keys.ts"
import { adminOf, listenersOf } from "./listeners.ts"
import { sharedStore } from "./store.ts"
import { workersOf } from "./workers.ts"

/** What a check of one setting finds: what would be served, in a few words. */
type Find = () => string

const MADE_AT_START = "is made at the first start"

/** Everything that a server of these settings would need, in their order: what each comes to, or why it comes to nothing. */
export function checkConfig(config: Config, at: Date): readonly CheckedSetting[] {
  const folder = resolve(config.data)
  const checks: (readonly [setting: string, find: Find])[] = [
    ["data", () => dataOf(config, folder)],
    ...listenersOf(config, folder).map(
      (listen, i) => [`listen.${i}`, () => listenerOf(listen, config, at)] as const,
    ),
    ...(workersOf(config) === 1 ? [] : [["workers", () => processesOf(workersOf(config))] as const]),
    ["admin", () => `${located(checkAddress(adminOf(config, folder), false))}: an operator`],
    ["web.public", () => publicOf(config, at)],
    ["web.private", () => `http://${checkedPages(config.web.private, "private")}: metrics and probes`],
    ...keyChecks(config, folder),
    ...callerChecks(config, folder),
    ["store", () => storeOf(config, folder)],
    ["engine", () => engineOf(config)],
  ]
  return checks.map(([setting, find]) => {
    try {
      return { setting, finding: find() }
    } catch (error) {
      if (!(error instanceof AssayError)) throw error
      return { setting, fault: error }
    }
  })
}

/** `assay config`. */
export const configCommand = addConfig({ check: async (config, at) => checkConfig(config, at) })

const dataOf = ({ development }: Config, folder: string): string => {
  if (existsSync(folder)) return folder
  if (development) return `${folder} ${MADE_AT_START}`
  throw new AssayError("INPUT", `${folder} is not there: make it with \`assay init\``, { location: "data" })
}

const processesOf = (count: number): string =>
  `${count} processes that share the listeners, and one that looks after them`

const located = (address: ReturnType<typeof checkAddress>): string =>
  address.kind === "unix" ? `unix:${address.path}` : `${address.host}:${address.port}`

const listenerOf = (listen: Listen, { development, anonymous = development }: Config, at: Date): string => {
  const address = checkListen(listen, development)
  if (address.kind === "tls")
    return `${typeof listen === "string" ? listen : listen.address}: gRPC with TLS, ${identityOf(address.files, at)}`
  const whom = anonymous ? "gateways without a credential too" : "callers with a credential"
  return `${located(address)}: gRPC in plaintext on this machine, for ${whom}`
}

const identityOf = (files: ServerFiles, at: Date): string => {
  const contents = [{ path: files.certificate }, { path: files.key, secret: true }].map(readWatchedFile)
  const { subject, notAfter } = readServerIdentity(files, contents, at)
  return `as ${subject.replaceAll("\n", ", ")} until ${notAfter.toISOString()}`
}

const checkedPages = (address: string, reach: "loopback" | "private", tls = false): string => {
  checkPageAddress(address, { reach, tls })
  return address
}

const publicOf = ({ web }: Config, at: Date): string => {
  const { tls } = web
  const address = checkedPages(web.public, "loopback", tls !== undefined)
  if (tls === undefined) return `http://${address}: keys, discovery and the epoch`
  const files = { certificate: resolve(tls.certificate), key: resolve(tls.key) }
  return `https://${address}: keys, discovery and the epoch, ${identityOf(files, at)}`
}

/** The server of PostgreSQL, without what its URL has beside. */
const databaseOf = (url: string, schema: string): string => {
  if (!URL.canParse(url)) return `PostgreSQL, schema ${schema}`
  const { host, searchParams } = new URL(url)
  return `PostgreSQL at ${searchParams.getAll("host").at(-1) || host}, schema ${schema}`
}

const storeOf = (config: Config, folder: string): string => {
  const shared = sharedStore(config)
  return shared === undefined ? `${folder}/assay.db` : databaseOf(shared.url, shared.schema)
}

const engineOf = (config: Config): string => {
  const settings = engineSettings(config)
  if (settings.kind === "memory") return "memory"
  if (!settings.plaintext) refusePlaintext("engine", settings)
  return settings.kind === "redis" ? "Redis" : databaseOf(settings.url, settings.schema)
}

function keyChecks(config: Config, folder: string): (readonly [string, Find])[] {
  const { key, deviceCa } = keyFiles(config, folder)
  const secret = (): string => {
    const known = configuredPassphrase(config)
    if (known !== undefined) return known
    if (config.development) return madePassphrase(folder)
    throw new AssayError("SIGNER", "there is no passphrase", {
      location: "key.passphraseFile",
      expected: "ASSAY_KEY_PASSPHRASE or ASSAY_KEY_PASSPHRASE_FILE",
    })
  }
  /** What a key comes to that is read by `read`; nothing for one that is in the database, which is not asked. */
  const found = <T>(
    file: string | undefined,
    read: (file: string, secret: string) => T | undefined,
    finding: (key: T, file: string) => string,
  ): string => {
    if (file === undefined && config.development) return `in the database, where it ${MADE_AT_START}`
    if (file === undefined) {
      secret()
      return "in the database, where `assay init` makes it"
    }
    if (config.development && !existsSync(file)) return `${file} ${MADE_AT_START}`
    const value = read(file, secret())
    if (value === undefined) throw fileError(file, ABSENT)
    return finding(value, file)
  }
  return [
    [
      "key",
      () =>
        found(
          key,
          readKeyFile,
          ({ algorithm, publicJwk, notAfter }) =>
            `signs with ${algorithm} as ${publicJwk.kid} until ${notAfter.toISOString()}`,
        ),
    ],
    [
      "deviceAuthority",
      () =>
        found(deviceCa, readAuthorityFile, (authority, file) => {
          const { trustDomain, certificate } = checkTrustDomain(
            authority,
            config.deviceAuthority.trustDomain,
            file,
          )
          return `issues to devices of ${trustDomain} until ${new Date(certificate.notAfter).toISOString()}`
        }),
    ],
  ]
}

const callerChecks = (config: Config, folder: string): (readonly [string, Find])[] => [
  ...localCallers(config, folder).map(({ name, file, role, tenant }): readonly [string, Find] => [
    `credentials.${name}`,
    () => {
      if (config.development && !existsSync(file)) return `${file} ${MADE_AT_START}`
      readPassphraseFile(file)
      return `${role} of ${tenant}, on this machine`
    },
  ]),
  ...certificateRules(config).map((files): readonly [string, Find] => [
    `clientCertificates.${files.name}`,
    () => {
      const { authorities, crls, role, tenant } = readCertificateRule(files)
      const names = authorities.map(({ subject }) => nameText(subject)).join("; ")
      const revocation = crls.length === 0 ? "without revocation" : `with ${crls.length} CRLs`
      return `${role} of ${tenant}, by certificates of ${names}, ${revocation}`
    },
  ]),
  ...tokenRules(config).map((files): readonly [string, Find] => [
    `tokenIssuers.${files.name}`,
    () => {
      const { issuer, keys, role, tenant } = readTokenRule(files)
      const said = (meaning: typeof role | typeof tenant): string =>
        meaning.kind === "fixed" ? meaning.value : `what the claim ${meaning.claim} says`
      return `${said(role)} of ${said(tenant)}, by tokens of ${issuer} under ${keys.size} keys`
    },
  ]),
]
