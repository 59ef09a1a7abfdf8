import { utf8 } from "../../../../src/bytes.ts"
import { extension, integer, oid, seq, tlv } from "../../../support/x509.ts"
import { type Chain, type Draft, ID } from "../chain.ts"
import { cas, type Fault, hasCa, inOne, issuers, leaf, proven } from "./fault.ts"

const GOLD = "1.3.6.1.4.1.99999.5.1"
const SILVER = "1.3.6.1.4.1.99999.5.2"
const ANY = "2.5.29.32.0"

const policies = (...oids: readonly string[]): Uint8Array =>
  extension(ID.policies, seq(...oids.map((policy) => seq(oid(policy)))))
const constraints = (requireExplicit?: number, inhibitMapping?: number): Uint8Array =>
  extension(
    ID.policyConstraints,
    seq(
      ...(requireExplicit === undefined ? [] : [tlv(0x80, Uint8Array.of(requireExplicit))]),
      ...(inhibitMapping === undefined ? [] : [tlv(0x81, Uint8Array.of(inhibitMapping))]),
    ),
    true,
  )
const mappings = (from: string, to: string): Uint8Array =>
  extension(ID.policyMappings, seq(seq(oid(from), oid(to))), true)
const inhibitAny = (skip: number): Uint8Array => extension(ID.inhibitAnyPolicy, integer(skip), true)

const assert = (chain: Chain, ...oids: readonly string[]): void => {
  for (const draft of chain.drafts) draft.extensions.set(ID.policies, policies(...oids))
}
const requireExplicit = (chain: Chain): void => ask(chain, { requireExplicit: true })
const ask = ({ question }: Chain, more: Partial<Chain["question"]["policies"]>): void => {
  question.policies = { ...question.policies, ...more }
}

/** Certificates that all assert one policy, which is asked for; and then something else. */
const explicitly = (
  id: string,
  then: (chain: Chain, pick: (list: readonly Draft[]) => Draft) => void,
  more: Partial<Fault> = {},
): Fault => ({
  id,
  ...more,
  apply: (chain, random) => {
    assert(chain, GOLD)
    requireExplicit(chain)
    then(chain, (list) => random.pick(list))
  },
})
const harmless = { harmless: true } as const
const withCa = { fits: hasCa } as const

const set = (
  id: string,
  where: Parameters<typeof inOne>[0],
  extensionId: string,
  value: Uint8Array,
  more: Partial<Fault> = {},
): Fault => ({
  id,
  ...more,
  apply: inOne(where, ({ extensions }) => extensions.set(extensionId, value)),
})

