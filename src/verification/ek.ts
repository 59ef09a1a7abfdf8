import { hash, type KeyObject } from "node:crypto"
import { concat, toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { algorithmId, type HashName } from "../evidence/tpm/algorithm.ts"
import { type EkTemplateName, ekAreaOf, ekTemplatesFor } from "../evidence/tpm/ek-template.ts"
import type { PublicArea, PublicKey } from "../evidence/tpm/public.ts"
import { type Certificate, certificateText } from "../evidence/x509/certificate.ts"
import { publicKeyText } from "../evidence/x509/public-key.ts"
import type { CertificatePath } from "./chain.ts"
import { createKeyObject } from "./key.ts"
import { type Verified, vouch } from "./verified.ts"
import { checkNotDenied, type DeniedKeys } from "./weak-key.ts"

/** What a device shows of its endorsement key. */
export interface UntrustedEndorsementKey {
  /** The path of the key's certificate, for the purpose `ek`; nothing for a key that has none. */
  readonly path: Verified<CertificatePath> | undefined
  /** What the device says that its TPM says; nothing if it sent only the certificate. */
  readonly area: PublicArea | undefined
}

/** An endorsement key that credentials can be made for. */
export interface EndorsementKey {
  /** As the TPM has it: rebuilt from the key and the template, and the same as what the device sent. */
  readonly area: PublicArea
  readonly template: EkTemplateName
  /** The template's. */
  readonly nameAlg: HashName
  readonly keyObject: KeyObject
  /** SubjectPublicKeyInfo, DER, in its one usual form. */
  readonly spki: Uint8Array
  /** SHA-256 of `spki`: what the key is known by, in the registry and in the tenant's list. 32 bytes. */
  readonly digest: Uint8Array
  /** Who vouches for the key. Without any, it is genuine only if its digest is on the tenant's list. */
  readonly path: Verified<CertificatePath> | undefined
}

/**
 * Makes what a device shows into an endorsement key, if it is one by a template that Assay knows.
 *
 * The public area is rebuilt from the certificate's key, or without a certificate from the area's own, by each template
 * for such keys. What the device sent has to be one of these, byte for byte: with it come the attributes (restricted,
 * decrypt, not sign, fixedTPM, fixedParent, sensitiveDataOrigin), the policy, the nameAlg and the size of AES, none of
 * which the device chooses.
 *
 * A certificate alone does not say by which template the key was made, where there are two for its kind, RSA-2048 and
 * P-256. Devices send the area for that reason. Without one the low range is taken; a credential is the same for both,
 * for they differ in neither nameAlg nor AES, and the record alone may then name the wrong one of the two.
 *
 * @throws {AssayError} EK_MISSING if there is neither; EK_TEMPLATE for an area that is none of the rebuilt ones, and for
 *   a key of a kind without template; WEAK_KEY, WEAK_ALG, EC_PARAMS, ROCA, KEY_DENIED.
 * @see TCG EK Credential Profile 2.5, annex B.
 */
export function verifyEndorsementKey(
  { path, area }: UntrustedEndorsementKey,
  denied: DeniedKeys,
): Verified<EndorsementKey> {
  const key = path === undefined ? area?.key : certifiedKey(path.leaf)
  if (key === undefined)
    throw new AssayError("EK_MISSING", "neither a certificate nor a public area of the endorsement key", {
      location: "endorsement key",
    })
  const rebuilt = ekTemplatesFor(key).map((template) => ({ template, area: ekAreaOf(template, key) }))
  const [first] = rebuilt
  if (first === undefined)
    throw refused("kind of key", "RSA-2048, -3072, -4096, P-256, P-384, P-521", kindOf(key))
  const found = area === undefined ? first : sameArea(area, rebuilt)
  const keyObject = createKeyObject(key)
  const spki = new Uint8Array(keyObject.export({ type: "spki", format: "der" }))
  checkNotDenied(spki, denied, "endorsement key")
  const digest = hash("sha256", spki, "buffer")
  return vouch({ ...found, nameAlg: found.area.nameAlg, keyObject, spki, digest, path })
}

/** The certificate's key as a TPM has it. A leaf of a path has been checked: its point is 04, x, y. */
const certifiedKey = (leaf: Certificate): PublicKey => {
  const { publicKey } = leaf
  switch (publicKey.kind) {
    case "rsa": {
      const { modulus } = publicKey
      const exponent = publicKey.exponent.reduce((sum, octet) => sum * 256 + octet, 0)
      return { kind: "rsa", keyBits: 8 * modulus.length, exponent, modulus }
    }
    case "ec": {
      const { curve, point } = publicKey
      const y = (point.length + 1) / 2
      return { kind: "ecc", curve, x: point.subarray(1, y), y: point.subarray(y) }
    }
    default:
      throw refused(certificateText(leaf), "RSA or ECC", publicKeyText(publicKey))
  }
}

interface Rebuilt {
  readonly template: EkTemplateName
  readonly area: PublicArea
}

/** What is compared, field by field, so that an error names the first difference. The last one is all of it. */
const FIELDS: readonly (readonly [name: string, said: (area: PublicArea) => string])[] = [
  ["kind of key", ({ key }) => kindOf(key)],
  ["nameAlg", ({ nameAlg }) => nameAlg],
  ["objectAttributes", ({ attributes }) => attributes.toString(16).padStart(8, "0")],
  ["authPolicy", ({ authPolicy }) => toHex(authPolicy)],
  ["symmetric", symmetricOf],
  ["scheme", ({ scheme }) => scheme.kind],
  ["unique", ({ key }) => toHex(key.kind === "rsa" ? key.modulus : concat(key.x, key.y))],
  ["encoding", ({ bytes }) => toHex(bytes)],
]

/** The one of the rebuilt areas that the device sent. @throws {AssayError} EK_TEMPLATE. */
const sameArea = (sent: PublicArea, rebuilt: readonly Rebuilt[]): Rebuilt => {
  const same = rebuilt.find(({ area }) => toHex(area.bytes) === toHex(sent.bytes))
  if (same !== undefined) return same
  let left = rebuilt
  for (const [name, said] of FIELDS) {
    const fitting = left.filter(({ area }) => said(area) === said(sent))
    if (fitting.length === 0)
      throw refused(name, [...new Set(left.map(({ area }) => said(area)))].join(" or "), said(sent))
    left = fitting
  }
  throw new TypeError("areas of the same bytes are the same")
}

const kindOf = (key: PublicKey): string => (key.kind === "rsa" ? `RSA-${key.keyBits}` : key.curve)

function symmetricOf({ symmetric }: PublicArea): string {
  if (symmetric === undefined) return "NULL"
  return `${algorithmId(symmetric.algorithm)}, ${symmetric.keyBits} bits, mode ${algorithmId(symmetric.mode)}`
}

const refused = (field: string, expected: string, actual: string): AssayError =>
  new AssayError("EK_TEMPLATE", `the endorsement key is not made by a template that Assay knows: ${field}`, {
    location: `ek_public: ${field}`,
    expected,
    actual,
  })
