import { type Command, Option } from "commander"
import { AssayError } from "../errors.ts"
import { type Certificate, fingerprintOf, parseCertificate } from "../evidence/x509/certificate.ts"
import { nameText, valuesOf } from "../evidence/x509/name.ts"
import { isSelfIssued } from "../verification/certificate-policies.ts"
import { type AdminOptions, withAdmin, withAdminOption } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import { type Report, tableLines } from "./output.ts"
import type { AdminCalls } from "./parts.ts"
import { importCrls } from "./trust-crls.ts"
import { collectItems, type Duplicate, inFile, type Skipped } from "./trust-files.ts"
import {
  answered,
  answerLines,
  dayOf,
  type ImportAnswer,
  leftOutLines,
  PURPOSES,
  type PurposeName,
  purposeToProto,
  REVOCATIONS,
  type RevocationName,
  revocationToProto,
  shortId,
} from "./trust-view.ts"

const HELP = `
Examples:
  assay trust import roots/ --purpose ek --provenance "vendor bundle of 2026-03-01, checked by hand"
  assay trust import maker-root.pem --purpose ek --name "Maker root 2020" --revocation require
  assay trust import intermediates/                certificates that others issued become intermediates
  assay trust import --crl lists/                  revocation lists
  assay trust import roots/ --purpose ek --dry-run

A certificate that is its own issuer becomes a trust anchor, and needs --purpose; any other becomes an intermediate,
which helps to build paths and is trusted for nothing. --as says otherwise. PATH is a file, PEM or DER, or a folder:
what in it ends in .pem, .crt, .cer or .der (with --crl: .pem, .crl or .der) is read, and symbolic links are not followed.
If one file cannot be read, is empty or is not whole, nothing is imported. What is there already gets the new settings,
and counts as changed. A revocation list is taken if its issuer is there, with a path to an anchor: import that first.
Revocation lists of more than 32 MiB in all take several steps, each whole by itself.`

interface ImportOptions extends AdminOptions {
  readonly name?: string
  readonly purpose?: PurposeName
  readonly revocation: RevocationName
  readonly provenance?: string
  readonly as?: "anchor" | "intermediate"
  readonly crl?: boolean
  readonly dryRun?: boolean
}

/** `assay trust import`. */
export const addTrustImport = (trust: Command, context: CommandContext): void => {
  const { reporting } = context
  withAdminOption(trust.command("import <PATH...>"))
    .description(
      "Import trust anchors, intermediates or revocation lists from files and folders: all or nothing.",
    )
    .option("--name <LABEL>", "what to call the anchors (default: their own names)")
    .addOption(new Option("--purpose <PURPOSE>", "what the anchors are trusted for").choices(PURPOSES))
    .addOption(
      new Option("--revocation <MODE>", "how revocation is checked below the anchors")
        .choices(REVOCATIONS)
        .default("when-published"),
    )
    .option("--provenance <TEXT>", "where they came from, for whoever asks later")
    .addOption(new Option("--as <KIND>", "take all certificates as").choices(["anchor", "intermediate"]))
    .addOption(
      new Option("--crl", "import revocation lists").conflicts(["name", "purpose", "provenance", "as"]),
    )
    .option("--dry-run", "tell what would be imported; the server, which checks more, is not asked")
    .addHelpText("after", HELP)
    .action(
      reporting((paths: readonly string[], options: ImportOptions) =>
        options.crl === true
          ? importCrls(paths, options, context)
          : importCertificates(paths, options, context),
      ),
    )
}

/** A certificate to import, and where it was found. */
interface Found {
  readonly certificate: Certificate
  readonly id: string
  readonly file: string
}

