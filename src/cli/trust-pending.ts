import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { Command } from "commander"
import { AssayError } from "../errors.ts"
import type { PendingIssuer } from "../gen/assay/v1/trust_pb.ts"
import { type AdminOptions, present, withAdmin, withAdminOption } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import { fieldLines, type Report, tableLines } from "./output.ts"
import { instantOf, parseId, shortId } from "./trust-view.ts"

const HELP = `
Examples:
  assay trust pending
  assay trust pending --save review/               writes each chain as PEM, to look at before anything is decided
  assay trust pending dismiss 5c0de1f2

An issuer waits here if a certificate of its was shown and led to no anchor. It is trusted for nothing, and nothing in
its certificates has been proven. To trust it, import its root: assay trust import ROOT --purpose ek.`

interface PendingOptions extends AdminOptions {
  readonly save?: string
}

/** `assay trust pending`. */
export const addTrustPending = (trust: Command, context: CommandContext): void => {
  const { reporting } = context
  const pending = withAdminOption(trust.command("pending"))
    .description("Show issuers that nobody has decided about.")
    .option("--save <FOLDER>", "write the certificates that were shown there, one PEM file for each issuer")
    .addHelpText("after", HELP)
    .action(reporting((options: PendingOptions) => showPending(options, context)))
  pending
    .command("dismiss <ID>")
    .description("Forget an issuer, until it is shown again.")
    // The option of the command above is taken by it wherever it stands.
    .action(
      reporting(async (issuer: string, _options: object, command: Command) => {
        const options = command.optsWithGlobals<AdminOptions>()
        const { id } = await withAdmin(context, options, (admin) =>
          admin.dismissPendingIssuer(parseId(issuer)),
        )
        return { accepted: true, json: { dismissed: id }, table: () => fieldLines([["dismissed", id]]) }
      }),
    )
}

const showPending = async (options: PendingOptions, context: CommandContext): Promise<Report> => {
  const { save } = options
  const { issuers, files } = await withAdmin(context, options, async (admin) => {
    const { issuers } = await admin.listPendingIssuers()
    const files: string[] = []
    if (save !== undefined && issuers.length > 0) await mkdir(save, { recursive: true })
    for (const { id } of save === undefined ? [] : issuers)
      files.push(await saveChain(save ?? "", id, (await admin.getPendingIssuer(id)).chain))
    return { issuers, files }
  })
  const shown = issuers.map(pendingJson)
  return {
    accepted: true,
    json: { issuers: shown, ...(save !== undefined && { files }) },
    table: () =>
      shown.length === 0
        ? ["No issuer waits for a decision."]
        : [
            ...tableLines(
              ["ID", "SHOWN", "LAST", "ISSUER"],
              shown.map((one) => [shortId(one.id), one.count, one.lastSeenAt ?? "", one.issuer]),
            ),
            ...fieldLines(files.map((file) => ["saved", file])),
          ],
  }
}

const pendingJson = ({ id, issuer, firstSeenTime, lastSeenTime, count }: PendingIssuer) => ({
  id,
  issuer,
  firstSeenAt: instantOf(firstSeenTime),
  lastSeenAt: instantOf(lastSeenTime),
  count: Number(count),
})

const LINE_CHARACTERS = 64

/** DER as PEM (RFC 7468). */
export const pemOf = (der: Uint8Array): string => {
  const body = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString("base64")
  const lines = body.match(new RegExp(`.{1,${LINE_CHARACTERS}}`, "g")) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`
}

/** Never over a file that is there. @throws {AssayError} INPUT. */
const saveChain = async (folder: string, id: string, chain: readonly Uint8Array[]): Promise<string> => {
  // It becomes the name of a file, and came over the wire.
  if (!/^[0-9a-f]{64}$/.test(id)) throw present<never>(undefined)
  const path = join(folder, `${id}.pem`)
  try {
    await writeFile(path, chain.map(pemOf).join(""), { flag: "wx" })
    return path
  } catch (cause) {
    const isThere = cause instanceof Error && "code" in cause && cause.code === "EEXIST"
    throw new AssayError("INPUT", `${path} ${isThere ? "is there already" : "cannot be written"}`, {
      location: "--save",
      cause,
    })
  }
}
