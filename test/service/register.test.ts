import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, toHex } from "../../src/bytes.ts"
import { encodePublic, type PublicFields, sized, u16 } from "../../src/device/encode.ts"
import { ATTRIBUTES, type AttributeName, parsePublic } from "../../src/evidence/tpm/public.ts"
import { rejectsCode } from "../support/assert.ts"
import { attest, enroll, GATEWAY, START, type TestService, withService } from "../support/service.ts"
import { policyDocument, testDevice } from "../support/world.ts"

const device = testDevice()
const other = testDevice()
const rsa = testDevice({ algorithm: "rsa-2048" })
const area = parsePublic(device.akPublic)
const rsaArea = parsePublic(rsa.akPublic)

const test = suite("createRegisterDevice")

const input = (akPublic: Uint8Array, id = "device-1", qualifiedName?: Uint8Array) => ({
  id,
  akPublic,
  qualifiedName,
})

test("registers a device by its key, and journals who did it", () =>
  withService(async ({ service, journal, registry }) => {
    const registered = await service.registerDevice(
      input(device.akPublic, "device-1", device.qualifiedName),
      GATEWAY,
    )
    assert.is(registered.id, "device-1")
    assert.is(registered.revision, 1)
    assert.is(registered.policy, undefined)
    assert.is(registered.counters, undefined)
    assert.equal(registered.createdAt, START)
    assert.is(toHex(registered.akName), toHex(device.akName))
    assert.is(toHex(registered.akPublic), toHex(area.bytes))
    assert.is(toHex(registered.qualifiedName ?? new Uint8Array()), toHex(device.qualifiedName))
    const { freshness, tpm, instance, etag, ...record } = registered
    assert.equal([freshness, tpm, instance, etag.length], ["silent", undefined, undefined, 22])
    assert.equal(await registry.device("default", "device-1"), record)
    assert.equal(await journal.records("default"), [
      {
        at: START,
        tenant: "default",
        caller: "gateway",
        act: "register-device",
        device: "device-1",
        outcome: "done",
        codes: [],
        evidenceDigest: new Uint8Array(hash("sha256", area.bytes, "buffer")),
        policyDigest: undefined,
        revisions: { device: 1, policy: undefined, trust: undefined },
        tokenId: undefined,
      },
    ])
  }))

test("takes TPMT_PUBLIC and TPM2B_PUBLIC alike, of RSA and of ECC keys", () =>
  withService(async ({ service }) => {
    const keys = [device.akPublic, other.akPublic.subarray(2), rsa.akPublic]
    for (const [i, akPublic] of keys.entries())
      assert.is(
        toHex((await service.registerDevice(input(akPublic, `device-${i}`), GATEWAY)).akName),
        toHex(parsePublic(akPublic).name),
      )
  }))

test("gives back what was registered, and keeps each tenant's devices apart", () =>
  withService(async ({ service }) => {
    const stranger = { tenant: "other", id: "gateway" }
    const registered = await service.registerDevice(input(device.akPublic), GATEWAY)
    assert.equal(await service.device("device-1", GATEWAY), registered)
    await rejectsCode(() => service.device("device-1", stranger), "DEVICE_NOT_FOUND")
    assert.is((await service.registerDevice(input(device.akPublic), stranger)).tenant, "other")
  }))

// U2: whatever is refused leaves no device and no record behind.

const refusesKey = async (
  { service, journal }: TestService,
  refused: Parameters<typeof service.registerDevice>[0],
  code: Parameters<typeof rejectsCode>[1],
): Promise<void> => {
  await rejectsCode(() => service.registerDevice(refused, GATEWAY), code)
  await rejectsCode(() => service.device("device-1", GATEWAY), "DEVICE_NOT_FOUND")
  assert.equal(await journal.records("default"), [])
}

const bit = (name: AttributeName): number => 1 << ATTRIBUTES[name]
const schemeOf = ({ scheme }: typeof area): PublicFields["scheme"] =>
  scheme.kind === "null" || scheme.kind === "unsupported" ? undefined : scheme
/** The public area of a key with some fields changed, as a TPM would show it. */
const areaWith = (changes: Partial<PublicFields>, of = area): Uint8Array =>
  sized(encodePublic({ ...of, scheme: schemeOf(of), ...changes }))

const wrongAttributes: readonly [name: string, attributes: number][] = [
  ["that is not restricted", area.attributes & ~bit("restricted")],
  ["without fixedTPM", area.attributes & ~bit("fixedTPM")],
  ["without fixedParent", area.attributes & ~bit("fixedParent")],
  ["without sensitiveDataOrigin", area.attributes & ~bit("sensitiveDataOrigin")],
  ["that does not sign", area.attributes & ~bit("sign")],
  ["that decrypts as well", area.attributes | bit("decrypt")],
  ["that may be duplicated", area.attributes | bit("encryptedDuplication")],
  ["of a storage key", (area.attributes & ~bit("sign")) | bit("decrypt")],
  ["with no attribute at all", 0],
]
for (const [name, attributes] of wrongAttributes)
  test(`refuses K-01 a key ${name}`, () =>
    withService((world) => refusesKey(world, input(areaWith({ attributes })), "AK_ATTRIBUTES")))

