/**
 * Callers that are known by a TLS client certificate. Each rule has CAs of its own, and a certificate is judged by each
 * rule alone: one of the CA of one rule is never taken for a caller of another.
 */
import { hash } from "node:crypto"
import { AssayError, type Code } from "../errors.ts"
import { type Certificate, certificateText, parseCertificate } from "../evidence/x509/certificate.ts"
import type { Crl } from "../evidence/x509/crl.ts"
import { verifyClientCertificate } from "../verification/client-certificate.ts"
import { createTrust, type Trust } from "../verification/trust.ts"
import type { DeniedKeys } from "../verification/weak-key.ts"
import { Memory } from "./memory.ts"
import type { Principal, Role } from "./roles.ts"

/** What of a certificate is its holder's id. */
export type CertificateId =
  /** The one URI of its alternative names, which is a SPIFFE id; of `ids`, where they are listed. */
  | { readonly kind: "spiffe"; readonly ids: readonly string[] | undefined }
  /** The one DNS name of its alternative names; where `ids` are listed, the one of them that is among its names. */
  | { readonly kind: "dns"; readonly ids: readonly string[] | undefined }
  /** SHA-256 of the certificate, in lowercase hexadecimal, one of `ids`. */
  | { readonly kind: "sha256"; readonly ids: readonly string[] }

/** Who the holders of certificates of some CAs are. */
export interface CertificateRule {
  /** Begins the ids of its callers. */
  readonly name: string
  readonly authorities: readonly Certificate[]
  /** Where there are any, every certificate has to be shown good by one. */
  readonly crls: readonly Crl[]
  readonly role: Exclude<Role, "device">
  readonly tenant: string
  readonly id: CertificateId
}

/** Assay's own CA, whose certificates are devices'. */
export interface DeviceAuthority {
  /** Its certificates as they are now, DER. */
  readonly certificates: () => readonly Uint8Array[]
  /** The tenant and the device of a SPIFFE id, if it is one of a device. */
  readonly deviceOf: (uri: string) => { readonly tenant: string; readonly device: string } | undefined
}

/** What certificates are judged by. */
export interface CertificateParts {
  readonly rules: () => readonly CertificateRule[]
  readonly devices: DeviceAuthority | undefined
  readonly denied: DeniedKeys
  readonly now: () => Date
}

/** What a TLS client has shown: DER, its own certificate first. */
export type ShownChain = readonly Uint8Array[]

/** Says who the holder of a certificate is. @throws {AssayError} CALLER_UNKNOWN. */
export type KnowHolder = (chain: ShownChain) => Principal

/** Chains that are remembered: one for each connection with a certificate, as many as there may be. */
const REMEMBERED_MAX = 4096
/** How long a refusal stands: whoever shows a bad chain again and again has it verified once in this time. */
const REFUSED_MS = 1000
/** More than any chain of a client has. */
const SHOWN_MAX = 10

/** What the rules made of a chain, and until when. */
interface Known {
  readonly principal: Principal
  readonly validUntil: number
}
interface Refused {
  readonly error: AssayError
  readonly validUntil: number
}

/**
 * Verifies client certificates. What was verified once is remembered by its bytes until the path ends or a rule changes,
 * a refusal for a second. A certificate that two rules take for a caller is nobody's.
 */
export function createKnowHolder({ rules, devices, denied, now }: CertificateParts): KnowHolder {
  const known = new Memory<Known>(REMEMBERED_MAX)
  const refused = new Memory<Refused>(REMEMBERED_MAX)
  let from: readonly unknown[] = []
  return (chain) => {
    const ruled = rules()
    const own = devices?.certificates() ?? []
    const current = [...ruled, ...own]
    if (current.length !== from.length || current.some((one, i) => one !== from[i])) {
      known.clear()
      refused.clear()
      from = current
    }
    const at = now()
    const key = keyOf(chain)
    const before = known.get(key, at)
    if (before !== undefined) return before.principal
    const refusal = refused.get(key, at)
    if (refusal !== undefined) throw refusal.error
    try {
      const found = judge(chain, { ruled, own, devices, denied, at })
      known.set(key, found)
      return found.principal
    } catch (error) {
      if (error instanceof AssayError) refused.set(key, { error, validUntil: at.getTime() + REFUSED_MS })
      throw error
    }
  }
}

/** Each certificate by its digest: none can be moved from one place of a chain to another. */
function keyOf(chain: ShownChain): string {
  const known = keys.get(chain)
  if (known !== undefined) return known
  const key = chain.map((der) => hash("sha256", der, "base64url")).join()
  keys.set(chain, key)
  return key
}

/** What a connection has shown stays the same, and is looked at for each request. */
const keys = new WeakMap<ShownChain, string>()

/** What a rule answers whose CA has nothing to do with the certificate. */
const IS_ANOTHERS: readonly Code[] = ["UNTRUSTED_ROOT", "CHAIN"]

interface Judging {
  readonly ruled: readonly CertificateRule[]
  readonly own: readonly Uint8Array[]
  readonly devices: DeviceAuthority | undefined
  readonly denied: DeniedKeys
  readonly at: Date
}

