import { AssayError } from "../errors.ts"
import { type Certificate, certificateText } from "../evidence/x509/certificate.ts"

const ANY_POLICY = "2.5.29.32.0"

/** What is asked of a path's certificate policies (RFC 5280, 6.1.1 (c) to (g)). */
export interface PolicyInputs {
  /** user-initial-policy-set; nothing stands for anyPolicy. */
  readonly acceptable: ReadonlySet<string> | undefined
  readonly requireExplicit: boolean
  readonly inhibitMapping: boolean
  readonly inhibitAny: boolean
}

/** Nothing in particular. */
export const ANY_POLICIES: PolicyInputs = {
  acceptable: undefined,
  requireExplicit: false,
  inhibitMapping: false,
  inhibitAny: false,
}

/**
 * The certificate policies under which a path holds so far.
 *
 * Without policy mapping the tree of RFC 5280 is a set: a node of depth i is a policy that every certificate down to
 * i asserts, by itself or through anyPolicy. Where mapping is inhibited, it takes policies away, as the RFC says; where
 * it is not, a path that maps is refused if its policies decide anything, and elsewhere the mapping has no effect.
 *
 * @see RFC 5280, 6.1.2 to 6.1.5; RFC 9618, 3.
 */
export class PolicySet {
  /** Policies that hold, ANY_POLICY among them if any would; empty is the NULL tree. */
  #valid = new Set([ANY_POLICY])
  #explicit: number
  #mapping: number
  #any: number
  #mapped: Certificate | undefined
  readonly #inputs: PolicyInputs

  /** @param length Certificates of the path, without the anchor. */
  constructor(inputs: PolicyInputs, length: number) {
    this.#inputs = inputs
    this.#explicit = inputs.requireExplicit ? 0 : length + 1
    this.#mapping = inputs.inhibitMapping ? 0 : length + 1
    this.#any = inputs.inhibitAny ? 0 : length + 1
  }

  /** Steps (d), (e), (f) of 6.1.3. @throws {AssayError} CERTIFICATE_POLICY. */
  process(certificate: Certificate, isLast: boolean): void {
    const asserted = certificate.extensions.policies ?? []
    const anyCounts = this.#any > 0 || (!isLast && isSelfIssued(certificate))
    const valid = new Set<string>()
    for (const policy of asserted)
      if (policy !== ANY_POLICY && (this.#valid.has(policy) || this.#valid.has(ANY_POLICY))) valid.add(policy)
    if (anyCounts && asserted.includes(ANY_POLICY)) for (const policy of this.#valid) valid.add(policy)
    this.#valid = valid
    if (this.#explicit === 0 && valid.size === 0) throw this.#refused(certificate)
  }

  /**
   * Steps (a), (b), (h), (i), (j) of 6.1.4. An anchor is above the path, and none of the certificates that are counted.
   *
   * @throws {AssayError} CERTIFICATE_POLICY.
   */
  prepare(ca: Certificate, isAnchor: boolean): void {
    const { policyMappings, policyConstraints, inhibitAnyPolicy } = ca.extensions
    if (policyMappings !== undefined) {
      if (policyMappings.length === 0 || policyMappings.some((pair) => pair.includes(ANY_POLICY)))
        throw new AssayError("CERTIFICATE_POLICY", "a mapping to or from anyPolicy, or an empty one", {
          location: certificateText(ca),
        })
      if (this.#mapping > 0) this.#mapped ??= ca
      else for (const [issuerDomain] of policyMappings) this.#valid.delete(issuerDomain)
    }
    if (!isAnchor && !isSelfIssued(ca)) {
      this.#explicit = Math.max(0, this.#explicit - 1)
      this.#mapping = Math.max(0, this.#mapping - 1)
      this.#any = Math.max(0, this.#any - 1)
    }
    this.#explicit = Math.min(this.#explicit, policyConstraints?.requireExplicitPolicy ?? this.#explicit)
    this.#mapping = Math.min(this.#mapping, policyConstraints?.inhibitPolicyMapping ?? this.#mapping)
    this.#any = Math.min(this.#any, inhibitAnyPolicy ?? this.#any)
  }

  /**
   * Steps (a), (b), (g) of 6.1.5.
   *
   * @returns The policies that the path is valid under; `undefined` for any, and where mappings leave it open.
   * @throws {AssayError} CERTIFICATE_POLICY.
   */
  finish(leaf: Certificate): readonly string[] | undefined {
    this.#explicit = Math.max(0, this.#explicit - 1)
    if (leaf.extensions.policyConstraints?.requireExplicitPolicy === 0) this.#explicit = 0
    const { acceptable } = this.#inputs
    const valid = new Set(this.#valid)
    if (acceptable !== undefined) {
      const any = valid.delete(ANY_POLICY)
      for (const policy of valid) if (!acceptable.has(policy)) valid.delete(policy)
      if (any) for (const policy of acceptable) valid.add(policy)
    }
    if (this.#explicit === 0) {
      if (this.#mapped !== undefined)
        throw new AssayError("CERTIFICATE_POLICY", "the path maps policies, and its policies decide", {
          location: certificateText(this.#mapped),
          expected: "no policy mapping",
        })
      if (valid.size === 0) throw this.#refused(leaf)
    }
    return valid.has(ANY_POLICY) || this.#mapped !== undefined ? undefined : [...valid]
  }

  #refused(certificate: Certificate): AssayError {
    const { acceptable } = this.#inputs
    return new AssayError("CERTIFICATE_POLICY", "no certificate policy holds for the whole path", {
      location: certificateText(certificate),
      expected: acceptable === undefined ? "a policy" : [...acceptable].join(" or "),
      actual: certificate.extensions.policies?.join(", ") ?? "no policies",
    })
  }
}

/** Subject and issuer are the same (RFC 5280, 6.1): a CA that changes its key. */
export const isSelfIssued = ({ subject, issuer }: Certificate): boolean => subject.key === issuer.key
