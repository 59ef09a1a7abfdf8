import { concat } from "../bytes.ts"
import type { CurveName } from "../evidence/tpm/public.ts"

/** What goes before the point: id-ecPublicKey, the name of the curve, and the head of the BIT STRING. */
const BEFORE_POINT: Readonly<Record<CurveName, Uint8Array>> = {
  "P-256": Buffer.from("3059301306072a8648ce3d020106082a8648ce3d030107034200", "hex"),
  "P-384": Buffer.from("3076301006072a8648ce3d020106052b81040022036200", "hex"),
  "P-521": Buffer.from("30819b301006072a8648ce3d020106052b8104002303818600", "hex"),
}
const UNCOMPRESSED = Uint8Array.of(0x04)

/**
 * SubjectPublicKeyInfo, DER, of a key of an elliptic curve: what OpenSSL exports, without the fifty microseconds that it takes.
 *
 * @param x Of the size of the curve, as is `y`.
 * @see RFC 5480, 2.
 */
export const ecSpki = (curve: CurveName, x: Uint8Array, y: Uint8Array): Uint8Array =>
  concat(BEFORE_POINT[curve], UNCOMPRESSED, x, y)
