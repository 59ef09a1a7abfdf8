/** Evidence over an epoch, shown again and again: what is remembered of it, and that nothing else is decided by it. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { standardBoot } from "../../src/device/boot.ts"
import { AssayError, type Code } from "../../src/errors.ts"
import type { RawEvidence } from "../../src/evidence/evidence.ts"
import { challengeExtraData, epochExtraData } from "../../src/evidence/transcript.ts"
import type { AttestationResult } from "../../src/result/result.ts"
import type { Caller, Ports } from "../../src/service/ports.ts"
import type { Service, VerifyInput } from "../../src/service/service.ts"
import { createService } from "../../src/service/service.ts"
import { createVerdicts } from "../../src/service/verdicts.ts"
import { rejectsCode } from "../support/assert.ts"
import { flipped } from "../support/core.ts"
import {
  akChainOf,
  answerShowing,
  endorsedBy,
  enrollEndorsed,
  idOf,
  NOTHING,
  validity,
} from "../support/endorsed.ts"
import { logDigest } from "../support/logs.ts"
import { newAct } from "../support/ports/samples.ts"
import {
  answered,
  codesOf,
  evidenceOver,
  GATEWAY,
  START,
  TEST_ANCHOR,
  type TestService,
  withService,
} from "../support/service.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import { NOT_BEFORE } from "../support/x509.ts"

const test = suite("verdicts on evidence over an epoch")
const device = testDevice()
const OTHER_BOOT = testDevice({ events: standardBoot({ bootLoader: "another" }) })
const LENGTH_MS = 300_000
const OTHER: Caller = { tenant: "default", id: "another gateway" }

/** How often evidence was judged. */
let judged = 0
const counting = ({ verdicts }: Ports): Partial<Ports> => ({
  verdicts: {
    ...verdicts,
    verdictOn: (showing, judge) =>
      verdicts.verdictOn(showing, () => {
        judged++
        return judge()
      }),
  },
})

const epochInput = async (
  { service }: TestService,
  change: Partial<RawEvidence> = {},
  shown = device,
): Promise<VerifyInput> => {
  const { epoch } = await service.epoch(GATEWAY)
  const evidence = evidenceOver(shown, epochExtraData("default", epoch.value))
  return { freshness: { kind: "epoch", number: epoch.number }, evidence: { ...evidence, ...change } }
}

/** The evidence with its log called by its digest, as a device may that has shown it in answer to a challenge. */
const named = ({ freshness, evidence }: VerifyInput): VerifyInput => ({
  freshness,
  evidence: { ...evidence, eventLog: undefined, eventLogDigest: logDigest(device.eventLog) },
})

/** A service with caches, and evidence that it has judged once. */
const withShown = (
  act: (world: TestService, shown: VerifyInput, first: AttestationResult) => Promise<void>,
  certified: { readonly chain?: readonly Uint8Array[] } = {},
): Promise<void> =>
  withService(
    async (world) => {
      const akCertificateChain = certified.chain ?? []
      await enrollEndorsed(world, device, {}, { akCertificateChain })
      const shown = await epochInput(world)
      const first = await world.service.verify(shown, GATEWAY)
      judged = 0
      await act(world, shown, first)
    },
    { cached: true, ports: counting },
  )

const claimsOf = ({ token }: AttestationResult): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.compact.split(".")[1] ?? "", "base64url").toString())

test("judges evidence once that is shown again, and gives each showing a token and a record of its own", () =>
  withShown(async ({ service, journal, advance }, shown, first) => {
    const before = await journal.records("default")
    advance(2000)
    const results = [await service.verify(shown, GATEWAY), await service.verify(shown, OTHER)]
    assert.is(judged, 0)
    const records = (await journal.records("default")).slice(before.length)
    assert.is(records.length, 2)
    for (const [i, result] of results.entries()) {
      const { tier, vector, findings, policy, deviceRevision, evidenceDigest } = first
      const again = { tier, vector, findings, policy, deviceRevision, evidenceDigest }
      for (const [name, value] of Object.entries(again))
        assert.equal(result[name as keyof typeof again], value)
      assert.is(result.evidenceAgeMs, (first.evidenceAgeMs ?? 0) + 2000)
      assert.is.not(result.token.compact, first.token.compact)
      const claims = claimsOf(result)
      assert.is(claims["iat"], START.getTime() / 1000 + 2)
      assert.is(claims["exp"], START.getTime() / 1000 + 302)
      assert.is(claims["jti"], result.id)
      assert.is(claims["aud"], [GATEWAY, OTHER][i]?.id)
      const [record] = records.slice(i)
      assert.equal(
        [record?.tokenId, record?.caller, record?.at],
        [result.id, [GATEWAY, OTHER][i]?.id, result.evaluatedAt],
      )
    }
    assert.is(new Set([first, ...results].map(({ id }) => id)).size, 3)
  }))

