import { spawnSync } from "node:child_process"
import { sign } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import type { Code } from "../../src/errors.ts"
import { type Certificate, fingerprintOf } from "../../src/evidence/x509/certificate.ts"
import { type Crl, parseCrl } from "../../src/evidence/x509/crl.ts"
import { Budget, SIGNATURES_MAX } from "../../src/verification/budget.ts"
import { type CertificatePath, verifyChain } from "../../src/verification/chain.ts"
import { checkRevocation, type RevocationMode } from "../../src/verification/revocation.ts"
import { createTrust } from "../../src/verification/trust.ts"
import { throwsCode } from "../support/assert.ts"
import {
  type Authority,
  authority,
  bytesOf,
  type CrlParts,
  certified,
  crlNumber,
  crlOf,
  DELTA,
  distributionPoints,
  entry,
  flag,
  fullName,
  NEXT_UPDATE,
  REVOKED_AT,
  reasonCode,
  reasonFlags,
  relativeName,
  scope,
  THIS_UPDATE,
  unknownExtension,
  uri,
} from "../support/crl.ts"
import {
  authorityKeyId,
  basicConstraints,
  cn,
  directoryName,
  extension,
  type Keys,
  keyUsage,
  oid,
  p256Keys,
  rsaKeys,
  seq,
  subjectKeyId,
  time,
} from "../support/x509.ts"

const test = suite("checkRevocation")

const KEY_CERT_SIGN = 5
const CRL_SIGN = 6
const CA_EXTENSIONS = [basicConstraints(true), keyUsage(KEY_CERT_SIGN, CRL_SIGN)]
const LEAF_SERIAL = "0100"
const CA_SERIAL = "02"

const ROOT = authority("Root")
const CA = authority("CA")
const LEAF = authority("Leaf")
/** Another key by the CA's name. */
const CA_TWIN = authority("CA")
const OTHER = authority("Other")

const root = certified(ROOT, ROOT, CA_EXTENSIONS)
const ca = certified(CA, ROOT, CA_EXTENSIONS, CA_SERIAL)
const leaf = certified(LEAF, CA, [basicConstraints(false)], LEAF_SERIAL)
const leafWith = (...extensions: readonly Uint8Array[]): Certificate =>
  certified(LEAF, CA, [basicConstraints(false), ...extensions], LEAF_SERIAL)

const rootCrl = crlOf(ROOT)
const caCrl = (changed: Partial<CrlParts> = {}): Crl => crlOf(CA, changed)
const REVOKES_LEAF: Partial<CrlParts> = { entries: [entry("01"), entry(LEAF_SERIAL, reasonCode(1))] }

/** A path from `leaf` over `ca` to `root`, and what is known of it. */
interface Scene {
  readonly leaf?: Certificate
  readonly ca?: Certificate
  /** Beside the CA's certificate. */
  readonly shown?: readonly Certificate[]
  readonly crls: readonly Crl[]
  readonly at?: Date
  readonly mode?: RevocationMode
}

const AT = new Date("2024-01-15T00:00:00Z")
const DENIED = { size: 0, find: () => undefined }

const verify = (scene: Scene): CertificatePath =>
  verifyChain(
    scene.leaf ?? leaf,
    [scene.ca ?? ca, ...(scene.shown ?? [])],
    createTrust({
      anchors: [{ certificate: root, purpose: "any", revocation: scene.mode ?? "require" }],
      intermediates: [],
      crls: scene.crls,
      denied: DENIED,
    }),
    { purpose: "any", at: scene.at ?? AT },
  )

/** A CRL of the CA with other extensions beside its number. */
const scoped = (...fields: readonly Uint8Array[]): Crl =>
  caCrl({ extensions: [crlNumber("01"), scope(...fields)] })
const URI = fullName(uri("http://crl.test/1"))
const OTHER_URI = fullName(uri("http://crl.test/2"))
const seconds = (date: Date, more: number): Date => new Date(date.getTime() + more * 1000)

