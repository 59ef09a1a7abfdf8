/** Keys and signatures of certificates. The chains in `test/fixtures/certificates` are openssl's. */
import { createPublicKey, hash, X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat } from "../../src/bytes.ts"
import type { Code } from "../../src/errors.ts"
import { algorithmText } from "../../src/evidence/x509/algorithm.ts"
import { parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { publicKeyText } from "../../src/evidence/x509/public-key.ts"
import { isSignedBy, keyObjectOf, plainSpkiOf } from "../../src/verification/certificate-key.ts"
import { parseDeniedKeys } from "../../src/verification/denied-keys.ts"
import { createTrust } from "../../src/verification/trust.ts"
import { throwsCode } from "../support/assert.ts"
import {
  type Case,
  caseOf,
  INTERMEDIATE,
  LEAF,
  leastCpuMs,
  parsed,
  type Refused,
  ROOT,
  refusesEach,
  trustIn,
  verifyCase,
} from "../support/chain.ts"
import {
  bitString,
  ECDSA_SHA256,
  EK_EXTENSIONS,
  ecKeys,
  ecSpki,
  ed25519Keys,
  hashAlgorithm,
  integer,
  type Keys,
  keyUsage,
  LEAF_KEYS,
  makeChain,
  mgf1,
  NULL,
  octets,
  oid,
  p256Keys,
  pointOf,
  pssAlgorithm,
  pssOf,
  pssParameters,
  RSA_SHA256,
  rsaKeys,
  rsaSpki,
  seq,
  signingBy,
  tlv,
  withExtensions,
} from "../support/x509.ts"

/** Leaf and root of a file; an instant in their validity. */
const fixture = (name: string): Case => {
  const text = readFileSync(`test/fixtures/certificates/${name}.pem`, "utf8")
  const [leaf, root] = [...text.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)/g)].map(
    ([, body = ""]) => new Uint8Array(Buffer.from(body, "base64")),
  )
  if (leaf === undefined || root === undefined) throw new TypeError(`${name} has a leaf and a root`)
  return { leaf, trust: trustIn([root]), options: { at: new Date("2027-01-01T00:00:00Z") } }
}

const made = suite("chains of openssl")

const genuine: readonly [file: string, algorithm: string, key: string][] = [
  ["rsa2048-sha256", "rsassa-sha256", "RSA-2048"],
  ["rsa2048-sha384", "rsassa-sha384", "RSA-2048"],
  ["rsa2048-sha512", "rsassa-sha512", "RSA-2048"],
  ["rsa3072-sha256", "rsassa-sha256", "RSA-3072"],
  ["rsa4096-sha256", "rsassa-sha256", "RSA-4096"],
  ["rsa8192-sha256", "rsassa-sha256", "RSA-8192"],
  ["pss-32-sha256", "rsapss-sha256, salt of 32 bytes", "RSA-2048"],
  ["pss-48-sha384", "rsapss-sha384, salt of 48 bytes", "RSA-3072"],
  ["pss-64-sha512", "rsapss-sha512, salt of 64 bytes", "RSA-4096"],
  ["pss-0-sha256", "rsapss-sha256, salt of 0 bytes", "RSA-2048"],
  ["pss-20-sha256", "rsapss-sha256, salt of 20 bytes", "RSA-2048"],
  ["pss-max-sha256", "rsapss-sha256, salt of 222 bytes", "RSA-2048"],
  ["p256-sha256", "ecdsa-sha256", "P-256"],
  ["p256-sha512", "ecdsa-sha512", "P-256"],
  ["p384-sha256", "ecdsa-sha256", "P-384"],
  ["p384-sha384", "ecdsa-sha384", "P-384"],
  ["p521-sha512", "ecdsa-sha512", "P-521"],
  ["ed25519", "ed25519", "Ed25519"],
]
for (const [file, algorithm, key] of genuine)
  made(`accepts ${file}`, () => {
    const { leaf, anchor } = verifyCase(fixture(file))
    assert.is(algorithmText(leaf.signatureAlgorithm), algorithm)
    assert.is(publicKeyText(anchor.certificate.publicKey), key)
  })

