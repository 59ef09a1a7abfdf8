import { create } from "@bufbuild/protobuf"
import { EV_NO_ACTION } from "../evidence/eventlog/eventlog.ts"
import type { EkTemplateName } from "../evidence/tpm/ek-template.ts"
import { KeyCertificationSchema } from "../gen/assay/v1/attestation_pb.ts"
import { type Attester, answersWith, type CertifiedKey } from "./attester.ts"
import { type BootEvent, standardBoot } from "./boot.ts"
import type { Endorsement } from "./ek.ts"
import {
  encodeCryptoAgileLog,
  encodeSha1Log,
  type LogRecord,
  type StartupLocality,
  startupLocalityRecord,
} from "./eventlog.ts"
import type { KeyPair } from "./keys.ts"
import type { Quoted } from "./quoted.ts"
import { activateCredential, createSoftwareEk, type SoftwareEk } from "./software-ek.ts"
import { createSoftwareKey, requestOf, type SoftwareKey } from "./software-key.ts"
import { type QuoteOptions, type Signed, SoftwareTpm, type SoftwareTpmOptions } from "./tpm.ts"

export type { QuoteOptions, Signed, TpmState } from "./tpm.ts"

/** What kind of software device to make. */
export interface SoftwareDeviceOptions extends SoftwareTpmOptions {
  /** What its first boot measures. By default `standardBoot()`. */
  readonly events?: readonly BootEvent[]
  /** PEM of the maker that certifies its endorsement key (`writeTpmMaker`). By default one of this process. */
  readonly maker?: string
  /** By which template its endorsement key is made. By default that of the low range for RSA-2048 or P-256. */
  readonly ekTemplate?: EkTemplateName
  /** The endorsement key's pair. By default one of its own, made when first asked for. */
  readonly ekKeys?: KeyPair
}

/** What a certification is shown with: all four parts. */
export interface Certification extends Signed {
  readonly csr: Uint8Array
  readonly keyPublic: Uint8Array
}

/** What tpm2_certify fills extraData with. */
const EXTRA_DATA = Uint8Array.of(0x00, 0xff, 0x55, 0xaa)

/** How a boot is recorded. */
export interface BootOptions {
  readonly log?: "crypto-agile" | "sha1"
  readonly startupLocality?: StartupLocality
}

/**
 * A device with a software TPM and a firmware that measures: for tests, the demo and load tests.
 *
 * Its answers are an attester's. Beneath them, `attest` and `quote` take any extraData and let a test change the
 * structure before it is signed.
 */
export class SoftwareDevice extends SoftwareTpm implements Attester {
  readonly answer: Attester["answer"]
  readonly answerNonce: Attester["answerNonce"]
  readonly answerEpoch: Attester["answerEpoch"]
  readonly answerEnrollment: Attester["answerEnrollment"]
  readonly #options: SoftwareDeviceOptions
  #tlsKey: SoftwareKey | undefined
  #eventLog: Uint8Array = new Uint8Array()
  #ek: SoftwareEk | undefined
  #endorsement: Promise<Endorsement> | undefined

  constructor(options: SoftwareDeviceOptions) {
    super(options)
    this.#options = options
    const ek = {
      ekPublic: () => this.ekPublic(),
      activate: (credentialBlob: Uint8Array, encryptedSecret: Uint8Array) =>
        this.activate(credentialBlob, encryptedSecret),
    }
    const answers = answersWith(this.akName, ek, (extraData) => this.attest({ extraData }))
    this.answer = answers.answer
    this.answerNonce = answers.answerNonce
    this.answerEpoch = answers.answerEpoch
    this.answerEnrollment = answers.answerEnrollment
    this.boot(options.events)
  }

  /** The log of the current boot. */
  get eventLog(): Uint8Array {
    return this.#eventLog
  }

  /** A TPM Reset: PCRs as at power on, one resetCount more, and a new log of what is measured. */
  boot(events: readonly BootEvent[] = standardBoot(), options: BootOptions = {}): void {
    const { log = "crypto-agile", startupLocality = 0 } = options
    this.setState({ resetCount: this.state.resetCount + 1, restartCount: 0 })
    this.pcrs.reset(startupLocality)
    const records: LogRecord[] = startupLocality === 0 ? [] : [startupLocalityRecord(startupLocality)]
    for (const { pcr, type, data, measured = data } of events) {
      const digests = type === EV_NO_ACTION ? new Map() : this.pcrs.digestsOf(measured)
      this.pcrs.extend(pcr, digests)
      records.push({ pcr, type, digests, data })
    }
    this.#eventLog = log === "sha1" ? encodeSha1Log(records) : encodeCryptoAgileLog(this.pcrs.hashes, records)
  }

  /** A TPM Resume, as after sleep: one restartCount more, PCRs and log kept. */
  resume(): void {
    this.setState({ restartCount: this.state.restartCount + 1 })
  }

  /** A quote over `extraData` with all that goes with it. */
  attest(options: QuoteOptions): Quoted {
    const select = this.pcrs.selectable(options.selection ?? this.selection)
    return {
      ...this.quote(options),
      pcrBanks: select.map((bank) => ({ hash: bank.hash, values: this.pcrs.values([bank]) })),
      eventLog: this.#eventLog,
    }
  }

  async certifyKey(): Promise<CertifiedKey> {
    this.#tlsKey ??= createSoftwareKey()
    const { name, certification } = this.certifying(this.#tlsKey)
    return { name, certification: create(KeyCertificationSchema, certification) }
  }

  /** Any key, certified as tpm2_certify does it, with its request for a certificate. */
  certifying(key: SoftwareKey): { readonly name: Uint8Array; readonly certification: Certification } {
    const { keyPublic, name } = key
    return { name, certification: { csr: requestOf(key), keyPublic, ...this.certify(EXTRA_DATA, keyPublic) } }
  }

  /** The endorsement key and its certificate from a test CA. Made when first asked for. */
  endorsement(): Promise<Endorsement> {
    this.#endorsement ??= this.#endorse()
    return this.#endorsement
  }

  async ekPublic(): Promise<Uint8Array> {
    return this.#endorsementKey().ekPublic
  }

  async ekCertificateChain(): Promise<readonly Uint8Array[]> {
    const { certificate } = await this.endorsement()
    return [certificate]
  }

  async activate(credentialBlob: Uint8Array, encryptedSecret: Uint8Array): Promise<Uint8Array> {
    return activateCredential(this.#endorsementKey(), this.akName, credentialBlob, encryptedSecret)
  }

  #endorsementKey(): SoftwareEk {
    const { algorithm, ekTemplate, ekKeys } = this.#options
    this.#ek ??= createSoftwareEk(ekTemplate ?? (algorithm.startsWith("rsa") ? "L-1" : "L-2"), ekKeys)
    return this.#ek
  }

  async #endorse(): Promise<Endorsement> {
    // Loaded only here: the certificate library costs every other user of a device its start-up time.
    const { endorse, readTpmMaker } = await import("./ek.ts")
    const { maker } = this.#options
    return endorse(this.#endorsementKey(), maker === undefined ? undefined : await readTpmMaker(maker))
  }
}

/** Makes a device and boots it once. */
export const createSoftwareDevice = (options: SoftwareDeviceOptions): SoftwareDevice =>
  new SoftwareDevice(options)
