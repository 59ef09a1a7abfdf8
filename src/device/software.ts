import { hash as digest } from "node:crypto"
import { utf8 } from "../bytes.ts"
import { EV_NO_ACTION } from "../evidence/eventlog/eventlog.ts"
import type { HashName } from "../evidence/tpm/algorithm.ts"
import {
  type ClockInfo,
  TPM_GENERATED_VALUE,
  TPM_ST_ATTEST_CERTIFY,
  TPM_ST_ATTEST_CREATION,
  TPM_ST_ATTEST_QUOTE,
  TPM_ST_ATTEST_TIME,
} from "../evidence/tpm/attest.ts"
import { nameOf, parsePublic, qualifiedNameOf } from "../evidence/tpm/public.ts"
import type { PcrSelection } from "../evidence/tpm/selection.ts"
import { type Attester, answersWith, type Quoted } from "./attester.ts"
import { type BootEvent, standardBoot } from "./boot.ts"
import type { Endorsement } from "./ek.ts"
import {
  type AttestFields,
  encodeAttest,
  encodeCertified,
  encodeCreated,
  encodePublic,
  encodeQuoted,
  encodeTime,
  rawSelection,
  sized,
  u32,
} from "./encode.ts"
import {
  encodeCryptoAgileLog,
  encodeSha1Log,
  type LogRecord,
  type StartupLocality,
  startupLocalityRecord,
} from "./eventlog.ts"
import {
  generateKeys,
  type KeyAlgorithm,
  type KeyPair,
  type SigningScheme,
  sharedKeysOf,
  signTpm,
} from "./keys.ts"
import { type Digests, PcrBanks } from "./pcrs.ts"

/** What kind of software device to make. */
export interface SoftwareDeviceOptions {
  readonly algorithm: KeyAlgorithm
  /** By default RSASSA or ECDSA, whichever the key can do, with a hash of the key's strength. */
  readonly scheme?: SigningScheme["kind"]
  readonly hash?: Exclude<HashName, "sha1">
  readonly nameAlg?: HashName
  /** TPMA_OBJECT of the attestation key. */
  readonly attributes?: number
  /** By default sha256 alone. */
  readonly banks?: readonly HashName[]
  /** What it quotes in answers. By default PCRs 0 to 9 of its first bank. */
  readonly selection?: readonly PcrSelection[]
  /** What its first boot measures. */
  readonly events?: readonly BootEvent[]
  /** Milliseconds that the TPM's clock has run, added to what `advance` was given. By default none. */
  readonly uptimeMs?: () => number
  /** Takes the one key pair that the process has for the algorithm: fast, but such devices share their Name. */
  readonly sharedKeys?: boolean
}

/** The clock and the version, as a TPM reports them. */
export interface TpmState extends ClockInfo {
  readonly firmwareVersion: bigint
}

/** How a boot is recorded. */
export interface BootOptions {
  readonly log?: "crypto-agile" | "sha1"
  readonly startupLocality?: StartupLocality
}

/** A structure and the attestation key's signature over it. */
export interface Signed {
  readonly attest: Uint8Array
  readonly signature: Uint8Array
}

/** What to quote, for tests below the level of a challenge. */
export interface QuoteOptions {
  readonly extraData: Uint8Array
  readonly selection?: readonly PcrSelection[]
  /** Changes the structure before it is signed: fields, or the whole bytes. */
  readonly tamper?: (fields: AttestFields) => AttestFields | Uint8Array
}

/** fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, restricted, sign. */
export const AK_ATTRIBUTES = 0x00050072
const TPM_RH_ENDORSEMENT = 0x4000000b
const HASH_OF: Readonly<Record<KeyAlgorithm, HashName>> = {
  "rsa-2048": "sha256",
  "rsa-3072": "sha256",
  p256: "sha256",
  p384: "sha384",
  p521: "sha512",
}
const DEFAULT_PCRS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
const FIRMWARE_VERSION = 0x0001_0000_0000_0002n

/**
 * A device whose TPM is a few lines of software: for tests, the demo and load tests. It makes the structures
 * that a real TPM makes, and protects nothing: its keys lie in this process's memory.
 *
 * `quote`, `sign` and their siblings do what a restricted key in a TPM refuses to do, so that tests can forge.
 */
