/** K-01 and K-02 against enrollment: keys that are no attestation keys, and keys that live in no TPM that anybody knows. */
import { randomBytes } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { SoftwareDevice } from "../../src/device/software.ts"
import { AssayError, CODES, type Code } from "../../src/errors.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import { activationMac, enrollmentExtraData } from "../../src/evidence/transcript.ts"
import type { ShownKeys } from "../../src/service/enroll-keys.ts"
import { areaWith, WRONG_ATTRIBUTES, withAttributes } from "../support/areas.ts"
import { rejectsCode } from "../support/assert.ts"
import { akChainOf } from "../support/endorsed.ts"
import { assertUnknown, enrollAttacks } from "../support/enroll-attack.ts"
import { begin, certifiedBy, secretOf, shownBy } from "../support/enrolling.ts"
import { ekChainFor, newcomer } from "../support/newcomer.ts"
import { newAct, newDevice, SETUP } from "../support/ports/samples.ts"
import { type Scene, sceneFor, watch } from "../support/scene.ts"
import { answered, evidenceOver, GATEWAY, withService } from "../support/service.ts"
import { AK_EXTENSIONS, tpmName, withExtensions } from "../support/x509.ts"

const test = suite("attacks by keys that come to enroll")
const scene = sceneFor(test, [])

/** A first step that is refused, with U1, U2 and U4 after it: no device, no record, and nothing kept. */
const refusesToBegin = async (
  made: Scene,
  device: SoftwareDevice,
  keys: ShownKeys,
  code: Code,
): Promise<AssayError> => {
  const { outcomes, journaled } = await watch(made, [
    () => made.world.service.beginEnrollment({ keys, claimedName: "" }, GATEWAY),
  ])
  const [outcome] = outcomes
  const error: unknown = outcome?.status === "rejected" ? outcome.reason : undefined
  if (!(error instanceof AssayError)) throw error ?? new Error(`expected ${code}, and it began`)
  assert.is(error.code, code, error.message)
  assert.equal(journaled, [])
  await assertUnknown(made.world, device.akName)
  return error
}

const ecc = newcomer()
const rsa = newcomer({ algorithm: "rsa-2048", sharedKeys: true, ekTemplate: "L-2" })

for (const [name, change] of WRONG_ATTRIBUTES)
  test(`refuses K-01 a key ${name}`, async () => {
    const shown = await shownBy(ecc, { akPublic: withAttributes(ecc.akPublic, change) })
    await refusesToBegin(await scene(), ecc, shown, "AK_ATTRIBUTES")
  })

const weak: readonly (readonly [
  name: string,
  device: SoftwareDevice,
  changes: Parameters<typeof areaWith>[1],
])[] = [
  ["without a scheme: it signs by any", ecc, { scheme: undefined }],
  ["that signs with SHA-1", ecc, { scheme: { kind: "ecdsa", hash: "sha1" } }],
  ["that signs with SHA-1, of RSA", rsa, { scheme: { kind: "rsassa", hash: "sha1" } }],
  ["whose Name is made with SHA-1", ecc, { nameAlg: "sha1" }],
  ["of one kind with the scheme of another", ecc, { scheme: { kind: "rsassa", hash: "sha256" } }],
]
for (const [name, device, changes] of weak)
  test(`refuses K-01 a key ${name}`, async () => {
    const shown = await shownBy(device, { akPublic: areaWith(device.akPublic, changes) })
    await refusesToBegin(await scene(), device, shown, "SIG_ALG")
  })

for (const [name, change] of WRONG_ATTRIBUTES)
  test(`refuses K-01 a key ${name} with a certificate that calls it an attestation key`, async () => {
    const keys = certifiedBy(ecc, { akPublic: withAttributes(ecc.akPublic, change) })
    await refusesToBegin(await scene(), ecc, keys, "AK_ATTRIBUTES")
  })

