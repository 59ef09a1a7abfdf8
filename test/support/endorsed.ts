/** Devices whose keys are vouched for by certificates, and attacks on them through the whole service. */

import { hash } from "node:crypto"
import type { suite } from "uvu"
import * as assert from "uvu/assert"
import type { SoftwareDevice } from "../../src/device/software.ts"
import { AssayError, type ChallengeState, CODES, type Code } from "../../src/errors.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import type { AttestationResult } from "../../src/result/result.ts"
import type { TrustImport } from "../../src/service/ports.ts"
import type { EndorsementInput, VerifyInput } from "../../src/service/service.ts"
import { createKeyObject } from "../../src/verification/key.ts"
import { type Attack, malformed, type Refusal, refuses, spent } from "./attack.ts"
import type { Authority } from "./crl.ts"
import { newAct } from "./ports/samples.ts"
import { type Scene, sceneFor, watch } from "./scene.ts"
import { answered, GATEWAY, type ServiceOptions, type TestService } from "./service.ts"
import { showing, VICTIMS, type Victim } from "./victim.ts"
import { type PolicyOptions, policyDocument } from "./world.ts"
import {
  AK_EXTENSIONS,
  type CertificateParts,
  type ChainChanges,
  caExtensions,
  INTERMEDIATE_KEYS,
  INTERMEDIATE_NAME,
  type Keys,
  LEAF_KEYS,
  makeCertificate,
  makeChain,
  ROOT_KEYS,
  ROOT_NAME,
  seq,
  time,
} from "./x509.ts"

/** What of a device its certificate is made of. */
type Certified = Pick<Victim["device"], "akPublic">

/** Who issued TEST_ANCHOR, and the intermediate of every chain that `makeChain` makes. */
export const ROOT: Authority = { name: ROOT_NAME, keys: ROOT_KEYS }
export const INTERMEDIATE: Authority = { name: INTERMEDIATE_NAME, keys: INTERMEDIATE_KEYS }

/** SubjectPublicKeyInfo of a device's attestation key. */
export const spkiOf = ({ akPublic }: Certified): Uint8Array =>
  new Uint8Array(createKeyObject(parsePublic(akPublic).key).export({ type: "spki", format: "der" }))

/** A device's attestation key, as a certificate of it needs it. It signs nothing here. */
export const keysOf = (device: Certified): Keys => ({ ...LEAF_KEYS, spki: spkiOf(device) })

/** A chain that binds a device's key below TEST_ANCHOR, but for the changes: the leaf and its issuer. */
export const akChainOf = (device: Certified, changes: ChainChanges = {}): Uint8Array[] => {
  const { leaf, intermediate } = makeChain("ak", { leafKeys: keysOf(device), ...changes })
  return [leaf, intermediate]
}

/** A chain of some endorsement key below TEST_ANCHOR, but for the changes: the leaf and its issuer. */
export const ekChainOf = (
  leaf: Partial<CertificateParts> = {},
  intermediate: Partial<CertificateParts> = {},
): Uint8Array[] => {
  const chain = makeChain("ek", { leaf, intermediate })
  return [chain.leaf, chain.intermediate]
}

/** A certificate of `subject`, a CA unless the extensions say otherwise, by `issuer`. */
export const caOf = (
  subject: Authority,
  issuer: Authority,
  extensions: readonly Uint8Array[] = caExtensions(),
  changed: Partial<CertificateParts> = {},
): Uint8Array => makeCertificate(subject.keys, issuer.keys, subject.name, issuer.name, extensions, changed)

/** A certificate of a device's attestation key by `issuer`. */
export const leafOf = (
  device: Certified,
  issuer: Authority,
  changed: Partial<CertificateParts> = {},
): Uint8Array => makeCertificate(keysOf(device), issuer.keys, seq(), issuer.name, AK_EXTENSIONS, changed)

/** How the trust store names a certificate. */
export const idOf = (der: Uint8Array): string => hash("sha256", der, "hex")

/** What the alternative name of `makeChain`'s leaves says about the TPM. */
export const TPM_ATTRIBUTES = {
  "2.23.133.2.1": "id:49465800",
  "2.23.133.2.2": "SLB 9670",
  "2.23.133.2.3": "id:00070055",
} as const

