import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { type Command, Option } from "commander"
import { AssayError } from "../errors.ts"
import type { FileKind } from "../service/certificate-file.ts"
import { type ChainCheck, checkChain, type NamedFile } from "../service/check-chain.ts"
import type { ChainOptions } from "../verification/chain.ts"
import { parseDeniedKeys } from "../verification/denied-keys.ts"
import type { Purpose } from "../verification/purpose.ts"
import type { RevocationMode } from "../verification/revocation.ts"
import type { DeniedKeys } from "../verification/weak-key.ts"
import { chainJson, chainTable } from "./chain-view.ts"
import type { CommandContext } from "./command.ts"
import { parseInstant, readError, readInput, readJson } from "./input.ts"
import type { Report } from "./output.ts"
import type { CliIo } from "./parts.ts"

const PURPOSES = ["ek", "ak", "any"] as const satisfies readonly Purpose[]
const REVOCATION = ["require", "when-published", "off"] as const satisfies readonly RevocationMode[]

/** A bundle of every maker's roots has 350 KB. A CRL may have 32 MiB, and in PEM a third more. */
const BYTES_MAX: Readonly<Record<FileKind, number>> = { certificate: 4 << 20, crl: 48 << 20 }
/** What in a folder is read. A file that is named itself is read whatever its ending. */
const ENDINGS: Readonly<Record<FileKind, RegExp>> = {
  certificate: /\.(pem|crt|cer|der)$/i,
  crl: /\.(pem|crl|der)$/i,
}

/** Shipped with the program: two folders up from this file, in `src` and in `dist`. */
const DENIED_KEYS = new URL("../../data/denied-keys.json", import.meta.url)

const HELP = `
Examples:
  assay check chain ek.der --intermediates tpm-intermediates.pem --anchors tpm-roots/ --crls crls/ --purpose ek
  assay check chain leaf.pem --intermediates ca.pem --anchors root.pem --at 2026-03-01T12:00:00Z --revocation off

LEAF: PEM with one certificate, DER, or for --purpose ek what an NV index of a TPM holds. The other FILEs are PEM with
any number of blocks, DER, or folders of such files (.pem, .crt, .cer, .der, .crl; links in a folder are not followed).
Each option may be repeated. Certificates and CRLs that cannot be read are left out, and told.

Nothing is fetched. Without --crls revocation is not checked unless --revocation says so, and the answer tells. With them
a certificate that has distribution points, or whose issuer has a list there, is refused while no list says that it is
good; "require" demands that of every certificate. Without --anchors everything is refused.

JSON: {accepted, code, error, path: [{subject, issuer, serialNumber, sha256, notBefore, notAfter, deviations}] from the
leaf to the anchor, anchor, purpose, at, tpm: {manufacturer, vendor, model, version, specification, securityAssertions},
policies (null: any), revocation: [{certificate, sha256, status, crlNumber, thisUpdate, nextUpdate}], deviations,
expired, validUntil, ignored: [{file, code, message}]}`

interface Options {
  readonly intermediates?: readonly string[]
  readonly anchors?: readonly string[]
  readonly crls?: readonly string[]
  readonly purpose: Purpose
  readonly at?: string
  readonly revocation?: RevocationMode
  readonly policy?: readonly string[]
  readonly explicitPolicy?: boolean
  readonly inhibitAnyPolicy?: boolean
  readonly inhibitPolicyMapping?: boolean
  readonly name?: string
  readonly maxDepth?: string
  readonly expiredLeaf: "allow" | "refuse"
  readonly deniedKeys?: string
}

/** `assay check chain`. */
export const addCheckChain = (check: Command, { io, reporting }: CommandContext): void => {
  check
    .command("chain [LEAF]")
    .description("Check a certificate chain: path, purpose, revocation, weak and denied keys.")
    .option("--intermediates <FILE...>", "certificates between leaf and anchor")
    .option("--anchors <FILE...>", "certificates that are trusted")
    .option("--crls <FILE...>", "certificate revocation lists")
    .addOption(new Option("--purpose <PURPOSE>", "what the leaf is for").choices(PURPOSES).default("any"))
    .option("--at <TIME>", "the instant to check at, as 2026-03-01T12:00:00Z (default: now)")
    .addOption(
      new Option(
        "--revocation <MODE>",
        "which certificates need a CRL (default: when-published with --crls, else off)",
      ).choices(REVOCATION),
    )
    .option("--policy <OID...>", "certificate policies that are acceptable (default: any)")
    .option("--explicit-policy", "one of them has to hold for the whole path")
    .option("--inhibit-any-policy", "anyPolicy stands for no other")
    .option("--inhibit-policy-mapping", "policies are not mapped to others")
    .option(
      "--name <NAME>",
      "the leaf has to be the certificate of this web server, a host name or an address",
    )
    .option(
      "--max-depth <N>",
      "intermediate CAs at most, self-issued ones not counted (default: 10, and more counts as 10)",
    )
    .addOption(
      new Option("--expired-leaf <WHAT>", "of an endorsement key past its notAfter")
        .choices(["allow", "refuse"] as const)
        .default("refuse"),
    )
    .option(
      "--denied-keys <FILE>",
      "a list of keys that are known to others (default: the one that is shipped)",
    )
    .addHelpText("after", HELP)
    .action(
      reporting((leaf: string | undefined, options: Options, command: Command) => {
        const split = leaf === undefined ? leafAtTheEnd(options, argumentsOf(command)) : { leaf, options }
        return chainReport(split.leaf, split.options, io)
      }),
    )
}

