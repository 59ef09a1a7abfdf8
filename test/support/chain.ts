/** What the tests of certificate paths share: trust in some roots, an instant, and a table of what is refused. */
import type { uvu } from "uvu"
import * as assert from "uvu/assert"
import type { AssayError, Code } from "../../src/errors.ts"
import { type Certificate, parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { type CertificatePath, type ChainOptions, verifyChain } from "../../src/verification/chain.ts"
import { parseDeniedKeys } from "../../src/verification/denied-keys.ts"
import { type Anchor, createTrust, type Trust } from "../../src/verification/trust.ts"
import type { Verified } from "../../src/verification/verified.ts"
import { throwsCode } from "./assert.ts"
import { AK_EXTENSIONS, caExtensions, type Keys, LEAF_KEYS, makeCertificate, ROOT_NAME, seq } from "./x509.ts"

/** An instant in the validity of all certificates that tests make. */
export const AT = new Date("2026-11-21T12:00:00Z")
export const NOTHING_DENIED = parseDeniedKeys({ version: 1, keys: [] })

/** Trust in some roots, without a look at revocation. */
export const trustIn = (
  roots: readonly Uint8Array[],
  changed: Partial<Pick<Anchor, "purpose" | "revocation">> = {},
  intermediates: readonly Uint8Array[] = [],
): Trust =>
  createTrust({
    anchors: roots.map((root) => ({
      certificate: parseCertificate(root),
      purpose: "any",
      revocation: "off",
      ...changed,
    })),
    intermediates: intermediates.map((one) => parseCertificate(one)),
    crls: [],
    denied: NOTHING_DENIED,
  })

/** A leaf with what came along and what is trusted; without `options`, an attestation key's at `AT`. */
export interface Case {
  readonly leaf: Uint8Array
  readonly shown?: readonly Uint8Array[]
  readonly trust: Trust
  readonly options?: Partial<ChainOptions>
}

/** Verifies the chain of a case. */
export const verifyCase = ({ leaf, shown = [], trust, options }: Case): Verified<CertificatePath> =>
  verifyChain(
    parseCertificate(leaf),
    shown.map((one) => parseCertificate(one)),
    trust,
    { purpose: "ak", at: AT, ...options },
  )

/** The chain that `makeChain` made, under trust in its root. */
export const caseOf = (
  chain: { readonly root: Uint8Array; readonly intermediate: Uint8Array; readonly leaf: Uint8Array },
  options: Partial<ChainOptions> = {},
): Case => ({ leaf: chain.leaf, shown: [chain.intermediate], trust: trustIn([chain.root]), options })

/** What a case is refused with, and how the name of the certificate that it is about begins. */
export type Refused = readonly [name: string, of: () => Case, code: Code, location?: string]

/** A test for each case: refused with exactly the code, in the certificate that is named. */
export const refusesEach = <T>(test: uvu.Test<T>, cases: readonly Refused[]): void => {
  for (const [name, of, code, location] of cases)
    test(`refuses ${name}`, () => {
      const made = of()
      const error: AssayError = throwsCode(() => verifyCase(made), code)
      if (location !== undefined)
        assert.ok(error.location?.startsWith(location), `${error.location} is not about ${location}`)
    })
}

/** How errors call the certificates of `makeChain`. */
export const [LEAF, INTERMEDIATE, ROOT] = ["certificate ", "CN=Test Intermediate", "CN=Test Root"] as const

/** The certificates, parsed. */
export const parsed = (...ders: readonly Uint8Array[]): Certificate[] =>
  ders.map((der) => parseCertificate(der))

/**
 * The least CPU time, in milliseconds, that `act` took in five runs: the others had the machine's or the collector's
 * share in them.
 */
export const leastCpuMs = (act: () => void): number => {
  const runs = Array.from({ length: 5 }, () => {
    const start = process.cpuUsage()
    act()
    const { user, system } = process.cpuUsage(start)
    return (user + system) / 1000
  })
  return Math.min(...runs)
}

/** A certificate of a CA. */
export const ca = (
  keys: Keys,
  signer: Keys,
  subject: Uint8Array,
  issuer: Uint8Array,
  ...more: readonly Uint8Array[]
): Uint8Array => makeCertificate(keys, signer, subject, issuer, [...caExtensions(), ...more])

/** The certificate of an attestation key. */
export const leafBy = (signer: Keys, issuer: Uint8Array, ...more: readonly Uint8Array[]): Uint8Array =>
  makeCertificate(LEAF_KEYS, signer, seq(), issuer, [...AK_EXTENSIONS, ...more])

/** Self-signed, with some keys. */
export const rootOf = (keys: Keys, subject = ROOT_NAME, ...more: readonly Uint8Array[]): Uint8Array =>
  ca(keys, keys, subject, subject, ...more)
