import { readFileSync } from "node:fs"
import type { Logger } from "pino"
import { type Config, readConfig } from "../config.ts"
import { AssayError } from "../errors.ts"
import type { AddCommand } from "./command.ts"
import { fieldLines } from "./output.ts"

/** A server that is running. */
export interface Running {
  /** gRPC addresses that gateways and backends call, with the ports that 0 became. */
  readonly listen: readonly string[]
  readonly admin: string
  /** URL of the keys, discovery and the epoch. */
  readonly publicUrl: string
  /** URL of metrics and probes. */
  readonly privateUrl: string
  readonly issuer: string
  /** Files with the local credentials that callers are told apart by, by name. */
  readonly credentials: Readonly<Record<string, string>>
  /** Takes no more calls, answers those under way, and closes everything. */
  stop(): Promise<void>
}

/** What `init` made, or found. */
export interface InitFiles {
  readonly key: string
  /** The device CA: its certificate and its key. */
  readonly deviceCa: string
}

/** What `serve` is given by `main.ts`. */
export interface ServeParts {
  readonly start: (config: Config, log: Logger) => Promise<Running>
  readonly createLog: (level: Config["logLevel"]) => Logger
  /** Makes a signing key and a device CA where there are none. */
  readonly init: (config: Config) => Promise<InitFiles>
  /** Resolves when the process is told to stop. */
  readonly stopped: () => Promise<string>
}

interface ServeOptions {
  readonly config?: string
  readonly development?: boolean
  readonly data?: string
  readonly listen?: string[]
  readonly admin?: string
  readonly logLevel?: string
}

const configOf = (options: ServeOptions, env: Readonly<Record<string, string | undefined>>): Config =>
  readConfig(
    {
      development: options.development,
      data: options.data,
      listen: options.listen,
      admin: options.admin,
      logLevel: options.logLevel,
    },
    env,
    options.config === undefined ? undefined : readDocument(options.config),
  )

const readDocument = (path: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch (cause) {
    throw new AssayError("INPUT", `cannot read the configuration ${path}`, { location: path, cause })
  }
}

/** `assay serve`: serves until it is told to stop, then drains and ends with status 0. */
export const addServe =
  ({ start, createLog, stopped }: ServeParts): AddCommand =>
  (program, { io, output }) => {
    program
      .command("serve")
      .description("Serve gRPC on this machine: loopback in development mode, and Unix sockets.")
      .option("--config <file>", "settings, YAML or JSON")
      .option(
        "--development",
        "plaintext TCP on loopback; makes a key and local credentials where there are none",
      )
      .option("--data <folder>", "database, signing key and credentials (default: .assay)")
      .option("--listen <address...>", "127.0.0.1:PORT (development mode only) or unix:/absolute/path")
      .option("--admin <address>", "administration socket, unix:/absolute/path (default: in the data folder)")
      .option("--log-level <level>", "silent, error, warn, info or debug")
      .addHelpText("after", SERVE_HELP)
      .action(async (options: ServeOptions) => {
        const config = configOf(options, io.env)
        const log = createLog(config.logLevel)
        const running = await start(config, log)
        if (output() === "table") io.err(`${banner(running, config.development).join("\n")}\n`)
        log.info({ listen: running.listen, admin: running.admin, issuer: running.issuer }, "serving")
        const signal = await stopped()
        log.info({ signal }, "draining")
        await running.stop()
        log.info("stopped")
      })
  }

const SERVE_HELP = `
Settings also come from the environment (ASSAY_DATA, ASSAY_LISTEN, ASSAY_ADMIN, ASSAY_ISSUER, ASSAY_KEY_PASSPHRASE,
ASSAY_KEY_PASSPHRASE_FILE, …); flags win over it, it wins over the file.

Examples:
  assay serve --development
  ASSAY_KEY_PASSPHRASE_FILE=/run/secrets/assay assay serve --config /etc/assay.yaml`

const banner = (running: Running, development: boolean): string[] => [
  development ? "Assay, in development mode: callers on this machine only, nothing encrypted" : "Assay",
  ...fieldLines([
    ["gRPC", running.listen.join("  ")],
    ["administration", running.admin],
    ["keys and discovery", `${running.publicUrl}/.well-known/openid-configuration`],
    ["metrics and probes", `${running.privateUrl}/metrics  ${running.privateUrl}/readyz`],
    ...Object.entries(running.credentials).map(([name, file]) => [`credential of ${name}`, file] as const),
  ]),
  "Stop with Ctrl-C.",
]

/** `assay init`: makes what a server needs and does not make by itself outside development mode. */
export const addInit =
  ({ init }: Pick<ServeParts, "init">): AddCommand =>
  (program, { io, reporting }) => {
    program
      .command("init")
      .description(
        "Make the data folder, a signing key and a device CA in it, both encrypted, unless they are there.",
      )
      .option("--config <file>", "settings, YAML or JSON")
      .option("--data <folder>", "where (default: .assay)")
      .addHelpText(
        "after",
        "\nThe passphrase comes from ASSAY_KEY_PASSPHRASE or the file in ASSAY_KEY_PASSPHRASE_FILE.",
      )
      .action(
        reporting(async (options: ServeOptions) => {
          const files = await init(configOf(options, io.env))
          const table = [`The signing key is in ${files.key}.`, `The device CA is in ${files.deviceCa}.`]
          return { accepted: true, json: { ...files }, table: () => table }
        }),
      )
  }