const key = area.key
if (key.kind !== "ecc") throw new TypeError("the device has an ECC key")
const rsaKey = rsaArea.key
if (rsaKey.kind !== "rsa") throw new TypeError("the device has an RSA key")

const wrongKeys: readonly [name: string, akPublic: Uint8Array, code: Parameters<typeof rejectsCode>[1]][] = [
  ["K-01 a key with a null scheme", areaWith({ scheme: undefined }), "SIG_ALG"],
  ["a key that signs with SHA-1", areaWith({ scheme: { kind: "ecdsa", hash: "sha1" } }), "SIG_ALG"],
  ["a key whose Name is made with SHA-1", areaWith({ nameAlg: "sha1" }), "SIG_ALG"],
  [
    "a K-07 RSA key of 1024 bits",
    areaWith({ key: { ...rsaKey, keyBits: 1024, modulus: rsaKey.modulus.slice(0, 128) } }, rsaArea),
    "WEAK_KEY",
  ],
  ["a K-07 RSA key with exponent 3", areaWith({ key: { ...rsaKey, exponent: 3 } }, rsaArea), "WEAK_KEY"],
  [
    "a K-07 RSA key with an even modulus",
    areaWith(
      {
        key: { ...rsaKey, modulus: rsaKey.modulus.map((byte, i, { length }) => (i + 1 < length ? byte : 0)) },
      },
      rsaArea,
    ),
    "WEAK_KEY",
  ],
  [
    "a K-07 point that is not on its curve",
    areaWith({ key: { ...key, y: key.y.map((byte) => byte ^ 1) } }),
    "WEAK_KEY",
  ],
  ["nothing", new Uint8Array(), "FRAMING"],
  ["half a public area", device.akPublic.subarray(0, 40), ["FRAMING", "PUBLIC_AREA"]],
  [
    "Q-11 a public area with a byte behind it",
    concat(device.akPublic, Uint8Array.of(0)),
    ["FRAMING", "PUBLIC_AREA"],
  ],
  [
    "Q-11 a public area whose size says one byte less",
    concat(u16(device.akPublic.length - 3), device.akPublic.subarray(2)),
    ["FRAMING", "PUBLIC_AREA", "LENGTH"],
  ],
  [
    "a key of PEM text",
    Buffer.from("-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYI\n-----END PUBLIC KEY-----\n"),
    ["FRAMING", "PUBLIC_AREA", "LENGTH"],
  ],
]
for (const [name, akPublic, code] of wrongKeys)
  test(`refuses ${name}`, () => withService((world) => refusesKey(world, input(akPublic), code)))

const wrongNames: readonly [name: string, qualifiedName: Uint8Array][] = [
  ["nothing", new Uint8Array()],
  ["a byte short", device.qualifiedName.subarray(0, 33)],
  ["a byte long", concat(device.qualifiedName, Uint8Array.of(0))],
  ["of an unknown hash", concat(u16(0x0099), new Uint8Array(32))],
  ["a bare digest", device.qualifiedName.subarray(2)],
]
for (const [name, qualifiedName] of wrongNames)
  test(`refuses a qualified name that is ${name}`, () =>
    withService((world) =>
      refusesKey(world, input(device.akPublic, "device-1", qualifiedName), [
        "LENGTH",
        "FRAMING",
        "PUBLIC_AREA",
      ]),
    ))

const taken: readonly [name: string, second: Parameters<TestService["service"]["registerDevice"]>[0]][] = [
  ["a device that is registered already", input(device.akPublic)],
  ["another key under an id that is taken", input(other.akPublic)],
  ["a key that is taken under another id", input(device.akPublic, "device-2")],
  ["a taken key as TPMT_PUBLIC under another id", input(area.bytes, "device-2")],
  ["a taken key with another parent", input(device.akPublic, "device-2", other.qualifiedName)],
]
for (const [name, second] of taken)
  test(`refuses K-04 ${name}, and leaves the old record as it was`, () =>
    withService(async ({ service, journal }) => {
      await enroll(service, device, policyDocument(device))
      assert.is((await attest(service, device)).token.kind, "session")
      const before = [await service.device("device-1", GATEWAY), await journal.records("default")]
      await rejectsCode(() => service.registerDevice(second, GATEWAY), "DEVICE_EXISTS")
      assert.equal([await service.device("device-1", GATEWAY), await journal.records("default")], before)
      await rejectsCode(() => service.device("device-2", GATEWAY), "DEVICE_NOT_FOUND")
    }))

test("refuses K-04 all but one of many registrations that race for an id", () =>
  withService(async ({ service, journal }) => {
    const rivals = Array.from({ length: 20 }, () => testDevice())
    const outcomes = await Promise.allSettled(
      rivals.map(({ akPublic }) => service.registerDevice(input(akPublic), GATEWAY)),
    )
    const winners = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []))
    assert.is(winners.length, 1)
    assert.equal(await service.device("device-1", GATEWAY), winners[0])
    assert.is((await journal.records("default")).length, 1)
  }))

test.run()
