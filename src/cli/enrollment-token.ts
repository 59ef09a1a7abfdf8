import { closeSync, openSync, rmSync, writeSync } from "node:fs"
import type { Command } from "commander"
import { AssayError } from "../errors.ts"
import type { EnrollmentToken } from "../gen/assay/v1/device_pb.ts"
import { type AdminOptions, present, withAdmin, withAdminOption } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import { labelTexts, parseLabels, parseSpan } from "./device-view.ts"
import { fieldLines, type Report, tableLines } from "./output.ts"
import { allPages } from "./trust-list.ts"
import { instantOf } from "./trust-view.ts"

const HELP = `
Examples:
  assay enrollment-token create --out token
  assay enrollment-token create --uses 500 --for 7d --group edge --label site=north --out token
  assay enrollment-token list
  assay enrollment-token revoke et-5c0de1f2a3b4c5d6

A device shows the token once, to enroll: assay agent enroll --enrollment-token token. The secret is shown once, and kept
nowhere: Assay knows its digest. --out writes it into a new file that only you can read.`

interface CreateOptions extends AdminOptions {
  readonly uses: string
  readonly for: string
  readonly group?: string
  readonly label?: string[]
  readonly out?: string
}

/** `assay enrollment-token …`: tokens that let devices enroll by themselves. */
export const addEnrollmentToken = (program: Command, context: CommandContext): void => {
  const token = program
    .command("enrollment-token")
    .description("Make, list and end tokens that let devices enroll.")
    .addHelpText("after", HELP)
  withAdminOption(token.command("create"))
    .description("Make a token, and show its secret this once.")
    .option("--uses <N>", "how many devices it lets in, at most 1000000", "1")
    .option("--for <SPAN>", "for how long: 90s, 30m, 12h or 7d, at most 365d", "1d")
    .option("--group <NAME>", "the group that its devices are put into")
    .option("--label <KEY=VALUE...>", "labels that its devices get")
    .option("--out <FILE>", "write the secret there instead of showing it")
    .action(context.reporting((options: CreateOptions) => createToken(options, context)))
  withAdminOption(token.command("list"))
    .description("List tokens, without their secrets.")
    .action(context.reporting((options: AdminOptions) => list(options, context)))
  withAdminOption(token.command("revoke <ID>"))
    .description("End a token. Devices that it let in stay.")
    .action(
      context.reporting(async (id: string, options: AdminOptions) => {
        await withAdmin(context, options, (admin) => admin.revokeEnrollmentToken(id))
        return { accepted: true, json: { revoked: id }, table: () => [`${id} lets nobody in any more.`] }
      }),
    )
}

const createToken = async (options: CreateOptions, context: CommandContext): Promise<Report> => {
  const request = {
    usesMax: parseUses(options.uses),
    lifetime: parseSpan(options.for, "--for"),
    group: options.group ?? "",
    labels: parseLabels(options.label),
  }
  const { out } = options
  // Opened first, so that no token is made that cannot be kept.
  const file = out === undefined ? undefined : openNew(out)
  try {
    const answer = await withAdmin(context, options, (admin) => admin.createEnrollmentToken(request))
    const json = tokenJson(present(answer.token))
    if (out === undefined || file === undefined) return tokenReport({ ...json, secret: answer.secret })
    writeSync(file, `${answer.secret}\n`)
    return tokenReport({ ...json, file: out })
  } catch (error) {
    if (out !== undefined) rmSync(out, { force: true })
    throw error
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/** For its owner alone, and never in place of another secret. @throws {AssayError} INPUT. */
const openNew = (path: string): number => {
  try {
    return openSync(path, "wx", 0o600)
  } catch (cause) {
    const exists = cause instanceof Error && "code" in cause && cause.code === "EEXIST"
    throw new AssayError("INPUT", `${path} ${exists ? "is there already" : "cannot be written"}`, {
      location: "--out",
      expected: "a file that is not there yet",
      cause,
    })
  }
}

const USES_MAX = 1_000_000

const parseUses = (text: string): number => {
  const uses = /^[1-9]\d{0,6}$/.test(text) ? Number(text) : Number.NaN
  if (!(uses <= USES_MAX))
    throw new AssayError("INPUT", "--uses is not a number of devices", {
      location: "--uses",
      expected: `1 to ${USES_MAX}`,
      actual: text,
    })
  return uses
}

const tokenJson = (token: EnrollmentToken) => ({
  id: token.id,
  uses: token.uses,
  usesMax: token.usesMax,
  createdAt: instantOf(token.createTime),
  expiresAt: instantOf(token.expireTime),
  revoked: token.revoked,
  group: token.group === "" ? null : token.group,
  labels: token.labels,
})

type TokenJson = ReturnType<typeof tokenJson>

const tokenReport = (token: TokenJson & { readonly secret?: string; readonly file?: string }): Report => ({
  accepted: true,
  json: token,
  table: () => [
    ...fieldLines([
      ["id", token.id],
      ["lets in", `${token.usesMax} ${token.usesMax === 1 ? "device" : "devices"}`],
      ["until", token.expiresAt ?? undefined],
      ["group", token.group ?? undefined],
      ["labels", labelTexts(token.labels).join(", ") || undefined],
      ["secret in", token.file],
    ]),
    ...(token.secret === undefined ? [] : ["", "Its secret, shown this once:", token.secret]),
  ],
})

const list = async (options: AdminOptions, context: CommandContext): Promise<Report> => {
  const found = await withAdmin(context, options, (admin) =>
    allPages(context.io, async (part) => {
      const { tokens, nextPageToken } = await admin.listEnrollmentTokens(part)
      return { items: tokens, nextPageToken }
    }),
  )
  const tokens = found.map(tokenJson)
  const now = context.io.now().getTime()
  return {
    accepted: true,
    json: { tokens },
    table: () =>
      tokens.length === 0
        ? ["There is no token."]
        : tableLines(
            ["ID", "USED", "STANDS", "UNTIL", "GROUP", "LABELS"],
            tokens.map((one) => [
              one.id,
              `${one.uses} of ${one.usesMax}`,
              standing(one, now),
              one.expiresAt ?? "?",
              one.group ?? "",
              labelTexts(one.labels).join(", "),
            ]),
          ),
  }
}

const standing = ({ revoked, uses, usesMax, expiresAt }: TokenJson, now: number): string => {
  if (revoked) return "revoked"
  if (uses >= usesMax) return "used up"
  return expiresAt !== null && Date.parse(expiresAt) <= now ? "expired" : "open"
}
