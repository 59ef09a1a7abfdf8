/** C-01 to C-07 before the running service, with its own caches, store and journal: what was accepted and remembered, and what is asked then. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { tpmEvidence } from "../../src/device/attester.ts"
import { EV_IPL, standardBoot } from "../../src/device/boot.ts"
import type { Code } from "../../src/errors.ts"
import type { VerifyRequest } from "../../src/gen/assay/v1/attestation_pb.ts"
import { AnchorPurpose, AnchorRevocation } from "../../src/gen/assay/v1/trust_pb.ts"
import { answering, codesOf, type Request, withEvidence } from "../server/warm.ts"
import { flipped } from "../support/core.ts"
import { waitUntil } from "../support/engines.ts"
import { logDigest } from "../support/logs.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import { type Remembering, rememberingServer, type Shown } from "./remembering.ts"
import { attest } from "./server.ts"
import { TWINS } from "./twins.ts"

const test = suite("what the running service remembers")
const server = rememberingServer(test)
const other = testDevice({ events: standardBoot({ bootLoader: "another" }) })
const SECOND_MS = 1000

/** Those whose certificate, and whose list, ends while other tests run. */
let ending: readonly [certificate: Shown, list: Shown]
let endsAt = new Date()
test.before(async () => {
  endsAt = new Date(Math.ceil(Date.now() / SECOND_MS) * SECOND_MS + 4 * SECOND_MS)
  const [certificate, list] = [await server().show(endsAt), await server().show()]
  await list.trust({ revocation: AnchorRevocation.REQUIRE })
  await list.list({ until: endsAt })
  ending = [certificate, list]
  for (const one of ending) {
    // Trust has moved on since they were shown.
    await server().gateway.verify(one.request)
    await server().remembers(one)
  }
})

type Move = (shown: Shown, found: Remembering) => Promise<unknown>
const otherPolicy = (name: string): string => policyDocument(other, { name })
const moved: readonly [id: string, name: string, move: Move, code: Code][] = [
  [
    "C-01",
    "its device was suspended",
    ({ id }, { operator }) => operator.suspendDevice({ id }),
    "DEVICE_STATE",
  ],
  [
    "C-01",
    "its policy has another revision",
    ({ id }, { operator }) => operator.setPolicy(otherPolicy(id)),
    "REFERENCE_SET",
  ],
  [
    "C-01",
    "another policy judges it",
    async ({ id }, { operator }) => {
      await operator.setPolicy(otherPolicy("other"))
      await operator.assignPolicy({ policy: "other", device: id })
    },
    "REFERENCE_SET",
  ],
  [
    "C-01",
    "its anchor is for another purpose",
    ({ trust }) => trust({ purpose: AnchorPurpose.EK }),
    "UNTRUSTED_ROOT",
  ],
  [
    "C-01",
    "its anchor asks for lists that are not there",
    ({ trust }) => trust({ revocation: AnchorRevocation.REQUIRE }),
    "REVOCATION",
  ],
  [
    "C-01",
    "its key is another device's",
    async ({ id, device: { akPublic, qualifiedName } }, { operator }) => {
      await operator.deleteDevice({ id })
      await operator.registerDevice({ id: `${id}-again`, akPublic, qualifiedName })
    },
    "NO_POLICY",
  ],
  ["C-04", "its device was revoked", ({ id }, { operator }) => operator.revokeDevice({ id }), "DEVICE_STATE"],
  ["C-04", "its device was retired", ({ id }, { operator }) => operator.retireDevice({ id }), "DEVICE_STATE"],
  [
    "C-04",
    "its device was removed",
    ({ id }, { operator }) => operator.deleteDevice({ id }),
    "DEVICE_NOT_FOUND",
  ],
  ["C-04", "its anchor was removed", ({ distrust }) => distrust(), "UNTRUSTED_ROOT"],
  [
    "C-04",
    "its maker's lists revoke it",
    async ({ trust, list }) => {
      await trust({ revocation: AnchorRevocation.REQUIRE })
      await list({ revoked: true })
    },
    "REVOKED",
  ],
]
for (const [id, name, move, code] of moved)
  test(`refuses ${id} what the service accepted before: ${name}`, async () => {
    const shown = await server().show()
    await server().remembers(shown)
    await move(shown, server())
    await refuses(shown, code)
  })

/** It is refused with this code among others, over the epoch and over a challenge. */
const refuses = async ({ device, request }: Shown, code: Code): Promise<void> => {
  const { gateway } = server()
  for (const asked of [request, await answering(gateway, device)]) {
    const codes = await codesOf(gateway, asked)
    assert.ok(codes.includes(code), `${codes}`)
  }
}