const CRL_SIGNER = authority("CA")
const signerCertificate = (extensions: readonly Uint8Array[], issuer: Authority = ROOT): Certificate =>
  certified(CRL_SIGNER, issuer, extensions, "03")
const SIGNS_CRLS = [basicConstraints(false), keyUsage(CRL_SIGN)]
const signedApart = caCrl({ signer: CRL_SIGNER.keys })

const accepted: [name: string, scene: Scene][] = [
  ["a path that no CRL lists", { crls: [rootCrl, caCrl()] }],
  ["a CRL that lists others", { crls: [rootCrl, caCrl({ entries: [entry("01"), entry("010000")] })] }],
  ["a CRL in its first second", { crls: [rootCrl, caCrl()], at: THIS_UPDATE }],
  ["a CRL in its last second", { crls: [rootCrl, caCrl()], at: seconds(NEXT_UPDATE, 0.999) }],
  [
    "the same serial number on another issuer's CRL",
    { crls: [rootCrl, caCrl(), crlOf(OTHER, { entries: [entry(LEAF_SERIAL)] })] },
  ],
  ["what a CRL takes back", { crls: [rootCrl, caCrl({ entries: [entry(LEAF_SERIAL, reasonCode(8))] })] }],
  [
    "a good CRL beside one that another signed",
    { crls: [rootCrl, caCrl(), caCrl({ ...REVOKES_LEAF, signer: OTHER.keys })] },
  ],
  [
    "who was on hold in a CRL that has expired, and is not in one that has not",
    {
      crls: [
        rootCrl,
        caCrl(),
        caCrl({ entries: [entry(LEAF_SERIAL, reasonCode(6))], nextUpdate: time(seconds(AT, -1)) }),
      ],
    },
  ],
  [
    "a good CRL beside one that has expired",
    { crls: [rootCrl, caCrl(), caCrl({ nextUpdate: time(seconds(AT, -1)) })] },
  ],
  [
    "a CRL of an issuer without keyUsage",
    { ca: certified(CA, ROOT, [basicConstraints(true)], CA_SERIAL), crls: [rootCrl, caCrl()] },
  ],
  [
    "a CRL for the certificate's distribution point",
    { leaf: leafWith(distributionPoints([URI])), crls: [rootCrl, scoped(URI)] },
  ],
  [
    "a CRL for everything, of a certificate with a distribution point",
    { leaf: leafWith(distributionPoints([URI])), crls: [rootCrl, caCrl()] },
  ],
  [
    "one of several distribution points",
    { leaf: leafWith(distributionPoints([OTHER_URI], [URI])), crls: [rootCrl, scoped(URI)] },
  ],
  [
    "a name relative to the issuer for the same in full",
    {
      leaf: leafWith(distributionPoints([relativeName("1")])),
      crls: [rootCrl, scoped(fullName(directoryName(seq(...partsOf("CA", "1")))))],
    },
  ],
  [
    "the same serial number on a CRL for CAs",
    {
      crls: [rootCrl, caCrl(), caCrl({ ...REVOKES_LEAF, extensions: [crlNumber("01"), scope(flag(0x82))] })],
    },
  ],
  ["a CRL for user certificates, of a leaf", { crls: [rootCrl, scoped(flag(0x81))] }],
  [
    "a CRL for CAs, of a CA",
    { crls: [crlOf(ROOT, { extensions: [crlNumber("01"), scope(flag(0x82))] }), caCrl()] },
  ],
  [
    "CRLs that cover all reasons together",
    { crls: [rootCrl, scoped(reasonFlags(0x83, 1, 2)), scoped(reasonFlagsAllBut12())] },
  ],
  [
    "a CRL that a certificate of its own signed",
    { shown: [signerCertificate(SIGNS_CRLS)], crls: [rootCrl, signedApart] },
  ],
  [
    "a CRL that names the certificate of its own that signed it",
    {
      ca: certified(CA, ROOT, [...CA_EXTENSIONS, subjectKeyId(bytesOf("aa"))], CA_SERIAL),
      shown: [signerCertificate([...SIGNS_CRLS, subjectKeyId(bytesOf("cc"))])],
      crls: [
        rootCrl,
        caCrl({ signer: CRL_SIGNER.keys, extensions: [authorityKeyId(bytesOf("cc")), crlNumber("01")] }),
      ],
    },
  ],
  [
    "a CRL that names the key that signed it",
    {
      ca: certified(CA, ROOT, [...CA_EXTENSIONS, subjectKeyId(bytesOf("aa"))], CA_SERIAL),
      crls: [rootCrl, caCrl({ extensions: [authorityKeyId(bytesOf("aa")), crlNumber("01")] })],
    },
  ],
]
/** Relative names, each of one common name. */
function partsOf(...commonNames: readonly string[]): Uint8Array[] {
  return commonNames.map((text) => cn(text).subarray(2))
}
/** Bits 3 to 8: all reasons but keyCompromise and cACompromise, and the one that is not used. */
function reasonFlagsAllBut12(): Uint8Array {
  return Uint8Array.of(0x83, 3, 7, 0x1f, 0x80)
}

