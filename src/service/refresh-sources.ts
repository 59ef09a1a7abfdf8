import { sameBytes } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { type Certificate, fingerprintOf } from "../evidence/x509/certificate.ts"
import { CA_ISSUERS } from "../evidence/x509/extensions.ts"
import type { GeneralName } from "../evidence/x509/general-name.ts"
import { isSelfIssued } from "../verification/certificate-policies.ts"
import { type CertificatePath, verifyChain } from "../verification/chain.ts"
import type { Trust } from "../verification/trust.ts"
import type { ParsedTrust } from "./parse-trust.ts"
import type { Breathe, Published } from "./ports.ts"

/** On whose account a URL is looked after, and in which order: nobody is kept waiting by those behind. */
export const RANKS = ["anchor", "kept", "wanted"] as const

/** Something to load, and what it has to be. */
export interface Source {
  readonly url: string
  readonly kind: Published
  /** Keys of the names that may have issued the CRL. */
  readonly issuers: ReadonlySet<string>
  /** Certificates that name the URL: those whose issuer is looked for there. */
  readonly namedBy: readonly Certificate[]
  /** Of a CRL: the paths of these, on which its signer may be. */
  readonly shown: readonly Certificate[]
  readonly rank: (typeof RANKS)[number]
  /** Of the same rank, sources with the same share take turns with those of others. */
  readonly share: string
}

/** What tells a source from all others. */
export const keyOf = ({ kind, url }: Pick<Source, "kind" | "url">): string => `${kind} ${url}`

/** The URL that a CRL was loaded from, of its source in the store. */
export const urlOf = (source: string): string => source.split("#", 1)[0] ?? source

/** A certificate that was seen, with those that came with it. Nothing of it is believed. */
export interface Shown {
  readonly certificate: Certificate
  readonly shown: readonly Certificate[]
}

/** A certificate that was seen in a request. */
export interface Wanted extends Shown {
  /** The device that showed it. */
  readonly share: string
}

/** Where to look for sources, and what to find them with. */
export interface SourceInputs {
  readonly parsed: ParsedTrust
  readonly trust: Trust
  readonly wanted: readonly Wanted[]
  readonly hosts: ReadonlySet<string>
  readonly at: Date
  readonly breathe: Breathe
}

/** URLs that are looked after for one tenant: many times what all makers of TPMs publish. */
const SOURCES_MAX = 500
/** URLs of a kind that are read of one certificate. Issuers name one or two. */
const NAMED_MAX = 4
const WEB_URL = /^https?:/i
const URL_CHARACTERS_MAX = 2048
const DEFAULT_PORTS: Readonly<Record<string, string>> = { "http:": "80", "https:": "443" }

/**
 * The URL in its one spelling, if something may be loaded from it: http or https, without credentials, and from a host
 * that is listed, as `host` or `host:port`. Without a port, only the protocol's own is meant.
 */
export const allowedUrl = (text: string, hosts: ReadonlySet<string>): string | undefined => {
  if (text.length > URL_CHARACTERS_MAX || !URL.canParse(text)) return undefined
  const url = new URL(text)
  const defaultPort = DEFAULT_PORTS[url.protocol]
  if (defaultPort === undefined || url.username !== "" || url.password !== "") return undefined
  if (!hosts.has(url.host) && !hosts.has(`${url.hostname}:${url.port || defaultPort}`)) return undefined
  url.hash = ""
  return url.href
}

/** What a certificate names and what may be loaded, by what is there: of each kind the first few URLs, for it may have thousands. */
export const namedUrls = (
  { extensions }: Certificate,
  hosts: ReadonlySet<string>,
): Readonly<Record<Published, readonly string[]>> => {
  const allowed = (names: readonly GeneralName[]): readonly string[] =>
    names
      .flatMap((name) => (name.kind === "uri" && WEB_URL.test(name.text) ? name.text : []))
      .slice(0, NAMED_MAX)
      .flatMap((text) => allowedUrl(text, hosts) ?? [])
  const points = extensions.crlDistributionPoints ?? []
  const accesses = extensions.authorityInfoAccess ?? []
  return {
    // Another issuer's list is an indirect CRL.
    crl: allowed(
      points.flatMap(({ crlIssuer, point }) => (crlIssuer === undefined && point?.fullName) || []),
    ),
    certificates: allowed(
      accesses.flatMap(({ method, location }) => (method === CA_ISSUERS ? location : [])),
    ),
  }
}

