import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat } from "../../src/bytes.ts"
import type { AssayError, Code } from "../../src/errors.ts"
import type { EndorsementInput } from "../../src/service/service.ts"
import { rejectsCode } from "../support/assert.ts"
import { authority, entry, makeCrl, nested, rawInteger, unknownExtension } from "../support/crl.ts"
import {
  akChainOf,
  attestShowing,
  caOf,
  ekChainOf,
  endorsedBy,
  enrollEndorsed,
  INTERMEDIATE,
  importCrls,
  leafOf,
  NOTHING,
  ROOT,
  validity,
} from "../support/endorsed.ts"
import { newAct } from "../support/ports/samples.ts"
import { codesOf, GATEWAY, START, TEST_ANCHOR, type TestService, withService } from "../support/service.ts"
import { testDevice } from "../support/world.ts"
import {
  basicConstraints,
  type CertificateParts,
  EK_EXTENSIONS,
  EKU_AK,
  extKeyUsage,
  integer,
  keyUsage,
  LEAF_KEYS,
  makeCertificate,
  NOT_BEFORE,
  seq,
  time,
  tpmName,
  withExtensions,
  withoutExtensions,
} from "../support/x509.ts"

const test = suite("registration of what vouches for a device")

const device = testDevice()
const { akPublic, qualifiedName } = device
const register = ({ service }: TestService, endorsement: Partial<EndorsementInput>, id = "device-1") =>
  service.registerDevice({ id, akPublic, qualifiedName, endorsement: endorsedBy(endorsement) }, GATEWAY)

const STRANGER = authority("Stranger Root")
const STRANGER_CA = authority("Stranger Intermediate")
/** The chain of an endorsement key whose maker nobody decided about. */
const strangeEk = (): Uint8Array[] => [
  makeCertificate(LEAF_KEYS, STRANGER_CA.keys, seq(), STRANGER_CA.name, EK_EXTENSIONS),
  caOf(STRANGER_CA, STRANGER),
]

test("keeps both chains byte for byte, and journals them with the key", () =>
  withService(async (world) => {
    const [akCertificateChain, ekCertificateChain] = [akChainOf(device), ekChainOf()]
    const { endorsement } = await register(world, { akCertificateChain, ekCertificateChain })
    assert.equal(endorsement, { akCertificateChain, ekCertificateChain, ekDigest: undefined })
    assert.equal((await world.service.device("device-1", GATEWAY)).endorsement, endorsement)
    const [record] = await world.journal.records("default")
    const parts = concat(akPublic.subarray(2), ...akCertificateChain, ...ekCertificateChain)
    assert.equal(record?.evidenceDigest, new Uint8Array(hash("sha256", parts, "buffer")))
  }))

test("takes an endorsement key that is past its end: that is the policy's to judge", () =>
  withService(async (world) => {
    const ended = { validity: validity(new Date("2021-01-01Z"), new Date("2025-01-01Z")) }
    await register(world, { ekCertificateChain: ekChainOf(ended) })
  }))

/** U1, U2 and U4 of a registration: nothing but what `pending` says is written, and another device is served. */
const refusesToRegister = async (
  world: TestService,
  endorsement: Partial<EndorsementInput>,
  code: Code,
  pending = 0,
): Promise<AssayError> => {
  const innocent = testDevice()
  await enrollEndorsed(world, innocent, {}, {}, "innocent")
  const stateOf = async () => [
    await world.trust.trust("default"),
    await world.trust.listedEks("default", undefined, 10),
    await world.journal.records("default"),
  ]
  const before = await stateOf()
  const error = await rejectsCode(() => register(world, endorsement), code)
  await rejectsCode(() => world.service.device("device-1", GATEWAY), "DEVICE_NOT_FOUND")
  assert.equal(await stateOf(), before)
  assert.is((await world.trust.pendingIssuers("default")).length, pending)
  assert.is((await attestShowing(world, innocent)).token.kind, "session")
  return error
}

const ek = (changed: Partial<CertificateParts>): EndorsementInput["ekCertificateChain"] => ekChainOf(changed)
const saying = (...extensions: readonly Uint8Array[]) =>
  ek({ extensions: withExtensions(EK_EXTENSIONS, ...extensions) })
