/** The command line, with what each command is given. */
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { type Logger, pino } from "pino"
import { addAgent } from "../cli/agent.ts"
import type { AgentDevice, AgentSettings } from "../cli/agent-tpm.ts"
import { addBackup } from "../cli/backup.ts"
import { addConfig } from "../cli/check-config.ts"
import { addDemo } from "../cli/demo.ts"
import { type CliParts, processIo } from "../cli/parts.ts"
import { runCli } from "../cli/program.ts"
import { addRestore } from "../cli/restore.ts"
import { addInit, addServe, type InitFiles, type ServeParts } from "../cli/serve.ts"
import { createAdminClient } from "../client/admin.ts"
import { createAttestationClient } from "../client/attestation.ts"
import { createEnrollmentClient } from "../client/enrollment.ts"
import { verifySessionToken } from "../client/session.ts"
import type { Config } from "../config.ts"
import { createAgent, LINUX_EVENT_LOG } from "../device/agent.ts"
import { enrollmentParts } from "../device/enrollment.ts"
import { softwareMachine, swtpmMachine } from "../device/machine.ts"
import { verifyNamingLog } from "../device/named-log.ts"
import { pcrFile } from "../device/pcrfile.ts"
import { startVirtualDevice } from "../device/virtual.ts"
import { verifyCompactBy } from "../jwt/compact.ts"
import { readPrivateFile } from "../keys/privatefile.ts"
import { createRandom } from "../keys/random.ts"
import { backupParts } from "./backup.ts"
import { VERSION } from "./constants.ts"
import { openStore } from "./store.ts"
import { softwareMaker } from "./trust.ts"

/** Nothing logs these. Should anything ever, they are not shown. */
const NEVER_LOGGED = ["token", "challenge", "nonce", "credential", "passphrase"]

/** A line is written when so many bytes wait, or after so long: a write each would cost as much as all else of a line. */
const LOG_BYTES = 8192
const LOG_MS = 50

/** Logs as JSON lines on stdout, without anything that could be presented. What waits is written when the process exits. */
export const createLog = (level: Config["logLevel"]): Logger => {
  const destination = pino.destination({ sync: true, minLength: LOG_BYTES, periodicFlush: LOG_MS })
  process.once("exit", () => destination.flushSync())
  return pino({ level, redact: NEVER_LOGGED.flatMap((name) => [name, `*.${name}`]) }, destination)
}

// What a server is made of is loaded when one is started, for it costs every other command its time.

/** Starts a server. @throws {AssayError} as `start` in `start.ts`. */
export const start: ServeParts["start"] = async (config, log) =>
  (await import("./start.ts")).start(config, log)

/** Makes the tables, the signing key and the device CA of servers outside development mode, unless they are there. */
const init = async (config: Config): Promise<InitFiles> => {
  const { initKeys } = await import("./keys.ts")
  const folder = resolve(config.data)
  const random = createRandom()
  const store = await openStore(config, folder, random, { how: "alone" })
  try {
    return await initKeys(config, folder, { keys: store.keys, clock: { now: () => new Date() }, random })
  } finally {
    await store.close()
  }
}

const stopped = (): Promise<string> =>
  new Promise((told) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => told(signal))
  })

/** The device of the agent's commands: with this machine's TPM, or with one in software. */
const agentDevice = async ({ swtpm, ...settings }: AgentSettings): Promise<AgentDevice> => {
  if (swtpm === undefined) return { ...(await createAgent(settings)), stop: async () => {} }
  const pem = readPrivateFile(resolve(swtpm.maker))
  const { attester, stop } = await startVirtualDevice({
    folder: swtpm.folder,
    maker: pem === undefined ? undefined : new TextDecoder().decode(pem),
    algorithm: settings.algorithm,
  })
  return { ...attester, stop }
}

/** What the command line is given. */
export const parts: CliParts = {
  version: VERSION,
  adminClient: createAdminClient,
  verifySessionToken,
  verifyJws: verifyCompactBy,
  commands: [
    addServe({ start, createLog, init, stopped }),
    addInit({ init }),
    addConfig({ check: async (config, at) => (await import("./check.ts")).checkConfig(config, at) }),
    addBackup(backupParts),
    addRestore(backupParts),
    addAgent({
      agent: agentDevice,
      gateway: createAttestationClient,
      enrollment: createEnrollmentClient,
      enrollmentParts,
      verifyNamingLog,
      eventLogPath: LINUX_EVENT_LOG,
    }),
    addDemo({
      start,
      createLog,
      machine: async (kind, folder) =>
        kind === "swtpm" ? swtpmMachine() : softwareMachine(new TextDecoder().decode(softwareMaker(folder))),
      gateway: (address, credentialFile) =>
        createAttestationClient(address, { credential: readFileSync(credentialFile, "utf8").trim() }),
      pcrFile,
    }),
  ],
}

/** Runs one command line. Gives the exit status. */
export const main = (argv: readonly string[]): Promise<number> => runCli(argv, parts, processIo())