/** The path to an anchor, for whatever purpose and without a look at revocation; nothing if there is none. */
export const pathOf = (
  { certificate, shown }: Shown,
  trust: Trust,
  at: Date,
  expiredLeaf: "refuse" | "allow" = "refuse",
): CertificatePath | undefined => {
  try {
    return verifyChain(certificate, shown, trust, { purpose: "any", at, revocation: "off", expiredLeaf })
  } catch (error) {
    if (error instanceof AssayError) return undefined
    throw error
  }
}

/**
 * Everything to look after for a tenant: what its anchors, its intermediates and the wanted certificates name, and where
 * its CRLs came from. In this order, so that what devices show takes no place of anything else.
 *
 * Only a certificate with a path to an anchor is asked where its CRL is: who makes one up cannot have it loaded from a
 * hundred spellings of one URL. Where the issuer's certificate is has to be asked of those that have no path yet.
 */
export async function sourcesOf(inputs: SourceInputs): Promise<readonly Source[]> {
  const { parsed, trust, wanted, hosts, at, breathe } = inputs
  if (hosts.size === 0) return []
  const list = new SourceList()
  const addIssuers = (one: Shown, account: Account): void => {
    if (isSelfIssued(one.certificate)) return
    for (const url of namedUrls(one.certificate, hosts).certificates)
      list.add(url, "certificates", one, account)
  }
  const addCrls = (certificate: Certificate, path: readonly Certificate[], account: Account): void => {
    for (const url of namedUrls(certificate, hosts).crl)
      list.add(url, "crl", { certificate, shown: path }, account)
  }
  const addBoth = async (one: Shown, account: Account): Promise<void> => {
    await breathe()
    const path = pathOf(one, trust, at, "allow")
    if (path !== undefined) addCrls(one.certificate, path.certificates, account)
    addIssuers(one, account)
  }
  for (const { certificate } of parsed.anchors) {
    const account = { rank: "anchor", share: fingerprintOf(certificate) } as const
    addCrls(certificate, [], account)
    addIssuers({ certificate, shown: [] }, account)
  }
  for (const { crl, source } of parsed.crls) {
    const url = allowedUrl(source, hosts)
    if (url !== undefined) list.addIssuer(url, crl.issuer.key, { rank: "kept", share: crl.issuer.key })
  }
  for (const { certificate } of parsed.intermediates)
    await addBoth({ certificate, shown: [] }, { rank: "kept", share: certificate.issuer.key })
  for (const one of wanted) await addBoth(one, { rank: "wanted", share: one.share })
  return list.sources()
}

/** Certificates that are noted of one source: all devices of a maker name the same. */
const NOTED_MAX = 32

const note = (list: Certificate[], certificate: Certificate): void => {
  if (list.length >= NOTED_MAX || list.some(({ bytes }) => sameBytes(bytes, certificate.bytes))) return
  list.push(certificate)
}

type Account = Pick<Source, "rank" | "share">

interface Growing extends Source {
  readonly issuers: Set<string>
  readonly namedBy: Certificate[]
  readonly shown: Certificate[]
}

class SourceList {
  readonly #sources = new Map<string, Growing>()

  add(url: string, kind: Published, { certificate, shown }: Shown, account: Account): void {
    const source = this.#source(url, kind, account)
    source?.issuers.add(certificate.issuer.key)
    if (source === undefined) return
    note(source.namedBy, certificate)
    for (const one of shown) note(source.shown, one)
  }

  addIssuer(url: string, issuer: string, account: Account): void {
    this.#source(url, "crl", account)?.issuers.add(issuer)
  }

  sources(): readonly Source[] {
    return [...this.#sources.values()]
  }

  #source(url: string, kind: Published, account: Account): Growing | undefined {
    const key = keyOf({ kind, url })
    const known = this.#sources.get(key)
    if (known !== undefined || this.#sources.size >= SOURCES_MAX) return known
    const source: Growing = { url, kind, ...account, issuers: new Set(), namedBy: [], shown: [] }
    this.#sources.set(key, source)
    return source
  }
}
