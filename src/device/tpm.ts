import { hash as digest } from "node:crypto"
import { utf8 } from "../bytes.ts"
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
  generateKeys,
  type KeyAlgorithm,
  type KeyPair,
  type SigningScheme,
  sharedKeysOf,
  signTpm,
} from "./keys.ts"
import { type Digests, PcrBanks } from "./pcrs.ts"

/** What kind of software TPM to make. */
export interface SoftwareTpmOptions {
  readonly algorithm: KeyAlgorithm
  /** By default RSASSA or ECDSA, whichever the key can do, with a hash of the key's strength. */
  readonly scheme?: SigningScheme["kind"]
  readonly hash?: Exclude<HashName, "sha1">
  /** Hash of the attestation key's Name. By default sha256. */
  readonly nameAlg?: HashName
  /** TPMA_OBJECT of the attestation key. */
  readonly attributes?: number
  /** By default sha256 alone. */
  readonly banks?: readonly HashName[]
  /** What it quotes unless told otherwise. By default PCRs 0 to 9 of its first bank but SHA-1. */
  readonly selection?: readonly PcrSelection[]
  /** Milliseconds that the TPM's clock has run, added to what `advance` was given. By default none. */
  readonly uptimeMs?: () => number
  /** Takes the one key pair that the process has for the algorithm: fast, but such devices share their Name. */
  readonly sharedKeys?: boolean
}

/** The clock and the version, as a TPM reports them. */
export interface TpmState extends ClockInfo {
  readonly firmwareVersion: bigint
}

/** A structure and the attestation key's signature over it. */
export interface Signed {
  /** TPMS_ATTEST. */
  readonly attest: Uint8Array
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array
}

/** What to quote. */
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
  "rsa-4096": "sha256",
  p256: "sha256",
  p384: "sha384",
  p521: "sha512",
}
const DEFAULT_PCRS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
const FIRMWARE_VERSION = 0x0001_0000_0000_0002n

/**
 * A TPM 2.0 that is a few lines of software. It makes the structures that a real one makes and protects nothing:
 * its keys lie in this process's memory, and it signs what a restricted key refuses to sign, so that tests can forge.
 *
 * The attestation key is a primary key of the endorsement hierarchy.
 */
export class SoftwareTpm {
  readonly akPublic: Uint8Array
  readonly akName: Uint8Array
  readonly qualifiedName: Uint8Array
  readonly selection: readonly PcrSelection[]
  protected readonly pcrs: PcrBanks
  readonly #keys: KeyPair
  readonly #scheme: SigningScheme
  readonly #uptimeMs: () => number
  #state: TpmState = {
    clockMs: 0n,
    resetCount: 0,
    restartCount: 0,
    safe: true,
    firmwareVersion: FIRMWARE_VERSION,
  }

  constructor(options: SoftwareTpmOptions) {
    const { algorithm, nameAlg = "sha256", banks = ["sha256"] } = options
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
    this.pcrs = new PcrBanks(banks)
    const bank = banks.find((hash) => hash !== "sha1") ?? "sha1"
    this.selection = options.selection ?? [{ hash: bank, pcrs: DEFAULT_PCRS }]
    this.#uptimeMs = options.uptimeMs ?? (() => 0)
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

  /** Extends a PCR: by the digest of some bytes in every bank, or by given digests. */
  extend(pcr: number, dataOrDigests: Uint8Array | Digests): void {
    this.pcrs.extend(
      pcr,
      dataOrDigests instanceof Uint8Array ? this.pcrs.digestsOf(dataOrDigests) : dataOrDigests,
    )
  }

  /** The values of a selection, one after another. */
  pcrValues(selection: readonly PcrSelection[] = this.selection): Uint8Array {
    return this.pcrs.values(this.pcrs.selectable(selection))
  }

  /** TPM2_Quote. */
  quote({ extraData, selection = this.selection, tamper }: QuoteOptions): Signed {
    const select = this.pcrs.selectable(selection)
    const pcrDigest = digest(this.#scheme.hash, this.pcrs.values(select), "buffer")
    const body = encodeQuoted(select.map(rawSelection), pcrDigest)
    return this.#attestation(TPM_ST_ATTEST_QUOTE, extraData, body, tamper)
  }

  /** TPM2_Certify of another object, given by its TPM2B_PUBLIC; by default of the attestation key itself. */
  certify(
    extraData: Uint8Array,
    objectPublic: Uint8Array = this.akPublic,
    tamper?: QuoteOptions["tamper"],
  ): Signed {
    const { name, nameAlg } = parsePublic(objectPublic)
    const body = encodeCertified(name, qualifiedNameOf(u32(TPM_RH_ENDORSEMENT), name, nameAlg))
    return this.#attestation(TPM_ST_ATTEST_CERTIFY, extraData, body, tamper)
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
