/** A log by its digest, with caches as the server runs and without any: both end alike. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { EV_IPL, standardBoot } from "../../src/device/boot.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import { AssayError, type Code } from "../../src/errors.ts"
import { challengeExtraData, epochExtraData, nonceExtraData } from "../../src/evidence/transcript.ts"
import type { Ports } from "../../src/service/ports.ts"
import type { VerifyInput } from "../../src/service/service.ts"
import { rejectsCode } from "../support/assert.ts"
import { flipped } from "../support/core.ts"
import { logDigest, naming } from "../support/logs.ts"
import { newAct } from "../support/ports/samples.ts"
import {
  answered,
  attest,
  codesOf,
  createTestService,
  enroll,
  evidenceOver,
  GATEWAY,
  type ServiceOptions,
  type TestService,
} from "../support/service.ts"
import { policyDocument, testDevice } from "../support/world.ts"

const test = suite("log by digest")
const SELECTION = [{ hash: "sha256", pcrs: [0, 1, 2, 3, 4, 5, 6, 7] }] as const
const newDevice = (): SoftwareDevice => testDevice({ banks: ["sha256"], selection: SELECTION })

type Act = (world: TestService, device: SoftwareDevice) => Promise<void>

/** The same with caches and without. */
const check = (name: string, act: Act, options: ServiceOptions = {}): void => {
  for (const cached of [false, true])
    test(`${name}${cached ? ", remembering" : ""}`, async () => {
      const world = createTestService({ ...options, cached })
      try {
        const device = newDevice()
        await enroll(world.service, device, policyDocument(device))
        await act(world, device)
      } finally {
        world.close()
      }
    })
}

const verify = ({ service }: TestService, input: VerifyInput) => service.verify(input, GATEWAY)
/** Refuses with a code, and leaves the challenge as it was. */
const needsLog = async (world: TestService, input: VerifyInput): Promise<void> => {
  const error = await rejectsCode(() => verify(world, input), "EVENT_LOG_NEEDED")
  assert.is(error.challenge, input.freshness.kind === "challenge" ? "unspent" : "none")
}

check(
  "accepts a named log that its device has shown, and judges as if it had been sent",
  async (world, device) => {
    const sent = await attest(world.service, device)
    const input = await answered(world.service, device)
    const { token, tier, findings, evidenceDigest, challengeState } = await verify(world, naming(input))
    assert.equal([token.kind, tier, findings, challengeState], ["session", sent.tier, sent.findings, "spent"])
    const [record] = await world.journal.records("default", { limit: 1 })
    assert.is(toHex(record?.evidenceDigest ?? new Uint8Array()), toHex(evidenceDigest))
  },
)

check("writes the same digest of evidence whether its log was sent or named", async (world, device) => {
  await attest(world.service, device)
  const nonce = new Uint8Array(32).fill(7)
  const input: VerifyInput = {
    freshness: { kind: "nonce", nonce },
    evidence: evidenceOver(device, nonceExtraData("default", nonce)),
  }
  const [sent, named] = [await verify(world, input), await verify(world, naming(input))]
  assert.equal(named.evidenceDigest, sent.evidenceDigest)
  assert.equal([named.tier, named.findings], [sent.tier, sent.findings])
})

check(
  "asks for a log that was never shown, before the challenge is spent, and completes the same evidence once",
  async (world, device) => {
    const input = await answered(world.service, device)
    await needsLog(world, naming(input))
    await needsLog(world, naming(input))
    assert.is(
      (await world.journal.records("default", { limit: 10 })).filter(({ act }) => act === "verify").length,
      0,
    )
    assert.is((await verify(world, input)).token.kind, "session")
    for (const again of [input, naming(input)])
      assert.is((await rejectsCode(() => verify(world, again), "NONCE_SPENT")).challenge, "spent")
  },
)

