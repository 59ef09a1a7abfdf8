import { createHash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { appraise } from "../../src/appraisal/appraise.ts"
import { compilePolicy } from "../../src/appraisal/compile.ts"
import { parsePolicy } from "../../src/appraisal/policy.ts"
import { throwsCode } from "../support/assert.ts"
import { CIRCUMSTANCES, documentWith, goodClaims, policyWith } from "../support/core.ts"

const test = suite("parsePolicy")

const document = documentWith({})
const DIGEST = "ab".repeat(32)

test("accepts a policy as JSON and as YAML, and fills in what is strict", () => {
  const policy = parsePolicy(document)
  assert.is(policy.evidence.sha1Bank, "refused")
  assert.is(policy.evidence.unextendedBootPcrs, "refused")
  assert.is(policy.evidence.rawNonce, false)
  assert.is(policy.tpm.firmwareChange, "warned")
  assert.is(policy.clock.unsafe, "warned")
  assert.equal(policy.ek, { certificate: "optional", expired: "refused" })
  assert.is(policy.tpm.advisories, "warned")
  assert.is(policy.tpm.manufacturers, undefined)
  const yaml = `
version: 1
name: minimal
evidence: { banks: [sha256], pcrs: [0, 7], eventLog: optional }
references:
  - name: one
    pcrs:
      sha256: { 0: "${DIGEST}", 7: "${DIGEST}" }
session: { lifetimeSeconds: 60, audiences: [gateway] }
`
  const minimal = parsePolicy(yaml)
  assert.is(minimal.ak.binding, "proven")
  assert.is(minimal.session.admit, "affirming")
  assert.equal(minimal.references, [
    {
      name: "one",
      values: [
        { bank: "sha256", pcr: 0, value: DIGEST },
        { bank: "sha256", pcr: 7, value: DIGEST },
      ],
    },
  ])
})

/** What is changed, to what, and where the fault is found if not there. */
const refused: [name: string, path: string, value: unknown, location?: string][] = [
  // Nothing is not everything.
  ["P-01 without any bank", "evidence.banks", []],
  ["P-01 without any PCR", "evidence.pcrs", []],
  ["P-01 without any reference set", "references", []],
  ["P-01 with a reference set of no bank", "references.0.pcrs", {}],
  ["P-01 with a reference set of a bank without any PCR", "references.0.pcrs.sha256", {}],
  ["P-01 without any audience", "session.audiences", []],
  ["P-01 with an empty audience", "session.audiences", [""], "session.audiences.0"],
  ["P-01 with an empty list of schemes", "ak.schemes", []],
  ["P-01 with an empty list of hashes", "ak.hashes", []],
  ["P-01 with an empty list of firmware versions", "tpm.firmwareVersions", []],
  ["P-01 with an empty list of manufacturers", "tpm.manufacturers", []],
  ["P-01 with an empty manufacturer", "tpm.manufacturers", [""], "tpm.manufacturers.0"],
  ["P-01 without evidence", "evidence", undefined],
  ["P-01 without references", "references", undefined],
  ["P-01 without a session", "session", undefined],
  ["P-01 that leaves open whether a log is required", "evidence.eventLog", undefined],
  ["P-01 with null for references", "references", null],
  ["P-01 with an empty name", "name", ""],
  // Unknown and mistyped.
  ["P-03 with an unknown member", "requireNothing", true, "(document)"],
  ["P-03 with an unknown member of evidence", "evidence.pcr", [0], "evidence"],
  ["P-03 with an unknown member of a set", "references.0.severity", "low", "references.0"],
  ["P-03 with an unknown bank", "evidence.banks", ["sha1"], "evidence.banks.0"],
  ["P-03 with an unknown bank of references", "references.0.pcrs.sha1", {}, "references.0.pcrs"],
  ["P-03 with a bank in capitals", "evidence.banks", ["SHA256"], "evidence.banks.0"],
  ["P-03 with an unknown word", "evidence.eventLog", "recommended"],
  ["P-03 with a word for an unknown scheme", "ak.schemes", ["hmac"], "ak.schemes.0"],
  ["P-03 with a hash that is never accepted", "ak.hashes", ["sha1"], "ak.hashes.0"],
  ["P-03 with the version of another schema", "version", 2],
  ["P-03 with a version in quotes", "version", "1"],
  ["P-03 with true for the version", "version", true],
  ["P-03 with a number for the name", "name", 7],
  ["P-03 with a name in capitals", "name", "Fleet"],
  ["P-03 with a name that is a path", "name", "../fleet"],
  ["P-03 with a text for a PCR", "evidence.pcrs", ["7"], "evidence.pcrs.0"],
  ["P-03 with PCR 24", "evidence.pcrs", [24], "evidence.pcrs.0"],
  ["P-03 with PCR -1", "evidence.pcrs", [-1], "evidence.pcrs.0"],
  ["P-03 with PCR 0.5", "evidence.pcrs", [0.5], "evidence.pcrs.0"],
  ["P-03 with one PCR twice", "evidence.pcrs", [7, 7]],
  ["P-03 with one bank twice", "evidence.banks", ["sha256", "sha256"]],
  ["P-03 with one audience twice", "session.audiences", ["a", "a"]],
  ["P-03 with a single PCR where a list is due", "evidence.pcrs", 7],
  ["P-03 with a value in capitals", "references.0.pcrs.sha256.0", DIGEST.toUpperCase()],
  ["P-03 with a value and a prefix", "references.0.pcrs.sha256.0", `0x${DIGEST.slice(2)}`],
  ["P-03 with a value that is too short", "references.0.pcrs.sha256.0", DIGEST.slice(2)],
  [
    "P-03 with a value of another bank's size",
    "references.0.pcrs.sha384",
    { "0": DIGEST },
    "references.0.pcrs.sha384.0",
  ],
  ["P-03 with a value of white space", "references.0.pcrs.sha256.0", ` ${DIGEST.slice(1)}`],
  ["P-03 with null for a value", "references.0.pcrs.sha256.0", null],
  ["P-03 with a reference for PCR 24", "references.0.pcrs.sha256.24", DIGEST, "references.0.pcrs.sha256"],
  ["P-03 with a reference for PCR 07", "references.0.pcrs.sha256.07", DIGEST, "references.0.pcrs.sha256"],
  [
    "P-03 with a reference for a PCR in words",
    "references.0.pcrs.sha256.seven",
    DIGEST,
    "references.0.pcrs.sha256",
  ],
  [
    "P-03 with a reference under a name of the language",
    "references.0.pcrs.sha256.constructor",
    DIGEST,
    "references.0.pcrs.sha256",
  ],
  [
    "P-03 with a reference under the name of the prototype",
    "references.0.pcrs.sha256.__proto__",
    DIGEST,
    "references.0.pcrs.sha256",
  ],
  ["P-03 with the prototype as a member", "__proto__", { version: 1 }, "(document)"],
  ["P-03 with a firmware version that is a number", "tpm.firmwareVersions", [1], "tpm.firmwareVersions.0"],
  [
    "P-03 with a firmware version of 15 digits",
    "tpm.firmwareVersions",
    ["0".repeat(15)],
    "tpm.firmwareVersions.0",
  ],
  ["P-03 with a manufacturer of nine letters", "tpm.manufacturers", ["INFINEON9"], "tpm.manufacturers.0"],
  ["P-03 with a manufacturer in small letters", "tpm.manufacturers", ["ifx"], "tpm.manufacturers.0"],
  ["P-03 with a manufacturer that nobody registered", "tpm.manufacturers", ["XXXX"], "tpm.manufacturers.0"],
  ["P-03 with a manufacturer of two words", "tpm.manufacturers", ["S T"], "tpm.manufacturers.0"],
  ["P-03 with an identifier of nine digits", "tpm.manufacturers", ["id:415353590"], "tpm.manufacturers.0"],
  ["P-03 with one manufacturer twice", "tpm.manufacturers", ["IFX", "IFX"]],
  ["P-03 with a number for a manufacturer", "tpm.manufacturers", [1], "tpm.manufacturers.0"],
  ["P-03 with a single manufacturer where a list is due", "tpm.manufacturers", "IFX"],
  ["P-03 with an unknown word for advisories", "tpm.advisories", "tolerated"],
  ["P-03 with an unknown member of tpm", "tpm.vendors", ["IFX"], "tpm"],
  ["P-03 with an unknown word for endorsement keys", "ek.certificate", "wanted"],
  ["P-03 with a truth for endorsement keys", "ek.certificate", true],
  ["P-03 with an unknown word for expired ones", "ek.expired", "ignored"],
  ["P-03 with an unknown member of ek", "ek.purpose", "ek", "ek"],
  ["P-03 with null for endorsement keys", "ek", null],
  ["P-03 with a lifetime in words", "session.lifetimeSeconds", "600"],
  ["P-03 with a lifetime of no time", "session.lifetimeSeconds", 0],
  ["P-03 with a lifetime of years", "session.lifetimeSeconds", 1e9],
  ["P-03 with a fraction of a second", "session.lifetimeSeconds", 60.5],
  ["P-03 with a negative number of resets", "clock.resetsMax", -1],
  ["P-03 that admits the worst tier", "session.admit", "contraindicated"],
  ["P-03 that admits what nothing is known of", "session.admit", "none"],
  ["P-03 with an audience of two lines", "session.audiences", ["a\nb"], "session.audiences.0"],
  ["P-03 with a text for a truth", "evidence.rawNonce", "false"],
  ["P-03 with the text of a number for a truth", "evidence.rawNonce", 0],
]
for (const [name, path, value, location = path] of refused)
  test(`refuses a policy ${name}`, () => {
    const error = throwsCode(() => policyWith({ [path]: value }), "POLICY_SCHEMA")
    assert.is(error.location, location)
    assert.match(error.message, location)
  })

test("accepts what a policy may say of endorsement keys and of a TPM's maker", () => {
  for (const certificate of ["required", "optional"])
    for (const expired of ["refused", "warned", "allowed"])
      assert.equal(policyWith({ ek: { certificate, expired } }).ek, { certificate, expired })
  for (const advisories of ["refused", "warned", "ignored"])
    assert.is(policyWith({ "tpm.advisories": advisories }).tpm.advisories, advisories)
  const manufacturers = ["IFX", "STM", "id:41535359", "id:4e544300"]
  assert.equal(policyWith({ "tpm.manufacturers": manufacturers }).tpm.manufacturers, manufacturers)
})

test("refuses a policy P-03 with two sets of one name", () => {
  const { references } = JSON.parse(document)
  const twice = [...references, ...references]
  assert.is(throwsCode(() => policyWith({ references: twice }), "POLICY_SCHEMA").location, "references")
})

const first = '"pcrs":[0,'
const spelled: [name: string, text: string][] = [
  ["P-01 of no characters", ""],
  ["P-01 of white space", "  \n\n"],
  ["P-01 of a comment", "# everything is fine"],
  ["P-01 that is null", "null"],
  ["P-01 that is an empty object", "{}"],
  ["P-01 that is an empty list", "[]"],
  ["P-03 that is a text", '"accept"'],
  ["P-03 that is no YAML", "{"],
  ["P-03 of two documents", `${document}\n---\n${document}`],
  ["P-03 with NaN", document.replace(first, '"pcrs":[.nan,')],
  ["P-03 with infinity", document.replace('"lifetimeSeconds":600', '"lifetimeSeconds":.inf')],
  ["P-03 with minus zero", document.replace(first, '"pcrs":[-0,')],
  ["P-03 with one member twice", document.replace('"version":1', '"version":1,"version":1')],
  ["P-03 with one member of evidence twice", document.replace(first, `"pcrs":[7],${first}`)],
  [
    "P-03 with one reference twice, as a text and as a number",
    document.replace('"sha256":{', `"sha256":{7: "${DIGEST}",`),
  ],
  ["P-03 with an alias", document.replace('"fleet"', "&a fleet").replace('"release-1"', "*a")],
  ["P-03 with aliases of aliases", `a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]`],
  ["P-03 with a merged mapping", document.replace('"version":1', '"<<":{"version":1}')],
  ["P-03 with a tag of its own", document.replace('"fleet"', "!mine fleet")],
  ["P-03 with a tag of a language", document.replace('"fleet"', "!!js/function fleet")],
  ["P-03 with binary data", document.replace('"fleet"', "!!binary Zmxl")],
  [
    "P-03 in the older YAML, where 010 is eight",
    `%YAML 1.1\n---\n${document.replace(first, '"pcrs":[010,')}`,
  ],
  [
    "P-03 in the older YAML, where yes is true",
    `%YAML 1.1\n---\n${document.replace(first, `"rawNonce":yes,${first}`)}`,
  ],
  ["P-03 nested without end", "[".repeat(50_000)],
  ["P-03 longer than any policy", `${document}\n#${"x".repeat(300_000)}`],
]
for (const [name, text] of spelled)
  test(`refuses a policy ${name}`, () => {
    const error = throwsCode(() => parsePolicy(text), "POLICY_SCHEMA")
    assert.ok(error.location, "it says where")
    assert.ok(error.message.length < 400)
  })

test("refuses a document with several faults with the path of each", () => {
  const error = throwsCode(
    () => policyWith({ "evidence.banks": [], "session.admit": "all", version: 3 }),
    "POLICY_SCHEMA",
  )
  for (const path of ["evidence.banks", "session.admit", "version"]) assert.match(error.message, path)
})

// P-07: nothing that happens later changes a policy.

const digestOf = (value: unknown): string => createHash("sha256").update(JSON.stringify(value)).digest("hex")

test("refuses P-07 every attempt to write into a policy, at any depth", () => {
  const policy = policyWith()
  const before = digestOf(policy)
  const attempts: [name: string, write: () => boolean][] = [
    ["a member", () => Reflect.set(policy, "name", "other")],
    ["a new member", () => Reflect.set(policy, "extra", true)],
    ["a PCR", () => Reflect.set(policy.evidence.pcrs, 0, 23)],
    ["one more PCR", () => Reflect.set(policy.evidence.pcrs, policy.evidence.pcrs.length, 23)],
    ["fewer PCRs", () => Reflect.set(policy.evidence.pcrs, "length", 0)],
    ["a bank", () => Reflect.deleteProperty(policy.evidence.banks, 0)],
    ["a reference value", () => Reflect.set(policy.references[0]?.values[0] ?? {}, "value", "00")],
    ["a set less", () => Reflect.deleteProperty(policy.references, 0)],
    ["the audiences", () => Reflect.set(policy.session.audiences, 0, "attacker")],
    ["what is admitted", () => Reflect.set(policy.session, "admit", "warning2")],
    ["the prototype", () => Reflect.setPrototypeOf(policy, {})],
    ["a property's definition", () => Reflect.defineProperty(policy.clock, "unsafe", { value: "ignored" })],
  ]
  for (const [name, write] of attempts) assert.is(write(), false, name)
  assert.throws(() => Object.assign(policy.ak, { binding: "operator2" }), TypeError)
  assert.is(digestOf(policy), before)
})

test("refuses P-07 to be changed by an appraisal, whatever the evidence says", () => {
  const policy = policyWith({ "clock.resetsMax": 1, "tpm.firmwareVersions": ["0001000000000002"] })
  const before = digestOf(policy)
  for (const claims of [
    goodClaims,
    { ...goodClaims, pcrs: new Map() },
    { ...goodClaims, replay: undefined, firmwareVersion: 0n },
  ])
    for (const audience of [undefined, "gateway", "attacker"]) {
      appraise(claims, compilePolicy(policy), { ...CIRCUMSTANCES, audience })
      assert.is(digestOf(policy), before)
    }
})

const shared: [name: string, reach: (policy: ReturnType<typeof policyWith>) => object][] = [
  ["P-07 the whole", (policy) => policy],
  ["P-07 what evidence is needed", (policy) => policy.evidence],
  ["P-07 each list of it", (policy) => policy.evidence.pcrs],
  ["P-07 the reference sets", (policy) => policy.references],
  ["P-07 each reference set", (policy) => policy.references[0] ?? {}],
  ["P-07 each value of a set", (policy) => policy.references[0]?.values[0] ?? {}],
  ["P-07 the terms of the session", (policy) => policy.session],
  ["P-07 the terms that were filled in", (policy) => policy.tpm],
  ["P-07 the terms of endorsement keys", (policy) => policy.ek],
]
for (const [name, reach] of shared)
  test(`freezes ${name}`, () => {
    assert.ok(Object.isFrozen(reach(policyWith())))
  })

test("gives two readers of one document policies that share nothing", () => {
  assert.is.not(parsePolicy(document), parsePolicy(document))
  assert.is.not(parsePolicy(document).evidence, parsePolicy(document).evidence)
})

const WHOLE = 262_144
const costly: [name: string, document: string][] = [
  ["tags", "!a ".repeat(WHOLE / 3)],
  ["lists in each other", "[".repeat(WHOLE)],
  ["lists beside each other", "[],".repeat(WHOLE / 3)],
  ["members by numbers", `{${Array.from({ length: 14_000 }, (_, i) => `"${i * 65_536}":0`).join()}}`],
  [
    "members by numbers, as many as may be",
    `{${Array.from({ length: 9000 }, (_, i) => `"${i * 65_536}":0`).join()}}`,
  ],
  ["comments", "#\n".repeat(WHOLE / 2)],
  ["anchors", `[${"&a 1,".repeat(WHOLE / 6)}]`],
]
for (const [name, document] of costly)
  test(`refuses G-08 and G-09 a document of ${name} before it costs anything`, () => {
    const since = process.cpuUsage()
    throwsCode(() => parsePolicy(document), "POLICY_SCHEMA")
    const { user, system } = process.cpuUsage(since)
    assert.ok(user + system < 1_500_000, `${user + system} µs`)
  })

test.run()
