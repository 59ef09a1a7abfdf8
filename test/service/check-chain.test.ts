import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, utf8 } from "../../src/bytes.ts"
import type { Code } from "../../src/errors.ts"
import {
  type ChainCheck,
  type ChainInput,
  checkChain,
  type NamedFile,
  SHOWN_MAX,
} from "../../src/service/check-chain.ts"
import { parseDeniedKeys } from "../../src/verification/denied-keys.ts"
import { NOTHING_DENIED } from "../support/chain.ts"
import { entry, makeCrl } from "../support/crl.ts"
import {
  AK_EXTENSIONS,
  cn,
  distributionPoint,
  INTERMEDIATE_KEYS,
  INTERMEDIATE_NAME,
  LEAF_KEYS,
  makeCertificate,
  makeChain,
  p256Keys,
  ROOT_KEYS,
  ROOT_NAME,
  seq,
  time,
} from "../support/x509.ts"

const test = suite("checkChain")

/** In the validity of certificates and CRLs. */
const AT = new Date("2024-01-15T12:00:00Z")
const ROOT = { name: ROOT_NAME, keys: ROOT_KEYS }
const INTERMEDIATE = { name: INTERMEDIATE_NAME, keys: INTERMEDIATE_KEYS }
const good = makeChain("ak")

const files = (name: string, ders: readonly Uint8Array[]): NamedFile[] =>
  ders.map((bytes, i) => ({ name: `${name}${i}`, bytes }))

/** What is handed in instead of a good chain of an attestation key. */
interface Changes {
  readonly leaf?: Uint8Array
  readonly intermediates?: readonly Uint8Array[]
  readonly anchors?: readonly Uint8Array[]
  readonly crls?: readonly Uint8Array[]
  readonly denied?: ChainInput["denied"]
  readonly options?: Partial<ChainInput["options"]>
}
const check = (changes: Changes = {}): ChainCheck => {
  const { leaf = good.leaf, intermediates = [good.intermediate], anchors = [good.root], crls = [] } = changes
  return checkChain({
    leaf: { name: "leaf", bytes: leaf },
    intermediates: files("intermediate", intermediates),
    anchors: files("anchor", anchors),
    crls: files("crl", crls),
    denied: changes.denied ?? NOTHING_DENIED,
    options: { purpose: "ak", at: AT, revocation: "when-published", ...changes.options },
  })
}

const JUNK = utf8("junk")
/** DER that ends too early, many times. */
const unread = (count: number): Uint8Array[] =>
  Array.from({ length: count }, () => Uint8Array.of(0x30, 0x82, 0, 0))
/** A certificate with a byte behind it. */
const trailing = (der: Uint8Array): Uint8Array => concat(der, Uint8Array.of(0))
/** The leaf once more, under a key that nobody has signed with. */
const foreign = makeCertificate(LEAF_KEYS, p256Keys(), seq(), cn("Nobody"), AK_EXTENSIONS)
const published = makeChain("ak", {
  leaf: { extensions: [...AK_EXTENSIONS, distributionPoint("http://example.com/a.crl")] },
})

test("accepts a good chain, and says by what", () => {
  const { accepted, error, malformed, path, ignored, deviations } = check()
  assert.equal([accepted, error, malformed, ignored, deviations], [true, undefined, false, [], []])
  assert.equal(
    path?.certificates.map(({ bytes }) => bytes),
    [good.leaf, good.intermediate],
  )
  assert.equal(path?.anchor.certificate.bytes, good.root)
  assert.is(path?.tpm?.vendor, "IFX")
})

const refused: readonly [name: string, changes: Changes, code: Code, malformed: boolean][] = [
  ["X-01 a chain without an anchor", { anchors: [] }, "UNTRUSTED_ROOT", false],
  [
    "X-01 a root among the intermediates",
    { anchors: [], intermediates: [good.intermediate, good.root] },
    "UNTRUSTED_ROOT",
    false,
  ],
  ["X-01 an empty file of anchors", { anchors: [new Uint8Array()] }, "UNTRUSTED_ROOT", false],
  [
    "X-01 a file of anchors with no more than white space",
    { anchors: [utf8(" \r\n")] },
    "UNTRUSTED_ROOT",
    false,
  ],
  [
    "X-01 a file of anchors that a crash has filled with zeros",
    { anchors: [new Uint8Array(512)] },
    "DER",
    true,
  ],
  ["X-01 a file of anchors without one", { anchors: [utf8("# none yet\n")] }, "INPUT", true],
  ["a leaf of nobody's", { leaf: foreign }, "UNTRUSTED_ROOT", false],
  ["X-14 a leaf with a byte behind it", { leaf: trailing(good.leaf) }, "TRAILING", true],
  ["a leaf that is no certificate", { leaf: JUNK }, "INPUT", true],
  ["an empty leaf", { leaf: new Uint8Array() }, "INPUT", true],
  ["a CRL for a leaf", { leaf: makeCrl(ROOT) }, "CERTIFICATE", true],
  [
    "an intermediate that cannot be read and is missed",
    { intermediates: [trailing(good.intermediate)] },
    "TRAILING",
    true,
  ],
  ["an anchor that cannot be read and is missed", { anchors: [trailing(good.root)] }, "TRAILING", true],
  [
    "the first of several that cannot be read",
    { intermediates: [JUNK], anchors: [trailing(good.root)] },
    "INPUT",
    true,
  ],
  [
    "a flaw of the path rather than what was left out",
    { intermediates: [good.intermediate, JUNK], options: { purpose: "ek" } },
    "KEY_USAGE",
    false,
  ],
  [
    "another's signature rather than what was left out",
    { anchors: [makeCertificate(LEAF_KEYS, LEAF_KEYS, ROOT_NAME, ROOT_NAME, []), JUNK] },
    "CHAIN",
    false,
  ],
  [
    "X-20 a leaf with a distribution point and no CRL",
    { ...published, intermediates: [published.intermediate], anchors: [published.root] },
    "REVOCATION",
    false,
  ],
  [
    "X-20 a chain without CRLs where they are required",
    { options: { revocation: "require" } },
    "REVOCATION",
    false,
  ],
  [
    "X-20 a CRL that cannot be read, and no other",
    { crls: [trailing(makeCrl(INTERMEDIATE))] },
    "TRAILING",
    true,
  ],
  [
    "X-20 a CRL that cannot be read beside one of another issuer",
    { crls: [JUNK, makeCrl(ROOT)] },
    "INPUT",
    true,
  ],
  ["X-17 more intermediates than are looked at", { intermediates: unread(SHOWN_MAX + 1) }, "PATH", false],
  ["as many unreadable intermediates as are looked at", { intermediates: unread(SHOWN_MAX) }, "DER", true],
]
for (const [name, changes, code, malformed] of refused)
  test(`refuses ${name}`, () => {
    const result = check(changes)
    assert.equal([result.accepted, result.error?.code, result.malformed], [false, code, malformed])
    assert.is(result.path, undefined)
  })

