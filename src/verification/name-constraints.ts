import { AssayError } from "../errors.ts"
import { type Certificate, certificateText } from "../evidence/x509/certificate.ts"
import type { NameConstraints } from "../evidence/x509/extensions.ts"
import type { GeneralName } from "../evidence/x509/general-name.ts"
import { type Name, nameText, valuesOf } from "../evidence/x509/name.ts"

/**
 * Comparisons of one path: names times constraints, directory names counted by their relative names. Real paths need
 * dozens; as many as these take 10 ms at most.
 */
const COMPARISONS_MAX = 1 << 12
/** Longer addresses and URIs are not read, and what is not read is not permitted. */
const TEXT_MAX = 2048
/** id-on-SmtpUTF8Mailbox (RFC 9598). */
const SMTP_UTF8_MAILBOX = "1.3.6.1.5.5.7.8.9"
const EMAIL_ADDRESS = "1.2.840.113549.1.9.1"

/**
 * The name space that the CAs of a path leave to what is below them.
 *
 * Every constraint is either applied or the path is refused: what cannot be understood restricts, it never permits.
 *
 * @see RFC 5280, 4.2.1.10 and 6.1.3 (b), (c), 6.1.4 (g).
 */
export class NameSpace {
  /** One group for each CA that permits: a name has to be in one subtree of its form of every group. */
  readonly #permitted: (readonly GeneralName[])[] = []
  readonly #excluded: GeneralName[] = []
  /** What one name is compared with. */
  #size = 0
  #comparisons = 0

  /** Narrows the space by the constraints of a CA. @throws {AssayError} NAME for a constraint that is none. */
  narrow(constraints: NameConstraints, ca: Certificate): void {
    for (const base of [...constraints.permitted, ...constraints.excluded]) {
      checkConstraint(base, ca)
      this.#size += base.kind === "directory" ? Math.max(1, base.name.keys.length) : 1
    }
    if (constraints.permitted.length > 0) this.#permitted.push(constraints.permitted)
    this.#excluded.push(...constraints.excluded)
  }

