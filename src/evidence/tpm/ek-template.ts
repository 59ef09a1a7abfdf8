import { fromHex } from "../../bytes.ts"
import { type HashName, TPM_ALG_AES, TPM_ALG_CFB } from "./algorithm.ts"
import { encodePublic } from "./encode.ts"
import { type CurveName, type PublicArea, type PublicKey, parsePublicArea } from "./public.ts"

/** The kind of key that a template is for. */
export type EkKey =
  | { readonly kind: "rsa"; readonly keyBits: number }
  | { readonly kind: "ecc"; readonly curve: CurveName }

/** What a template of the TCG says about an endorsement key, but for the key itself. */
export interface EkTemplate {
  readonly key: EkKey
  readonly nameAlg: HashName
  /** TPMA_OBJECT. */
  readonly attributes: number
  /** Whom the TPM lets use the key. */
  readonly authPolicy: Uint8Array
  /** Of AES in CFB mode, with which the key protects what it wraps. */
  readonly aesBits: 128 | 256
  /** NV index of the certificate of a key made by this template. */
  readonly certificateIndex: number
}

/** fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt. */
const LOW_RANGE = 0x000300b2
/** The same, and userWithAuth. */
const HIGH_RANGE = 0x000300f2

const bytesOf = (hex: string): Uint8Array => fromHex(hex) ?? new Uint8Array()

/** Policy A: PolicySecret of the endorsement hierarchy. */
const POLICY_A = bytesOf("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")

/** Policy B: PolicyOR of A and C, where C is PolicyAuthorizeNV of an index that the TPM's owner may write. */
const POLICY_B = {
  sha256: bytesOf("ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0"),
  sha384: bytesOf(
    "b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12",
  ),
  sha512: bytesOf(
    "b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a4" +
      "29c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea",
  ),
}

const low = (key: EkKey, certificateIndex: number): EkTemplate => ({
  key,
  nameAlg: "sha256",
  attributes: LOW_RANGE,
  authPolicy: POLICY_A,
  aesBits: 128,
  certificateIndex,
})

const high = (
  key: EkKey,
  nameAlg: keyof typeof POLICY_B,
  aesBits: 128 | 256,
  certificateIndex: number,
): EkTemplate => ({
  key,
  nameAlg,
  attributes: HIGH_RANGE,
  authPolicy: POLICY_B[nameAlg],
  aesBits,
  certificateIndex,
})

/**
 * The templates that Assay knows, by the names of the TCG: those of the low range, which are in every TPM for PCs since
 * 2014, then those of the high range. Where two are for one kind of key, the one of the low range comes first.
 *
 * @see TCG EK Credential Profile for TPM Family 2.0, 2.5, annex B.
 */
export const EK_TEMPLATES = {
  "L-1": low({ kind: "rsa", keyBits: 2048 }, 0x01c00002),
  "L-2": low({ kind: "ecc", curve: "P-256" }, 0x01c0000a),
  "H-1": high({ kind: "rsa", keyBits: 2048 }, "sha256", 128, 0x01c00012),
  "H-2": high({ kind: "ecc", curve: "P-256" }, "sha256", 128, 0x01c00014),
  "H-3": high({ kind: "ecc", curve: "P-384" }, "sha384", 256, 0x01c00016),
  "H-4": high({ kind: "ecc", curve: "P-521" }, "sha512", 256, 0x01c00018),
  "H-6": high({ kind: "rsa", keyBits: 3072 }, "sha384", 256, 0x01c0001c),
  "H-7": high({ kind: "rsa", keyBits: 4096 }, "sha384", 256, 0x01c0001e),
} as const satisfies Record<string, EkTemplate>

/** The TCG's name of a template. */
export type EkTemplateName = keyof typeof EK_TEMPLATES

/** In the order of the table. */
export const EK_TEMPLATE_NAMES: readonly EkTemplateName[] = [
  "L-1",
  "L-2",
  "H-1",
  "H-2",
  "H-3",
  "H-4",
  "H-6",
  "H-7",
]

/** The templates for keys of this kind, the low range first; none for a key that no TPM endorses. */
export const ekTemplatesFor = (key: EkKey): readonly EkTemplateName[] =>
  EK_TEMPLATE_NAMES.filter((name) => {
    const wanted: EkKey = EK_TEMPLATES[name].key
    if (wanted.kind === "rsa") return key.kind === "rsa" && key.keyBits === wanted.keyBits
    return key.kind === "ecc" && key.curve === wanted.curve
  })

/**
 * The public area of the endorsement key that a TPM makes by the template, byte for byte as the TPM has it: exponent 0
 * for 65537, coordinates of the curve's full size. The template's own unique field plays no part.
 */
export function ekAreaOf(name: EkTemplateName, key: PublicKey): PublicArea {
  const { nameAlg, attributes, authPolicy, aesBits }: EkTemplate = EK_TEMPLATES[name]
  const symmetric = { algorithm: TPM_ALG_AES, keyBits: aesBits, mode: TPM_ALG_CFB }
  return parsePublicArea(encodePublic({ nameAlg, attributes, authPolicy, symmetric, scheme: undefined, key }))
}
