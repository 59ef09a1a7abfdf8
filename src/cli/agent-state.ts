/** What an enrolled device knows of itself: a small file for its owner alone. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs"
import { AssayError } from "../errors.ts"
import { type AgentOptions, stateFileOf } from "./agent-tpm.ts"
import { readError } from "./input.ts"
import { toJson } from "./output.ts"

/** What it keeps. Nothing of it is secret, and nothing is believed for standing there: the TPM's keys are the proof. */
export interface AgentState {
  readonly device: string
  readonly tenant: string
  /** Where it enrolled. */
  readonly address: string
  /** SHA-256 of the event log that it has shown there, in hexadecimal: it is named the next time. */
  readonly shownLog?: string
}

const VERSION = 1
const LOG_DIGEST = /^[0-9a-f]{64}$/
const ID = /^[a-z0-9][a-z0-9._-]{0,62}$/

/** The state, or nothing if the device never enrolled. @throws {AssayError} INPUT for a file that is none of ours. */
export const readState = (options: Pick<AgentOptions, "state" | "swtpm">): AgentState | undefined => {
  const file = stateFileOf(options)
  let text: string
  try {
    text = readFileSync(file, "utf8")
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT" && options.state === undefined)
      return undefined
    throw readError(file, error)
  }
  const state = stateIn(text)
  if (state !== undefined) return state
  throw new AssayError("INPUT", `${file} is not what an enrollment writes: enroll again, or give --device`, {
    location: file,
  })
}

const stateIn = (text: string): AgentState | undefined => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof json !== "object" || json === null) return undefined
  const { version, device, tenant, address, shownLog } = json as Record<string, unknown>
  if (version !== VERSION || typeof tenant !== "string" || typeof address !== "string") return undefined
  if (typeof device !== "string" || !ID.test(device)) return undefined
  const isDigest = typeof shownLog === "string" && LOG_DIGEST.test(shownLog)
  return { device, tenant, address, ...(isDigest && { shownLog }) }
}

/** Whether a state can be written, seen to before the enrollment that it is to tell of. @throws {AssayError} INPUT. */
export const openState = (options: Pick<AgentOptions, "state" | "swtpm">) => {
  const file = stateFileOf(options)
  const part = `${file}.part`
  let handle: number
  try {
    rmSync(part, { force: true })
    handle = openSync(part, "wx", 0o600)
  } catch (cause) {
    throw new AssayError("INPUT", `${part} cannot be written`, { location: "--state", cause })
  }
  return {
    file,
    /** Takes the place of what was there, whole. @throws {AssayError} INPUT, which says what would have been kept. */
    write: (state: AgentState): void => {
      try {
        writeSync(handle, `${toJson({ version: VERSION, ...state })}\n`)
        fsyncSync(handle)
        renameSync(part, file)
      } catch (cause) {
        throw new AssayError("INPUT", `enrolled as ${state.device}, but ${file} could not be written`, {
          location: "--state",
          cause,
        })
      }
    },
    /** Ends it. What was not written leaves what was there. */
    close: (): void => {
      closeSync(handle)
      rmSync(part, { force: true })
    },
  }
}