  /** @throws {AssayError} NAME if a name of the certificate is outside; PATH if there are too many to compare. */
  check(certificate: Certificate): void {
    if (this.#size === 0) return
    const names = namesOf(certificate)
    this.#comparisons += names.length * this.#size
    if (this.#comparisons > COMPARISONS_MAX)
      throw new AssayError("PATH", "more names and name constraints than Assay compares", {
        location: certificateText(certificate),
        expected: `at most ${COMPARISONS_MAX} comparisons`,
      })
    for (const name of names) this.#checkName(name, certificate)
  }

  #checkName(name: GeneralName, certificate: Certificate): void {
    for (const base of this.#excluded)
      if (base.kind === name.kind && mayBeWithin(name, base))
        throw outside(name, certificate, `not in ${generalNameText(base)}`)
    for (const group of this.#permitted) {
      const bases = group.filter(({ kind }) => kind === name.kind)
      if (bases.length > 0 && !bases.some((base) => isWithin(name, base)))
        throw outside(name, certificate, bases.map(generalNameText).join(" or "))
    }
  }
}

const outside = (name: GeneralName, certificate: Certificate, expected: string): AssayError =>
  new AssayError("NAME", "a name is outside of what a CA above may issue for", {
    location: certificateText(certificate),
    expected,
    actual: generalNameText(name),
  })

/** All names that constraints are about: the subject, addresses in it, and the alternative names. */
const namesOf = ({ subject, extensions }: Certificate): GeneralName[] => [
  ...(subject.key === "" ? [] : [{ kind: "directory", name: subject } as const]),
  ...valuesOf(subject, EMAIL_ADDRESS).map((text) => ({ kind: "email", text }) as const),
  ...(extensions.subjectAltName ?? []),
  // An address in UTF-8 is one that cannot be read here, and any constraint on addresses holds for it.
  ...(extensions.subjectAltName ?? [])
    .filter((name) => name.kind === "other" && name.text === SMTP_UTF8_MAILBOX)
    .map(() => ({ kind: "email", text: "" }) as const),
]

const checkConstraint = (base: GeneralName, ca: Certificate): void => {
  if (isConstraint(base)) return
  throw new AssayError("NAME", "a name constraint that is none of its form", {
    location: certificateText(ca),
    actual: generalNameText(base),
  })
}

const isConstraint = (base: GeneralName): boolean => {
  switch (base.kind) {
    case "dns":
      return base.text === "" || isHostName(base.text)
    case "email":
      return base.text.includes("@") ? mailboxOf(base.text) !== undefined : isHostName(withoutDot(base.text))
    case "uri":
      return isHostName(withoutDot(base.text))
    case "ip":
      return (base.octets.length === 8 || base.octets.length === 32) && isMask(base.octets)
    default:
      return true
  }
}

/** Ones, then zeros, in the second half. */
const isMask = (octets: Uint8Array): boolean => {
  const bits = [...octets.subarray(octets.length / 2)]
    .map((octet) => octet.toString(2).padStart(8, "0"))
    .join("")
  return /^1*0*$/.test(bits)
}

const withoutDot = (text: string): string => (text.startsWith(".") ? text.slice(1) : text)

const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
const HOST_NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`, "i")
const HOST_NAME_MAX = 253

/** Labels in the preferred syntax (RFC 1034, 3.5; RFC 1123, 2.1), with dots between them. */
export const isHostName = (text: string): boolean => text.length <= HOST_NAME_MAX && HOST_NAME.test(text)

/** Local part and host of a mailbox with one @, or nothing. A quoted local part is nothing either. */
const mailboxOf = (text: string): { readonly local: string; readonly host: string } | undefined => {
  if (text.length > TEXT_MAX) return undefined
  const [local = "", host = "", more] = text.split("@")
  return local !== "" && !local.includes('"') && more === undefined && isHostName(host)
    ? { local, host: host.toLowerCase() }
    : undefined
}

/** Whether the name is surely within the subtree. */
const isWithin = (name: GeneralName, base: GeneralName): boolean => {
  switch (name.kind) {
    case "dns": {
      const host = name.text.startsWith("*.") ? name.text.slice(2) : name.text
      return base.kind === "dns" && isHostName(host) && isHostBelow(host, base.text)
    }
    case "email":
      return base.kind === "email" && isMailboxWithin(name.text, base.text)
    case "uri": {
      const host = hostOf(name.text)
      return base.kind === "uri" && host !== undefined && isHostWithin(host, base.text)
    }
    case "ip":
      return base.kind === "ip" && isAddressWithin(name.octets, base.octets)
    case "directory":
      return base.kind === "directory" && isNameWithin(name.name, base.name)
    default:
      return false
  }
}

/** Whether the name is, or could be taken for one, within the subtree: what cannot be read, could be anything. */
const mayBeWithin = (name: GeneralName, base: GeneralName): boolean => {
  if (isWithin(name, base)) return true
  switch (name.kind) {
    case "dns": {
      const isWildcard = name.text.startsWith("*.")
      const host = isWildcard ? name.text.slice(2) : name.text
      // `*.example.com` stands for every name below, the excluded one among them.
      return !isHostName(host) || (isWildcard && base.kind === "dns" && isHostBelow(base.text, host))
    }
    case "email":
      return mailboxOf(name.text) === undefined
    case "uri":
      return hostOf(name.text) === undefined
    case "ip":
      return false
    case "directory":
      return base.kind === "directory" && isLooselyWithin(name.name, base.name)
    default:
      // Of forms that Assay does not compare, every name is taken to be excluded.
      return true
  }
}

/** `base` itself or with labels before it; the empty one is above all. */
const isHostBelow = (host: string, base: string): boolean => {
  const lower = host.toLowerCase()
  const lowerBase = base.toLowerCase()
  return lowerBase === "" || lower === lowerBase || lower.endsWith(`.${lowerBase}`)
}

/** A host, or with a dot in front all hosts below it but not itself. */
const isHostWithin = (host: string, base: string): boolean =>
  base.startsWith(".") ? host.endsWith(base.toLowerCase()) : host === base.toLowerCase()

const isMailboxWithin = (text: string, base: string): boolean => {
  const mailbox = mailboxOf(text)
  if (mailbox === undefined) return false
  const exact = base.includes("@") ? mailboxOf(base) : undefined
  return exact === undefined
    ? isHostWithin(mailbox.host, base)
    : mailbox.local === exact.local && mailbox.host === exact.host
}

/**
 * Host of a URI with an authority. Nothing for an address or none, which constraints cannot be applied to, and for an
 * authority that readers disagree about: one with user information, or with a backslash.
 */
const hostOf = (text: string): string | undefined => {
  if (text.length > TEXT_MAX) return undefined
  const [, authority = ""] = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(text) ?? []
  if (/[@\\]/.test(authority)) return undefined
  const host = authority.replace(/:[0-9]*$/, "").toLowerCase()
  return isHostName(host) && !/^[0-9.]+$/.test(host) ? host : undefined
}

const isAddressWithin = (address: Uint8Array, base: Uint8Array): boolean => {
  if (base.length !== address.length * 2) return false
  return address.every((octet, i) => {
    const mask = base[address.length + i] ?? 0
    return (octet & mask) === ((base[i] ?? 0) & mask)
  })
}

const isNameWithin = ({ keys }: Name, base: Name): boolean => base.keys.every((key, i) => key === keys[i])

/** As `isNameWithin`, for whoever takes accents, widths and invisible characters for nothing (RFC 5280, 7.1; RFC 4518). */
const isLooselyWithin = ({ keys }: Name, base: Name): boolean =>
  base.keys.every((key, i) => loose(key) === loose(keys[i] ?? ""))

const loose = (key: string): string =>
  key
    .normalize("NFKD")
    .replace(/[\p{M}\p{C}]/gu, "")
    .toLowerCase()
    .replace(/ß/g, "ss")
    .replace(/ı/g, "i")
    .replace(/=\d+:/g, "=")
    .replace(/\s+/g, " ")

/** The name as people read it. */
export const generalNameText = (name: GeneralName): string => {
  switch (name.kind) {
    case "dns":
    case "email":
    case "uri":
      return `${name.kind}:${name.text}`
    case "ip":
      return `ip:${addressText(name.octets)}`
    case "directory":
      return `directory:${nameText(name.name)}`
    default:
      return `${name.kind}:${name.text}`
  }
}

const addressText = (octets: Uint8Array): string => {
  if (octets.length === 4) return octets.join(".")
  if (octets.length === 8) return `${octets.subarray(0, 4).join(".")}/${octets.subarray(4).join(".")}`
  return Buffer.from(octets).toString("hex")
}
