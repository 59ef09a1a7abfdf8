import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import type { SoftwareDevice, SoftwareDeviceOptions } from "../../src/device/software.ts"
import { AssayError, type Code } from "../../src/errors.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import type { ShownKeys } from "../../src/service/enroll-keys.ts"
import type { Ports } from "../../src/service/ports.ts"
import { rejectsCode } from "../support/assert.ts"
import { authority, unknownExtension } from "../support/crl.ts"
import { akChainOf, caOf, ROCA_MODULUS, ROOT, validity } from "../support/endorsed.ts"
import { answerOf, begin, certifiedBy, distrusts, secretOf, shownBy, trusts } from "../support/enrolling.ts"
import { ekChainFor, ekDigestOf, newcomer, spkiOfArea } from "../support/newcomer.ts"
import { GATEWAY, NONE_DENIED, START, type TestService, withService } from "../support/service.ts"
import {
  caExtensions,
  EK_EXTENSIONS,
  integer,
  LEAF_KEYS,
  makeCertificate,
  rsaSpki,
  seq,
  tlv,
} from "../support/x509.ts"

const test = suite("createBeginEnrollment")

const device = newcomer()
const strangerCa = authority("Stranger Intermediate")
const long = (size: number): Uint8Array => tlv(0x30, new Uint8Array(size))

const ROUTES: readonly (readonly [name: string, options: Partial<SoftwareDeviceOptions>])[] = [
  ["RSA-2048 of the low range", { ekTemplate: "L-1" }],
  ["P-256 of the low range", { ekTemplate: "L-2" }],
  ["P-256 of the high range", { ekTemplate: "H-2" }],
  ["P-384", { ekTemplate: "H-3" }],
  ["P-521", { ekTemplate: "H-4" }],
]
for (const [name, options] of ROUTES)
  test(`makes a credential that the TPM of a certified endorsement key opens, ${name}`, () =>
    withService(async (world) => {
      const own = newcomer(options)
      const begun = await begin(world, own)
      assert.is((await secretOf(own, begun)).length, 32)
      assert.is(toHex(begun.transcript.ekDigest), toHex(await ekDigestOf(own)))
      assert.is(toHex(begun.transcript.akName), toHex(own.akName))
      assert.is(begun.transcript.random.length, 32)
      assert.is(begun.transcript.tenant, "default")
      assert.equal(begun.expiresAt, new Date(START.getTime() + 300_000))
    }))

test("takes the certificate alone for a key of the low range, and nothing that the device left out", () =>
  withService(async (world) => {
    const begun = await begin(world, device, { keys: await shownBy(device, { ekPublic: undefined }) })
    await secretOf(device, begun)
  }))

const list = (world: TestService, digest: Uint8Array): Promise<void> =>
  trusts(world, { eks: [{ digest, label: "rack 4" }] })

test("takes an endorsement key that is on the list, without a certificate", () =>
  withService(async (world) => {
    await list(world, await ekDigestOf(device))
    const begun = await begin(world, device, { keys: await shownBy(device, { ekCertificateChain: [] }) })
    await secretOf(device, begun)
  }))

test("takes a certified attestation key without an endorsement key, and has no credential for it", () =>
  withService(async (world) => {
    const begun = await begin(world, device, { keys: certifiedBy(device) })
    assert.is(begun.credential, undefined)
    assert.is(begun.transcript.ekDigest.length, 0)
  }))

test("takes both certificates at a time, and asks for the activation all the same", () =>
  withService(async (world) => {
    const keys = await shownBy(device, { akCertificateChain: akChainOf(device) })
    await secretOf(device, await begin(world, device, { keys }))
  }))

test("takes an endorsement key that is past its end: that is the policy's to judge", () =>
  withService(async (world) => {
    const ended = { validity: validity(new Date("2021-01-01Z"), new Date("2025-01-01Z")) }
    const keys = await shownBy(device, { ekCertificateChain: await ekChainFor(device, ended) })
    await secretOf(device, await begin(world, device, { keys }))
  }))

test("takes as many certificates as anybody has, and carries them to the second step", () =>
  withService(async (world) => {
    const padded = (size: number) =>
      caOf(strangerCa, strangerCa, [...caExtensions(), unknownExtension(false, new Uint8Array(size))])
    const [leaf = long(0), issuer = long(0)] = await ekChainFor(device)
    const filled = 24 * 1024 - leaf.length - issuer.length - 2 * padded(0).length - 40
    const chain = [leaf, issuer, padded(filled / 2), padded(filled / 2)]
    const size = chain.reduce((sum, { length }) => sum + length, 0)
    assert.ok(size > 24_000 && size <= 24_576, String(size))
    const caller = { tenant: "default", id: "c".repeat(1024) }
    const keys = await shownBy(device, { ekCertificateChain: chain })
    const begun = await begin(world, device, { keys, claimedName: "n".repeat(255), caller })
    assert.ok(begun.sealed.length < 32_768)
    const made = await world.service.completeEnrollment(await answerOf(device, begun), caller)
    assert.equal(made.endorsement.ekCertificateChain.map(toHex), chain.map(toHex))
  }))