for (const [title, scene] of accepted)
  test(`accepts ${title}`, () => {
    const { revocation } = verify(scene)
    assert.equal(
      revocation.map(({ status }) => status),
      ["good", "good"],
    )
  })

const revoked: [name: string, scene: Scene][] = [
  ["a revoked leaf", { crls: [rootCrl, caCrl(REVOKES_LEAF)] }],
  ["a leaf revoked without a reason", { crls: [rootCrl, caCrl({ entries: [entry(LEAF_SERIAL)] })] }],
  ["a leaf on hold", { crls: [rootCrl, caCrl({ entries: [entry(LEAF_SERIAL, reasonCode(6))] })] }],
  [
    "a leaf that will be revoked later",
    { crls: [rootCrl, caCrl(REVOKES_LEAF)], at: seconds(REVOKED_AT, -60) },
  ],
  [
    "a revoked intermediate",
    { crls: [crlOf(ROOT, { entries: [entry(CA_SERIAL, reasonCode(2))] }), caCrl()] },
  ],
  [
    "a revoked leaf where a newer CRL says nothing",
    { crls: [rootCrl, caCrl({ thisUpdate: time(seconds(THIS_UPDATE, 60)) }), caCrl(REVOKES_LEAF)] },
  ],
  [
    "a revoked leaf where an older CRL says nothing",
    { crls: [rootCrl, caCrl(), caCrl({ ...REVOKES_LEAF, thisUpdate: time(seconds(THIS_UPDATE, 60)) })] },
  ],
  [
    "a leaf revoked by a CRL for some reasons only",
    {
      crls: [rootCrl, caCrl({ ...REVOKES_LEAF, extensions: [crlNumber("01"), scope(reasonFlags(0x83, 1))] })],
    },
  ],
  [
    "a leaf revoked by a CRL that a certificate of its own signed",
    {
      shown: [signerCertificate(SIGNS_CRLS)],
      crls: [rootCrl, caCrl({ ...REVOKES_LEAF, signer: CRL_SIGNER.keys })],
    },
  ],
  [
    "a revoked leaf beside a delta CRL",
    { crls: [rootCrl, caCrl(REVOKES_LEAF), caCrl({ extensions: [crlNumber("02"), DELTA] })] },
  ],
  [
    "a revoked leaf where revocation counts if published",
    { crls: [rootCrl, caCrl(REVOKES_LEAF)], mode: "when-published" },
  ],
]
for (const [title, scene] of revoked)
  test(`refuses X-20 ${title}`, () => {
    const error = throwsCode(() => verify(scene), "REVOKED")
    assert.ok(error.location?.startsWith("CN="), error.location)
  })

