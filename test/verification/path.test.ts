/** What makes a certificate unfit for its place in a path, whoever signed it. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../../src/bytes.ts"
import { parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { checkValidity } from "../../src/verification/path.ts"
import { throwsCode } from "../support/assert.ts"
import {
  type Case,
  caseOf,
  INTERMEDIATE,
  LEAF,
  type Refused,
  ROOT,
  refusesEach,
  trustIn,
  verifyCase,
} from "../support/chain.ts"
import {
  AK_EXTENSIONS,
  basicConstraints,
  type CertificateParts,
  type ChainChanges,
  caExtensions,
  cn,
  dns,
  EK_EXTENSIONS,
  EKU_AK,
  extension,
  INTERMEDIATE_KEYS,
  INTERMEDIATE_NAME,
  integer,
  type Keys,
  keyUsage,
  LEAF_KEYS,
  makeCertificate,
  makeChain,
  NULL,
  nameConstraints,
  octets,
  oid,
  p256Keys,
  pssAlgorithm,
  pssParameters,
  ROOT_KEYS,
  ROOT_NAME,
  RSA_SHA256,
  seq,
  time,
  tlv,
  withExtensions,
  withoutExtensions,
} from "../support/x509.ts"

/** The chain with changes. */
const chainWith = (changes: ChainChanges, options: Case["options"] = {}): Case =>
  caseOf(makeChain("ak", changes), options)
const good = makeChain("ak")
const places = ["leaf", "intermediate", "root"] as const
const NAMES = { leaf: LEAF, intermediate: INTERMEDIATE, root: ROOT } as const
const OF = { leaf: AK_EXTENSIONS, intermediate: caExtensions(0), root: caExtensions() } as const

const NO_EXTENSIONS = { extensions: [] } as const
const V1 = { version: new Uint8Array(), extensions: [] } as const
const BASIC_CONSTRAINTS = "2.5.29.19"
const KEY_USAGE = "2.5.29.15"

const issuers = suite("checkCa")

const caFlaws: readonly [name: string, parts: Partial<CertificateParts>][] = [
  ["without basicConstraints", { extensions: [keyUsage(5, 6)] }],
  ["without an extension", NO_EXTENSIONS],
  ["that says it is no CA", { extensions: [basicConstraints(false), keyUsage(5, 6)] }],
  ["that says it is no CA with a path length", { extensions: [basicConstraints(false, 3), keyUsage(5, 6)] }],
  ["of version 1", V1],
  ["of version 2", { version: tlv(0xa0, integer(1)), extensions: [] }],
  ["whose key may not sign certificates", { extensions: [basicConstraints(true), keyUsage(6)] }],
  [
    "whose key may do everything but sign certificates",
    { extensions: [basicConstraints(true), keyUsage(0, 1, 2, 3, 4, 6, 7)] },
  ],
  [
    "whose key may do nothing",
    { extensions: [basicConstraints(true), extension(KEY_USAGE, tlv(3, Uint8Array.of(0)), true)] },
  ],
]
for (const place of ["intermediate", "root"] as const)
  refusesEach(
    issuers,
    caFlaws.map(
      ([name, parts]): Refused => [
        `X-02 an issuer ${name}: the ${place}`,
        () => chainWith({ [place]: parts }),
        "ISSUER_NOT_CA",
        NAMES[place],
      ],
    ),
  )

