import { sameBytes, toHex } from "../bytes.ts"
import { type Certificate, fingerprintOf } from "../evidence/x509/certificate.ts"
import type { Trust } from "../verification/trust.ts"
import { hashInSlices } from "./long-hash.ts"
import type { ParsedTrust } from "./parse-trust.ts"
import type { Breathe, TrustImport } from "./ports.ts"
import { acceptCertificates, acceptCrl } from "./refresh-accept.ts"
import type { Source } from "./refresh-sources.ts"

/** What loaded bytes are compared with. */
export interface LoadInputs {
  readonly parsed: ParsedTrust
  readonly trust: Trust
  readonly at: Date
  readonly breathe: Breathe
}

/** What may be stored, as the store takes it. */
export type LoadedParts = Pick<TrustImport, "crls" | "intermediates">

/**
 * What is new in the bytes that were loaded from a source; nothing if all of it is kept already.
 *
 * @throws {AssayError} as `acceptCrl` and `acceptCertificates`.
 */
export const newParts = (
  source: Source,
  bytes: Uint8Array,
  inputs: LoadInputs,
): Promise<LoadedParts | undefined> =>
  source.kind === "crl" ? newCrl(source, bytes, inputs) : newCertificates(source, bytes, inputs)

const newCrl = async (
  source: Source,
  bytes: Uint8Array,
  { parsed, ...inputs }: LoadInputs,
): Promise<LoadedParts | undefined> => {
  const accepted = await acceptCrl(bytes, { source, kept: parsed.crls, ...inputs })
  if (accepted.isKept) return undefined
  const id = toHex(await hashInSlices([bytes], inputs.breathe))
  return { crls: [{ source: accepted.source, id, crl: bytes }], intermediates: [] }
}

const newCertificates = async (
  source: Source,
  bytes: Uint8Array,
  { trust, breathe }: LoadInputs,
): Promise<LoadedParts | undefined> => {
  const isKept = ({ bytes: der, subject }: Certificate): boolean =>
    [
      ...trust.anchorsOf(subject).map(({ certificate }) => certificate),
      ...trust.intermediatesOf(subject),
    ].some((other) => sameBytes(other.bytes, der))
  const fresh = (await acceptCertificates(bytes, source, breathe)).filter((one) => !isKept(one))
  if (fresh.length === 0) return undefined
  const intermediates = fresh.map((one) => ({
    id: fingerprintOf(one),
    certificate: one.bytes,
    source: source.url,
  }))
  return { crls: [], intermediates }
}