const SHA1_KEYS = ((): Keys => {
  const keys = rsaKeys(2048, 65537, seq(oid("1.2.840.113549.1.1.5")), "sha1")
  return keys
})()
const RSA_CA = authority("CA", SHA1_KEYS)
const withAlgorithm = (id: string): Partial<CrlParts> => ({
  innerAlgorithm: seq(oid(id)),
  outerAlgorithm: seq(oid(id)),
})
const signerRevoked = crlOf(ROOT, { entries: [entry("03", reasonCode(1))] })

const unknown: [name: string, scene: Scene][] = [
  ["no CRL at all", { crls: [] }],
  ["no CRL of the leaf's issuer", { crls: [rootCrl] }],
  ["no CRL of the intermediate's issuer", { crls: [caCrl()] }],
  ["a CRL a second after its nextUpdate", { crls: [rootCrl, caCrl()], at: seconds(NEXT_UPDATE, 1) }],
  ["a CRL a second before its thisUpdate", { crls: [rootCrl, caCrl()], at: seconds(THIS_UPDATE, -1) }],
  ["a CRL without nextUpdate", { crls: [rootCrl, caCrl({ nextUpdate: undefined })] }],
  ["a CRL of another issuer", { crls: [rootCrl, crlOf(OTHER)] }],
  ["a CRL that another signed by the issuer's name", { crls: [rootCrl, caCrl({ signer: OTHER.keys })] }],
  ["a CRL that nobody signed", { crls: [rootCrl, unsigned(caCrl())] }],
  [
    "a CRL that was changed after it was signed",
    { crls: [rootCrl, altered(caCrl({ entries: [entry("010001")] }))] },
  ],
  ["a CRL with a critical cRLNumber", { crls: [rootCrl, caCrl({ extensions: [crlNumber("01", true)] })] }],
  ["a CRL without a cRLNumber", { crls: [rootCrl, caCrl({ extensions: undefined })] }],
  ["a CRL of version 1", { crls: [rootCrl, caCrl({ version: undefined, extensions: undefined })] }],
  [
    "a CRL with a critical extension that nobody knows",
    { crls: [rootCrl, caCrl({ extensions: [crlNumber("01"), unknownExtension(true)] })] },
  ],
  [
    "a CRL with an entry's critical extension that nobody knows",
    { crls: [rootCrl, caCrl({ entries: [entry("01", unknownExtension(true))] })] },
  ],
  [
    "a CRL with an entry of another issuer",
    { crls: [rootCrl, caCrl({ entries: [entry("01", extension("2.5.29.29", seq(), true))] })] },
  ],
  [
    "a CRL of an issuer without cRLSign",
    {
      ca: certified(CA, ROOT, [basicConstraints(true), keyUsage(KEY_CERT_SIGN)], CA_SERIAL),
      crls: [rootCrl, caCrl()],
    },
  ],
  [
    "a CRL that names another key than its issuer's",
    {
      ca: certified(CA, ROOT, [...CA_EXTENSIONS, subjectKeyId(bytesOf("aa"))], CA_SERIAL),
      crls: [rootCrl, caCrl({ extensions: [authorityKeyId(bytesOf("bb")), crlNumber("01")] })],
    },
  ],
  [
    "a delta CRL that lists the leaf",
    { crls: [rootCrl, caCrl(), caCrl({ ...REVOKES_LEAF, extensions: [crlNumber("02"), DELTA] })] },
  ],
  ["a delta CRL alone", { crls: [rootCrl, caCrl({ extensions: [crlNumber("02"), DELTA] })] }],
  [
    "a delta CRL beside a complete one",
    { crls: [rootCrl, caCrl(), caCrl({ extensions: [crlNumber("02"), DELTA] })] },
  ],
  [
    "a delta CRL that another signed",
    { crls: [rootCrl, caCrl(), caCrl({ extensions: [crlNumber("02"), DELTA], signer: OTHER.keys })] },
  ],
  [
    "a delta CRL that may take back what is on hold",
    {
      crls: [
        rootCrl,
        caCrl({ entries: [entry(LEAF_SERIAL, reasonCode(6))] }),
        caCrl({ extensions: [crlNumber("02"), DELTA], entries: [entry(LEAF_SERIAL, reasonCode(8))] }),
      ],
    },
  ],
  ["an indirect CRL", { crls: [rootCrl, scoped(flag(0x84))] }],
  [
    "a certificate whose CRL another issues",
    {
      leaf: leafWith(distributionPoints([URI, crlIssuer(OTHER)])),
      crls: [rootCrl, caCrl()],
    },
  ],
  ["a CRL for CAs, of a leaf", { crls: [rootCrl, scoped(flag(0x82))] }],
  [
    "a CRL for user certificates, of a CA",
    { crls: [crlOf(ROOT, { extensions: [crlNumber("01"), scope(flag(0x81))] }), caCrl()] },
  ],
  ["a CRL for attribute certificates", { crls: [rootCrl, scoped(flag(0x85))] }],
  [
    "a CRL for another distribution point",
    { leaf: leafWith(distributionPoints([OTHER_URI])), crls: [rootCrl, scoped(URI)] },
  ],
  ["a CRL for a distribution point that the certificate does not have", { crls: [rootCrl, scoped(URI)] }],
  [
    "a CRL for a name of a kind that is not read",
    {
      leaf: leafWith(distributionPoints([fullName(otherName())])),
      crls: [rootCrl, scoped(fullName(otherName()))],
    },
  ],
  ["a CRL for some reasons only", { crls: [rootCrl, scoped(reasonFlags(0x83, 1, 2))] }],
  [
    "two CRLs for some reasons only",
    { crls: [rootCrl, scoped(reasonFlags(0x83, 1, 2)), scoped(reasonFlags(0x83, 2, 3, 4))] },
  ],
  [
    "a distribution point for some reasons only",
    { leaf: leafWith(distributionPoints([URI, reasonFlags(0x81, 1)])), crls: [rootCrl, scoped(URI)] },
  ],
  [
    "a CRL signed with SHA-1",
    {
      ca: certified(RSA_CA, ROOT, CA_EXTENSIONS, CA_SERIAL),
      leaf: sha256Leaf(),
      crls: [rootCrl, crlOf(RSA_CA)],
    },
  ],
  ["a CRL signed by ECDSA with SHA-1", { crls: [rootCrl, caCrl(withAlgorithm("1.2.840.10045.4.1"))] }],
  ["a CRL signed with MD5", { crls: [rootCrl, caCrl(withAlgorithm("1.2.840.113549.1.1.4"))] }],
  ["a CRL signed by an algorithm that nobody knows", { crls: [rootCrl, caCrl(withAlgorithm("1.2.3.4"))] }],
  [
    "a CRL with one algorithm inside and another outside",
    { crls: [rootCrl, caCrl({ innerAlgorithm: seq(oid("1.2.840.10045.4.3.3")) })] },
  ],
  [
    "a CRL whose signer has no path",
    { shown: [signerCertificate(SIGNS_CRLS, OTHER)], crls: [rootCrl, signedApart] },
  ],
  [
    "a CRL that none of its issuer's certificates signed",
    { shown: [signerCertificate(SIGNS_CRLS)], crls: [rootCrl, caCrl({ signer: OTHER.keys })] },
  ],
  ["a CRL whose signer is not shown", { crls: [rootCrl, signedApart] }],
  [
    "a CRL whose signer may not sign CRLs",
    { shown: [signerCertificate([basicConstraints(false), keyUsage(0)])], crls: [rootCrl, signedApart] },
  ],
  [
    "a CRL whose signer is revoked",
    { shown: [signerCertificate(SIGNS_CRLS)], crls: [signerRevoked, signedApart] },
  ],
  [
    "a CRL whose signer is good by that CRL only",
    { shown: [signerCertificate(SIGNS_CRLS, CA)], crls: [rootCrl, signedApart] },
  ],
  [
    "a CRL of the key of another CA with the same name",
    { shown: [certified(CA_TWIN, OTHER, CA_EXTENSIONS)], crls: [rootCrl, crlOf(CA_TWIN)] },
  ],
]
for (const [title, scene] of unknown)
  test(`refuses X-20 ${title}`, () => {
    throwsCode(() => verify(scene), "REVOCATION")
  })