const refused: readonly (readonly [
  name: string,
  chain: readonly Uint8Array[],
  code: Code,
  location?: string,
])[] = [
  ["X-02 an endorsement key that is a CA", saying(basicConstraints(true), keyUsage(4, 5)), "KEY_USAGE"],
  [
    "X-04 an endorsement key with an unknown critical extension",
    saying(unknownExtension(true)),
    "CRITICAL_EXT",
  ],
  ["X-05 an endorsement key for attestation", saying(extKeyUsage(EKU_AK)), "EKU"],
  ["X-05 an endorsement key that signs", saying(keyUsage(0)), "KEY_USAGE"],
  [
    "X-06 an endorsement key without a maker",
    ek({ extensions: withoutExtensions(EK_EXTENSIONS, "2.5.29.17") }),
    "NAME",
  ],
  [
    "X-07 an endorsement key that is not yet valid",
    ek({ validity: validity(new Date("2030-01-01Z"), new Date("2040-01-01Z")) }),
    "VALIDITY",
  ],
  [
    "X-07 an endorsement key whose issuer had ended before it was issued",
    ekChainOf(
      { validity: validity(new Date("2024-01-01Z"), new Date("2025-01-01Z")) },
      { validity: validity(NOT_BEFORE, new Date("2023-01-01Z")) },
    ),
    "VALIDITY",
  ],
  [
    "X-13 an endorsement key with the serial number 0",
    ek({ serialNumber: integer(0) }),
    "SERIAL",
    "ek_certificate_chain[0]",
  ],
  [
    "X-14 an issuer of an endorsement key with a byte behind it",
    ekChainOf().map((der, i) => concat(der, new Uint8Array(i))),
    "TRAILING",
    "ek_certificate_chain[1]",
  ],
  ["X-16 an endorsement key of nothing but sequences", [nested(10_000)], "DEPTH", "ek_certificate_chain[0]"],
  ["X-18 an endorsement key that its issuer did not sign", ek({ signer: STRANGER.keys }), "CHAIN"],
]
for (const [name, ekCertificateChain, code, location] of refused)
  test(`refuses ${name}, at registration`, () =>
    withService(async (world) => {
      const error = await refusesToRegister(world, { ekCertificateChain }, code)
      if (location !== undefined) assert.is(error.location, location)
    }))

test("refuses X-06 certificates of two makers for one TPM, at registration", () =>
  withService(async (world) => {
    const other = tpmName({ "2.23.133.2.1": "id:53544D20", "2.23.133.2.2": "a", "2.23.133.2.3": "id:0001" })
    const endorsement = { akCertificateChain: akChainOf(device), ekCertificateChain: saying(other) }
    await refusesToRegister(world, endorsement, "NAME")
  }))

test("refuses X-20 an endorsement key that was revoked, and one of which nobody can tell, at registration", () =>
  withService(async (world) => {
    world.trustAnchor(TEST_ANCHOR, { revocation: "require" })
    const ekCertificateChain = ek({ serialNumber: rawInteger("4711") })
    await refusesToRegister(world, { ekCertificateChain }, "REVOCATION")
    const current = { thisUpdate: time(START), nextUpdate: time(new Date(START.getTime() + 86_400_000)) }
    await importCrls(
      world,
      makeCrl(ROOT, current),
      makeCrl(INTERMEDIATE, { ...current, entries: [entry("4711")] }),
    )
    await rejectsCode(() => register(world, { ekCertificateChain }), "REVOKED")
    await register(world, { ekCertificateChain: ekChainOf() })
  }))

test("refuses X-01 an endorsement key of an unknown maker, keeps the maker for review, and trusts it for nothing", () =>
  withService(async (world) => {
    const ekCertificateChain = strangeEk()
    const before = await world.trust.trustState("default")
    await refusesToRegister(world, { ekCertificateChain }, "UNTRUSTED_ROOT", 1)
    world.advance(1000)
    await rejectsCode(() => register(world, { ekCertificateChain }), "UNTRUSTED_ROOT")
    const [pending, ...others] = await world.trust.pendingIssuers("default")
    assert.equal(others, [])
    assert.is(pending?.issuer, "CN=Stranger Root")
    const { chain } = await world.trust.pendingIssuer("default", pending?.id ?? "")
    assert.equal(chain, ekCertificateChain)
    assert.is(pending?.count, 2)
    assert.equal([pending?.firstSeenAt, pending?.lastSeenAt.getTime()], [START, world.now().getTime()])
    assert.equal(await world.trust.trustState("default"), before)
    assert.equal(await world.trust.pendingIssuers("other"), [])
    world.trustAnchor(caOf(STRANGER, STRANGER))
    await register(world, { ekCertificateChain })
  }))

