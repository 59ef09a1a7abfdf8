import { readFile } from "node:fs/promises"
import { concat, sameBytes, toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { LOG_BYTES_MAX } from "../evidence/eventlog/eventlog.ts"
import type { HashName } from "../evidence/tpm/algorithm.ts"
import { parseAttest } from "../evidence/tpm/attest.ts"
import type { EkTemplateName } from "../evidence/tpm/ek-template.ts"
import { parsePcrFile } from "../evidence/tpm/pcrs.ts"
import { hasAttribute, parseName, parsePublic } from "../evidence/tpm/public.ts"
import type { PcrSelection } from "../evidence/tpm/selection.ts"
import type { SchemeName } from "../evidence/tpm/signature.ts"
import { type AgentEk, activateWith, readEk } from "./agent-ek.ts"
import { certifyTlsKey, makeTlsKey, TLS_KEY_HANDLE } from "./agent-key.ts"
import { type Attester, answersWith, type CertifiedKey } from "./attester.ts"
import type { Endorsed } from "./enrollment.ts"
import { handlesOf, readEkCertificateChain } from "./nv.ts"
import { flushing, type RunOptions, readOutput, requirePrograms, run, withFolder } from "./programs.ts"
import type { Quoted } from "./quoted.ts"

/** Where Linux shows the firmware's event log. */
export const LINUX_EVENT_LOG = "/sys/kernel/security/tpm0/binary_bios_measurements"

/** Which TPM to use, and how. */
export interface AgentOptions {
  /** TCTI of tpm2-tools, for example `device:/dev/tpmrm0`. Nothing leaves it to their own default. */
  readonly tcti?: string
  /** The kind of attestation key to make if there is none at the handle. By default P-256. */
  readonly algorithm?: AgentAlgorithm
  /** The persistent handle of the attestation key. */
  readonly handle?: number
  /** The persistent handle of the key for TLS. */
  readonly tlsKeyHandle?: number
  /** Which endorsement key to show. By default the one that the TPM has a certificate of. */
  readonly ekTemplate?: EkTemplateName
  /** What to quote. By default PCRs 0 to 9 of the SHA-256 bank. */
  readonly selection?: readonly PcrSelection[]
  /** The event log's file. Where there is none, the evidence is without a log. */
  readonly eventLogPath?: string
  /** For each program. By default 60 s: a slow TPM searches that long for RSA primes. */
  readonly timeoutMs?: number
}

/** The attestation keys that the agent can make. */
export type AgentAlgorithm = keyof typeof ALGORITHMS

const ALGORITHMS = {
  "rsa-2048": "rsa2048:rsassa-sha256:null",
  p256: "ecc256:ecdsa-sha256:null",
  p384: "ecc384:ecdsa-sha384:null",
} as const

const AK_ATTRIBUTES = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign"
/** In the range that the TCG keeps for keys of the endorsement hierarchy (handle registry, table 2). */
const AK_HANDLE = 0x81010200
const TIMEOUT_MS = 60_000
const SELECTION: readonly PcrSelection[] = [{ hash: "sha256", pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] }]

/**
 * An agent over tpm2-tools, for a real TPM 2.0.
 *
 * Its attestation key is a primary key of the endorsement hierarchy, so that the counters in its quotes are the
 * true ones, kept at a persistent handle. A key that is already there is used if it is an attestation key.
 *
 * @throws {AssayError} TPM if a program is missing (the message names its Debian package) or fails, or if the
 *   handle is taken by another kind of key. Its answers throw the same.
 */
export async function createAgent(options: AgentOptions = {}): Promise<Attester> {
  requirePrograms("agent")
  const { handle = AK_HANDLE, selection = SELECTION, timeoutMs = TIMEOUT_MS, tcti } = options
  const ak = `0x${handle.toString(16)}`
  const inFolder = <T>(act: (run: RunOptions) => Promise<T>): Promise<T> =>
    withFolder((folder) => act({ folder, timeoutMs, tcti }))

  const key = await inFolder(async (at) => {
    if (!(await isPersistent(ak, at))) await makeKey(ak, ALGORITHMS[options.algorithm ?? "p256"], at)
    return readKey(ak, at)
  })

  const quote = (extraData: Uint8Array): Promise<Quoted> =>
    inFolder(async (at) => {
      const list = selection.map(({ hash, pcrs }) => `${hash}:${pcrs.join(",")}`).join("+")
      const what = ["-l", list, "-q", toHex(extraData), "-g", key.hash]
      await run("tpm2_quote", ["-Q", "-c", ak, ...what, "-m", "attest", "-s", "signature", "-o", "pcrs"], at)
      const [attest, signature, pcrs] = await Promise.all([
        readOutput("tpm2_quote", "attest", at),
        readOutput("tpm2_quote", "signature", at),
        readOutput("tpm2_quote", "pcrs", at),
      ])
      return {
        attest,
        signature,
        pcrBanks: banksOf(attest, pcrs, extraData),
        eventLog: await readLog(options),
      }
    })

  const { akPublic, akName, qualifiedName } = key
  const ek = endorsedBy(ak, options, inFolder)
  const certifyKey = (): Promise<CertifiedKey> => inFolder((at) => certifiedKey(ak, key, options, at))
  return { akPublic, akName, qualifiedName, certifyKey, ...ek, ...answersWith(akName, ek, quote) }
}

