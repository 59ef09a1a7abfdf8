import { createECDH } from "node:crypto"
import { concat } from "../../../../src/bytes.ts"
import {
  bitString,
  ECDSA_SHA256,
  integer,
  type Keys,
  NULL,
  oid,
  RSA_SHA256,
  seq,
  tlv,
} from "../../../support/x509.ts"
import { type Chain, change, type Draft } from "../chain.ts"
import { type KeyKind, keyOf, type PssHash, rsaWithExponent, signingBy, signingByPss } from "../keys.ts"
import { all, type Fault, inOne, issuers, leaf, proven } from "./fault.ts"

const RSA_PKCS1 = "1.2.840.113549.1.1"
const rsaWith = (last: number): Uint8Array => seq(oid(`${RSA_PKCS1}.${last}`), NULL)

/** Another key for a certificate that issues, and what it signs with. */
const issuerKeys = (id: string, make: (n: number) => Keys, harmless?: true): Fault => ({
  id,
  ...(harmless && { harmless }),
  apply: inOne(issuers, (draft, chain) => {
    draft.keys = make(chain.drafts.indexOf(draft))
  }),
})

const good = (kind: KeyKind): Fault => issuerKeys(`CA with a key of ${kind}`, (n) => keyOf(kind, n), true)
const rsa = (n: number): Keys => keyOf("rsa2048", n)
const p256 = (n: number): Keys => keyOf("p256", n)
const pss = (id: string, digest: PssHash, salt: number, mask?: PssHash, harmless?: true): Fault =>
  issuerKeys(id, (n) => signingByPss(rsa(n), digest, salt, mask), harmless)

/** Another public key in a certificate, which it does not sign with; the leaf's, so that nobody needs it. */
const leafSpki = (id: string, spki: () => Uint8Array): Fault => ({
  id,
  apply: inOne(leaf, (draft) => change(draft, { spki: spki() })),
})

const signature = (id: string, make: (tbs: Uint8Array, signer: Keys) => Uint8Array): Fault => ({
  id,
  apply: inOne(proven, (draft, chain) =>
    change(draft, { signature: (tbs) => make(tbs, signerOf(chain, draft)) }),
  ),
})

const signerOf = ({ drafts, outside }: Chain, draft: Draft): Keys =>
  draft.signer ?? drafts[drafts.indexOf(draft) - 1]?.keys ?? outside.keys

const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))

const EC_KEY = "1.2.840.10045.2.1"
const P256 = "1.2.840.10045.3.1.7"
const pointOf = ({ spki }: Keys): Uint8Array => spki.subarray(-65)

/** P-256 with its parameters spelled out (SEC 1, C.2), as CVE-2020-0601 had them. */
const explicitP256 = (): Uint8Array => {
  const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"))
  const p = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n
  const order = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
  const a = hex((p - 3n).toString(16))
  const b = hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b")
  const g = hex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
  )
  const octets = (bytes: Uint8Array): Uint8Array => tlv(0x04, bytes)
  const field = seq(oid("1.2.840.10045.1.1"), integer(p))
  const parameters = seq(integer(1), field, seq(octets(a), octets(b)), octets(g), integer(order), integer(1))
  return seq(seq(oid(EC_KEY), parameters), bitString(pointOf(p256(9))))
}