/** Everything that was typed. */
const argumentsOf = (command: Command): readonly string[] => {
  let root = command
  while (root.parent !== null) root = root.parent
  // Commander keeps them, and has no type for it.
  return "rawArgs" in root && Array.isArray(root.rawArgs) ? root.rawArgs.map(String) : []
}

const LISTS = ["intermediates", "anchors", "crls", "policy"] as const

/**
 * The leaf, if it was named last: an option that takes several values has then taken it for one of its own.
 *
 * @throws {AssayError} INPUT if there is none.
 */
const leafAtTheEnd = (
  options: Options,
  typed: readonly string[],
): { readonly leaf: string; readonly options: Options } => {
  const last = LISTS.map((list) => [typed.lastIndexOf(`--${list}`), list] as const)
    .sort(([a], [b]) => b - a)
    .map(([, list]) => list)
    .find((list) => (options[list]?.length ?? 0) > 1)
  const values = last === undefined ? [] : (options[last] ?? [])
  const leaf = values[values.length - 1]
  if (last === undefined || leaf === undefined)
    throw new AssayError("INPUT", "which certificate? LEAF is missing", {
      location: "LEAF",
      expected: "a file",
    })
  return { leaf, options: { ...options, [last]: values.slice(0, -1) } }
}

const chainReport = async (leaf: string, options: Options, io: CliIo): Promise<Report> => {
  const { intermediates = [], anchors = [], crls = [] } = options
  checkStdin([leaf, ...intermediates, ...anchors, ...crls, options.deniedKeys ?? ""])
  const chainOptions = chainOptionsOf(options, io)
  const result = checkChain({
    leaf: { name: leaf, bytes: await readInput(leaf, io) },
    intermediates: await readFiles(intermediates, "certificate", io),
    anchors: await readFiles(anchors, "certificate", io),
    crls: await readFiles(crls, "crl", io),
    denied: await readDeniedKeys(options.deniedKeys, io),
    options: chainOptions,
  })
  return reportOf(result, chainOptions)
}

const reportOf = (result: ChainCheck, options: ChainOptions): Report => ({
  accepted: result.accepted,
  malformed: result.malformed,
  json: chainJson(result, options),
  table: (paint) => chainTable(result, options, paint),
})

/** @throws {AssayError} INPUT: what has been read once is not there a second time. */
const checkStdin = (paths: readonly string[]): void => {
  if (paths.filter((path) => path === "-").length > 1)
    throw new AssayError("INPUT", "standard input can be read only once", { location: "-" })
}

const chainOptionsOf = (
  options: Options,
  io: CliIo,
): ChainOptions & { readonly revocation: RevocationMode } => {
  const { purpose, expiredLeaf, name, maxDepth, policy, crls = [] } = options
  if (expiredLeaf === "allow" && purpose !== "ek")
    throw wrongOption("--expired-leaf", "refuse, unless --purpose is ek", expiredLeaf)
  const { revocation = crls.length > 0 ? "when-published" : "off" } = options
  return {
    purpose,
    at: parseInstant(options.at, io),
    revocation,
    expiredLeaf,
    policies: {
      acceptable: policy === undefined ? undefined : new Set(policy.map(parseOid)),
      requireExplicit: options.explicitPolicy === true,
      inhibitAny: options.inhibitAnyPolicy === true,
      inhibitMapping: options.inhibitPolicyMapping === true,
    },
    ...(name !== undefined && { serverName: name }),
    ...(maxDepth !== undefined && { maxDepth: parseDepth(maxDepth) }),
  }
}

const parseOid = (text: string): string => {
  if (/^[012](\.(0|[1-9]\d*))+$/.test(text)) return text
  throw wrongOption("--policy", "an object identifier, as 2.16.840.1.101.3.2.1.48.1", text)
}

const parseDepth = (text: string): number => {
  if (/^\d{1,4}$/.test(text)) return Number(text)
  throw wrongOption("--max-depth", "a number", text)
}

const wrongOption = (location: string, expected: string, actual: string): AssayError =>
  new AssayError("INPUT", `${location} is not what it has to be`, { location, expected, actual })

const readFiles = async (
  paths: readonly string[],
  kind: FileKind,
  io: CliIo,
): Promise<readonly NamedFile[]> => {
  const files: NamedFile[] = []
  for (const path of paths)
    for (const name of await filesOf(path, kind))
      files.push({ name, bytes: await readInput(name, io, BYTES_MAX[kind]) })
  return files
}

/** The path itself, or if it is a folder the files in it and in its folders, in the order of their names. */
const filesOf = async (path: string, kind: FileKind): Promise<readonly string[]> => {
  if (path === "-") return [path]
  try {
    if (!(await stat(path)).isDirectory()) return [path]
    const entries = await readdir(path, { withFileTypes: true, recursive: true })
    return entries
      .filter((entry) => entry.isFile() && ENDINGS[kind].test(entry.name))
      .map(({ parentPath, name }) => join(parentPath, name))
      .sort()
  } catch (error) {
    throw readError(path, error)
  }
}

/** @throws {AssayError} INPUT for a list that is missing or none: no key is let pass for want of it. */
const readDeniedKeys = async (path: string | undefined, io: CliIo): Promise<DeniedKeys> =>
  parseDeniedKeys(await readJson(path ?? fileURLToPath(DENIED_KEYS), io))