check("accepts named logs in every mode, once shown in answer to a challenge", async (world, device) => {
  await attest(world.service, device)
  const epoch = await world.ports.epochs.current("default", world.now())
  const nonce = new Uint8Array(16).fill(3)
  const inputs: VerifyInput[] = [
    {
      freshness: { kind: "nonce", nonce },
      evidence: evidenceOver(device, nonceExtraData("default", nonce)),
    },
    {
      freshness: { kind: "epoch", number: epoch.number },
      evidence: evidenceOver(device, epochExtraData("default", epoch.value)),
    },
  ]
  for (const input of inputs) assert.is((await verify(world, naming(input))).tier, "warning")
})

const reboot = (device: SoftwareDevice): void =>
  device.boot([...standardBoot(), { pcr: 4, type: EV_IPL, data: Uint8Array.of(6) }])

const unheld: [name: string, show: Act][] = [
  [
    "a log in answer to a nonce",
    async (world, device) => {
      const nonce = new Uint8Array(32)
      const evidence = evidenceOver(device, nonceExtraData("default", nonce))
      await verify(world, { freshness: { kind: "nonce", nonce }, evidence })
    },
  ],
  [
    "a log in an epoch",
    async (world, device) => {
      const { number, value } = await world.ports.epochs.current("default", world.now())
      const evidence = evidenceOver(device, epochExtraData("default", value))
      await verify(world, { freshness: { kind: "epoch", number }, evidence })
    },
  ],
  [
    "a log beside a signature that does not hold",
    async (world, device) => {
      const { freshness, evidence } = await answered(world.service, device)
      const signature = flipped(evidence.signature, evidence.signature.length - 1)
      assert.equal(codesOf(await verify(world, { freshness, evidence: { ...evidence, signature } })), [
        "SIGNATURE",
      ])
    },
  ],
  [
    "a log beside values that were not quoted",
    async (world, device) => {
      const { freshness, evidence } = await answered(world.service, device)
      const pcrBanks = evidence.pcrBanks.map(({ hash, values }) => ({ hash, values: flipped(values, 0) }))
      assert.equal(codesOf(await verify(world, { freshness, evidence: { ...evidence, pcrBanks } })), [
        "PCR_DIGEST",
      ])
    },
  ],
  [
    "a log that answers another challenge",
    async (world, device) => {
      const [first, second] = [await answered(world.service, device), await answered(world.service, device)]
      const crossed = { freshness: first.freshness, evidence: second.evidence }
      assert.equal(codesOf(await verify(world, crossed)), ["NONCE_MISMATCH"])
    },
  ],
  [
    "a log beside a quote of none of its PCRs",
    async (world, device) => {
      const { sealed, transcript } = await world.service.createChallenge(
        { device: "", audience: "orders", confirmation: undefined, policy: "" },
        GATEWAY,
      )
      const selection = [{ hash: "sha256", pcrs: [23] }] as const
      const evidence = evidenceOver(device, challengeExtraData(transcript), { selection })
      await verify(world, { freshness: { kind: "challenge", challenge: sealed }, evidence })
    },
  ],
]
for (const [name, show] of unheld)
  check(`keeps nothing C-06 of ${name}`, async (world, device) => {
    await show(world, device)
    await needsLog(world, naming(await answered(world.service, device)))
  })

check(
  "keeps nothing of a decision that was not journaled",
  async (world, device) => {
    await rejectsCode(() => attest(world.service, device), "JOURNAL")
    await needsLog(world, naming(await answered(world.service, device)))
  },
  {
    ports: ({ journal }) => ({
      journal: {
        ...journal,
        append: async () => {
          throw new AssayError("JOURNAL", "no")
        },
      },
    }),
  },
)