/** A leaf that another leaf issued. */
const issuedByLeaf = (extensions: readonly Uint8Array[]): Case => {
  const name = cn("Device")
  return {
    leaf: makeCertificate(p256Keys(), LEAF_KEYS, seq(), name, AK_EXTENSIONS),
    shown: [
      makeCertificate(LEAF_KEYS, INTERMEDIATE_KEYS, name, INTERMEDIATE_NAME, extensions),
      makeChain("ak", { intermediate: { extensions: caExtensions() } }).intermediate,
    ],
    trust: trustIn([good.root]),
  }
}
refusesEach(issuers, [
  ["X-02 an attestation key as an issuer", () => issuedByLeaf(AK_EXTENSIONS), "ISSUER_NOT_CA", "CN=Device"],
  ["X-02 an endorsement key as an issuer", () => issuedByLeaf(EK_EXTENSIONS), "ISSUER_NOT_CA", "CN=Device"],
  [
    "X-02 a device's key with keyCertSign as an issuer",
    () => issuedByLeaf(withExtensions(AK_EXTENSIONS, keyUsage(0, 5))),
    "ISSUER_NOT_CA",
    "CN=Device",
  ],
  [
    "X-02 an attestation key that is trusted itself as an issuer",
    () => {
      const { leaf, shown = [] } = issuedByLeaf(AK_EXTENSIONS)
      return { leaf, trust: trustIn(shown.slice(0, 1)) }
    },
    "ISSUER_NOT_CA",
    "CN=Device",
  ],
  [
    "an anchor without a name",
    () => ({
      leaf: good.leaf,
      shown: [makeChain("ak", { intermediate: { issuer: seq() } }).intermediate],
      trust: trustIn([makeChain("ak", { root: { subject: seq(), issuer: seq() } }).root]),
    }),
    "NAME",
  ],
])

issuers("accepts a CA whose key usage says nothing", () => {
  for (const place of ["intermediate", "root"] as const)
    verifyCase(chainWith({ [place]: { extensions: [basicConstraints(true)] } }))
})

issuers.run()

const leaves = suite("checkLeaf")

refusesEach(leaves, [
  [
    "X-02 a leaf whose key may sign certificates",
    () => chainWith({ leaf: { extensions: withExtensions(AK_EXTENSIONS, keyUsage(0, 5)) } }),
    "KEY_USAGE",
    LEAF,
  ],
  [
    "X-02 a leaf without basicConstraints whose key may sign certificates",
    () =>
      chainWith({
        leaf: {
          extensions: withoutExtensions(withExtensions(AK_EXTENSIONS, keyUsage(0, 5)), BASIC_CONSTRAINTS),
        },
      }),
    "KEY_USAGE",
    LEAF,
  ],
  [
    "X-03 a leaf with a path length",
    () => chainWith({ leaf: { extensions: withExtensions(AK_EXTENSIONS, basicConstraints(false, 0)) } }),
    "PATH_LEN",
    LEAF,
  ],
  [
    "X-06 a leaf that constrains names",
    () =>
      chainWith({
        leaf: { extensions: withExtensions(AK_EXTENSIONS, nameConstraints([dns("example.com")])) },
      }),
    "NAME",
    LEAF,
  ],
  ["X-06 a leaf of an issuer without a name", () => chainWith({ leaf: { issuer: seq() } }), "NAME", LEAF],
  [
    "X-06 a leaf that has no name of any kind",
    () =>
      chainWith({ leaf: { extensions: withoutExtensions(AK_EXTENSIONS, "2.5.29.17") } }, { purpose: "any" }),
    "NAME",
    LEAF,
  ],
  [
    "a leaf of version 2",
    () =>
      chainWith(
        { leaf: { version: tlv(0xa0, integer(1)), extensions: [], subject: cn("Leaf") } },
        { purpose: "any" },
      ),
    "NAME",
    "CN=Leaf",
  ],
])

leaves("accepts for no purpose a leaf of version 1, and a leaf that is a CA", () => {
  verifyCase(chainWith({ leaf: { ...V1, subject: cn("Leaf") } }, { purpose: "any" }))
  const constrained = [...caExtensions(2), nameConstraints([dns("example.com")])]
  verifyCase(chainWith({ leaf: { extensions: constrained, subject: cn("CA") } }, { purpose: "any" }))
})

leaves.run()

const lengths = suite("walkPath, lengths of paths")

