/** Certificate policies over whole paths. PKITS has many more; these are one apart each. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { ANY_POLICIES, type PolicyInputs } from "../../src/verification/certificate-policies.ts"
import { verifyChain } from "../../src/verification/chain.ts"
import { throwsCode } from "../support/assert.ts"
import { AT, type Case, leastCpuMs, parsed, trustIn, verifyCase } from "../support/chain.ts"
import {
  AK_EXTENSIONS,
  caExtensions,
  cn,
  extension,
  inhibitAnyPolicy,
  type Keys,
  LEAF_KEYS,
  makeCertificate,
  p256Keys,
  policies,
  policyConstraints,
  policyMappings,
  ROOT_KEYS,
  ROOT_NAME,
  seq,
} from "../support/x509.ts"

const test = suite("PolicySet")

const ANY = "2.5.29.32.0"
const [A, B, C] = ["1.2.3.1", "1.2.3.2", "1.2.3.3"] as const
const KEYS: readonly Keys[] = Array.from({ length: 5 }, () => p256Keys())

type Extensions = readonly Uint8Array[]
/** What the certificates say, from the anchor down; CAs in between, the self-issued with the name of the one above. */
interface Row {
  readonly anchor?: Extensions
  readonly cas?: readonly (Extensions | { readonly selfIssued: Extensions })[]
  readonly leaf?: Extensions
  readonly inputs?: Partial<PolicyInputs>
  /** The leaf has its issuer's name. */
  readonly selfIssued?: boolean
}

const caseOfRow = ({ anchor = [], cas = [], leaf = [], inputs = {}, selfIssued = false }: Row): Case => {
  let issuer = { keys: ROOT_KEYS, name: ROOT_NAME }
  const shown = cas.map((ca, i) => {
    const own =
      "selfIssued" in ca
        ? { name: issuer.name, extensions: ca.selfIssued }
        : { name: cn(`CA ${i}`), extensions: ca }
    const keys = KEYS[i] ?? ROOT_KEYS
    const made = makeCertificate(keys, issuer.keys, own.name, issuer.name, [
      ...caExtensions(),
      ...own.extensions,
    ])
    issuer = { keys, name: own.name }
    return made
  })
  return {
    leaf: makeCertificate(LEAF_KEYS, issuer.keys, selfIssued ? issuer.name : seq(), issuer.name, [
      ...AK_EXTENSIONS,
      ...leaf,
    ]),
    shown,
    trust: trustIn([
      makeCertificate(ROOT_KEYS, ROOT_KEYS, ROOT_NAME, ROOT_NAME, [...caExtensions(), ...anchor]),
    ]),
    options: { policies: { ...ANY_POLICIES, ...inputs } },
  }
}

const explicit: Partial<PolicyInputs> = { requireExplicit: true }
const only = (...ids: readonly string[]): Partial<PolicyInputs> => ({
  acceptable: new Set(ids),
  requireExplicit: true,
})
/** Each certificate below the anchor with the same policy. */
const through = (...ids: readonly string[]): Pick<Row, "cas" | "leaf"> => ({
  cas: [[policies(...ids)]],
  leaf: [policies(...ids)],
})

