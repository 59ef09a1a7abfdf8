import type { Command } from "commander"
import type { Anchor, Crl } from "../gen/assay/v1/trust_pb.ts"
import { type AdminOptions, present, withAdmin, withAdminOption } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import { fieldLines, type Report, tableLines } from "./output.ts"
import type { AdminCalls, CliIo } from "./parts.ts"
import { addTrustImportEks } from "./trust-eks.ts"
import { addTrustImport } from "./trust-import.ts"
import { addTrustList, allPages } from "./trust-list.ts"
import { addTrustPending, pemOf } from "./trust-pending.ts"
import { anchorJson, instantOf, parseId, shortId } from "./trust-view.ts"

const HELP = `
Examples:
  assay trust import roots/ --purpose ek
  assay trust list --purpose ek
  assay trust list --eks
  assay trust show 5c0de1f2
  assay trust remove 5c0de1f2
  assay trust status

An ID is SHA-256 of the certificate or list, or an endorsement key's digest: 64 hexadecimal digits, or the first 8 or more
of them if no other begins so.`

/** `assay trust …`: what certificates are trusted by. */
export const addTrust = (program: Command, context: CommandContext): void => {
  const { reporting } = context
  const trust = program
    .command("trust")
    .description("Import, show and remove trust anchors, and what belongs to them.")
    .addHelpText("after", HELP)
  addTrustImport(trust, context)
  addTrustImportEks(trust, context)
  addTrustList(trust, context)
  withAdminOption(trust.command("show <ID>"))
    .description("Show a trust anchor with its certificate.")
    .action(
      reporting(async (id: string, options: AdminOptions) => {
        const { anchor, certificate } = await withAdmin(context, options, (admin) =>
          admin.getAnchor(parseId(id)),
        )
        return anchorReport(present(anchor), certificate)
      }),
    )
  withAdminOption(trust.command("remove <ID>"))
    .description("Remove an anchor, an intermediate, a revocation list or a listed endorsement key.")
    .action(
      reporting(async (what: string, options: AdminOptions) => {
        const { id, generation } = await withAdmin(context, options, (admin) =>
          admin.removeTrust(parseId(what)),
        )
        const json = { removed: id, generation: Number(generation) }
        return { accepted: true, json, table: () => fieldLines(Object.entries(json)) }
      }),
    )
  addTrustPending(trust, context)
  withAdminOption(trust.command("status"))
    .description("Show how much of everything there is, and until when revocation lists are good.")
    .action(reporting((options: AdminOptions) => status(options, context)))
}

const anchorReport = (anchor: Anchor, certificate: Uint8Array): Report => {
  const json = anchorJson(anchor)
  const pem = pemOf(certificate)
  return {
    accepted: true,
    json: { ...json, certificate: pem },
    table: () => [
      ...fieldLines([
        ["id", json.id],
        ["label", json.label],
        ["subject", json.subject],
        ["trusted for", json.purpose ?? "?"],
        ["revocation", json.revocation ?? "?"],
        ["valid", `${json.notBefore} to ${json.notAfter}`],
        ["provenance", json.provenance],
        ["imported", json.addedAt ?? undefined],
      ]),
      "",
      ...pem.trimEnd().split("\n"),
    ],
  }
}

const allCrls = (admin: AdminCalls, io: CliIo): Promise<readonly Crl[]> =>
  allPages(io, async (part) => {
    const { crls, nextPageToken } = await admin.listCrls(part)
    return { items: crls, nextPageToken }
  })

const status = (options: AdminOptions, context: CommandContext): Promise<Report> =>
  withAdmin(context, options, async (admin) => {
    const state = await admin.getTrustState()
    const now = context.io.now().getTime()
    const crls = (await allCrls(admin, context.io)).map((crl) => ({
      id: crl.id,
      source: crl.source,
      issuer: crl.issuer,
      thisUpdate: instantOf(crl.thisUpdate),
      nextUpdate: instantOf(crl.nextUpdate),
      entries: Number(crl.entries),
    }))
    const counts = {
      generation: Number(state.generation),
      anchors: Number(state.anchors),
      intermediates: Number(state.intermediates),
      eks: Number(state.eks),
      pendingIssuers: Number(state.pendingIssuers),
    }
    const isPast = (instant: string | null): boolean => instant !== null && Date.parse(instant) < now
    return {
      accepted: true,
      json: { ...counts, crls },
      table: (paint) => [
        ...fieldLines([
          ["generation", counts.generation],
          ["anchors", counts.anchors],
          ["intermediates", counts.intermediates],
          ["endorsement keys", counts.eks],
          ["pending issuers", counts.pendingIssuers],
          ["revocation lists", crls.length],
        ]),
        ...(counts.anchors === 0 ? ["", paint.warn("Without an anchor, no certificate is trusted.")] : []),
        ...(crls.length === 0 ? [] : ["", ...crlLines(crls, isPast)]),
      ],
    }
  })

const crlLines = (
  crls: readonly {
    readonly id: string
    readonly source: string
    readonly issuer: string
    readonly nextUpdate: string | null
    readonly entries: number
  }[],
  isPast: (instant: string | null) => boolean,
): string[] =>
  tableLines(
    ["ID", "GOOD UNTIL", "ENTRIES", "ISSUER", "SOURCE"],
    crls.map(({ id, nextUpdate, entries, issuer, source }) => [
      shortId(id),
      `${nextUpdate ?? "not said"}${isPast(nextUpdate) ? " (past)" : ""}`,
      entries,
      issuer,
      source,
    ]),
  )