/** The endorsement key's side of the agent. The key is looked for when first asked for: some TPMs take long to make it. */
const endorsedBy = (
  ak: string,
  { tcti, timeoutMs = TIMEOUT_MS, ekTemplate }: AgentOptions,
  inFolder: <T>(act: (at: RunOptions) => Promise<T>) => Promise<T>,
): Endorsed => {
  let found: AgentEk | undefined
  const find = async (): Promise<AgentEk> => {
    found ??= await inFolder((at) => readEk(ekTemplate, at))
    return found
  }
  return {
    ekPublic: async () => (await find()).ekPublic,
    ekCertificateChain: () => readEkCertificateChain({ tcti, timeoutMs, ekTemplate }),
    async activate(blob, encryptedSecret) {
      const { template } = await find()
      return inFolder((at) => activateWith(template, ak, { blob, encryptedSecret }, at))
    },
  }
}

/** The key for TLS, made if there is none at the handle, and certified. */
const certifiedKey = async (
  ak: string,
  { scheme, hash }: Key,
  { tlsKeyHandle = TLS_KEY_HANDLE }: AgentOptions,
  at: RunOptions,
): Promise<CertifiedKey> => {
  const handle = `0x${tlsKeyHandle.toString(16)}`
  if (!(await isPersistent(handle, at))) await makeTlsKey(handle, at)
  return certifyTlsKey(handle, { handle: ak, scheme, hash }, at)
}

const isPersistent = async (ak: string, at: RunOptions): Promise<boolean> =>
  handlesOf(await run("tpm2_getcap", ["handles-persistent"], at)).includes(Number(ak))

async function makeKey(ak: string, algorithm: string, at: RunOptions): Promise<void> {
  const template = ["-C", "e", "-G", algorithm, "-g", "sha256", "-a", AK_ATTRIBUTES]
  await flushing(at, async () => {
    await run("tpm2_createprimary", ["-Q", ...template, "-c", "ak.ctx"], at)
    await run("tpm2_evictcontrol", ["-Q", "-C", "o", "-c", "ak.ctx", ak], at)
  })
}

interface Key {
  readonly akPublic: Uint8Array
  readonly akName: Uint8Array
  /** The key's scheme, which it always signs by, and its hash. */
  readonly scheme: SchemeName
  readonly hash: HashName
  readonly qualifiedName: Uint8Array
}

async function readKey(ak: string, at: RunOptions): Promise<Key> {
  await run("tpm2_readpublic", ["-Q", "-c", ak, "-f", "tss", "-o", "public", "-q", "qualified"], at)
  const akPublic = await readOutput("tpm2_readpublic", "public", at)
  const area = parsePublic(akPublic)
  const { scheme } = area
  const signs = hasAttribute(area, "restricted") && hasAttribute(area, "sign")
  if (!signs || scheme.kind === "null" || scheme.kind === "unsupported")
    throw unusable(`the key at ${ak} is no attestation key: choose another handle`)
  const qualifiedName = parseName(await readOutput("tpm2_readpublic", "qualified", at))
  return { akPublic, akName: area.name, scheme: scheme.kind, hash: scheme.hash, qualifiedName }
}

/** The values of the PCR file in the order of the signed selection, as they travel. */
function banksOf(attest: Uint8Array, pcrs: Uint8Array, extraData: Uint8Array): Quoted["pcrBanks"] {
  const quote = parseAttest(attest)
  if (quote.attested.kind !== "quote" || !sameBytes(quote.extraData, extraData))
    throw unusable("the TPM quoted something else than it was asked to")
  const values = parsePcrFile(pcrs)
  return quote.attested.pcrSelect.map((bank) => ({
    hash: bank.hash,
    values: concat(
      ...bank.pcrs.map((pcr) => {
        const value = values.get(bank.hash)?.get(pcr)
        if (value === undefined) throw unusable(`tpm2_quote gave no value for ${bank.hash}:${pcr}`)
        return value
      }),
    ),
  }))
}

async function readLog({ eventLogPath }: AgentOptions): Promise<Uint8Array> {
  if (eventLogPath === undefined) return new Uint8Array()
  try {
    const log = new Uint8Array(await readFile(eventLogPath))
    if (log.length > LOG_BYTES_MAX) throw unusable(`the event log is longer than ${LOG_BYTES_MAX} bytes`)
    return log
  } catch (error) {
    if (error instanceof AssayError) throw error
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return new Uint8Array()
    throw new AssayError("TPM", `cannot read the event log ${eventLogPath}: is this user allowed to?`, {
      location: eventLogPath,
      cause: error,
    })
  }
}

const unusable = (message: string): AssayError => new AssayError("TPM", message)