/** A certificate's validity. */
export const validity = (from: Date, to: Date): Uint8Array => seq(time(from), time(to))

/** An RSA modulus of 2048 bits with the ROCA fingerprint: github.com/badkeys/badkeys, tests/data/rsa-roca.key. */
export const ROCA_MODULUS = new Uint8Array(
  Buffer.from(
    "kTKtIR_MDftNrkgyashkwifks5Swm9HEkw4ZcCijyQdpTStInk9pdUrq4zjG6tk5xX9AaYXLu47fmiBVzClGvAXTZbpn6JbG1IERUs-i0pBRT5CzUu7vJ_63L72NzVvJFaT0SUE5zByhCjJE-pflMnX1e1UptOdnN5AHeY4RKkugVse3XO2xMs3yH3vTyZdtnaOIFRU0d6E7PrsgRtEAqFHcAGmPUw0ZOW8A--8sS_FlnrxMf9lVa1_8k_A8otPfrNIipfAoq0MKJ-oxE2wML1DDxIGTGmNaN3gPANJyeuca7ptA-NGq5oU1x3pWMXgSvrVSXUooNk8xIkrKxSz3LQ",
    "base64url",
  ),
)

/** Nothing that vouches for a device, but for what is given. */
export const endorsedBy = (given: Partial<EndorsementInput>): EndorsementInput => ({
  ekCertificateChain: [],
  akCertificateChain: [],
  ekPublic: undefined,
  ...given,
})

/** What a policy of `policyDocument` says, and what it says of endorsement keys. */
export interface EndorsedPolicy extends PolicyOptions {
  readonly ek?: Readonly<Record<string, unknown>>
}

/** Registers a device with what vouches for it, and a policy of its own. */
export const enrollEndorsed = async (
  { service }: TestService,
  device: SoftwareDevice,
  { ek = {}, ...policy }: EndorsedPolicy = {},
  endorsement: Partial<EndorsementInput> = {},
  id = "device-1",
): Promise<void> => {
  const { akPublic, qualifiedName } = device
  await service.registerDevice({ id, akPublic, qualifiedName, endorsement: endorsedBy(endorsement) }, GATEWAY)
  const document = { ...JSON.parse(policyDocument(device, { ...policy, name: id })), ek }
  await service.setPolicy(JSON.stringify(document), GATEWAY)
  await service.assignPolicy({ policy: id, device: id }, GATEWAY)
}

/** The main job, with certificates of the attestation key in the evidence. */
export const attestShowing = async (
  world: TestService,
  device: SoftwareDevice,
  akCertificateChain: readonly Uint8Array[] = [],
): Promise<AttestationResult> => {
  world.advance(1000)
  device.advance(1000)
  return world.service.verify(await answerShowing(world, device, akCertificateChain), GATEWAY)
}

/** A device's answer to a new challenge, with certificates of its attestation key. */
export const answerShowing = async (
  { service }: TestService,
  device: SoftwareDevice,
  akCertificateChain: readonly Uint8Array[] = akChainOf(device),
): Promise<VerifyInput> => {
  const answer = await answered(service, device)
  return { ...answer, evidence: { ...answer.evidence, akCertificateChain } }
}

/** U1 to U3 of a call that `device-1` makes: an error with its code, no token, no record, and the challenge as it says. */
export const refusesCall = async (
  { service, registry, journal }: TestService,
  input: VerifyInput,
  { code, ends, challenge }: Refusal,
): Promise<void> => {
  const stateOf = async () => [await registry.device("default", "device-1"), await journal.records("default")]
  const before = await stateOf()
  const [outcome] = await Promise.allSettled([service.verify(input, GATEWAY)])
  if (outcome.status === "fulfilled") throw new Error(`an answer, ${outcome.value.tier}`)
  const error = outcome.reason
  if (!(error instanceof AssayError)) throw error
  assert.equal([error.code, error.kind, error.challenge], [code, ends, challenge])
  assert.equal(await stateOf(), before)
}

/** Imports of nothing, for what a test imports. */
export const NOTHING: TrustImport = { anchors: [], intermediates: [], crls: [], eks: [] }

