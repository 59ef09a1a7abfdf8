import { hash } from "node:crypto"
import { decodeJwt, decodeProtectedHeader } from "jose"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { verifySessionToken } from "../../src/client/session.ts"
import { standardBoot } from "../../src/device/boot.ts"
import { AssayError } from "../../src/errors.ts"
import { challengeExtraData, epochExtraData, nonceExtraData } from "../../src/evidence/transcript.ts"
import type { VerifyInput } from "../../src/service/service.ts"
import { rejectsCode } from "../support/assert.ts"
import { newAct, SETUP } from "../support/ports/samples.ts"
import {
  answered,
  attest,
  codesOf,
  createTestService,
  enroll,
  evidenceOver,
  GATEWAY,
  type ServiceOptions,
  START,
  type TestService,
} from "../support/service.ts"
import { policyDocument, testDevice } from "../support/world.ts"

const device = testDevice({
  banks: ["sha1", "sha256"],
  selection: [{ hash: "sha256", pcrs: [0, 1, 2, 3, 4, 5, 6, 7] }],
})
const policy = policyDocument(device)

const test = suite("createVerify")

/** A fresh service that knows the device, closed when the test ends. */
const withService = async (
  act: (world: TestService) => Promise<void>,
  options: ServiceOptions & { readonly policy?: string } = {},
): Promise<void> => {
  const world = createTestService(options)
  try {
    await enroll(world.service, device, options.policy ?? policy)
    await act(world)
  } finally {
    world.close()
  }
}

const records = (world: TestService) => world.journal.records("default", { limit: 100 })

test("gives a session token for evidence that answers its challenge and matches the policy", () =>
  withService(async (world) => {
    const confirmation = { method: "jkt", digest: new Uint8Array(32).fill(7) } as const
    const result = await attest(world.service, device, { confirmation, device: "device-1", policy: "test" })
    assert.is(result.tier, "warning")
    assert.equal(codesOf(result), ["AK_BINDING_UNPROVEN"])
    assert.is(result.vector["instance-identity"], undefined)
    assert.is(result.token.kind, "session")
    assert.is(result.challengeState, "spent")
    const claims = verifySessionToken(result.token.compact, {
      keys: world.jwks,
      issuer: "https://assay.example",
      audience: "orders",
      at: START,
      confirmation,
    })
    assert.is(claims.device, "device-1")
    assert.is(claims.id, result.id)
  }))

test("journals the decision, with its token's id and nothing that could be presented", () =>
  withService(async (world) => {
    const result = await attest(world.service, device)
    const [record] = (await records(world)).filter(({ act }) => act === "verify")
    assert.is(record?.tokenId, result.id)
    assert.is(record?.outcome, "warning")
    assert.is(toHex(record?.evidenceDigest ?? new Uint8Array()), toHex(result.evidenceDigest))
    const [, , signature = "?"] = result.token.compact.split(".")
    const text = JSON.stringify(await records(world), (_, value) =>
      typeof value === "bigint" ? String(value) : value,
    )
    assert.not.ok(text.includes(signature))
  }))

test("writes EAR claims in the form that the audience reads", () =>
  withService(
    async (world) => {
      const old = decodeJwt((await attest(world.service, device, { audience: "old" })).token.compact)
      const now = decodeJwt((await attest(world.service, device, { audience: "orders" })).token.compact)
      assert.is(old["eat_profile"], "tag:github.com,2023:veraison/ear")
      assert.is(now["eat_profile"], "tag:ietf.org,2026:rats/ear#03")
    },
    {
      earForm: (audience) => (audience === "old" ? "2023" : "2026"),
      policy: policyDocument(device, { session: { audiences: ["orders", "old"] } }),
    },
  ))

test("answers a relying party's nonce with a result and no session", () =>
  withService(async (world) => {
    const nonce = new Uint8Array(16).fill(9)
    const evidence = evidenceOver(device, nonceExtraData("default", nonce))
    const result = await world.service.verify({ freshness: { kind: "nonce", nonce }, evidence }, GATEWAY)
    assert.is(result.tier, "warning")
    assert.is(result.token.kind, "result")
    assert.is(decodeProtectedHeader(result.token.compact).typ, "ear+jwt")
    const claims = decodeJwt(result.token.compact)
    assert.is(claims["eat_nonce"], Buffer.from(nonce).toString("base64url"))
    assert.is(claims.aud, "gateway")
    assert.not.ok("cnf" in claims)
  }))