const importCertificates = async (
  paths: readonly string[],
  options: ImportOptions,
  context: CommandContext,
): Promise<Report> => {
  const { items, skipped } = await collectItems(paths, "certificate", context.io)
  const found = new Map<string, Found>()
  const duplicates: Duplicate[] = []
  for (const { der, label } of items) {
    const certificate = parseCertificate(der, label)
    const id = fingerprintOf(certificate)
    const before = found.get(id)
    if (before !== undefined) duplicates.push({ file: label, of: before.file })
    else found.set(id, { certificate, id, file: label })
  }
  const isAnchor = ({ certificate }: Found): boolean =>
    options.as === undefined ? isSelfIssued(certificate) : options.as === "anchor"
  const anchors = [...found.values()].filter(isAnchor)
  const intermediates = [...found.values()].filter((one) => !isAnchor(one))
  checkCounts(anchors, intermediates)
  const { purpose } = options
  const [first] = anchors
  if (first !== undefined && purpose === undefined)
    throw new AssayError("INPUT", `what is ${first.file} trusted for? It would become a trust anchor`, {
      location: "--purpose",
      expected: PURPOSES.join(", "),
    })
  const answer =
    options.dryRun === true
      ? undefined
      : await withAdmin(context, options, (admin) => send(admin, anchors, intermediates, options))
  return certificatesReport({ anchors, intermediates, duplicates, skipped, options, answer })
}

/** As many as one request takes. */
const CERTIFICATES_MAX = 1000

const checkCounts = (...lists: readonly (readonly Found[])[]): void => {
  for (const { length } of lists)
    if (length > CERTIFICATES_MAX)
      throw new AssayError("LENGTH", "too many certificates for one import: import them folder by folder", {
        expected: `at most ${CERTIFICATES_MAX} anchors and as many intermediates`,
        actual: String(length),
      })
}

const LABEL_MAX = 128
const COMMON_NAME = "2.5.4.3"

const labelOf = ({ subject }: Certificate): string => {
  const [name] = valuesOf(subject, COMMON_NAME)
  return (name || nameText(subject)).replace(/[^ -~]/g, "?").slice(0, LABEL_MAX)
}

const send = async (
  admin: AdminCalls,
  anchors: readonly Found[],
  intermediates: readonly Found[],
  options: ImportOptions,
) => {
  const { name, purpose, revocation, provenance = "" } = options
  try {
    return await admin.importTrust({
      anchors: anchors.map(({ certificate }) => ({
        certificate: certificate.bytes,
        label: name ?? labelOf(certificate),
        purpose: purposeToProto(purpose),
        revocation: revocationToProto(revocation),
        provenance,
      })),
      intermediates: intermediates.map(({ certificate }) => ({ certificate: certificate.bytes })),
    })
  } catch (error) {
    throw inFile(error, { anchors, intermediates })
  }
}

interface Outcome {
  readonly anchors: readonly Found[]
  readonly intermediates: readonly Found[]
  readonly duplicates: readonly Duplicate[]
  readonly skipped: readonly Skipped[]
  readonly options: ImportOptions
  readonly answer: ImportAnswer
}

const certificatesReport = (outcome: Outcome): Report => {
  const { duplicates, skipped, options, answer } = outcome
  const { name, purpose, revocation, provenance = "" } = options
  const shared = ({ certificate, id, file }: Found) => ({
    id,
    file,
    subject: nameText(certificate.subject),
    notAfter: new Date(certificate.notAfter).toISOString(),
  })
  const anchors = outcome.anchors.map((one) => ({
    ...shared(one),
    label: name ?? labelOf(one.certificate),
    purpose,
    revocation,
    provenance,
  }))
  const intermediates = outcome.intermediates.map(shared)
  const rows = [
    ...anchors.map((one) => [
      shortId(one.id),
      `anchor (${one.purpose})`,
      dayOf(one.notAfter),
      one.subject,
      one.file,
    ]),
    ...intermediates.map((one) => [
      shortId(one.id),
      "intermediate",
      dayOf(one.notAfter),
      one.subject,
      one.file,
    ]),
  ]
  return {
    accepted: true,
    json: { dryRun: answer === undefined, ...answered(answer), anchors, intermediates, duplicates, skipped },
    table: () => [
      ...tableLines(["ID", "AS", "VALID UNTIL", "SUBJECT", "FILE"], rows),
      ...leftOutLines(duplicates, skipped),
      "",
      ...answerLines(answer),
    ],
  }
}
