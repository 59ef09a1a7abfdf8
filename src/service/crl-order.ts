/** Which CRL may take the place of which: a newer one, and one that somebody who is trusted has signed. */

import { toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { Certificate } from "../evidence/x509/certificate.ts"
import type { Crl } from "../evidence/x509/crl.ts"
import { isSignedBy } from "../verification/certificate-key.ts"
import { flawOfSigner } from "../verification/revocation.ts"
import type { Trust } from "../verification/trust.ts"
import { pathOf } from "./refresh-sources.ts"

/** Who could bring an older list back could bring back what it did not revoke yet. */
export const isOlder = (crl: Crl, kept: Crl): boolean =>
  crl.thisUpdate < kept.thisUpdate || numberOf(crl) < numberOf(kept)

/** At most 20 octets, big-endian, without a sign. */
const numberOf = ({ number = new Uint8Array() }: Crl): bigint => BigInt(`0x0${toHex(number)}`)

/**
 * The certificate that signed the CRL: one of its issuer that may sign CRLs, and has a path to an anchor. Nothing if there
 * is none.
 *
 * @param shown Certificates beside those in the trust, on the paths and as signers. Nothing in them is trusted.
 */
export const signerOf = (
  crl: Crl,
  shown: readonly Certificate[],
  trust: Trust,
  at: Date,
): Certificate | undefined =>
  [
    ...trust.anchorsOf(crl.issuer).map(({ certificate }) => certificate),
    ...trust.intermediatesOf(crl.issuer),
    ...shown.filter(({ subject }) => subject.key === crl.issuer.key),
  ].find(
    (signer) =>
      // A path comes before the signature: hashing a long CRL is only worth it for a key that somebody vouches for.
      flawOfSigner(crl, signer) === undefined &&
      pathOf({ certificate: signer, shown }, trust, at) !== undefined &&
      isLink(crl, signer),
  )

/** Whether anybody has signed the CRL who may; as `signerOf`. */
export const isProven = (...about: Parameters<typeof signerOf>): boolean => signerOf(...about) !== undefined

/** Whether the certificate's key made the signature; not so if the two do not go together at all. */
export const isLink = (signed: Parameters<typeof isSignedBy>[0], issuer: Certificate): boolean => {
  try {
    return isSignedBy(signed, issuer)
  } catch (error) {
    if (error instanceof AssayError) return false
    throw error
  }
}