test("answers an epoch with the evidence's greatest age, many times over", () =>
  withService(async (world) => {
    const { epoch } = await world.service.epoch(GATEWAY)
    const evidence = evidenceOver(device, epochExtraData("default", epoch.value))
    for (const seconds of [0, 90]) {
      world.advance(seconds * 1000)
      const result = await world.service.verify(
        { freshness: { kind: "epoch", number: epoch.number }, evidence },
        GATEWAY,
      )
      assert.is(result.token.kind, "result")
      assert.is(result.evidenceAgeMs, world.now().getTime() - epoch.startsAt.getTime())
    }
  }))

test("refuses an epoch that is neither the current one nor the one before", () =>
  withService(async (world) => {
    const { epoch } = await world.service.epoch(GATEWAY)
    const evidence = evidenceOver(device, epochExtraData("default", epoch.value))
    for (const number of [epoch.number + 1, epoch.number - 2, 0])
      await rejectsCode(
        () => world.service.verify({ freshness: { kind: "epoch", number }, evidence }, GATEWAY),
        "EPOCH",
      )
    world.advance(600_000)
    await rejectsCode(
      () => world.service.verify({ freshness: { kind: "epoch", number: epoch.number }, evidence }, GATEWAY),
      "EPOCH",
    )
  }))

// What the evidence shows to be untrue is an answer: a contraindicated result, never a session.

test("tells the policy's expectation and what was found when the device booted something else", () =>
  withService(async (world) => {
    const changed = testDevice({ selection: [{ hash: "sha256", pcrs: [0, 1, 2, 3, 4, 5, 6, 7] }] })
    await world.service.registerDevice(
      { id: "device-2", akPublic: changed.akPublic, qualifiedName: undefined },
      GATEWAY,
    )
    await world.service.assignPolicy({ policy: "test", device: "device-2" }, GATEWAY)
    changed.boot(standardBoot({ bootLoader: "something else" }))
    const result = await attest(world.service, changed)
    const [finding] = result.findings
    assert.is(result.tier, "contraindicated")
    assert.is(finding?.code, "REFERENCE_SET")
    assert.match(finding?.location ?? "", /sha256:4/)
    assert.is(result.token.kind, "result")
  }))

/** U1 to U4 for evidence that is refused with an answer: no session, one record, the challenge as it should be. */
const refusesWith = async (
  world: TestService,
  input: VerifyInput,
  code: string,
  state: "spent" | "unspent" | "none",
): Promise<void> => {
  const before = await world.registry.device("default", "device-1")
  const records0 = (await records(world)).length
  const result = await world.service.verify(input, GATEWAY)
  assert.is(result.findings[0]?.code, code)
  assert.is(result.tier, "contraindicated")
  assert.is(result.token.kind, "result")
  assert.is(decodeProtectedHeader(result.token.compact).typ, "ear+jwt")
  assert.is(result.challengeState, state)
  assert.is((await records(world)).length, records0 + 1)
  const after = await world.registry.device("default", "device-1")
  assert.is(after.revision, before.revision)
  if (state !== "spent") assert.equal(after.counters, before.counters)
}

/** And for evidence that is refused with an error: nothing is written at all. */
const refusesThrowing = async (
  world: TestService,
  act: () => Promise<unknown>,
  code: Parameters<typeof rejectsCode>[1],
  state: "spent" | "unspent" | "none",
): Promise<void> => {
  const before = JSON.stringify((await records(world)).length)
  const error = await rejectsCode(act, code)
  assert.is(error.challenge, state)
  assert.is(JSON.stringify((await records(world)).length), before)
}

