/**
 * Writes docs/attacks.md: each class of attack that Assay refuses, in our own words, with what a caller gets and with
 * every test that carries the class's id in its name.
 */
import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { CODES, type Kind } from "../src/errors.ts"
import {
  CACHE_ATTACKS,
  CERTIFICATE_ATTACKS,
  EDGE_ATTACKS,
  FAULT_ATTACKS,
  KEY_ATTACKS,
} from "./attack-classes.ts"

export const ATTACKS_FILE = "docs/attacks.md"

export interface AttackClass {
  readonly id: string
  readonly title: string
  readonly words: string
  /** What a caller gets where no code says so. */
  readonly gets?: string
}

/** The classes in scope, in the catalogue's order. */
export const ATTACKS: readonly AttackClass[] = [
  {
    id: "Q-01",
    title: "A signed structure that no TPM made",
    words:
      "A restricted key signs nothing that begins like an attestation unless the TPM itself made it. So the first four bytes are looked at before anything else is believed, and any other beginning ends the call, good signature or not.",
  },
  {
    id: "Q-02",
    title: "Another kind of attestation in place of a quote",
    words:
      "The same key also certifies keys, tells the time and proves how an object was created, each over extraData of the caller's choice. None of them says anything about PCRs, and only a quote is taken for one.",
  },
  {
    id: "Q-03",
    title: "A quote over nothing",
    words:
      "A TPM signs a quote over no PCR at all without complaint, and any values can be put beside it. A selection without a single PCR is refused.",
  },
  {
    id: "Q-04",
    title: "A PCR left out of the selection",
    words:
      "A device that leaves out the one PCR that would give it away can still send a pleasant value for it. What must be quoted comes from the policy alone, and every required PCR of every required bank has to be in the signed selection.",
  },
  {
    id: "Q-05",
    title: "Values that nobody quoted",
    words:
      "PCR values beyond the signed selection prove nothing, and something behind Assay might still believe them. They are not ignored: evidence that carries them is refused.",
  },
  {
    id: "Q-06",
    title: "Another selection beside the signed one",
    words:
      "What the request says about its PCRs counts for nothing. Only the signed selection is read, and the values have to be exactly its own: as many, of that bank, of that size.",
  },
  {
    id: "Q-07",
    title: "A selection that can be read in two ways",
    words:
      "One bank listed twice, a bitmap of another length or a bank of an unknown hash would let one PCR have two values, or none. There is one form of a selection, and every other is malformed.",
  },
  {
    id: "Q-08",
    title: "A weak bank in place of a strong one",
    words:
      "SHA-1 never satisfies a requirement: not as the bank that carries a PCR, not as the hash of a key's scheme. A policy can tolerate that such a bank is there, with a warning, and nothing more.",
  },
  {
    id: "Q-09",
    title: "A bank that the firmware never extended",
    words:
      "Where firmware measures into one bank only, all boot PCRs of the others stay as they were at reset, and anybody can replay any log into them. A required boot PCR at its reset value, with or without a startup locality, is refused.",
  },
  {
    id: "Q-10",
    title: "Values that are not those of the digest",
    words:
      "The TPM signs one digest over all quoted values. It is made again, by the hash of the signature scheme and never by the bank's, over the banks in the order of the signed selection, and it has to be the same.",
  },
  {
    id: "Q-11",
    title: "Structures with an end that is not theirs",
    words:
      "Each structure is read from its first byte to its last. Cut short anywhere, or with one byte left over, it is malformed, and the error says at which field.",
  },
  {
    id: "Q-12",
    title: "Lengths that lie",
    words:
      "Every length that a sender chooses has a bound before a byte is read by it. Nothing is ever allocated by a number from the input.",
  },
  {
    id: "Q-13",
    title: "A signature of another kind than the key",
    words:
      "RSA signatures for ECDSA keys, MACs, schemes that Assay does not verify, and none at all: each is a plain refusal and never an exception.",
  },
  {
    id: "Q-14",
    title: "A weaker scheme or hash than the key's",
    words:
      "The registered key says by which scheme and hash it signs. A signature that says another is refused even if it is genuine, and a key that says SHA-1 is never registered.",
  },
  {
    id: "Q-15",
    title: "Forged signature values",
    words:
      "Zeros and the group's order for r or s, integers longer than the curve, garbage behind a PKCS#1 digest, other salts, masks and hashes of PSS: none of them verifies, and every vector of Wycheproof is judged as it should be.",
  },
  {
    id: "Q-16",
    title: "A failed check that changes nothing",
    words:
      "A check counts only if its failure changes the verdict. Each is broken alone, all others left right, and each time the answer names it; each is also taken out of the code in turn (`make mutants`), and a test notices.",
  },
  ...KEY_ATTACKS,
  ...CACHE_ATTACKS,
  ...CERTIFICATE_ATTACKS,
  {
    id: "N-01",
    title: "The same answer twice",
    words:
      "A challenge is spent by the first evidence that answers it, and stays spent whatever follows: in the same call, in another, after it has expired, and after a clock that stepped back. One from before a restart does not open.",
  },
  {
    id: "N-02",
    title: "Random bytes that are none",
    words:
      "The source of random bytes is tested at start and with every output. If it fails, repeats itself, starts over or gives less than was asked for, there are no challenges and no tokens until the process is restarted.",
  },
  {
    id: "N-03",
    title: "Something like the expected nonce",
    words:
      "The quote's extraData has to be the expected digest, all of it and nothing more, compared in constant time. Empty, zeros, a prefix, padding and other encodings are refused, and where nothing is expected, nothing is accepted.",
  },
  {
    id: "N-04",
    title: "A challenge of another context",
    words:
      "Caller, tenant, device, audience, confirmed key, policy and expiry are sealed into the challenge and bound into what the device signs. Used by or for anybody else, later, or for another purpose, it is refused.",
  },
  {
    id: "N-05",
    title: "Many calls at once with one challenge",
    words:
      "Between the question whether a challenge was spent and the note that it now is, nothing else runs. Of a thousand calls at once one gets a session, also at the instant of expiry and when the memory for spent challenges is full.",
  },
  {
    id: "N-07",
    title: "A flood of challenges",
    words:
      "A challenge that nobody answers costs no memory: what Assay needs to know again is in the sealed value. What was spent is remembered until it expires, within a bound; at the bound Assay refuses, for whoever forgets one lets it be spent twice. Junk spends nobody's challenge. Each caller has a rate of its own, a lower one for challenges and for enrollments, and so has each address; whoever comes under many names gets no more for that.",
  },
  {
    id: "T-01",
    title: "A token with another algorithm",
    words:
      "Whoever checks a session token takes the algorithm from the key that the token names, and accepts no other: not none, not a MAC keyed with the public key, not another curve.",
  },
  {
    id: "T-02",
    title: "A token that brings its own key",
    words:
      "A key is chosen by its kid in the published set and in no other way. Keys, certificates and addresses in the header are refused, and so is a key set that is ambiguous.",
  },
  {
    id: "T-03",
    title: "A token with more than one reading",
    words:
      "A token has one spelling: three parts of canonical base64url, JSON as Assay writes it, three header members. Members that come twice, unknown ones, white space, padding and other serializations are refused.",
  },
  {
    id: "T-04",
    title: "Blank signatures and twins",
    words:
      "A token's signature has exactly 64 bytes and integers in their range. An ECDSA signature has a twin by its nature: the token is known by its id and not by its bytes, so the twin is the same token.",
  },
  {
    id: "T-07",
    title: "Times that are none, and lives that are too long",
    words:
      "Times are whole seconds within bounds, in their order, and checked against the relying party's clock. A token never outlives the policy's lifetime or the key that signed it.",
  },
  {
    id: "T-08",
    title: "A token on half an appraisal",
    words:
      "A rule that fails is a refusal, no finding at all is no trust, and a tier is never better than its worst step. A session needs a spent challenge, a policy, and a tier that this policy lets in.",
  },
  ...EDGE_ATTACKS,
  ...FAULT_ATTACKS,
  {
    id: "P-01",
    title: "Nothing required",
    words:
      "A policy without banks, PCRs, reference sets or audiences is not one that accepts everything: it is refused when it is set, with the path of what is missing. A device without a policy is refused.",
  },
  {
    id: "P-02",
    title: "A reference value that is missing",
    words:
      "Each required PCR needs a reference value, and each reference value a quoted PCR. Where one lacks the other nothing is skipped, zeros included.",
  },
  {
    id: "P-05",
    title: "Half of one reference set with half of another",
    words:
      "Values of one release belong together. A quote matches one set as a whole, over all of its banks, or none; the finding names what differs from the nearest.",
  },
  {
    id: "P-06",
    title: "An older policy, and what is another tenant's",
    words:
      "A document that is posted again is a new revision, whatever was there before: revisions only grow, and the database keeps them from going back. Devices, policies, trust and tokens belong to a tenant, and the tenant is the caller's own, whatever a request says. What another tenant has is answered as what is not there, in the same words. Page tokens and etags are bound to the tenant that they were made for.",
    gets: "An older document that is posted again becomes the newest revision. What is another tenant's: the call ends with NOT_FOUND, or with FAILED_PRECONDITION and INVALID_ARGUMENT for an etag and a page token.",
  },
  {
    id: "P-07",
    title: "A policy that evidence changes",
    words:
      "A policy is frozen in all its depth when it is parsed. No appraisal writes into it, and its digest is the same before and after.",
    gets: "An attempt to write into a policy fails; the policy stays as it was set.",
  },
]

