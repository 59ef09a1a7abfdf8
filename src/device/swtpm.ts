import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, rmSync } from "node:fs"
import { mkdtemp, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { EV_NO_ACTION, parseEventLog } from "../evidence/eventlog/eventlog.ts"
import type { HashName } from "../evidence/tpm/algorithm.ts"
import type { Digests } from "./pcrs.ts"
import { requirePrograms, run } from "./programs.ts"

/** A TPM 2.0 in a process of its own. */
export interface Swtpm {
  /** How tpm2-tools reach it. */
  readonly tcti: string
  /** Its sockets, and its state unless that lasts; private to this user, and removed when it stops. */
  readonly folder: string
  /** PEM files of the CA that certified its endorsement keys, the root last; none if nobody did. */
  readonly authorities: readonly string[]
  /** Whether it was manufactured just now. */
  readonly isNew: boolean
  /** TPM2_PCR_Extend in the banks that `digests` names. */
  extendPcr(pcr: number, digests: Digests): Promise<void>
  /**
   * Extends every record of an event log as firmware would have: swtpm boots nothing by itself. A log with a
   * StartupLocality cannot be measured so, for all is extended from locality 0.
   */
  measure(eventLog: Uint8Array): Promise<void>
  /** An orderly TPM Reset: PCRs as at power on, one resetCount more. */
  reboot(): Promise<void>
  /** Ends the process and removes its folder. */
  stop(): Promise<void>
}

const TIMEOUT_MS = 20_000
const READY_POLL_MS = 10
/** One call of tpm2_pcrextend takes many; this keeps its argument list far below the system's limit. */
const EXTENDS_PER_CALL = 64

/** What of a TPM in a process is to be another way than it is by default. */
export interface SwtpmOptions {
  /** Has its endorsement keys certified by a CA of their own. */
  readonly certified?: boolean
  /** An absolute folder that its state stays in, for the next start; by default it goes with the TPM. */
  readonly state?: string
}

/** What swtpm keeps its permanent state in. */
const STATE_FILE = "tpm2-00.permall"

/**
 * Manufactures a TPM 2.0 and starts it, on Unix sockets in a temporary folder. Ends with this process at the latest. One
 * whose state lasts is manufactured once; each later start is a TPM Reset.
 *
 * @throws {AssayError} TPM if a program is missing (the message names its Debian package) or fails.
 */
export async function startSwtpm(
  banks: readonly HashName[] = ["sha1", "sha256", "sha384"],
  { certified = false, state: lasting }: SwtpmOptions = {},
): Promise<Swtpm> {
  requirePrograms("swtpm")
  // Absolute and short: swtpm takes no relative folder, and a socket's path has at most 107 bytes.
  const folder = await mkdtemp(join(tmpdir(), "assay-swtpm-"))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  const socket = join(folder, "tpm")
  const control = `${socket}.ctrl`
  const tcti = `swtpm:path=${socket}`
  const at = { folder, timeoutMs: TIMEOUT_MS, tcti }
  let server: ChildProcess | undefined
  const end = (): void => {
    server?.kill("SIGKILL")
    remove()
  }
  process.once("exit", end)
  const kept = lasting ?? folder
  const isNew = !existsSync(join(kept, STATE_FILE))
  const stop = async (): Promise<void> => {
    process.off("exit", end)
    if (server !== undefined) await ended(server)
    remove()
  }
  const manufacture = async (): Promise<void> => {
    const config = join(folder, "setup.conf")
    await writeFile(config, `active_pcr_banks = sha256\n${certified ? await localAuthority(folder) : ""}`)
    const certificate = certified ? ["--create-ek-cert", "--vmid", "assay"] : []
    const state = ["--tpm2", "--tpmstate", kept, "--config", config, "--overwrite", ...certificate]
    await run("swtpm_setup", [...state, "--pcr-banks", banks.join(","), "--logfile", join(folder, "log")], at)
  }
  try {
    if (isNew) await manufacture()
    server = serve(folder, kept, socket, control)
    await ready(server, [socket, control])
    await run("tpm2_getcap", ["properties-fixed"], at)
  } catch (error) {
    await stop()
    throw error
  }

  const extend = async (records: readonly (readonly [pcr: number, digests: Digests])[]): Promise<void> => {
    for (let first = 0; first < records.length; first += EXTENDS_PER_CALL) {
      const batch = records.slice(first, first + EXTENDS_PER_CALL)
      await run(
        "tpm2_pcrextend",
        batch.map(([pcr, digests]) => extension(pcr, digests)),
        at,
      )
    }
  }
  return {
    tcti,
    folder,
    isNew,
    authorities: certified ? AUTHORITY_FILES.map((name) => join(folder, name)) : [],
    extendPcr: (pcr, digests) => extend([[pcr, digests]]),
    measure(eventLog) {
      const events = parseEventLog(eventLog).events.filter((event) => event.untrustedType !== EV_NO_ACTION)
      return extend(events.map(({ pcr, digests }) => [pcr, digests]))
    },
    async reboot() {
      await run("tpm2_shutdown", ["-c"], at)
      await run("swtpm_ioctl", ["--unix", control, "-i"], at)
      await run("tpm2_startup", ["-c"], at)
    },
    async stop() {
      // In order, so that the next boot finds its clock as it was.
      if (lasting !== undefined) await run("tpm2_shutdown", ["-c"], at).catch(() => {})
      await stop()
    },
  }
}

/** The CA that swtpm_localca makes, below the folder: issuing certificate and root. */
const AUTHORITY_FILES = ["issuercert.pem", "swtpm-localca-rootca-cert.pem"]

/** Lets swtpm_setup have the endorsement keys certified by a CA of their own, in the folder and nowhere else. */
const localAuthority = async (folder: string): Promise<string> => {
  const [settings, choices] = [join(folder, "localca.conf"), join(folder, "localca.options")]
  const files = {
    statedir: "",
    signingkey: "signkey.pem",
    issuercert: "issuercert.pem",
    certserial: "certserial",
  }
  await writeFile(
    settings,
    Object.entries(files)
      .map(([name, file]) => `${name} = ${join(folder, file)}\n`)
      .join(""),
  )
  await writeFile(choices, "--platform-manufacturer Assay\n--platform-version 1\n--platform-model test\n")
  return [
    "create_certs_tool = /usr/bin/swtpm_localca",
    `create_certs_tool_config = ${settings}`,
    `create_certs_tool_options = ${choices}`,
    "",
  ].join("\n")
}

const extension = (pcr: number, digests: Digests): string =>
  `${pcr}:${[...digests].map(([hash, value]) => `${hash}=${toHex(value)}`).join(",")}`

const serve = (folder: string, state: string, socket: string, control: string): ChildProcess =>
  spawn(
    "swtpm",
    [
      ...["socket", "--tpm2", "--tpmstate", `dir=${state}`, "--flags", "not-need-init,startup-clear"],
      ...["--server", `type=unixio,path=${socket}`, "--ctrl", `type=unixio,path=${control}`],
    ],
    { cwd: folder, stdio: "ignore" },
  )

async function ready(server: ChildProcess, sockets: readonly string[]): Promise<void> {
  let failure: Error | undefined
  server.once("error", (error) => {
    failure = error
  })
  const deadline = performance.now() + TIMEOUT_MS
  while (!sockets.every((path) => existsSync(path))) {
    if (failure !== undefined || server.exitCode !== null || performance.now() > deadline)
      throw new AssayError("TPM", "swtpm did not start", { location: "swtpm", cause: failure })
    await sleep(READY_POLL_MS)
  }
}

const ended = (server: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (server.exitCode !== null || server.signalCode !== null || server.pid === undefined) return resolve()
    server.once("exit", () => resolve())
    server.kill("SIGKILL")
  })