const accepted: readonly [name: string, row: Row, valid: readonly string[] | undefined][] = [
  ["a path without policies where none is required", { cas: [[]] }, []],
  ["a path of one policy", { ...through(A), inputs: explicit }, [A]],
  ["a path of one policy that is asked for", { ...through(A), inputs: only(A, C) }, [A]],
  [
    "what is common to all of a path",
    { cas: [[policies(A, B)], [policies(B, C)]], leaf: [policies(B, A)], inputs: explicit },
    [B],
  ],
  ["what of that is asked for", { ...through(A, B), inputs: only(B) }, [B]],
  [
    "any policy below one that says any",
    { cas: [[policies(ANY)]], leaf: [policies(A)], inputs: explicit },
    [A],
  ],
  [
    "the CA's policy where the leaf says any",
    { cas: [[policies(A)]], leaf: [policies(ANY)], inputs: explicit },
    [A],
  ],
  ["any policy, if all say any", { ...through(ANY), inputs: explicit }, undefined],
  ["what is asked for, if all say any", { ...through(ANY), inputs: only(A) }, [A]],
  [
    "the CA's policy, though the one above it has none, where none is required",
    { cas: [[], [policies(A)]], leaf: [policies(A)] },
    [],
  ],
  ["a policy, whatever the anchor says", { anchor: [policies(B)], ...through(A), inputs: explicit }, [A]],
  [
    "any in a self-issued CA, though any is inhibited",
    {
      cas: [{ selfIssued: [policies(ANY)] }, [policies(A)]],
      leaf: [policies(A)],
      inputs: { ...explicit, inhibitAny: true },
    },
    [A],
  ],
  [
    "any as often as it is not yet inhibited",
    { cas: [[policies(A), inhibitAnyPolicy(1)], [policies(ANY)]], leaf: [policies(A)], inputs: explicit },
    [A],
  ],
  [
    "a self-issued CA, which does not count for inhibited policies",
    {
      cas: [[policies(A), inhibitAnyPolicy(1)], { selfIssued: [policies(A)] }, [policies(ANY)]],
      leaf: [policies(A)],
      inputs: explicit,
    },
    [A],
  ],
  ["no policy before it is required", { cas: [[policyConstraints({ explicit: 2 })]] }, []],
  [
    "no policy where a self-issued CA does not count",
    { cas: [[policyConstraints({ explicit: 2 })], { selfIssued: [] }] },
    [],
  ],
  [
    "a mapping where no policy decides",
    { cas: [[policies(A), policyMappings([A, B])]], leaf: [policies(B)] },
    undefined,
  ],
  [
    "a mapping of another policy where mapping is inhibited",
    {
      cas: [[policies(A, B), policyMappings([B, C])]],
      leaf: [policies(A)],
      inputs: { ...explicit, inhibitMapping: true },
    },
    [A],
  ],
  [
    "a mapping of another policy where a CA above inhibits it",
    {
      cas: [
        [policies(A, B), policyConstraints({ mapping: 0 })],
        [policies(A, B), policyMappings([B, C])],
      ],
      leaf: [policies(A)],
      inputs: explicit,
    },
    [A],
  ],
  [
    "a mapping of another policy once mapping is inhibited",
    {
      cas: [
        [policies(A, B), policyConstraints({ mapping: 1 })],
        [policies(A, B)],
        [policies(A, B), policyMappings([B, C])],
      ],
      leaf: [policies(A)],
      inputs: explicit,
    },
    [A],
  ],
]
for (const [name, row, valid] of accepted)
  test(`accepts ${name}`, () => assert.equal(verifyCase(caseOfRow(row)).policies, valid))

test("accepts no policies below an anchor that another CA issued, which does not count", () => {
  const made = caseOfRow({ cas: [[]] })
  const anchor = makeCertificate(ROOT_KEYS, LEAF_KEYS, ROOT_NAME, cn("Above"), caExtensions())
  assert.equal(verifyCase({ ...made, trust: trustIn([anchor]) }).policies, [])
})