const OUTCOMES: Readonly<Record<Kind, string>> = {
  malformed: "the call ends with INVALID_ARGUMENT and the path of the field",
  refuted: "the call succeeds with a `contraindicated` result and no session",
  stale: "the call ends with FAILED_PRECONDITION and says whether the challenge was spent",
  denied: "whoever checks the token refuses it",
  missing: "the call ends with NOT_FOUND",
  exhausted: "the call ends with RESOURCE_EXHAUSTED",
  unavailable: "the call ends with UNAVAILABLE",
  fault: "the call ends with INTERNAL",
}

/** Codes that carry the class's id in the list of errors. */
export const codesOf = (id: string) =>
  Object.entries(CODES).flatMap(([code, { kind, attacks }]) =>
    attacks.some((attack) => attack === id) ? [{ code, kind }] : [],
  )

/** Names of the tests that carry the id, by file. */
export type TestNames = readonly (readonly [file: string, names: readonly string[]])[]

/** The names of all tests; loads every test file in a process of its own and runs none. */
export const collectTestNames = (): TestNames =>
  JSON.parse(execFileSync(process.execPath, ["test/names.ts"], { encoding: "utf8", maxBuffer: 1 << 24 }))

/** The tests whose names carry the id. */
export const testsOf = (id: string, all: TestNames): TestNames =>
  all.flatMap(([file, names]) => {
    const own = names.filter((name) => name.includes(id))
    return own.length === 0 ? [] : [[file, own] as const]
  })

