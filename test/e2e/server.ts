/** A server in a process of its own, and the parties that call it. */
import { type ChildProcess, spawn } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { createAdminClient } from "../../src/client/admin.ts"
import { type AttestationClient, createAttestationClient } from "../../src/client/attestation.ts"
import { challengeParts, type Own } from "../../src/device/attester.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import type {
  CreateChallengeResponse,
  VerifyRequest,
  VerifyResponse,
} from "../../src/gen/assay/v1/attestation_pb.ts"
import type { JournalAct, JournalRecord } from "../../src/service/ports.ts"
import { openSqliteStore } from "../../src/store/sqlite.ts"
import { ASSAY, environment } from "./programs.ts"

/** What to start it with. */
export interface ServeOptions {
  /** By default development mode, on two free ports and a Unix socket. */
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** What its configuration file says, in this folder; without `listen`, the usual ports. */
  readonly settings?: (folder: string) => Readonly<Record<string, unknown>>
  /** Mask of the modes of new files. */
  readonly umask?: string
}

/** A server that serves. */
export interface ServerProcess {
  readonly child: ChildProcess
  readonly data: string
  /** As the log has them: TCP first, the Unix socket last. */
  readonly listen: readonly string[]
  readonly tcp: string
  readonly unix: string
  readonly admin: string
  readonly issuer: string
  readonly publicUrl: string
  readonly privateUrl: string
  /** Everything that it has written so far. */
  output(): string
  /** The lines of its log. */
  lines(): readonly Readonly<Record<string, unknown>>[]
  /** Sends a signal and waits for the end. Gives the exit status, or the signal that it died of. */
  end(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals | null>
}

const START_MS = 20_000
const running = new Set<ChildProcess>()
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})

/** Starts `assay serve` in a folder, and waits until it serves. */
export async function serve(folder: string, options: ServeOptions = {}): Promise<ServerProcess> {
  const data = join(folder, "data")
  const { umask = "022", env = {} } = options
  const args = options.args ?? [
    "--development",
    ...(options.settings === undefined
      ? ["--listen", ...listenersIn(data)]
      : ["--config", writeSettings(folder, { listen: listenersIn(data), ...options.settings(folder) })]),
  ]
  const command = [process.execPath, ASSAY, "serve", "--data", data, ...args, "-o", "table"]
  const child = spawn("sh", ["-c", `umask ${umask}; exec "$@"`, "sh", ...command], {
    env: environment({ ASSAY_WEB_PUBLIC: "127.0.0.1:0", ASSAY_WEB_PRIVATE: "127.0.0.1:0", ...env }),
    stdio: ["ignore", "pipe", "pipe"],
  })
  running.add(child)
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) =>
    child.once("close", (status, signal) => {
      running.delete(child)
      resolve(status ?? signal)
    }),
  )
  const output = { out: "", err: "" }
  const ready = Promise.withResolvers<void>()
  const collect = (stream: "out" | "err") => (text: string) => {
    output[stream] += text
    if (output.out.includes('"serving"') && output.err.includes("Stop with")) ready.resolve()
  }
  child.stdout?.setEncoding("utf8").on("data", collect("out"))
  child.stderr?.setEncoding("utf8").on("data", collect("err"))
  const failed = (): void => ready.reject(new Error(`the server did not start: ${output.err}${output.out}`))
  const timer = setTimeout(failed, START_MS)
  void ended.then(failed)
  await ready.promise
  clearTimeout(timer)

  const lines = (): Readonly<Record<string, unknown>>[] =>
    output.out
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line))
  const started = lines().find(({ msg }) => msg === "serving")
  const listen = Array.isArray(started?.["listen"]) ? started["listen"].map(String) : []
  const urlIn = (line: RegExp): string => line.exec(output.err)?.[1] ?? ""
  return {
    child,
    data,
    listen,
    tcp: listen.find((address) => !address.startsWith("unix:")) ?? "",
    unix: listen.find((address) => address.startsWith("unix:")) ?? "",
    admin: String(started?.["admin"]),
    issuer: String(started?.["issuer"]),
    publicUrl: urlIn(/keys and discovery +(\S+?)\/\.well-known/),
    privateUrl: urlIn(/metrics and probes +(\S+?)\/metrics/),
    output: () => output.out + output.err,
    lines,
    end: (signal = "SIGTERM") => {
      child.kill(signal)
      return ended
    },
  }
}