/** CAs below the root, each with its path length; `self` is issued by one of its own name. The last issued the leaf. */
const row = (rootLen: number | undefined, ...lens: readonly (number | undefined | "self")[]): Case => {
  let issuer: { readonly keys: Keys; readonly name: Uint8Array } = { keys: ROOT_KEYS, name: ROOT_NAME }
  const shown = lens.map((len, i) => {
    const keys = p256Keys()
    const name = len === "self" ? issuer.name : cn(`CA ${i}`)
    const extensions = caExtensions(len === "self" ? undefined : len)
    const certificate = makeCertificate(keys, issuer.keys, name, issuer.name, extensions)
    issuer = { keys, name }
    return certificate
  })
  return {
    leaf: makeCertificate(LEAF_KEYS, issuer.keys, seq(), issuer.name, AK_EXTENSIONS),
    shown,
    trust: trustIn([makeChain("ak", { root: { extensions: caExtensions(rootLen) } }).root]),
  }
}

const tooLong: readonly [name: string, of: () => Case, location?: string][] = [
  ["a CA below an anchor that allows none", () => row(0, undefined), "CN=CA 0"],
  ["a CA below a CA that allows none", () => row(undefined, 0, undefined), "CN=CA 1"],
  ["two CAs below a CA that allows one", () => row(undefined, 1, undefined, undefined), "CN=CA 2"],
  ["three CAs below an anchor that allows two", () => row(2, undefined, undefined, undefined), "CN=CA 2"],
  ["a CA that allows more than the CA above it", () => row(undefined, 1, 5, undefined), "CN=CA 2"],
  ["a CA that allows more than the anchor", () => row(0, 5), "CN=CA 0"],
  ["a CA below a self-issued one that allows none", () => row(undefined, 0, "self", undefined), "CN=CA 2"],
  ["a CA below two self-issued ones", () => row(0, "self", "self", undefined), "CN=CA 2"],
  [
    "a CA where none is asked for",
    () => ({ ...row(undefined, undefined), options: { maxDepth: 0 } }),
    "CN=CA 0",
  ],
  [
    "two CAs where one is asked for",
    () => ({ ...row(undefined, undefined, undefined), options: { maxDepth: 1 } }),
    "CN=CA 1",
  ],
]
refusesEach(
  lengths,
  tooLong.map(([name, of, location = ROOT]): Refused => [`X-03 ${name}`, of, "PATH_LEN", location]),
)

const longEnough: readonly [name: string, of: () => Case][] = [
  ["no CA below an anchor that allows none", () => row(0)],
  ["one CA below an anchor that allows one", () => row(1, 0)],
  ["three CAs, each allowing one less", () => row(3, 2, 1, 0)],
  ["self-issued CAs below an anchor that allows none", () => row(0, "self", "self")],
  ["a self-issued CA below a CA that allows none", () => row(undefined, 0, "self")],
  [
    "one CA where one is asked for",
    () => ({ ...row(undefined, "self", undefined), options: { maxDepth: 1 } }),
  ],
]
for (const [name, of] of longEnough) lengths(`accepts ${name}`, () => void verifyCase(of()))

lengths("accepts a leaf that is a CA below a CA that allows none", () => {
  verifyCase(chainWith({ leaf: { extensions: caExtensions(), subject: cn("CA") } }, { purpose: "any" }))
})

lengths.run()

const critical = suite("checkCertificate, critical extensions")

const unknown: readonly [name: string, ...extensions: (readonly [id: string, value: Uint8Array])[]][] = [
  ["with a value that can be read", ["1.3.6.1.4.1.99999.1", NULL]],
  ["with a value that cannot be read", ["1.3.6.1.4.1.99999.1", Uint8Array.of(0xff, 0xff)]],
  ["with no value at all", ["1.3.6.1.4.1.99999.1", new Uint8Array()]],
  ["of RFC 5280 that no check knows, issuerAltName", ["2.5.29.18", seq(dns("example.com"))]],
  ["of RFC 5280 that no check knows, freshestCRL", ["2.5.29.46", seq()]],
  ["of Netscape", ["2.16.840.1.113730.1.1", tlv(3, Uint8Array.of(5, 0xa0))]],
  ["of a certificate that is none yet", ["1.3.6.1.4.1.11129.2.4.3", NULL]],
  ["beside another", ["1.3.6.1.4.1.99999.1", NULL], ["1.3.6.1.4.1.99999.2", NULL]],
]
for (const place of places)
  refusesEach(
    critical,
    unknown.map(
      ([name, ...added]): Refused => [
        `X-04 an unknown critical extension ${name}: the ${place}`,
        () => {
          const extensions = [...OF[place], ...added.map(([id, value]) => extension(id, value, true))]
          return chainWith({ [place]: { extensions } })
        },
        "CRITICAL_EXT",
        NAMES[place],
      ],
    ),
  )

