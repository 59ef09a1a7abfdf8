/** Cases from seeds: a good chain, and none to two faults of the catalogue. */
import { sameBytes } from "../../../src/bytes.ts"
import {
  basicConstraints,
  EKU_AK,
  EKU_EK,
  extension,
  extKeyUsage,
  type Keys,
  keyUsage,
  tpmName,
} from "../../support/x509.ts"
import { Chain, type Files, ID, type Question } from "./chain.ts"
import type { Fault } from "./faults/fault.ts"
import { FAULTS } from "./faults/index.ts"
import { GOOD_KINDS, isRsa, keyOf, signingByPss } from "./keys.ts"
import { inside } from "./names.ts"
import { Random } from "./random.ts"

/** One case. */
export interface Case {
  readonly seed: number
  readonly faults: readonly Fault[]
  readonly files: Files
  readonly question: Question
  /** CAs below the anchor that are issued under their own name. */
  readonly selfIssued: number
  /** The same case, with something done to the chain after all faults. */
  readonly rebuild: (repair: (chain: Chain) => void) => Case
}

/** Certificates below the anchor. */
const LENGTH_MAX = 4
/** Shares in percent. */
const SELF_SIGNED = 70
const OF_P256_ALONE = 60
const PATH_LEN = 30
/** How many faults, of ten cases. */
const COUNTS = [0, 1, 1, 1, 1, 2, 2, 2, 2, 2]
/** Streams of numbers of one seed: the chain's, the choice of the faults, and one for each fault. */
const BASE = 1
const CHOICE = 2
const FIRST_FAULT = 3

/** The case of a seed. */
export const makeCase = (seed: number): Case =>
  caseOf(seed, chooseFaults(makeBase(seed), new Random(seed, CHOICE)))

/** Whether a fault fits the base of a seed. */
export const fits = (seed: number, fault: Fault): boolean => fault.fits?.(makeBase(seed)) ?? true

/** A case of the base of a seed, with these faults. */
export function caseOf(seed: number, faults: readonly Fault[], repair?: (chain: Chain) => void): Case {
  const chain = makeBase(seed)
  for (const [i, fault] of faults.entries()) fault.apply(chain, new Random(seed, FIRST_FAULT + i))
  repair?.(chain)
  const files = chain.files()
  const rebuild: Case["rebuild"] = (after) => caseOf(seed, faults, after)
  const { question, cas, issuers } = chain
  const selfIssued = cas.filter(({ subject }, i) => sameBytes(subject, issuers[i]?.subject ?? subject)).length
  return { seed, faults, files, question, selfIssued, rebuild }
}

function chooseFaults(chain: Chain, random: Random): readonly Fault[] {
  const fitting = FAULTS.filter((fault) => fault.fits?.(chain) ?? true)
  return random.shuffle(fitting).slice(0, random.pick(COUNTS))
}

/** A chain that is as it should be. */
function makeBase(seed: number): Chain {
  const random = new Random(seed, BASE)
  const at = new Date(Date.UTC(2022 + random.below(16), random.below(12), 1 + random.below(28), 12))
  const chain = new Chain(
    {
      purpose: random.pick(["any", "any", "any", "ek", "ak"] as const),
      at,
      policies: {
        acceptable: undefined,
        requireExplicit: false,
        inhibitMapping: false,
        inhibitAny: false,
      },
      crls: false,
    },
    { keys: keyOf("p256", 20), subject: inside("Outside CA") },
    random.percent(SELF_SIGNED),
  )
  const length = 1 + random.below(LENGTH_MAX)
  const onlyP256 = random.percent(OF_P256_ALONE)
  const nextKeys = (): Keys => {
    const n = chain.drafts.length
    if (onlyP256) return keyOf("p256", n)
    const key = keyOf(random.pick(GOOD_KINDS), n)
    return isRsa(key) && random.percent(40) ? signingByPss(key, "sha256", 32) : key
  }
  for (let n = 0; n < length; n++) {
    const ca = chain.ca(nextKeys(), inside(n === 0 ? "Anchor" : `Intermediate ${n}`))
    const below = length - n - 1
    if (random.percent(PATH_LEN))
      ca.extensions.set(ID.basicConstraints, basicConstraints(true, below + random.below(2)))
    chain.drafts.push(ca)
  }
  chain.drafts.push(makeLeaf(chain, chain.question, nextKeys()))
  return chain
}

const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"

const makeLeaf = (chain: Chain, { purpose }: Question, keys: Keys): Chain["leaf"] => {
  const subject = inside("Leaf")
  const noCa = [ID.basicConstraints, extension(ID.basicConstraints, NO_CA, true)] as const
  switch (purpose) {
    case "any":
      return chain.end(keys, subject, [
        noCa,
        [ID.keyUsage, keyUsage(0)],
        [ID.extKeyUsage, extKeyUsage(CLIENT_AUTH)],
      ])
    case "ak":
      return chain.end(keys, subject, [
        noCa,
        [ID.keyUsage, keyUsage(0)],
        [ID.extKeyUsage, extKeyUsage(EKU_AK)],
        [ID.subjectAltName, tpmName()],
      ])
    case "ek":
      return chain.end(keys, subject, [
        noCa,
        [ID.keyUsage, keyUsage(isRsa(keys) ? 2 : 4)],
        [ID.extKeyUsage, extKeyUsage(EKU_EK)],
        [ID.subjectAltName, tpmName()],
      ])
  }
}

/** An empty SEQUENCE: cA is left out, for FALSE is its default. */
const NO_CA = Uint8Array.of(0x30, 0)
