import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex, utf8 } from "../../src/bytes.ts"
import type { Code } from "../../src/errors.ts"
import { SIGNATURES_MAX } from "../../src/verification/budget.ts"
import { DEPTH_MAX, verifyChain } from "../../src/verification/chain.ts"
import { throwsCode } from "../support/assert.ts"
import {
  AT,
  type Case,
  ca,
  caseOf,
  leafBy,
  leastCpuMs,
  parsed,
  rootOf,
  trustIn,
  verifyCase,
} from "../support/chain.ts"
import {
  AK_EXTENSIONS,
  authorityKeyId,
  caExtensions,
  cn,
  directoryName,
  dns,
  ecKeys,
  email,
  INTERMEDIATE_NAME,
  type Keys,
  makeCertificate,
  makeChain,
  nameConstraints,
  oid,
  p256Keys,
  ROOT_KEYS,
  ROOT_NAME,
  RSA_SHA256,
  rsaSpki,
  seq,
  set,
  subjectAltName,
  subjectKeyId,
  tlv,
  uri,
} from "../support/x509.ts"

/** What a sender may arrange costs a bounded time. Nothing in these chains has to be trusted for that. */

const OTHER_KEYS = p256Keys()
const OTHER_NAME = cn("Other Root")

const good = makeChain("ak")
const rootTrust = trustIn([good.root])
/** Of the intermediate's name, by the root, with a key that signed no leaf. */
const decoy = (): Uint8Array => ca(OTHER_KEYS, ROOT_KEYS, INTERMEDIATE_NAME, ROOT_NAME)

const CPU_MS_MAX = 20

const bounded = suite("verifyChain, within bounds")

/** Refused with `code`, soon. What is parsed before is bounded by the number and size of certificates in a request. */
const refusesSoon = (name: string, code: Code, of: () => Case): void =>
  bounded(`refuses X-17 ${name}, within ${CPU_MS_MAX} ms`, () => {
    const { leaf, shown = [], trust, options } = of()
    const [first] = parsed(leaf)
    const others = parsed(...shown)
    if (first === undefined) throw new TypeError("a leaf")
    const ms = leastCpuMs(() => {
      // Keys are imported once for each parsed certificate: these are new ones.
      const anew = others.map((one) => ({ ...one }))
      throwsCode(() => verifyChain({ ...first }, anew, trust, { purpose: "ak", at: AT, ...options }), code)
    })
    assert.ok(ms < CPU_MS_MAX, `${ms} ms`)
  })

const many = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i))
const keysOf = many(32, () => p256Keys())
const keysAt = (i: number): Keys => keysOf[i % keysOf.length] ?? OTHER_KEYS

/** CAs in a row, each issued by the next; the first issued the leaf. */
const rowOf = (count: number): readonly Uint8Array[] =>
  many(count, (i) => ca(keysAt(i), keysAt(i + 1), cn(`CA ${i}`), cn(`CA ${i + 1}`)))

refusesSoon("a chain of 1,000 certificates", "PATH", () => ({
  leaf: leafBy(keysAt(0), cn("CA 0")),
  shown: rowOf(1000),
  trust: rootTrust,
}))

refusesSoon("a chain of 1,000 certificates that would lead to an anchor", "PATH", () => ({
  leaf: leafBy(keysAt(0), cn("CA 0")),
  shown: rowOf(1000),
  trust: trustIn([rootOf(keysAt(1000), cn("CA 1000"))]),
}))

refusesSoon("two roots that signed one another", "UNTRUSTED_ROOT", () => ({
  leaf: leafBy(ROOT_KEYS, ROOT_NAME),
  shown: [ca(ROOT_KEYS, OTHER_KEYS, ROOT_NAME, OTHER_NAME), ca(OTHER_KEYS, ROOT_KEYS, OTHER_NAME, ROOT_NAME)],
  trust: trustIn([]),
}))

refusesSoon("three CAs in a circle, and each its own root too", "UNTRUSTED_ROOT", () => ({
  leaf: leafBy(keysAt(0), cn("CA 0")),
  shown: many(3, (i) => ca(keysAt(i), keysAt((i + 1) % 3), cn(`CA ${i}`), cn(`CA ${(i + 1) % 3}`))).concat(
    many(3, (i) => rootOf(keysAt(i), cn(`CA ${i}`))),
  ),
  trust: rootTrust,
}))

refusesSoon("24 CAs that all signed one another", "PATH", () => ({
  leaf: leafBy(keysAt(0), cn("CA 0")),
  shown: many(24, (i) =>
    many(24, (j) => (i === j ? [] : [ca(keysAt(i), keysAt(j), cn(`CA ${i}`), cn(`CA ${j}`))])).flat(),
  ).flat(),
  trust: rootTrust,
}))