const refused: readonly [name: string, row: Row][] = [
  ["no policies where one is required", { cas: [[]], inputs: explicit }],
  ["a leaf without the policy that its CA has", { cas: [[policies(A)]], inputs: explicit }],
  ["a CA without the policy that its leaf has", { cas: [[]], leaf: [policies(A)], inputs: explicit }],
  ["a leaf with another policy than its CA", { cas: [[policies(A)]], leaf: [policies(B)], inputs: explicit }],
  [
    "a policy that one CA of two has",
    { cas: [[policies(A)], [policies(B)]], leaf: [policies(A)], inputs: explicit },
  ],
  ["another policy than is asked for", { ...through(A), inputs: only(B) }],
  [
    "any below a CA with another policy than is asked for",
    { cas: [[policies(A)]], leaf: [policies(ANY)], inputs: only(B) },
  ],
  ["any where any is inhibited", { ...through(ANY), inputs: { ...explicit, inhibitAny: true } }],
  [
    "any in a self-issued leaf where any is inhibited",
    {
      cas: [{ selfIssued: [policies(ANY)] }],
      leaf: [policies(ANY)],
      selfIssued: true,
      inputs: { ...explicit, inhibitAny: true },
    },
  ],
  [
    "any below a CA that inhibits it",
    { cas: [[policies(A), inhibitAnyPolicy(0)]], leaf: [policies(ANY)], inputs: explicit },
  ],
  [
    "any once it is inhibited",
    { cas: [[policies(A), inhibitAnyPolicy(1)], [policies(A)]], leaf: [policies(ANY)], inputs: explicit },
  ],
  [
    "any below an anchor that inhibits it",
    { anchor: [inhibitAnyPolicy(0)], ...through(ANY), inputs: explicit },
  ],
  [
    "a wider limit on any below a narrower one",
    {
      cas: [
        [policies(A), inhibitAnyPolicy(0)],
        [policies(A), inhibitAnyPolicy(5)],
      ],
      leaf: [policies(ANY)],
      inputs: explicit,
    },
  ],
  ["no policies below a CA that requires one", { cas: [[policyConstraints({ explicit: 0 })]] }],
  [
    "no policies below an anchor that requires one",
    { anchor: [policyConstraints({ explicit: 0 })], cas: [[]] },
  ],
  ["no policies once one is required", { cas: [[policyConstraints({ explicit: 1 })], []] }],
  ["no policies where the leaf itself requires one", { leaf: [policyConstraints({ explicit: 0 })] }],
  [
    "a wider requirement below a narrower one",
    {
      cas: [
        [policies(A), policyConstraints({ explicit: 0 })],
        [policies(A), policyConstraints({ explicit: 5 })],
      ],
    },
  ],
  [
    "no policies once one is required, two CAs later",
    { cas: [[policyConstraints({ explicit: 2 })], [], []] },
  ],
  [
    "a mapping where a policy is required",
    { cas: [[policies(A), policyMappings([A, B])]], leaf: [policies(B)], inputs: explicit },
  ],
  [
    "a mapping above a policy of the same name",
    { cas: [[policies(A), policyMappings([A, B])]], leaf: [policies(A)], inputs: explicit },
  ],
  [
    "a mapping of an anchor where a policy is required",
    { anchor: [policyMappings([A, B])], ...through(A), inputs: explicit },
  ],
  [
    "a mapping before it is inhibited",
    {
      cas: [
        [policies(A, B), policyConstraints({ mapping: 1 })],
        [policies(A, B), policyMappings([B, C])],
      ],
      leaf: [policies(A)],
      inputs: explicit,
    },
  ],
  [
    "a policy that is mapped where mapping is inhibited",
    {
      cas: [[policies(A), policyMappings([A, B])]],
      leaf: [policies(A)],
      inputs: { ...explicit, inhibitMapping: true },
    },
  ],
  [
    "a policy that it is mapped to where mapping is inhibited",
    {
      cas: [[policies(A), policyMappings([A, B])]],
      leaf: [policies(B)],
      inputs: { ...explicit, inhibitMapping: true },
    },
  ],
  ["a mapping from any, though no policy decides", { cas: [[policyMappings([ANY, A])]] }],
  ["a mapping to any, though no policy decides", { cas: [[policyMappings([A, B], [A, ANY])]] }],
  ["an empty list of mappings, though no policy decides", { cas: [[extension("2.5.29.33", seq())]] }],
]
for (const [name, row] of refused)
  test(`refuses ${name}`, () => void throwsCode(() => verifyCase(caseOfRow(row)), "CERTIFICATE_POLICY"))

test("refuses X-17 10,000 policies and mappings in each certificate within 20 ms", () => {
  const ids = Array.from({ length: 10_000 }, (_, i) => `1.2.3.${i}`)
  const made = caseOfRow({
    cas: [[policies(...ids), policyMappings(...ids.map((id) => [id, A] as const))], [policies(...ids)]],
    leaf: [policies(...ids)],
    inputs: explicit,
  })
  // Parsed before: one request carries a tenth of this.
  const [leaf, ...others] = parsed(made.leaf, ...(made.shown ?? []))
  if (leaf === undefined) throw new TypeError("a leaf")
  const options = { purpose: "ak", at: AT, ...made.options } as const
  const ms = leastCpuMs(
    () => void throwsCode(() => verifyChain(leaf, others, made.trust, options), "CERTIFICATE_POLICY"),
  )
  assert.ok(ms < 20, `${ms} ms`)
})

test.run()