test("makes another secret, another random value and another sealed value each time", () =>
  withService(async (world) => {
    const seen = new Set<string>()
    for (let i = 0; i < 5; i++) {
      const begun = await begin(world, device)
      for (const part of [await secretOf(device, begun), begun.transcript.random, begun.sealed])
        seen.add(toHex(part))
    }
    assert.is(seen.size, 15)
  }))

test("stores nothing: no device, no record, and no issuer that is known", () =>
  withService(async (world) => {
    await begin(world, device)
    await rejectsCode(() => world.registry.snapshotFor("default", device.akName), "DEVICE_NOT_FOUND")
    assert.equal(await world.journal.records("default"), [])
    assert.equal(await world.trust.pendingIssuers("default"), [])
  }))

test("tells the secret to nobody but the TPM", () =>
  withService(async (world) => {
    const begun = await begin(world, device)
    const secret = toHex(await secretOf(device, begun))
    const { credentialBlob = new Uint8Array(), encryptedSecret = new Uint8Array() } = begun.credential ?? {}
    for (const part of [begun.sealed, credentialBlob, encryptedSecret, ...Object.values(begun.transcript)])
      assert.not.ok(part instanceof Uint8Array && toHex(part).includes(secret))
  }))

// What is refused.

const modulus = integer(BigInt(`0x${toHex(ROCA_MODULUS)}`))
const strangeEk = async (): Promise<Uint8Array[]> => {
  const keys = { ...LEAF_KEYS, spki: spkiOfArea(await device.ekPublic()) }
  return [
    makeCertificate(keys, strangerCa.keys, seq(), strangerCa.name, EK_EXTENSIONS),
    caOf(strangerCa, authority("Stranger Root")),
  ]
}
const key = parsePublic(device.akPublic).bytes
const malformed: readonly (readonly [name: string, code: Code, keys: () => Promise<ShownKeys>])[] = [
  ["an attestation key that is cut", "FRAMING", () => shownBy(device, { akPublic: key.subarray(0, 60) })],
  [
    "an attestation key with a byte behind it",
    "FRAMING",
    () => shownBy(device, { akPublic: Uint8Array.of(...key, 0) }),
  ],
  [
    "an attestation key of an unknown kind",
    "PUBLIC_AREA",
    () => shownBy(device, { akPublic: Uint8Array.of(0, 1, 0, 99, ...key) }),
  ],
  [
    "an endorsement key that is cut",
    "FRAMING",
    async () => shownBy(device, { ekPublic: (await device.ekPublic()).subarray(0, 60) }),
  ],
  ["a qualified name that is none", "FRAMING", () => shownBy(device, { qualifiedName: new Uint8Array(34) })],
  [
    "a certificate that is none",
    "DER",
    () => shownBy(device, { ekCertificateChain: [Uint8Array.of(0x30, 5, 0)] }),
  ],
  [
    "more certificates than anybody has",
    "LENGTH",
    () => shownBy(device, { ekCertificateChain: [long(16_000), long(9_000)] }),
  ],
  [
    "more certificates of both keys than anybody has",
    "LENGTH",
    () => shownBy(device, { ekCertificateChain: [long(16_000)], akCertificateChain: [long(9_000)] }),
  ],
  [
    "an endorsement key of an unknown maker",
    "UNTRUSTED_ROOT",
    async () => shownBy(device, { ekCertificateChain: await strangeEk() }),
  ],
  [
    "K-08 an endorsement key that RSALib made",
    "ROCA",
    async () =>
      shownBy(device, {
        ekPublic: undefined,
        ekCertificateChain: await ekChainFor(device, { spki: rsaSpki(modulus, integer(65537)) }),
      }),
  ],
]
for (const [name, code, keys] of malformed)
  test(`refuses ${name}`, () =>
    withService(async (world) => {
      const pending = code === "UNTRUSTED_ROOT" ? 1 : 0
      const shown = await keys()
      await rejectsCode(() => world.service.beginEnrollment({ keys: shown, claimedName: "" }, GATEWAY), code)
      assert.equal(await world.journal.records("default"), [])
      assert.is((await world.trust.pendingIssuers("default")).length, pending, "kept for review")
    }))

