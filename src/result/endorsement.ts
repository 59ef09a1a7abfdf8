import { certificateText, fingerprintOf } from "../evidence/x509/certificate.ts"
import type { Deviation } from "../evidence/x509/der.ts"
import type { CertificatePath } from "../verification/chain.ts"
import type { Endorsements } from "../verification/endorsements.ts"
import type { RevocationStatus } from "../verification/revocation.ts"
import type { TpmIdentity } from "../verification/tpm-identity.ts"

/** What a result tells of a key's certificate path: what was believed, of whom, and what was looked at. */
export interface EndorsementResult {
  readonly key: "ak" | "ek"
  readonly tpm: TpmIdentity | undefined
  /** Subject of the trust anchor, and SHA-256 of its certificate in hexadecimal. */
  readonly anchor: string
  readonly anchorId: string
  /** For each certificate of the path, the leaf first. */
  readonly revocation: readonly RevocationStatus[]
  readonly deviations: readonly Deviation[]
  /** The certificate is past its notAfter, which the policy bears. */
  readonly expired: boolean
  readonly validUntil: Date
}

/** The endorsements of a result. A listed key has no path to tell of. */
export const endorsementsOf = ({ ak, ek }: Endorsements): EndorsementResult[] => [
  ...(ak === undefined ? [] : [toResult("ak", ak)]),
  ...(ek === undefined ? [] : [toResult("ek", ek)]),
]

const toResult = (key: "ak" | "ek", path: CertificatePath): EndorsementResult => ({
  key,
  tpm: path.tpm,
  anchor: certificateText(path.anchor.certificate),
  anchorId: fingerprintOf(path.anchor.certificate),
  revocation: path.revocation,
  deviations: path.deviations,
  expired: path.expired,
  validUntil: path.validUntil,
})
