/** What the tests of the core share: a device, its evidence, the way from evidence to claims, and a policy that accepts it. */
import { type CompiledPolicy, compilePolicy } from "../../src/appraisal/compile.ts"
import { type Policy, parsePolicy } from "../../src/appraisal/policy.ts"
import type { Circumstances, Rule } from "../../src/appraisal/rules/rule.ts"
import { toHex } from "../../src/bytes.ts"
import { createSoftwareDevice, type QuoteOptions, type SoftwareDevice } from "../../src/device/software.ts"
import type { Code } from "../../src/errors.ts"
import {
  type Evidence,
  parseEvidence,
  parseSentLog,
  type RawEvidence,
  type RawPcrBank,
} from "../../src/evidence/evidence.ts"
import type { PcrValues } from "../../src/evidence/tpm/pcrs.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import type { PcrSelection } from "../../src/evidence/tpm/selection.ts"
import { type Claims, verifyClaims } from "../../src/verification/claims.ts"
import { type AttestationKey, createAttestationKey } from "../../src/verification/key.ts"
import { createLogOutcome } from "../../src/verification/log-outcome.ts"
import { proveQuote, verifyPcrs } from "../../src/verification/quote.ts"
import type { Verified } from "../../src/verification/verified.ts"

/** What a quote is asked over: any 32 bytes. */
export const NONCE = new Uint8Array(32).fill(0xa5)
export const BOOT_PCRS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7]
export const BOOT_SELECTION: readonly PcrSelection[] = [{ hash: "sha256", pcrs: BOOT_PCRS }]

/** A device with a P-256 key and a sha256 bank, booted once. Its key is the same in all tests of a file. */
export const p256Device = (): SoftwareDevice =>
  createSoftwareDevice({ algorithm: "p256", sharedKeys: true, selection: BOOT_SELECTION })

/** As `p256Device`, with an RSA-2048 key. */
export const rsaDevice = (): SoftwareDevice =>
  createSoftwareDevice({ algorithm: "rsa-2048", sharedKeys: true, selection: BOOT_SELECTION })

/** The attestation key of a device, as it was registered. */
export const keyOf = (device: { readonly akPublic: Uint8Array }): Verified<AttestationKey> =>
  createAttestationKey(parsePublic(device.akPublic))

/** What a device shows when it is asked over NONCE. */
export const evidenceOf = (
  device: SoftwareDevice,
  options: Omit<QuoteOptions, "extraData"> = {},
): RawEvidence => ({ akName: device.akName, ...device.attest({ extraData: NONCE, ...options }) })

/** The same with the banks' values as one change makes them. */
export const withBanks = (
  evidence: RawEvidence,
  change: (banks: readonly RawPcrBank[]) => readonly RawPcrBank[],
): RawEvidence => ({ ...evidence, pcrBanks: change(evidence.pcrBanks) })

/** All of the core up to the claims, in the order of the service, over NONCE. */
export const claimsOf = (
  evidence: RawEvidence,
  ak: Verified<AttestationKey>,
  expected: { readonly extraData?: Uint8Array; readonly qualifiedSigner?: Uint8Array } = {},
): Verified<Claims> => {
  const parsed = parseEvidence(evidence)
  const { extraData = NONCE, qualifiedSigner } = expected
  return verifyClaims(proveQuote(parsed, ak, { extraData, qualifiedSigner }), shownIn(parsed), ak)
}

/** PCR values and log of evidence that has its log with it. */
const shownIn = ({ pcrs, log }: Evidence) => ({
  pcrs,
  eventLog: log.kind === "sent" ? createLogOutcome(() => parseSentLog(log.bytes)) : undefined,
})

/** The PCR values of a device, proven by a quote alone. */
export const pcrsOf = (device: SoftwareDevice, selection = BOOT_SELECTION): Verified<PcrValues> => {
  const parsed = parseEvidence(evidenceOf(device, { selection }))
  const quote = proveQuote(parsed, keyOf(device), { extraData: NONCE, qualifiedSigner: undefined })
  return verifyPcrs(quote, parsed.pcrs)
}

