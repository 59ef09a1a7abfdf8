import type { Chain, Files } from "../chain.ts"
import { type KeyKind, keyOf } from "../keys.ts"
import { inside } from "../names.ts"
import type { Random } from "../random.ts"
import { type Fault, hasCa, isAny } from "./fault.ts"

/** A key that is in no chain. */
export const stranger = (n: number, kind: KeyKind = "p256") => keyOf(kind, 15 + n)

/** Puts certificates before those that are shown, where a search may look first. */
export const show =
  (make: (chain: Chain, random: Random) => readonly Uint8Array[]): Fault["apply"] =>
  (chain, random) => {
    chain.arrange((files) => ({ ...files, shown: [...make(chain, random), ...files.shown] }))
  }

/** Changes what is handed over. */
export const arrange =
  (change: (files: Files, chain: Chain, random: Random) => Files): Fault["apply"] =>
  (chain, random) =>
    chain.arrange((files) => change(files, chain, random))

/** The name of a CA that is in no chain. */
export const ELSEWHERE = inside("Elsewhere")

/** The same, where an anchor comes out that nobody known has issued. */
const rearrange =
  (change: (files: Files, chain: Chain, random: Random) => Files): Fault["apply"] =>
  (chain, random) => {
    chain.withoutCrls()
    arrange(change)(chain, random)
  }

/** What paths can be built of. */
export const PATHS: readonly Fault[] = [
  {
    id: "missing intermediate",
    fits: hasCa,
    apply: arrange((files, _, random) => {
      const missing = random.below(files.shown.length)
      return { ...files, shown: files.shown.filter((_, i) => i !== missing) }
    }),
  },
  { id: "no anchor", apply: arrange((files) => ({ ...files, anchors: [] })) },
  {
    id: "root that is shown and not trusted",
    apply: arrange((files, chain) => ({
      ...files,
      anchors: [chain.makeUnder(chain.ca(stranger(1), ELSEWHERE), stranger(1), ELSEWHERE)],
      shown: [...files.shown, ...files.anchors],
    })),
  },
  {
    id: "anchor of the same name with another key",
    apply: arrange((files, chain) => {
      const { subject } = chain.anchor
      return { ...files, anchors: [chain.makeUnder(chain.ca(stranger(1), subject), stranger(1), subject)] }
    }),
  },
  {
    id: "a second anchor of the same name, before the right one",
    harmless: true,
    apply: arrange((files, chain) => {
      const { subject } = chain.anchor
      const other = chain.makeUnder(chain.ca(stranger(1), subject), stranger(1), subject)
      return { ...files, anchors: [other, ...files.anchors] }
    }),
  },
  {
    id: "20 other anchors",
    harmless: true,
    apply: arrange((files, chain) => {
      const others = Array.from({ length: 20 }, (_, n) => {
        const subject = inside(`Other ${n}`)
        return chain.makeUnder(chain.ca(stranger(1), subject), stranger(1), subject)
      })
      return { ...files, anchors: [...others, ...files.anchors] }
    }),
  },
  {
    id: "shown in another order",
    harmless: true,
    apply: arrange((files, _, random) => ({ ...files, shown: random.shuffle(files.shown) })),
  },
  {
    id: "everything shown twice",
    harmless: true,
    apply: arrange((files) => ({ ...files, shown: [...files.shown, ...files.shown, files.leaf] })),
  },
  {
    id: "anchor among those shown",
    harmless: true,
    apply: arrange((files) => ({ ...files, shown: [...files.anchors, ...files.shown] })),
  },
  {
    id: "strangers among those shown",
    harmless: true,
    apply: show((chain) =>
      [0, 1, 2].map((n) =>
        chain.makeUnder(chain.ca(stranger(n), inside(`Stranger ${n}`)), stranger(3), ELSEWHERE),
      ),
    ),
  },
  {
    id: "leaf that is the anchor itself",
    harmless: true,
    fits: isAny,
    apply: rearrange((files) => ({ ...files, anchors: [files.leaf], shown: [] })),
  },
  {
    id: "self-signed leaf that is the anchor",
    harmless: true,
    fits: isAny,
    apply: rearrange((files, chain) => {
      const { leaf } = chain
      const self = chain.makeUnder(leaf, leaf.keys, leaf.subject)
      return { ...files, leaf: self, anchors: [self], shown: [] }
    }),
  },
  {
    id: "self-signed leaf",
    apply: arrange((files, chain) => {
      const { leaf } = chain
      return { ...files, leaf: chain.makeUnder(leaf, leaf.keys, leaf.subject) }
    }),
  },
  {
    id: "an intermediate that is an anchor too",
    harmless: true,
    fits: hasCa,
    apply: rearrange((files, _, random) => ({
      ...files,
      anchors: [...files.anchors, ...random.shuffle(files.shown).slice(0, 1)],
    })),
  },
  {
    id: "an intermediate that alone is the anchor",
    harmless: true,
    fits: hasCa,
    apply: rearrange((files, _, random) => ({ ...files, anchors: random.shuffle(files.shown).slice(0, 1) })),
  },
]
