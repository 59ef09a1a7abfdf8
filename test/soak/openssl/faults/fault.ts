import type { Chain, Draft } from "../chain.ts"
import type { Random } from "../random.ts"

/** One thing that is other than usual. */
export interface Fault {
  readonly id: string
  /** By itself it is no fault: Assay accepts, and so does OpenSSL unless for a reason on the closed list. */
  readonly harmless?: true
  /** Which chains it can be applied to; all, if it does not say. */
  readonly fits?: (chain: Chain) => boolean
  readonly apply: (chain: Chain, random: Random) => void
}

/** Chains with a CA between anchor and leaf. */
export const hasCa = ({ cas }: Chain): boolean => cas.length > 0
/** Chains whose leaf is for nothing in particular, so that its names are free. */
export const isAny = ({ question }: Chain): boolean => question.purpose === "any"
/** Both. */
export const hasCaIsAny = (chain: Chain): boolean => hasCa(chain) && isAny(chain)

/** The same fault in any of the certificates that `where` names. */
export const inOne =
  (where: (chain: Chain) => readonly Draft[], act: (draft: Draft, chain: Chain, random: Random) => void) =>
  (chain: Chain, random: Random): void =>
    act(random.pick(where(chain)), chain, random)

export const cas = ({ cas }: Chain): readonly Draft[] => cas
export const issuers = ({ issuers }: Chain): readonly Draft[] => issuers
export const proven = ({ proven }: Chain): readonly Draft[] => proven
export const all = ({ drafts }: Chain): readonly Draft[] => drafts
export const leaf = ({ leaf }: Chain): readonly Draft[] => [leaf]
