import type { Command } from "commander"
import { type Output, painter, type Report, toJson } from "./output.ts"
import type { CliIo, CliParts } from "./parts.ts"

/** What every command is made with. */
export interface CommandContext {
  readonly parts: CliParts
  readonly io: CliIo
  /** What `-o` says, or what suits whoever reads. Only known while a command runs. */
  readonly output: () => Output
  /** The action of a command that ends with a report: writes it, and sets the exit status. */
  readonly reporting: <A extends readonly unknown[]>(
    act: (...args: A) => Report | Promise<Report>,
  ) => (...args: A) => Promise<void>
  /** Sets the exit status, for commands that write by themselves. */
  readonly exitWith: (status: number) => void
}

/** Adds one command to the program. */
export type AddCommand = (program: Command, context: CommandContext) => void

/** A command of the program by its name. What it is made of is loaded when a command line needs it. */
export interface NamedCommand {
  readonly name: string
  readonly load: () => AddCommand | Promise<AddCommand>
}

/** Writes a report in the form that was asked for. */
export const writeReport = ({ json, table }: Report, output: Output, { out, colors }: CliIo): void => {
  const text = output === "json" ? toJson(json) : table(painter(colors)).join("\n")
  out(`${text}\n`)
}

/** Exit status of a report. */
export const reportStatus = ({ accepted, malformed = false }: Report): 0 | 1 | 2 =>
  malformed ? 2 : accepted ? 0 : 1
