/**
 * Writes docs/configuration.md from the schema of the settings: each with its values, its default and its variable of
 * the environment.
 */
import { writeFileSync } from "node:fs"
import { z } from "zod"
import { ENVIRONMENT } from "../src/config/environment.ts"
import { schema } from "../src/config/schema.ts"

export const CONFIGURATION_FILE = "docs/configuration.md"

type Json = z.core.JSONSchema.JSONSchema

/** One setting: its path, as in `key.file` or `credentials[].name`. */
export interface Setting {
  readonly path: string
  readonly values: string
  readonly fallback: string
  readonly variable: string
  readonly meaning: string
}

const isJson = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const VARIABLE_OF = new Map(Object.entries(ENVIRONMENT).map(([variable, [path]]) => [path, variable]))

/** Whether a setting is a group of others, which have rows of their own. */
const isGroup = ({ properties }: Json): boolean => properties !== undefined

const valuesOf = (json: Json): string => {
  const choices = json.anyOf ?? json.oneOf
  if (choices !== undefined) return [...new Set(choices.filter(isJson).map(valuesOf))].join(" or ")
  if (json.const !== undefined) return `\`${String(json.const)}\``
  if (json.enum !== undefined) return json.enum.map((value) => `\`${String(value)}\``).join(", ")
  switch (json.type) {
    case "boolean":
      return "`true`, `false`"
    case "integer":
    case "number":
      return `${json.minimum} to ${json.maximum}`
    case "array":
      return isJson(json.items) ? `list of ${valuesOf(json.items)}` : "list"
    case "object":
      return isGroup(json)
        ? "group"
        : `${isJson(json.additionalProperties) ? valuesOf(json.additionalProperties) : ""} by name`
    default:
      return json.format === "uri" ? "URL" : "text"
  }
}

const fallbackOf = (json: Json, required: boolean): string => {
  if (required && json.default === undefined) return "required"
  const { default: value } = json
  return value === undefined || (typeof value === "object" && isGroup(json))
    ? ""
    : `\`${JSON.stringify(value)}\``
}

/** The groups within a setting: it is one, or a list of them, or a choice among them. */
const groupsOf = (json: Json): readonly Json[] => {
  if (isGroup(json)) return [json]
  const within = [json.items, ...(json.anyOf ?? []), ...(json.oneOf ?? [])]
  return within.filter(isJson).flatMap(groupsOf)
}

const settingsOf = (group: Json, prefix: string): readonly Setting[] =>
  Object.entries(group.properties ?? {}).flatMap(([name, json]) => {
    if (!isJson(json)) return []
    const path = `${prefix}${name}`
    const inner = groupsOf(json).flatMap((one) =>
      settingsOf(one, `${path}${json.type === "array" ? "[]" : ""}.`),
    )
    const own = {
      path,
      values: valuesOf(json),
      fallback: fallbackOf(json, group.required?.includes(name) === true),
      variable: VARIABLE_OF.get(path) ?? "",
      meaning: json.description ?? "",
    }
    const seen = new Map([own, ...inner].map((setting) => [`${setting.path} ${setting.meaning}`, setting]))
    return [...seen.values()]
  })

/** Every setting, in the schema's order. */
export const settings = (): readonly Setting[] => settingsOf(z.toJSONSchema(schema, { io: "input" }), "")

const row = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`

/** The whole page. */
export const configurationPage = (): string =>
  `${[
    "# Configuration",
    "This page is written from the schema of the settings by `make configuration`; do not edit it.",
    [
      "`assay serve --config FILE` reads YAML or JSON. A flag wins over a variable of the environment, the variable over",
      "the file, the file over the default. A name that is not listed here is refused, and so is a value of another type:",
      "`assay config check --config FILE` says which, and what would be served, without starting anything.",
    ].join("\n"),
    [
      row(["Setting", "Values", "Default", "Environment", "Meaning"]),
      row(["---", "---", "---", "---", "---"]),
      ...settings().map(({ path, values, fallback, variable, meaning }) =>
        row([`\`${path}\``, values, fallback, variable === "" ? "" : `\`${variable}\``, meaning]),
      ),
    ].join("\n"),
  ].join("\n\n")}\n`

if (import.meta.main) {
  writeFileSync(CONFIGURATION_FILE, configurationPage())
  console.log(`${CONFIGURATION_FILE}: ${settings().length} settings`)
}