/** Puts lists into the trust, each of a source of its own. */
export const importCrls = async (
  { trust, now }: TestService,
  ...crls: readonly Uint8Array[]
): Promise<void> => {
  const lists = crls.map((crl) => ({ source: `import:${idOf(crl)}`, id: idOf(crl), crl }))
  await trust.importTrust("default", { ...NOTHING, crls: lists }, newAct("import-trust", { at: now() }))
}

type Suite = ReturnType<typeof suite>

/** A scene whose service trusts more than TEST_ANCHOR. */
export const trustingScene = (
  test: Suite,
  prepare: (world: TestService) => void | Promise<void>,
  victims: readonly Victim[] = VICTIMS,
  options: ServiceOptions = {},
): (() => Promise<Scene>) => {
  const scene = sceneFor(test, victims, options)
  let prepared: Promise<void> | undefined
  return async () => {
    const made = await scene()
    prepared ??= Promise.resolve(prepare(made.world))
    await prepared
    return made
  }
}

/** A chain that certifies, or pretends to certify, the attestation key of a device at an instant. */
export type MakeChain = (device: Victim["device"], now: Date) => readonly Uint8Array[]

/** The usual chain, of another key. */
export const certifying =
  (spki: Uint8Array): MakeChain =>
  (device) =>
    akChainOf(device, { leaf: { spki } })

/** One variant of a class: a chain, and how it is refused if not as usual for the class. */
export type ChainRow = readonly [name: string, of: Victim, chain: MakeChain, refusal?: Refusal]

/** Malformed in the certificate at this index of the chain. */
export const malformedAt = (code: Code, index = 0): Refusal => ({
  ...malformed(code),
  location: `evidence.tpm.ak_certificate_chain[${index}]`,
})

/** A limit that is reached before anything is proven, and one that is reached after. */
export const limitUnspent = (code: Code): Refusal => ({ code, ends: "exhausted", challenge: "unspent" })
export const limitSpent = (code: Code): Refusal => ({ code, ends: "exhausted", challenge: "spent" })
export const unavailable = (code: Code, challenge: ChallengeState): Refusal => ({
  code,
  ends: "unavailable",
  challenge,
})

/** A chain shown with honest evidence. */
export const showingChain = (chain: MakeChain): Attack["forge"] =>
  showing((_, { device, world }) => ({ akCertificateChain: chain(device, world.now()) }))

/** A device that comes to be registered with a chain of a key, and is not: U2 and U4. */
const refusesRegistration = async (
  scene: Scene,
  { device }: Victim,
  chain: MakeChain,
  { code, location }: Refusal,
): Promise<void> => {
  const { service, now } = scene.world
  const { akPublic, qualifiedName } = device
  const endorsement = endorsedBy({ akCertificateChain: chain(device, now()) })
  const { outcomes, journaled } = await watch(scene, [
    () => service.registerDevice({ id: "newcomer", akPublic, qualifiedName, endorsement }, GATEWAY),
  ])
  const [outcome] = outcomes
  const error = outcome?.status === "rejected" ? outcome.reason : undefined
  if (!(error instanceof AssayError)) throw error ?? new Error("it was registered")
  assert.is(error.code, code, error.message)
  assert.is(error.kind, CODES[code].kind)
  if (location !== undefined) assert.is(error.location, location.replace("evidence.tpm.", ""))
  assert.equal(journaled, [])
}

/**
 * Two tests for each row of a class: evidence that carries the chain, with U1 to U4 after it, and a registration with the
 * same chain.
 */
export const chainTable = (
  test: Suite,
  id: string,
  usual: Refusal | Code,
  rows: readonly ChainRow[],
  scene: () => Promise<Scene>,
): void => {
  for (const [name, of, chain, own] of rows) {
    const refusal = own ?? (typeof usual === "string" ? spent(usual) : usual)
    test(`refuses ${id} ${name}, ${of.label}`, async () =>
      refuses(await scene(), { name, of, forge: showingChain(chain), refusal }))
    test(`refuses ${id} ${name}, at registration`, async () =>
      refusesRegistration(await scene(), of, chain, refusal))
  }
}