function unsigned(crl: Crl): Crl {
  return { ...crl, signature: new Uint8Array(crl.signature.length) }
}
/** Its one entry becomes another's. */
function altered(crl: Crl): Crl {
  const at = Buffer.from(crl.bytes).indexOf(Buffer.from("0203010001", "hex"))
  const bytes = Uint8Array.from(crl.bytes)
  bytes[at + 4] = 0x02
  return parseCrl(bytes)
}
function crlIssuer({ name: issuer }: Authority): Uint8Array {
  return Uint8Array.of(0xa2, directoryName(issuer).length, ...directoryName(issuer))
}
/** An otherName, of which only the type is read. */
function otherName(): Uint8Array {
  const type = oid("1.2.3.4")
  return Uint8Array.of(0xa0, type.length + 4, ...type, 0xa0, 2, 5, 0)
}
/** A leaf of the CA whose key is RSA, signed with SHA-256 all the same. */
function sha256Leaf(): Certificate {
  const signer = authority("CA", { ...SHA1_KEYS, ...rsaSha256(SHA1_KEYS) })
  return certified(LEAF, signer, [basicConstraints(false)], LEAF_SERIAL)
}
function rsaSha256({ privateKey }: Keys): Pick<Keys, "algorithm" | "sign"> {
  return {
    algorithm: seq(oid("1.2.840.113549.1.1.11"), Uint8Array.of(5, 0)),
    sign: (bytes) => new Uint8Array(sign("sha256", bytes, privateKey)),
  }
}