const listenersIn = (data: string): readonly string[] => [
  "127.0.0.1:0",
  "127.0.0.1:0",
  `unix:${join(data, "assay.sock")}`,
]
const writeSettings = (folder: string, settings: Readonly<Record<string, unknown>>): string => {
  const file = join(folder, "assay.json")
  writeFileSync(file, JSON.stringify(settings))
  return file
}

/** A caller with a local credential of the development mode. */
export const callerOf = (
  { data }: Pick<ServerProcess, "data">,
  address: string,
  name: "gateway" | "backend",
): AttestationClient =>
  createAttestationClient(address, {
    credential: readFileSync(join(data, `${name}.credential`), "utf8").trim(),
  })

/** What an operator does for a device: its key, a policy, and that the two belong together. */
export const enroll = async (
  { admin }: Pick<ServerProcess, "admin">,
  device: SoftwareDevice,
  id: string,
  policy: string,
): Promise<void> => {
  const operator = createAdminClient(admin)
  try {
    const { akPublic, qualifiedName } = device
    await operator.registerDevice({ id, akPublic, qualifiedName })
    const set = await operator.setPolicy(policy)
    await operator.assignPolicy({ policy: set.policy?.name ?? "", device: id })
  } finally {
    operator.close()
  }
}

/** What every device here takes itself to be for, unless a test says otherwise. */
export const OWN: Own = { audience: "orders", confirmation: undefined }

/** A challenge, and what a device answers to it. */
export const answered = async (
  caller: AttestationClient,
  device: SoftwareDevice,
  wanted: { readonly device?: string; readonly policy?: string } = {},
): Promise<{ readonly challenge: CreateChallengeResponse; readonly request: VerifyRequest }> => {
  const challenge = await caller.createChallenge({ ...wanted, audience: OWN.audience })
  return { challenge, request: await device.answer(challengeParts(challenge), OWN) }
}

/** The session token of an answer, if it has one. */
export const sessionOf = ({ token }: VerifyResponse): string | undefined =>
  token.case === "sessionToken" ? token.value : undefined

/** The main job. Fails unless it ends with a session. */
export const attest = async (caller: AttestationClient, device: SoftwareDevice): Promise<string> => {
  const { request } = await answered(caller, device)
  const token = sessionOf(await caller.verify(request))
  if (token === undefined) throw new Error("an honest device gets no session")
  return token
}

const RECORDS_MAX = 1000

/** The records of an act in the journal, read beside the server. */
export const recordsOf = async (
  { data }: Pick<ServerProcess, "data">,
  wanted: JournalAct,
): Promise<readonly JournalRecord[]> => {
  const store = openSqliteStore(join(data, "assay.db"))
  try {
    const records = await store.journal.records("default", { limit: RECORDS_MAX })
    if (records.length === RECORDS_MAX)
      throw new Error("the journal has more records than can be read at once")
    return records.filter(({ act }) => act === wanted)
  } finally {
    store.close()
  }
}

/** The verifications in the journal. */
export const verifications = (server: ServerProcess): Promise<readonly JournalRecord[]> =>
  recordsOf(server, "verify")

/** The status of readiness, and what it says. */
export const readiness = async ({
  privateUrl,
}: Pick<ServerProcess, "privateUrl">): Promise<{ readonly status: number; readonly text: string }> => {
  const answer = await fetch(`${privateUrl}/readyz`)
  return { status: answer.status, text: await answer.text() }
}
