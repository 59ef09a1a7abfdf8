import { suite } from "uvu"
import * as assert from "uvu/assert"
import { parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { SIGNATURES_MAX } from "../../src/verification/budget.ts"
import { verifyChain } from "../../src/verification/chain.ts"
import { createTrust } from "../../src/verification/trust.ts"
import { throwsCode } from "../support/assert.ts"
import {
  AT,
  type Case,
  ca,
  caseOf,
  INTERMEDIATE,
  LEAF,
  leafBy,
  NOTHING_DENIED,
  parsed,
  type Refused,
  ROOT,
  refusesEach,
  rootOf,
  trustIn,
  verifyCase,
} from "../support/chain.ts"
import {
  AK_EXTENSIONS,
  authorityKeyId,
  cn,
  INTERMEDIATE_KEYS,
  INTERMEDIATE_NAME,
  LEAF_KEYS,
  makeCertificate,
  makeChain,
  p256Keys,
  ROOT_KEYS,
  ROOT_NAME,
  seq,
  subjectKeyId,
  time,
  tlv,
} from "../support/x509.ts"

const OTHER_KEYS = p256Keys()
const OTHER_NAME = cn("Other Root")

const good = makeChain("ak")
const goodCase = caseOf(good)
const rootTrust = trustIn([good.root])
const otherRoot = rootOf(OTHER_KEYS, OTHER_NAME)

const roots = suite("verifyChain, where trust comes from")

/** The anchor's name with another key, which issued an intermediate of the usual name and key. */
const impostor = rootOf(OTHER_KEYS)
const impostorIntermediate = ca(INTERMEDIATE_KEYS, OTHER_KEYS, INTERMEDIATE_NAME, ROOT_NAME)

refusesEach(roots, [
  [
    "X-01 a chain that brings its own root",
    () => ({ ...goodCase, shown: [good.intermediate, good.root], trust: trustIn([otherRoot]) }),
    "UNTRUSTED_ROOT",
    ROOT,
  ],
  [
    "X-01 a copy of the anchor's name with another key, as the root of a chain",
    () => ({ leaf: good.leaf, shown: [impostorIntermediate, impostor], trust: rootTrust }),
    "UNTRUSTED_ROOT",
    ROOT,
  ],
  [
    "X-01 a copy of the anchor's name with another key, as the leaf's issuer",
    () => ({ leaf: leafBy(OTHER_KEYS, ROOT_NAME), shown: [impostor], trust: rootTrust }),
    "UNTRUSTED_ROOT",
    ROOT,
  ],
  [
    "X-01 a copy of the anchor's name and key identifier with another key",
    () => {
      const id = subjectKeyId(Uint8Array.of(1, 2, 3))
      const leaf = leafBy(OTHER_KEYS, ROOT_NAME, authorityKeyId(Uint8Array.of(1, 2, 3)))
      const anchor = rootOf(ROOT_KEYS, ROOT_NAME, id)
      return { leaf, shown: [rootOf(OTHER_KEYS, ROOT_NAME, id)], trust: trustIn([anchor]) }
    },
    "UNTRUSTED_ROOT",
    ROOT,
  ],
  [
    "X-01 a copy of the anchor's name that another root issued",
    () => ({
      leaf: leafBy(OTHER_KEYS, ROOT_NAME),
      shown: [ca(OTHER_KEYS, LEAF_KEYS, ROOT_NAME, OTHER_NAME), rootOf(LEAF_KEYS, OTHER_NAME)],
      trust: rootTrust,
    }),
    "UNTRUSTED_ROOT",
    "CN=Other Root",
  ],
  ["X-01 everything, if nothing is trusted", () => ({ ...goodCase, trust: trustIn([]) }), "UNTRUSTED_ROOT"],
  [
    "X-01 everything, if nothing is trusted, the root shown",
    () => ({ ...goodCase, shown: [good.intermediate, good.root], trust: trustIn([]) }),
    "UNTRUSTED_ROOT",
    ROOT,
  ],
  [
    "X-01 an AK under an anchor for EKs",
    () => ({ ...goodCase, trust: trustIn([good.root], { purpose: "ek" }) }),
    "UNTRUSTED_ROOT",
  ],
  [
    "X-01 an EK under an anchor for AKs",
    () => {
      const chain = makeChain("ek")
      return { ...caseOf(chain, { purpose: "ek" }), trust: trustIn([chain.root], { purpose: "ak" }) }
    },
    "UNTRUSTED_ROOT",
  ],
  [
    "X-01 a leaf that signed itself",
    () => ({
      leaf: makeCertificate(LEAF_KEYS, LEAF_KEYS, cn("Leaf"), cn("Leaf"), AK_EXTENSIONS),
      trust: rootTrust,
    }),
    "UNTRUSTED_ROOT",
    "CN=Leaf",
  ],
  ["X-01 a leaf alone", () => ({ leaf: good.leaf, trust: rootTrust }), "UNTRUSTED_ROOT", LEAF],
  [
    "X-01 a known intermediate without its anchor",
    () => ({ leaf: good.leaf, trust: trustIn([], {}, [good.intermediate]) }),
    "UNTRUSTED_ROOT",
    INTERMEDIATE,
  ],
  [
    "X-01 an AK that is an anchor, but not its own issuer",
    () => ({ leaf: good.leaf, trust: trustIn([good.leaf]) }),
    "UNTRUSTED_ROOT",
  ],
])

for (const purpose of ["ak", "ek"] as const)
  for (const anchor of [purpose, "any"] as const)
    roots(`accepts an ${purpose} under an anchor for ${anchor}`, () => {
      const chain = makeChain(purpose)
      const path = verifyCase({
        ...caseOf(chain, { purpose }),
        trust: trustIn([chain.root], { purpose: anchor }),
      })
      assert.equal(path.certificates, parsed(chain.leaf, chain.intermediate))
      assert.equal(path.anchor.certificate, parseCertificate(chain.root))
      assert.is(path.tpm?.manufacturer, "id:49465800")
      assert.is(path.expired, false)
      assert.is(path.policies?.length, 0)
      assert.equal(
        path.revocation.map(({ status }) => status),
        ["not-checked", "not-checked"],
      )
    })

roots("accepts for no purpose under an anchor for one", () => {
  const path = verifyCase({
    ...caseOf(good, { purpose: "any" }),
    trust: trustIn([good.root], { purpose: "ek" }),
  })
  assert.is(path.tpm, undefined)
})

roots("accepts for no purpose a leaf that is an anchor itself, without a path", () => {
  const path = verifyCase({ leaf: good.leaf, trust: trustIn([good.leaf]), options: { purpose: "any" } })
  assert.equal(path.certificates, [])
})

roots("takes intermediates from the trust as well, and for another purpose's anchor too", () => {
  verifyCase({ leaf: good.leaf, trust: trustIn([good.root], {}, [good.intermediate]) })
  const [root, intermediate] = parsed(good.root, good.intermediate)
  if (root === undefined || intermediate === undefined) throw new TypeError("two certificates")
  const trust = createTrust({
    anchors: [
      { certificate: root, purpose: "ak", revocation: "off" },
      { certificate: intermediate, purpose: "ek", revocation: "off" },
    ],
    intermediates: [],
    crls: [],
    denied: NOTHING_DENIED,
  })
  assert.is(verifyCase({ ...goodCase, trust }).anchor.certificate, root)
})

roots.run()

const links = suite("verifyChain, link by link")

const EMPTY_ID = new Uint8Array()
const ID = Uint8Array.of(1, 2, 3, 4)
const EXPIRED = seq(time(new Date("2020-01-01Z")), time(new Date("2021-01-01Z")))
/** Of the intermediate's name, by the root, with a key that signed no leaf. */
const decoy = (...more: readonly Uint8Array[]): Uint8Array =>
  ca(OTHER_KEYS, ROOT_KEYS, INTERMEDIATE_NAME, ROOT_NAME, ...more)
const issuing = (...more: readonly Uint8Array[]): Uint8Array =>
  ca(INTERMEDIATE_KEYS, ROOT_KEYS, INTERMEDIATE_NAME, ROOT_NAME, ...more)
const keyed = (id: Uint8Array): Uint8Array => leafBy(INTERMEDIATE_KEYS, INTERMEDIATE_NAME, authorityKeyId(id))

refusesEach(links, [
  [
    "X-18 an issuer by its empty key identifier",
    () => ({ leaf: keyed(EMPTY_ID), shown: [decoy(subjectKeyId(EMPTY_ID))], trust: rootTrust }),
    "CHAIN",
    LEAF,
  ],
  [
    "X-18 an issuer by a key identifier that is another key's",
    () => ({ leaf: keyed(ID), shown: [decoy(subjectKeyId(ID))], trust: rootTrust }),
    "CHAIN",
    LEAF,
  ],
  [
    "X-18 an issuer by name alone",
    () => ({ leaf: good.leaf, shown: [decoy()], trust: rootTrust }),
    "CHAIN",
    LEAF,
  ],
  [
    "X-18 several issuers by name, none of which signed",
    () => ({ leaf: keyed(ID), shown: [decoy(), decoy(subjectKeyId(ID)), decoy()], trust: rootTrust }),
    "CHAIN",
    LEAF,
  ],
  [
    "X-18 an anchor by name that did not sign the intermediate",
    () => ({ ...goodCase, trust: trustIn([impostor]) }),
    "CHAIN",
    INTERMEDIATE,
  ],
  [
    "X-18 an anchor by key identifier that did not sign the leaf",
    () => ({ leaf: leafBy(OTHER_KEYS, ROOT_NAME, authorityKeyId(ID)), trust: rootTrust }),
    "CHAIN",
    LEAF,
  ],
  [
    "X-18 a signature that is another certificate's by the same issuer",
    () => ({
      ...goodCase,
      leaf: makeChain("ak", { leaf: { signature: () => signatureOf(good.leaf) } }).leaf,
    }),
    "CHAIN",
    LEAF,
  ],
  [
    "X-18 an empty signature",
    () => ({ ...goodCase, leaf: makeChain("ak", { leaf: { signature: () => EMPTY_ID } }).leaf }),
    "CHAIN",
    LEAF,
  ],
  [
    "X-18 a signature of two zeros",
    () => ({
      ...goodCase,
      leaf: makeChain("ak", {
        leaf: { signature: () => seq(tlv(2, Uint8Array.of(0)), tlv(2, Uint8Array.of(0))) },
      }).leaf,
    }),
    "CHAIN",
    LEAF,
  ],
  [
    "X-19 an intermediate signed by nobody, below a leaf that holds",
    () => ({
      ...goodCase,
      shown: [makeChain("ak", { intermediate: { signature: (tbs) => OTHER_KEYS.sign(tbs) } }).intermediate],
    }),
    "CHAIN",
    INTERMEDIATE,
  ],
  [
    "X-19 a leaf signed by nobody, below an intermediate that holds",
    () => ({ ...goodCase, leaf: makeChain("ak", { leaf: { signer: OTHER_KEYS } }).leaf }),
    "CHAIN",
    LEAF,
  ],
])

const signatureOf = (certificate: Uint8Array): Uint8Array => parseCertificate(certificate).signature

links("refuses X-19 a bad chain after a good one under the same trust, each time", () => {
  const [leaf, intermediate] = parsed(good.leaf, good.intermediate)
  const [forged] = parsed(makeChain("ak", { leaf: { signer: OTHER_KEYS } }).leaf)
  if (leaf === undefined || intermediate === undefined || forged === undefined) throw new TypeError("three")
  const options = { purpose: "ak", at: AT } as const
  for (let i = 0; i < 3; i++) {
    verifyChain(leaf, [intermediate], rootTrust, options)
    throwsCode(() => verifyChain(forged, [intermediate], rootTrust, options), "CHAIN")
  }
})

links("refuses X-19 the leaf of one chain with the intermediate of another after both held", () => {
  const second = { ...makeChain("ak"), intermediate: decoy() }
  const leaf = leafBy(OTHER_KEYS, INTERMEDIATE_NAME)
  verifyCase(goodCase)
  verifyCase({ leaf, shown: [second.intermediate], trust: rootTrust })
  throwsCode(() => verifyCase({ leaf, shown: [good.intermediate], trust: rootTrust }), "CHAIN")
})

links("refuses X-19 the same parsed intermediate under trust that no longer has its root", () => {
  const [leaf, intermediate] = parsed(good.leaf, good.intermediate)
  if (leaf === undefined || intermediate === undefined) throw new TypeError("two certificates")
  const options = { purpose: "ak", at: AT } as const
  verifyChain(leaf, [intermediate], rootTrust, options)
  throwsCode(() => verifyChain(leaf, [intermediate], trustIn([otherRoot]), options), "UNTRUSTED_ROOT")
})

links("refuses X-19 a chain after it held, once its instant has passed", () => {
  const [leaf, intermediate] = parsed(good.leaf, good.intermediate)
  if (leaf === undefined || intermediate === undefined) throw new TypeError("two certificates")
  verifyChain(leaf, [intermediate], rootTrust, { purpose: "ak", at: AT })
  const later = new Date("2041-01-01T00:00:00Z")
  throwsCode(() => verifyChain(leaf, [intermediate], rootTrust, { purpose: "ak", at: later }), "VALIDITY")
})

const accepted: readonly [name: string, of: () => Case][] = [
  [
    "an issuer with a key identifier that the leaf does not name",
    () => ({ leaf: keyed(ID), shown: [issuing()], trust: rootTrust }),
  ],
  [
    "an issuer whose key identifier is another's",
    () => ({ leaf: keyed(ID), shown: [issuing(subjectKeyId(Uint8Array.of(9)))], trust: rootTrust }),
  ],
  [
    "X-18 the second of two issuers by name, where the first did not sign",
    () => ({ leaf: good.leaf, shown: [decoy(), issuing()], trust: rootTrust }),
  ],
  [
    "X-18 the issuer that signed, where another has the key identifier",
    () => ({ leaf: keyed(ID), shown: [decoy(subjectKeyId(ID)), issuing()], trust: rootTrust }),
  ],
  [
    "X-18 the last of ten issuers by name, with empty key identifiers",
    () => ({
      leaf: keyed(EMPTY_ID),
      shown: [
        ...Array.from({ length: 9 }, () => decoy(subjectKeyId(EMPTY_ID))),
        issuing(subjectKeyId(EMPTY_ID)),
      ],
      trust: rootTrust,
    }),
  ],
  [
    "X-18 a chain with copies of the trusted root and of itself in it",
    () => ({
      leaf: good.leaf,
      shown: [good.root, good.leaf, good.intermediate, good.intermediate, good.root],
      trust: rootTrust,
    }),
  ],
  [
    "X-18 the one of two anchors of a name that signed",
    () => ({ ...goodCase, trust: trustIn([impostor, good.root]) }),
  ],
  [
    "X-18 an expired intermediate's successor of the same key",
    () => ({
      leaf: good.leaf,
      shown: [
        makeChain("ak", {
          intermediate: { validity: seq(time(new Date("2020-01-01Z")), time(new Date("2021-01-01Z"))) },
        }).intermediate,
        good.intermediate,
      ],
      trust: rootTrust,
    }),
  ],
  [
    "a root that changed its key, by the certificate of the new key that the old one signed",
    () => ({
      leaf: good.leaf,
      shown: [
        ca(INTERMEDIATE_KEYS, OTHER_KEYS, INTERMEDIATE_NAME, ROOT_NAME),
        ca(OTHER_KEYS, ROOT_KEYS, ROOT_NAME, ROOT_NAME),
      ],
      trust: rootTrust,
    }),
  ],
  [
    "a root that changed its key, by the certificate of the old key that the new one signed",
    () => ({
      ...goodCase,
      shown: [good.intermediate, ca(ROOT_KEYS, OTHER_KEYS, ROOT_NAME, ROOT_NAME)],
      trust: trustIn([impostor]),
    }),
  ],
  [
    "a root that another root signed too",
    () => ({
      ...goodCase,
      shown: [good.intermediate, good.root, ca(ROOT_KEYS, OTHER_KEYS, ROOT_NAME, OTHER_NAME)],
      trust: trustIn([otherRoot]),
    }),
  ],
  [
    "an intermediate of two roots, one of them trusted, from either",
    () => ({
      ...goodCase,
      shown: [ca(INTERMEDIATE_KEYS, OTHER_KEYS, INTERMEDIATE_NAME, OTHER_NAME), otherRoot, good.intermediate],
    }),
  ],
  [
    "two roots that signed one another, one of them trusted",
    () => ({
      ...goodCase,
      shown: [
        good.intermediate,
        good.root,
        ca(ROOT_KEYS, OTHER_KEYS, ROOT_NAME, OTHER_NAME),
        ca(OTHER_KEYS, ROOT_KEYS, OTHER_NAME, ROOT_NAME),
      ],
      trust: trustIn([otherRoot]),
    }),
  ],
  [
    "certificates that have nothing to do with it",
    () => ({ ...goodCase, shown: [otherRoot, good.intermediate, makeChain("ek").leaf] }),
  ],
]
for (const [name, of] of accepted) links(`accepts ${name}`, () => void verifyCase(of()))

links("tries the issuer with the fitting key identifier first", () => {
  const leaf = keyed(ID)
  const decoys = Array.from({ length: SIGNATURES_MAX }, () => decoy())
  verifyCase({ leaf, shown: [...decoys, issuing(subjectKeyId(ID))], trust: rootTrust })
  verifyCase({ leaf, shown: [issuing(subjectKeyId(ID)), ...decoys], trust: rootTrust })
  throwsCode(
    () => verifyCase({ leaf, shown: [issuing(), ...decoys, issuing()].slice(1), trust: rootTrust }),
    "PATH",
  )
})

links("looks at each certificate once, however often it came along", () => {
  const copies = Array.from({ length: 5 }, (_, i) => decoy(subjectKeyId(Uint8Array.of(i))))
  const shown = Array.from({ length: 20 }, () => copies).flat()
  verifyCase({ leaf: good.leaf, shown: [...shown, good.intermediate], trust: rootTrust })
})

links(
  "refuses X-17 to look further once it has spent its signatures, though one path led to an anchor",
  () => {
    const root = makeChain("ak", { root: { validity: EXPIRED } }).root
    const decoys = Array.from({ length: SIGNATURES_MAX }, () => decoy())
    const shown = [issuing(subjectKeyId(ID)), ...decoys]
    throwsCode(() => verifyCase({ leaf: keyed(ID), shown, trust: trustIn([root]) }), "PATH")
  },
)

links("tries the anchor with the fitting key identifier first", () => {
  const leaf = leafBy(ROOT_KEYS, ROOT_NAME, authorityKeyId(ID))
  const impostors = Array.from({ length: SIGNATURES_MAX }, () => rootOf(OTHER_KEYS))
  verifyCase({ leaf, trust: trustIn([...impostors, rootOf(ROOT_KEYS, ROOT_NAME, subjectKeyId(ID))]) })
})

links.run()

const telling = suite("verifyChain, which failure it tells")

const flawedRoot = makeChain("ak", { root: { validity: EXPIRED } }).root

const tellings: readonly Refused[] = [
  [
    "what an anchor found wrong, before a bad link and an issuer that is missing",
    () => ({ leaf: good.leaf, shown: [decoy(), good.intermediate], trust: trustIn([impostor, flawedRoot]) }),
    "VALIDITY",
    ROOT,
  ],
  [
    "what an anchor found wrong, before a flaw of a path that led nowhere",
    () => ({
      leaf: good.leaf,
      shown: [
        good.intermediate,
        makeCertificate(INTERMEDIATE_KEYS, ROOT_KEYS, INTERMEDIATE_NAME, ROOT_NAME, AK_EXTENSIONS),
      ],
      trust: trustIn([flawedRoot]),
    }),
    "VALIDITY",
    ROOT,
  ],
  [
    "a flaw of a path before a root that is not trusted",
    () => ({
      leaf: good.leaf,
      shown: [
        makeChain("ak", { intermediate: { validity: EXPIRED } }).intermediate,
        ca(INTERMEDIATE_KEYS, OTHER_KEYS, INTERMEDIATE_NAME, OTHER_NAME),
        otherRoot,
      ],
      trust: rootTrust,
    }),
    "VALIDITY",
    INTERMEDIATE,
  ],
  [
    "a root that is not trusted before a bad link",
    () => ({
      leaf: good.leaf,
      shown: [decoy(), ca(INTERMEDIATE_KEYS, OTHER_KEYS, INTERMEDIATE_NAME, OTHER_NAME), otherRoot],
      trust: rootTrust,
    }),
    "UNTRUSTED_ROOT",
    "CN=Other Root",
  ],
  [
    "the first of two flaws that are alike",
    () => ({
      leaf: good.leaf,
      shown: [
        makeChain("ak", { intermediate: { validity: EXPIRED } }).intermediate,
        makeCertificate(INTERMEDIATE_KEYS, ROOT_KEYS, INTERMEDIATE_NAME, ROOT_NAME, AK_EXTENSIONS),
      ],
      trust: rootTrust,
    }),
    "VALIDITY",
    INTERMEDIATE,
  ],
  [
    "a bad link before an issuer that is missing",
    () => ({
      leaf: good.leaf,
      shown: [decoy(), ca(INTERMEDIATE_KEYS, OTHER_KEYS, INTERMEDIATE_NAME, cn("Nobody"))],
      trust: rootTrust,
    }),
    "CHAIN",
    LEAF,
  ],
  [
    "the issuer that is missing, where the path ends",
    () => ({
      leaf: good.leaf,
      shown: [ca(INTERMEDIATE_KEYS, OTHER_KEYS, INTERMEDIATE_NAME, cn("Nobody"))],
      trust: rootTrust,
    }),
    "UNTRUSTED_ROOT",
    INTERMEDIATE,
  ],
]
refusesEach(
  telling,
  tellings.map(([name, ...rest]) => [`X-18 and tells ${name}`, ...rest]),
)

telling.run()

const result = suite("verifyChain, what it gives")

const validity = (from: string, to: string): { readonly validity: Uint8Array } => ({
  validity: seq(time(new Date(from)), time(new Date(to))),
})

const ends: readonly [who: string, changes: Parameters<typeof makeChain>[1]][] = [
  ["leaf", { leaf: validity("2020-01-01Z", "2030-06-07Z") }],
  ["intermediate", { intermediate: validity("2020-01-01Z", "2030-06-07Z") }],
  ["anchor", { root: validity("2020-01-01Z", "2030-06-07Z") }],
]
for (const [who, changes] of ends)
  result(`holds until the ${who}'s end, if that is the earliest`, () => {
    const { validUntil } = verifyCase(caseOf(makeChain("ak", changes)))
    assert.equal(validUntil, new Date("2030-06-07T00:00:00Z"))
  })

result("holds until the end of the second that is the last", () => {
  const chain = makeChain("ak", { leaf: validity("2020-01-01Z", "2026-11-21T12:00:00Z") })
  const at = new Date("2026-11-21T12:00:00.900Z")
  assert.equal(verifyCase(caseOf(chain, { at })).validUntil, new Date("2026-11-21T12:00:00Z"))
})

/** An endorsement key's chain, its leaf from 2020 to 2025. */
const oldEk = (changes: Parameters<typeof makeChain>[1] = {}): Case =>
  caseOf(makeChain("ek", { leaf: validity("2021-01-01Z", "2025-01-01Z"), ...changes }), {
    purpose: "ek",
    expiredLeaf: "allow",
  })

result("accepts X-07 an expired EK where that is allowed, and says so", () => {
  const path = verifyCase(oldEk())
  assert.is(path.expired, true)
  assert.equal(path.validUntil, new Date("2040-01-01T00:00:00Z"))
})

result("accepts X-07 an expired EK whose CAs have expired since", () => {
  const since = validity("2020-01-01Z", "2026-01-01Z")
  const path = verifyCase(oldEk({ intermediate: since, root: since }))
  assert.is(path.expired, true)
  assert.ok(path.validUntil > AT, "an end that has passed is no end")
})

result("does not call an EK expired in the last second of its validity", () => {
  const chain = makeChain("ek", { leaf: validity("2021-01-01Z", "2026-11-21T12:00:00Z") })
  const at = new Date("2026-11-21T12:00:00.900Z")
  assert.is(verifyCase(caseOf(chain, { purpose: "ek", expiredLeaf: "allow", at })).expired, false)
})

refusesEach(result, [
  [
    "X-07 an expired EK unless that is allowed",
    () => ({ ...oldEk(), options: { purpose: "ek" } }),
    "VALIDITY",
    LEAF,
  ],
  [
    "X-07 an expired EK whose CA had expired when it was issued",
    () => oldEk({ intermediate: validity("2020-01-01Z", "2020-06-01Z") }),
    "VALIDITY",
    INTERMEDIATE,
  ],
  [
    "X-07 an expired EK whose anchor had expired when it was issued",
    () => oldEk({ root: validity("2019-01-01Z", "2020-12-31T23:59:59Z") }),
    "VALIDITY",
    ROOT,
  ],
  [
    "X-07 an expired EK whose CA was not yet valid when it was issued",
    () => oldEk({ intermediate: validity("2021-01-01T00:00:01Z", "2040-01-01Z") }),
    "VALIDITY",
    INTERMEDIATE,
  ],
  [
    "X-07 an EK that is not yet valid, though expired ones are allowed",
    () => oldEk({ leaf: validity("2027-01-01Z", "2030-01-01Z") }),
    "VALIDITY",
    LEAF,
  ],
  [
    "X-07 an EK that ends before it begins, though expired ones are allowed",
    () => oldEk({ leaf: validity("2025-01-01Z", "2021-01-01Z") }),
    "VALIDITY",
    LEAF,
  ],
  [
    "X-07 an expired CA below which nothing has expired, though expired EKs are allowed",
    () =>
      oldEk({
        leaf: validity("2021-01-01Z", "2030-01-01Z"),
        intermediate: validity("2020-01-01Z", "2026-01-01Z"),
      }),
    "VALIDITY",
    INTERMEDIATE,
  ],
])

result("tells what the certificates depart from, the anchor among them", () => {
  const never = validity("2020-01-01Z", "9999-12-31T23:59:59Z")
  assert.equal(verifyCase(caseOf(makeChain("ak", { root: never }))).deviations, ["no-expiry"])
  assert.equal(verifyCase(caseOf(makeChain("ak", { leaf: never, intermediate: never }))).deviations, [
    "no-expiry",
  ])
  assert.equal(verifyCase(goodCase).deviations, [])
})

result.run()
