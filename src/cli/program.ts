import { Command, CommanderError, Option } from "commander"
import { AssayError } from "../errors.ts"
import {
  type AddCommand,
  type CommandContext,
  type NamedCommand,
  reportStatus,
  writeReport,
} from "./command.ts"
import { asAssayError, errorJson, errorLine, OUTPUTS, type Output, statusOf, toJson } from "./output.ts"
import type { CliIo, CliParts } from "./parts.ts"

const COMMANDS: readonly NamedCommand[] = [
  { name: "inspect", load: async () => (await import("./inspect.ts")).addInspect },
  { name: "replay", load: async () => (await import("./replay.ts")).addReplay },
  { name: "check", load: async () => (await import("./check.ts")).addCheck },
  { name: "appraise", load: async () => (await import("./appraise.ts")).addAppraise },
  { name: "device", load: async () => (await import("./device.ts")).addDevice },
  { name: "enrollment-token", load: async () => (await import("./enrollment-token.ts")).addEnrollmentToken },
  { name: "policy", load: async () => (await import("./policy.ts")).addPolicy },
  { name: "trust", load: async () => (await import("./trust.ts")).addTrust },
  { name: "journal", load: async () => (await import("./journal.ts")).addJournal },
]

/** What asks for no command at all. */
const VERSION_FLAGS = ["--version", "-V"]
/** Options of the program that another argument belongs to. */
const VALUED = ["-o", "--output"]

/**
 * The commands that a command line needs: the one that it names, as loading the others would take longer than most commands
 * do. All, where none is named: for help, and to say what was meant.
 */
const neededBy = (argv: readonly string[], commands: readonly NamedCommand[]): readonly NamedCommand[] => {
  if (argv.length === 1 && VERSION_FLAGS.includes(argv[0] ?? "")) return []
  const name = argv.find((word, i) => !word.startsWith("-") && !VALUED.includes(argv[i - 1] ?? ""))
  const named = commands.filter((command) => command.name === name)
  return named.length === 0 ? commands : named
}

/** The program, and the status that the command which ran ended with. */
interface Program {
  readonly command: Command
  readonly output: () => Output
  readonly status: () => number
}

/** The commands of `assay` that are given, ready to parse arguments. Nothing is read or written before. */
function createProgram(parts: CliParts, io: CliIo, commands: readonly AddCommand[]): Program {
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
  for (const add of commands) add(command, context)
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
  const needed = neededBy(argv, [...COMMANDS, ...parts.commands])
  const { command, output, status } = createProgram(
    parts,
    io,
    await Promise.all(needed.map(({ load }) => load())),
  )
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
