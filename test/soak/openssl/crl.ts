/** CRLs before they are made, as `chain.ts` has certificates. */
import {
  authorityKeyId,
  bitString,
  extension,
  integer,
  type Keys,
  NOT_BEFORE,
  seq,
  time,
  tlv,
} from "../../support/x509.ts"
import type { Chain, Draft } from "./chain.ts"
import { keyIdOf } from "./keys.ts"

/** Extensions of CRLs by their identifiers. */
export const CRL_ID = {
  number: "2.5.29.20",
  deltaIndicator: "2.5.29.27",
  issuingDistributionPoint: "2.5.29.28",
  authorityKeyId: "2.5.29.35",
} as const

/** One CRL to be. */
export interface CrlDraft {
  /** Whose certificates it is about. */
  readonly about: Draft
  issuer: Uint8Array
  signer: Keys
  /** INTEGER 1, or nothing for version 1. */
  version: Uint8Array
  thisUpdate: Date
  nextUpdate: Date | undefined
  /** Encoded entries. */
  entries: Uint8Array[]
  /** Encoded, by identifier. */
  readonly extensions: Map<string, Uint8Array>
  innerAlgorithm?: Uint8Array
  signature?: (tbs: Uint8Array) => Uint8Array
}

/** Seconds before and after the instant in question. */
const HOUR = 3600

/** An instant so many seconds later. */
export const later = (at: Date, seconds: number): Date => new Date(at.getTime() + seconds * 1000)

/** A complete CRL of one issuer, current, that lists nobody of the chain. */
export const usualCrl = (about: Draft, at: Date): CrlDraft => ({
  about,
  issuer: about.subject,
  signer: about.keys,
  version: integer(1),
  thisUpdate: later(at, -HOUR),
  nextUpdate: later(at, HOUR),
  entries: [entry(3), entry(4)],
  extensions: new Map([
    [CRL_ID.authorityKeyId, authorityKeyId(keyIdOf(about.keys))],
    [CRL_ID.number, extension(CRL_ID.number, integer(7))],
  ]),
})

/** One for each issuer of the chain. */
export const usualCrls = ({ issuers, question }: Chain): CrlDraft[] =>
  issuers.map((issuer) => usualCrl(issuer, question.at))

/** An entry for a serial number, with encoded extensions. */
export const entry = (serial: number, ...extensions: readonly Uint8Array[]): Uint8Array =>
  seq(integer(serial), time(NOT_BEFORE), ...(extensions.length === 0 ? [] : [seq(...extensions)]))

/** The DER of a CRL. */
export function makeCrl(draft: CrlDraft): Uint8Array {
  const { signer, entries, nextUpdate } = draft
  const extensions = [...draft.extensions.values()]
  const tbs = seq(
    draft.version,
    draft.innerAlgorithm ?? signer.algorithm,
    draft.issuer,
    time(draft.thisUpdate),
    ...(nextUpdate === undefined ? [] : [time(nextUpdate)]),
    ...(entries.length === 0 ? [] : [seq(...entries)]),
    ...(extensions.length === 0 ? [] : [tlv(0xa0, seq(...extensions))]),
  )
  return seq(tbs, signer.algorithm, bitString((draft.signature ?? signer.sign)(tbs)))
}
