import { directoryName, dns, name, nameConstraints, subjectAltName } from "../../../support/x509.ts"
import { type Chain, ID } from "../chain.ts"
import { email, INSIDE, ip, ip6, uri } from "../names.ts"
import { type Fault, isAny, issuers } from "./fault.ts"

/** Constrains names at some issuer and gives the leaf alternative names. */
export const constrain =
  (
    permitted: readonly Uint8Array[],
    excluded: readonly Uint8Array[],
    names: readonly Uint8Array[],
  ): Fault["apply"] =>
  (chain, random) => {
    random.pick(issuers(chain)).extensions.set(ID.nameConstraints, nameConstraints(permitted, excluded))
    rename(chain, names)
  }

/** Gives the leaf alternative names, if there are any. */
export const rename = ({ leaf }: Chain, names: readonly Uint8Array[]): void => {
  if (names.length > 0) leaf.extensions.set(ID.subjectAltName, subjectAltName(names))
}

interface Form {
  readonly form: string
  readonly base: Uint8Array
  readonly within: Uint8Array
  readonly without: Uint8Array
}

/** Of an IPv4 network of 256 addresses. */
export const MASK = [255, 255, 255, 0]
const directory = (organization: string): Uint8Array =>
  directoryName(name({ "2.5.4.6": "DE", "2.5.4.10": organization, "2.5.4.3": "A" }))

/** Constraints by the form of their names; each permits or excludes a name of the leaf, or leaves it alone. */
const FORMS: readonly Form[] = [
  {
    form: "dns",
    base: dns("inside.example"),
    within: dns("a.b.inside.example"),
    without: dns("a.inside.example.org"),
  },
  {
    form: "dns itself",
    base: dns("inside.example"),
    within: dns("INSIDE.example"),
    without: dns("notinside.example"),
  },
  {
    form: "mailbox",
    base: email("x@inside.example"),
    within: email("x@inside.example"),
    without: email("y@inside.example"),
  },
  {
    form: "mail host",
    base: email("inside.example"),
    within: email("y@inside.example"),
    without: email("y@a.inside.example"),
  },
  {
    form: "mail hosts below",
    base: email(".inside.example"),
    within: email("y@a.inside.example"),
    without: email("y@inside.example"),
  },
  {
    form: "uri host",
    base: uri("inside.example"),
    within: uri("https://inside.example/x"),
    without: uri("https://a.inside.example/x"),
  },
  {
    form: "uri hosts below",
    base: uri(".inside.example"),
    within: uri("https://a.inside.example:8443/x?y#z"),
    without: uri("https://inside.example.org/"),
  },
  { form: "ip", base: ip(192, 0, 2, 0, ...MASK), within: ip(192, 0, 2, 77), without: ip(192, 0, 3, 77) },
  {
    form: "ip 6",
    base: ip6(5, ...new Uint8Array(6).fill(255), ...new Uint8Array(10)),
    within: ip6(5),
    without: ip6(6),
  },
  {
    form: "directory",
    base: directoryName(name({ "2.5.4.6": "DE", "2.5.4.10": "Outside" })),
    within: directory("Outside"),
    without: directory("Outsider"),
  },
]

const INSIDE_NAME = directoryName(name(INSIDE))

const ofForm = ({ form, base, within, without }: Form): readonly Fault[] => {
  // A directory's constraint is about all subjects too.
  const also = form === "directory" ? [INSIDE_NAME] : []
  return [
    {
      id: `${form}: within what is permitted`,
      harmless: true,
      fits: isAny,
      apply: constrain([base, ...also], [], [within]),
    },
    {
      id: `${form}: outside of what is permitted`,
      fits: isAny,
      apply: constrain([base, ...also], [], [without]),
    },
    { id: `${form}: within what is excluded`, fits: isAny, apply: constrain([], [base], [within]) },
    {
      id: `${form}: outside of what is excluded`,
      harmless: true,
      fits: isAny,
      apply: constrain([], [base], [without]),
    },
  ]
}

/** Name constraints of all forms, satisfied and not. */
export const CONSTRAINTS: readonly Fault[] = [
  ...FORMS.flatMap(ofForm),
  {
    id: "directory: every subject is within",
    harmless: true,
    fits: isAny,
    apply: (chain, random) =>
      random.pick(chain.issuers).extensions.set(ID.nameConstraints, nameConstraints([INSIDE_NAME])),
  },
  {
    id: "directory: a subject is outside",
    apply: (chain, random) => {
      chain.anchor.extensions.set(ID.nameConstraints, nameConstraints([INSIDE_NAME]))
      random.pick(chain.proven).subject = name({ "2.5.4.6": "DE", "2.5.4.10": "Elsewhere" })
    },
  },
  {
    id: "directory: every subject is excluded",
    apply: (chain, random) =>
      random.pick(chain.issuers).extensions.set(ID.nameConstraints, nameConstraints([], [INSIDE_NAME])),
  },
]
