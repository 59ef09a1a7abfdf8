/** against the whole service: certificates of another time, and algorithms and keys that prove nothing. */
import { generateKeyPairSync } from "node:crypto"
import { suite } from "uvu"
import { concat, utf8 } from "../../src/bytes.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import { type Authority, authority } from "../support/crl.ts"
import {
  akChainOf,
  caOf,
  chainTable,
  INTERMEDIATE,
  leafOf,
  type MakeChain,
  malformedAt,
  ROOT,
  spkiOf,
  trustingScene,
  validity,
} from "../support/endorsed.ts"
import { P256, P384, RSAPSS, RSASSA } from "../support/victim.ts"
import {
  caExtensions,
  ECDSA_SHA256,
  ecKeys,
  ecSpki,
  hashAlgorithm,
  integer,
  type Keys,
  mgf1,
  NOT_AFTER,
  NOT_BEFORE,
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
  time,
  tlv,
} from "../support/x509.ts"

const test = suite("attacks with certificates of another time or strength")

const A = authority("CA A")
const OLD = authority("Root that has ended")
const RSA: Authority = authority("CA with an RSA key", rsaKeys())

const scene = trustingScene(test, ({ trustAnchor, now }) => {
  trustAnchor(
    caOf(OLD, OLD, caExtensions(), { validity: validity(NOT_BEFORE, new Date(now().getTime() - 1)) }),
  )
})

const SECOND = 1000
const later = (at: Date, ms: number): Date => new Date(at.getTime() + ms)
/** The usual leaf, or the usual intermediate, with a validity that begins and ends so long after now. */
const leafFrom =
  (begins: number, ends: number): MakeChain =>
  (device, now) =>
    akChainOf(device, { leaf: { validity: validity(later(now, begins), later(now, ends)) } })
const intermediateFrom =
  (begins: number, ends: number): MakeChain =>
  (device, now) =>
    akChainOf(device, { intermediate: { validity: validity(later(now, begins), later(now, ends)) } })
const YEAR = 365 * 86_400 * SECOND
const spelledValidity =
  (...times: readonly Uint8Array[]): MakeChain =>
  (device) =>
    akChainOf(device, { leaf: { validity: seq(...times) } })

chainTable(
  test,
  "X-07",
  "VALIDITY",
  [
    ["a leaf that ended a second ago", P256, leafFrom(-YEAR, -SECOND)],
    ["a leaf that begins in a second", RSASSA, leafFrom(SECOND, YEAR)],
    ["a leaf that ended years ago", P384, leafFrom(-5 * YEAR, -2 * YEAR)],
    ["a leaf that ends before it begins", RSAPSS, leafFrom(SECOND, -SECOND)],
    ["an intermediate that ended a second ago", P256, intermediateFrom(-YEAR, -SECOND)],
    ["an intermediate that begins in a second", RSASSA, intermediateFrom(SECOND, YEAR)],
    ["a trust anchor that has ended", P384, (device) => [leafOf(device, OLD)]],
    [
      "a leaf until 2050 with two digits, which say 1950",
      P256,
      spelledValidity(time(NOT_BEFORE), tlv(0x17, utf8("500101000000Z"))),
    ],
    [
      "a leaf with fractions of a second",
      RSAPSS,
      spelledValidity(time(NOT_BEFORE), tlv(0x18, utf8("20500101000000.5Z"))),
      malformedAt("DER"),
    ],
    [
      "a leaf with a time of another zone",
      P256,
      spelledValidity(time(NOT_BEFORE), tlv(0x17, utf8("400101000000+0100"))),
      malformedAt("DER"),
    ],
    [
      "a leaf with a day that there is not",
      RSASSA,
      spelledValidity(time(NOT_BEFORE), tlv(0x17, utf8("400230000000Z"))),
      malformedAt("DER"),
    ],
  ],
  scene,
)

const ECDSA_SHA384 = seq(oid("1.2.840.10045.4.3.3"))
const RSA_BARE = seq(oid("1.2.840.113549.1.1.11"))
/** A leaf by an RSA CA that says one algorithm inside and one outside. */
const byRsa =
  (innerAlgorithm: Uint8Array, outerAlgorithm: Uint8Array, signer: Keys = RSA.keys): MakeChain =>
  (device) => [leafOf(device, RSA, { innerAlgorithm, outerAlgorithm, signer }), caOf(RSA, ROOT)]
const PSS = pssOf(RSA.keys, "sha256", 32)
chainTable(
  test,
  "X-08",
  "ALG_MISMATCH",
  [
    ["another hash inside", P256, (device) => akChainOf(device, { leaf: { innerAlgorithm: ECDSA_SHA384 } })],
    ["another hash outside", P384, (device) => akChainOf(device, { leaf: { outerAlgorithm: ECDSA_SHA384 } })],
    [
      "another hash inside the intermediate",
      RSASSA,
      (device) => akChainOf(device, { intermediate: { innerAlgorithm: ECDSA_SHA384 } }),
    ],
    [
      "another kind of key inside",
      RSAPSS,
      (device) => akChainOf(device, { leaf: { innerAlgorithm: RSA_SHA256 } }),
    ],
    ["parameters that are only inside", P256, byRsa(RSA_SHA256, RSA_BARE)],
    ["parameters that are only outside", RSASSA, byRsa(RSA_BARE, RSA_SHA256)],
    [
      "PSS with another salt inside",
      P384,
      byRsa(pssAlgorithm(...pssParameters("sha256", 33)), PSS.algorithm, PSS),
    ],
    ["PSS inside and PKCS#1 v1.5 outside", RSAPSS, byRsa(PSS.algorithm, RSA_SHA256)],
  ],
  scene,
)

