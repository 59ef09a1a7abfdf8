import { execFile } from "node:child_process"
import { accessSync, constants } from "node:fs"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { AssayError } from "../errors.ts"

/** A program that is not installed, and the Debian package that has it. */
export interface MissingProgram {
  readonly program: string
  readonly package: string
}

/** What the agent runs. */
const AGENT_PROGRAMS: readonly string[] = [
  "tpm2_activatecredential",
  "tpm2_certify",
  "tpm2_create",
  "tpm2_createek",
  "tpm2_createprimary",
  "tpm2_evictcontrol",
  "tpm2_flushcontext",
  "tpm2_getcap",
  "tpm2_nvread",
  "tpm2_policysecret",
  "tpm2_quote",
  "tpm2_readpublic",
  "tpm2_sign",
  "tpm2_startauthsession",
]
/** What a throw-away TPM needs besides. The last is a library that tpm2-tools reach it by. */
const SWTPM_PROGRAMS: readonly string[] = [
  "swtpm",
  "swtpm_setup",
  "swtpm_ioctl",
  "tpm2_nvdefine",
  "tpm2_nvwrite",
  "tpm2_pcrextend",
  "tpm2_shutdown",
  "tpm2_startup",
]
const SWTPM_TCTI = "libtss2-tcti-swtpm.so.0"
/** Where the dynamic linker of Debian and its relatives, and of most others, looks. */
const LIBRARY_FOLDERS: readonly string[] = [
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib/aarch64-linux-gnu",
  "/usr/lib64",
  "/usr/lib",
  "/usr/local/lib",
]

const packageOf = (program: string): string => {
  if (program === "swtpm") return "swtpm"
  if (program.startsWith("swtpm_")) return "swtpm-tools"
  return program === SWTPM_TCTI ? "libtss2-tcti-swtpm0" : "tpm2-tools"
}

const isIn = (folders: readonly string[], file: string, mode: number): boolean =>
  folders.some((folder) => {
    try {
      accessSync(join(folder, file), mode)
      return true
    } catch {
      return false
    }
  })

/** What is absent of the programs that an agent, or also a throw-away swtpm, needs. */
export function missingPrograms(of: "agent" | "swtpm"): readonly MissingProgram[] {
  const path = (process.env["PATH"] ?? "").split(delimiter)
  const programs = of === "agent" ? AGENT_PROGRAMS : [...AGENT_PROGRAMS, ...SWTPM_PROGRAMS]
  const missing = programs.filter((program) => !isIn(path, program, constants.X_OK))
  if (of === "swtpm" && !isIn(LIBRARY_FOLDERS, SWTPM_TCTI, constants.R_OK)) missing.push(SWTPM_TCTI)
  return missing.map((program) => ({ program, package: packageOf(program) }))
}

/**
 * Nothing if all is there.
 *
 * @throws {AssayError} TPM, with the names of the Debian packages to install.
 */
export function requirePrograms(of: "agent" | "swtpm"): void {
  const missing = missingPrograms(of)
  if (missing.length > 0) throw missingError(missing)
}

const missingError = (missing: readonly MissingProgram[]): AssayError => {
  const programs = missing.map(({ program }) => program).join(", ")
  const packages = [...new Set(missing.map((entry) => entry.package))].join(" ")
  return new AssayError("TPM", `not installed (on Debian: apt-get install ${packages}): ${programs}`, {
    location: programs,
  })
}

/** Where and for how long a program runs. */
export interface RunOptions {
  /** A private folder: the programs leave files there. */
  readonly folder: string
  readonly timeoutMs: number
  /** Which TPM: the TCTI of tpm2-tools. Nothing leaves it to their own default. */
  readonly tcti?: string | undefined
}

/** Runs `act` with a folder that only this user can read, and removes it with all that was left there. */
export async function withFolder<T>(act: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "assay-agent-"))
  try {
    return await act(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A file that a program left in its folder. @throws {AssayError} TPM if it left none. */
export async function readOutput(program: string, file: string, { folder }: RunOptions): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(join(folder, file)))
  } catch (cause) {
    throw failure(program, "left no file", cause)
  }
}

/** What a program of tpm2-tools prints is a few lines; more is cut off as a failure. */
const OUTPUT_BYTES_MAX = 1 << 20

/**
 * Runs a program without a shell and gives what it printed.
 *
 * @throws {AssayError} TPM if it is not installed, does not end in time, or fails; then with what it said.
 */
export const run = (program: string, parameters: readonly string[], options: RunOptions): Promise<string> =>
  new Promise((resolve, reject) => {
    const { folder: cwd, timeoutMs: timeout, tcti } = options
    const env = tcti === undefined ? process.env : { ...process.env, TPM2TOOLS_TCTI: tcti }
    execFile(
      program,
      [...parameters],
      { cwd, timeout, env, maxBuffer: OUTPUT_BYTES_MAX, killSignal: "SIGKILL" },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout)
        else if (error.code === "ENOENT") reject(missingError([{ program, package: packageOf(program) }]))
        else if (error.killed === true)
          reject(failure(program, `did not end within ${timeout} ms: is the TPM there and free?`, error))
        else reject(failure(program, `failed: ${reasonOf(stderr)}`, error))
      },
    )
  })

/** Runs `act` and removes what it loaded. Without a resource manager it would stay, and the TPM holds only three objects. */
export const flushing = async <T>(at: RunOptions, act: () => Promise<T>): Promise<T> => {
  try {
    return await act()
  } finally {
    await run("tpm2_flushcontext", ["-Q", "-t"], at)
  }
}

/** The line that says what was wrong: tpm2-tools print where in their libraries it was noticed before it. */
const reasonOf = (stderr: string): string => {
  const lines = stderr.trim().split("\n")
  return lines.find((line) => line.startsWith("ERROR: ")) ?? lines[0] ?? ""
}

const failure = (program: string, message: string, cause: unknown): AssayError =>
  new AssayError("TPM", `${program} ${message}`, { location: program, cause })
