import { type Deviation, TAG } from "./der.ts"
import type { DerReader } from "./der-reader.ts"

/** Hashes that a signature in a chain may use. */
export type SignatureHash = "sha256" | "sha384" | "sha512"

/** The algorithm of a signature over a certificate or CRL. */
export type SignatureAlgorithm =
  | { readonly kind: "rsassa" | "ecdsa"; readonly hash: SignatureHash }
  | { readonly kind: "rsapss"; readonly hash: SignatureHash; readonly saltLength: number }
  | { readonly kind: "ed25519" }
  /** Known and refused: MD5, SHA-1, DSA. */
  | { readonly kind: "weak"; readonly text: string }
  | { readonly kind: "unsupported"; readonly text: string }

const RSA_PSS = "1.2.840.113549.1.1.10"
const MGF1 = "1.2.840.113549.1.1.8"

/** By identifier. RSA's have a NULL for parameters or none (RFC 4055, 5), those of ECDSA and Ed25519 none at all. */
const PLAIN: ReadonlyMap<string, SignatureAlgorithm> = new Map([
  ["1.2.840.113549.1.1.11", { kind: "rsassa", hash: "sha256" }],
  ["1.2.840.113549.1.1.12", { kind: "rsassa", hash: "sha384" }],
  ["1.2.840.113549.1.1.13", { kind: "rsassa", hash: "sha512" }],
  ["1.2.840.10045.4.3.2", { kind: "ecdsa", hash: "sha256" }],
  ["1.2.840.10045.4.3.3", { kind: "ecdsa", hash: "sha384" }],
  ["1.2.840.10045.4.3.4", { kind: "ecdsa", hash: "sha512" }],
  ["1.3.101.112", { kind: "ed25519" }],
])

const WEAK: ReadonlyMap<string, string> = new Map([
  ["1.2.840.113549.1.1.2", "md2WithRSAEncryption"],
  ["1.2.840.113549.1.1.4", "md5WithRSAEncryption"],
  ["1.2.840.113549.1.1.5", "sha1WithRSAEncryption"],
  ["1.3.14.3.2.29", "sha1WithRSASignature"],
  ["1.2.840.10045.4.1", "ecdsa-with-SHA1"],
  ["1.2.840.10040.4.3", "dsa-with-SHA1"],
  ["2.16.840.1.101.3.4.3.1", "dsa-with-SHA224"],
  ["2.16.840.1.101.3.4.3.2", "dsa-with-SHA256"],
  ["1.2.840.113549.1.1.14", "sha224WithRSAEncryption"],
  ["1.2.840.10045.4.3.1", "ecdsa-with-SHA224"],
])

const HASHES: ReadonlyMap<string, SignatureHash> = new Map([
  ["2.16.840.1.101.3.4.2.1", "sha256"],
  ["2.16.840.1.101.3.4.2.2", "sha384"],
  ["2.16.840.1.101.3.4.2.3", "sha512"],
])

/** A salt longer than any hash in use makes a signature no safer. */
const SALT_MAX = 512

/** Reads the elements of an AlgorithmIdentifier of a signature. @throws {AssayError} CERTIFICATE. */
export function readSignatureAlgorithm(r: DerReader, deviations: Set<Deviation>): SignatureAlgorithm {
  const oid = r.oid("algorithm")
  if (oid === RSA_PSS) return readPss(r)
  const plain = PLAIN.get(oid)
  if (plain === undefined) {
    const weak = WEAK.get(oid)
    return weak === undefined ? { kind: "unsupported", text: oid } : { kind: "weak", text: weak }
  }
  if (r.tag === TAG.null) {
    r.content(TAG.null, "parameters")
    if (plain.kind === "ecdsa") deviations.add("null-parameters")
    else if (plain.kind !== "rsassa") throw r.error("CERTIFICATE", "parameters", "not what belongs here")
  }
  r.end()
  return plain
}

/**
 * RSASSA-PSS-params (RFC 4055, 3.1). Hash and mask hash must be the same. Their default is SHA-1, so that parameters
 * that leave them out are weak.
 */
function readPss(r: DerReader): SignatureAlgorithm {
  if (r.tag === 0) return { kind: "weak", text: "rsassaPss with SHA-1" }
  const params = r.sequence("parameters")
  r.end()
  const hashOid = params.optional(0xa0, () => readHash(params.constructed(0xa0, "hashAlgorithm")))
  const maskOid = params.optional(0xa1, () => {
    const wrapper = params.constructed(0xa1, "maskGenAlgorithm")
    const mask = wrapper.sequence("mask")
    wrapper.end()
    return mask.oid("algorithm") === MGF1 ? readHash(mask) : undefined
  })
  const saltLength =
    params.optional(0xa2, () => {
      const salt = params.constructed(0xa2, "saltLength")
      const length = salt.smallInteger("saltLength", SALT_MAX)
      salt.end()
      if (length === SALT_LENGTH_DEFAULT) throw salt.error("DER", undefined, "a default that is spelled out")
      return length
    }) ?? SALT_LENGTH_DEFAULT
  // The one trailer that there is is the default, and a default is not spelled out.
  params.end()
  const hash = HASHES.get(hashOid ?? "")
  if (hash === undefined) return { kind: "weak", text: `rsassaPss with ${hashOid ?? "SHA-1"}` }
  if (maskOid !== hashOid) return { kind: "unsupported", text: `rsassaPss whose mask has another hash` }
  return { kind: "rsapss", hash, saltLength }
}

const SALT_LENGTH_DEFAULT = 20

const readHash = (r: DerReader): string => {
  const hash = r.sequence("hash")
  r.end()
  const oid = hash.oid("algorithm")
  hash.optional(TAG.null, () => hash.content(TAG.null, "parameters"))
  hash.end()
  return oid
}

/** The algorithm as people read it. */
export const algorithmText = (algorithm: SignatureAlgorithm): string => {
  switch (algorithm.kind) {
    case "rsassa":
    case "ecdsa":
      return `${algorithm.kind}-${algorithm.hash}`
    case "rsapss":
      return `rsapss-${algorithm.hash}, salt of ${algorithm.saltLength} bytes`
    case "ed25519":
      return "ed25519"
    case "weak":
    case "unsupported":
      return algorithm.text
  }
}
