import { basicConstraints, boolean, extension, integer, keyUsage, seq, tlv } from "../../../support/x509.ts"
import { type Chain, change, type Draft, ID } from "../chain.ts"
import { all, cas, type Fault, hasCa, inOne, isAny, issuers, leaf } from "./fault.ts"

const V2 = tlv(0xa0, integer(1))
const V1 = new Uint8Array()

/** How many CAs that are not self-issued follow below a draft. */
const below = ({ drafts }: Chain, draft: Draft): number => drafts.length - drafts.indexOf(draft) - 2

/** Who may issue what. */
export const AUTHORITY: readonly Fault[] = [
  {
    id: "CA without basicConstraints",
    apply: inOne(issuers, (draft) => draft.extensions.delete(ID.basicConstraints)),
  },
  {
    id: "CA whose cA is left out",
    apply: inOne(issuers, (draft) =>
      draft.extensions.set(ID.basicConstraints, extension(ID.basicConstraints, seq(), true)),
    ),
  },
  {
    id: "CA whose basicConstraints are not critical",
    harmless: true,
    apply: inOne(issuers, (draft) =>
      draft.extensions.set(ID.basicConstraints, extension(ID.basicConstraints, seq(boolean(true)))),
    ),
  },
  {
    id: "pathLen one too small",
    fits: hasCa,
    apply: (chain, random) => {
      const draft = random.pick(chain.issuers.slice(0, -1))
      draft.extensions.set(ID.basicConstraints, basicConstraints(true, below(chain, draft) - 1))
    },
  },
  {
    id: "pathLen just enough",
    harmless: true,
    apply: inOne(issuers, (draft, chain) =>
      draft.extensions.set(ID.basicConstraints, basicConstraints(true, below(chain, draft))),
    ),
  },
  {
    id: "pathLen of 2^40",
    apply: inOne(issuers, (draft) =>
      draft.extensions.set(
        ID.basicConstraints,
        extension(ID.basicConstraints, seq(boolean(true), integer(2n ** 40n)), true),
      ),
    ),
  },
  {
    id: "pathLen below zero",
    apply: inOne(issuers, (draft) =>
      draft.extensions.set(
        ID.basicConstraints,
        extension(ID.basicConstraints, seq(boolean(true), tlv(0x02, Uint8Array.of(0xff))), true),
      ),
    ),
  },
  {
    id: "pathLen on a leaf",
    apply: inOne(leaf, (draft) =>
      draft.extensions.set(ID.basicConstraints, extension(ID.basicConstraints, seq(integer(0)), true)),
    ),
  },
  {
    id: "leaf without basicConstraints",
    harmless: true,
    apply: inOne(leaf, (draft) => draft.extensions.delete(ID.basicConstraints)),
  },
  {
    id: "leaf that is a CA",
    harmless: true,
    fits: isAny,
    apply: inOne(leaf, (draft) => {
      draft.extensions.set(ID.basicConstraints, basicConstraints(true))
      draft.extensions.set(ID.keyUsage, keyUsage(5, 6))
    }),
  },
  {
    id: "leaf that is a CA, for a TPM's key",
    fits: (chain) => !isAny(chain),
    apply: inOne(leaf, (draft) => {
      draft.extensions.set(ID.basicConstraints, basicConstraints(true))
      draft.extensions.set(ID.keyUsage, keyUsage(0, 2, 4, 5))
    }),
  },
  {
    id: "leaf that may sign certificates",
    apply: inOne(leaf, (draft) => draft.extensions.set(ID.keyUsage, keyUsage(0, 2, 4, 5))),
  },
  {
    id: "CA that may not sign certificates",
    apply: inOne(issuers, (draft) => draft.extensions.set(ID.keyUsage, keyUsage(0, 6))),
  },
  {
    id: "CA without keyUsage",
    harmless: true,
    apply: inOne(issuers, (draft) => draft.extensions.delete(ID.keyUsage)),
  },
  {
    id: "leaf without keyUsage",
    harmless: true,
    apply: inOne(leaf, (draft) => draft.extensions.delete(ID.keyUsage)),
  },
  {
    id: "leaf that is the issuer of a leaf",
    apply: (chain) => {
      const next = chain.end(chain.leaf.keys, chain.leaf.subject, [...bytesOf(chain.leaf)])
      chain.drafts.push(next)
    },
  },
  {
    id: "CA of version 1",
    apply: inOne(issuers, (draft) => {
      draft.extensions.clear()
      change(draft, { version: V1 })
    }),
  },
  {
    id: "version 2 with extensions",
    apply: inOne(all, (draft) => change(draft, { version: V2 })),
  },
  {
    id: "version 1 with extensions",
    apply: inOne(all, (draft) => change(draft, { version: V1 })),
  },
  {
    id: "leaf of version 1",
    harmless: true,
    fits: isAny,
    apply: inOne(leaf, (draft) => {
      draft.extensions.clear()
      change(draft, { version: V1 })
    }),
  },
  {
    id: "version 4",
    apply: inOne(all, (draft) => change(draft, { version: tlv(0xa0, integer(3)) })),
  },
  {
    id: "a limit of CAs that is one too small",
    fits: hasCa,
    apply: (chain) => {
      chain.question.maxDepth = chain.cas.length - 1
    },
  },
  {
    id: "a limit of CAs that is just enough",
    harmless: true,
    apply: (chain) => {
      chain.question.maxDepth = chain.cas.length
    },
  },
  {
    id: "CA whose key usage is not critical",
    harmless: true,
    fits: hasCa,
    apply: inOne(cas, (draft) =>
      draft.extensions.set(ID.keyUsage, extension(ID.keyUsage, Uint8Array.of(3, 2, 1, 6))),
    ),
  },
]

/** Extensions that do not depend on keys. */
function* bytesOf({ extensions }: Draft): Iterable<readonly [string, Uint8Array]> {
  for (const [id, value] of extensions) if (typeof value !== "function") yield [id, value]
}
