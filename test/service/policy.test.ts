import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { lengthPrefixed, toHex, utf8 } from "../../src/bytes.ts"
import { rejectsCode } from "../support/assert.ts"
import { documentWith } from "../support/core.ts"
import { attest, codesOf, enroll, GATEWAY, START, withService } from "../support/service.ts"
import { policyDocument, testDevice } from "../support/world.ts"

const device = testDevice()
const other = testDevice()
const document = policyDocument(device)

const test = suite("createSetPolicy and createAssignPolicy")

const digestOf = (text: string): Uint8Array => new Uint8Array(hash("sha256", utf8(text), "buffer"))

test("stores a document as it was set, under the name that it gives itself", () =>
  withService(async ({ service }) => {
    const spaced = `# the fleet's\n${document}\n`
    const stored = await service.setPolicy(spaced, GATEWAY)
    assert.equal(stored, {
      tenant: "default",
      name: "test",
      revision: 1,
      document: spaced,
      digest: digestOf(spaced),
    })
    assert.equal(await service.policy("test", GATEWAY), stored)
  }))

test("counts the revisions of each name apart, also where a document is set again", () =>
  withService(async ({ service }) => {
    const revisions: [string, number][] = []
    for (const text of [document, document, policyDocument(device, { name: "b" }), document]) {
      const { name, revision } = await service.setPolicy(text, GATEWAY)
      revisions.push([name, revision])
    }
    assert.equal(revisions, [
      ["test", 1],
      ["test", 2],
      ["b", 1],
      ["test", 3],
    ])
  }))

test("never changes a revision that was set: what was judged by it can be read in the journal", () =>
  withService(async ({ service, journal }) => {
    await enroll(service, device, document)
    const first = await attest(service, device)
    const stricter = policyDocument(device, { session: { admit: "affirming" } })
    await service.setPolicy(stricter, GATEWAY)
    const second = await attest(service, device)
    assert.equal(
      [first, second].map(({ policy }) => policy),
      [
        { name: "test", revision: 1 },
        { name: "test", revision: 2 },
      ],
    )
    assert.equal([first.token.kind, second.token.kind], ["session", "result"])
    const verified = (await journal.records("default")).filter(({ act }) => act === "verify")
    assert.equal(
      verified.map(({ policyDigest }) => toHex(policyDigest ?? new Uint8Array())),
      [toHex(digestOf(document)), toHex(digestOf(stricter))],
    )
  }))

test("judges every device without a policy of its own by the default", () =>
  withService(async ({ service }) => {
    await service.registerDevice({ id: "d", akPublic: other.akPublic, qualifiedName: undefined }, GATEWAY)
    assert.equal(codesOf(await attest(service, other)), ["NO_POLICY"])
    await service.setPolicy(policyDocument(other, { name: "base" }), GATEWAY)
    assert.equal(codesOf(await attest(service, other)), ["NO_POLICY"])
    await service.assignPolicy({ policy: "base", device: undefined }, GATEWAY)
    assert.is((await attest(service, other)).token.kind, "session")
    assert.is((await service.device("d", GATEWAY)).policy, undefined)
    await service.setPolicy(policyDocument(other, { ak: { binding: "proven" } }), GATEWAY)
    await service.assignPolicy({ policy: "test", device: "d" }, GATEWAY)
    assert.equal(codesOf(await attest(service, other)), ["AK_BINDING_UNPROVEN"])
    assert.is((await service.device("d", GATEWAY)).policy, "test")
  }))

test("journals who set and who assigned what", () =>
  withService(async ({ service, journal }) => {
    const operator = { tenant: "default", id: "local:admin" }
    await service.registerDevice({ id: "d", akPublic: device.akPublic, qualifiedName: undefined }, operator)
    await service.setPolicy(document, operator)
    await service.assignPolicy({ policy: "test", device: "d" }, operator)
    await service.assignPolicy({ policy: "test", device: undefined }, operator)
    const digest = digestOf(document)
    const common = {
      at: START,
      tenant: "default",
      caller: "local:admin",
      outcome: "done",
      codes: [],
      policyDigest: digest,
      tokenId: undefined,
    }
    const asked = (...parts: readonly string[]) =>
      hash("sha256", lengthPrefixed(...parts.map(utf8)), "buffer")
    const made = { device: undefined, policy: { name: "test", revision: 1 }, trust: undefined }
    assert.equal(
      (await journal.records("default")).slice(1).map((one) => ({
        ...one,
        evidenceDigest: toHex(one.evidenceDigest),
      })),
      [
        { ...common, act: "set-policy", device: "", evidenceDigest: toHex(digest), revisions: made },
        {
          ...common,
          act: "assign-policy",
          device: "d",
          evidenceDigest: toHex(asked("test", "device", "d")),
          revisions: { ...made, device: 2 },
        },
        {
          ...common,
          act: "assign-policy",
          device: "",
          evidenceDigest: toHex(asked("test", "default", "")),
          revisions: made,
        },
      ],
    )
  }))

