import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat } from "../../src/bytes.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import { epochExtraData, nonceExtraData } from "../../src/evidence/transcript.ts"
import { fingerprintOf, parseCertificate } from "../../src/evidence/x509/certificate.ts"
import type { AttestationResult } from "../../src/result/result.ts"
import type { Ports } from "../../src/service/ports.ts"
import { createAttestationKey } from "../../src/verification/key.ts"
import { authority, makeCrl } from "../support/crl.ts"
import {
  akChainOf,
  answerShowing,
  attestShowing,
  caOf,
  type EndorsedPolicy,
  ekChainOf,
  enrollEndorsed,
  INTERMEDIATE,
  idOf,
  importCrls,
  leafOf,
  NOTHING,
  ROOT,
  validity,
} from "../support/endorsed.ts"
import { newAct } from "../support/ports/samples.ts"
import {
  codesOf,
  evidenceOver,
  GATEWAY,
  START,
  TEST_ANCHOR,
  type TestService,
  withService,
} from "../support/service.ts"
import { testDevice } from "../support/world.ts"
import { caExtensions, NOT_AFTER, NOT_BEFORE, time } from "../support/x509.ts"

const test = suite("endorsements of a device")

/** Nothing but what is proven to the last opens this policy. */
const PROVEN: EndorsedPolicy = { ak: { binding: "proven" }, session: { admit: "affirming" } }
const idOfAnchor = (der: Uint8Array): string => fingerprintOf(parseCertificate(der))
const tierOf = ({ tier, token }: AttestationResult): readonly [string, string] => [tier, token.kind]
const SESSION = ["affirming", "session"] as const
const DAY = 86_400_000
const KNOWN_KEY = { reason: "it was in a firmware image", source: "https://firmware.example/" }
const after = (ms: number): Date => new Date(START.getTime() + ms)

const devices = [
  testDevice(),
  testDevice({ algorithm: "p384" }),
  testDevice({ algorithm: "rsa-2048" }),
  testDevice({ algorithm: "rsa-2048", scheme: "rsapss" }),
]
const [device = testDevice()] = devices

for (const [i, one] of devices.entries())
  test(`affirms a device that shows its key's certificate, and opens the strictest policy, ${i}`, () =>
    withService(async (world) => {
      await enrollEndorsed(world, one, PROVEN)
      const result = await attestShowing(world, one, akChainOf(one))
      assert.equal(tierOf(result), SESSION)
      assert.equal(codesOf(result), [])
      assert.is(result.vector["instance-identity"], 2)
      assert.is(result.vector.hardware, 2)
      const [endorsement] = result.endorsements
      assert.is(result.endorsements.length, 1)
      assert.is(endorsement?.key, "ak")
      assert.is(endorsement?.tpm?.vendor, "IFX")
      assert.is(endorsement?.tpm?.model, "SLB 9670")
      assert.is(endorsement?.tpm?.version, "id:00070055")
      assert.is(endorsement?.anchor, "CN=Test Root")
      assert.is(endorsement?.anchorId, idOfAnchor(TEST_ANCHOR))
      assert.is(endorsement?.expired, false)
      assert.equal(endorsement?.validUntil, NOT_AFTER)
      assert.equal(endorsement?.deviations, [])
      assert.equal(
        endorsement?.revocation.map(({ status }) => status),
        ["not-checked", "not-checked"],
      )
    }))

test("affirms a device that was registered with its key's certificate, with nothing shown", () =>
  withService(async (world) => {
    await enrollEndorsed(world, device, PROVEN, { akCertificateChain: akChainOf(device) })
    const result = await attestShowing(world, device)
    assert.equal(tierOf(result), SESSION)
    assert.equal([result.vector["instance-identity"], result.vector.hardware], [2, 2])
    assert.is(result.endorsements[0]?.anchorId, idOfAnchor(TEST_ANCHOR))
  }))

test("refuses K-08 a device whose attestation key came to be known after it was registered", async () => {
  const leaked = new Set<string>()
  const find = (digest: string) => (leaked.has(digest) ? KNOWN_KEY : undefined)
  await withService(
    async (world) => {
      await enrollEndorsed(world, device, PROVEN, { akCertificateChain: akChainOf(device) })
      assert.equal(tierOf(await attestShowing(world, device)), SESSION)
      leaked.add(hash("sha256", createAttestationKey(parsePublic(device.akPublic)).spki, "hex"))
      const refused = await attestShowing(world, device)
      assert.equal(codesOf(refused), ["KEY_DENIED"])
      assert.is(refused.token.kind, "result")
    },
    { ports: () => ({ denied: { size: 1, find } }) },
  )
})

