/** The command line, with what each command is given. */
import { type CliParts, processIo } from "../cli/parts.ts"
import { runCli } from "../cli/program.ts"
import type { ServeParts } from "../cli/serve.ts"
import { verifySessionToken } from "../client/session.ts"
import { verifyCompactBy } from "../jwt/compact.ts"
import { VERSION } from "./constants.ts"

// What a command is made of is loaded when it is asked for, and a server when it is started: all of it costs half a second.

/** Starts a server. @throws {AssayError} as `start` in `start.ts`. */
export const start: ServeParts["start"] = async (config, log) =>
  (await import("./start.ts")).start(config, log)

/** What the command line is given. */
export const parts: CliParts = {
  version: VERSION,
  adminClient: async (address, reach) =>
    (await import("../client/admin.ts")).createAdminClient(address, reach),
  verifySessionToken,
  verifyJws: verifyCompactBy,
  commands: [
    { name: "serve", load: async () => (await import("./serve.ts")).serveCommand(start) },
    { name: "init", load: async () => (await import("./serve.ts")).initCommand },
    { name: "config", load: async () => (await import("./check.ts")).configCommand },
    { name: "backup", load: async () => (await import("./backup.ts")).backupCommand },
    { name: "restore", load: async () => (await import("./backup.ts")).restoreCommand },
    { name: "agent", load: async () => (await import("./agent.ts")).agentCommand },
    { name: "demo", load: async () => (await import("./demo.ts")).demoCommand(start) },
  ],
}

/** Runs one command line. Gives the exit status. */
export const main = (argv: readonly string[]): Promise<number> => runCli(argv, parts, processIo())
