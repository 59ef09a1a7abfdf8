/** P-01 and P-07 against the whole service: policies that require nothing, none at all, and evidence to change one. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Policy } from "../../src/appraisal/policy.ts"
import { standardBoot } from "../../src/device/boot.ts"
import { AssayError } from "../../src/errors.ts"
import { nonceExtraData } from "../../src/evidence/transcript.ts"
import {
  type Attack,
  assertHonest,
  attackTests,
  malformed,
  type Refusal,
  spent,
  unspent,
} from "../support/attack.ts"
import { BOOT_PCRS, documentWith, flipped } from "../support/core.ts"
import { attemptOn, digestOf, sceneFor, watch } from "../support/scene.ts"
import { evidenceOver, GATEWAY } from "../support/service.ts"
import {
  answeredBy,
  attackedDevice,
  P256,
  P384,
  quoting,
  RSAPSS,
  RSASSA,
  showing,
  showingBanks,
  tampered,
  VICTIMS,
  type Victim,
} from "../support/victim.ts"

const test = suite("attacks on policies")

// P-01: documents that require nothing, set in place of the policy that a device has.

const named = (changes: Readonly<Record<string, unknown>>): string =>
  documentWith({ name: P256.id, ...changes })
const documents: readonly [name: string, document: string, location: string][] = [
  ["an empty document", "", "(document)"],
  ["nothing but a comment", "# accept everything\n", "(document)"],
  ["null", "null", "(document)"],
  ["an empty object", "{}", "version"],
  ["a list of nothing", "[]", "(document)"],
  ["no evidence", named({ evidence: undefined }), "evidence"],
  ["no banks", named({ "evidence.banks": [] }), "evidence.banks"],
  ["no PCRs", named({ "evidence.pcrs": [] }), "evidence.pcrs"],
  ["PCRs that are not told", named({ "evidence.pcrs": undefined }), "evidence.pcrs"],
  ["no alternatives of reference sets", named({ references: [] }), "references"],
  ["reference sets that are not told", named({ references: undefined }), "references"],
  ["a reference set without any bank", named({ "references.0.pcrs": {} }), "references.0.pcrs"],
  ["a bank without any PCR", named({ "references.0.pcrs": { sha256: {} } }), "references.0.pcrs.sha256"],
  ["no audiences", named({ "session.audiences": [] }), "session.audiences"],
  ["no session terms", named({ session: undefined }), "session"],
  ["an empty list of schemes", named({ "ak.schemes": [] }), "ak.schemes"],
]
const known = sceneFor(test, [P256])
for (const [name, document, location] of documents)
  test(`refuses P-01 a policy with ${name}, and keeps the one that was set`, async () => {
    const scene = await known()
    const { honest } = await attemptOn(scene, P256)
    const { outcomes, journaled } = await watch(scene, [
      () => scene.world.service.setPolicy(document, GATEWAY),
    ])
    const error = outcomes[0]?.status === "rejected" ? outcomes[0].reason : undefined
    assert.ok(error instanceof AssayError)
    assert.equal([error.code, error.kind, error.location], ["POLICY_SCHEMA", "malformed", location])
    assert.equal(journaled, [])
    await assertHonest(scene, P256, honest, "session")
  })

// P-01 at run time: a device without a policy, however honest.

const unjudged = VICTIMS.map((victim): Victim => ({ ...victim, policy: undefined, verdict: "NO_POLICY" }))
const NONCE = new Uint8Array(16).fill(9)
attackTests(test, [
  ...unjudged.map(
    (of): Attack => ({
      name: "P-01 an honest device without a policy",
      of,
      forge: ({ honest }) => honest,
      refusal: spent("NO_POLICY"),
    }),
  ),
  ...unjudged.slice(0, 2).map(
    (of): Attack => ({
      name: "P-01 an honest device without a policy that answers a nonce",
      of,
      forge: ({ device }) => ({
        freshness: { kind: "nonce", nonce: NONCE },
        evidence: evidenceOver(device, nonceExtraData("default", NONCE)),
      }),
      refusal: { code: "NO_POLICY", ends: "refuted", challenge: "none" },
    }),
  ),
])

// P-07: whatever evidence comes, the parsed policies that all verifications share stay as they were set.

const rebooted = attackedDevice({ algorithm: "p256" })
rebooted.boot(standardBoot({ firmware: "another", kernel: "another" }))
const weak = attackedDevice({ algorithm: "rsa-2048", events: [] })
const touching: readonly [name: string, of: Victim, forge: Attack["forge"], refusal: Refusal][] = [
  ["evidence of another release", P256, answeredBy(rebooted), spent("REFERENCE_SET")],
  [
    "evidence of a machine that measured nothing",
    RSASSA,
    answeredBy(weak),
    spent("PCR_BANK", "REFERENCE_SET"),
  ],
  [
    "evidence over more PCRs than it names",
    P384,
    quoting({ selection: [{ hash: "sha384", pcrs: BOOT_PCRS.slice(0, 4) }] }),
    spent("PCR_SELECTION", "NO_REFERENCE"),
  ],
  [
    "evidence with values that were not quoted",
    RSAPSS,
    showingBanks((banks) => banks.map(({ hash, values }) => ({ hash, values: flipped(values, 5) }))),
    spent("PCR_DIGEST"),
  ],
  [
    "evidence that no key signed",
    P256,
    showing(({ signature }) => ({ signature: flipped(signature, 40) })),
    unspent("SIGNATURE"),
  ],
  [
    "evidence that cannot be read",
    RSASSA,
    showing(({ attest }) => ({ attest: attest.subarray(1) })),
    malformed("QUOTE_MAGIC"),
  ],
  [
    "evidence with another boot's log",
    P256,
    showing(() => ({ eventLog: rebooted.eventLog })),
    spent("EVENT_LOG_REPLAY"),
  ],
  [
    "evidence for another challenge",
    P384,
    tampered((fields) => ({ ...fields, extraData: new Uint8Array(32) })),
    unspent("NONCE_MISMATCH"),
  ],
]
const shared = sceneFor(test)
let before: ReadonlyMap<string, readonly [policy: Policy, digest: string]> | undefined
const parsed = async () =>
  new Map([...(await shared()).parsed].map(([id, policy]) => [id, [policy, digestOf(policy)] as const]))
test("has parsed each policy once before anything is tried", async () => {
  before = await parsed()
  assert.is(before.size, VICTIMS.length + 1)
})
attackTests(
  test,
  touching.map(([name, of, forge, refusal]) => ({
    name: `P-07 to change a policy by ${name}`,
    of,
    forge,
    refusal,
  })),
  shared,
)
test("refuses P-07 all of these: each policy is the one that was parsed first, with the same digest", async () => {
  const after = await parsed()
  assert.is(after.size, before?.size)
  for (const [id, [policy, digest]] of before ?? []) {
    assert.ok(after.get(id)?.[0] === policy, `${id} was parsed anew`)
    assert.is(after.get(id)?.[1], digest)
  }
})
/** Every object of a policy, with its path. */
const objectsOf = (value: unknown, path: string): readonly [path: string, object: object][] =>
  typeof value === "object" && value !== null
    ? [
        [path, value],
        ...Object.entries(value).flatMap(([name, member]) => objectsOf(member, `${path}.${name}`)),
      ]
    : []
test("refuses P-07 to write into any part of a policy that judges", async () => {
  for (const [id, [policy]] of await parsed())
    for (const [path, object] of objectsOf(policy, id)) {
      assert.ok(Object.isFrozen(object), path)
      for (const name of [...Object.keys(object), "added"])
        assert.not(Reflect.set(object, name, "from the evidence"), `${path}.${name}`)
      assert.not(Reflect.deleteProperty(object, Object.keys(object)[0] ?? ""), path)
    }
})

test.run()