/** Keys and signatures. */
export const ALGORITHMS: readonly Fault[] = [
  good("p256"),
  good("p384"),
  good("p521"),
  good("rsa2048"),
  good("rsa3072"),
  good("ed25519"),
  issuerKeys("RSA with SHA-512", (n) => signingBy(rsa(n), rsaWith(13), "sha512"), true),
  issuerKeys(
    "P-256 with SHA-384",
    (n) => signingBy(p256(n), seq(oid("1.2.840.10045.4.3.3")), "sha384"),
    true,
  ),
  pss("RSA-PSS with SHA-256", "sha256", 32, undefined, true),
  pss("RSA-PSS with SHA-384", "sha384", 48, undefined, true),
  pss("RSA-PSS with SHA-512", "sha512", 64, undefined, true),
  pss("RSA-PSS with a short salt", "sha256", 8, undefined, true),
  pss("RSA-PSS with SHA-1", "sha1", 20),
  pss("RSA-PSS whose mask has another hash", "sha256", 32, "sha384"),
  issuerKeys("SHA-1 with RSA", (n) => signingBy(rsa(n), rsaWith(5), "sha1")),
  issuerKeys("MD5 with RSA", (n) => signingBy(rsa(n), rsaWith(4), "md5")),
  issuerKeys("SHA-224 with RSA", (n) => signingBy(rsa(n), rsaWith(14), "sha224")),
  issuerKeys("SHA-1 with ECDSA", (n) => signingBy(p256(n), seq(oid("1.2.840.10045.4.1")), "sha1")),
  issuerKeys("CA with RSA-1024", (n) => keyOf("rsa1024", n)),
  issuerKeys("CA on P-224", (n) => keyOf("secp224r1", n)),
  issuerKeys("CA on secp256k1", (n) => keyOf("secp256k1", n)),
  issuerKeys("RSA with the exponent 3", () => rsaWithExponent(3)),
  leafSpki("leaf with RSA-1024", () => keyOf("rsa1024", 9).spki),
  leafSpki("leaf on secp256k1", () => keyOf("secp256k1", 9).spki),
  leafSpki("leaf with explicit curve parameters", explicitP256),
  leafSpki("leaf with a point off the curve", () => flipped(p256(9).spki, p256(9).spki.length - 1)),
  leafSpki("leaf with a compressed point", () => {
    const ecdh = createECDH("prime256v1")
    ecdh.setPrivateKey(Uint8Array.of(...new Uint8Array(31), 7))
    const point = new Uint8Array(ecdh.getPublicKey(null, "compressed"))
    return seq(seq(oid(EC_KEY), oid(P256)), bitString(point))
  }),
  leafSpki("leaf with a key of an unknown algorithm", () =>
    seq(seq(oid("1.3.6.1.4.1.99999.7")), bitString(new Uint8Array(32))),
  ),
  {
    id: "inner and outer algorithm differ in the hash",
    apply: inOne(all, (draft) => change(draft, { innerAlgorithm: rsaWith(13) })),
  },
  {
    id: "outer algorithm that is another, and the signature too",
    apply: (chain, random) => {
      const draft = random.pick(chain.proven)
      const signer = signingBy(rsa(0), rsaWith(12), "sha384")
      change(draft, { outerAlgorithm: RSA_SHA256, signature: (tbs) => signer.sign(tbs) })
    },
  },
  {
    id: "inner and outer algorithm differ in a NULL",
    apply: (chain) => {
      chain.anchor.keys = rsa(0)
      const [draft = chain.leaf] = chain.proven
      change(draft, { outerAlgorithm: seq(oid(`${RSA_PKCS1}.11`)) })
    },
  },
  issuerKeys("RSA without a NULL", (n) => ({ ...rsa(n), algorithm: seq(oid(`${RSA_PKCS1}.11`)) }), true),
  issuerKeys("ECDSA with a NULL", (n) => ({
    ...p256(n),
    algorithm: seq(oid("1.2.840.10045.4.3.2"), NULL),
  })),
  issuerKeys("ECDSA under RSA's name", (n) => ({ ...p256(n), algorithm: RSA_SHA256 })),
  issuerKeys("RSA under ECDSA's name", (n) => ({ ...rsa(n), algorithm: ECDSA_SHA256 })),
  issuerKeys("an unknown signature algorithm", (n) => ({
    ...p256(n),
    algorithm: seq(oid("1.3.6.1.4.1.99999.8")),
  })),
  signature("signature with a flipped bit", (tbs, signer) => {
    const made = signer.sign(tbs)
    return flipped(made, made.length - 3)
  }),
  signature("signature over something else", (tbs, signer) => signer.sign(flipped(tbs, tbs.length - 1))),
  signature("signature by another key", (tbs) => keyOf("p256", 12).sign(tbs)),
  signature("empty signature", () => new Uint8Array()),
  signature("signature of zeros", () => seq(integer(0), integer(0))),
  signature("signature with a byte too many", (tbs, signer) => concat(signer.sign(tbs), Uint8Array.of(0))),
  {
    id: "altered after it was signed",
    apply: inOne(proven, (draft) => {
      // The serial number's last octet: the bytes stay what they look like.
      draft.finish = (der) => {
        const at = Buffer.from(der).indexOf(integer(draft.serial))
        return at < 0 ? der : flipped(der, at + integer(draft.serial).length - 1)
      }
    }),
  },
  {
    id: "anchor whose own signature is broken",
    harmless: true,
    apply: ({ anchor }) => change(anchor, { signature: (tbs) => keyOf("p256", 13).sign(tbs) }),
  },
  {
    id: "anchor that is signed by SHA-1",
    harmless: true,
    apply: ({ anchor }) => {
      const signer = signingBy(rsa(0), rsaWith(5), "sha1")
      anchor.signer = signer
    },
  },
]