/** One device for all tests that move nothing. */
let kept: Promise<Shown> | undefined
const unmoved = async (): Promise<Shown> => {
  kept ??= server().show()
  const shown = await kept
  // Others have moved trust on.
  await server().gateway.verify(shown.request)
  return shown
}

const twinTest = ([id, name, change, code]: (typeof TWINS)[number]): void => {
  test(`${code === undefined ? "judges by itself" : "refuses"} ${id} what the service accepted before, with ${name}`, async () => {
    const { gateway, judged, remembers } = server()
    // One that is accepted is remembered too, and of one device so many are.
    const shown = code === undefined ? await server().show() : await unmoved()
    await remembers(shown)
    const certificates = { own: shown.chain, foreign: shown.certify(other) }
    const twin = withEvidence(shown.request, (evidence) => change(evidence, certificates))
    const before = await judged()
    const codes = await codesOf(gateway, twin)
    if (code === undefined) assert.equal([codes, await judged()], [[], before + 1])
    else assert.ok(codes.includes(code), `${codes}`)
    await remembers(shown)
  })
}
for (const twin of TWINS) twinTest(twin)

type Ask = (shown: Shown, found: Remembering) => Request | Promise<Request>
const questions: readonly [name: string, ask: Ask, code: Code][] = [
  ["for the epoch before", ({ request }) => epochOf(request, -1n), "NONCE_MISMATCH"],
  ["for an epoch to come", ({ request }) => epochOf(request, 1n), "EPOCH"],
  [
    "for a nonce",
    ({ request }) => ({ ...request, freshness: { case: "nonce", value: new Uint8Array(32) } }),
    "NONCE_MISMATCH",
  ],
  [
    "for a challenge",
    async ({ device, request }, { gateway }) => ({
      ...request,
      freshness: (await answering(gateway, device)).freshness,
    }),
    "NONCE_MISMATCH",
  ],
  [
    "for a challenge that is spent",
    async ({ device }, { gateway }) => {
      const request = await answering(gateway, device)
      await gateway.verify(request)
      return request
    },
    "NONCE_SPENT",
  ],
]
const epochOf = (request: VerifyRequest, by: bigint): Request => {
  if (request.freshness.case !== "epoch") throw new TypeError("no epoch")
  return { ...request, freshness: { case: "epoch", value: request.freshness.value + by } }
}
for (const [name, ask, code] of questions)
  test(`refuses C-05 what the service accepted before, ${name}`, async () => {
    const shown = await unmoved()
    await server().remembers(shown)
    assert.equal(await codesOf(server().gateway, await ask(shown, server())), [code])
  })

/** What refuses a device for a while, with its code, and what ends that. */
const refusals: readonly [name: string, refuse: Move, code: Code, allow: Move][] = [
  [
    "was suspended",
    ({ id }, { operator }) => operator.suspendDevice({ id }),
    "DEVICE_STATE",
    ({ id }, { operator }) => operator.resumeDevice({ id }),
  ],
  ["had no anchor", ({ distrust }) => distrust(), "UNTRUSTED_ROOT", ({ trust }) => trust({})],
  [
    "had no list of its maker's",
    ({ trust }) => trust({ revocation: AnchorRevocation.REQUIRE }),
    "REVOCATION",
    ({ list }) => list({}),
  ],
  [
    "had a policy of other values",
    ({ id }, { operator }) => operator.setPolicy(otherPolicy(id)),
    "REFERENCE_SET",
    ({ id, device }, { operator }) => operator.setPolicy(policyDocument(device, { name: id })),
  ],
  [
    "was not registered",
    ({ id }, { operator }) => operator.deleteDevice({ id }),
    "DEVICE_NOT_FOUND",
    async ({ id, device: { akPublic, qualifiedName }, chain }, { operator }) => {
      const keys = { akPublic, qualifiedName, akCertificateChain: [...chain] }
      await operator.registerDevice({ id: `${id}-again`, ...keys })
      await operator.assignPolicy({ policy: id, device: `${id}-again` })
    },
  ],
]
for (const [name, refuse, code, allow] of refusals)
  test(`C-06 holds nothing against a device that ${name} for a while`, async () => {
    const shown = await server().show()
    await refuse(shown, server())
    for (let i = 0; i < 3; i++) await refuses(shown, code)
    await allow(shown, server())
    assert.equal(await codesOf(server().gateway, shown.request), [])
    await attest(server().gateway, shown.device)
  })