check("refuses C-05 what a known log does not lead to, as if it had been sent", async (world, device) => {
  const old = device.eventLog
  await attest(world.service, device)
  reboot(device)
  for (const change of [naming, (input: VerifyInput) => input] as const) {
    const input = await answered(world.service, device)
    const told = await verify(world, change({ ...input, evidence: { ...input.evidence, eventLog: old } }))
    assert.equal(codesOf(told), ["EVENT_LOG_REPLAY"])
    assert.match(told.findings[0]?.location ?? "", /^sha256:4, event \d+$/)
    assert.is(told.challengeState, "spent")
  }
})

const unproven: [name: string, code: Code, change: (input: VerifyInput) => VerifyInput][] = [
  [
    "a signature that does not hold",
    "SIGNATURE",
    ({ freshness, evidence }) => ({
      freshness,
      evidence: { ...evidence, signature: flipped(evidence.signature, evidence.signature.length - 1) },
    }),
  ],
  [
    "another quote",
    "SIGNATURE",
    ({ freshness, evidence }) => ({
      freshness,
      evidence: { ...evidence, attest: flipped(evidence.attest, evidence.attest.length - 1) },
    }),
  ],
]
for (const [name, code, change] of unproven)
  check(
    `refuses C-05 ${name} whether its log is known or not, and does not tell which`,
    async (world, device) => {
      for (const known of [false, true]) {
        if (known) await attest(world.service, device)
        const told = await verify(world, change(naming(await answered(world.service, device))))
        assert.equal([codesOf(told), told.challengeState], [[code], "unspent"])
      }
    },
  )

check(
  "refuses C-05 a known log with values that were not quoted, and with another's answer",
  async (world, device) => {
    await attest(world.service, device)
    const [first, second] = [await answered(world.service, device), await answered(world.service, device)]
    const crossed = naming({ freshness: first.freshness, evidence: second.evidence })
    assert.equal(codesOf(await verify(world, crossed)), ["NONCE_MISMATCH"])
    const { evidence, freshness } = naming(second)
    const pcrBanks = evidence.pcrBanks.map(({ hash, values }) => ({ hash, values: flipped(values, 40) }))
    assert.equal(codesOf(await verify(world, { freshness, evidence: { ...evidence, pcrBanks } })), [
      "PCR_DIGEST",
    ])
    const fewer = naming(await answered(world.service, device))
    assert.equal(codesOf(await verify(world, { ...fewer, evidence: { ...fewer.evidence, pcrBanks: [] } })), [
      "PCR_SELECTION",
    ])
  },
)

check("asks C-01 for a log that another device has shown", async (world, device) => {
  const other = newDevice()
  await enroll(world.service, other, policyDocument(other, { name: "other" }), "device-2")
  assert.equal(other.eventLog, device.eventLog)
  await attest(world.service, device)
  const input = await answered(world.service, other)
  await needsLog(world, naming(input))
  assert.is((await verify(world, input)).token.kind, "session")
  assert.is((await verify(world, naming(await answered(world.service, other)))).token.kind, "session")
})

check("asks C-01 for a log that the device has shown under another key", async (world, device) => {
  await attest(world.service, device)
  const rotated = newDevice()
  const { devices, registry } = world.ports
  const { device: before } = await registry.snapshotFor("default", device.akName)
  await devices.remove("default", before.id, undefined, newAct("delete-device"))
  await enroll(world.service, rotated, policyDocument(rotated), "device-3")
  await needsLog(world, naming(await answered(world.service, rotated)))
})

check(
  "asks C-02 for a log that is a bit, a byte or a name away from the one that was shown",
  async (world, device) => {
    await attest(world.service, device)
    const log = device.eventLog
    const digest = logDigest(log)
    for (const wrong of [
      flipped(digest, 0, 0x80),
      flipped(digest, 31),
      logDigest(log.subarray(0, -1)),
      logDigest(Uint8Array.of(...log, 0)),
      logDigest(digest),
      new Uint8Array(32),
    ])
      await needsLog(world, naming(await answered(world.service, device), wrong))
  },
)