test("takes the certificate that is shown before the one that was registered", () =>
  withService(async (world) => {
    const other = authority("Other Root")
    const anchor = caOf(other, other)
    world.trustAnchor(anchor)
    await enrollEndorsed(world, device, PROVEN, { akCertificateChain: akChainOf(device) })
    const shown = await attestShowing(world, device, [leafOf(device, other)])
    assert.is(shown.endorsements[0]?.anchorId, idOfAnchor(anchor))
    const bad = akChainOf(device, { leaf: { signer: other.keys } })
    const refused = await attestShowing(world, device, bad)
    assert.equal(codesOf(refused), ["CHAIN"])
    assert.equal(refused.endorsements, [])
    assert.equal(tierOf(await attestShowing(world, device)), SESSION)
  }))

test("finds the intermediate in the trust where the device shows none", () =>
  withService(async (world) => {
    await enrollEndorsed(world, device, PROVEN)
    const [leaf = new Uint8Array(), certificate = new Uint8Array()] = akChainOf(device)
    assert.equal(codesOf(await attestShowing(world, device, [leaf])), ["UNTRUSTED_ROOT"])
    const intermediates = [{ id: idOf(certificate), certificate, source: "import" }]
    await world.trust.importTrust(
      "default",
      { ...NOTHING, intermediates },
      newAct("import-trust", { at: world.now() }),
    )
    assert.equal(tierOf(await attestShowing(world, device, [leaf])), SESSION)
  }))

/** As a TPM 1.2 keeps it in NV, and an index that is longer than what is in it. */
const inNv = (der: Uint8Array): Uint8Array => {
  const size = der.length + 2
  return concat(Uint8Array.of(0x10, 1, 0, size >> 8, size & 0xff, 0x10, 2), der)
}
const padded = (der: Uint8Array): Uint8Array => concat(der, new Uint8Array(100).fill(0xff))
const deviating: readonly (readonly [
  name: string,
  change: (der: Uint8Array) => Uint8Array,
  told: readonly string[],
])[] = [
  ["padding behind it", padded, ["nv-padding"]],
  ["the header of NV around it", inNv, ["tcg-header"]],
  ["both", (der) => padded(inNv(der)), ["tcg-header", "nv-padding"]],
]
for (const [name, change, told] of deviating)
  test(`accepts a certificate with ${name}, shown or registered, and tells of it`, () =>
    withService(async (world) => {
      const [leaf = new Uint8Array(), ...others] = akChainOf(device)
      const chain = [change(leaf), ...others]
      await enrollEndorsed(world, device, PROVEN, { akCertificateChain: chain })
      for (const shown of [[], chain]) {
        const result = await attestShowing(world, device, shown)
        assert.equal(tierOf(result), SESSION)
        assert.equal(result.endorsements[0]?.deviations, told)
      }
    }))

test("accepts a certificate without an end, and tells of it", () =>
  withService(async (world) => {
    await enrollEndorsed(world, device, PROVEN)
    const never = validity(NOT_BEFORE, new Date("9999-12-31T23:59:59Z"))
    const result = await attestShowing(world, device, akChainOf(device, { leaf: { validity: never } }))
    assert.equal(result.endorsements[0]?.deviations, ["no-expiry"])
  }))

test("accepts X-07 a certificate in the first and in the last second of its validity", () =>
  withService(async (world) => {
    await enrollEndorsed(world, device, PROVEN)
    const at = new Date(world.now().getTime() + 1000)
    for (const [from, to] of [
      [at, NOT_AFTER],
      [NOT_BEFORE, at],
    ] as const) {
      const chain = akChainOf(device, { leaf: { validity: validity(from, to) } })
      const { tier, token } = await attestShowing(world, device, chain)
      assert.is(tier, "affirming")
      assert.ok(token.expiresAt.getTime() <= to.getTime())
      world.advance(-1000)
      device.advance(-1000)
    }
  }))