const modes: [name: string, scene: Scene, expected: Code | readonly string[]][] = [
  [
    "accepts a path without CRLs where none is published",
    { crls: [], mode: "when-published" },
    ["not-published", "not-published"],
  ],
  [
    "accepts a path of which one CA publishes",
    { crls: [caCrl()], mode: "when-published" },
    ["good", "not-published"],
  ],
  [
    "refuses X-20 a certificate that names a CRL which is not there",
    { leaf: leafWith(distributionPoints([URI])), crls: [], mode: "when-published" },
    "REVOCATION",
  ],
  [
    "refuses X-20 an issuer whose only CRL has expired, published or not",
    { crls: [caCrl()], at: seconds(NEXT_UPDATE, 1), mode: "when-published" },
    "REVOCATION",
  ],
  [
    "refuses X-20 whom a newer CRL revokes that has expired before an older one",
    {
      crls: [
        rootCrl,
        caCrl(),
        caCrl({
          ...REVOKES_LEAF,
          thisUpdate: time(seconds(AT, -3600)),
          nextUpdate: time(seconds(AT, -60)),
          extensions: [crlNumber("02")],
        }),
      ],
    },
    "REVOKED",
  ],
  [
    "refuses X-20 an issuer whose only CRL is a delta CRL",
    { crls: [caCrl({ extensions: [crlNumber("02"), DELTA] })], mode: "when-published" },
    "REVOCATION",
  ],
  [
    "accepts whatever there is where revocation is off",
    { crls: [rootCrl, caCrl(REVOKES_LEAF)], mode: "off" },
    ["not-checked", "not-checked"],
  ],
]
for (const [title, scene, expected] of modes)
  test(title, () => {
    if (typeof expected === "string") throwsCode(() => verify(scene), expected)
    else
      assert.equal(
        verify(scene).revocation.map(({ status }) => status),
        expected,
      )
  })