critical("accepts unknown extensions that are not critical, whatever their values", () => {
  const added = unknown.flatMap(([, ...list]) => list)
  for (const place of places)
    for (const [id, value] of added)
      verifyCase(chainWith({ [place]: { extensions: [...OF[place], extension(id, value)] } }))
})

const uriName = tlv(0x86, utf8("http://example.com/x"))
/** RFC 5280, 4.2.1.1, 4.2.1.2, 4.2.1.8, 4.2.2.1. */
const neverCritical: readonly [name: string, id: string, value: Uint8Array][] = [
  ["subjectDirectoryAttributes", "2.5.29.9", seq(seq(oid("1.2.3"), tlv(0x31, NULL)))],
  ["subjectKeyIdentifier", "2.5.29.14", octets(Uint8Array.of(1))],
  ["authorityKeyIdentifier", "2.5.29.35", seq(tlv(0x80, Uint8Array.of(1)))],
  ["authorityInfoAccess", "1.3.6.1.5.5.7.1.1", seq(seq(oid("1.3.6.1.5.5.7.48.2"), uriName))],
]
for (const place of places)
  refusesEach(
    critical,
    neverCritical.map(
      ([name, id, value]): Refused => [
        `X-04 ${name} as a critical extension, which it never is: the ${place}`,
        () => chainWith({ [place]: { extensions: [...OF[place], extension(id, value, true)] } }),
        "CRITICAL_EXT",
        NAMES[place],
      ],
    ),
  )

critical("accepts as critical what is checked, and as not critical what never is", () => {
  const checked = [
    extension("2.5.29.31", seq(seq(tlv(0xa0, tlv(0xa0, uriName)))), true),
    extension("2.5.29.32", seq(seq(oid("1.2.3"))), true),
    extension("2.5.29.37", seq(oid(EKU_AK)), true),
  ]
  const others = neverCritical.map(([, id, value]) => extension(id, value))
  verifyCase(chainWith({ leaf: { extensions: withExtensions(AK_EXTENSIONS, ...checked, ...others) } }))
})

critical.run()

const validities = suite("checkValidity")

const FROM = new Date("2026-01-01T00:00:00Z")
const TO = new Date("2027-01-01T00:00:00Z")
const within = { validity: seq(time(FROM), time(TO)) }
const shifted = (date: Date, ms: number): Date => new Date(date.getTime() + ms)

for (const place of places) {
  const at = (date: Date, ms: number) => () => chainWith({ [place]: within }, { at: shifted(date, ms) })
  refusesEach(validities, [
    [`X-07 one second before the beginning: the ${place}`, at(FROM, -1000), "VALIDITY", NAMES[place]],
    [`X-07 a millisecond before the beginning: the ${place}`, at(FROM, -1), "VALIDITY", NAMES[place]],
    [`X-07 one second after the end: the ${place}`, at(TO, 1000), "VALIDITY", NAMES[place]],
    [`X-07 a year after the end: the ${place}`, at(TO, 366 * 86_400_000), "VALIDITY", NAMES[place]],
    [
      `X-07 an end before the beginning, at either: the ${place}`,
      () => chainWith({ [place]: { validity: seq(time(TO), time(FROM)) } }, { at: FROM }),
      "VALIDITY",
      NAMES[place],
    ],
    [
      `X-07 an end before the beginning, between the two: the ${place}`,
      () => chainWith({ [place]: { validity: seq(time(TO), time(FROM)) } }),
      "VALIDITY",
      NAMES[place],
    ],
    [
      `X-07 a UTCTime of 2050, which is 1950: the ${place}`,
      () => chainWith({ [place]: { validity: seq(time(FROM), tlv(0x17, utf8("500101000000Z"))) } }),
      "VALIDITY",
      NAMES[place],
    ],
  ])
  validities(`accepts both edges of the validity, and all of the last second: the ${place}`, () => {
    for (const [date, ms] of [
      [FROM, 0],
      [FROM, 999],
      [TO, 0],
      [TO, 1],
      [TO, 999],
    ] as const)
      verifyCase(at(date, ms)())
  })
}