test("tells of the certificates what was told when they were judged", () =>
  withShown(
    async ({ service, journal }, shown, first) => {
      const again = await service.verify(shown, GATEWAY)
      assert.is(judged, 0)
      assert.equal(again.endorsements, first.endorsements)
      assert.is(again.endorsements.length, 1)
      const trusts = (await journal.records("default")).slice(-2).map(({ revisions }) => revisions?.trust)
      assert.ok(trusts[0] !== undefined)
      assert.is(trusts[1], trusts[0])
    },
    { chain: akChainOf(device) },
  ))

test("judges once C-07 what a hundred show at a time, and journals each", () =>
  withShown(async (world) => {
    world.advance(LENGTH_MS)
    const shown = await epochInput(world)
    const before = (await world.journal.records("default", { limit: 1000 })).length
    const results = await Promise.all(Array.from({ length: 100 }, () => world.service.verify(shown, GATEWAY)))
    assert.is(judged, 1)
    assert.is(new Set(results.map(({ id }) => id)).size, 100)
    assert.is((await world.journal.records("default", { limit: 1000 })).length, before + 100)
  }))

test("C-07 keeps no failure for anybody: the store is away once", () =>
  withService(
    async (world) => {
      await enrollEndorsed(world, device, {}, { akCertificateChain: akChainOf(device) })
      const shown = await epochInput(world)
      isAway = true
      const outcomes = await Promise.allSettled([1, 2, 3].map(() => world.service.verify(shown, GATEWAY)))
      isAway = false
      const reasons = outcomes.map((outcome) => (outcome.status === "rejected" ? outcome.reason : undefined))
      for (const reason of reasons) assert.ok(reason instanceof AssayError && reason.code === "REGISTRY")
      assert.is(new Set(reasons).size, 3)
      assert.not.equal(codesOf(await world.service.verify(shown, GATEWAY)), ["REGISTRY"])
    },
    {
      cached: true,
      ports: (ports) => ({
        loadTrust: async (...of) => {
          if (isAway) throw new AssayError("REGISTRY", "away")
          return ports.loadTrust(...of)
        },
      }),
    },
  ))
let isAway = false

const state =
  (state: "suspended" | "revoked" | "retired") =>
  ({ ports }: TestService) =>
    ports.devices.change("default", "device-1", undefined, { state }, newAct("suspend-device"))
/** A later answer of the device, from a boot or a clock that the evidence lies behind. */
const answers =
  (change: { readonly resetCount?: number; readonly clockMs?: bigint }) => async (world: TestService) => {
    const { sealed, transcript } = await world.service.createChallenge(
      { device: "", audience: "orders", confirmation: undefined, policy: "" },
      GATEWAY,
    )
    const evidence = evidenceOver(device, challengeExtraData(transcript), {
      tamper: (fields) => ({ ...fields, clockInfo: { ...fields.clockInfo, ...change } }),
    })
    await world.service.verify({ freshness: { kind: "challenge", challenge: sealed }, evidence }, GATEWAY)
  }

const changes: readonly [name: string, change: (world: TestService) => Promise<unknown>, code: Code][] = [
  ["its device was suspended", state("suspended"), "DEVICE_STATE"],
  ["its device was revoked", state("revoked"), "DEVICE_STATE"],
  ["its device was retired", state("retired"), "DEVICE_STATE"],
  [
    "its policy was tightened",
    ({ service }) => service.setPolicy(policyDocument(OTHER_BOOT, { name: "device-1" }), GATEWAY),
    "REFERENCE_SET",
  ],
  [
    "another policy was assigned",
    async ({ service }) => {
      await service.setPolicy(policyDocument(OTHER_BOOT, { name: "other" }), GATEWAY)
      await service.assignPolicy({ policy: "other", device: "device-1" }, GATEWAY)
    },
    "REFERENCE_SET",
  ],
  ["the device answered from a later boot", answers({ resetCount: 1000 }), "CLOCK_INFO_ROLLBACK"],
  [
    "its device was removed",
    ({ ports }) => ports.devices.remove("default", "device-1", undefined, newAct("delete-device")),
    "DEVICE_NOT_FOUND",
  ],
  [
    "the last anchor was removed",
    ({ trust }) => trust.removeTrust("default", idOf(TEST_ANCHOR), newAct("remove-trust")),
    "TRUST",
  ],
  ["its epoch ended long ago", async ({ advance }) => advance(2 * LENGTH_MS), "EPOCH"],
  ["the clock was set back before its epoch", async ({ advance }) => advance(-LENGTH_MS), "EPOCH"],
]
/** The code that a call ends with, as an answer or an error. */
const codeOf = async (service: Service, input: VerifyInput): Promise<readonly string[]> => {
  try {
    return codesOf(await service.verify(input, GATEWAY))
  } catch (error) {
    if (error instanceof AssayError) return [error.code]
    throw error
  }
}
for (const [name, change, code] of changes)
  test(`refuses C-04 evidence that was accepted before: ${name}`, () =>
    withShown(async (world, shown) => {
      await change(world)
      const told = await codeOf(world.service, shown)
      assert.ok(told.includes(code), `${told}`)
      assert.equal(await codeOf(createService({ ...world.ports, ...uncached(world) }), shown), told)
    }))

