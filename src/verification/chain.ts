import { sameBytes } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { type Certificate, fingerprintOf } from "../evidence/x509/certificate.ts"
import type { Deviation } from "../evidence/x509/der.ts"
import { Budget } from "./budget.ts"
import { isSignedBy } from "./certificate-key.ts"
import { ANY_POLICIES, isSelfIssued, type PolicyInputs } from "./certificate-policies.ts"
import {
  badLink,
  byKeyIdentifier,
  type Failure,
  noIssuer,
  RANK,
  tooLong,
  untrustedRoot,
} from "./chain-failure.ts"
import { checkCa, checkCertificate, checkLeaf, checkValidity, type PathInputs, walkPath } from "./path.ts"
import { checkPurpose, isGoogleAk, type Purpose } from "./purpose.ts"
import { checkRevocation, type RevocationMode, type RevocationStatus } from "./revocation.ts"
import { checkServerCertificate, checkServerName } from "./server-name.ts"
import type { TpmIdentity } from "./tpm-identity.ts"
import type { Anchor, Trust } from "./trust.ts"
import { type Verified, vouch } from "./verified.ts"

/** Certificates between leaf and anchor, the self-issued among them. Makers of TPMs have two. */
export const DEPTH_MAX = 10

/** What a path is verified for. */
export interface ChainOptions {
  readonly purpose: Purpose
  /** The instant at which it has to hold. */
  readonly at: Date
  readonly policies?: PolicyInputs
  /** Intermediate CAs at most, self-issued ones not counted; `DEPTH_MAX` is never exceeded. */
  readonly maxDepth?: number
  /** Instead of what the anchor says. */
  readonly revocation?: RevocationMode
  /**
   * What of an endorsement key past its notAfter: TPMs outlive their certificates. For the purpose `ek` alone. If `allow`, the CAs above have to have
   * been valid when the certificate was issued, instead of now.
   */
  readonly expiredLeaf?: "refuse" | "allow"
  /** A web server's name that the leaf has to be for. */
  readonly serverName?: string
}

/** A path that holds. */
export interface CertificatePath {
  readonly leaf: Certificate
  /** The leaf first; without the anchor. */
  readonly certificates: readonly Certificate[]
  readonly anchor: Anchor
  /** What the leaf says about its TPM, for the purposes `ek` and `ak`. */
  readonly tpm: TpmIdentity | undefined
  /** Certificate policies that the path is valid under; `undefined` for any. */
  readonly policies: readonly string[] | undefined
  /** What was found out about revocation, for each of `certificates`. */
  readonly revocation: readonly RevocationStatus[]
  /** Whether the leaf was past its notAfter, and that was allowed. */
  readonly expired: boolean
  /** Until when the path holds, if nothing is revoked: the earliest notAfter or nextUpdate. */
  readonly validUntil: Date
  readonly deviations: readonly Deviation[]
}

/**
 * Finds a path from `leaf` to a trust anchor on which every certificate holds.
 *
 * Depth-first over an explicit stack. Issuers are looked for by name, those whose key identifier fits first; each link
 * is a signature of its own, and every signature comes out of one budget, so that work is bounded whatever the sender
 * put among `shown`. Of several failures the most specific one is thrown: a flaw of a path that reached an anchor before
 * one that did not, and both before a missing issuer.
 *
 * @param shown Certificates that came with the leaf. Nothing in them is trusted, a root among them neither.
 * @throws {AssayError} UNTRUSTED_ROOT, CHAIN, ISSUER_NOT_CA, PATH_LEN, CRITICAL_EXT, EKU, KEY_USAGE, NAME, VALIDITY,
 *   ALG_MISMATCH, EC_PARAMS, WEAK_ALG, WEAK_KEY, ROCA, KEY_DENIED, SIG_ALG, CERTIFICATE_POLICY, REVOKED; PATH;
 *   REVOCATION. `location` names the certificate that it is about.
 * @see RFC 5280, section 6.1; RFC 4158, 5.2 (loops) and 3.5 (order).
 */
export function verifyChain(
  leaf: Certificate,
  shown: readonly Certificate[],
  trust: Trust,
  options: ChainOptions,
): Verified<CertificatePath> {
  const byName = Map.groupBy(shown, ({ subject }) => subject.key)
  const search = new Search(leaf, byName, trust, options)
  return vouch(search.run())
}

class Search {
  readonly #leaf: Certificate
  readonly #shown: ReadonlyMap<string, readonly Certificate[]>
  readonly #trust: Trust
  readonly #options: ChainOptions
  readonly #inputs: PathInputs
  readonly #budget: Budget
  /** In whole seconds, as certificates have them. */
  readonly #now: number
  /** The most telling one so far. Errors cost as much as a signature, so that none is made before it is needed. */
  #failure: Failure | undefined
  #isLeafRevoked = false

