import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Code } from "../../src/errors.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import type { AttestationResult } from "../../src/result/result.ts"
import { createKeyObject } from "../../src/verification/key.ts"
import { rejectsCode } from "../support/assert.ts"
import {
  akChainOf,
  attestShowing,
  type EndorsedPolicy,
  ekChainOf,
  enrollEndorsed,
  NOTHING,
  validity,
} from "../support/endorsed.ts"
import { newAct } from "../support/ports/samples.ts"
import { codesOf, START, withService } from "../support/service.ts"
import { testDevice } from "../support/world.ts"
import { NOT_BEFORE } from "../support/x509.ts"

const test = suite("endorsement keys of a device")

const device = testDevice()
const tierOf = ({ tier, token }: AttestationResult): readonly [string, string] => [tier, token.kind]
const SESSION = ["affirming", "session"] as const
const PROVEN: EndorsedPolicy = { ak: { binding: "proven" }, session: { admit: "affirming" } }
const after = (ms: number): Date => new Date(START.getTime() + ms)

test("tells of an endorsement key's certificate, and takes it for no proof of the attestation key", () =>
  withService(async (world) => {
    await enrollEndorsed(world, device, {}, { ekCertificateChain: ekChainOf() })
    const result = await attestShowing(world, device)
    assert.equal(tierOf(result), ["warning", "session"])
    assert.equal(codesOf(result), ["AK_BINDING_UNPROVEN"])
    assert.is(result.vector["instance-identity"], undefined)
    assert.is(result.vector.hardware, undefined)
    assert.equal(
      result.endorsements.map(({ key, tpm }) => [key, tpm?.vendor]),
      [["ek", "IFX"]],
    )
  }))

test("tells of both keys' certificates", () =>
  withService(async (world) => {
    await enrollEndorsed(
      world,
      device,
      { ...PROVEN, ek: { certificate: "required" } },
      { ekCertificateChain: ekChainOf() },
    )
    const result = await attestShowing(world, device, akChainOf(device))
    assert.equal(tierOf(result), SESSION)
    assert.equal(
      result.endorsements.map(({ key }) => key),
      ["ak", "ek"],
    )
  }))

test("believes the certificate that the software device's own maker issued, once its root is trusted", () =>
  withService(async (world) => {
    const { certificate, anchor } = await device.endorsement()
    const endorsement = { ekCertificateChain: [certificate] }
    await rejectsCode(() => enrollEndorsed(world, device, {}, endorsement), "UNTRUSTED_ROOT")
    world.trustAnchor(anchor, { purpose: "ek" })
    await enrollEndorsed(
      world,
      device,
      { ek: { certificate: "required" }, tpm: { manufacturers: ["id:41535359"] } },
      endorsement,
    )
    const result = await attestShowing(world, device)
    assert.equal(tierOf(result), ["warning", "session"])
    assert.is(result.endorsements[0]?.tpm?.manufacturer, "id:41535359")
    assert.equal(result.endorsements[0]?.deviations, ["no-expiry"])
  }))

const REQUIRED: EndorsedPolicy = { ek: { certificate: "required" } }
test("refuses a device without an endorsement key where the policy wants one", () =>
  withService(async (world) => {
    await enrollEndorsed(world, device, REQUIRED)
    for (const chain of [[], akChainOf(device)]) {
      const result = await attestShowing(world, device, chain)
      assert.equal(tierOf(result), ["contraindicated", "result"])
      assert.is(codesOf(result)[0], "EK_MISSING")
      assert.is(result.vector.hardware, 97)
    }
  }))

test("takes a listed endorsement key in place of a certificate, and refuses it once it is off the list", () =>
  withService(async (world) => {
    const { ekPublic } = await device.endorsement()
    const input = { ekPublic }
    const error = await rejectsCode(() => enrollEndorsed(world, device, REQUIRED, input), "UNTRUSTED_ROOT")
    const digest = Buffer.from(error.actual?.replace("SHA-256 ", "") ?? "", "hex")
    await world.trust.importTrust(
      "default",
      { ...NOTHING, eks: [{ digest, label: "one" }] },
      newAct("import-trust", { at: world.now() }),
    )
    await enrollEndorsed(world, device, REQUIRED, input)
    const listed = await attestShowing(world, device)
    assert.equal(tierOf(listed), ["warning", "session"])
    assert.equal(listed.endorsements, [])
    await world.trust.removeTrust("default", digest.toString("hex"), newAct("remove-trust"))
    const gone = await attestShowing(world, device)
    assert.equal([tierOf(gone), codesOf(gone)], [["contraindicated", "result"], ["UNTRUSTED_ROOT"]])
  }))

