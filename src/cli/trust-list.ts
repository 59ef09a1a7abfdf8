import { type Command, Option } from "commander"
import { toHex } from "../bytes.ts"
import { printable } from "../errors.ts"
import type { Anchor, Intermediate, ListedEk } from "../gen/assay/v1/trust_pb.ts"
import { type AdminOptions, withAdmin, withAdminOption } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import { type Report, tableLines } from "./output.ts"
import type { AdminCalls, CliIo } from "./parts.ts"
import { createProgress } from "./progress.ts"
import {
  anchorJson,
  dayOf,
  instantOf,
  PURPOSES,
  type PurposeName,
  purposeToProto,
  shortId,
} from "./trust-view.ts"

interface ListOptions extends AdminOptions {
  readonly purpose?: PurposeName
  readonly intermediates?: boolean
  readonly eks?: boolean
}

/** `assay trust list`. */
export const addTrustList = (trust: Command, context: CommandContext): void => {
  withAdminOption(trust.command("list"))
    .description("List trust anchors.")
    .addOption(new Option("--purpose <PURPOSE>", "only those for exactly this purpose").choices(PURPOSES))
    .addOption(new Option("--intermediates", "intermediates instead").conflicts(["purpose", "eks"]))
    .addOption(new Option("--eks", "endorsement keys without a certificate instead").conflicts("purpose"))
    .action(context.reporting((options: ListOptions) => list(options, context)))
}

const PAGE_SIZE = 1000

/** Every page of a list. */
export const allPages = async <T>(
  io: CliIo,
  page: (part: { pageSize: number; pageToken: string }) => Promise<{
    readonly items: readonly T[]
    readonly nextPageToken: string
  }>,
): Promise<readonly T[]> => {
  const progress = createProgress(io, "read")
  const all: T[] = []
  let pageToken = ""
  do {
    const { items, nextPageToken } = await page({ pageSize: PAGE_SIZE, pageToken })
    for (const item of items) all.push(item)
    pageToken = nextPageToken
    progress(all.length)
  } while (pageToken !== "")
  return all
}

const list = (options: ListOptions, context: CommandContext): Promise<Report> =>
  withAdmin(context, options, async (admin) => {
    if (options.eks === true) return eksReport(await allEks(admin, context))
    if (options.intermediates === true) return intermediatesReport(await allIntermediates(admin, context))
    return anchorsReport(await allAnchors(admin, options, context))
  })

const allAnchors = (
  admin: AdminCalls,
  { purpose }: ListOptions,
  context: CommandContext,
): Promise<readonly Anchor[]> =>
  allPages(context.io, async (part) => {
    const { anchors, nextPageToken } = await admin.listAnchors({ ...part, purpose: purposeToProto(purpose) })
    return { items: anchors, nextPageToken }
  })

const allIntermediates = (admin: AdminCalls, context: CommandContext): Promise<readonly Intermediate[]> =>
  allPages(context.io, async (part) => {
    const { intermediates, nextPageToken } = await admin.listIntermediates(part)
    return { items: intermediates, nextPageToken }
  })

const allEks = (admin: AdminCalls, context: CommandContext): Promise<readonly ListedEk[]> =>
  allPages(context.io, async (part) => {
    const { eks, nextPageToken } = await admin.listEks(part)
    return { items: eks, nextPageToken }
  })

const anchorsReport = (found: readonly Anchor[]): Report => {
  const anchors = found.map(anchorJson)
  return {
    accepted: true,
    json: { anchors },
    table: () =>
      anchors.length === 0
        ? ["There is no such anchor."]
        : tableLines(
            ["ID", "PURPOSE", "REVOCATION", "VALID UNTIL", "LABEL", "SUBJECT"],
            anchors.map((one) => [
              shortId(one.id),
              one.purpose ?? "?",
              one.revocation ?? "?",
              dayOf(one.notAfter),
              one.label,
              one.subject,
            ]),
          ),
  }
}

const intermediatesReport = (found: readonly Intermediate[]): Report => {
  const intermediates = found.map(({ id, source, subject, issuer, notAfter, createTime }) => ({
    id,
    source,
    subject,
    issuer,
    notAfter: instantOf(notAfter),
    addedAt: instantOf(createTime),
  }))
  return {
    accepted: true,
    json: { intermediates },
    table: () =>
      tableLines(
        ["ID", "VALID UNTIL", "SUBJECT", "ISSUER", "SOURCE"],
        intermediates.map((one) => [
          shortId(one.id),
          dayOf(one.notAfter),
          one.subject,
          one.issuer,
          one.source,
        ]),
      ),
  }
}

const eksReport = (found: readonly ListedEk[]): Report => {
  const eks = found.map(({ digest, label, createTime }) => ({
    digest: toHex(digest),
    label,
    addedAt: instantOf(createTime),
  }))
  return {
    accepted: true,
    json: { eks },
    // Not in columns: there may be more of them than a function has arguments.
    table: () => eks.map(({ digest, label }) => `${digest}  ${printable(label)}`),
  }
}