  constructor(
    leaf: Certificate,
    shown: ReadonlyMap<string, readonly Certificate[]>,
    trust: Trust,
    options: ChainOptions,
    budget = new Budget(),
  ) {
    this.#leaf = leaf
    this.#shown = shown
    this.#trust = trust
    this.#options = options
    this.#budget = budget
    this.#now = Math.floor(options.at.getTime() / 1000) * 1000
    this.#inputs = {
      purpose: options.purpose,
      policies: options.policies ?? ANY_POLICIES,
      maxDepth: Math.min(options.maxDepth ?? DEPTH_MAX, DEPTH_MAX),
      serverName: options.serverName,
    }
  }

  run(): CertificatePath {
    const leaf = this.#leaf
    const { serverName, purpose } = this.#options
    const expiredLeaf = purpose === "ek" ? (this.#options.expiredLeaf ?? "refuse") : "refuse"
    const at = this.#now
    checkLeaf(leaf)
    checkCertificate(leaf, this.#trust, false)
    const tpm = checkPurpose(leaf, this.#options.purpose)
    if (serverName !== undefined) {
      checkServerCertificate(leaf)
      checkServerName(leaf, serverName)
    }
    const expired = expiredLeaf === "allow" && at > leaf.notAfter && leaf.notBefore <= leaf.notAfter
    if (!expired) checkValidity(leaf, at)
    const found = this.#find([leaf], expired ? leaf.notBefore : at)
    const deviations = isGoogleAk(leaf, purpose)
      ? [...found.deviations, "ek-purpose" as const]
      : found.deviations
    return { leaf, tpm, expired, ...found, deviations }
  }

  /** Depth-first from the leaf, over paths whose links have all been checked. */
  #find(start: readonly Certificate[], at: number): Omit<CertificatePath, "leaf" | "tpm" | "expired"> {
    const open: (readonly Certificate[])[] = [start]
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      const head = path[path.length - 1] ?? this.#leaf
      if (path.length > 1 && !this.#extends(path, head, at)) continue
      const anchors = byKeyIdentifier(head, this.#anchorsOf(head), ({ certificate }) => certificate)
      for (const anchor of anchors) {
        const found = this.#complete(path, anchor, at)
        if (found !== undefined) return found
      }
      const issuers = this.#issuersOf(head, path)
      if (issuers.length > 0 && path.length > DEPTH_MAX) {
        this.#fail(RANK.flawed, tooLong(this.#leaf, DEPTH_MAX))
        continue
      }
      // A root that came along with the name of a trusted one is still another root.
      if (issuers.length === 0 && (anchors.length === 0 || isSelfIssued(head))) this.#failAt(path, head)
      // Last in, first out: the best candidate is pushed last.
      for (const issuer of issuers.reverse()) open.push([...path, issuer])
    }
    throw this.#failure?.error ?? noIssuer(this.#leaf)
  }

  /** Whether the newest certificate of the path issued the one before it, and may. */
  #extends(path: readonly Certificate[], issuer: Certificate, at: number): boolean {
    const subject = path[path.length - 2] ?? this.#leaf
    if (!this.#isIssuedBy(subject, issuer)) return false
    return this.#holds(RANK.flawed, () => {
      checkCa(issuer)
      checkCertificate(issuer, this.#trust, false)
      if (this.#options.serverName !== undefined) checkServerCertificate(issuer)
      checkValidity(issuer, at)
    })
  }

  #complete(
    path: readonly Certificate[],
    anchor: Anchor,
    at: number,
  ): Omit<CertificatePath, "leaf" | "tpm" | "expired"> | undefined {
    const head = path[path.length - 1] ?? this.#leaf
    const { certificate } = anchor
    // A leaf that is itself an anchor is trusted by that decision; of no use for a TPM's keys, which are nobody's roots.
    const isAnchor = path.length === 1 && sameBytes(head.bytes, certificate.bytes)
    if (!isAnchor && !this.#isIssuedBy(head, certificate)) return undefined
    let found: Omit<CertificatePath, "leaf" | "tpm" | "expired"> | undefined
    this.#holds(RANK.anchored, () => {
      checkCertificate(certificate, this.#trust, true)
      checkValidity(certificate, at)
      if (!isAnchor) checkCa(certificate)
      const policies = walkPath(isAnchor ? [] : path, certificate, this.#inputs)
      const certificates = isAnchor ? [] : path
      const revocation = checkRevocation(certificates, certificate, {
        mode: this.#options.revocation ?? anchor.revocation,
        at: this.#options.at,
        trust: this.#trust,
        budget: this.#budget,
        signers: (name) => this.#candidatesOf(name),
        pathOf: (signer) => this.#signerPath(signer, anchor),
        revoked: (one) => {
          this.#isLeafRevoked ||= one === this.#leaf
        },
      })
      found = {
        certificates,
        anchor,
        policies,
        revocation: revocation.statuses,
        validUntil: new Date(
          Math.min(
            revocation.validUntil,
            // Of an expired leaf and the CAs above it, only what is still to end counts.
            ...[...certificates, certificate]
              .map(({ notAfter }) => notAfter)
              .filter((end) => end >= this.#now),
          ),
        ),
        deviations: [...new Set([...certificates, certificate].flatMap((one) => [...one.deviations]))],
      }
    })
    return found
  }

  /** The path of a certificate that only signs CRLs, to the same anchor, as of now. Nothing else is asked of it. */
  #signerPath(signer: Certificate, anchor: Anchor): readonly Certificate[] | undefined {
    const only: Trust = {
      ...this.#trust,
      anchorsOf: ({ key }) => (key === anchor.certificate.subject.key ? [anchor] : []),
    }
    const options: ChainOptions = { purpose: "any", at: this.#options.at, revocation: "off" }
    // Names before keys: of a thousand certificates by the same name, few lead anywhere.
    const { issuer } = signer
    if (only.anchorsOf(issuer).length + this.#candidatesOf(issuer).length === 0) return undefined
    try {
      const search = new Search(signer, this.#shown, only, options, this.#budget)
      const { certificates } = search.#find([signer], this.#now)
      checkCertificate(signer, this.#trust, false)
      checkValidity(signer, this.#now)
      return certificates
    } catch (error) {
      if (error instanceof AssayError && error.code !== "PATH") return undefined
      throw error
    }
  }

  #anchorsOf({ issuer, subject, bytes }: Certificate): readonly Anchor[] {
    const itself = this.#anchorsNamed(subject).filter(({ certificate }) =>
      sameBytes(certificate.bytes, bytes),
    )
    return [...(this.#options.purpose === "any" ? itself : []), ...this.#anchorsNamed(issuer)]
  }

  /** Anchors with this subject that are for the purpose. */
  #anchorsNamed(name: Certificate["issuer"]): readonly Anchor[] {
    const { purpose } = this.#options
    return this.#trust
      .anchorsOf(name)
      .filter((anchor) => purpose === "any" || anchor.purpose === "any" || anchor.purpose === purpose)
  }

  #candidatesOf(name: Certificate["issuer"]): readonly Certificate[] {
    return [...(this.#shown.get(name.key) ?? []), ...this.#trust.intermediatesOf(name)]
  }

  /** Candidates by name, the likeliest first; none that is in the path already, by its bytes or by name and key. */
  #issuersOf(head: Certificate, path: readonly Certificate[]): Certificate[] {
    const candidates: Certificate[] = []
    const seen = new Set<string>()
    for (const candidate of this.#candidatesOf(head.issuer)) {
      this.#budget.candidate()
      const fingerprint = fingerprintOf(candidate)
      if (seen.has(fingerprint)) continue
      seen.add(fingerprint)
      const isLoop = path.some(
        (one) => one.subject.key === candidate.subject.key && sameBytes(one.spki, candidate.spki),
      )
      const isAnchor = this.#anchorsNamed(candidate.subject).some(({ certificate }) =>
        sameBytes(certificate.bytes, candidate.bytes),
      )
      if (!isLoop && !isAnchor) candidates.push(candidate)
    }
    return byKeyIdentifier(head, candidates, (candidate) => candidate)
  }

  #isIssuedBy(subject: Certificate, issuer: Certificate): boolean {
    this.#budget.candidate()
    let signed = false
    const checked = this.#holds(RANK.flawed, () => {
      // Sizes are looked at before a signature is: a modulus of 16,384 bits is not worth its exponentiation.
      this.#budget.signature(issuer.publicKey)
      signed = isSignedBy(subject, issuer)
    })
    if (checked && !signed) this.#fail(RANK.badLink, badLink(subject, issuer))
    return signed
  }

  /** Runs checks; a refusal is noted and ends this path only, anything else ends the search. */
  #holds(rank: number, check: () => void): boolean {
    try {
      check()
      return true
    } catch (error) {
      // That the leaf is revoked is no matter of the path: no other anchor, of a laxer mode, takes it back.
      if (!(error instanceof AssayError) || error.kind === "exhausted" || this.#isLeafRevoked) throw error
      this.#fail(rank, error)
      return false
    }
  }

  #failAt(path: readonly Certificate[], head: Certificate): void {
    if (path.length > 1 && isSelfIssued(head)) this.#fail(RANK.untrustedRoot, untrustedRoot(head))
    else this.#fail(RANK.noIssuer, noIssuer(head))
  }

  #fail(rank: number, error: AssayError): void {
    if (this.#failure === undefined || rank > this.#failure.rank) this.#failure = { rank, error }
  }
}