refusesSoon("20 CAs of one name that all signed one another", "PATH", () => ({
  leaf: leafBy(keysAt(0), cn("CA")),
  shown: many(20, (i) =>
    many(20, (j) => (i === j ? [] : [ca(keysAt(i), keysAt(j), cn("CA"), cn("CA"))])).flat(),
  ).flat(),
  trust: rootTrust,
}))

/** 100 CAs of the issuer's name, none of which signed the leaf. Nobody looks at their own signatures. */
const sameName = (spki: (i: number) => Uint8Array): readonly Uint8Array[] =>
  many(100, (i) =>
    makeCertificate(OTHER_KEYS, OTHER_KEYS, INTERMEDIATE_NAME, ROOT_NAME, caExtensions(), { spki: spki(i) }),
  )

refusesSoon("100 CAs of one name with 100 keys", "PATH", () => ({
  leaf: good.leaf,
  shown: sameName(() => p256Keys().spki),
  trust: rootTrust,
}))

for (const curve of ["P-384", "P-521"])
  refusesSoon(`100 CAs of one name with keys on ${curve}`, "PATH", () => {
    const pool = many(5, () => ecKeys(curve).spki)
    return {
      leaf: leafBy(ecKeys(curve), INTERMEDIATE_NAME),
      shown: sameName((i) => pool[i % 5] ?? OTHER_KEYS.spki),
      trust: rootTrust,
    }
  })

refusesSoon("100 CAs of one name with RSA keys of 8192 bits and the dearest exponent", "PATH", () => {
  const modulus = new Uint8Array(1024).fill(0xa7)
  const spki = rsaSpki(tlv(2, Uint8Array.of(0), modulus), tlv(2, Uint8Array.of(0, 255, 255, 255, 255)))
  const signer = { ...OTHER_KEYS, algorithm: RSA_SHA256, sign: () => new Uint8Array(1024).fill(0x55) }
  return { leaf: leafBy(signer, INTERMEDIATE_NAME), shown: sameName(() => spki), trust: rootTrust }
})

refusesSoon("one key under 100 names in a row", "PATH", () => ({
  leaf: leafBy(OTHER_KEYS, cn("CA 0")),
  shown: many(100, (i) => ca(OTHER_KEYS, OTHER_KEYS, cn(`CA ${i}`), cn(`CA ${i + 1}`))),
  trust: rootTrust,
}))

refusesSoon("one key under 100 names, each issued by all", "PATH", () => ({
  leaf: leafBy(OTHER_KEYS, cn("CA 0")),
  shown: many(30, (i) => many(30, (j) => ca(OTHER_KEYS, OTHER_KEYS, cn(`CA ${i}`), cn(`CA ${j}`)))).flat(),
  trust: rootTrust,
}))

refusesSoon("a ladder of 1,000 certificates of one name", "PATH", () => ({
  leaf: leafBy(keysAt(0), cn("CA")),
  shown: many(1000, (i) => {
    const id = (n: number): Uint8Array => Uint8Array.of(n >> 8, n & 255)
    return ca(keysAt(i), keysAt(i + 1), cn("CA"), cn("CA"), subjectKeyId(id(i)), authorityKeyId(id(i + 1)))
  }),
  trust: rootTrust,
}))

refusesSoon("eight certificates of 16 KiB that all signed one another", "PATH", () => {
  const filler = tlv(0x30, tlv(6, Uint8Array.of(42, 3)), tlv(4, new Uint8Array(15_500)))
  return {
    leaf: leafBy(keysAt(0), cn("CA")),
    shown: many(7, (i) => ca(keysAt(i), keysAt(i + 1), cn("CA"), cn("CA"), filler)).concat(
      many(7, (i) => ca(keysAt(i), keysAt(i + 2), cn("CA"), cn("CA"), filler)),
      many(7, (i) => ca(keysAt(i), keysAt(i + 3), cn("CA"), cn("CA"), filler)),
    ),
    trust: rootTrust,
  }
})

/** A CA that constrains, under the root, and a leaf with names. */
const constrained = (bases: readonly Uint8Array[], names: readonly Uint8Array[]): Case =>
  caseOf(
    makeChain("ak", {
      intermediate: { extensions: [...caExtensions(), nameConstraints([], bases)] },
      leaf: { extensions: [...AK_EXTENSIONS.filter((one) => !isAltName(one)), subjectAltName(names)] },
    }),
    { purpose: "any" },
  )
const isAltName = (extension: Uint8Array): boolean => toHex(extension).includes("0603551d11")