test("refuses K-08 a listed endorsement key that came to be known", () => {
  const leaked = new Set<string>()
  const known = { reason: "it was in a firmware image", source: "https://firmware.example/" }
  const denied = { size: 1, find: (digest: string) => (leaked.has(digest) ? known : undefined) }
  return withService(
    async (world) => {
      const { ekPublic } = await device.endorsement()
      const key = createKeyObject(parsePublic(ekPublic).key)
      const digest = hash("sha256", key.export({ type: "spki", format: "der" }), "buffer")
      await world.trust.importTrust(
        "default",
        { ...NOTHING, eks: [{ digest, label: "one" }] },
        newAct("import-trust", { at: world.now() }),
      )
      await enrollEndorsed(world, device, REQUIRED, { ekPublic })
      assert.equal(tierOf(await attestShowing(world, device)), ["warning", "session"])
      leaked.add(digest.toString("hex"))
      const refused = await attestShowing(world, device)
      assert.equal([tierOf(refused), codesOf(refused)], [["contraindicated", "result"], ["KEY_DENIED"]])
    },
    {
      ports: ({ loadTrust }) => ({
        loadTrust: async (tenant, generation) => ({ ...(await loadTrust(tenant, generation)), denied }),
      }),
    },
  )
})

const ended = { validity: validity(new Date("2021-01-01Z"), new Date("2025-01-01Z")) }
const expired: readonly (readonly [word: string, tier: string, code: readonly Code[]])[] = [
  ["refused", "contraindicated", ["VALIDITY"]],
  ["warned", "warning", ["VALIDITY"]],
  ["allowed", "affirming", ["VALIDITY"]],
]
for (const [word, tier, codes] of expired)
  test(`holds X-07 an endorsement key past its end for ${word}, as the policy says`, () =>
    withService(async (world) => {
      await enrollEndorsed(world, device, { ek: { expired: word } }, { ekCertificateChain: ekChainOf(ended) })
      const result = await attestShowing(world, device, akChainOf(device))
      assert.is(result.tier, tier)
      assert.equal(codesOf(result), codes)
      if (word === "refused") return
      assert.is(result.endorsements[1]?.expired, true)
      assert.equal(result.token.expiresAt, after(1000 + 300_000), "an end that has passed is no end")
    }))

test("refuses X-07 an expired endorsement key unless the policy says otherwise", () =>
  withService(async (world) => {
    await enrollEndorsed(world, device, {}, { ekCertificateChain: ekChainOf(ended) })
    assert.equal(codesOf(await attestShowing(world, device)), ["VALIDITY"])
  }))

test("refuses X-07 an expired attestation key, whatever the policy says of endorsement keys", () =>
  withService(async (world) => {
    await enrollEndorsed(world, device, { ek: { expired: "allowed" } })
    assert.equal(codesOf(await attestShowing(world, device, akChainOf(device, { leaf: ended }))), [
      "VALIDITY",
    ])
  }))

test("accepts X-07 an expired endorsement key whose issuer has expired since, and none whose issuer had before", () =>
  withService(async (world) => {
    const allowed = { ek: { expired: "allowed" } }
    const since = { validity: validity(NOT_BEFORE, new Date("2024-01-01Z")) }
    await enrollEndorsed(world, device, allowed, { ekCertificateChain: ekChainOf(ended, since) })
    assert.is((await attestShowing(world, device)).token.kind, "session")
    const before = { validity: validity(NOT_BEFORE, new Date("2020-12-31Z")) }
    const other = testDevice()
    const late = { ekCertificateChain: ekChainOf(ended, before) }
    await rejectsCode(() => enrollEndorsed(world, other, allowed, late, "device-2"), "VALIDITY")
  }))

test.run()