test("keeps the issuer of the last certificate that the chain's names lead to, and only an endorsement key's", () =>
  withService(async (world) => {
    const pending = async () =>
      (await world.trust.pendingIssuers("default")).map(({ issuer }) => issuer).sort()
    const [leaf = new Uint8Array()] = strangeEk()
    await rejectsCode(() => register(world, { ekCertificateChain: [leaf] }), "UNTRUSTED_ROOT")
    assert.equal(await pending(), ["CN=Stranger Intermediate"])
    const root = caOf(STRANGER, STRANGER)
    await rejectsCode(() => register(world, { ekCertificateChain: [...strangeEk(), root] }), "UNTRUSTED_ROOT")
    assert.equal(await pending(), ["CN=Stranger Intermediate", "CN=Stranger Root"])
    const cross = [leaf, caOf(STRANGER_CA, STRANGER), caOf(STRANGER, STRANGER_CA)]
    await rejectsCode(() => register(world, { ekCertificateChain: cross }), "UNTRUSTED_ROOT")
    assert.is((await pending()).length, 2)
  }))

test("keeps nobody for review for an attestation key whose issuer is unknown", () =>
  withService(async (world) => {
    const akCertificateChain = [leafOf(device, STRANGER)]
    await refusesToRegister(world, { akCertificateChain }, "UNTRUSTED_ROOT")
    await rejectsCode(
      () => register(world, { akCertificateChain, ekCertificateChain: ekChainOf() }),
      "UNTRUSTED_ROOT",
    )
    assert.equal(await world.trust.pendingIssuers("default"), [], "the endorsement key's issuer is known")
  }))

test("keeps nobody for review for any other flaw, or for what a device shows when it attests", () =>
  withService(async (world) => {
    await rejectsCode(() => register(world, { ekCertificateChain: ek({ signer: STRANGER.keys }) }), "CHAIN")
    const root = caOf(STRANGER, STRANGER)
    world.trustAnchor(root)
    await enrollEndorsed(world, device, {}, { ekCertificateChain: strangeEk() })
    const { anchors } = await world.trust.trust("default")
    const gone = anchors.find(({ certificate }) => Buffer.compare(certificate, root) === 0)
    await world.trust.removeTrust("default", gone?.id ?? "", newAct("remove-trust"))
    assert.equal(codesOf(await attestShowing(world, device)), ["UNTRUSTED_ROOT"])
    assert.equal(codesOf(await attestShowing(world, device, [leafOf(device, STRANGER)])), ["UNTRUSTED_ROOT"])
    assert.equal(await world.trust.pendingIssuers("default"), [])
  }))

test("refuses X-01 an endorsement key without a certificate unless it is on this tenant's list", () =>
  withService(async (world) => {
    const { ekPublic } = await device.endorsement()
    const error = await refusesToRegister(world, { ekPublic }, "UNTRUSTED_ROOT")
    assert.is(error.location, "ek_public")
    const digest = Buffer.from(error.actual?.replace("SHA-256 ", "") ?? "", "hex")
    assert.is(digest.length, 32)
    await world.trust.importTrust(
      "other",
      { ...NOTHING, eks: [{ digest, label: "" }] },
      newAct("import-trust", { at: world.now() }),
    )
    await rejectsCode(() => register(world, { ekPublic }), "UNTRUSTED_ROOT")
    await world.trust.importTrust(
      "default",
      { ...NOTHING, eks: [{ digest, label: "" }] },
      newAct("import-trust", { at: world.now() }),
    )
    const { endorsement } = await register(world, { ekPublic })
    assert.equal(endorsement.ekDigest, new Uint8Array(digest))
  }))

test("refuses an endorsement key that is none, by its field", () =>
  withService(async (world) => {
    for (const ekPublic of [new Uint8Array(3), akPublic.subarray(0, 40), concat(akPublic, new Uint8Array(1))])
      await rejectsCode(() => register(world, { ekPublic }), ["FRAMING", "PUBLIC_AREA", "LENGTH"])
  }))

test("refuses K-04 a device that is registered already, with or without certificates", () =>
  withService(async (world) => {
    const akCertificateChain = akChainOf(device)
    const before = await register(world, {})
    await rejectsCode(() => register(world, { akCertificateChain }), "DEVICE_EXISTS")
    await rejectsCode(() => register(world, { akCertificateChain }, "device-2"), "DEVICE_EXISTS")
    assert.equal(await world.service.device("device-1", GATEWAY), before)
  }))

test.run()