/** Certificate policies. */
export const POLICIES: readonly Fault[] = [
  explicitly("one policy all along", () => {}, harmless),
  explicitly(
    "one policy, which is wanted",
    (chain) => ask(chain, { acceptable: new Set([SILVER, GOLD]) }),
    harmless,
  ),
  explicitly("one policy, and another is wanted", (chain) => ask(chain, { acceptable: new Set([SILVER]) })),
  explicitly("a certificate without policies", ({ proven }, pick) =>
    pick(proven).extensions.delete(ID.policies),
  ),
  explicitly(
    "a certificate with another policy",
    ({ proven }, pick) => pick(proven).extensions.set(ID.policies, policies(SILVER)),
    withCa,
  ),
  explicitly("anyPolicy in a CA", ({ cas }, pick) => pick(cas).extensions.set(ID.policies, policies(ANY)), {
    harmless: true,
    fits: hasCa,
  }),
  explicitly("anyPolicy in a leaf", ({ leaf }) => leaf.extensions.set(ID.policies, policies(ANY)), harmless),
  explicitly("anyPolicy where the question inhibits it", (chain, pick) => {
    pick(chain.proven).extensions.set(ID.policies, policies(ANY))
    ask(chain, { inhibitAny: true })
  }),
  explicitly(
    "anyPolicy where the CA above inhibits it",
    (chain) => {
      const [first = chain.leaf, second = chain.leaf] = chain.proven
      first.extensions.set(ID.inhibitAnyPolicy, inhibitAny(0))
      second.extensions.set(ID.policies, policies(ANY))
    },
    withCa,
  ),
  explicitly(
    "anyPolicy where a CA allows it once more",
    (chain) => {
      const [first = chain.leaf, second = chain.leaf] = chain.proven
      first.extensions.set(ID.inhibitAnyPolicy, inhibitAny(1))
      second.extensions.set(ID.policies, policies(ANY))
    },
    { ...harmless, ...withCa },
  ),
  explicitly(
    "anyPolicy in a self-issued CA where it is inhibited",
    (chain) => {
      const rollover = chain.ca(chain.anchor.keys, chain.anchor.subject)
      rollover.extensions.set(ID.policies, policies(ANY))
      chain.drafts.splice(1, 0, rollover)
      ask(chain, { inhibitAny: true })
    },
    harmless,
  ),
  explicitly(
    "mapping where policies decide",
    (chain) => {
      const [first = chain.leaf, second = chain.leaf] = chain.proven
      first.extensions.set(ID.policyMappings, mappings(GOLD, SILVER))
      second.extensions.set(ID.policies, policies(SILVER))
    },
    withCa,
  ),
  explicitly(
    "mapping where mapping is inhibited",
    (chain) => {
      const [first = chain.leaf, second = chain.leaf] = chain.proven
      first.extensions.set(ID.policyMappings, mappings(GOLD, SILVER))
      second.extensions.set(ID.policies, policies(SILVER))
      ask(chain, { inhibitMapping: true })
    },
    withCa,
  ),
  explicitly(
    "mapping where a CA above inhibits it",
    (chain) => {
      const [first = chain.leaf, second = chain.leaf] = chain.proven
      first.extensions.set(ID.policyConstraints, constraints(undefined, 0))
      second.extensions.set(ID.policyMappings, mappings(GOLD, SILVER))
      chain.leaf.extensions.set(ID.policies, policies(SILVER))
    },
    { fits: ({ cas }) => cas.length > 1 },
  ),
  explicitly(
    "mapping to anyPolicy",
    ({ cas }, pick) => pick(cas).extensions.set(ID.policyMappings, mappings(GOLD, ANY)),
    withCa,
  ),
  explicitly(
    "mapping from anyPolicy",
    ({ cas }, pick) => pick(cas).extensions.set(ID.policyMappings, mappings(ANY, GOLD)),
    withCa,
  ),
  {
    id: "mapping where policies decide nothing",
    ...harmless,
    ...withCa,
    apply: (chain, random) => {
      assert(chain, GOLD)
      random.pick(chain.cas).extensions.set(ID.policyMappings, mappings(GOLD, SILVER))
    },
  },
  set("empty policy mappings", cas, ID.policyMappings, extension(ID.policyMappings, seq(), true), withCa),
  set("explicit policy demanded by a CA, and none", proven, ID.policyConstraints, constraints(0)),
  set("explicit policy demanded by the anchor, and none", issuers, ID.policyConstraints, constraints(0)),
  set(
    "explicit policy demanded further down than there is",
    issuers,
    ID.policyConstraints,
    constraints(9),
    harmless,
  ),
  {
    id: "explicit policy demanded by a CA, and there",
    ...harmless,
    apply: (chain, random) => {
      assert(chain, GOLD, SILVER)
      random.pick(chain.proven).extensions.set(ID.policyConstraints, constraints(0))
    },
  },
  set("empty policy constraints", issuers, ID.policyConstraints, constraints()),
  set("empty list of policies", proven, ID.policies, policies()),
  set("a policy twice", proven, ID.policies, policies(GOLD, SILVER, GOLD)),
  set("critical policies with qualifiers", leaf, ID.policies, qualified(), harmless),
  set(
    "policies that nobody asks for",
    proven,
    ID.policies,
    policies(...Array.from({ length: 40 }, (_, i) => `${GOLD}.${i}`)),
    harmless,
  ),
  set("inhibitAnyPolicy below zero", issuers, ID.inhibitAnyPolicy, below()),
  {
    id: "more policies in a CA than in the leaf",
    ...harmless,
    apply: (chain, random) => {
      assert(chain, GOLD)
      random.pick(chain.issuers).extensions.set(ID.policies, policies(GOLD, SILVER, ANY))
      requireExplicit(chain)
    },
  },
]

function qualified(): Uint8Array {
  const qualifier = seq(oid("1.3.6.1.5.5.7.2.1"), tlv(0x16, utf8("http://inside.example/cps")))
  return extension(ID.policies, seq(seq(oid(GOLD), seq(qualifier))), true)
}

function below(): Uint8Array {
  return extension(ID.inhibitAnyPolicy, tlv(0x02, Uint8Array.of(0xff)), true)
}
