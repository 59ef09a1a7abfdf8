/** Asks both judges about a case and compares. */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Case } from "./case.ts"
import type { Files } from "./chain.ts"
import { type Asked, argumentsFor, askAssay, askOpenssl, type Theirs, writeFiles } from "./judges.ts"
import { REASONS, type Reason, SEARCH } from "./reasons.ts"
import type { Shell } from "./shell.ts"

/** How a case came out. */
export type Outcome =
  | { readonly kind: "both-accept" | "both-refuse" }
  | { readonly kind: "we-refuse"; readonly code: string }
  /** Reasons on the closed list, and a proof that there is no other. */
  | { readonly kind: "they-refuse"; readonly reasons: readonly Reason[] }
  | { readonly kind: "unexplained"; readonly report: string }

/** X509_V_ERR_CERT_REVOKED. */
const REVOKED = 23

/** Compares both judges' answers to a case. The shell's folder is written into. */
export async function compare(one: Case, shell: Shell): Promise<Outcome> {
  const ours = askAssay(one.files, one.question)
  const theirs = await askOpenssl(one.files, strictly(one), shell)
  if (!ours.accepted)
    return theirs.accepted ? { kind: "we-refuse", code: ours.code } : { kind: "both-refuse" }
  if (theirs.accepted) return { kind: "both-accept" }
  const reasons = await explain(one, shell)
  return reasons !== undefined
    ? { kind: "they-refuse", reasons }
    : { kind: "unexplained", report: report(one, "accepted", theirs) }
}

const strictly = ({ question }: Case): Asked => ({ question, strict: true })

/** The fewest reasons with which OpenSSL accepts: none but the search, one of those whose faults the case has, or all. */
async function explain(one: Case, shell: Shell): Promise<readonly Reason[] | undefined> {
  const candidates = REASONS.filter((reason) => one.faults.some(({ id }) => reason.faults.includes(id)))
  for (const reasons of [[], ...candidates.map((reason) => [reason]), candidates]) {
    const repaired = one.rebuild((chain) => {
      for (const { repair } of reasons) repair?.(chain)
    })
    const asked = reasons.reduce((now, { relax }) => relax?.(now, repaired) ?? now, strictly(repaired))
    const theirs = await askOpenssl(repaired.files, asked, shell)
    if (theirs.accepted) return reasons
    for (const files of narrowed(repaired, theirs))
      if ((await askOpenssl(files, asked, shell)).accepted) return [SEARCH, ...reasons]
  }
  return undefined
}

/** Other orders, and less to choose from, so that OpenSSL takes the path that Assay found; nothing if there is none. */
function narrowed({ files, question }: Case, { errors }: Theirs): readonly Files[] {
  const ours = askAssay(files, question)
  if (!ours.accepted) return []
  const shown = ours.path.slice(1).map(({ bytes }) => bytes)
  const path: Files = { ...files, shown, anchors: [ours.anchor.bytes] }
  // A CRL may be left out for being no good, never for what it says.
  const others = errors.includes(REVOKED) ? [] : files.crls
  const turned: Files = { ...files, shown: files.shown.toReversed(), crls: files.crls.toReversed() }
  const crlsTurned: Files = { ...files, crls: turned.crls }
  return [
    path,
    turned,
    crlsTurned,
    ...others.map((crl) => ({ ...files, crls: files.crls.filter((other) => other !== crl) })),
  ]
}

/** What a person needs to look into a case: the files stay in a folder of their own. */
export function report(one: Case, ours: string, theirs: Theirs): string {
  const folder = mkdtempSync(join(tmpdir(), `assay-seed-${one.seed}-`))
  writeFiles(one.files, folder)
  return [
    `seed ${one.seed}, purpose ${one.question.purpose}: ${one.faults.map(({ id }) => id).join(" + ") || "no fault"}`,
    `  Assay:   ${ours}`,
    `  OpenSSL: ${theirs.accepted ? "accepted" : theirs.text.replaceAll("\n", " | ")}`,
    `  to see:  cd ${folder} && openssl ${argumentsFor(one.files, strictly(one)).join(" ")}`,
  ].join("\n")
}