const sectionOf = ({ id, title, words, gets }: AttackClass, all: TestNames): string => {
  const outcomes = codesOf(id).map(({ code, kind }) => `- \`${code}\`: ${OUTCOMES[kind]}.`)
  const tests = testsOf(id, all)
  const count = tests.reduce((sum, [, names]) => sum + names.length, 0)
  return [
    `## ${id}: ${title}`,
    words,
    [...(gets === undefined ? [] : [`- ${gets}`]), ...outcomes].join("\n"),
    `Proven by ${count} tests:`,
    ...tests.map(([file, names]) =>
      [`\`${file}\``, "", ...names.map((name) => `- ${shown(name)}`)].join("\n"),
    ),
  ].join("\n\n")
}

/** A test's name as text: it may hold what Markdown reads as its own, and characters that no page should. */
const shown = (name: string): string =>
  name
    .replace(/[\\`*_<>[\]|~]/g, "\\$&")
    .replace(/[^\x20-\x7e]/gu, (character) => `\\\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)

/** The whole page. */
export const attacksPage = (all: TestNames): string =>
  `${[
    "# What Assay refuses",
    "This page is written from the tests by `make attacks`; do not edit it. Each section is one class of attack: what it is, what a caller gets, and the tests that carry its id in their names.",
    ...ATTACKS.map((attack) => sectionOf(attack, all)),
  ].join("\n\n")}\n`

if (import.meta.main) {
  const all = collectTestNames()
  writeFileSync(ATTACKS_FILE, attacksPage(all))
  console.log(`${ATTACKS_FILE}: ${ATTACKS.length} classes`)
}