test("looks at no intermediate if there are too many", () => {
  const { ignored } = check({ intermediates: unread(SHOWN_MAX + 1) })
  assert.equal(ignored, [])
})

test("leaves out what cannot be read, and tells all of it", () => {
  const { accepted, ignored } = check({
    intermediates: [JUNK, good.intermediate, trailing(good.intermediate)],
    anchors: [good.root, utf8("-----BEGIN CERTIFICATE-----\nAAAA\n")],
    crls: [makeCrl(INTERMEDIATE), makeCrl(ROOT), JUNK],
  })
  assert.is(accepted, true)
  assert.equal(
    ignored.map(({ label, error }) => [label, error.code]),
    [
      ["intermediate0", "INPUT"],
      ["intermediate2", "TRAILING"],
      ["anchor1", "INPUT"],
      ["crl2", "INPUT"],
    ],
  )
})

test("accepts a CRL that cannot be read where revocation is not looked at", () => {
  assert.is(check({ crls: [JUNK], options: { revocation: "off" } }).accepted, true)
})

test("says until when the path holds, and what CRLs said", () => {
  const { path } = check({ crls: [makeCrl(INTERMEDIATE), makeCrl(ROOT)], options: { revocation: "require" } })
  assert.equal(
    path?.revocation.map(({ status }) => status),
    ["good", "good"],
  )
  assert.equal(path?.validUntil, new Date("2024-02-01T00:00:00Z"))
})

const serial = (hex: string) =>
  makeChain("ak", { leaf: { serialNumber: Uint8Array.of(2, 1, Number.parseInt(hex, 16)) } })
test("refuses X-20 a leaf that is revoked, and an intermediate", () => {
  const { leaf, intermediate, root } = serial("05")
  const crls = [makeCrl(INTERMEDIATE, { entries: [entry("05")] }), makeCrl(ROOT)]
  const result = check({ leaf, intermediates: [intermediate], anchors: [root], crls })
  assert.equal([result.error?.code, result.malformed], ["REVOKED", false])

  const above = makeChain("ak", { intermediate: { serialNumber: Uint8Array.of(2, 1, 6) } })
  const revoked = check({
    leaf: above.leaf,
    intermediates: [above.intermediate],
    anchors: [above.root],
    crls: [makeCrl(INTERMEDIATE), makeCrl(ROOT, { entries: [entry("06")] })],
  })
  assert.equal([revoked.error?.code, revoked.error?.location], ["REVOKED", "CN=Test Intermediate"])
})

test("refuses K-08 a key on the list, in the leaf and above it", () => {
  for (const keys of [LEAF_KEYS, INTERMEDIATE_KEYS, ROOT_KEYS]) {
    const denied = parseDeniedKeys({
      version: 1,
      keys: [
        {
          spkiSha256: hash("sha256", keys.spki, "hex"),
          subject: "a key",
          reason: "it is known",
          source: "https://example.com/",
          published: "2024-01-01",
          derivation: "made here",
        },
      ],
    })
    assert.is(check({ denied }).error?.code, "KEY_DENIED")
  }
})

test("takes an EK out of an NV index, and tells how it was wrapped", () => {
  const { leaf, intermediate, root } = makeChain("ek")
  const padded = concat(leaf, new Uint8Array(64).fill(0xff))
  const chain = { leaf: padded, intermediates: [intermediate], anchors: [root] }
  const { accepted, deviations } = check({ ...chain, options: { purpose: "ek" } })
  assert.equal([accepted, deviations], [true, ["nv-padding"]])
  for (const purpose of ["ak", "any"] as const)
    assert.is(check({ ...chain, options: { purpose } }).error?.code, "TRAILING")
})

test("accepts an EK past its notAfter only where that is allowed", () => {
  const validity = seq(time(new Date("2021-01-01T00:00:00Z")), time(new Date("2022-01-01T00:00:00Z")))
  const { leaf, intermediate, root } = makeChain("ek", { leaf: { validity } })
  const chain = { leaf, intermediates: [intermediate], anchors: [root] }
  assert.is(check({ ...chain, options: { purpose: "ek" } }).error?.code, "VALIDITY")
  const { accepted, path } = check({ ...chain, options: { purpose: "ek", expiredLeaf: "allow" } })
  assert.equal([accepted, path?.expired], [true, true])
})

test.run()
