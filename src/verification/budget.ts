import { AssayError } from "../errors.ts"
import type { SubjectPublicKey } from "../evidence/x509/public-key.ts"

/**
 * What the signatures of one verification may cost, in checks by the cheap kinds of key. Whatever a sender arranges then
 * ends within 20 ms of the event loop: measured, 32 of P-256, 10 of P-384 or 6 of P-521 take 3 to 10 ms. A path of three
 * links with a CRL for each takes six checks.
 */
export const SIGNATURES_MAX = 32
/** Issuers by name that one verification looks at, whether or not they are worth a signature. */
export const CANDIDATES_MAX = 2048
/** Octets of a modulus over which a check may cost as much as one of P-384: 4096 bits. */
const CHEAP_MODULUS_MAX = 512

/** What one verification may spend. Every expensive step takes from it first. */
export class Budget {
  #signatures = SIGNATURES_MAX
  #candidates = CANDIDATES_MAX

  /** Pays for a signature check by this key. @throws {AssayError} PATH. */
  signature(key: SubjectPublicKey): void {
    this.#signatures -= costOf(key)
    if (this.#signatures < 0) throw spent("signature checks", SIGNATURES_MAX)
  }

  /** Pays for a look at a candidate. @throws {AssayError} PATH. */
  candidate(): void {
    if (--this.#candidates < 0) throw spent("candidate issuers", CANDIDATES_MAX)
  }
}

const costOf = (key: SubjectPublicKey): number => {
  if (key.kind === "rsa") return key.modulus.length > CHEAP_MODULUS_MAX ? 3 : 1
  if (key.kind !== "ec" || key.curve === "P-256") return 1
  return key.curve === "P-384" ? 3 : 5
}

const spent = (what: string, max: number): AssayError =>
  new AssayError("PATH", `no path within the limit of ${what}`, { expected: `at most ${max}` })