test("verifies certificates with evidence for a nonce and for an epoch too", () =>
  withService(async ({ service, ...world }) => {
    await enrollEndorsed({ service, ...world }, device, PROVEN)
    const nonce = new Uint8Array(32).fill(3)
    const { epoch } = await service.epoch(GATEWAY)
    for (const [freshness, extraData] of [
      [{ kind: "nonce", nonce }, nonceExtraData("default", nonce)],
      [{ kind: "epoch", number: epoch.number }, epochExtraData("default", epoch.value)],
    ] as const) {
      const evidence = { ...evidenceOver(device, extraData), akCertificateChain: akChainOf(device) }
      const result = await service.verify({ freshness, evidence }, GATEWAY)
      assert.equal(tierOf(result), ["affirming", "result"])
      assert.is(result.endorsements.length, 1)
    }
  }))

test("lets certificates of a registration alone be remembered: those of evidence never come again", async () => {
  const asked: number[] = []
  const ports = ({ verifyEndorsements }: Ports): Partial<Ports> => ({
    verifyEndorsements: (shown, ...others) => {
      asked.push(shown.akChain.length)
      return verifyEndorsements(shown, ...others)
    },
  })
  await withService(
    async (world) => {
      await enrollEndorsed(world, device, PROVEN, { akCertificateChain: akChainOf(device) })
      assert.equal(tierOf(await attestShowing(world, device, akChainOf(device))), SESSION)
      assert.equal(asked, [])
      assert.equal(tierOf(await attestShowing(world, device)), SESSION)
      assert.equal(asked, [akChainOf(device).length])
    },
    { ports },
  )
})

test("journals the generation of the trust that a certificate was verified against, and none without", () =>
  withService(async (world) => {
    await enrollEndorsed(world, device)
    await attestShowing(world, device)
    await attestShowing(world, device, akChainOf(device))
    const records = (await world.journal.records("default")).filter(({ act }) => act === "verify")
    const { generation } = await world.trust.trustState("default")
    assert.equal(
      records.map(({ revisions }) => revisions?.trust),
      [undefined, generation],
    )
  }))

test("wants the lists of a chain of somebody who answered a challenge, and of nobody else", async () => {
  const wanted: number[] = []
  await withService(
    async (world) => {
      await enrollEndorsed(world, device, {}, { ekCertificateChain: ekChainOf() })
      assert.equal(wanted.splice(0), [2], "of what is registered")
      const answer = await answerShowing(world, device)
      const foreign = evidenceOver(device, new Uint8Array(32))
      const unproven = { ...answer.evidence, attest: foreign.attest, signature: foreign.signature }
      await world.service.verify({ ...answer, evidence: unproven }, GATEWAY)
      assert.equal(wanted, [])
      await world.service.verify(answer, GATEWAY)
      assert.equal(wanted, [2, 2], "of both keys")
    },
    { ports: () => ({ want: (_, chain) => wanted.push(chain.length) }) },
  )
})

// No token outlives what it rests on.

const exp = async (
  world: TestService,
  one: SoftwareDevice,
  chain: readonly Uint8Array[],
): Promise<number> => {
  const { token } = await attestShowing(world, one, chain)
  assert.is(token.kind, "session")
  return token.expiresAt.getTime() - START.getTime()
}
const soon = { validity: validity(NOT_BEFORE, after(60_000)) }
test("ends T-07 a session with the first certificate that ends", () =>
  withService(async (world) => {
    await enrollEndorsed(world, device)
    assert.is(await exp(world, device, akChainOf(device)), 301_000)
    assert.is(await exp(world, device, akChainOf(device, { leaf: soon })), 60_000)
    assert.is(await exp(world, device, akChainOf(device, { intermediate: soon })), 60_000)
    const brief = authority("Root that ends soon")
    world.trustAnchor(caOf(brief, brief, caExtensions(), soon))
    assert.is(await exp(world, device, [leafOf(device, brief)]), 60_000)
  }))

test("ends T-07 a session with the endorsement key's certificate", () =>
  withService(async (world) => {
    await enrollEndorsed(world, device, {}, { ekCertificateChain: ekChainOf(soon) })
    assert.is(await exp(world, device, []), 60_000)
  }))

test("ends T-07 a session with the list that says that nothing is revoked", () =>
  withService(async (world) => {
    world.trustAnchor(TEST_ANCHOR, { revocation: "require" })
    const lists = (seconds: number) => ({
      thisUpdate: time(after(-DAY)),
      nextUpdate: time(after(seconds * 1000)),
    })
    await importCrls(world, makeCrl(ROOT, lists(90)), makeCrl(INTERMEDIATE, lists(70)))
    await enrollEndorsed(world, device)
    assert.is(await exp(world, device, akChainOf(device)), 70_000)
  }))

test.run()
