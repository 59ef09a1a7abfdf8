/** The settings of a server, as commands are told them. */
import { readFileSync } from "node:fs"
import type { Command } from "commander"
import { type Config, countFrom, readConfig } from "../config.ts"
import { AssayError } from "../errors.ts"

/** Flags that set something. */
export interface SettingOptions {
  readonly config?: string
  readonly development?: boolean
  readonly data?: string
  readonly listen?: string[]
  readonly admin?: string
  readonly workers?: string
  readonly logLevel?: string
}

/** Adds the flags to a command. */
export const settingOptions = (command: Command): Command =>
  command
    .option("--config <file>", "settings, YAML or JSON")
    .option(
      "--development",
      "plaintext TCP on loopback; makes a key and local credentials where there are none",
    )
    .option("--data <folder>", "database, signing key and credentials (default: .assay)")
    .option("--listen <address...>", "127.0.0.1:PORT (development mode only) or unix:/absolute/path")
    .option("--admin <address>", "administration socket, unix:/absolute/path (default: in the data folder)")
    .option("--workers <count>", "processes that serve calls, or auto: one for each core (default: 1)")
    .option("--log-level <level>", "silent, error, warn, info or debug")

/** The settings that flags, environment and file make together. @throws {AssayError} INPUT. */
export const configOf = (
  options: SettingOptions,
  env: Readonly<Record<string, string | undefined>>,
): Config =>
  readConfig(
    {
      development: options.development,
      data: options.data,
      listen: options.listen,
      admin: options.admin,
      workers: options.workers === undefined ? undefined : countFrom(options.workers),
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