function judge(chain: ShownChain, { ruled, own, devices, denied, at }: Judging): Known {
  const [leaf, ...shown] = parseShown(chain)
  const found: Known[] = []
  let failure: AssayError | undefined
  const attempt = (trust: Trust, principalOf: (leaf: Certificate) => Principal): void => {
    try {
      const path = verifyClientCertificate(leaf, shown, trust, at)
      found.push({ principal: principalOf(leaf), validUntil: path.validUntil.getTime() })
    } catch (error) {
      if (!(error instanceof AssayError)) throw error
      // A rule whose CA did not issue it has less to say than one whose CA did.
      if (failure === undefined || !IS_ANOTHERS.includes(error.code)) failure = error
    }
  }
  for (const rule of ruled) attempt(trustOf(rule, denied), (certificate) => holderOf(certificate, rule))
  if (devices !== undefined && own.length > 0)
    attempt(deviceTrust(own, denied), (certificate) => deviceOf(certificate, devices))
  const [first, second] = found
  if (first === undefined) throw unknown(leaf, failure)
  if (second !== undefined)
    throw unknown(
      leaf,
      new AssayError("CALLER_UNKNOWN", "two rules take the certificate for different callers"),
    )
  return first
}

function parseShown(chain: ShownChain): [Certificate, ...Certificate[]] {
  const [first, ...rest] = chain.slice(0, SHOWN_MAX)
  try {
    return [parseCertificate(first ?? new Uint8Array()), ...rest.map((der) => parseCertificate(der))]
  } catch (cause) {
    throw new AssayError("CALLER_UNKNOWN", "the client certificate cannot be read", {
      location: "certificate",
      actual: cause instanceof AssayError ? cause.code : "",
      cause,
    })
  }
}

const trusts = new WeakMap<CertificateRule, Trust>()

/** Made once for each rule: a rule that was read again is another one. */
function trustOf(rule: CertificateRule, denied: DeniedKeys): Trust {
  const known = trusts.get(rule)
  if (known !== undefined) return known
  const revocation = rule.crls.length === 0 ? "off" : "require"
  const anchors = rule.authorities.map(
    (certificate) => ({ certificate, purpose: "any", revocation }) as const,
  )
  const trust = createTrust({ anchors, intermediates: [], crls: rule.crls, denied })
  trusts.set(rule, trust)
  return trust
}

const deviceTrust = (own: readonly Uint8Array[], denied: DeniedKeys): Trust =>
  createTrust({
    anchors: own.map(
      (der) => ({ certificate: parseCertificate(der), purpose: "any", revocation: "off" }) as const,
    ),
    intermediates: [],
    crls: [],
    denied,
  })

const holderOf = (certificate: Certificate, rule: CertificateRule): Principal => ({
  tenant: rule.tenant,
  id: `cert:${rule.name}:${idOf(certificate, rule.id)}`,
  role: rule.role,
})

function idOf(certificate: Certificate, id: CertificateId): string {
  switch (id.kind) {
    case "spiffe": {
      const uri = spiffeIdOf(certificate)
      if (id.ids !== undefined && !id.ids.includes(uri)) throw notListed(certificate, "a SPIFFE id")
      return uri
    }
    case "dns": {
      const names = namesOf(certificate, "dns")
      const listed = id.ids === undefined ? names : names.filter((one) => id.ids?.includes(one))
      const [only, ...others] = listed
      if (only === undefined || others.length > 0) throw notListed(certificate, "one DNS name")
      if (!isDnsName(only)) throw malformed(certificate, "a DNS name in lowercase, and no wildcard")
      return only
    }
    case "sha256": {
      const digest = hash("sha256", certificate.bytes, "hex")
      if (!id.ids.includes(digest)) throw notListed(certificate, "a certificate")
      return digest
    }
  }
}

function deviceOf(certificate: Certificate, { deviceOf: read }: DeviceAuthority): Principal {
  const found = read(spiffeIdOf(certificate))
  if (found === undefined) throw malformed(certificate, "the SPIFFE id of a device")
  const { tenant, device } = found
  return { tenant, id: `device:${device}`, role: "device", own: { kind: "device", id: device } }
}

const namesOf = (certificate: Certificate, kind: "uri" | "dns"): readonly string[] =>
  (certificate.extensions.subjectAltName ?? []).flatMap((one) => (one.kind === kind ? [one.text] : []))

/** SPIFFE-ID, 2: of a trust domain, with a path whose segments are neither empty nor dots. 2048 bytes there, fewer here. */
const SPIFFE = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)+$/
const SPIFFE_CHARACTERS_MAX = 512

/** X.509-SVID, 2: exactly one URI. */
function spiffeIdOf(certificate: Certificate): string {
  const [uri, ...others] = namesOf(certificate, "uri")
  if (uri === undefined || others.length > 0 || uri.length > SPIFFE_CHARACTERS_MAX || !SPIFFE.test(uri))
    throw malformed(certificate, "one URI among its names, a SPIFFE id")
  return uri
}

const isDnsName = (text: string): boolean =>
  text.length <= 253 && /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/.test(text)

const malformed = (certificate: Certificate, expected: string): AssayError =>
  new AssayError("ID", "the certificate does not say who its holder is", {
    location: certificateText(certificate),
    expected,
  })

const notListed = (certificate: Certificate, what: string): AssayError =>
  new AssayError("PERMISSION", "the certificate's holder is not listed", {
    location: certificateText(certificate),
    expected: `${what} of the configuration`,
  })

const unknown = (leaf: Certificate, cause: AssayError | undefined): AssayError =>
  new AssayError("CALLER_UNKNOWN", "the client certificate is not one of a known caller", {
    location: certificateText(leaf),
    expected: "a certificate for TLS clients, of a CA of the configuration and of a caller that it knows",
    actual: cause === undefined ? "no CA is configured" : `${cause.code}: ${cause.message}`,
    ...(cause === undefined ? {} : { cause }),
  })
