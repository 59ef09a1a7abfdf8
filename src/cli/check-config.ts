import type { Config } from "../config.ts"
import type { AssayError } from "../errors.ts"
import type { AddCommand } from "./command.ts"
import { errorJson, tableLines } from "./output.ts"
import { configOf, type SettingOptions, settingOptions } from "./settings.ts"

/** What a setting comes to in a server, or why it comes to nothing. */
export type CheckedSetting =
  | { readonly setting: string; readonly finding: string }
  | { readonly setting: string; readonly fault: AssayError }

/** What `config check` is given by `main.ts`. */
export interface CheckConfigParts {
  readonly check: (config: Config, at: Date) => Promise<readonly CheckedSetting[]>
}

/** `assay config check`: says what a server of these settings would serve. Exit status 1 if it would not start. */
export const addConfig =
  ({ check }: CheckConfigParts): AddCommand =>
  (program, { io, reporting }) => {
    const config = program.command("config").description("Look at the settings of a server.")
    settingOptions(
      config
        .command("check")
        .description(
          "Say what would be served with these settings, and what is wrong, without starting anything.",
        ),
    )
      .addHelpText(
        "after",
        `
Reads the same files, flags and variables as \`assay serve\`. Whether an address is free, and whether a store or an engine
answers, is only known when it starts.

Example:
  assay config check --config /etc/assay.yaml`,
      )
      .action(
        reporting(async (options: SettingOptions) => {
          const checked = await check(configOf(options, io.env), io.now())
          const accepted = checked.every((one) => "finding" in one)
          return {
            accepted,
            json: {
              accepted,
              settings: checked.map((one) =>
                "finding" in one ? one : { setting: one.setting, fault: errorJson(one.fault) },
              ),
            },
            table: (paint) => {
              const lines = tableLines(
                ["SETTING", "", ""],
                checked.map((one) =>
                  "finding" in one
                    ? [one.setting, "ok", one.finding]
                    : [one.setting, one.fault.code, one.fault.message],
                ),
              )
              return lines.map((line, i) => {
                const one = checked[i - 1]
                return one === undefined ? paint.faint(line) : "finding" in one ? line : paint.bad(line)
              })
            },
          }
        }),
      )
  }