/** What decides without anything that is remembered of verdicts. */
const uncached = ({ ports }: TestService): Partial<Ports> => ({
  verdicts: createVerdicts(),
  contexts: {
    ...ports.contexts,
    remembered: () => undefined,
    contextFor: async (...of) => ({ context: await ports.contexts.readContext(...of), isRemembered: false }),
  },
})

test("refuses C-04 evidence whose anchor was removed, whose certificates ended, and accepts it before", () =>
  withShown(
    async (world, shown) => {
      assert.is((await world.service.verify(shown, GATEWAY)).endorsements.length, 1)
      world.advance(29_000)
      assert.is((await world.service.verify(shown, GATEWAY)).endorsements.length, 1)
      assert.is(judged, 0)
      world.advance(2000)
      assert.equal(codesOf(await world.service.verify(shown, GATEWAY)), ["VALIDITY"])
      world.advance(-5000)
      assert.equal(codesOf(await world.service.verify(shown, GATEWAY)).includes("VALIDITY"), false)
      await world.trust.importTrust(
        "default",
        { ...NOTHING, anchors: [anotherAnchor] },
        newAct("import-trust"),
      )
      await world.trust.removeTrust("default", idOf(TEST_ANCHOR), newAct("remove-trust"))
      assert.equal(codesOf(await world.service.verify(shown, GATEWAY)), ["UNTRUSTED_ROOT"])
    },
    {
      chain: akChainOf(device, {
        leaf: { validity: validity(NOT_BEFORE, new Date(START.getTime() + 30_000)) },
      }),
    },
  ))
const anotherAnchor = (() => {
  const [, der = new Uint8Array()] = akChainOf(OTHER_BOOT)
  return {
    id: idOf(der),
    certificate: der,
    label: "",
    purpose: "ek",
    revocation: "off",
    provenance: "",
  } as const
})()

const twins: readonly [name: string, change: (input: VerifyInput) => VerifyInput, code: Code][] = [
  ["another signature", changed(({ signature }) => ({ signature: flipped(signature, 40) })), "SIGNATURE"],
  ["another quote", changed(({ attest }) => ({ attest: flipped(attest, 60) })), "SIGNATURE"],
  [
    "other values",
    changed(({ pcrBanks }) => ({
      pcrBanks: pcrBanks.map(({ hash, values }) => ({ hash, values: flipped(values, 3) })),
    })),
    "PCR_DIGEST",
  ],
  ["no log", changed(() => ({ eventLog: undefined })), "EVENT_LOG_MISSING"],
  [
    "another log",
    changed(({ eventLog = new Uint8Array() }) => ({ eventLog: flipped(eventLog, eventLog.length - 90) })),
    "EVENT_LOG_REPLAY",
  ],
  [
    "a log with a byte more",
    changed(({ eventLog = new Uint8Array() }) => ({ eventLog: Uint8Array.of(...eventLog, 1) })),
    "FRAMING",
  ],
  ["a log that its device has never shown by name", named, "EVENT_LOG_NEEDED"],
  ["another device's name", changed(() => ({ akName: OTHER_BOOT.akName })), "DEVICE_NOT_FOUND"],
  [
    "a certificate that is none",
    changed(() => ({ akCertificateChain: [Uint8Array.of(0x30, 0)] })),
    "CERTIFICATE",
  ],
  [
    "a quote that is none, by a key that nobody knows",
    changed(() => ({ akName: OTHER_BOOT.akName, attest: new Uint8Array(3) })),
    "FRAMING",
  ],
  [
    "another epoch",
    ({ freshness, evidence }) => ({ freshness: before(freshness), evidence }),
    "NONCE_MISMATCH",
  ],
  [
    "an epoch to come",
    ({ freshness, evidence }) => ({ freshness: before(freshness, -1), evidence }),
    "EPOCH",
  ],
  [
    "a nonce instead",
    ({ evidence }) => ({ freshness: { kind: "nonce", nonce: new Uint8Array(32) }, evidence }),
    "NONCE_MISMATCH",
  ],
]
function changed(change: (evidence: RawEvidence) => Partial<RawEvidence>) {
  return ({ freshness, evidence }: VerifyInput): VerifyInput => ({
    freshness,
    evidence: { ...evidence, ...change(evidence) },
  })
}
function before(freshness: VerifyInput["freshness"], by = 1): VerifyInput["freshness"] {
  if (freshness.kind !== "epoch") throw new TypeError("no epoch")
  return { kind: "epoch", number: freshness.number - by }
}
for (const [name, change, code] of twins)
  test(`refuses C-05 after the genuine one was shown, with ${name}`, () =>
    withShown(async ({ service }, shown) => {
      const told = await codeOf(service, change(shown))
      assert.ok(told.includes(code), `${told}`)
      assert.equal(await codeOf(service, change(shown)), told)
      judged = 0
      assert.not.ok((await codeOf(service, shown)).includes(code))
      assert.is(judged, 0, "the genuine one stays known")
    }))

