/** The complete server in a process of its own, and everything that a measurement needs of it. */
import type { StdioOptions } from "node:child_process"
import { closeSync, openSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import type { JSONWebKeySet } from "jose"
import { type AdminClient, createAdminClient } from "../src/client/admin.ts"
import { type AttestationClient, createAttestationClient } from "../src/client/attestation.ts"
import { challengeParts } from "../src/device/attester.ts"
import type { SoftwareDevice } from "../src/device/software.ts"
import {
  AttestationService,
  CreateChallengeRequestSchema,
  CreateChallengeResponseSchema,
} from "../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../src/rpc.ts"
import type { AssayFunctions, Started } from "./assay-server.ts"
import { type Answer, type Caller, createCaller } from "./caller.ts"
import { type Child, startChild } from "./child.ts"
import { AUDIENCE, policyFor } from "./fleet.ts"
import { tokenOf } from "./messages.ts"
import { SETTINGS } from "./release.ts"
import { type Counts, countVerified } from "./tokens.ts"

/** What has to be closed, the last first. */
export type Cleanup = (() => void | Promise<void>)[]

/** Whoever measures makes all of the load by himself, and prepares it in advance. */
export const UNHURRIED = { rates: SETTINGS.rates, challenge: SETTINGS.challenge, limits: SETTINGS.limits }

/** What a device takes of a challenge. */
type Parts = ReturnType<typeof challengeParts>

/** A server that is asked. */
export interface Asked extends Started {
  readonly operator: AdminClient
  readonly gateway: AttestationClient
  /** A connection of the gateway, for Verify. */
  readonly caller: Caller
  /** So many challenges, made as fast as they come. */
  readonly challenges: (count: number) => Promise<readonly Parts[]>
  /** What `act` left behind of the calls that it gives the answers of. */
  readonly counted: <T extends { readonly answers: readonly Answer[] }>(
    act: () => Promise<T>,
  ) => Promise<T & { readonly counts: Counts }>
}

const VERIFY = pathOf(AttestationService.method.verify)
const CREATE = pathOf(AttestationService.method.createChallenge)
const WANTED = toBinary(
  CreateChallengeRequestSchema,
  create(CreateChallengeRequestSchema, { audience: AUDIENCE }),
)
const CHALLENGES_AT_ONCE = 64

/** A server under measurement, which tells its CPU time itself. */
export interface Target extends Asked {
  readonly child: Child<AssayFunctions>
}

/** What kind of server. */
export interface TargetOptions {
  /** Those that are not to be the defaults. */
  readonly settings?: Readonly<Record<string, unknown>>
  readonly workers?: number
}

/** Starts one in `folder`, which it shares with nobody. Its log is `server.log` there. */
export async function startTarget(
  folder: string,
  cleanup: Cleanup,
  { settings = UNHURRIED, workers = 1 }: TargetOptions = {},
): Promise<Target> {
  const log = openSync(`${folder}.log`, "w")
  cleanup.push(() => closeSync(log))
  const stdio: StdioOptions = ["ignore", log, "inherit", "ipc"]
  const child = startChild<AssayFunctions>(join(import.meta.dirname, "assay-server.ts"), stdio)
  cleanup.push(() => child.stop())
  const started = await child.ask("start", folder, workers, settings)
  return { ...(await ask(started, folder, cleanup)), child }
}

/** Whatever is needed to ask a server whose data are in `folder`. */
export async function ask(started: Started, folder: string, cleanup: Cleanup): Promise<Asked> {
  const operator = createAdminClient(started.admin)
  cleanup.push(() => operator.close())
  const gateway = createAttestationClient(started.address, { credential: started.credential })
  cleanup.push(() => gateway.close())
  const caller = createCaller(started.address, VERIFY, started.credential)
  cleanup.push(() => caller.close())
  const journal = new DatabaseSync(join(folder, "assay.db"), { readOnly: true })
  cleanup.push(() => journal.close())
  const rows = journal.prepare("SELECT count(*) AS records FROM journal WHERE act = 'verify'")
  const journalRecords = (): number => Number(rows.get()?.["records"])
  const keys: JSONWebKeySet = JSON.parse(await (await fetch(started.keys)).text())
  return {
    ...started,
    operator,
    gateway,
    caller,
    challenges: async (count) => {
      const made = await caller.callAll(new Array(count).fill(WANTED), CHALLENGES_AT_ONCE, CREATE)
      return made.map(({ status, message }) => {
        if (status !== "0") throw new Error(`a challenge ended with gRPC status ${status ?? "unknown"}`)
        return challengeParts(fromBinary(CreateChallengeResponseSchema, message))
      })
    },
    counted: async (act) => {
      const before = journalRecords()
      const done = await act()
      const tokens = await countVerified(done.answers.map(tokenOf), keys)
      const counts = { calls: done.answers.length, tokens, journalRecords: journalRecords() - before }
      return { ...done, counts }
    },
  }
}

/** Lets `devices` in by their keys and one policy, for they all booted alike; `binding` is what the policy asks of their keys. */
export async function register(
  { operator }: Pick<Asked, "operator">,
  devices: readonly SoftwareDevice[],
  binding: "operator" | "proven" = "operator",
): Promise<void> {
  for (const [i, device] of devices.entries()) {
    const { akPublic, qualifiedName } = device
    await operator.registerDevice({ id: `device-${i}`, akPublic, qualifiedName })
    if (i > 0) continue
    await operator.setPolicy(policyFor(device, binding))
    await operator.assignPolicy({ policy: "load" })
  }
}

/** How often the context cache had an answer, and how often not. */
export interface CacheCounts {
  readonly hits: number
  readonly misses: number
}

/** As the server itself counts since its start. */
export async function cacheCounts({ metrics }: Pick<Asked, "metrics">): Promise<CacheCounts> {
  const text = await (await fetch(metrics)).text()
  const count = (name: string): number =>
    Number(new RegExp(`^assay_cache_${name}_total{cache="context"} (\\d+)$`, "m").exec(text)?.[1])
  return { hits: count("hits"), misses: count("misses") }
}
