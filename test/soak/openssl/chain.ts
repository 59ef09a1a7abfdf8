/**
 * A chain before it is made: a draft of each certificate, which faults change, and how all of them are handed over.
 * Nothing of `src/evidence/x509` is used: what the parser reads is not written by it.
 */
import type { PolicyInputs } from "../../../src/verification/certificate-policies.ts"
import type { Purpose } from "../../../src/verification/purpose.ts"
import {
  authorityKeyId,
  basicConstraints,
  type CertificateParts,
  integer,
  type Keys,
  keyUsage,
  makeCertificate,
  seq,
  subjectKeyId,
  time,
} from "../../support/x509.ts"
import { type CrlDraft, makeCrl, usualCrls } from "./crl.ts"
import { keyIdOf } from "./keys.ts"

/** Extensions by their identifiers. */
export const ID = {
  subjectDirectoryAttributes: "2.5.29.9",
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  issuerAltName: "2.5.29.18",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  crlDistributionPoints: "2.5.29.31",
  policies: "2.5.29.32",
  policyMappings: "2.5.29.33",
  authorityKeyId: "2.5.29.35",
  policyConstraints: "2.5.29.36",
  extKeyUsage: "2.5.29.37",
  inhibitAnyPolicy: "2.5.29.54",
  authorityInfoAccess: "1.3.6.1.5.5.7.1.1",
} as const

/** The key of a certificate and that of its issuer. */
export interface Link {
  readonly keys: Keys
  readonly issuerKeys: Keys
}

/** One certificate to be. Faults change it until it is made. */
export interface Draft {
  readonly serial: number
  keys: Keys
  subject: Uint8Array
  /** Instead of the subject of the draft above. */
  issuer?: Uint8Array
  /** Instead of the key of the draft above. */
  signer?: Keys
  /** Encoded, by identifier, in the order of the certificate; some depend on the keys. */
  readonly extensions: Map<string, Uint8Array | ((link: Link) => Uint8Array)>
  /** Behind them. */
  readonly extra: Uint8Array[]
  changed: Partial<CertificateParts>
  /** The last word on the whole certificate. */
  finish: (der: Uint8Array) => Uint8Array
}

/** What is asked of a chain. */
export interface Question {
  purpose: Purpose
  readonly at: Date
  policies: PolicyInputs
  maxDepth?: number
  /** Whether every certificate has to be on no CRL. */
  crls: boolean
}

/** What both judges are given: DER, one certificate or CRL each. */
export interface Files {
  readonly leaf: Uint8Array
  readonly shown: readonly Uint8Array[]
  readonly anchors: readonly Uint8Array[]
  readonly crls: readonly Uint8Array[]
}

/** Drafts from the anchor down to the leaf, and whatever faults do to them. */
export class Chain {
  /** The anchor first, the leaf last. */
  readonly drafts: Draft[]
  readonly question: Question
  /** Who issued an anchor that is not self-signed: somebody whom nobody else hears of. */
  readonly outside: { readonly keys: Keys; readonly subject: Uint8Array }
  selfSignedAnchor: boolean
  readonly #crlChanges: ((crls: CrlDraft[]) => void)[] = []
  readonly #arrangements: ((files: Files) => Files)[] = []
  #serial = 5000
  #noCrls = false

  constructor(question: Question, outside: Chain["outside"], selfSignedAnchor: boolean) {
    this.drafts = []
    this.question = question
    this.outside = outside
    this.selfSignedAnchor = selfSignedAnchor
  }

  get anchor(): Draft {
    return this.#at(0)
  }

  get leaf(): Draft {
    return this.#at(-1)
  }

  /** CAs between anchor and leaf, from above. */
  get cas(): readonly Draft[] {
    return this.drafts.slice(1, -1)
  }

  /** All that issue: the anchor first. */
  get issuers(): readonly Draft[] {
    return this.drafts.slice(0, -1)
  }

  /** All that have to be proven: the leaf last. */
  get proven(): readonly Draft[] {
    return this.drafts.slice(1)
  }