test("refuses C-05 evidence of another device to one that speaks for itself", () =>
  withShown(async ({ service }, shown) => {
    const own: Caller = { tenant: "default", id: "device-2", own: { kind: "device", id: "device-2" } }
    await rejectsCode(() => service.verify(shown, own), "PERMISSION")
    await rejectsCode(() => service.verify(shown, { tenant: "other", id: "gateway" }), "DEVICE_NOT_FOUND")
  }))

test("refuses C-05 with a challenge the evidence of an epoch, and with an epoch that of a challenge", () =>
  withShown(async ({ service }, shown) => {
    const answer = await answered(service, device)
    const wrong = [
      { ...shown, freshness: answer.freshness },
      { ...answer, freshness: shown.freshness },
    ]
    for (const input of wrong) assert.equal(codesOf(await service.verify(input, GATEWAY)), ["NONCE_MISMATCH"])
  }))

test("asks C-04 for a named log that its device has not shown, although the evidence was judged with it", () =>
  withShown(async (world, shown) => {
    await rejectsCode(() => world.service.verify(named(shown), GATEWAY), "EVENT_LOG_NEEDED")
    await world.service.verify(await answerShowing(world, device, []), GATEWAY)
    const input = named(await epochInput(world))
    judged = 0
    assert.equal(codesOf(await world.service.verify(input, GATEWAY)).includes("EVENT_LOG_NEEDED"), false)
    assert.is(judged, 1)
    await world.service.verify(input, GATEWAY)
    assert.is(judged, 1)
    const forgetful = createService({
      ...world.ports,
      logs: { ...world.ports.logs, known: () => undefined, shown: async () => undefined },
    })
    await rejectsCode(() => forgetful.verify(input, GATEWAY), "EVENT_LOG_NEEDED")
  }))

test("remembers C-06 a refutation for two seconds, and never one that time may mend", () =>
  withShown(async (world, shown) => {
    const { service, advance } = world
    const { signature } = shown.evidence
    const forged = { ...shown, evidence: { ...shown.evidence, signature: flipped(signature, 40) } }
    for (let i = 0; i < 3; i++) assert.equal(codesOf(await service.verify(forged, GATEWAY)), ["SIGNATURE"])
    assert.is(judged, 1)
    advance(2000)
    assert.equal(codesOf(await service.verify(forged, GATEWAY)), ["SIGNATURE"])
    assert.is(judged, 2)
    const soon = validity(new Date(START.getTime() + 3000), LATER)
    const early = await epochInput(world, {
      akCertificateChain: akChainOf(device, { leaf: { validity: soon } }),
    })
    for (let i = 0; i < 2; i++) assert.equal(codesOf(await service.verify(early, GATEWAY)), ["VALIDITY"])
    advance(1000)
    assert.not.ok(codesOf(await service.verify(early, GATEWAY)).includes("VALIDITY"))
    assert.is(judged, 5)
  }))
const LATER = new Date(START.getTime() + 86_400_000)

test("S-04 writes nothing by a verdict whose revisions moved before its record", () =>
  withService(
    async (world) => {
      await enrollEndorsed(world, device, {}, endorsedBy({}))
      const shown = await epochInput(world)
      await world.service.verify(shown, GATEWAY)
      strike = () => world.service.setPolicy(policyDocument(OTHER_BOOT, { name: "device-1" }), GATEWAY)
      assert.ok(codesOf(await world.service.verify(shown, GATEWAY)).includes("REFERENCE_SET"))
    },
    {
      cached: true,
      ports: ({ journal }) => ({
        journal: {
          append: async (record, commit) => {
            const change = strike
            strike = undefined
            await change?.()
            return journal.append(record, commit)
          },
        },
      }),
    },
  ))
let strike: (() => Promise<unknown>) | undefined

test.run()
