/** The processes that are measured, and all that they need: folders, callers, devices and their policy. */
import type { StdioOptions } from "node:child_process"
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { createAdminClient } from "../src/client/admin.ts"
import { createAttestationClient } from "../src/client/attestation.ts"
import type { SoftwareDevice } from "../src/device/software.ts"
import { AttestationService } from "../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../src/rpc.ts"
import type { AssayFunctions } from "./assay-server.ts"
import { createCaller } from "./caller.ts"
import type { ChainsFunctions } from "./chains-server.ts"
import { type Child, type Offers, startChild } from "./child.ts"
import { createDevice, policyFor } from "./fleet.ts"
import type { FloorFunctions } from "./floor-server.ts"
import type { Case, Plan, Stage } from "./measure.ts"
import type { StepsFunctions } from "./steps-server.ts"
import { createStreamCaller } from "./stream-caller.ts"

/** So many devices of a kind take turns: a cache that holds one would be warmer than any real one. */
const FLEET_MAX = 16

/** `f_type` of tmpfs, where a commit waits for no disk. */
const TMPFS_MAGIC = 0x01021994

/** How often the context cache had an answer, and how often not. */
export interface CacheCounts {
  readonly hits: number
  readonly misses: number
}

/** All that is running. */
export interface Servers {
  readonly stage: Stage
  readonly steps: Child<StepsFunctions>
  readonly chains: Child<ChainsFunctions>
  /** As the server itself counts since its start. */
  readonly contextCache: () => Promise<CacheCounts>
}

/** Starts everything in a temporary folder, and gives it back afterwards. The servers write their logs there. */
export async function withServers<T>({ calls }: Plan, act: (servers: Servers) => Promise<T>): Promise<T> {
  const cleanup: (() => void | Promise<void>)[] = []
  try {
    return await act(await start(calls, cleanup))
  } finally {
    for (const close of cleanup.reverse()) await close()
  }
}

async function start(calls: number, cleanup: (() => void | Promise<void>)[]): Promise<Servers> {
  const folder = mkdtempSync(join(tmpdir(), "assay-bench-"))
  cleanup.push(() => rmSync(folder, { recursive: true, force: true }))
  if (statfsSync(folder).type === TMPFS_MAGIC)
    process.stderr.write(`${folder} is in memory, and so is the journal: set TMPDIR to a folder on a disk\n`)
  const log = openSync(join(folder, "server.log"), "w")
  cleanup.push(() => closeSync(log))
  const stdio: StdioOptions = ["ignore", log, "inherit", "ipc"]
  const child = <Functions extends Offers>(name: string): Child<Functions> => {
    const started = startChild<Functions>(join(import.meta.dirname, name), stdio)
    cleanup.push(() => started.stop())
    return started
  }
  const closing = <T extends { close(): void | Promise<void> }>(resource: T): T => {
    cleanup.push(() => resource.close())
    return resource
  }

  const assay = child<AssayFunctions>("assay-server.ts")
  const floor = child<FloorFunctions>("floor-server.ts")
  const steps = child<StepsFunctions>("steps-server.ts")
  const chains = child<ChainsFunctions>("chains-server.ts")
  const data = join(folder, "data")
  const { address, admin, metrics, credential } = await assay.ask("start", data)
  await steps.ask("start", join(folder, "steps"))

  const path = pathOf(AttestationService.method.verify)
  const assayCaller = closing(createCaller(address, path, credential))
  const floorAddress = await floor.ask("start")
  const floorCaller = closing(createCaller(floorAddress, path, credential))
  const streamPath = pathOf(AttestationService.method.verifyStream)
  const assayStream = closing(createStreamCaller(address, streamPath, credential))
  const floorStream = closing(createStreamCaller(floorAddress, streamPath, credential))
  const gateway = closing(createAttestationClient(address, { credential }))
  const journal = closing(new DatabaseSync(join(data, "assay.db"), { readOnly: true }))
  const count = journal.prepare("SELECT count(*) AS records FROM journal WHERE act = 'verify'")

  const fleet = (algorithm: Case["algorithm"]) =>
    Array.from({ length: Math.min(calls, FLEET_MAX) }, () => createDevice(algorithm))
  const fleets = { "rsa-2048": fleet("rsa-2048"), p256: fleet("p256") }
  await register(admin, [...fleets["rsa-2048"], ...fleets.p256])
  const journalRecords = () => Number(count.get()?.["records"])
  const unary = { assay: assayCaller, floor: floorCaller }
  const callers = { unary, stream: { assay: assayStream, floor: floorStream } }
  const stage = { assay, floor, callers, gateway, fleets, journalRecords }
  return { stage, steps, chains, contextCache: () => contextCacheOf(metrics) }
}

/** They all booted alike, so one policy is for all. */
async function register(admin: string, devices: readonly SoftwareDevice[]): Promise<void> {
  const operator = createAdminClient(admin)
  try {
    for (const [i, device] of devices.entries()) {
      const { akPublic, qualifiedName } = device
      await operator.registerDevice({ id: `device-${i}`, akPublic, qualifiedName })
      if (i > 0) continue
      await operator.setPolicy(policyFor(device))
      await operator.assignPolicy({ policy: "load" })
    }
  } finally {
    operator.close()
  }
}

async function contextCacheOf(metrics: string): Promise<CacheCounts> {
  const text = await (await fetch(metrics)).text()
  const count = (name: string): number =>
    Number(new RegExp(`^assay_cache_${name}_total{cache="context"} (\\d+)$`, "m").exec(text)?.[1])
  return { hits: count("hits"), misses: count("misses") }
}