/** The claims of a device as it is now. */
export const claimsOfDevice = (
  device: SoftwareDevice,
  options: Omit<QuoteOptions, "extraData"> = {},
): Verified<Claims> => claimsOf(evidenceOf(device, options), keyOf(device))

/** Claims that every rule of `policyWith({})` accepts. Rule tests change one member. */
export const goodClaims: Verified<Claims> = claimsOfDevice(p256Device())

/** The values of one bank as a policy document spells them. */
export const referencesOf = ({ pcrs }: Claims, bank: "sha256" | "sha384" | "sha512" = "sha256") =>
  Object.fromEntries([...(pcrs.get(bank) ?? [])].map(([pcr, value]) => [String(pcr), toHex(value)]))

const baseDocument = () => ({
  version: 1,
  name: "fleet",
  evidence: { banks: ["sha256"], pcrs: [...BOOT_PCRS], eventLog: "required" },
  references: [{ name: "release-1", pcrs: { sha256: referencesOf(goodClaims) } }],
  ak: { binding: "operator" },
  session: { lifetimeSeconds: 600, admit: "warning", audiences: ["gateway"] },
})

/** A policy document with members changed by their paths (`"evidence.pcrs"`, `"references.0.name"`); undefined removes one. */
export const documentWith = (changes: Readonly<Record<string, unknown>>): string => {
  const root: unknown = baseDocument()
  for (const [path, value] of Object.entries(changes)) {
    const names = path.split(".")
    const last = names.pop() ?? ""
    let parent = root
    for (const name of names) {
      if (memberOf(parent, name) === undefined) setMember(parent, name, {})
      parent = memberOf(parent, name)
    }
    setMember(parent, last, value)
  }
  return JSON.stringify(root)
}

const memberOf = (parent: unknown, name: string): unknown =>
  typeof parent === "object" && parent !== null ? Reflect.get(parent, name) : undefined

const setMember = (parent: unknown, name: string, value: unknown): void => {
  if (typeof parent !== "object" || parent === null) throw new TypeError(`no place for ${name}`)
  if (value === undefined) Reflect.deleteProperty(parent, name)
  else Reflect.defineProperty(parent, name, { value, enumerable: true, configurable: true, writable: true })
}

/** The policy of `documentWith`. */
export const policyWith = (changes: Readonly<Record<string, unknown>> = {}): Policy =>
  parsePolicy(documentWith(changes))

/** The same, ready to judge by. */
export const compiledWith = (changes: Readonly<Record<string, unknown>> = {}): CompiledPolicy =>
  compilePolicy(policyWith(changes))

/** When the evidence of tests may have been made at the earliest, and an instant before it. */
export const FRESH_SINCE = new Date("2026-11-21T12:00:00Z")
export const EARLIER = new Date("2026-11-21T11:00:00Z")

/** Nothing known from before, and a session for the audience of the policy. */
export const CIRCUMSTANCES: Circumstances = {
  before: undefined,
  freshSince: FRESH_SINCE,
  advisories: [],
  freshness: "challenge",
  state: "active",
  audience: "gateway",
}

/** What a rule finds, in short: its tier, and its code if it has one. */
export const verdictOf = (
  rule: Rule,
  claims: Partial<Claims> = {},
  changes: Readonly<Record<string, unknown>> = {},
  circumstances: Partial<Circumstances> = {},
): readonly [tier: string, code: Code | undefined] => {
  const judge = rule(policyWith(changes))
  const finding = judge({ ...goodClaims, ...claims }, { ...CIRCUMSTANCES, ...circumstances })
  return [finding.tier, finding.code]
}

/** A copy with one byte changed by exclusive or. */
export const flipped = (bytes: Uint8Array, at: number, mask = 0x01): Uint8Array =>
  bytes.map((byte, i) => (i === at ? byte ^ mask : byte))
