import { sameBytes } from "../../../src/bytes.ts"
import { NOT_BEFORE, seq, time } from "../../support/x509.ts"
import type { Case } from "./case.ts"
import { type Chain, ID, valid } from "./chain.ts"
import { entry, later } from "./crl.ts"
import type { Asked } from "./judges.ts"
import { inside } from "./names.ts"

/**
 * A reason for which `openssl verify` may refuse what Assay accepts. To have such a fault explains nothing by itself:
 * OpenSSL has to accept the case with that one thing put right, or without what is asked about it.
 */
export interface Reason {
  readonly id: string
  /** Why Assay is right to accept. */
  readonly text: string
  /** Faults by which it comes, by their ids. */
  readonly faults: readonly string[]
  /** Puts that one thing right, after all faults. */
  readonly repair?: (chain: Chain) => void
  /** Asks something else of OpenSSL. */
  readonly relax?: (asked: Asked, one: Case) => Asked
}

/**
 * Proven by OpenSSL's accepting the same files in another order, or the path that Assay found with no other certificate to
 * choose from, or one CRL less.
 */
export const SEARCH: Reason = {
  id: "search",
  text: "OpenSSL takes one issuer and one CRL of a name, and does not go back to try another",
  faults: [
    "another CA of the same name and key identifier, and another key",
    "a certificate of the same CA that permits nothing",
    "a certificate of the same CA with a broken signature",
    "a CA that a stranger certified too",
  ],
}

/** The closed list. Whatever is neither on it nor `SEARCH` fails the suite. */
export const REASONS: readonly Reason[] = [
  {
    id: "last second",
    text: "both ends belong to a validity (RFC 5280, 4.1.2.5); to OpenSSL the end does not",
    faults: ["in its last second", "CRL in its last second"],
    repair: (chain) => {
      const { at } = chain.question
      const ending = seq(time(NOT_BEFORE), time(at))
      for (const draft of chain.drafts)
        if (sameBytes(draft.changed.validity ?? seq(), ending)) valid(draft, NOT_BEFORE, later(at, 1))
      chain.changeCrls((crls) => {
        for (const crl of crls) if (crl.nextUpdate?.getTime() === at.getTime()) crl.nextUpdate = later(at, 1)
      })
    },
  },
  {
    id: "profile of CAs",
    text: "RFC 5280, 4.2 tells CAs what to issue; 6.1 does not refuse it, and makers of TPMs do otherwise",
    faults: [
      "CA whose basicConstraints are not critical",
      "CA without keyUsage",
      "leaf without keyUsage",
      "no subject, but an alternative name",
      "no subject, but a critical alternative name",
      "no name at all",
      "no identifier of the issuer's key",
      "no identifier of a CA's key",
      "issuer's key identifier is empty",
    ],
    relax: ({ question }) => ({ question, strict: false }),
  },
  {
    id: "key identifiers",
    text: "identifiers of keys are hints for the search (RFC 4158, 3.5.12); what decides is the signature",
    faults: [
      "issuer's key identifier is another's",
      "issuer's key identifier is of no bytes",
      "issuer by another's serial number",
      "no identifier of a CA's key",
      "the same key identifier in all CAs",
    ],
    repair: (chain) => {
      const usual = chain.ca(chain.anchor.keys, chain.anchor.subject).extensions
      for (const { extensions } of chain.drafts)
        for (const id of [ID.subjectKeyId, ID.authorityKeyId]) {
          const value = usual.get(id)
          if (value !== undefined) extensions.set(id, value)
        }
    },
  },
  {
    id: "common name",
    text: "a common name is no host name, unless to a web client",
    faults: ["host name as common name, outside"],
    repair: ({ leaf }) => {
      leaf.subject = inside("Leaf")
    },
  },
  {
    id: "anchor",
    text: "an anchor is trusted by decision: no CRL is asked about it, and none takes that back",
    faults: [
      "anchor on its own CRL",
      "CRL of a distribution point that nobody names",
      "CRL of another distribution point than the one that is named",
    ],
    repair: (chain) => {
      const { anchor } = chain
      const [point] = chain.proven.map(({ extensions }) => extensions.get(ID.crlDistributionPoints))
      if (point !== undefined) anchor.extensions.set(ID.crlDistributionPoints, point)
      chain.changeCrls((crls) => {
        for (const crl of crls)
          crl.entries = crl.entries.filter((one) => !sameBytes(one, entry(anchor.serial)))
      })
    },
  },
  {
    id: "self-issued",
    text: "self-issued CAs do not count for a path's length (RFC 5280, 6.1.4 (l)); OpenSSL counts them for its limit",
    faults: [
      "CA that changed its key, and a limit of CAs",
      "a limit of CAs that is one too small",
      "a limit of CAs that is just enough",
    ],
    relax: ({ question, strict }, { selfIssued }) => {
      const { maxDepth } = question
      return maxDepth === undefined
        ? { question, strict }
        : { question: { ...question, maxDepth: maxDepth + selfIssued }, strict }
    },
  },
  {
    id: "string types",
    text: "a name may have values of any type (RFC 5280, 4.1.2.4); OpenSSL does not read all of them",
    faults: ["issuer's name as VisibleString", "issuer's name as OCTET STRING"],
    repair: ({ drafts }) => {
      for (const draft of drafts) delete draft.issuer
    },
  },
]