test("says which CRL was used, of several the newest, and until when the answer holds", () => {
  const newer = caCrl({
    thisUpdate: time(seconds(THIS_UPDATE, 60)),
    nextUpdate: time(seconds(NEXT_UPDATE, -60)),
    extensions: [crlNumber("0102")],
  })
  const older = caCrl({ nextUpdate: time(seconds(AT, 1)) })
  const { revocation, validUntil } = verify({ crls: [rootCrl, older, newer] })
  assert.equal(revocation[0], {
    certificate: "CN=Leaf",
    fingerprint: fingerprintOf(leaf),
    status: "good",
    crlNumber: "0102",
    thisUpdate: seconds(THIS_UPDATE, 60),
    nextUpdate: seconds(NEXT_UPDATE, -60),
  })
  assert.equal(validUntil, seconds(NEXT_UPDATE, -60))
})

test("holds no longer than the first nextUpdate of CRLs that cover the reasons together", () => {
  const some = (fields: Uint8Array, nextUpdate: Date): Crl =>
    caCrl({ nextUpdate: time(nextUpdate), extensions: [crlNumber("01"), scope(fields)] })
  const crls = [
    rootCrl,
    some(reasonFlags(0x83, 1, 2), seconds(NEXT_UPDATE, 60)),
    some(reasonFlagsAllBut12(), seconds(AT, 60)),
  ]
  assert.equal(verify({ crls }).validUntil, seconds(AT, 60))
})

test("has no say in how long a path holds whose revocation is not checked", () => {
  assert.equal(verify({ crls: [], mode: "off" }).validUntil, new Date("2040-01-01T00:00:00Z"))
})

test("says of a refusal which certificate, which CRL and what to look for", () => {
  const gone = throwsCode(() => verify({ crls: [rootCrl, caCrl(REVOKES_LEAF)] }), "REVOKED")
  assert.is(gone.location, "CN=Leaf")
  assert.is(gone.actual, `keyCompromise, ${REVOKED_AT.toISOString()}`)
  const old = throwsCode(
    () => verify({ crls: [rootCrl, caCrl()], at: seconds(NEXT_UPDATE, 1) }),
    "REVOCATION",
  )
  assert.match(old.actual ?? "", "CRL 01 of CN=CA has expired: nextUpdate was 2024-02-01T00:00:00.000Z")
})

const spent = (certificates: readonly Certificate[], crls: readonly Crl[], budget = new Budget()) =>
  checkRevocation(certificates, root, {
    mode: "require",
    at: AT,
    trust: createTrust({ anchors: [], intermediates: [], crls, denied: DENIED }),
    budget,
    signers: () => [],
    pathOf: () => undefined,
  })

test("reads a CRL's signed part once for each key, and pays for each look", () => {
  let reads = 0
  const counted: Crl = {
    ...rootCrl,
    get tbs() {
      reads++
      return rootCrl.tbs
    },
  }
  const budget = new Budget()
  for (let i = 0; i < SIGNATURES_MAX; i++) spent([ca], [counted], budget)
  assert.is(reads, 1)
  throwsCode(() => spent([ca], [counted], budget), "PATH")
})

test("refuses X-17 more CRLs of one name than there is budget for", () => {
  const forged = Array.from({ length: SIGNATURES_MAX + 1 }, () => crlOf(ROOT, { signer: OTHER.keys }))
  throwsCode(() => spent([ca], forged), "PATH")
})

test("looks for no path of a certificate that cannot have signed the CRL", () => {
  let asked = 0
  const check = (signers: readonly Certificate[]) =>
    checkRevocation([leaf], ca, {
      mode: "require",
      at: AT,
      trust: createTrust({ anchors: [], intermediates: [], crls: [signedApart], denied: DENIED }),
      budget: new Budget(),
      signers: () => signers,
      pathOf: () => {
        asked++
        return undefined
      },
    })
  throwsCode(() => check([ca, signerCertificate([keyUsage(0)]), certified(OTHER, ROOT)]), "REVOCATION")
  assert.is(asked, 0)
  throwsCode(() => check([signerCertificate(SIGNS_CRLS)]), "REVOCATION")
  assert.is(asked, 1)
})

