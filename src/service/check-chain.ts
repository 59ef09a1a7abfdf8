/**
 * Checks one certificate chain with nothing but what is handed in: no registry, no store, no network. What is decided is
 * decided by `verifyChain`; here files become what it takes.
 */
import { AssayError } from "../errors.ts"
import { type Certificate, parseCertificate } from "../evidence/x509/certificate.ts"
import { parseCrl } from "../evidence/x509/crl.ts"
import type { Deviation } from "../evidence/x509/der.ts"
import { type CertificatePath, type ChainOptions, verifyChain } from "../verification/chain.ts"
import type { RevocationMode } from "../verification/revocation.ts"
import { type Anchor, createTrust } from "../verification/trust.ts"
import type { Verified } from "../verification/verified.ts"
import type { DeniedKeys } from "../verification/weak-key.ts"
import { type FileItem, type FileKind, readItems, readLeaf } from "./certificate-file.ts"

/** Certificates that may come with a leaf. No path has a hundredth of them. */
export const SHOWN_MAX = 1024

/** A file, read. */
export interface NamedFile {
  readonly name: string
  readonly bytes: Uint8Array
}

/** Everything that is handed in. Files as in `readItems`. */
export interface ChainInput {
  /** One certificate; for the purpose `ek` also what an NV index of a TPM holds. */
  readonly leaf: NamedFile
  /** Certificates that may help to build a path. At most `SHOWN_MAX` in all. */
  readonly intermediates: readonly NamedFile[]
  /** Certificates that are trusted. Without any, nothing is accepted. */
  readonly anchors: readonly NamedFile[]
  readonly crls: readonly NamedFile[]
  readonly denied: DeniedKeys
  readonly options: ChainOptions & { readonly revocation: RevocationMode }
}

/** A certificate or CRL that could not be read, and was left out. */
export interface Ignored {
  /** The file, with the number of the block: `bundle.pem[3]`. */
  readonly label: string
  readonly error: AssayError
}

/** What was found. */
export interface ChainCheck {
  readonly accepted: boolean
  /** Why not. */
  readonly error: AssayError | undefined
  /** The reason is that something is not what its format says: the leaf, or what was left out and would have been needed. */
  readonly malformed: boolean
  readonly leaf: Certificate | undefined
  readonly path: Verified<CertificatePath> | undefined
  /** Of the leaf's wrapping, and of every certificate of the path. */
  readonly deviations: readonly Deviation[]
  readonly ignored: readonly Ignored[]
}

/**
 * Checks a chain. Throws no AssayError: whatever is wrong is in the answer.
 *
 * Among intermediates, anchors and CRLs, what cannot be read is left out and told in `ignored`. It is never silently
 * missed: if no issuer was found, the first certificate left out is the reason; and if a certificate of the path ends up
 * without an answer about its revocation, the first CRL left out is.
 */
export function checkChain(input: ChainInput): ChainCheck {
  const ignored: Ignored[] = []
  let leaf: Certificate | undefined
  let wrapping: readonly Deviation[] = []
  const refuse = (error: AssayError, malformed: boolean): ChainCheck => ({
    accepted: false,
    error,
    malformed,
    leaf,
    path: undefined,
    deviations: leaf === undefined ? wrapping : [...wrapping, ...leaf.deviations],
    ignored,
  })

  try {
    const item = readLeaf(input.leaf.bytes, input.leaf.name, input.options.purpose === "ek")
    wrapping = item.deviations
    leaf = parseCertificate(item.der, item.label)
  } catch (error) {
    return refuse(asRefusal(error), true)
  }
  const items = readFiles(input.intermediates, "certificate", ignored)
  if (items.length > SHOWN_MAX) return refuse(tooMany(items.length), false)
  const intermediates = parseItems(items, parseCertificate, ignored)
  const anchors = parseItems(readFiles(input.anchors, "certificate", ignored), parseCertificate, ignored)
  const [ignoredCertificate] = ignored
  const ignoredCrls: Ignored[] = []
  const crls = parseItems(readFiles(input.crls, "crl", ignoredCrls), parseCrl, ignoredCrls)
  ignored.push(...ignoredCrls)

  const { revocation } = input.options
  const trust = createTrust({
    anchors: anchors.map((certificate): Anchor => ({ certificate, purpose: "any", revocation })),
    intermediates: [],
    crls,
    denied: input.denied,
  })
  try {
    const path = verifyChain(leaf, intermediates, trust, input.options)
    const [ignoredCrl] = ignoredCrls
    const isAnswered = path.revocation.every(({ status }) => status !== "not-published")
    if (ignoredCrl !== undefined && !isAnswered) return refuse(ignoredCrl.error, true)
    const deviations = [...wrapping, ...path.deviations]
    return { accepted: true, error: undefined, malformed: false, leaf, path, deviations, ignored }
  } catch (error) {
    const refusal = asRefusal(error)
    return refusal.code === "UNTRUSTED_ROOT" && ignoredCertificate !== undefined
      ? refuse(ignoredCertificate.error, true)
      : refuse(refusal, false)
  }
}

/** An empty file holds nothing, and that is what it says; anything else that holds nothing is damaged. */
const readFiles = (files: readonly NamedFile[], kind: FileKind, ignored: Ignored[]): readonly FileItem[] =>
  files
    .filter(({ bytes }) => bytes.some((byte) => !WHITE_SPACE.includes(byte)))
    .flatMap(({ name, bytes }) => orIgnored(name, ignored, () => readItems(bytes, name, kind)) ?? [])

const WHITE_SPACE: readonly number[] = [0x09, 0x0a, 0x0d, 0x20]

const parseItems = <T>(
  items: readonly FileItem[],
  parse: (der: Uint8Array, label: string) => T,
  ignored: Ignored[],
): readonly T[] => items.flatMap(({ der, label }) => orIgnored(label, ignored, () => parse(der, label)) ?? [])

const orIgnored = <T>(label: string, ignored: Ignored[], read: () => T): T | undefined => {
  try {
    return read()
  } catch (error) {
    ignored.push({ label, error: asRefusal(error) })
    return undefined
  }
}

/** @throws Whatever is no AssayError: that is not ours to answer. */
const asRefusal = (error: unknown): AssayError => {
  if (error instanceof AssayError) return error
  throw error
}

const tooMany = (count: number): AssayError =>
  new AssayError("PATH", "more intermediates than Assay looks at", {
    location: "intermediates",
    expected: `at most ${SHOWN_MAX} certificates`,
    actual: String(count),
  })
