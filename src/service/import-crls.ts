import { hash } from "node:crypto"
import { lengthPrefixed, toHex, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { type Crl, crlText, parseCrlSlices } from "../evidence/x509/crl.ts"
import { nameText } from "../evidence/x509/name.ts"
import { flawOf } from "../verification/revocation.ts"
import type { Trust } from "../verification/trust.ts"
import { isOlder, isProven } from "./crl-order.ts"
import { hashInSlices } from "./long-hash.ts"
import type { Breathe, CrlRecord, TrustImport } from "./ports.ts"

/** A CRL to import, parsed, and as the store takes it. */
export interface NewCrl {
  readonly crl: Crl
  readonly record: TrustImport["crls"][number]
}

/**
 * Parses a CRL in slices, so that a long one holds nobody up.
 *
 * @throws {AssayError} as `parseCrl`.
 */
export const readCrl = async (der: Uint8Array, breathe: Breathe): Promise<Crl> => {
  const slices = parseCrlSlices(der)
  let slice = slices.next()
  for (; slice.done !== true; slice = slices.next()) await breathe()
  return slice.value
}

/**
 * Reads a CRL to import. What nothing could be decided by must not take the place of a list that something can.
 *
 * @throws {AssayError} CRL, VALIDITY; as `parseCrl`.
 */
export const newCrl = async (der: Uint8Array, at: Date, breathe: Breathe): Promise<NewCrl> => {
  const crl = await readCrl(der, breathe)
  const second = Math.floor(at.getTime() / 1000) * 1000
  const { thisUpdate, nextUpdate = thisUpdate } = crl
  const flaw = flawOf(crl, second)
  if (flaw !== undefined) {
    const isCurrent = second >= thisUpdate && second <= nextUpdate
    throw new AssayError(isCurrent ? "CRL" : "VALIDITY", `${crlText(crl)} ${flaw}`)
  }
  const id = toHex(await hashInSlices([der], breathe))
  return { crl, record: { source: sourceOf(crl), id, crl: der } }
}

/** An issuer may have a list for each of its keys and for each kind of certificate. */
const sourceOf = ({ issuer, authorityKeyIdentifier, issuingDistributionPoint }: Crl): string => {
  const scope = JSON.stringify(issuingDistributionPoint ?? null)
  const parts = lengthPrefixed(utf8(issuer.key), authorityKeyIdentifier ?? new Uint8Array(), utf8(scope))
  return `import:${hash("sha256", parts, "hex")}`
}

/** What a CRL is compared with before it is kept. */
export interface CrlContext {
  /** What is kept of each source. */
  readonly kept: ReadonlyMap<string, CrlRecord>
  /** With what is imported along with the CRL. */
  readonly trust: Trust
  readonly at: Date
  readonly breathe: Breathe
}

/**
 * Refuses a CRL that must not take the place of the one that is kept: an older one, and one that its issuer has not
 * signed. Who could put a list of nobody's there would hide what is revoked, and by its number keep every later one out.
 *
 * @throws {AssayError} VALIDITY, CHAIN.
 */
export const checkCrl = async (
  { crl, record: { source, id } }: NewCrl,
  { kept, trust, at, breathe }: CrlContext,
): Promise<void> => {
  const before = kept.get(source)
  if (before?.id === id) return
  const old = before === undefined ? undefined : await readCrl(before.crl, breathe)
  if (old !== undefined && isOlder(crl, old))
    throw new AssayError("VALIDITY", `${crlText(crl)} is older than the list that is kept`, {
      expected: `${crlText(old)} of ${new Date(old.thisUpdate).toISOString()}, or a later one`,
      actual: new Date(crl.thisUpdate).toISOString(),
    })
  if (isProven(crl, [], trust, at)) return
  throw new AssayError(
    "CHAIN",
    `${crlText(crl)} is signed by nobody who leads to a trust anchor: import its issuer first`,
    {
      expected: `a valid certificate of ${nameText(crl.issuer)} that may sign CRLs, and made this signature`,
    },
  )
}
