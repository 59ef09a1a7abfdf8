import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Code } from "../../src/errors.ts"
import { nonceExtraData } from "../../src/evidence/transcript.ts"
import type { EndorsementInput } from "../../src/service/service.ts"
import type { AdvisoryMatch, TpmModel } from "../../src/verification/advisory.ts"
import { akChainOf, attestShowing, ekChainOf, enrollEndorsed } from "../support/endorsed.ts"
import { codesOf, evidenceOver, GATEWAY, withService } from "../support/service.ts"
import { testDevice } from "../support/world.ts"
import { AK_EXTENSIONS, EK_EXTENSIONS, tpmName, withExtensions } from "../support/x509.ts"

const test = suite("whose TPM it is")

const device = testDevice()

const STM = tpmName({ "2.23.133.2.1": "id:53544D20", "2.23.133.2.2": "ST33", "2.23.133.2.3": "id:00010101" })
const makers: readonly (readonly [
  name: string,
  list: readonly string[],
  shows: boolean,
  ek: boolean,
  code: Code | undefined,
])[] = [
  ["accepts the maker of the attestation key's certificate", ["IFX"], true, false, undefined],
  ["accepts the maker of the endorsement key's certificate", ["STM", "IFX"], false, true, undefined],
  ["refuses another maker", ["STM"], true, false, "TPM_MANUFACTURER"],
  ["refuses another maker of the endorsement key", ["STM", "NTC"], false, true, "TPM_MANUFACTURER"],
  [
    "refuses a device without a certificate where makers are listed",
    ["IFX"],
    false,
    false,
    "TPM_MANUFACTURER",
  ],
]
for (const [name, manufacturers, shows, hasEk, code] of makers)
  test(name, () =>
    withService(async (world) => {
      const endorsement = hasEk ? { ekCertificateChain: ekChainOf() } : {}
      await enrollEndorsed(world, device, { tpm: { manufacturers } }, endorsement)
      const result = await attestShowing(world, device, shows ? akChainOf(device) : [])
      assert.is(result.token.kind, code === undefined ? "session" : "result")
      assert.is(codesOf(result).includes("TPM_MANUFACTURER"), code !== undefined)
      if (code !== undefined) assert.is(result.vector.hardware, 97)
    }),
  )

test("refuses X-06 certificates of two makers for one TPM, and takes one maker in either case", () =>
  withService(async (world) => {
    const upper = { extensions: withExtensions(EK_EXTENSIONS, STM) }
    const lower = tpmName({
      "2.23.133.2.1": "id:53544d20",
      "2.23.133.2.2": "ST33",
      "2.23.133.2.3": "id:00010101",
    })
    await enrollEndorsed(world, device, {}, { ekCertificateChain: ekChainOf(upper) })
    const refused = await attestShowing(world, device, akChainOf(device))
    assert.equal(codesOf(refused), ["NAME"])
    const extensions = withExtensions(AK_EXTENSIONS, lower)
    assert.is(
      (await attestShowing(world, device, akChainOf(device, { leaf: { extensions } }))).tier,
      "affirming",
    )
  }))

// Published weaknesses.