  /** A CA's draft, to be put among the others. */
  ca(keys: Keys, subject: Uint8Array): Draft {
    return this.#draft(keys, subject, [
      [ID.basicConstraints, basicConstraints(true)],
      [ID.keyUsage, keyUsage(5, 6)],
    ])
  }

  /** A leaf's draft, with extensions that come before those that all certificates have. */
  end(keys: Keys, subject: Uint8Array, extensions: readonly (readonly [string, Uint8Array])[]): Draft {
    return this.#draft(keys, subject, extensions)
  }

  /** Has every certificate checked against CRLs; a fault may change those that would be right. */
  useCrls(change: (crls: CrlDraft[]) => void = () => {}): void {
    this.question.crls = true
    // A judge that wants a CRL for the anchor too has to know who issued it.
    this.selfSignedAnchor = true
    this.changeCrls(change)
  }

  /** Changes the CRLs, if there are any. */
  changeCrls(change: (crls: CrlDraft[]) => void): void {
    this.#crlChanges.push(change)
  }

  /** Has no CRLs at all, whatever else would: there are none about an anchor whose issuer nobody knows. */
  withoutCrls(): void {
    this.#noCrls = true
  }

  /** Changes what is handed over, after everything has been made. */
  arrange(arrangement: (files: Files) => Files): void {
    this.#arrangements.push(arrangement)
  }

  /** The certificate of one draft as it stands. */
  make(draft: Draft): Uint8Array {
    const above = this.#above(draft)
    return this.makeUnder(draft, draft.signer ?? above.keys, draft.issuer ?? above.subject)
  }

  /** The certificate of one draft, as another issuer would make it. */
  makeUnder(draft: Draft, signer: Keys, issuer: Uint8Array): Uint8Array {
    const link = { keys: draft.keys, issuerKeys: signer }
    const extensions = [...draft.extensions.values()].map((value) =>
      typeof value === "function" ? value(link) : value,
    )
    return draft.finish(
      makeCertificate(draft.keys, signer, draft.subject, issuer, [...extensions, ...draft.extra], {
        serialNumber: integer(draft.serial),
        ...draft.changed,
      }),
    )
  }

  /** Makes everything. */
  files(): Files {
    if (this.#noCrls) this.question.crls = false
    const crls = this.question.crls ? usualCrls(this) : []
    for (const change of this.#crlChanges) change(crls)
    const made: Files = {
      leaf: this.make(this.leaf),
      shown: this.cas.map((ca) => this.make(ca)),
      anchors: [this.make(this.anchor)],
      crls: crls.map(makeCrl),
    }
    return this.#arrangements.reduce((files, arrange) => arrange(files), made)
  }

  #above(draft: Draft): { readonly keys: Keys; readonly subject: Uint8Array } {
    const index = this.drafts.indexOf(draft)
    if (index > 0) return this.#at(index - 1)
    return this.selfSignedAnchor ? draft : this.outside
  }

  #draft(keys: Keys, subject: Uint8Array, first: readonly (readonly [string, Uint8Array])[]): Draft {
    this.#serial += 1
    return {
      serial: this.#serial,
      keys,
      subject,
      extensions: new Map<string, Uint8Array | ((link: Link) => Uint8Array)>([
        ...first,
        [ID.subjectKeyId, (link) => subjectKeyId(keyIdOf(link.keys))],
        [ID.authorityKeyId, (link) => authorityKeyId(keyIdOf(link.issuerKeys))],
      ]),
      extra: [],
      changed: {},
      finish: (der) => der,
    }
  }

  #at(index: number): Draft {
    const draft = this.drafts.at(index)
    if (draft === undefined) throw new RangeError("a chain without certificates")
    return draft
  }
}

/** Changes parts of a certificate. */
export const change = (draft: Draft, parts: Partial<CertificateParts>): void => {
  draft.changed = { ...draft.changed, ...parts }
}

/** Makes a certificate valid from one instant to another. */
export const valid = (draft: Draft, from: Date, to: Date): void =>
  change(draft, { validity: seq(time(from), time(to)) })
