import { Command, CommanderError, Option } from "commander"
import { AssayError } from "../errors.ts"
import { addAppraise } from "./appraise.ts"
import { addCheck } from "./check.ts"
import { type AddCommand, type CommandContext, reportStatus, writeReport } from "./command.ts"
import { addDevice } from "./device.ts"
import { addEnrollmentToken } from "./enrollment-token.ts"
import { addInspect } from "./inspect.ts"
import { addJournal } from "./journal.ts"
import { asAssayError, errorJson, errorLine, OUTPUTS, type Output, statusOf, toJson } from "./output.ts"
import type { CliIo, CliParts } from "./parts.ts"
import { addPolicy } from "./policy.ts"
import { addReplay } from "./replay.ts"
import { addTrust } from "./trust.ts"

const COMMANDS: readonly AddCommand[] = [
  addInspect,
  addReplay,
  addCheck,
  addAppraise,
  addDevice,
  addEnrollmentToken,
  addPolicy,
  addTrust,
  addJournal,
]

/** The program, and the status that the command which ran ended with. */
export interface Program {
  readonly command: Command
  readonly output: () => Output
  readonly status: () => number
}

/** Every command of `assay`, ready to parse arguments. Nothing is read or written before. */
export function createProgram(parts: CliParts, io: CliIo): Program {
  const command = new Command("assay")
  let status = 0
  const output = (): Output =>
    command.opts<{ output?: Output }>().output ?? (io.isTerminal ? "table" : "json")
  const context: CommandContext = {
    parts,
    io,
    output,
    reporting:
      (act) =>
      async (...args) => {
        const report = await act(...args)
        writeReport(report, output(), io)
        status = reportStatus(report)
      },
    exitWith: (code) => {
      status = code
    },
  }
  command
    .description(
      "Assay verifies TPM 2.0 attestation: evidence in, a verdict and a short-lived session token out.",
    )
    .version(parts.version)
    .addOption(
      new Option("-o, --output <format>", "how to answer (default: table on a terminal, else json)").choices(
        OUTPUTS,
      ),
    )
    // Before any command is added: they inherit all three.
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err, outputError: () => {} })
    .configureHelp({ showGlobalOptions: true })
    .addHelpText("after", EXIT_STATUS)
  for (const add of [...COMMANDS, ...parts.commands]) add(command, context)
  return { command, output, status: () => status }
}

const EXIT_STATUS = `
Exit status: 0 accepted or done, 1 refused or not done, 2 wrong use or malformed input.
A FILE of - is standard input.`

/**
 * Runs one command line, without the names of Node and the program.
 *
 * @returns The exit status. Nothing is thrown: every failure has been written as a line on `err`, and where the output is
 *   JSON also as `{"error":{…}}` on `out`.
 */
export async function runCli(argv: readonly string[], parts: CliParts, io: CliIo): Promise<number> {
  const { command, output, status } = createProgram(parts, io)
  try {
    await command.parseAsync([...argv], { from: "user" })
    return status()
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0
    const error = thrown instanceof CommanderError ? wrongUse(thrown) : asAssayError(thrown)
    io.err(`${errorLine(error)}\n`)
    if (output() === "json") io.out(`${toJson({ error: errorJson(error) })}\n`)
    return statusOf(error)
  }
}

/** Help that was asked for by an incomplete command has been written already. */
const wrongUse = ({ code, message }: CommanderError): AssayError =>
  code === "commander.help"
    ? new AssayError("INPUT", "which command? see above")
    : new AssayError("INPUT", `${message.replace(/^error: /, "")}; see assay help`)