const refused: readonly [file: string, code: Code, about: "Leaf" | "Root"][] = [
  ["weak-md5", "WEAK_ALG", "Leaf"],
  ["weak-sha1", "WEAK_ALG", "Leaf"],
  ["weak-sha224", "WEAK_ALG", "Leaf"],
  ["weak-ecdsa-sha1", "WEAK_ALG", "Leaf"],
  ["weak-ecdsa-sha224", "WEAK_ALG", "Leaf"],
  ["weak-pss-sha1", "WEAK_ALG", "Leaf"],
  ["weak-pss-sha224", "WEAK_ALG", "Leaf"],
  ["weak-dsa", "WEAK_ALG", "Leaf"],
  ["weak-rsa1024", "WEAK_ALG", "Root"],
  ["weak-rsa2052", "WEAK_ALG", "Root"],
  ["weak-rsa-e3", "WEAK_ALG", "Root"],
  ["weak-p192", "WEAK_ALG", "Root"],
  ["weak-p224", "WEAK_ALG", "Root"],
  ["weak-k256", "WEAK_ALG", "Root"],
  ["weak-leaf-rsa1024", "WEAK_ALG", "Leaf"],
  ["weak-leaf-rsa2052", "WEAK_ALG", "Leaf"],
  ["weak-leaf-e3", "WEAK_ALG", "Leaf"],
  ["weak-leaf-p192", "WEAK_ALG", "Leaf"],
  ["weak-leaf-p224", "WEAK_ALG", "Leaf"],
  ["explicit-root", "EC_PARAMS", "Root"],
  ["explicit-leaf", "EC_PARAMS", "Leaf"],
  ["explicit-leaf-p384", "EC_PARAMS", "Leaf"],
]
refusesEach(
  made,
  refused.map(
    ([file, code, about]): Refused => [
      `${code === "EC_PARAMS" ? "X-09" : "X-10"} ${file}, of openssl`,
      () => fixture(file),
      code,
      `O=Assay, CN=${about} ${file}`,
    ],
  ),
)

made.run()

const places = ["leaf", "intermediate", "root"] as const
const NAMES = { leaf: LEAF, intermediate: INTERMEDIATE, root: ROOT } as const
/** The chain with another key in one of its certificates. */
const withKey = (place: (typeof places)[number], spki: Uint8Array): Case =>
  caseOf(makeChain("ak", { [place]: { spki } }))

const keys = suite("keyObjectOf")