const denying = (spki: Uint8Array) => ({
  ports: (): Partial<Ports> => ({
    denied: {
      ...NONE_DENIED,
      size: 1,
      find: (digest: string) =>
        digest === toHex(new Uint8Array(digestOf(spki)))
          ? { reason: "it leaked", source: "https://example" }
          : undefined,
    },
  }),
})

const digestOf = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer")

for (const [name, area] of [
  ["an attestation key", device.akPublic],
  ["an endorsement key", await device.ekPublic()],
] as const)
  test(`refuses K-08 ${name} whose private half is known`, () =>
    withService(
      async (world) => {
        await rejectsCode(() => begin(world, device), "KEY_DENIED")
      },
      denying(spkiOfArea(area)),
    ))

test("refuses a listed key once it is off the list", () =>
  withService(async (world) => {
    const digest = await ekDigestOf(device)
    await list(world, digest)
    const keys = await shownBy(device, { ekCertificateChain: [] })
    await begin(world, device, { keys })
    await distrusts(world, toHex(digest))
    await rejectsCode(() => begin(world, device, { keys }), "UNTRUSTED_ROOT")
  }))

test("refuses a device that is enrolled: it enrolls nobody", () =>
  withService(async (world) => {
    const caller = { ...GATEWAY, own: { kind: "device", id: "device-1" } } as const
    await rejectsCode(() => begin(world, device, { caller }), "PERMISSION")
  }))

test("has looked after what certificates name where it cannot be told whether they are revoked", async () => {
  const wanted: (readonly [tenant: string, certificates: number, share: string])[] = []
  const want: Ports["want"] = (tenant, chain, share) => void wanted.push([tenant, chain.length, share])
  await withService(
    async (world) => {
      await begin(world, device)
      assert.equal(wanted, [], "nothing is wanted of what was verified")
      world.trustAnchor(caOf(ROOT, ROOT), { revocation: "require" })
      const { anchors } = await world.trust.trust("default")
      for (const { id, revocation } of anchors) if (revocation === "off") await distrusts(world, id)
      const error = await rejectsCode(() => begin(world, device), "REVOCATION")
      assert.is(error.kind, "unavailable")
      assert.equal(wanted, [
        ["default", 0, "enrollment by gateway"],
        ["default", 2, "enrollment by gateway"],
      ])
      const strange = { keys: await shownBy(device, { ekCertificateChain: await strangeEk() }) }
      await rejectsCode(() => begin(world, device, strange), "UNTRUSTED_ROOT")
      assert.is(wanted.length, 2, "nothing is wanted of what leads nowhere")
    },
    { ports: () => ({ want }) },
  )
})

test("refuses N-07 more beginnings of one key than a device needs, each caller's and each key's apart", () =>
  withService(async (world) => {
    const beginAs = (own: SoftwareDevice, id: string) => begin(world, own, { caller: { ...GATEWAY, id } })
    for (let i = 0; i < 10; i++) await beginAs(device, "gateway")
    const error = await rejectsCode(() => beginAs(device, "gateway"), "ENROLLMENT_LIMIT")
    assert.is(error.kind, "exhausted")
    await beginAs(newcomer(), "gateway")
    await beginAs(device, "gateway-2") // who shows another's certificates uses up his own turns
    world.advance(300_000)
    await beginAs(device, "gateway")
  }))

test("counts no beginning of a key that nobody vouches for", async () => {
  let counted = 0
  const counting = ({ singleUse }: Ports): Partial<Ports> => ({
    singleUse: {
      ...singleUse,
      count: (...given) => {
        counted += 1
        return singleUse.count(...given)
      },
    },
  })
  await withService(
    async (world) => {
      const strange = { keys: await shownBy(device, { ekCertificateChain: [] }) }
      for (let i = 0; i < 3; i++) await rejectsCode(() => begin(world, device, strange), "UNTRUSTED_ROOT")
      assert.is(counted, 0)
    },
    { ports: counting },
  )
})

test("gives nothing while its randomness or its engine fails", async () => {
  const failing: readonly (readonly [Code, (ports: Ports) => Partial<Ports>])[] = [
    [
      "RNG",
      () => ({
        random: {
          bytes: () => {
            throw new AssayError("RNG", "no")
          },
        },
      }),
    ],
    [
      "NONCE_STORE",
      ({ singleUse }) => ({
        singleUse: {
          ...singleUse,
          seal: async () => {
            throw new AssayError("NONCE_STORE", "no")
          },
        },
      }),
    ],
    [
      "NONCE_STORE",
      ({ singleUse }) => ({
        singleUse: {
          ...singleUse,
          count: async () => {
            throw new AssayError("NONCE_STORE", "no")
          },
        },
      }),
    ],
  ]
  for (const [code, ports] of failing)
    await withService(
      async (world) => {
        await rejectsCode(() => begin(world, device), code)
      },
      { ports },
    )
})

test.run()
