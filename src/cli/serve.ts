import type { Logger } from "pino"
import type { Config } from "../config.ts"
import type { AddCommand } from "./command.ts"
import { fieldLines } from "./output.ts"
import { configOf, type SettingOptions, settingOptions } from "./settings.ts"

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

/** `assay serve`: serves until it is told to stop, then drains and ends with status 0. */
export const addServe =
  ({ start, createLog, stopped }: Omit<ServeParts, "init">): AddCommand =>
  (program, { io, output }) => {
    settingOptions(
      program.command("serve").description("Serve gRPC: with TLS anywhere, without it on this machine only."),
    )
      .addHelpText("after", SERVE_HELP)
      .action(async (options: SettingOptions) => {
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
        "Make what a server needs, unless it is there: the tables of its store, an encrypted signing key and an encrypted device CA.",
      )
      .option("--config <file>", "settings, YAML or JSON")
      .option("--data <folder>", "where (default: .assay)")
      .addHelpText(
        "after",
        "\nThey are in the data folder, or, where the settings say so, in PostgreSQL, once for all replicas.\nThe passphrase comes from ASSAY_KEY_PASSPHRASE or the file in ASSAY_KEY_PASSPHRASE_FILE.",
      )
      .action(
        reporting(async (options: SettingOptions) => {
          const files = await init(configOf(options, io.env))
          const table = [`The signing key is in ${files.key}.`, `The device CA is in ${files.deviceCa}.`]
          return { accepted: true, json: { ...files }, table: () => table }
        }),
      )
  }