const advisory = (id: string, certain = true, fixedIn?: string): AdvisoryMatch => ({
  id,
  title: id,
  severity: "high",
  source: "https://maker.example/",
  fixedIn,
  certain,
})
interface Advised {
  readonly name: string
  readonly word: "refused" | "warned" | "ignored" | undefined
  readonly found: readonly AdvisoryMatch[]
  readonly endorsement: Partial<EndorsementInput>
  readonly shows: boolean
  readonly expected: readonly [tier: string, code: Code | undefined, hardware: number | undefined]
}
const ONE = [advisory("CVE-2017-15361", true, "7.62")]
const advised: readonly Advised[] = [
  {
    name: "refuses K-08 a TPM with a known weakness where the policy says so",
    word: "refused",
    found: ONE,
    endorsement: {},
    shows: true,
    expected: ["contraindicated", "TPM_FIRMWARE", 96],
  },
  {
    name: "refuses K-08 a TPM that may have one",
    word: "refused",
    found: [advisory("CVE-2023-1017", false)],
    endorsement: {},
    shows: true,
    expected: ["contraindicated", "TPM_FIRMWARE", 96],
  },
  {
    name: "refuses K-08 it by the registered certificate of the attestation key",
    word: "refused",
    found: ONE,
    endorsement: { akCertificateChain: akChainOf(device) },
    shows: false,
    expected: ["contraindicated", "TPM_FIRMWARE", 96],
  },
  {
    name: "refuses K-08 it by the certificate of the endorsement key",
    word: "refused",
    found: ONE,
    endorsement: { ekCertificateChain: ekChainOf() },
    shows: false,
    expected: ["contraindicated", "TPM_FIRMWARE", 96],
  },
  {
    name: "refuses K-08 several at once",
    word: "refused",
    found: [...ONE, advisory("CVE-2023-1018")],
    endorsement: {},
    shows: true,
    expected: ["contraindicated", "TPM_FIRMWARE", 96],
  },
  {
    name: "warns of K-08 it unless the policy says otherwise",
    word: undefined,
    found: ONE,
    endorsement: {},
    shows: true,
    expected: ["warning", "TPM_FIRMWARE", 32],
  },
  {
    name: "ignores it where the policy says so",
    word: "ignored",
    found: ONE,
    endorsement: {},
    shows: true,
    expected: ["affirming", undefined, 2],
  },
  {
    name: "has nothing to say of a TPM without one",
    word: "refused",
    found: [],
    endorsement: {},
    shows: true,
    expected: ["affirming", undefined, 2],
  },
]
for (const { name, word, found, endorsement, shows, expected } of advised)
  test(name, () =>
    withService(
      async (world) => {
        await enrollEndorsed(
          world,
          device,
          { tpm: word === undefined ? {} : { advisories: word } },
          endorsement,
        )
        const result = await attestShowing(world, device, shows ? akChainOf(device) : [])
        assert.equal([result.tier, codesOf(result)[0], result.vector.hardware], expected)
      },
      { ports: () => ({ advisoriesFor: () => found }) },
    ),
  )

test("asks for weaknesses by the certificate's words, and by today's firmware where the key can say it", async () => {
  const asked: TpmModel[] = []
  await withService(
    async (world) => {
      await enrollEndorsed(world, device)
      await attestShowing(world, device)
      assert.equal(asked, [], "nothing says whose TPM it is")
      await attestShowing(world, device, akChainOf(device))
      const stranger = testDevice()
      await world.service.registerDevice(
        { id: "device-2", akPublic: stranger.akPublic, qualifiedName: undefined },
        GATEWAY,
      )
      await world.service.assignPolicy({ policy: "device-1", device: "device-2" }, GATEWAY)
      await attestShowing(world, stranger, akChainOf(stranger))
      // Below another key of the hierarchy, firmwareVersion carries a secret.
      const below = testDevice()
      const parent = device.qualifiedName
      await world.service.registerDevice(
        { id: "device-3", akPublic: below.akPublic, qualifiedName: parent },
        GATEWAY,
      )
      await world.service.assignPolicy({ policy: "device-1", device: "device-3" }, GATEWAY)
      const nonce = new Uint8Array(32).fill(3)
      const evidence = evidenceOver(below, nonceExtraData("default", nonce), {
        tamper: (fields) => ({ ...fields, qualifiedSigner: parent }),
      })
      await world.service.verify(
        {
          freshness: { kind: "nonce", nonce },
          evidence: { ...evidence, akCertificateChain: akChainOf(below) },
        },
        GATEWAY,
      )
    },
    {
      ports: () => ({
        advisoriesFor: (tpm) => {
          asked.push(tpm)
          return []
        },
      }),
    },
  )
  const [model, manufacturer] = ["SLB 9670", "IFX"] as const
  const today = device.state.firmwareVersion
  const made = { first: 0x0007_0055_0000_0000n, last: 0x0007_0055_ffff_ffffn }
  assert.equal(asked, [
    { manufacturer, model, firmware: { first: today, last: today } },
    { manufacturer, model, firmware: made },
    { manufacturer, model, firmware: made },
  ])
})

test.run()
