/**
 * What the conformance suites of certificate paths share: how a case is checked, how the agreement with its author is
 * counted, and the closed list of reasons for which Assay may refuse what the author accepts. There is no list for the
 * other way round.
 */
import { readFileSync } from "node:fs"
import * as assert from "uvu/assert"
import {
  type ChainCheck,
  type ChainInput,
  checkChain,
  type NamedFile,
} from "../../src/service/check-chain.ts"
import { parseDeniedKeys } from "../../src/verification/denied-keys.ts"

/** The list that Assay is shipped with. */
export const DENIED = parseDeniedKeys(
  JSON.parse(readFileSync(new URL("../../data/denied-keys.json", import.meta.url), "utf8")),
)

/** Cases that their author accepts and Assay refuses, by the one reason. */
export const DIFFERENCES = {
  "DSA is not verified": ["40104_valid_dsa_signatures_test4"],
  "policy mapping is refused where policies decide": [
    "41009_valid_policy_mapping_test9",
    "41011_valid_policy_mapping_test11",
    "41013_valid_policy_mapping_test13",
    "41102_valid_inhibit_policy_mapping_test2",
    "41104_valid_inhibit_policy_mapping_test4",
    "41107_valid_self_issued_inhibit_policy_mapping_test7",
  ],
  "indirect CRLs are not used": [
    "41422_valid_idp_with_indirectcrl_test22",
    "41425_valid_idp_with_indirectcrl_test25",
    "41428_valid_crlissuer_test28",
    "41429_valid_crlissuer_test29",
  ],
  "delta CRLs are not read, and without them a complete one is no answer": [
    "41502_valid_deltacrl_test2",
    "41505_valid_deltacrl_test5",
    "41508_valid_deltacrl_test8",
  ],
  "a serial number that is not positive (X-13), here 0 of a root": ["online::fastly.com"],
  "name rules of web servers: a common name is one of the alternative names": [
    "rfc5280::nc::permitted-dns-match-more",
    "rfc5280::nc::permitted-ipv4-match",
    "rfc5280::nc::permitted-ipv6-match",
    "webpki::san::exact-localhost-ip-san",
  ],
  "name rules of web servers: wildcards are not matched": ["webpki::nc::nc-permits-dns-san-pattern"],
  "name rules of web servers: the leaf is for serverAuth, as webpki::eku::ee-without-eku asks": [
    "rfc5280::eku::ee-without-eku",
  ],
  "name rules of web servers: the leaf is no CA, as webpki::ee-basicconstraints-ca asks": [
    "pathlen::validation-ignores-pathlen-in-leaf",
  ],
} as const satisfies Readonly<Record<string, readonly string[]>>

const DIFFERING: ReadonlySet<string> = new Set(Object.values(DIFFERENCES).flat())

/** A file of a case. */
export const pemFile = (name: string, pem: string): NamedFile => ({
  name,
  bytes: new Uint8Array(Buffer.from(pem)),
})

/** Checks a chain under the shipped list of denied keys. */
export const checkFiles = (input: Omit<ChainInput, "denied">): ChainCheck =>
  checkChain({ ...input, denied: DENIED })

/** Counts of one section. */
interface Counts {
  agree: number
  differ: number
}

/** Counts agreement by section, and notes every case that is not as it has to be. */
export class Tally {
  readonly #name: string
  readonly #sections = new Map<string, Counts>()
  readonly #differed = new Set<string>()

  constructor(name: string) {
    this.#name = name
  }

  /** Holds a case to what its author says. @throws if Assay accepts what they refuse, or refuses without a listed reason. */
  count(section: string, id: string, expected: boolean, { accepted, error }: ChainCheck): void {
    const counts = this.#sections.get(section) ?? { agree: 0, differ: 0 }
    this.#sections.set(section, counts)
    if (accepted === expected) counts.agree += 1
    else counts.differ += 1
    if (accepted !== expected) this.#differed.add(id)
    const found = accepted ? "accepted" : `refused: ${error?.code} ${error?.message}`
    assert.ok(accepted === expected || (expected && DIFFERING.has(id)), `${id} is ${found}`)
  }

  /** The listed cases that did not differ, although they were looked at: the list is to be no longer than it has to be. */
  agreedAllTheSame(ids: readonly string[]): readonly string[] {
    return ids.filter((id) => DIFFERING.has(id) && !this.#differed.has(id))
  }

  /** One line for each section. */
  print(): void {
    console.log()
    const sections = [...this.#sections].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }))
    for (const [section, { agree, differ }] of sections)
      console.log(`# ${this.#name} ${section}: agree ${agree}, differ ${differ}, total ${agree + differ}`)
  }
}