export class SoftwareDevice implements Attester {
  readonly akPublic: Uint8Array
  readonly akName: Uint8Array
  readonly qualifiedName: Uint8Array
  readonly answer: Attester["answer"]
  readonly answerNonce: Attester["answerNonce"]
  readonly answerEpoch: Attester["answerEpoch"]
  readonly #keys: KeyPair
  readonly #scheme: SigningScheme
  readonly #pcrs: PcrBanks
  readonly #selection: readonly PcrSelection[]
  readonly #uptimeMs: () => number
  readonly #algorithm: KeyAlgorithm
  #state: TpmState = {
    clockMs: 0n,
    resetCount: 0,
    restartCount: 0,
    safe: true,
    firmwareVersion: FIRMWARE_VERSION,
  }
  #eventLog: Uint8Array = new Uint8Array()
  #endorsement: Promise<Endorsement> | undefined

  constructor(options: SoftwareDeviceOptions) {
    const { algorithm, nameAlg = "sha256", banks = ["sha256"] } = options
    this.#algorithm = algorithm
    this.#keys = options.sharedKeys === true ? sharedKeysOf(algorithm) : generateKeys(algorithm)
    const kind = options.scheme ?? (this.#keys.publicKey.kind === "rsa" ? "rsassa" : "ecdsa")
    this.#scheme = { kind, hash: options.hash ?? HASH_OF[algorithm] }
    const area = encodePublic({
      nameAlg,
      attributes: options.attributes ?? AK_ATTRIBUTES,
      authPolicy: new Uint8Array(),
      symmetric: undefined,
      scheme: this.#scheme,
      key: this.#keys.publicKey,
    })
    this.akPublic = sized(area)
    this.akName = nameOf(nameAlg, area)
    this.qualifiedName = qualifiedNameOf(u32(TPM_RH_ENDORSEMENT), this.akName, nameAlg)
    this.#pcrs = new PcrBanks(banks)
    this.#selection = options.selection ?? [{ hash: banks[0] ?? "sha256", pcrs: DEFAULT_PCRS }]
    this.#uptimeMs = options.uptimeMs ?? (() => 0)
    const answers = answersWith(this.akName, (extraData) => this.attest({ extraData }))
    this.answer = answers.answer
    this.answerNonce = answers.answerNonce
    this.answerEpoch = answers.answerEpoch
    this.boot(options.events)
  }

  /** The log of the current boot. */
  get eventLog(): Uint8Array {
    return this.#eventLog
  }

  /** What the TPM reports now. */
  get state(): TpmState {
    return { ...this.#state, clockMs: this.#state.clockMs + BigInt(Math.trunc(this.#uptimeMs())) }
  }

  /** Makes the TPM report other numbers: a rollback, an unsafe clock, another firmware. */
  setState(changed: Partial<TpmState>): void {
    this.#state = { ...this.#state, ...changed }
  }

  /** Lets `ms` milliseconds pass. */
  advance(ms: number): void {
    this.setState({ clockMs: this.#state.clockMs + BigInt(ms) })
  }

  /** A TPM Reset: PCRs as at power on, one resetCount more, and a new log of what is measured. */
  boot(events: readonly BootEvent[] = standardBoot(), options: BootOptions = {}): void {
    const { log = "crypto-agile", startupLocality = 0 } = options
    this.setState({ resetCount: this.#state.resetCount + 1, restartCount: 0 })
    this.#pcrs.reset(startupLocality)
    const records: LogRecord[] = startupLocality === 0 ? [] : [startupLocalityRecord(startupLocality)]
    for (const { pcr, type, data, measured = data } of events) {
      const digests = type === EV_NO_ACTION ? new Map() : this.#pcrs.digestsOf(measured)
      this.#pcrs.extend(pcr, digests)
      records.push({ pcr, type, digests, data })
    }
    this.#eventLog =
      log === "sha1" ? encodeSha1Log(records) : encodeCryptoAgileLog(this.#pcrs.hashes, records)
  }

  /** A TPM Resume, as after sleep: one restartCount more, PCRs and log kept. */
  resume(): void {
    this.setState({ restartCount: this.#state.restartCount + 1 })
  }

  /** Extends a PCR behind the log's back: by the digest of some bytes in every bank, or by given digests. */
  extend(pcr: number, dataOrDigests: Uint8Array | Digests): void {
    this.#pcrs.extend(
      pcr,
      dataOrDigests instanceof Uint8Array ? this.#pcrs.digestsOf(dataOrDigests) : dataOrDigests,
    )
  }

  /** The values of a selection, one after another. */
  pcrValues(selection: readonly PcrSelection[] = this.#selection): Uint8Array {
    return this.#pcrs.values(this.#pcrs.selectable(selection))
  }

  /** A quote over `extraData` with all that goes with it. */
  attest(options: QuoteOptions): Quoted {
    const select = this.#pcrs.selectable(options.selection ?? this.#selection)
    return {
      ...this.quote(options),
      pcrBanks: select.map((bank) => ({ hash: bank.hash, values: this.#pcrs.values([bank]) })),
      eventLog: this.#eventLog,
    }
  }

  /** TPM2_Quote. */
  quote({ extraData, selection = this.#selection, tamper }: QuoteOptions): Signed {
    const select = this.#pcrs.selectable(selection)
    const pcrDigest = digest(this.#scheme.hash, this.#pcrs.values(select), "buffer")
    const body = encodeQuoted(select.map(rawSelection), pcrDigest)
    return this.#attestation(TPM_ST_ATTEST_QUOTE, extraData, body, tamper)
  }

  /** TPM2_Certify of another object, given by its TPM2B_PUBLIC; by default of the attestation key itself. */
  certify(extraData: Uint8Array, objectPublic: Uint8Array = this.akPublic): Signed {
    const { name, nameAlg } = parsePublic(objectPublic)
    const body = encodeCertified(name, qualifiedNameOf(u32(TPM_RH_ENDORSEMENT), name, nameAlg))
    return this.#attestation(TPM_ST_ATTEST_CERTIFY, extraData, body)
  }

  /** TPM2_CertifyCreation of the attestation key. */
  certifyCreation(extraData: Uint8Array): Signed {
    const creationHash = digest("sha256", utf8("creation data"), "buffer")
    return this.#attestation(TPM_ST_ATTEST_CREATION, extraData, encodeCreated(this.akName, creationHash))
  }

  /** TPM2_GetTime. */
  getTime(extraData: Uint8Array): Signed {
    const { state } = this
    const body = encodeTime(state.clockMs, state, state.firmwareVersion)
    return this.#attestation(TPM_ST_ATTEST_TIME, extraData, body)
  }

  /** A TPMT_SIGNATURE of the attestation key over any bytes, by its own scheme or another that the key can do. */
  sign(bytes: Uint8Array, scheme: SigningScheme = this.#scheme): Uint8Array {
    return signTpm(this.#keys, bytes, scheme)
  }

  /** The endorsement key and its certificate from a test CA. Made when first asked for. */
  endorsement(): Promise<Endorsement> {
    this.#endorsement ??= this.#endorse()
    return this.#endorsement
  }

  async #endorse(): Promise<Endorsement> {
    // Loaded only here: the certificate library costs every other user of a device its start-up time.
    const { endorse } = await import("./ek.ts")
    return endorse(generateKeys(this.#algorithm.startsWith("rsa") ? "rsa-2048" : "p256"))
  }

  #attestation(
    type: number,
    extraData: Uint8Array,
    attested: Uint8Array,
    tamper: (fields: AttestFields) => AttestFields | Uint8Array = (fields) => fields,
  ): Signed {
    const { firmwareVersion, ...clockInfo } = this.state
    const made = tamper({
      magic: TPM_GENERATED_VALUE,
      type,
      qualifiedSigner: this.qualifiedName,
      extraData,
      clockInfo,
      firmwareVersion,
      attested,
    })
    const attest = made instanceof Uint8Array ? made : encodeAttest(made)
    return { attest, signature: this.sign(attest) }
  }
}

/** Makes a device and boots it once. */
export const createSoftwareDevice = (options: SoftwareDeviceOptions): SoftwareDevice =>
  new SoftwareDevice(options)
