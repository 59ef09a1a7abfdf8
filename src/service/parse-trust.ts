import { LRUCache } from "lru-cache"
import { AssayError } from "../errors.ts"
import { type Certificate, parseCertificate } from "../evidence/x509/certificate.ts"
import { type Crl, parseCrlSlices } from "../evidence/x509/crl.ts"
import type { Anchor } from "../verification/trust.ts"
import type { Breathe, TrustRecord } from "./ports.ts"

/** A tenant's trust with everything in it parsed, as of one generation. */
export interface ParsedTrust {
  readonly generation: number
  readonly anchors: readonly Anchor[]
  readonly intermediates: readonly KeptCertificate[]
  readonly crls: readonly KeptCrl[]
}

/** An intermediate certificate with where it came from. */
export interface KeptCertificate {
  readonly certificate: Certificate
  readonly source: string
  readonly addedAt: Date
}

/** A CRL with where it came from. */
export interface KeptCrl {
  readonly crl: Crl
  readonly source: string
  readonly addedAt: Date
}

/** Parses what the store keeps. @throws {AssayError} TRUST: one thing that cannot be read fails all of it. */
export type ParseTrust = (tenant: string, record: TrustRecord) => Promise<ParsedTrust>

/** Certificates between two breaths: about a millisecond. */
const SLICE = 20
/** Tenants whose last generation is remembered. */
const TENANTS_MAX = 100

/** What was parsed of a tenant's last generation, by id. */
interface Memo {
  readonly generation: number
  readonly certificates: Map<string, Certificate>
  readonly crls: Map<string, Crl>
}

/**
 * Makes a parser that works in slices and lets others work between them. What a tenant's last generation had is not
 * parsed again: the same certificate and the same CRL are the same object in the next, and whatever is remembered of
 * them stays remembered. An id is the digest of the bytes, which the store has compared.
 */
export const createParseTrust = (breathe: Breathe): ParseTrust => {
  const memos = new LRUCache<string, Memo>({ max: TENANTS_MAX })
  return async (tenant, record) => {
    const last = memos.get(tenant)
    const memo: Memo = { generation: record.generation, certificates: new Map(), crls: new Map() }
    let parsed = 0
    const certificateOf = async (id: string, bytes: Uint8Array): Promise<Certificate> => {
      const known = memo.certificates.get(id) ?? last?.certificates.get(id)
      if (known === undefined && ++parsed % SLICE === 0) await breathe()
      const certificate = known ?? readable(id, () => parseCertificate(bytes, `certificate ${id}`))
      memo.certificates.set(id, certificate)
      return certificate
    }
    const crlOf = async (id: string, bytes: Uint8Array): Promise<Crl> => {
      const known = memo.crls.get(id) ?? last?.crls.get(id)
      if (known === undefined && ++parsed % SLICE === 0) await breathe()
      const crl = known ?? (await parseInSlices(id, bytes, breathe))
      memo.crls.set(id, crl)
      return crl
    }

    const anchors: Anchor[] = []
    for (const { id, certificate, purpose, revocation } of record.anchors)
      anchors.push({ certificate: await certificateOf(id, certificate), purpose, revocation })
    const intermediates: KeptCertificate[] = []
    for (const { id, certificate, source, addedAt } of record.intermediates)
      intermediates.push({ certificate: await certificateOf(id, certificate), source, addedAt })
    const crls: KeptCrl[] = []
    for (const { id, crl, source, addedAt } of record.crls)
      crls.push({ crl: await crlOf(id, crl), source, addedAt })

    if (record.generation >= (memos.get(tenant)?.generation ?? 0)) memos.set(tenant, memo)
    return { generation: record.generation, anchors, intermediates, crls }
  }
}

const parseInSlices = async (id: string, bytes: Uint8Array, breathe: Breathe): Promise<Crl> => {
  const slices = parseCrlSlices(bytes, `CRL ${id}`)
  for (;;) {
    const slice = readable(id, () => slices.next())
    if (slice.done === true) return slice.value
    await breathe()
  }
}

/** Imports parse first, so that what cannot be read now has been damaged since. */
const readable = <T>(id: string, parse: () => T): T => {
  try {
    return parse()
  } catch (cause) {
    throw new AssayError("TRUST", `what is kept as ${id} cannot be read`, { location: id, cause })
  }
}
