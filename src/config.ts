import { parseDocument } from "yaml"
import { z } from "zod"
import { AssayError } from "./errors.ts"
import { FAULT } from "./faults.ts"

/** Whether `text` is a host in the one spelling that URLs are compared in. */
const isHost = (text: string): boolean => {
  if (!/^[a-z0-9.:[\]-]+$/.test(text) || !URL.canParse(`http://${text}/`)) return false
  const { host, hostname } = new URL(`http://${text}/`)
  return text === host || text === `${hostname}:80`
}

/**
 * What `assay serve` can be told. Flags win over the environment, the environment over the file, the file over the
 * defaults. An unknown name and a value of another type are refused with their path.
 */
const schema = z
  .strictObject({
    /** Development mode: plaintext TCP on loopback, and a key, a passphrase and local credentials made when absent. */
    development: z.boolean().default(false),
    /** Folder of the database, the signing key and, in development mode, the credentials. */
    data: z.string().min(1).default(".assay"),
    /** gRPC addresses: `127.0.0.1:PORT` (development mode only) or `unix:PATH`. */
    listen: z.array(z.string().min(1)).min(1).optional(),
    /** Administration socket, `unix:PATH`; its file is for its owner alone. */
    admin: z.string().min(1).optional(),
    web: z
      .strictObject({
        /** Keys, discovery and the epoch. */
        public: z.string().min(1).default("127.0.0.1:7401"),
        /** Metrics and probes. */
        private: z.string().min(1).default("127.0.0.1:7402"),
      })
      .prefault({}),
    /** `iss` of every token, without query and fragment; by default the public web address. */
    issuer: z
      .url({ protocol: /^https?$/ })
      .refine((url) => !/[?#]/.test(url), "no query and no fragment")
      .optional(),
    key: z
      .strictObject({
        algorithm: z.enum(["ES256", "EdDSA"]).default("ES256"),
        file: z.string().min(1).optional(),
        /** The passphrase itself; from the environment, never from the file. */
        passphrase: z.string().min(1).optional(),
        passphraseFile: z.string().min(1).optional(),
      })
      .prefault({}),
    challenge: z
      .strictObject({
        lifetimeSeconds: z.int().min(5).max(600).default(120),
        /** How many spent challenges are remembered until they expire; when full, Verify is refused. */
        spentMax: z.int().min(1000).max(10_000_000).default(1_000_000),
      })
      .prefault({}),
    epoch: z.strictObject({ lengthSeconds: z.int().min(10).max(300).default(300) }).prefault({}),
    trust: z
      .strictObject({
        /** What keeps CRLs and issuers' certificates current, apart from any request. */
        refresh: z
          .strictObject({
            /** Hosts that may be asked, in lowercase, as `host` or `host:port`. None: nothing is ever loaded. */
            hosts: z
              .array(z.string().refine(isHost, "not a host in lowercase, with or without a port"))
              .max(100)
              .default([]),
            /** Between two looks at what is due; it is asked for in rounds of a minute at most. */
            intervalSeconds: z.int().min(10).max(86_400).default(300),
            /** For one URL, all of it. */
            timeoutSeconds: z.int().min(1).max(60).default(10),
            /** What one URL may answer with a CRL, the longest that is read having 32 MiB; with certificates, 256 KiB. */
            maxBytes: z.int().min(1024).max(33_554_432).default(16_777_216),
          })
          .prefault({}),
      })
      .prefault({}),
    ear: z
      .strictObject({
        default: z.enum(["2023", "2026"]).default("2026"),
        /** The wire form for an audience that reads the other one. */
        audiences: z.record(z.string(), z.enum(["2023", "2026"])).default({}),
      })
      .prefault({}),
    /** Callers that are told apart by a local credential: the name, the file that holds it, and what its holder is. */
    credentials: z
      .array(
        z.strictObject({
          name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
          file: z.string().min(1),
          role: z.enum(["gateway", "backend", "operator", "auditor"]),
          tenant: z
            .string()
            .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/)
            .default("default"),
        }),
      )
      .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, "a name twice")
      .default([]),
    /** Whether callers without a credential are served, known by their connection alone (over a Unix socket, by the socket). */
    anonymous: z.boolean().default(true),
    reflection: z.boolean().default(true),
    logLevel: z.enum(["silent", "error", "warn", "info", "debug"]).default("info"),
    /** Development mode only: where the process ends as if the power went (`src/faults.ts`). */
    fault: z.string().regex(FAULT, "no fault point").optional(),
  })
  .refine(({ fault, development }) => fault === undefined || development, {
    path: ["fault"],
    error: "faults are for development mode",
  })

/** The settings of a server, complete. */
export type Config = z.infer<typeof schema>

/** Settings by environment variable. */
const ENVIRONMENT: Readonly<Record<string, readonly [path: string, kind: "text" | "list" | "flag"]>> = {
  ASSAY_DEVELOPMENT: ["development", "flag"],
  ASSAY_DATA: ["data", "text"],
  ASSAY_LISTEN: ["listen", "list"],
  ASSAY_ADMIN: ["admin", "text"],
  ASSAY_WEB_PUBLIC: ["web.public", "text"],
  ASSAY_WEB_PRIVATE: ["web.private", "text"],
  ASSAY_ISSUER: ["issuer", "text"],
  ASSAY_KEY_FILE: ["key.file", "text"],
  ASSAY_KEY_PASSPHRASE: ["key.passphrase", "text"],
  ASSAY_KEY_PASSPHRASE_FILE: ["key.passphraseFile", "text"],
  ASSAY_LOG_LEVEL: ["logLevel", "text"],
  ASSAY_FAULT: ["fault", "text"],
}

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

const fromText = (name: string, value: string, kind: "text" | "list" | "flag"): unknown => {
  switch (kind) {
    case "text":
      return value
    case "list":
      return value.split(",")
    case "flag":
      if (value === "1" || value === "true") return true
      if (value === "0" || value === "false") return false
      throw invalid(name, "neither 1 nor 0")
  }
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