/** At use: what nobody let in, and is in the store all the same. */
for (const [name, change] of WRONG_ATTRIBUTES)
  test(`refuses K-01 a stored key ${name}, when it is used`, () =>
    withService(async (world) => {
      const device = newcomer({ attributes: parsePublic(withAttributes(ecc.akPublic, change)).attributes })
      const { bytes: akPublic, name: akName } = parsePublic(device.akPublic)
      const act = newAct("register-device", { caller: SETUP })
      await world.registry.registerDevice({ ...newDevice("smuggled"), akPublic, akName }, act)
      const error = await rejectsCode(
        async () => world.service.verify(await answered(world.service, device), GATEWAY),
        "REGISTRY",
      )
      assert.is(error.challenge, "unspent")
      assert.equal(await world.journal.records("default"), [])
    }))

// K-02: a genuine endorsement key, and an attestation key that lives elsewhere.

const genuine = newcomer()
/** An attacker shows another's certificates, which are public, and a key of his own. */
const borrowed = async (device: SoftwareDevice) => ({
  keys: await shownBy(device, {
    ekPublic: await genuine.ekPublic(),
    ekCertificateChain: await ekChainFor(genuine),
  }),
})

test("refuses K-02 to open the credential in a TPM that does not hold the endorsement key", async () => {
  const { world } = await scene()
  const attacker = newcomer()
  const begun = await begin(world, attacker, await borrowed(attacker))
  await rejectsCode(() => secretOf(attacker, begun), "TPM")
  await rejectsCode(() => secretOf(genuine, begun), "TPM") // nor does the genuine one, which holds no such key
})

/** What an attacker without the secret can send. */
const withoutSecret: readonly (readonly [
  name: string,
  code: Code,
  activation: "none" | "mac" | "secret" | "empty",
])[] = [
  ["no answer to the credential", "AK_BINDING", "none"],
  ["an invented HMAC", "ACTIVATION", "mac"],
  ["an invented secret", "ACTIVATION", "secret"],
  ["the HMAC by an empty secret", "ACTIVATION", "empty"],
]
for (const [name, code, kind] of withoutSecret)
  test(`refuses K-02 another TPM's certificates beside a key of one's own: ${name}`, async () => {
    const made = await scene()
    const attacker = newcomer()
    const begun = await begin(made.world, attacker, await borrowed(attacker))
    const { random, tenant, ekDigest } = begun.transcript
    const transcript = { random, tenant, ekDigest, akName: attacker.akName }
    const activation = {
      none: undefined,
      mac: { kind: "mac", value: new Uint8Array(randomBytes(32)) },
      secret: { kind: "secret", value: new Uint8Array(randomBytes(32)) },
      empty: { kind: "mac", value: activationMac(new Uint8Array(), transcript) },
    } as const
    const input = {
      enrollment: begun.sealed,
      activation: activation[kind],
      evidence: { ...evidenceOver(attacker, enrollmentExtraData(transcript)), eventLog: undefined },
    }
    const { outcomes, journaled } = await watch(made, [
      () => made.world.service.completeEnrollment(input, GATEWAY),
    ])
    const [outcome] = outcomes
    assert.is(outcome?.status === "rejected" && outcome.reason.code, code)
    assert.equal(
      journaled.map(({ outcome: how, codes }) => [how, codes]),
      [["refused", [code]]],
    )
    await assertUnknown(made.world, attacker.akName)
  })