test("C-06 lets no junk take the place of what is proven, however much of it there is", async () => {
  const { show, gateway, remembers } = server()
  const shown = await show()
  const { signature } = tpmEvidence(shown.request)
  const junk = Array.from({ length: 200 }, (_, i) =>
    withEvidence(shown.request, () => ({ signature: flipped(signature, 6 + (i % 32), 1 + (i >> 5)) })),
  )
  for (const codes of await Promise.all(junk.map((one) => codesOf(gateway, one))))
    assert.ok(codes.includes("SIGNATURE"), `${codes}`)
  await remembers(shown)
})
test("C-06 lets a device name its log as soon as it has shown it, however often it was refused before", async () => {
  const { show, gateway } = server()
  const { id, device } = await show()
  device.boot([...standardBoot(), { pcr: 9, type: EV_IPL, data: Uint8Array.of(1) }])
  const naming = async (): Promise<Request> =>
    withEvidence(await answering(gateway, device), ({ eventLog }) => ({
      eventLog: new Uint8Array(),
      eventLogDigest: logDigest(eventLog),
    }))
  for (let i = 0; i < 3; i++) assert.equal(await codesOf(gateway, await naming()), ["EVENT_LOG_NEEDED"], id)
  await attest(gateway, device)
  assert.equal(await codesOf(gateway, await naming()), [])
})

/** Evidence of a device that nobody has judged yet. */
const unseen = async ({ device }: Shown): Promise<VerifyRequest> => {
  device.advance(SECOND_MS)
  return device.answerEpoch("default", await server().gateway.getEpoch())
}
/** How often evidence is appraised while `act` runs. */
const appraisals = async (act: () => Promise<unknown>): Promise<number> => {
  const before = await server().judged()
  await act()
  return (await server().judged()) - before
}
test("C-07 judges once what a hundred show at a time over four connections, and journals each", async () => {
  const { show, connect, records } = server()
  const request = await unseen(await show())
  const clients = Array.from({ length: 4 }, connect)
  const before = await records()
  const ids = new Set<string>()
  const call = async (i: number): Promise<void> => {
    ids.add((await clients[i % 4]?.verify(request))?.result?.id ?? "")
  }
  const count = await appraisals(() => Promise.all(Array.from({ length: 100 }, (_, i) => call(i))))
  assert.equal([count, ids.size, (await records()) - before], [1, 100, 100])
  for (const client of clients) client.close()
})
test("C-07 goes on for everybody else when the caller that was first goes away", async () => {
  const { show, connect, gateway } = server()
  const request = await unseen(await show())
  const leaving = connect()
  const count = await appraisals(async () => {
    const first = leaving.verify(request).catch(() => undefined)
    const others = Array.from({ length: 10 }, () => gateway.verify(request))
    leaving.close()
    await first
    for (const { result } of await Promise.all(others)) assert.ok(result?.id)
  })
  assert.is(count, 1)
})
test("C-07 keeps apart what two devices show at a time", async () => {
  const { show, gateway } = server()
  const two = [await show(), await show()]
  const requests = await Promise.all(two.map(unseen))
  const asked = Array.from({ length: 20 }, (_, i) => i % 2)
  const calls = asked.map((i) => gateway.verify(requests[i] ?? {}))
  for (const [i, { result }] of (await Promise.all(calls)).entries())
    assert.is(result?.device, two[i % 2]?.id)
})
const beside: readonly [name: string, change: Parameters<typeof withEvidence>[1], code: Code][] = [
  ["its signature", ({ signature }) => ({ signature: flipped(signature, 40) }), "SIGNATURE"],
  ["its quote", ({ attest: quote }) => ({ attest: flipped(quote, 60) }), "SIGNATURE"],
  ["its log", ({ eventLog }) => ({ eventLog: flipped(eventLog, eventLog.length - 90) }), "EVENT_LOG_REPLAY"],
]
for (const [name, change, code] of beside)
  test(`C-07 keeps apart the genuine evidence and at the same time that with a bit of ${name} flipped`, async () => {
    const { show, gateway } = server()
    const genuine = await unseen(await show())
    const forged = withEvidence(genuine, change)
    const calls = Array.from({ length: 20 }, (_, i) => codesOf(gateway, i % 2 === 0 ? forged : genuine))
    for (const [i, codes] of (await Promise.all(calls)).entries())
      assert.is(codes.includes(code), i % 2 === 0, `${codes}`)
  })

for (const [i, name, code] of [
  [0, "its certificate has ended", "VALIDITY"],
  [1, "a list that it rests on has ended", "REVOCATION"],
] as const)
  test(`refuses C-04 what the service accepted before: ${name}`, async () => {
    await waitUntil(5 * SECOND_MS, () => Date.now() > endsAt.getTime() + SECOND_MS)
    await refuses(ending[i], code)
  })

test.run()
