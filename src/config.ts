import { parseDocument } from "yaml"
import type { z } from "zod"
import { ENVIRONMENT } from "./config/environment.ts"
import { type Config, schema } from "./config/schema.ts"
import { AssayError } from "./errors.ts"

export type { Config } from "./config/schema.ts"

type Tree = { [name: string]: unknown }

/**
 * Puts the settings together.
 *
 * @param flags By path, as `web.public`; what is undefined was not given.
 * @param document The configuration file's text, YAML or JSON, if there is one.
 * @throws {AssayError} INPUT.
 */
export function readConfig(
  flags: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>>,
  document: string | undefined,
): Config {
  const tree = document === undefined ? {} : readDocument(document)
  if (isTree(tree["key"]) && "passphrase" in tree["key"])
    throw invalid(
      "key.passphrase",
      "the passphrase does not belong in the configuration file: use key.passphraseFile",
    )
  for (const name of ["store", "engine"]) {
    const part = tree[name]
    if (isTree(part) && hasPassword(part["url"]))
      throw invalid(
        `${name}.url`,
        `a URL with a password does not belong in the configuration file: use ${name}.urlFile`,
      )
  }
  for (const [name, [path, kind]] of Object.entries(ENVIRONMENT)) {
    const value = environment[name]
    if (value !== undefined && value !== "") place(tree, path, fromText(name, value, kind))
  }
  for (const [path, value] of Object.entries(flags)) if (value !== undefined) place(tree, path, value)
  const parsed = schema.safeParse(tree)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map((issue) => ({ path: pathOf(issue), message: issue.message }))
  throw invalid(faults[0]?.path ?? "", faults.map(({ path, message }) => `${path}: ${message}`).join("; "))
}

/** Of an unknown name, its own path and not that of what it stands in. */
const pathOf = (issue: z.core.$ZodIssue): string =>
  [...issue.path, ...(issue.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : [])].join(".")

const readDocument = (document: string): Tree => {
  const yaml = parseDocument(document)
  // What the parser of YAML only warns of, such as a tag that it does not know, is a fault too.
  const [fault] = [...yaml.errors, ...yaml.warnings]
  if (fault !== undefined) throw yamlFault(fault)
  let tree: unknown
  try {
    tree = yaml.toJS({ maxAliasCount: 0 }) ?? {}
  } catch (cause) {
    throw yamlFault(cause)
  }
  if (isTree(tree)) return tree
  throw invalid("", "not settings by their names")
}

/** The lines of the file that the parser shows below its first one may hold what is secret. */
const yamlFault = (cause: unknown): AssayError =>
  invalid("", cause instanceof Error ? (cause.message.split(/:?\n/, 1)[0] ?? "") : "not YAML")

const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const fromText = (name: string, value: string, kind: "text" | "list" | "flag" | "count"): unknown => {
  switch (kind) {
    case "text":
      return value
    case "count":
      return countFrom(value)
    case "list":
      return value.split(",")
    case "flag":
      if (value === "1" || value === "true") return true
      if (value === "0" || value === "false") return false
      throw invalid(name, "neither 1 nor 0")
  }
}

/** A number as people write it; what is none stays as it is, for the schema to judge. */
export const countFrom = (text: string): number | string => (/^\d{1,9}$/.test(text) ? Number(text) : text)

/** Whether something is a URL with a password in it, wherever it stands. */
const hasPassword = (value: unknown): boolean => {
  if (typeof value !== "string") return false
  // As in postgres://user:password@/database, which drivers read nevertheless.
  if (!URL.canParse(value)) return value.includes("@")
  const { password, searchParams } = new URL(value)
  return password !== "" || searchParams.has("password")
}

const place = (tree: Tree, path: string, value: unknown): void => {
  const [first = "", ...rest] = path.split(".")
  if (rest.length === 0) {
    tree[first] = value
    return
  }
  const branch = tree[first] === undefined ? {} : tree[first]
  if (!isTree(branch)) return // the schema refuses it
  tree[first] = branch
  place(branch, rest.join("."), value)
}

const invalid = (location: string, message: string): AssayError =>
  new AssayError("INPUT", `the configuration is not valid: ${message}`, {
    location: location || "(configuration)",
  })