/** ECParameters of P-256 (SEC 1, C.2) with a generator of one's own. */
const P = (1n << 256n) - (1n << 224n) + (1n << 192n) + (1n << 96n) - 1n
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const B_OCTETS = Buffer.from("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b", "hex")
const A_OCTETS = Buffer.from((P - 3n).toString(16), "hex")
const BASE = Buffer.from(
  "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
  "hex",
)
const explicit = (generator: Uint8Array, p = P, cofactor = 1): Uint8Array =>
  seq(
    integer(1),
    seq(oid("1.2.840.10045.1.1"), integer(p)),
    seq(octets(A_OCTETS), octets(B_OCTETS)),
    octets(generator),
    integer(N),
    integer(cofactor),
  )
const ownPoint = pointOf(p256Keys())
/** A leaf whose key is on a curve of one's own. */
const leafOn =
  (parameters: Uint8Array): MakeChain =>
  (device) =>
    akChainOf(device, { leaf: { spki: ecSpki(parameters, spkiOf(device).subarray(-65)) } })
chainTable(
  test,
  "X-09",
  "EC_PARAMS",
  [
    // CVE-2020-0601: the key as its own generator, so that the private key is one.
    [
      "a generator that is the key itself",
      P256,
      (device) => leafOn(explicit(spkiOf(device).subarray(-65)))(device, NOT_AFTER),
    ],
    ["P-256, spelled out", P256, leafOn(explicit(BASE))],
    ["another generator", P384, leafOn(explicit(ownPoint))],
    // CVE-2022-0778: a modulus that is no prime, for which a square root is looked for without an end.
    [
      "a field that is none",
      RSASSA,
      leafOn(explicit(concat(Uint8Array.of(2), ownPoint.subarray(1, 33)), P - 2n)),
    ],
    ["a cofactor that is none", RSAPSS, leafOn(explicit(BASE, P, 0))],
    ["parameters that are not there", P256, leafOn(NULL)],
    [
      "an intermediate on a curve of its own",
      RSASSA,
      (device) =>
        akChainOf(device, { intermediate: { spki: ecSpki(explicit(BASE), pointOf(INTERMEDIATE.keys)) } }),
    ],
  ],
  scene,
)

const SHA1_RSA = seq(oid("1.2.840.113549.1.1.5"), NULL)
const MD5_RSA = seq(oid("1.2.840.113549.1.1.4"), NULL)
const SHA1_ECDSA = seq(oid("1.2.840.10045.4.1"))
const SHA1_PSS = pssAlgorithm(
  tlv(0xa1, mgf1(hashAlgorithm("2.16.840.1.101.3.4.2.1"))),
  tlv(0xa2, integer(32)),
)
const SHORT = authority("CA with 1024 bits", rsaKeys(1024))
const THREE = authority("CA with exponent 3", rsaKeys(2048, 3))
const P224 = authority("CA on P-224", ecKeys("secp224r1"))
const K256 = authority("CA on secp256k1", ecKeys("secp256k1"))
const below =
  (ca: Authority, signer = ca.keys): MakeChain =>
  (device) => [leafOf(device, { ...ca, keys: signer }), caOf(ca, ROOT)]
const dsa = (): Uint8Array =>
  new Uint8Array(
    generateKeyPairSync("dsa", { modulusLength: 1024, divisorLength: 160 }).publicKey.export({
      type: "spki",
      format: "der",
    }),
  )
const MODULUS = ((): Uint8Array => {
  const { key } = parsePublic(RSASSA.device.akPublic)
  return key.kind === "rsa" ? key.modulus : new Uint8Array()
})()
const rsaLeaf =
  (modulus: Uint8Array, exponent = integer(65537)): MakeChain =>
  (device) =>
    akChainOf(device, {
      leaf: { spki: rsaSpki(integer(BigInt(`0x${Buffer.from(modulus).toString("hex")}`)), exponent) },
    })
chainTable(
  test,
  "X-10",
  "WEAK_ALG",
  [
    ["a leaf by SHA-1 with RSA", P256, below(RSA, signingBy(RSA.keys, SHA1_RSA, "sha1"))],
    ["a leaf by MD5", RSASSA, below(RSA, signingBy(RSA.keys, MD5_RSA, "md5"))],
    ["a leaf by SHA-1 with ECDSA", P384, below(A, signingBy(A.keys, SHA1_ECDSA, "sha1"))],
    ["a leaf by PSS with its default hash", RSAPSS, below(RSA, { ...PSS, algorithm: SHA1_PSS })],
    [
      "an intermediate by SHA-1",
      P256,
      (device) =>
        akChainOf(device, {
          intermediate: {
            signer: signingBy(ROOT.keys, SHA1_ECDSA, "sha1"),
            innerAlgorithm: SHA1_ECDSA,
            outerAlgorithm: SHA1_ECDSA,
          },
        }),
    ],
    ["a CA of 1024 bits", P256, below(SHORT)],
    ["a CA with exponent 3", RSASSA, below(THREE)],
    ["a CA on P-224", P384, below(P224)],
    ["a CA on the curve of coins", RSAPSS, below(K256)],
    ["a leaf of a DSA key", P256, (device) => akChainOf(device, { leaf: { spki: dsa() } })],
    ["a leaf of 1024 bits", RSASSA, rsaLeaf(MODULUS.subarray(128).with(0, 0xc1))],
    ["a leaf of bits that fill no octets", RSAPSS, rsaLeaf(concat(Uint8Array.of(2), MODULUS))],
    ["a leaf with exponent 3", RSASSA, rsaLeaf(MODULUS, integer(3))],
  ],
  scene,
)
void ECDSA_SHA256

test.run()