validities("accepts a validity of one second, of 1950 to 2049, and to 9999", () => {
  const at = new Date("2026-11-21T12:00:00Z")
  for (const validity of [
    seq(time(at), time(at)),
    seq(tlv(0x17, utf8("500101000000Z")), tlv(0x17, utf8("491231235959Z"))),
    seq(time(FROM), tlv(0x18, utf8("99991231235959Z"))),
    seq(tlv(0x18, utf8("00010101000000Z")), tlv(0x18, utf8("20500101000000Z"))),
  ])
    verifyCase(chainWith({ leaf: { validity } }))
  const { notBefore } = parseCertificate(
    makeChain("ak", { leaf: { validity: seq(tlv(0x18, utf8("00010101000000Z")), time(TO)) } }).leaf,
  )
  assert.is(new Date(notBefore).toISOString(), "0001-01-01T00:00:00.000Z")
})

validities("looks at whole seconds, as certificates have them", () => {
  const certificate = parseCertificate(makeChain("ak", { leaf: within }).leaf)
  checkValidity(certificate, TO.getTime() + 999)
  throwsCode(() => checkValidity(certificate, TO.getTime() + 1000), "VALIDITY")
  throwsCode(() => checkValidity(certificate, FROM.getTime() - 1), "VALIDITY")
})

validities.run()

const algorithms = suite("checkCertificate, the two algorithms")

const ECDSA_SHA384 = seq(oid("1.2.840.10045.4.3.3"))
const mismatches: readonly [name: string, inner: Uint8Array, outer?: Uint8Array][] = [
  ["another hash inside", ECDSA_SHA384],
  ["another kind inside", RSA_SHA256],
  ["a weak one inside", seq(oid("1.2.840.113549.1.1.5"), NULL)],
  ["nobody's inside", seq(oid("1.2.3.4"))],
  ["NULL inside and nothing outside", RSA_SHA256, seq(oid("1.2.840.113549.1.1.11"))],
  ["nothing inside and NULL outside", seq(oid("1.2.840.113549.1.1.11")), RSA_SHA256],
  ["parameters inside where there are none", seq(oid("1.2.840.10045.4.3.2"), NULL)],
  [
    "another salt inside",
    pssAlgorithm(...pssParameters("sha256", 48)),
    pssAlgorithm(...pssParameters("sha256", 32)),
  ],
  ["the defaults of PSS inside", pssAlgorithm(), pssAlgorithm(...pssParameters("sha256", 32))],
  [
    "the default salt inside, left out, and another outside",
    pssAlgorithm(...pssParameters("sha256", 32).slice(0, 2)),
    pssAlgorithm(...pssParameters("sha256", 32)),
  ],
]
for (const place of places)
  refusesEach(
    algorithms,
    mismatches.map(
      ([name, innerAlgorithm, outerAlgorithm]): Refused => [
        `X-08 ${name}: the ${place}`,
        () =>
          chainWith({
            [place]: { innerAlgorithm, ...(outerAlgorithm !== undefined && { outerAlgorithm }) },
          }),
        "ALG_MISMATCH",
        NAMES[place],
      ],
    ),
  )

algorithms.run()