const stale: [name: string, code: Code, change: Act][] = [
  [
    "a device that was suspended",
    "DEVICE_STATE",
    async ({ service }) => void (await service.moveDevice("suspend", { id: "device-1", etag: "" }, GATEWAY)),
  ],
  [
    "a device that was revoked",
    "DEVICE_STATE",
    async ({ service }) => void (await service.moveDevice("revoke", { id: "device-1", etag: "" }, GATEWAY)),
  ],
  [
    "a policy with other values",
    "REFERENCE_SET",
    async ({ service }, device) => {
      const other = newDevice()
      reboot(other)
      assert.not.equal(other.eventLog, device.eventLog)
      await service.setPolicy(policyDocument(other), GATEWAY)
    },
  ],
  [
    "a policy with another bank",
    "PCR_BANK",
    async ({ service }) => {
      const other = testDevice({ banks: ["sha256", "sha384"] })
      await service.setPolicy(policyDocument(other, { banks: ["sha256", "sha384"] }), GATEWAY)
    },
  ],
  [
    "a policy with a PCR more",
    "PCR_SELECTION",
    async ({ service }, device) =>
      void (await service.setPolicy(policyDocument(device, { pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8] }), GATEWAY)),
  ],
]
for (const [name, code, change] of stale)
  check(`refuses C-04 a known log after ${name}`, async (world, device) => {
    await attest(world.service, device)
    await attest(world.service, device)
    await change(world, device)
    const told = await verify(world, naming(await answered(world.service, device)))
    assert.ok(codesOf(told).includes(code), codesOf(told).join())
    assert.is(told.token.kind, "result")
  })

check("refuses C-04 a known log of a device that was removed", async (world, device) => {
  await attest(world.service, device)
  const input = await answered(world.service, device)
  await world.service.deleteDevice({ id: "device-1", etag: "" }, GATEWAY)
  await rejectsCode(() => verify(world, naming(input)), "DEVICE_NOT_FOUND")
})

/** What a caller still holds, and changes while the evidence is judged. */
const held: Uint8Array[] = []
check(
  "judges C-07 what was sent, whatever becomes of the caller's bytes meanwhile",
  async (world, device) => {
    for (const known of [false, true]) {
      const { freshness, evidence } = await answered(world.service, device)
      const eventLog = Uint8Array.from(evidence.eventLog ?? [])
      held.push(eventLog)
      const verdict = await verify(world, { freshness, evidence: { ...evidence, eventLog } })
      assert.equal(
        [verdict.token.kind, eventLog[0], held.length],
        ["session", 0xee, 0],
        known ? "known" : "new",
      )
    }
    assert.is((await verify(world, naming(await answered(world.service, device)))).token.kind, "session")
  },
  {
    ports: ({ contexts }) => ({
      contexts: {
        ...contexts,
        remembered: () => undefined,
        contextFor: (tenant, akName) => {
          for (const bytes of held.splice(0)) bytes.fill(0xee)
          return contexts.contextFor(tenant, akName)
        },
      },
    }),
  },
)

const damages: [name: string, code: Code, changed: (ports: Ports) => Partial<Ports["logs"]>][] = [
  ["whose log it is", "REGISTRY", () => ({ shown: () => Promise.reject(new AssayError("REGISTRY", "no")) })],
  ["a log", "REGISTRY", () => ({ load: () => Promise.reject(new AssayError("REGISTRY", "no")) })],
  ["a log that is gone", "EVENT_LOG_NEEDED", () => ({ load: async () => undefined })],
]
for (const [name, code, changed] of damages)
  check(
    `fails closed where ${name} cannot be read, and leaves the challenge unspent`,
    async (world, device) => {
      await attest(world.service, device)
      const input = await answered(world.service, device)
      assert.is((await rejectsCode(() => verify(world, naming(input)), code)).challenge, "unspent")
      assert.is((await verify(world, input)).token.kind, "session")
    },
    { ports: (ports) => ({ logs: { ...ports.logs, known: () => undefined, ...changed(ports) } }) },
  )

test.run()