/** So many relative names, the last one of another number. */
const longName = (size: number, last: number): Uint8Array =>
  seq(...many(size, (i) => set(seq(oid("2.5.4.11"), tlv(0x0c, utf8(String(i === size - 1 ? last : 0)))))))

refusesSoon("1,024 names under 2,048 constraints", "PATH", () =>
  constrained(
    many(2048, (i) => dns(`c${i}.example.com`)),
    many(1024, (i) => dns(`n${i}.example.org`)),
  ),
)

refusesSoon("60 directory names under one constraint of 100 relative names", "PATH", () =>
  constrained(
    [directoryName(longName(100, 0))],
    many(60, () => directoryName(longName(2, 0))),
  ),
)

const label = "a".repeat(60)
const atTheLimit: readonly [name: string, bases: readonly Uint8Array[], names: readonly Uint8Array[]][] = [
  [
    "DNS names",
    many(62, (i) => dns(`c${i}.${label}.example.com`)),
    many(62, (i) => dns(`n${i}.${label}.example.org`)),
  ],
  [
    "e-mail addresses",
    many(62, (i) => email(`a@c${i}.${label}.com`)),
    many(62, (i) => email(`a@n${i}.${label}.org`)),
  ],
  [
    "URIs",
    many(62, (i) => uri(`c${i}.${label}.com`)),
    many(62, (i) => uri(`http://n${i}.${label}.org/${label}`)),
  ],
  [
    "directory names of 60 relative names",
    [directoryName(longName(61, 0)), directoryName(longName(1, 5))],
    many(60, () => directoryName(longName(60, 0))),
  ],
]
for (const [name, bases, names] of atTheLimit)
  bounded(`accepts X-17 as many ${name} under constraints as it compares, within ${CPU_MS_MAX} ms`, () => {
    const made = constrained(bases, names)
    const [leaf, ...others] = parsed(made.leaf, ...(made.shown ?? []))
    if (leaf === undefined) throw new TypeError("a leaf")
    const ms = leastCpuMs(() => void verifyChain(leaf, others, made.trust, { purpose: "any", at: AT }))
    assert.ok(ms < CPU_MS_MAX, `${ms} ms`)
  })

for (const [name, base, long] of [
  ["a URI", uri("example.com"), uri(`http://${"a.".repeat(100_000)}com`)],
  ["an e-mail address", email("example.com"), email("@".repeat(200_000))],
] as const)
  refusesSoon(`${name} of 200,000 letters under 4,000 constraints`, "NAME", () =>
    constrained(Array<Uint8Array>(4000).fill(base), [long]),
  )

bounded("accepts as many intermediates as there may be, and no more", () => {
  const row = rowOf(DEPTH_MAX + 1)
  const trust = trustIn([rootOf(keysAt(DEPTH_MAX + 1), cn(`CA ${DEPTH_MAX + 1}`))])
  verifyCase({ leaf: leafBy(keysAt(1), cn("CA 1")), shown: row, trust })
  throwsCode(() => verifyCase({ leaf: leafBy(keysAt(0), cn("CA 0")), shown: row, trust }), "PATH")
})

bounded("accepts self-issued intermediates up to the same number, and no more", () => {
  const row = many(DEPTH_MAX + 1, (i) => ca(keysAt(i), keysAt(i + 1), cn("CA"), cn("CA")))
  const trust = trustIn([rootOf(keysAt(DEPTH_MAX + 1), cn("CA"))])
  const options = { maxDepth: 0 }
  const ordered = row.map((one) => one)
  verifyCase({ leaf: leafBy(keysAt(DEPTH_MAX - 1), cn("CA")), shown: ordered.slice(-2), trust, options })
  throwsCode(() => verifyCase({ leaf: leafBy(keysAt(0), cn("CA")), shown: ordered, trust, options }), "PATH")
})

bounded("refuses X-17 without a path within the limit of signatures, on a path that would hold", () => {
  const decoys = many(SIGNATURES_MAX, () => decoy())
  throwsCode(
    () => verifyCase({ leaf: good.leaf, shown: [...decoys, good.intermediate], trust: rootTrust }),
    "PATH",
  )
})

bounded("refuses X-17 more issuers by name than it looks at", () => {
  const shown = many(2100, () => decoy())
  const [leaf, ...others] = parsed(good.leaf, ...shown)
  if (leaf === undefined) throw new TypeError("a leaf")
  const error = throwsCode(() => verifyChain(leaf, others, rootTrust, { purpose: "ak", at: AT }), "PATH")
  assert.ok(error.message.includes("candidate"))
})

bounded.run()
