import { hash } from "node:crypto"
import { type Crl, parseCrl } from "../evidence/x509/crl.ts"
import { nameText } from "../evidence/x509/name.ts"
import { type AdminOptions, withAdmin } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import { type Report, tableLines } from "./output.ts"
import type { AdminCalls, CliIo } from "./parts.ts"
import { createProgress } from "./progress.ts"
import { collectItems, type Duplicate, inFile } from "./trust-files.ts"
import { answered, answerLines, dayOf, type ImportAnswer, leftOutLines, shortId } from "./trust-view.ts"

/** Of the lists in one request: one of the largest fits, or many small ones. The server takes 36 MiB. */
const REQUEST_BYTES_MAX = 32 << 20
const REQUEST_CRLS_MAX = 64

interface Options extends AdminOptions {
  readonly dryRun?: boolean
}

/** A list to import, and where it was found. */
interface Found {
  readonly id: string
  readonly crl: Crl
  readonly file: string
}

/** Imports revocation lists, as few requests as they fit into. Every list is read before the first is sent. */
export const importCrls = async (
  paths: readonly string[],
  options: Options,
  context: CommandContext,
): Promise<Report> => {
  const { items, skipped } = await collectItems(paths, "crl", context.io)
  const found = new Map<string, Found>()
  const duplicates: Duplicate[] = []
  for (const { der, label } of items) {
    const crl = parseCrl(der, label)
    const id = hash("sha256", der, "hex")
    const before = found.get(id)
    if (before !== undefined) duplicates.push({ file: label, of: before.file })
    else found.set(id, { id, crl, file: label })
  }
  const crls = [...found.values()]
  const answer =
    options.dryRun === true
      ? undefined
      : await withAdmin(context, options, (admin) => send(admin, crls, context.io))
  return report(crls, duplicates, skipped, answer)
}

const send = async (admin: AdminCalls, crls: readonly Found[], io: CliIo): Promise<ImportAnswer> => {
  const progress = createProgress(io, "lists imported")
  let done = 0
  let added = 0n
  let changed = 0n
  let generation = 0n
  for (const some of groups(crls)) {
    try {
      const part = await admin.importTrust({ crls: some.map(({ crl }) => ({ crl: crl.bytes })) })
      added += part.added
      changed += part.changed
      generation = part.generation
    } catch (error) {
      if (done > 0) io.err(`${done} of ${crls.length} lists were imported before it failed\n`)
      throw inFile(error, { crls: some })
    }
    done += some.length
    progress(done, crls.length)
  }
  return { added, changed, generation }
}

function* groups(crls: readonly Found[]): Generator<readonly Found[]> {
  let group: Found[] = []
  let size = 0
  for (const one of crls) {
    const { length } = one.crl.bytes
    if (group.length > 0 && (group.length === REQUEST_CRLS_MAX || size + length > REQUEST_BYTES_MAX)) {
      yield group
      group = []
      size = 0
    }
    group.push(one)
    size += length
  }
  if (group.length > 0) yield group
}

const report = (
  found: readonly Found[],
  duplicates: readonly Duplicate[],
  skipped: Parameters<typeof leftOutLines>[1],
  answer: ImportAnswer,
): Report => {
  const crls = found.map(({ id, crl, file }) => ({
    id,
    file,
    issuer: nameText(crl.issuer),
    thisUpdate: new Date(crl.thisUpdate).toISOString(),
    nextUpdate: crl.nextUpdate === undefined ? null : new Date(crl.nextUpdate).toISOString(),
    entries: crl.revoked.size,
  }))
  return {
    accepted: true,
    json: { dryRun: answer === undefined, ...answered(answer), crls, duplicates, skipped },
    table: () => [
      ...tableLines(
        ["ID", "ISSUED", "NEXT UPDATE", "ENTRIES", "ISSUER", "FILE"],
        crls.map((one) => [
          shortId(one.id),
          dayOf(one.thisUpdate),
          dayOf(one.nextUpdate),
          one.entries,
          one.issuer,
          one.file,
        ]),
      ),
      ...leftOutLines(duplicates, skipped),
      "",
      ...answerLines(answer),
    ],
  }
}