const P256 = oid("1.2.840.10045.3.1.7")
const POINT = pointOf(LEAF_KEYS)
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"))
/** P-256, spelled out with this generator, order and cofactor. */
const explicit = (generator: Uint8Array, cofactor: readonly Uint8Array[] = [integer(1)]): Uint8Array =>
  seq(
    integer(1),
    seq(
      oid("1.2.840.10045.1.1"),
      integer(0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn),
    ),
    seq(
      octets(hex("ffffffff00000001000000000000000000000000fffffffffffffffffffffffc")),
      octets(hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b")),
    ),
    octets(generator),
    integer(0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n),
    ...cofactor,
  )
const BASE_POINT = hex(
  "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
)
const spelledOut: readonly [name: string, parameters: Uint8Array][] = [
  ["P-256 with the key itself as the generator", explicit(POINT)],
  ["P-256 with its own generator", explicit(BASE_POINT)],
  ["P-256 without a cofactor", explicit(BASE_POINT, [])],
  [
    "parameters that nobody could evaluate",
    seq(integer(1), seq(oid("1.2.840.10045.1.1"), integer(2n ** 4096n))),
  ],
  ["empty parameters", seq()],
  ["the curve of the issuer (NULL)", NULL],
  ["no parameters", new Uint8Array()],
]
for (const place of places)
  refusesEach(
    keys,
    spelledOut.map(
      ([name, parameters]): Refused => [
        `X-09 ${name}: the ${place}`,
        () => withKey(place, ecSpki(parameters, POINT)),
        "EC_PARAMS",
        NAMES[place],
      ],
    ),
  )

const ed25519Spki = (key: Uint8Array): Uint8Array => seq(seq(oid("1.3.101.112")), bitString(key))
/** Points that make a signature over anything: each by one of its spellings, some with the sign of x. */
const LOW_ORDER: readonly (readonly [name: string, key: string])[] = [
  ["the neutral one", `01${"00".repeat(31)}`],
  ["the neutral one with a sign", `01${"00".repeat(30)}80`],
  ["the neutral one, not below p", `ee${"ff".repeat(30)}7f`],
  ["of order 2", `ec${"ff".repeat(30)}7f`],
  ["of order 4", "00".repeat(32)],
  ["of order 4 with a sign", `${"00".repeat(31)}80`],
  ["of order 4, not below p", `ed${"ff".repeat(30)}ff`],
  ["of order 8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"],
  ["of order 8, the other", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"],
]
const weakKeys: readonly [name: string, spki: Uint8Array][] = [
  ["P-192", ecSpki(oid("1.2.840.10045.3.1.1"), POINT.subarray(0, 49))],
  ["P-224", ecSpki(oid("1.3.132.0.33"), POINT.subarray(0, 57))],
  ["a curve that nobody knows", ecSpki(oid("1.2.3.4"), POINT)],
  ["DSA", seq(seq(oid("1.2.840.10040.4.1"), seq(integer(7), integer(3), integer(2))), bitString(integer(4)))],
  ["an algorithm that nobody knows", seq(seq(oid("1.2.3.4")), bitString(POINT))],
  ["Ed448", seq(seq(oid("1.3.101.113")), bitString(new Uint8Array(57)))],
]
const rsaOf = (modulus: Uint8Array, exponent: Uint8Array = integer(65537)): Uint8Array =>
  rsaSpki(modulus, exponent)
/** A modulus of so many bits, odd, of no key that anybody made. */
const modulusOf = (bits: number, last = 0xa7): Uint8Array =>
  tlv(2, Uint8Array.of(0), new Uint8Array(bits / 8).fill(0xa7).with(bits / 8 - 1, last))
const broken: readonly (readonly [name: string, spki: Uint8Array])[] = [
  ["an even modulus", rsaOf(modulusOf(2048, 0xa6))],
  ["a modulus of 0", rsaOf(integer(0))],
  ["a negative modulus", rsaOf(tlv(2, new Uint8Array(256).fill(0xa7)))],
  ["a modulus of 512 bits", rsaOf(modulusOf(512))],
  ["a modulus of 16384 bits", rsaOf(modulusOf(16384))],
  ["a modulus of 8200 bits", rsaOf(modulusOf(8200))],
  ["an exponent of 1", rsaOf(modulusOf(2048), integer(1))],
  ["an exponent of 0", rsaOf(modulusOf(2048), integer(0))],
  ["an even exponent", rsaOf(modulusOf(2048), integer(65536))],
  ["a negative exponent", rsaOf(modulusOf(2048), tlv(2, Uint8Array.of(0xff)))],
  ["a point off the curve", ecSpki(P256, POINT.with(64, (POINT[64] ?? 0) ^ 1))],
  ["a point with a coordinate over p", ecSpki(P256, concat(Uint8Array.of(4), new Uint8Array(64).fill(0xff)))],
  ["a point in hybrid form", ecSpki(P256, POINT.with(0, 6 + ((POINT[64] ?? 0) & 1)))],
  ["the point at infinity", ecSpki(P256, Uint8Array.of(0))],
  ["a point of zeros", ecSpki(P256, concat(Uint8Array.of(4), new Uint8Array(64)))],
  ["no point", ecSpki(P256, new Uint8Array())],
  [
    "a compressed point",
    ecSpki(P256, concat(Uint8Array.of(2 + ((POINT[64] ?? 0) & 1)), POINT.subarray(1, 33))),
  ],
  ["a hybrid point", ecSpki(P256, POINT.with(0, 6 + ((POINT[64] ?? 0) & 1)))],
  ["a point with a zero behind it", ecSpki(P256, concat(POINT, Uint8Array.of(0)))],
  ["a point of P-256 on P-384", ecSpki(oid("1.3.132.0.34"), POINT)],
  ...LOW_ORDER.map(([name, key]) => [`an Ed25519 key of low order, ${name}`, ed25519Spki(hex(key))] as const),
  ["an Ed25519 key of 31 bytes", ed25519Spki(new Uint8Array(31).fill(7))],
  ["an Ed25519 key of 33 bytes", ed25519Spki(new Uint8Array(33).fill(7))],
]
const weakNumbers: readonly [name: string, spki: Uint8Array][] = [
  ["an exponent of 3", rsaOf(modulusOf(2048), integer(3))],
  ["an exponent over 2^32", rsaOf(modulusOf(2048), integer(2n ** 32n + 1n))],
  ["an exponent of 2048 bits", rsaOf(modulusOf(2048), modulusOf(2048))],
  ["a modulus of 1024 bits", rsaOf(modulusOf(1024))],
  ["a modulus of 2052 bits", rsaOf(tlv(2, Uint8Array.of(0x0a), new Uint8Array(256).fill(0xa7)))],
]
for (const place of places) {
  const each = (id: string, code: Code, list: readonly (readonly [string, Uint8Array])[]): void =>
    refusesEach(
      keys,
      list.map(
        ([name, spki]): Refused => [
          `${id} ${name}: the ${place}`,
          () => withKey(place, spki),
          code,
          NAMES[place],
        ],
      ),
    )
  each("K-07", "WEAK_KEY", broken)
  each("X-10", "WEAK_ALG", [...weakKeys, ...weakNumbers])
}

keys("refuses K-07 moduli and exponents over the limit before any arithmetic", () => {
  for (const spki of [rsaOf(modulusOf(16384), modulusOf(16384)), rsaOf(modulusOf(2048), modulusOf(16384))]) {
    const { leaf, trust } = withKey("leaf", spki)
    const [certificate] = parsed(leaf)
    if (certificate === undefined) throw new TypeError("a leaf")
    assert.is(trust.anchorCount, 1)
    const ms = leastCpuMs(() => void throwsCode(() => keyObjectOf(certificate), ["WEAK_KEY", "WEAK_ALG"]))
    assert.ok(ms < 2, `${ms} ms`)
  }
})

keys("gives the same key object for the same certificate, and another for another", () => {
  const [one, two] = parsed(makeChain("ak").leaf, makeChain("ak", { leafKeys: p256Keys() }).leaf)
  if (one === undefined || two === undefined) throw new TypeError("two leaves")
  assert.is(keyObjectOf(one), keyObjectOf(one))
  assert.is.not(keyObjectOf(one), keyObjectOf(two))
})

keys.run()

const oaep = suite("keys under id-RSAES-OAEP")

const RSA = rsaKeys()
/** The BIT STRING of the RSA key: its SubjectPublicKeyInfo without the algorithm. */
const rsaBits = RSA.spki.subarray(RSA.spki.length - 275)
const OAEP = oid("1.2.840.113549.1.1.7")
const sha256 = hashAlgorithm("2.16.840.1.101.3.4.2.1")
const oaepSpki = (...parameters: readonly Uint8Array[]): Uint8Array => seq(seq(OAEP, ...parameters), rsaBits)
const oaepCase = (spki: Uint8Array): Case =>
  caseOf(makeChain("ek", { leaf: { spki, extensions: withExtensions(EK_EXTENSIONS, keyUsage(2)) } }), {
    purpose: "ek",
  })

oaep("accepts them with any parameters, says so, and knows the key", () => {
  for (const spki of [
    oaepSpki(seq()),
    oaepSpki(),
    oaepSpki(seq(tlv(0xa0, sha256), tlv(0xa1, mgf1(sha256)))),
  ]) {
    const path = verifyCase(oaepCase(spki))
    assert.equal(path.deviations, ["rsaes-oaep-key"])
    assert.equal(plainSpkiOf(path.leaf), Buffer.from(RSA.spki))
    assert.throws(() => new X509Certificate(path.leaf.bytes).publicKey)
    assert.ok(
      keyObjectOf(path.leaf).equals(
        createPublicKey({ key: Buffer.from(RSA.spki), format: "der", type: "spki" }),
      ),
    )
    assert.is(publicKeyText(path.leaf.publicKey), "RSA-2048 (id-RSAES-OAEP)")
  }
})

const oaepOf = (modulus: Uint8Array, exponent: Uint8Array): Case =>
  oaepCase(rsaSpki(modulus, exponent, seq(OAEP, seq())))
refusesEach(oaep, [
  [
    "K-07 an even modulus under id-RSAES-OAEP",
    () => oaepOf(modulusOf(2048, 0xa6), integer(65537)),
    "WEAK_KEY",
    LEAF,
  ],
  [
    "X-10 a modulus of 1024 bits under id-RSAES-OAEP",
    () => oaepOf(modulusOf(1024), integer(65537)),
    "WEAK_ALG",
    LEAF,
  ],
  ["K-07 an exponent of 1 under id-RSAES-OAEP", () => oaepOf(modulusOf(2048), integer(1)), "WEAK_KEY", LEAF],
])

/** The case, with a key on the list by the digest of its usual form. */
const denying = (given: Case, root: Uint8Array, spki: Uint8Array): Case => ({
  ...given,
  trust: createTrust({
    anchors: [{ certificate: parseCertificate(root), purpose: "any", revocation: "off" }],
    intermediates: [],
    crls: [],
    denied: parseDeniedKeys({
      version: 1,
      keys: [
        {
          spkiSha256: hash("sha256", spki, "hex"),
          subject: "a device",
          reason: "its private half is in a firmware image",
          source: "https://example.com/advisory",
          published: "2025-01-01",
          derivation: "made for a test",
        },
      ],
    }),
  }),
})
for (const place of places)
  oaep(`refuses K-08 a key on the list of denied ones: the ${place}`, () => {
    const chain = makeChain("ak")
    const error = throwsCode(
      () => verifyCase(denying(caseOf(chain), chain.root, parseCertificate(chain[place]).spki)),
      "KEY_DENIED",
    )
    assert.ok(error.location?.startsWith(NAMES[place]))
  })
oaep("refuses K-08 a denied key under id-RSAES-OAEP, by the digest of its usual form", () => {
  const chain = makeChain("ek", {
    leaf: { spki: oaepSpki(seq()), extensions: withExtensions(EK_EXTENSIONS, keyUsage(2)) },
  })
  throwsCode(() => verifyCase(denying(caseOf(chain, { purpose: "ek" }), chain.root, RSA.spki)), "KEY_DENIED")
})

oaep.run()

const signatures = suite("isSignedBy")

const ED25519 = ed25519Keys()
const P384 = ecKeys("P-384")
const EC = p256Keys()
const signers: readonly [name: string, keys: Keys][] = [
  ["rsassa", RSA],
  ["rsapss", pssOf(RSA, "sha256", 32)],
  ["ecdsa", EC],
  ["ed25519", ED25519],
]
/** A leaf signed by `signer`, and an issuer with the key of `issuer`. */
const signedBy = (signer: Keys, issuer: Keys): boolean => {
  const chain = makeChain("ak", {
    leaf: { signer, innerAlgorithm: signer.algorithm, outerAlgorithm: signer.algorithm },
    intermediate: { spki: issuer.spki },
  })
  const [leaf, intermediate] = parsed(chain.leaf, chain.intermediate)
  if (leaf === undefined || intermediate === undefined) throw new TypeError("two certificates")
  return isSignedBy(leaf, intermediate)
}
for (const [name, signer] of signers) {
  signatures(`takes a signature by ${name} from its key and from no other kind`, () => {
    for (const [other, issuer] of signers) {
      const isSame = signer.spki === issuer.spki
      assert.is(signedBy(signer, issuer), isSame, `${name} by ${other}`)
    }
  })
}

const P521 = ecKeys("P-521")
const others: readonly [name: string, signer: Keys, issuer: Keys][] = [
  ["another key of its kind: RSA", RSA, rsaKeys()],
  ["another key of its kind: P-256", EC, p256Keys()],
  ["another key of its kind: Ed25519", ED25519, ed25519Keys()],
  ["a key on another curve", EC, P384],
  ["a key on a larger curve", P384, P521],
  ["another hash than it names: RSA", signingBy(RSA, RSA_SHA256, "sha384"), RSA],
  ["another hash than it names: ECDSA", signingBy(EC, ECDSA_SHA256, "sha512"), EC],
  [
    "PKCS#1 v1.5 where it names PSS",
    { ...RSA, algorithm: pssAlgorithm(...pssParameters("sha256", 32)) },
    RSA,
  ],
  ["PSS where it names PKCS#1 v1.5", { ...pssOf(RSA, "sha256", 32), algorithm: RSA_SHA256 }, RSA],
  [
    "PSS with another salt than it names",
    { ...pssOf(RSA, "sha256", 20), algorithm: pssAlgorithm(...pssParameters("sha256", 32)) },
    RSA,
  ],
  [
    "PSS with the longest salt where it names 32",
    { ...pssOf(RSA, "sha256", 222), algorithm: pssAlgorithm(...pssParameters("sha256", 32)) },
    RSA,
  ],
  [
    "PSS with another hash than it names",
    { ...pssOf(RSA, "sha384", 32), algorithm: pssAlgorithm(...pssParameters("sha256", 32)) },
    RSA,
  ],
  ["PKCS#1 v1.5 where it names ECDSA", { ...RSA, algorithm: ECDSA_SHA256 }, RSA],
  ["ECDSA where it names PKCS#1 v1.5", { ...EC, algorithm: RSA_SHA256 }, EC],
  ["ECDSA where it names Ed25519", { ...EC, algorithm: ED25519.algorithm }, EC],
  ["PKCS#1 v1.5 where it names Ed25519", { ...RSA, algorithm: ED25519.algorithm }, RSA],
  [
    "a signature with zeros before it",
    { ...RSA, sign: (bytes) => concat(Uint8Array.of(0), RSA.sign(bytes)) },
    RSA,
  ],
  ["r and s without their DER", { ...EC, sign: (bytes) => rawOf(EC.sign(bytes)) }, EC],
]
/** r and s of a DER signature, one after the other. */
const rawOf = (der: Uint8Array): Uint8Array => {
  const rSize = der[3] ?? 0
  const fixed = (part: Uint8Array): Uint8Array => {
    const padded = concat(new Uint8Array(32), part)
    return padded.subarray(padded.length - 32)
  }
  return concat(fixed(der.subarray(4, 4 + rSize)), fixed(der.subarray(6 + rSize)))
}
for (const [name, signer, issuer] of others)
  signatures(`refuses X-18 a signature by ${name}`, () => assert.is(signedBy(signer, issuer), false))

signatures("refuses X-10 a hash or an algorithm that is too weak, or that nobody knows", () => {
  const sha1 = signingBy(RSA, seq(oid("1.2.840.113549.1.1.5"), NULL), "sha1")
  throwsCode(() => signedBy(sha1, RSA), "WEAK_ALG")
  throwsCode(() => signedBy({ ...RSA, algorithm: seq(oid("1.2.3.4")) }, RSA), "SIG_ALG")
})

const signedPlaces = ["leaf", "intermediate"] as const
const weakAlgorithms: readonly [name: string, algorithm: Uint8Array, code: Code][] = [
  ["MD2", seq(oid("1.2.840.113549.1.1.2"), NULL), "WEAK_ALG"],
  ["MD5", seq(oid("1.2.840.113549.1.1.4"), NULL), "WEAK_ALG"],
  ["SHA-1 with RSA", seq(oid("1.2.840.113549.1.1.5"), NULL), "WEAK_ALG"],
  ["SHA-1 with RSA, by its other name", seq(oid("1.3.14.3.2.29"), NULL), "WEAK_ALG"],
  ["SHA-224 with RSA", seq(oid("1.2.840.113549.1.1.14"), NULL), "WEAK_ALG"],
  ["SHA-1 with ECDSA", seq(oid("1.2.840.10045.4.1")), "WEAK_ALG"],
  ["SHA-224 with ECDSA", seq(oid("1.2.840.10045.4.3.1")), "WEAK_ALG"],
  ["SHA-1 with DSA", seq(oid("1.2.840.10040.4.3")), "WEAK_ALG"],
  ["SHA-224 with DSA", seq(oid("2.16.840.1.101.3.4.3.1")), "WEAK_ALG"],
  ["SHA-256 with DSA", seq(oid("2.16.840.1.101.3.4.3.2")), "WEAK_ALG"],
  ["PSS with its defaults, SHA-1", pssAlgorithm(), "WEAK_ALG"],
  ["PSS without parameters", seq(oid("1.2.840.113549.1.1.10")), "WEAK_ALG"],
  [
    "PSS with a mask by its default, SHA-1",
    pssAlgorithm(...pssParameters("sha256", 32).slice(0, 1)),
    "SIG_ALG",
  ],
  ["PSS with SHA-1 and a mask by SHA-256", pssAlgorithm(...pssParameters("sha256", 32).slice(1)), "WEAK_ALG"],
  ["Ed448", seq(oid("1.3.101.113")), "SIG_ALG"],
  ["SM2", seq(oid("1.2.156.10197.1.501")), "SIG_ALG"],
]
for (const place of signedPlaces)
  refusesEach(
    signatures,
    weakAlgorithms.map(
      ([name, algorithm, code]): Refused => [
        `X-10 a signature by ${name}: the ${place}`,
        () => caseOf(makeChain("ak", { [place]: { innerAlgorithm: algorithm, outerAlgorithm: algorithm } })),
        code,
        NAMES[place],
      ],
    ),
  )

signatures("accepts an anchor whose own signature is weak: it is trusted by decision", () => {
  for (const [, algorithm] of weakAlgorithms)
    verifyCase(caseOf(makeChain("ak", { root: { innerAlgorithm: algorithm, outerAlgorithm: algorithm } })))
})

signatures.run()