const refusedDocuments: readonly [name: string, text: string, location: string][] = [
  ["P-01 an empty document", "", "(document)"],
  ["P-01 an empty object", "{}", "version"],
  ["P-01 a policy without banks", policyDocument(device, { evidence: { banks: [] } }), "evidence.banks"],
  ["P-01 a policy without PCRs", policyDocument(device, { evidence: { pcrs: [] } }), "evidence.pcrs"],
  [
    "P-01 a policy without audiences",
    policyDocument(device, { session: { audiences: [] } }),
    "session.audiences",
  ],
  [
    "P-01 a policy without references",
    document.replace(/"references":\[.*?\}\}\}\]/, '"references":[]'),
    "references",
  ],
  ["P-03 an unknown rule", policyDocument(device, { clock: { drift: 5 } }), "clock"],
  ["a name with a slash", policyDocument(device, { name: "a/b" }), "name"],
  ["text that is no YAML", "{", "line 1, column 2"],
]
for (const [name, text, location] of refusedDocuments)
  test(`refuses ${name}, and stores nothing`, () =>
    withService(async ({ service, journal }) => {
      const error = await rejectsCode(() => service.setPolicy(text, GATEWAY), "POLICY_SCHEMA")
      assert.is(error.location, location)
      await rejectsCode(() => service.policy("test", GATEWAY), "POLICY_NOT_FOUND")
      assert.equal(await journal.records("default"), [])
    }))

test("refuses P-01 to let a faulty document replace a good one", () =>
  withService(async ({ service }) => {
    await enroll(service, device, document)
    for (const [, text] of refusedDocuments)
      await rejectsCode(() => service.setPolicy(text, GATEWAY), "POLICY_SCHEMA")
    assert.is((await service.policy("test", GATEWAY)).revision, 1)
    assert.is((await attest(service, device)).token.kind, "session")
  }))

const refusedAssignments: readonly [
  name: string,
  input: { policy: string; device: string | undefined },
  code: Parameters<typeof rejectsCode>[1],
][] = [
  ["a policy that nobody set, to a device", { policy: "nothing", device: "device-1" }, "POLICY_NOT_FOUND"],
  ["a policy that nobody set, to all", { policy: "nothing", device: undefined }, "POLICY_NOT_FOUND"],
  ["a policy to a device that nobody registered", { policy: "test", device: "device-9" }, "DEVICE_NOT_FOUND"],
]
for (const [name, input, code] of refusedAssignments)
  test(`refuses to assign ${name}, and changes nothing`, () =>
    withService(async ({ service, registry, journal }) => {
      await enroll(service, device, document)
      const before = [await service.device("device-1", GATEWAY), await journal.records("default")]
      await rejectsCode(() => service.assignPolicy(input, GATEWAY), code)
      assert.equal([await service.device("device-1", GATEWAY), await journal.records("default")], before)
      assert.is(await registry.groupPolicy("default", ""), undefined)
    }))

test("refuses P-06 a policy of another tenant", () =>
  withService(async ({ service, registry }) => {
    const stranger = { tenant: "other", id: "operator" }
    await enroll(service, device, document)
    await rejectsCode(() => service.policy("test", stranger), "POLICY_NOT_FOUND")
    await rejectsCode(
      () => service.assignPolicy({ policy: "test", device: undefined }, stranger),
      "POLICY_NOT_FOUND",
    )
    assert.is((await service.setPolicy(document, stranger)).revision, 1)
    await rejectsCode(
      () => service.assignPolicy({ policy: "test", device: "device-1" }, stranger),
      "DEVICE_NOT_FOUND",
    )
    assert.is((await service.policy("test", GATEWAY)).revision, 1)
    assert.is(await registry.groupPolicy("default", ""), undefined)
  }))

test("refuses a policy for a device and a group at once", () =>
  withService(async ({ service }) => {
    const input = { policy: "base", device: "device-1", group: "edge" }
    await rejectsCode(() => service.assignPolicy(input, GATEWAY), "FIELD")
  }))

test("judges a group's devices by the policy that is assigned to it", () =>
  withService(async ({ service, registry }) => {
    const { name } = await service.setPolicy(documentWith({ name: "edge-policy" }), GATEWAY)
    await service.assignPolicy({ policy: name, group: "edge" }, GATEWAY)
    assert.is((await registry.groupPolicy("default", "edge"))?.name, name)
    assert.is(await registry.groupPolicy("default", ""), undefined)
    assert.is(await registry.groupPolicy("other", "edge"), undefined)
  }))

test.run()
