import {
  basicConstraints,
  directoryName,
  dns,
  NOT_AFTER,
  NOT_BEFORE,
  name,
  nameConstraints,
} from "../../../support/x509.ts"
import { type Chain, type Draft, ID, valid } from "../chain.ts"
import { later } from "../crl.ts"
import { keyIdOf } from "../keys.ts"
import { INSIDE, inside } from "../names.ts"
import type { Random } from "../random.ts"
import { type Fault, hasCa, isAny } from "./fault.ts"
import { arrange, ELSEWHERE, show, stranger } from "./paths.ts"

/** Another certificate of a CA of the chain, by another issuer or with something changed. */
const twin = (draft: Draft, changes: Partial<Draft>): Draft => ({
  ...draft,
  extensions: new Map(draft.extensions),
  ...changes,
})

const pickCa = ({ cas }: Chain, random: Random): Draft => random.pick(cas)
const DAY = 86_400

/** A CA that changes its key: the new one is certified by the old one, under the same name. */
const rollOver = (chain: Chain, above: Draft): Draft => {
  const next = chain.ca(stranger(0), above.subject)
  chain.drafts.splice(chain.drafts.indexOf(above) + 1, 0, next)
  return next
}

/** Several certificates for one CA, and CAs that change their keys. */
export const CANDIDATES: readonly Fault[] = [
  {
    id: "another CA of the same name and another key",
    harmless: true,
    fits: hasCa,
    apply: show((chain, random) => {
      const ca = pickCa(chain, random)
      return [chain.makeUnder(twin(ca, { keys: stranger(0) }), stranger(3), ELSEWHERE)]
    }),
  },
  {
    id: "another CA of the same name and key identifier, and another key",
    harmless: true,
    fits: hasCa,
    apply: show((chain, random) => {
      const ca = pickCa(chain, random)
      const other = twin(ca, { keys: stranger(0) })
      other.extensions.set(ID.subjectKeyId, subjectKeyIdOf(ca))
      return [chain.makeUnder(other, stranger(3), ELSEWHERE)]
    }),
  },
  {
    id: "an expired certificate of the same CA",
    harmless: true,
    fits: hasCa,
    apply: show((chain, random) => {
      const old = twin(pickCa(chain, random), {})
      valid(old, NOT_BEFORE, later(chain.question.at, -DAY))
      return [makeBeside(chain, old)]
    }),
  },
  {
    id: "a certificate of the same CA that permits nothing",
    harmless: true,
    fits: hasCa,
    apply: show((chain, random) => {
      const narrow = twin(pickCa(chain, random), {})
      narrow.extensions.set(ID.nameConstraints, nameConstraints([], [dns("")]))
      narrow.extensions.set(ID.basicConstraints, basicConstraints(false))
      return [makeBeside(chain, narrow)]
    }),
  },
  {
    id: "a certificate of the same CA with a broken signature",
    harmless: true,
    fits: hasCa,
    apply: show((chain, random) => {
      const ca = pickCa(chain, random)
      return [chain.makeUnder(twin(ca, {}), stranger(2), issuerOf(chain, ca))]
    }),
  },
  {
    id: "a CA that a stranger certified too",
    harmless: true,
    fits: hasCa,
    apply: show((chain, random) => [
      chain.makeUnder(twin(pickCa(chain, random), {}), stranger(2), ELSEWHERE),
      chain.makeUnder(chain.ca(stranger(2), ELSEWHERE), stranger(3), inside("Nobody")),
    ]),
  },
  {
    id: "a CA that another anchor certified too, until yesterday",
    harmless: true,
    fits: hasCa,
    apply: arrange((files, chain, random) => {
      const old = twin(pickCa(chain, random), {})
      valid(old, NOT_BEFORE, later(chain.question.at, -DAY))
      const root = chain.makeUnder(chain.ca(stranger(2), ELSEWHERE), stranger(2), ELSEWHERE)
      const cross = chain.makeUnder(old, stranger(2), ELSEWHERE)
      return { ...files, anchors: [root, ...files.anchors], shown: [cross, ...files.shown] }
    }),
  },
  {
    id: "a CA that only another anchor certified",
    harmless: true,
    fits: hasCa,
    apply: arrange((files, chain) => {
      const [top = chain.leaf] = chain.cas
      const root = chain.makeUnder(chain.ca(stranger(2), ELSEWHERE), stranger(2), ELSEWHERE)
      const cross = chain.makeUnder(twin(top, {}), stranger(2), ELSEWHERE)
      return {
        ...files,
        anchors: [root],
        shown: [...files.shown.slice(1), cross, ...files.shown.slice(0, 1)],
      }
    }),
  },
  {
    id: "two CAs that certify one another, and no anchor above",
    apply: arrange((files, chain) => {
      const { anchor } = chain
      const root = chain.makeUnder(chain.ca(stranger(1), inside("Far")), stranger(1), inside("Far"))
      const there = chain.makeUnder(twin(anchor, {}), stranger(2), ELSEWHERE)
      const back = chain.makeUnder(chain.ca(stranger(2), ELSEWHERE), anchor.keys, anchor.subject)
      return { ...files, anchors: [root], shown: [there, back, ...files.shown] }
    }),
  },
  {
    id: "an anchor that its own CA certified",
    harmless: true,
    fits: hasCa,
    apply: show((chain) => {
      const [top = chain.leaf] = chain.cas
      return [chain.makeUnder(twin(chain.anchor, {}), top.keys, top.subject)]
    }),
  },
  {
    id: "anchor that changed its key",
    harmless: true,
    apply: (chain) => {
      rollOver(chain, chain.anchor)
    },
  },
  {
    id: "CA that changed its key, below a pathLen",
    harmless: true,
    fits: hasCa,
    apply: (chain, random) => {
      const { drafts } = chain
      const ca = random.pick(chain.cas)
      chain.anchor.extensions.set(ID.basicConstraints, basicConstraints(true, drafts.length - 2))
      rollOver(chain, ca)
    },
  },
  {
    id: "CA that changed its key, and a limit of CAs",
    harmless: true,
    fits: hasCa,
    apply: (chain, random) => {
      chain.question.maxDepth = chain.cas.length
      rollOver(chain, random.pick(chain.cas))
    },
  },
  {
    id: "self-issued CA with a name that is not permitted",
    harmless: true,
    fits: isAny,
    apply: (chain) => {
      // RFC 5280, 6.1.3 (b): constraints do not apply to self-issued CAs above the leaf.
      chain.anchor.subject = name({ "2.5.4.6": "DE", "2.5.4.10": "Elsewhere" })
      chain.anchor.extensions.set(ID.nameConstraints, nameConstraints([directoryName(name(INSIDE))]))
      rollOver(chain, chain.anchor)
    },
  },
  {
    id: "validity of a CA that ends before the leaf's",
    harmless: true,
    fits: hasCa,
    apply: (chain, random) => {
      valid(pickCa(chain, random), NOT_BEFORE, later(chain.question.at, DAY))
      valid(chain.leaf, later(chain.question.at, -DAY), NOT_AFTER)
    },
  },
]

const issuerOf = ({ drafts }: Chain, draft: Draft): Uint8Array =>
  drafts[drafts.indexOf(draft) - 1]?.subject ?? ELSEWHERE

/** A further certificate by the issuer of the one that it is a twin of. */
const makeBeside = (chain: Chain, draft: Draft): Uint8Array => {
  const index = chain.drafts.findIndex(({ serial }) => serial === draft.serial)
  const above = chain.drafts[index - 1] ?? chain.anchor
  return chain.makeUnder(draft, above.keys, above.subject)
}

const subjectKeyIdOf = (draft: Draft): Uint8Array => {
  const value = draft.extensions.get(ID.subjectKeyId)
  return typeof value === "function"
    ? value({ keys: draft.keys, issuerKeys: draft.keys })
    : (value ?? keyIdOf(draft.keys))
}