enrollAttacks(
  test,
  "K-02",
  [
    {
      name: "an answer without what the credential says",
      forge: ({ honest }) => ({ ...honest, activation: undefined }),
      refusal: { code: "AK_BINDING" },
    },
    {
      name: "a quote by another key, under its own Name",
      forge: ({ honest, transcript }) => ({
        ...honest,
        evidence: { ...evidenceOver(genuine, enrollmentExtraData(transcript)), eventLog: undefined },
      }),
      refusal: { code: "AK_BINDING" },
    },
    {
      name: "a quote by another key, under this one's Name",
      forge: ({ honest, transcript, device }) => ({
        ...honest,
        evidence: {
          ...evidenceOver(genuine, enrollmentExtraData(transcript)),
          eventLog: undefined,
          akName: device.akName,
        },
      }),
      refusal: { code: "SIGNATURE" },
    },
    {
      name: "a certification of the key in place of its quote",
      forge: ({ honest, transcript, device }) => ({
        ...honest,
        evidence: { ...honest.evidence, ...device.certify(enrollmentExtraData(transcript)) },
      }),
      refusal: { code: "ATTEST_TYPE" },
    },
    {
      name: "a proof of creation in place of its quote",
      forge: ({ honest, transcript, device }) => ({
        ...honest,
        evidence: { ...honest.evidence, ...device.certifyCreation(enrollmentExtraData(transcript)) },
      }),
      refusal: { code: "ATTEST_TYPE" },
    },
    {
      name: "PCR values that were not quoted",
      forge: ({ honest }) => ({
        ...honest,
        evidence: {
          ...honest.evidence,
          pcrBanks: honest.evidence.pcrBanks.map(({ hash, values }) => ({
            hash,
            values: values.map((b) => b ^ 1),
          })),
        },
      }),
      refusal: { code: "PCR_DIGEST" },
    },
    {
      name: "a certified attestation key without a quote by it",
      coming: (device) => ({ keys: certifiedBy(device) }),
      forge: ({ honest, transcript, device }) => ({
        ...honest,
        evidence: {
          ...evidenceOver(genuine, enrollmentExtraData(transcript)),
          eventLog: undefined,
          akName: device.akName,
        },
      }),
      refusal: { code: "SIGNATURE" },
    },
    {
      name: "a key under another parent than it was said to have",
      coming: async (device) => ({ keys: await shownBy(device, { qualifiedName: genuine.qualifiedName }) }),
      forge: ({ honest }) => honest,
      refusal: { code: "QUALIFIED_SIGNER", afterwards: "QUALIFIED_SIGNER" },
    },
  ],
  scene,
)

const unvouched: readonly (readonly [
  name: string,
  code: Code,
  keys: (device: SoftwareDevice) => ShownKeys | Promise<ShownKeys>,
])[] = [
  ["nothing that vouches for it", "EK_MISSING", (device) => certifiedBy(device, { akCertificateChain: [] })],
  [
    "an endorsement key that is neither certified nor listed",
    "UNTRUSTED_ROOT",
    (device) => shownBy(device, { ekCertificateChain: [] }),
  ],
  [
    "another endorsement key's certificate than it shows",
    "EK_TEMPLATE",
    async (device) => shownBy(device, { ekCertificateChain: await ekChainFor(genuine) }),
  ],
  [
    "the certificate of another attestation key",
    "AK_NAME",
    (device) => certifiedBy(device, { akCertificateChain: akChainOf(genuine) }),
  ],
  [
    "a genuine endorsement key, and the certificate of another attestation key",
    "AK_NAME",
    (device) => shownBy(device, { akCertificateChain: akChainOf(genuine) }),
  ],
  [
    "a genuine endorsement key of one maker, and an attestation key that another certified",
    "NAME",
    (device) => {
      const named = tpmName({ "2.23.133.2.1": "id:53544D20", "2.23.133.2.2": "x", "2.23.133.2.3": "id:1" })
      const leaf = { extensions: withExtensions(AK_EXTENSIONS, named) }
      return shownBy(device, { akCertificateChain: akChainOf(device, { leaf }) })
    },
  ],
  [
    "the endorsement key's certificate as the attestation key's",
    "KEY_USAGE",
    async (device) => certifiedBy(device, { akCertificateChain: await ekChainFor(device) }),
  ],
  [
    "the attestation key's certificate as the endorsement key's",
    "KEY_USAGE",
    (device) => certifiedBy(device, { akCertificateChain: [], ekCertificateChain: akChainOf(device) }),
  ],
  [
    "its own attestation key as the endorsement key",
    "EK_TEMPLATE",
    (device) => shownBy(device, { ekPublic: device.akPublic, ekCertificateChain: [] }),
  ],
  [
    "an endorsement key that signs",
    "EK_TEMPLATE",
    async (device) =>
      shownBy(device, { ekPublic: withAttributes(await device.ekPublic(), (all) => all | (1 << 18)) }),
  ],
]
for (const [name, code, keys] of unvouched)
  test(`refuses K-02 a key with ${name}`, async () => {
    const device = newcomer()
    const error = await refusesToBegin(await scene(), device, await keys(device), code)
    assert.is(error.kind, CODES[code].kind)
  })

test.run()