const other = testDevice()
const flip = (bytes: Uint8Array, at: number): Uint8Array => {
  const copy = bytes.slice()
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

const unspentRefusals: readonly [name: string, code: string, forge: (input: VerifyInput) => VerifyInput][] = [
  [
    "Q-16 a signature with one bit changed",
    "SIGNATURE",
    ({ freshness, evidence }) => ({
      freshness,
      evidence: { ...evidence, signature: flip(evidence.signature, 40) },
    }),
  ],
  [
    "Q-16 signed bytes with one bit changed",
    "SIGNATURE",
    ({ freshness, evidence }) => ({
      freshness,
      evidence: { ...evidence, attest: flip(evidence.attest, 120) },
    }),
  ],
  [
    "Q-16 a good quote by another key",
    "SIGNATURE",
    ({ freshness, evidence }) => ({
      freshness,
      evidence: { ...evidence, ...other.quote({ extraData: evidence.attest.slice(0, 32) }) },
    }),
  ],
  [
    "N-03 a quote over nothing",
    "NONCE_MISMATCH",
    ({ freshness }) => ({ freshness, evidence: evidenceOver(device, new Uint8Array()) }),
  ],
  [
    "N-03 a quote over zeros",
    "NONCE_MISMATCH",
    ({ freshness }) => ({ freshness, evidence: evidenceOver(device, new Uint8Array(32)) }),
  ],
  [
    "N-03 a quote over another nonce of the same length",
    "NONCE_MISMATCH",
    ({ freshness }) => ({ freshness, evidence: evidenceOver(device, new Uint8Array(32).fill(1)) }),
  ],
  [
    "N-03 a quote over a relying party's nonce",
    "NONCE_MISMATCH",
    ({ freshness }) => ({
      freshness,
      evidence: evidenceOver(device, nonceExtraData("default", new Uint8Array(16))),
    }),
  ],
]
for (const [name, code, forge] of unspentRefusals)
  test(`refuses ${name}, and the challenge can still be answered`, () =>
    withService(async (world) => {
      const good = await answered(world.service, device)
      await refusesWith(world, forge(good), code, "unspent")
      assert.is((await world.service.verify(good, GATEWAY)).token.kind, "session")
    }))

const nonceVariants: readonly [name: string, change: (expected: Uint8Array) => Uint8Array][] = [
  ["a prefix of it", (expected) => expected.subarray(0, 31)],
  ["one byte more", (expected) => Uint8Array.of(...expected, 0)],
  ["padded to 50 bytes", (expected) => Uint8Array.of(...expected, ...new Uint8Array(18))],
  ["padded to 64 bytes", (expected) => Uint8Array.of(...expected, ...new Uint8Array(32))],
  ["its hexadecimal text", (expected) => new TextEncoder().encode(toHex(expected)).subarray(0, 64)],
  ["its last bit flipped", (expected) => flip(expected, 31)],
  ["its bytes reversed", (expected) => expected.slice().reverse()],
]
for (const [name, change] of nonceVariants)
  test(`refuses N-03 the expected digest as ${name}`, () =>
    withService(async (world) => {
      const { sealed, transcript } = await world.service.createChallenge(
        { device: "", audience: "orders", confirmation: undefined, policy: "" },
        GATEWAY,
      )
      const evidence = evidenceOver(device, change(challengeExtraData(transcript)))
      await refusesWith(
        world,
        { freshness: { kind: "challenge", challenge: sealed }, evidence },
        "NONCE_MISMATCH",
        "unspent",
      )
    }))

test("refuses N-06 a challenge for one audience relayed to a device that answers for another", () =>
  withService(async (world) => {
    const { sealed, transcript } = await world.service.createChallenge(
      { device: "", audience: "attacker", confirmation: undefined, policy: "" },
      GATEWAY,
    )
    const evidence = evidenceOver(device, challengeExtraData({ ...transcript, audience: "orders" }))
    await refusesWith(
      world,
      { freshness: { kind: "challenge", challenge: sealed }, evidence },
      "NONCE_MISMATCH",
      "unspent",
    )
  }))

// The order of one Verify: whatever follows the spend, the challenge stays spent.

const spentRefusals: readonly [name: string, code: string, forge: (input: VerifyInput) => VerifyInput][] = [
  [
    "Q-10 PCR values that are not those quoted",
    "PCR_DIGEST",
    ({ freshness, evidence }) => ({
      freshness,
      evidence: {
        ...evidence,
        pcrBanks: evidence.pcrBanks.map(({ hash, values }) => ({ hash, values: flip(values, 128) })),
      },
    }),
  ],
  [
    "Q-05 values of a bank that was not quoted",
    "PCR_UNQUOTED",
    ({ freshness, evidence }) => ({
      freshness,
      evidence: {
        ...evidence,
        pcrBanks: [...evidence.pcrBanks, { hash: "sha384", values: new Uint8Array(48) }],
      },
    }),
  ],
  [
    "a log of another boot",
    "EVENT_LOG_REPLAY",
    ({ freshness, evidence }) => ({ freshness, evidence: { ...evidence, eventLog: other.eventLog } }),
  ],
  [
    "no log where one is required",
    "EVENT_LOG_MISSING",
    ({ freshness, evidence }) => ({ freshness, evidence: { ...evidence, eventLog: undefined } }),
  ],
]
other.boot(standardBoot({ kernel: "another kernel", firmware: "another firmware" }))
for (const [name, code, forge] of spentRefusals)
  test(`refuses ${name}, and the challenge stays spent`, () =>
    withService(async (world) => {
      const good = await answered(world.service, device)
      await refusesWith(world, forge(good), code, "spent")
      await refusesThrowing(world, () => world.service.verify(good, GATEWAY), "NONCE_SPENT", "spent")
    }))

// N-01, N-04, N-05: a challenge is spent once, by its maker, for what it was made for.

test("refuses N-01 the same evidence twice", () =>
  withService(async (world) => {
    const input = await answered(world.service, device)
    assert.is((await world.service.verify(input, GATEWAY)).token.kind, "session")
    await refusesThrowing(world, () => world.service.verify(input, GATEWAY), "NONCE_SPENT", "spent")
    await refusesThrowing(world, () => world.service.verify(input, GATEWAY), "NONCE_SPENT", "spent")
  }))

test("refuses N-01 new evidence for a challenge that was answered", () =>
  withService(async (world) => {
    const first = await answered(world.service, device)
    await world.service.verify(first, GATEWAY)
    device.advance(1000)
    const again = { ...first, evidence: evidenceOver(device, first.evidence.attest.slice(42, 74)) }
    await refusesThrowing(world, () => world.service.verify(again, GATEWAY), "NONCE_SPENT", "spent")
  }))

test("refuses N-01 evidence of a challenge as evidence of a nonce or an epoch", () =>
  withService(async (world) => {
    const { evidence } = await answered(world.service, device)
    const { epoch } = await world.service.epoch(GATEWAY)
    for (const freshness of [
      { kind: "nonce", nonce: new Uint8Array(32) },
      { kind: "nonce", nonce: evidence.attest.slice(42, 74) },
      { kind: "epoch", number: epoch.number },
    ] as const)
      await refusesWith(world, { freshness, evidence }, "NONCE_MISMATCH", "none")
  }))

test("refuses N-01 evidence from before a restart", () =>
  withService(async (world) => {
    const input = await answered(world.service, device)
    await withService((restarted) =>
      refusesThrowing(restarted, () => restarted.service.verify(input, GATEWAY), "NONCE_UNKNOWN", "unspent"),
    )
  }))

test("refuses N-01 evidence replayed after its challenge has expired", () =>
  withService(async (world) => {
    const input = await answered(world.service, device)
    await world.service.verify(input, GATEWAY)
    world.advance(61_000)
    await refusesThrowing(world, () => world.service.verify(input, GATEWAY), "NONCE_SPENT", "spent")
    world.advance(-61_000)
    await refusesThrowing(
      world,
      () => world.service.verify(input, GATEWAY),
      ["NONCE_EXPIRED", "NONCE_SPENT"],
      "spent",
    )
  }))

test("refuses N-04 a challenge of another caller", () =>
  withService(async (world) => {
    const input = await answered(world.service, device)
    const thief = { tenant: "default", id: "backend" }
    await refusesThrowing(world, () => world.service.verify(input, thief), "NONCE_CONTEXT", "unspent")
    assert.is((await world.service.verify(input, GATEWAY)).token.kind, "session")
  }))

test("refuses N-04 a challenge of another tenant", () =>
  withService(async (world) => {
    const input = await answered(world.service, device)
    const stranger = { tenant: "other", id: "gateway" }
    await refusesThrowing(world, () => world.service.verify(input, stranger), "NONCE_CONTEXT", "unspent")
  }))

test("refuses N-04 a challenge that was made for another device", () =>
  withService(async (world) => {
    const second = testDevice()
    await world.service.registerDevice(
      { id: "device-2", akPublic: second.akPublic, qualifiedName: undefined },
      GATEWAY,
    )
    const input = await answered(world.service, device, { device: "device-2" })
    await refusesThrowing(world, () => world.service.verify(input, GATEWAY), "NONCE_CONTEXT", "unspent")
  }))

test("refuses N-04 a challenge that was made for another policy", () =>
  withService(async (world) => {
    await world.service.setPolicy(policyDocument(device, { name: "weaker" }), GATEWAY)
    const input = await answered(world.service, device, { policy: "weaker" })
    await refusesThrowing(world, () => world.service.verify(input, GATEWAY), "NONCE_CONTEXT", "unspent")
  }))

test("refuses N-04 a challenge that has expired", () =>
  withService(async (world) => {
    const input = await answered(world.service, device)
    world.advance(60_000)
    await refusesThrowing(world, () => world.service.verify(input, GATEWAY), "NONCE_EXPIRED", "unspent")
  }))

test("refuses N-04 evidence whose transcript names another tenant, device, audience, key or policy", () =>
  withService(async (world) => {
    const { sealed, transcript } = await world.service.createChallenge(
      { device: "device-1", audience: "orders", confirmation: undefined, policy: "test" },
      GATEWAY,
    )
    for (const changed of [
      { tenant: "other" },
      { device: "" },
      { audience: "orders2" },
      { confirmation: { method: "jkt", digest: new Uint8Array(32) } },
      { policy: "" },
      { random: new Uint8Array(32) },
    ] as const)
      await refusesWith(
        world,
        {
          freshness: { kind: "challenge", challenge: sealed },
          evidence: evidenceOver(device, challengeExtraData({ ...transcript, ...changed })),
        },
        "NONCE_MISMATCH",
        "unspent",
      )
  }))

test("refuses N-05 all but one of a thousand parallel calls with one challenge", () =>
  withService(async (world) => {
    const input = await answered(world.service, device)
    const outcomes = await Promise.allSettled(
      Array.from({ length: 1000 }, () => world.service.verify(input, GATEWAY)),
    )
    const sessions = outcomes.filter((outcome) => outcome.status === "fulfilled")
    assert.is(sessions.length, 1)
    for (const outcome of outcomes)
      if (outcome.status === "rejected")
        assert.ok(outcome.reason instanceof AssayError && outcome.reason.code === "NONCE_SPENT")
    assert.is((await records(world)).filter(({ act }) => act === "verify").length, 1)
  }))

for (const [name, forge] of [
  [
    "junk signatures",
    (input: VerifyInput) => ({
      ...input,
      evidence: { ...input.evidence, signature: flip(input.evidence.signature, 20) },
    }),
  ],
  [
    "evidence with other PCR values",
    (input: VerifyInput) => ({
      ...input,
      evidence: {
        ...input.evidence,
        pcrBanks: input.evidence.pcrBanks.map(({ hash, values }) => ({ hash, values: flip(values, 0) })),
      },
    }),
  ],
] as const)
  test(`refuses N-05 more than one session when calls race with ${name}`, () =>
    withService(async (world) => {
      const input = await answered(world.service, device)
      const calls = Array.from({ length: 50 }, (_, i) =>
        world.service.verify(i % 2 === 0 ? forge(input) : input, GATEWAY),
      )
      const outcomes = await Promise.allSettled(calls)
      const sessions = outcomes.filter(
        (outcome) => outcome.status === "fulfilled" && outcome.value.token.kind === "session",
      )
      assert.ok(sessions.length <= 1)
    }))

test("refuses N-05 a challenge raced by two callers: only its maker gets through", () =>
  withService(async (world) => {
    const input = await answered(world.service, device)
    const callers = [GATEWAY, { tenant: "default", id: "thief" }]
    const outcomes = await Promise.allSettled(
      Array.from({ length: 100 }, (_, i) => world.service.verify(input, callers[i % 2] ?? GATEWAY)),
    )
    outcomes.forEach((outcome, i) => {
      if (outcome.status === "fulfilled") assert.is(i % 2, 0)
    })
    assert.is(outcomes.filter(({ status }) => status === "fulfilled").length, 1)
  }))

test("refuses N-05 a second session when the spent store is full, and gives none for the first", () =>
  withService(
    async (world) => {
      const inputs = await Promise.all(Array.from({ length: 5 }, () => answered(world.service, device)))
      const outcomes = await Promise.allSettled(inputs.map((input) => world.service.verify(input, GATEWAY)))
      assert.is(outcomes.filter(({ status }) => status === "fulfilled").length, 3)
      for (const outcome of outcomes)
        if (outcome.status === "rejected") {
          assert.is(outcome.reason.code, "CHALLENGES_FULL")
          assert.is(outcome.reason.challenge, "unspent")
        }
    },
    { spentMax: 3 },
  ))

// Fail closed: what cannot be known for certain yields no token.

const failing: readonly [
  name: string,
  code: Parameters<typeof rejectsCode>[1],
  state: "spent" | "unspent",
  ports: ServiceOptions["ports"],
][] = [
  [
    "T-08 the journal cannot be written",
    "JOURNAL",
    "spent",
    ({ journal }) => ({
      journal: {
        append: async (record) =>
          record.act === "verify"
            ? Promise.reject(new AssayError("JOURNAL", "disk full"))
            : journal.append(record),
      },
    }),
  ],
  [
    "T-08 the registry is away",
    "REGISTRY",
    "unspent",
    ({ registry }) => ({
      registry: { ...registry, snapshotFor: async () => Promise.reject(new AssayError("REGISTRY", "gone")) },
    }),
  ],
  [
    "T-08 the signing key does not prove itself",
    "SIGNER",
    "spent",
    ({ signer }) => ({
      signer: {
        ...signer,
        notAfter: signer.notAfter,
        sign: () => {
          throw new AssayError("SIGNER", "no")
        },
      },
    }),
  ],
  [
    "T-08 a stored record is damaged",
    "REGISTRY",
    "unspent",
    ({ contexts }) => ({
      contexts: {
        ...contexts,
        remembered: () => undefined,
        contextFor: async () => {
          throw new AssayError("REGISTRY", "damaged")
        },
      },
    }),
  ],
  [
    "T-08 the journal throws what is no error of ours",
    "INTERNAL",
    "spent",
    ({ journal }) => ({
      journal: {
        append: async (record) => {
          if (record.act === "verify") throw "disk on fire"
          return journal.append(record)
        },
      },
    }),
  ],
  [
    "T-08 the spent store gives no sure answer",
    "NONCE_STORE",
    "spent",
    ({ singleUse }) => ({
      singleUse: {
        ...singleUse,
        spend: async () => Promise.reject(new AssayError("NONCE_STORE", "reply lost")),
      },
    }),
  ],
]
for (const [name, code, state, ports] of failing)
  test(`refuses a token when ${name}`, () =>
    withService(
      async (world) => {
        const input = await answered(world.service, device)
        await refusesThrowing(world, () => world.service.verify(input, GATEWAY), code, state)
      },
      ports === undefined ? {} : { ports },
    ))

const rngSources: readonly [name: string, bytes: (size: number) => Uint8Array][] = [
  [
    "fails",
    () => {
      throw new AssayError("RNG", "no entropy")
    },
  ],
]
for (const [name, bytes] of rngSources)
  test(`refuses N-02 a challenge and a token when the random source ${name}`, () =>
    withService(
      async (world) => {
        await rejectsCode(
          () =>
            world.service.createChallenge(
              { device: "", audience: "orders", confirmation: undefined, policy: "" },
              GATEWAY,
            ),
          "RNG",
        )
      },
      { ports: () => ({ random: { bytes } }) },
    ))

test("refuses P-01 a device without a policy", async () => {
  const world = createTestService()
  try {
    await world.service.registerDevice(
      { id: "device-1", akPublic: device.akPublic, qualifiedName: undefined },
      GATEWAY,
    )
    const input = await answered(world.service, device)
    await refusesWith(world, input, "NO_POLICY", "spent")
  } finally {
    world.close()
  }
})

test("refuses a device that is not registered, and the challenge can still be answered by one that is", () =>
  withService(async (world) => {
    const stranger = testDevice()
    const input = await answered(world.service, stranger)
    await refusesThrowing(world, () => world.service.verify(input, GATEWAY), "DEVICE_NOT_FOUND", "unspent")
  }))

test("refuses a quote that is older than one the device has already answered with", async () => {
  const world = createTestService()
  const own = testDevice({ selection: [{ hash: "sha256", pcrs: [0, 1, 2, 3, 4, 5, 6, 7] }] })
  try {
    await enroll(world.service, own, policyDocument(own))
    own.setState({ clockMs: 5000n, resetCount: 7, restartCount: 2 })
    assert.is((await attest(world.service, own)).token.kind, "session")
    own.setState({ clockMs: 4999n })
    world.advance(1)
    await refusesWith(world, await answered(world.service, own), "CLOCK_INFO_ROLLBACK", "spent")
    own.setState({ clockMs: 9000n, resetCount: 6 })
    await refusesWith(world, await answered(world.service, own), "CLOCK_INFO_ROLLBACK", "spent")
    const { counters } = await world.registry.device("default", "device-1")
    assert.is(counters?.clockMs, 5000n)
    own.setState({ clockMs: 100n, resetCount: 8, restartCount: 0 })
    assert.is((await attest(world.service, own)).token.kind, "session")
  } finally {
    world.close()
  }
})

test("lets one caller attest a device while the evidence of another is under way", async () => {
  const world = createTestService()
  const own = testDevice({ selection: [{ hash: "sha256", pcrs: [0, 1, 2, 3, 4, 5, 6, 7] }] })
  try {
    await enroll(world.service, own, policyDocument(own))
    const first = await answered(world.service, own)
    own.advance(1000)
    world.advance(500)
    assert.is((await attest(world.service, own)).token.kind, "session")
    assert.is((await world.service.verify(first, GATEWAY)).token.kind, "session")
    assert.is((await world.registry.device("default", "device-1")).counters?.clockMs, own.state.clockMs)
  } finally {
    world.close()
  }
})

test("refuses S-04 a first answer that raced another one from a later boot with another firmware", async () => {
  const world = createTestService()
  const own = testDevice({ selection: [{ hash: "sha256", pcrs: [0, 1, 2, 3, 4, 5, 6, 7] }] })
  try {
    const terms = { tpm: { firmwareChange: "refused" }, clock: { resetsMax: 1 } }
    await enroll(world.service, own, policyDocument(own, terms))
    const first = await answered(world.service, own)
    own.setState({ resetCount: 50, firmwareVersion: 2n })
    const second = await answered(world.service, own)
    const outcomes = await Promise.allSettled(
      [first, second].map((input) => world.service.verify(input, GATEWAY)),
    )
    assert.equal(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected"],
    )
    assert.is((await world.registry.device("default", "device-1")).counters?.resetCount, 1)
  } finally {
    world.close()
  }
})

test("refuses a stored key that is not the one of its Name", () =>
  withService(
    async (world) => {
      const input = await answered(world.service, device)
      await refusesThrowing(world, () => world.service.verify(input, GATEWAY), "REGISTRY", "unspent")
    },
    {
      ports: ({ registry }) => ({
        registry: {
          ...registry,
          snapshotFor: async (tenant, akName) => {
            const snapshot = await registry.snapshotFor(tenant, akName)
            return { ...snapshot, device: { ...snapshot.device, akPublic: other.akPublic.slice(2) } }
          },
        },
      }),
    },
  ))

test("does not move a device's counters on a nonce, an epoch, or evidence that was not proven", () =>
  withService(async (world) => {
    const nonce = new Uint8Array(16)
    const { epoch } = await world.service.epoch(GATEWAY)
    await world.service.verify(
      {
        freshness: { kind: "nonce", nonce },
        evidence: evidenceOver(device, nonceExtraData("default", nonce)),
      },
      GATEWAY,
    )
    await world.service.verify(
      {
        freshness: { kind: "epoch", number: epoch.number },
        evidence: evidenceOver(device, epochExtraData("default", epoch.value)),
      },
      GATEWAY,
    )
    const good = await answered(world.service, device)
    await world.service.verify(
      { ...good, evidence: { ...good.evidence, signature: flip(good.evidence.signature, 20) } },
      GATEWAY,
    )
    assert.is((await world.registry.device("default", "device-1")).counters, undefined)
    await world.service.verify(good, GATEWAY)
    assert.is(
      (await world.registry.device("default", "device-1")).counters?.resetCount,
      device.state.resetCount,
    )
  }))

test("refuses a result when the policy was assigned anew while it was made", () =>
  withService(
    async (world) => {
      await refusesThrowing(
        world,
        async () => world.service.verify(await answered(world.service, device), GATEWAY),
        "SNAPSHOT_MOVED",
        "spent",
      )
    },
    {
      ports: ({ registry }) => ({
        registry: {
          ...registry,
          snapshotFor: async (tenant, akName) => {
            const snapshot = await registry.snapshotFor(tenant, akName)
            const document = policyDocument(device, { session: { lifetimeSeconds: 60 } })
            await registry.setPolicy(
              {
                tenant,
                name: "test",
                document,
                digest: hash("sha256", document, "buffer"),
              },
              newAct("set-policy", { caller: SETUP }),
            )
            return snapshot
          },
        },
      }),
    },
  ))

// raw_nonce: such a device quotes whatever it is handed.

const rawPolicy = policyDocument(device, { evidence: { rawNonce: true } })

test("takes a raw nonce only where the policy says so", () =>
  withService(
    async (world) => {
      const nonce = new Uint8Array(32).fill(3)
      const raw = await world.service.verify(
        { freshness: { kind: "nonce", nonce }, evidence: evidenceOver(device, nonce) },
        GATEWAY,
      )
      assert.is(raw.tier, "warning")
      assert.is(raw.token.kind, "result")
    },
    { policy: rawPolicy },
  ))

test("refuses N-03 a raw nonce where the policy does not say so", () =>
  withService(async (world) => {
    const nonce = new Uint8Array(32).fill(3)
    await refusesWith(
      world,
      { freshness: { kind: "nonce", nonce }, evidence: evidenceOver(device, nonce) },
      "NONCE_MISMATCH",
      "none",
    )
  }))

test("refuses N-04 an epoch that a device which quotes raw nonces may have been handed as one", () =>
  withService(
    async (world) => {
      const { epoch } = await world.service.epoch(GATEWAY)
      const evidence = evidenceOver(device, epochExtraData("default", epoch.value))
      await refusesWith(
        world,
        { freshness: { kind: "epoch", number: epoch.number }, evidence },
        "RAW_NONCE",
        "none",
      )
    },
    { policy: rawPolicy },
  ))

test("refuses N-06 a session for a device that quotes raw nonces, even when it answers the challenge", () =>
  withService(
    async (world) => {
      await refusesWith(world, await answered(world.service, device), "SESSION_KEY_UNCERTIFIED", "spent")
    },
    { policy: rawPolicy },
  ))

test("refuses T-08 a session for an audience that the policy does not name", () =>
  withService(async (world) => {
    await refusesWith(
      world,
      await answered(world.service, device, { audience: "billing" }),
      "AUDIENCE",
      "spent",
    )
  }))

test("refuses T-08 a session on a warning when the policy admits none", () =>
  withService(
    async (world) => {
      const result = await attest(world.service, device)
      assert.is(result.tier, "warning")
      assert.is(result.token.kind, "result")
    },
    { policy: policyDocument(device, { session: { admit: "affirming" } }) },
  ))

test("refuses T-08 a session for a key that only its operator vouches for, unless the policy says so", () =>
  withService(
    async (world) =>
      refusesWith(world, await answered(world.service, device), "AK_BINDING_UNPROVEN", "spent"),
    { policy: policyDocument(device, { ak: { binding: "proven" } }) },
  ))

test("ends a session no later than its policy and its signing key", async () => {
  for (const [lifetimeSeconds, keyLifetimeMs, expected] of [
    [300, 86_400_000, 300],
    [300, 100_000, 100],
    [60, 100_000, 60],
  ] as const)
    await withService(
      async (world) => {
        const claims = decodeJwt((await attest(world.service, device)).token.compact)
        assert.is((claims.exp ?? 0) - (claims.iat ?? 0), expected)
      },
      { keyLifetimeMs, policy: policyDocument(device, { session: { lifetimeSeconds } }) },
    )
})

test("gives the same answers with the cache of compiled contexts as without", () =>
  withService(
    async (world) => {
      for (const _ of [1, 2, 3]) assert.is((await attest(world.service, device)).token.kind, "session")
      const good = await answered(world.service, device)
      await refusesWith(
        world,
        { ...good, evidence: { ...good.evidence, signature: flip(good.evidence.signature, 20) } },
        "SIGNATURE",
        "unspent",
      )
      await world.service.setPolicy(policyDocument(device, { ak: { binding: "proven" } }), GATEWAY)
      await refusesWith(world, await answered(world.service, device), "AK_BINDING_UNPROVEN", "spent")
    },
    { cached: true },
  ))

test.run()
