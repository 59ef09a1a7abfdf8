/** Keys that the chains of a process share: making them is what takes the time. */
import { constants, generateKeyPairSync, hash, type KeyObject, sign } from "node:crypto"
import { rsaPair } from "../../support/rsa.ts"
import { ECDSA_SHA256, integer, type Keys, NULL, oid, RSA_SHA256, seq, tlv } from "../../support/x509.ts"

/** What keys there are. Those of the second row are too weak to rely on. */
export type KeyKind =
  | ("p256" | "p384" | "p521" | "rsa2048" | "rsa3072" | "ed25519")
  | ("rsa1024" | "secp224r1" | "secp256k1")

/** What good chains are made of. P-521, which nobody uses, would take all that Assay spends on one path. */
export const GOOD_KINDS = ["p256", "p384", "rsa2048", "ed25519"] as const

const ED25519 = seq(oid("1.3.101.112"))
const ECDSA_SHA384 = seq(oid("1.2.840.10045.4.3.3"))
const ECDSA_SHA512 = seq(oid("1.2.840.10045.4.3.4"))

const pool = new Map<string, Keys>()

/** Key number `n` of a kind: the same as long as the process lives. */
export function keyOf(kind: KeyKind, n: number): Keys {
  const name = `${kind} ${n}`
  const known = pool.get(name)
  if (known !== undefined) return known
  const made = makeKeys(kind)
  pool.set(name, made)
  return made
}

const makeKeys = (kind: KeyKind): Keys => {
  switch (kind) {
    case "p256":
      return keys(generateKeyPairSync("ec", { namedCurve: "P-256" }), ECDSA_SHA256, "sha256")
    case "p384":
      return keys(generateKeyPairSync("ec", { namedCurve: "P-384" }), ECDSA_SHA384, "sha384")
    case "p521":
      return keys(generateKeyPairSync("ec", { namedCurve: "P-521" }), ECDSA_SHA512, "sha512")
    case "secp224r1":
    case "secp256k1":
      return keys(generateKeyPairSync("ec", { namedCurve: kind }), ECDSA_SHA256, "sha256")
    case "rsa1024":
    case "rsa2048":
    case "rsa3072":
      return keys(rsaPair(Number(kind.slice(3))), RSA_SHA256, "sha256")
    case "ed25519":
      return keys(generateKeyPairSync("ed25519"), ED25519, null)
  }
}

/** RSA keys with this public exponent. */
export function rsaWithExponent(publicExponent: number): Keys {
  const name = `exponent ${publicExponent}`
  const known = pool.get(name)
  if (known !== undefined) return known
  const made = keys(rsaPair(2048, publicExponent), RSA_SHA256, "sha256")
  pool.set(name, made)
  return made
}

const keys = (
  { privateKey, publicKey }: { readonly privateKey: KeyObject; readonly publicKey: KeyObject },
  algorithm: Uint8Array,
  digest: string | null,
): Keys => ({
  privateKey,
  spki: new Uint8Array(publicKey.export({ type: "spki", format: "der" })),
  algorithm,
  sign: (bytes) => new Uint8Array(sign(digest, bytes, privateKey)),
})

/** The same key, signing under another algorithm. */
export const signingBy = (key: Keys, algorithm: Uint8Array, digest: string): Keys => ({
  ...key,
  algorithm,
  sign: (bytes) => new Uint8Array(sign(digest, bytes, key.privateKey)),
})

const HASH_OIDS = {
  sha1: "1.3.14.3.2.26",
  sha256: "2.16.840.1.101.3.4.2.1",
  sha384: "2.16.840.1.101.3.4.2.2",
  sha512: "2.16.840.1.101.3.4.2.3",
} as const

/** Hashes of RSASSA-PSS. */
export type PssHash = keyof typeof HASH_OIDS

/** An RSA key that signs with RSASSA-PSS (RFC 4055, 3.1). `maskHash` is what it says of its mask, not what it does. */
export const signingByPss = (
  key: Keys,
  digest: PssHash,
  saltLength: number,
  maskHash: PssHash = digest,
): Keys => {
  const hashOf = (name: PssHash): Uint8Array => seq(oid(HASH_OIDS[name]), NULL)
  const params = seq(
    tlv(0xa0, hashOf(digest)),
    tlv(0xa1, seq(oid("1.2.840.113549.1.1.8"), hashOf(maskHash))),
    tlv(0xa2, integer(saltLength)),
  )
  return {
    ...key,
    algorithm: seq(oid("1.2.840.113549.1.1.10"), params),
    sign: (bytes) =>
      new Uint8Array(
        sign(digest, bytes, {
          key: key.privateKey,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength,
        }),
      ),
  }
}

/** The identifier of a key in certificates: 20 bytes. */
export const keyIdOf = ({ spki }: Keys): Uint8Array =>
  new Uint8Array(hash("sha256", spki, "buffer").subarray(0, 20))

/** Whether it is a key of RSA. */
export const isRsa = ({ privateKey }: Keys): boolean => privateKey.asymmetricKeyType === "rsa"
