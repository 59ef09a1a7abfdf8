/** The two judges of a case: Assay, and `openssl verify` as a program of its own. */
import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { AssayError, type Code } from "../../../src/errors.ts"
import { type Certificate, parseCertificate } from "../../../src/evidence/x509/certificate.ts"
import { parseCrl } from "../../../src/evidence/x509/crl.ts"
import { verifyChain } from "../../../src/verification/chain.ts"
import { createTrust } from "../../../src/verification/trust.ts"
import type { Files, Question } from "./chain.ts"
import type { Shell } from "./shell.ts"

/** What Assay said. */
export type Ours =
  | { readonly accepted: true; readonly path: readonly Certificate[]; readonly anchor: Certificate }
  | { readonly accepted: false; readonly code: Code; readonly message: string }

/**
 * Asks Assay. What cannot be read of certificates and CRLs that came along is left out; if it was needed, it is the reason.
 */
export function askAssay(files: Files, { purpose, at, policies, maxDepth, crls }: Question): Ours {
  const revocation = crls ? "require" : "off"
  const ignored: AssayError[] = []
  const readable = <T>(list: readonly Uint8Array[], parse: (bytes: Uint8Array) => T): readonly T[] =>
    list.flatMap((bytes) => {
      try {
        return [parse(bytes)]
      } catch (error) {
        ignored.push(asRefusal(error))
        return []
      }
    })
  try {
    const leaf = parseCertificate(files.leaf)
    const anchors = readable(files.anchors, parseCertificate)
    const shown = readable(files.shown, parseCertificate)
    const trust = createTrust({
      anchors: anchors.map((certificate) => ({ certificate, purpose: "any", revocation })),
      intermediates: [],
      crls: readable(files.crls, parseCrl),
      denied: { size: 0, find: () => undefined },
    })
    const options = { purpose, at, policies, ...(maxDepth !== undefined && { maxDepth }) }
    const { certificates, anchor } = verifyChain(leaf, shown, trust, options)
    return { accepted: true, path: certificates, anchor: anchor.certificate }
  } catch (error) {
    const refusal = asRefusal(error)
    const [missing = refusal] = ignored
    const { code, message } = refusal.code === "UNTRUSTED_ROOT" ? missing : refusal
    return { accepted: false, code, message }
  }
}

/** @throws Whatever is no AssayError: a fault of Assay's own, which no case may bring about. */
const asRefusal = (error: unknown): AssayError => {
  if (error instanceof AssayError) return error
  throw error
}

/** What OpenSSL said, with the numbers of its errors (x509_vfy.h); if it could not read a file, there are none. */
export interface Theirs {
  readonly accepted: boolean
  readonly errors: readonly number[]
  readonly text: string
}

/** A question to OpenSSL. */
export interface Asked {
  readonly question: Question
  /** With the rules for CAs that issue, too (`-x509_strict`). */
  readonly strict: boolean
}

/**
 * As strict as it gets, with what Assay means by the same words: an anchor is an anchor, self-signed or not; keys and
 * signatures of 112 bits and more; no purpose, since OpenSSL does not know those of TPMs.
 */
const ALWAYS = ["-auth_level", "2", "-purpose", "any", "-partial_chain", "-policy_check"]
/** To OpenSSL no policy at all is none that is acceptable. */
const ANY_POLICY = "2.5.29.32.0"
const ALONE = ["-no-CApath", "-no-CAstore"]
/** What it ends with when it refuses, or cannot read something; beyond that it was not there, or was killed. */
const REFUSED_MAX = 2

/**
 * Asks `openssl verify`, by way of files in the shell's folder.
 *
 * @throws {Error} if the program is not there, or ended in no way that it should.
 */
export async function askOpenssl(files: Files, asked: Asked, shell: Shell): Promise<Theirs> {
  writeFiles(files, shell.folder)
  const { status, output } = await shell.run("openssl", ...argumentsFor(files, asked))
  if (status > REFUSED_MAX) throw new Error(`openssl verify ended with ${status}: ${output}`)
  const errors = [...output.matchAll(/^error (\d+) at /gm)].map(([, number]) => Number(number))
  const accepted = status === 0 && errors.length === 0
  if (accepted && !output.includes(": OK")) throw new Error(`openssl verify said nothing: ${output}`)
  return { accepted, errors, text: output.trim() }
}

/** The arguments that ask about files of these names in the folder. */
export function argumentsFor(
  { shown, anchors, crls }: Files,
  { question, strict }: Asked,
): readonly string[] {
  const { at, policies, maxDepth, crls: revocation } = question
  const { acceptable = [ANY_POLICY], requireExplicit, inhibitMapping, inhibitAny } = policies
  return [
    "verify",
    ...(strict ? ["-x509_strict"] : []),
    ...ALWAYS,
    ...["-attime", String(at.getTime() / 1000)],
    ...[...acceptable].flatMap((policy) => ["-policy", policy]),
    ...(requireExplicit ? ["-explicit_policy"] : []),
    ...(inhibitMapping ? ["-inhibit_map"] : []),
    ...(inhibitAny ? ["-inhibit_any"] : []),
    ...(maxDepth === undefined ? [] : ["-verify_depth", String(maxDepth)]),
    ...(revocation ? ["-crl_check_all", "-extended_crl", "-use_deltas"] : []),
    ...(crls.length === 0 ? [] : ["-CRLfile", "crls.pem"]),
    ...(anchors.length === 0 ? ["-no-CAfile"] : ["-CAfile", "anchors.pem"]),
    ...ALONE,
    ...(shown.length === 0 ? [] : ["-untrusted", "shown.pem"]),
    "leaf.pem",
  ]
}

/** Writes the files of a case into a folder, over those that were there. */
export function writeFiles({ leaf, shown, anchors, crls }: Files, folder: string): void {
  writeFileSync(join(folder, "leaf.pem"), pem([leaf], "CERTIFICATE"))
  for (const [name, list, label] of [
    ["shown.pem", shown, "CERTIFICATE"],
    ["anchors.pem", anchors, "CERTIFICATE"],
    ["crls.pem", crls, "X509 CRL"],
  ] as const)
    if (list.length === 0) rmSync(join(folder, name), { force: true })
    else writeFileSync(join(folder, name), pem(list, label))
}

const pem = (list: readonly Uint8Array[], label: string): string =>
  list
    .map((der) => {
      const lines =
        Buffer.from(der)
          .toString("base64")
          .match(/.{1,64}/g) ?? []
      return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`
    })
    .join("")