test("takes the anchor itself for the signer of a CRL by its name", () => {
  // The anchor's new key, certified by the old one; the CRL is signed by the old one.
  const newKey = authority("Root", p256Keys())
  const rollover = certified(newKey, ROOT, CA_EXTENSIONS, "05")
  const below = certified(LEAF, newKey, [basicConstraints(false)], "06")
  const { revocation } = verify({ leaf: below, ca: rollover, crls: [rootCrl] })
  assert.equal(
    revocation.map(({ status }) => status),
    ["good", "good"],
  )
  const crls = [crlOf(ROOT, { entries: [entry("06")] })]
  throwsCode(() => verify({ leaf: below, ca: rollover, crls }), "REVOKED")
})

test("refuses every listed serial number of any list, and no other", () => {
  const octets = fc.uint8Array({ minLength: 1, maxLength: 20 }).map((bytes) => {
    bytes[0] = 0x01 + ((bytes[0] ?? 0) % 0x7f)
    return toHex(bytes)
  })
  fc.assert(
    fc.property(fc.uniqueArray(octets, { minLength: 2, maxLength: 12 }), fc.nat(), (serials, cut) => {
      const listed = serials.slice(0, 1 + (cut % (serials.length - 1)))
      const crls = [caCrl({ entries: listed.map((serial) => entry(serial)) })]
      serials.forEach((serial, i) => {
        const one = certified(LEAF, CA, [basicConstraints(false)], serial)
        const check = () => verify({ leaf: one, crls, mode: "when-published" })
        if (i < listed.length) throwsCode(check, "REVOKED")
        else assert.is(check().revocation[0]?.status, "good")
      })
    }),
    { numRuns: 15, seed: 20 },
  )
})

const pem = (label: string, list: readonly { readonly bytes: Uint8Array }[]): string =>
  list
    .map(
      ({ bytes }) =>
        Buffer.from(bytes)
          .toString("base64")
          .match(/.{1,64}/g) ?? [],
    )
    .map((lines) => [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n"))
    .join("")

/** What OpenSSL has against the scene, which it is shown as files in `folder`; nothing if it accepts it. */
const openssl = (scene: Scene, folder: string): string => {
  const file = (title: string, text: string): string => {
    writeFileSync(join(folder, title), text)
    return join(folder, title)
  }
  const args = ["verify", "-crl_check_all", "-extended_crl"]
  args.push("-attime", String(Math.floor((scene.at ?? AT).getTime() / 1000)))
  args.push("-CAfile", file("root.pem", pem("CERTIFICATE", [root])))
  args.push("-untrusted", file("shown.pem", pem("CERTIFICATE", [scene.ca ?? ca, ...(scene.shown ?? [])])))
  if (scene.crls.length > 0) args.push("-CRLfile", file("crls.pem", pem("X509 CRL", scene.crls)))
  args.push(file("leaf.pem", pem("CERTIFICATE", [scene.leaf ?? leaf])))
  const { status, stderr } = spawnSync("openssl", args, { encoding: "utf8" })
  if (status === 0) return ""
  const found = /^error (.*)$/m.exec(stderr)?.[1]
  assert.ok(found, `openssl could not read the scene: ${stderr}`)
  return found ?? ""
}

/** Scenes that OpenSSL refuses all the same, and why. */
const STRICTER: ReadonlyMap<string, string> = new Map([
  ["a CRL in its last second", "nextUpdate itself is too late"],
  ["a CRL that a certificate of its own signed", "another signer is only looked for by the key identifier"],
])

test("accepts no path that OpenSSL refuses, and OpenSSL knows the revoked", () => {
  const folder = mkdtempSync(join(tmpdir(), "assay-crl-"))
  const differ = accepted.flatMap(([title, scene]) => {
    const found = openssl(scene, folder)
    return (found !== "") === STRICTER.has(title) ? [] : [[title, found]]
  })
  assert.equal(differ, [])
  for (const [title, scene] of revoked.slice(0, 5))
    assert.match(openssl(scene, folder), "certificate revoked", title)
  rmSync(folder, { recursive: true })
})

test.run()
