/** Devices that attacks are made on or with, and the ways to forge their evidence. */
import type { AttestFields } from "../../src/device/encode.ts"
import {
  createSoftwareDevice,
  type QuoteOptions,
  type SoftwareDevice,
  type SoftwareDeviceOptions,
} from "../../src/device/software.ts"
import type { Code } from "../../src/errors.ts"
import type { RawEvidence, RawPcrBank } from "../../src/evidence/evidence.ts"
import type { Transcript } from "../../src/evidence/transcript.ts"
import type { FreshnessInput, VerifyInput } from "../../src/service/service.ts"
import { BOOT_PCRS, BOOT_SELECTION } from "./core.ts"
import { evidenceOver, type TestService } from "./service.ts"
import { type PolicyOptions, policyDocument } from "./world.ts"

/** A registered device that an attacker plays, or plays against. */
export interface Victim {
  /** Its id, and the name of its policy. */
  readonly id: string
  /** For the names of tests. */
  readonly label: string
  readonly device: SoftwareDevice
  /** Nothing for a device without one. */
  readonly policy: string | undefined
  /** The first finding of its honest answers, for a device that gets no session however honest it is. */
  readonly verdict?: Code
}

/** Firmware that measures into three banks. */
const BANKS = ["sha1", "sha256", "sha384"] as const

/** A device with the key that this process shares for its algorithm: two with the same key and scheme are twins. */
export const attackedDevice = (options: SoftwareDeviceOptions): SoftwareDevice =>
  createSoftwareDevice({
    banks: BANKS,
    selection: BOOT_SELECTION,
    sharedKeys: true,
    ...options,
  })

/** A device that its policy lets in exactly as it is now. */
export const victimOf = (
  id: string,
  label: string,
  device: SoftwareDevice,
  policy: PolicyOptions = {},
): Victim => ({
  id,
  label,
  device,
  policy: policyDocument(device, { ...policy, name: id }),
})

export const RSASSA = victimOf("rsassa", "RSA-2048 RSASSA", attackedDevice({ algorithm: "rsa-2048" }))
/** Of two banks, both required. */
export const RSAPSS = victimOf(
  "rsapss",
  "RSA-2048 RSAPSS",
  attackedDevice({
    algorithm: "rsa-2048",
    scheme: "rsapss",
    selection: [
      { hash: "sha256", pcrs: BOOT_PCRS },
      { hash: "sha384", pcrs: BOOT_PCRS },
    ],
  }),
  { banks: ["sha256", "sha384"] },
)
export const P256 = victimOf("p256", "P-256", attackedDevice({ algorithm: "p256" }))
/** Of the SHA-384 bank. */
export const P384 = victimOf(
  "p384",
  "P-384",
  attackedDevice({ algorithm: "p384", selection: [{ hash: "sha384", pcrs: BOOT_PCRS }] }),
  { banks: ["sha384"] },
)
/** Every kind of key that Assay verifies, over one bank, another and both. */
export const VICTIMS: readonly Victim[] = [RSASSA, RSAPSS, P256, P384]

/** A reference set of a policy document. */
export interface Release {
  readonly name: string
  readonly pcrs: Readonly<Record<string, Readonly<Record<string, string>>>>
}

/** The policy document with other reference sets. */
export const withReleases = (document: string, references: readonly Release[]): string =>
  JSON.stringify({ ...JSON.parse(document), references })

/** An answer to a challenge. */
export type Answer = VerifyInput & {
  readonly freshness: Extract<FreshnessInput, { readonly kind: "challenge" }>
}

/** What an attacker has in hand: a challenge, and the honest answer of the device that it was made for. */
export interface Attempt {
  readonly world: TestService
  readonly device: SoftwareDevice
  readonly transcript: Transcript
  /** What the quote has to be over. */
  readonly extraData: Uint8Array
  readonly honest: Answer
}

/** The honest answer with another quote. */
export const quoting =
  (options: Partial<QuoteOptions>) =>
  ({ honest, device, extraData }: Attempt): VerifyInput => ({
    ...honest,
    evidence: evidenceOver(device, extraData, options),
  })

/** The honest answer with its structure changed before the key signed it. */
export const tampered = (change: (fields: AttestFields) => AttestFields | Uint8Array) =>
  quoting({ tamper: change })

/** The honest answer with what is beside the quote changed, or the quote after it was signed. */
export const showing =
  (change: (evidence: RawEvidence, attempt: Attempt) => Partial<RawEvidence>) =>
  (attempt: Attempt): VerifyInput => ({
    ...attempt.honest,
    evidence: { ...attempt.honest.evidence, ...change(attempt.honest.evidence, attempt) },
  })

/** As `showing`, for the PCR values alone. */
export const showingBanks = (change: (banks: readonly RawPcrBank[]) => readonly RawPcrBank[]) =>
  showing(({ pcrBanks }) => ({ pcrBanks: change(pcrBanks) }))

/** The answer of another device with the same key, whose clock is the victim's. */
export const answeredBy =
  (twin: SoftwareDevice, options: Partial<QuoteOptions> = {}) =>
  ({ honest, device, extraData }: Attempt): VerifyInput => {
    twin.setState(device.state)
    return { ...honest, evidence: evidenceOver(twin, extraData, options) }
  }
