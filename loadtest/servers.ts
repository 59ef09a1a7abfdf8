/** The processes that are measured, and all that they need: folders, callers, devices and their policy. */
import { mkdtempSync, rmSync, statfsSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { AttestationService } from "../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../src/rpc.ts"
import { createCaller } from "./caller.ts"
import type { ChainsFunctions } from "./chains-server.ts"
import { type Child, type Offers, startChild } from "./child.ts"
import { createDevice } from "./fleet.ts"
import type { FloorFunctions } from "./floor-server.ts"
import type { Case, Plan, Stage } from "./measure.ts"
import type { StepsFunctions } from "./steps-server.ts"
import { createStreamCaller } from "./stream-caller.ts"
import { type CacheCounts, type Cleanup, cacheCounts, register, startTarget } from "./target.ts"

/** So many devices of a kind take turns: a cache that holds one would be warmer than any real one. */
const FLEET_MAX = 16

/** `f_type` of tmpfs, where a commit waits for no disk. */
const TMPFS_MAGIC = 0x01021994

/** All that is running. */
export interface Servers {
  readonly stage: Stage
  readonly steps: Child<StepsFunctions>
  readonly chains: Child<ChainsFunctions>
  /** As the server itself counts since its start. */
  readonly contextCache: () => Promise<CacheCounts>
}

/** A temporary folder for as long as `act` takes, and for what it says has to be closed before. */
export async function withFolder<T>(act: (folder: string, cleanup: Cleanup) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "assay-bench-"))
  const cleanup: Cleanup = [() => rmSync(folder, { recursive: true, force: true })]
  if (statfsSync(folder).type === TMPFS_MAGIC)
    process.stderr.write(`${folder} is in memory, and so is the journal: set TMPDIR to a folder on a disk\n`)
  try {
    return await act(folder, cleanup)
  } finally {
    for (const close of cleanup.reverse()) await close()
  }
}

/** Starts everything in a temporary folder, and gives it back afterwards. The servers write their logs there. */
export const withServers = <T>({ calls }: Plan, act: (servers: Servers) => Promise<T>): Promise<T> =>
  withFolder(async (folder, cleanup) => act(await start(calls, folder, cleanup)))

async function start(calls: number, folder: string, cleanup: Cleanup): Promise<Servers> {
  const child = <Functions extends Offers>(name: string): Child<Functions> => {
    const started = startChild<Functions>(join(import.meta.dirname, name), [
      "ignore",
      "ignore",
      "inherit",
      "ipc",
    ])
    cleanup.push(() => started.stop())
    return started
  }
  const closing = <T extends { close(): void | Promise<void> }>(resource: T): T => {
    cleanup.push(() => resource.close())
    return resource
  }

  const target = await startTarget(join(folder, "data"), cleanup)
  const floor = child<FloorFunctions>("floor-server.ts")
  const steps = child<StepsFunctions>("steps-server.ts")
  const chains = child<ChainsFunctions>("chains-server.ts")
  await steps.ask("start", join(folder, "steps"))

  const { address, credential } = target
  const { verify, verifyStream } = AttestationService.method
  const floorAddress = await floor.ask("start")
  const callers = {
    unary: {
      assay: target.caller,
      floor: closing(createCaller(floorAddress, pathOf(verify), credential)),
    },
    stream: {
      assay: closing(createStreamCaller(address, pathOf(verifyStream), credential)),
      floor: closing(createStreamCaller(floorAddress, pathOf(verifyStream), credential)),
    },
  }
  const fleet = (algorithm: Case["algorithm"]) =>
    Array.from({ length: Math.min(calls, FLEET_MAX) }, () => createDevice(algorithm))
  const fleets = { "rsa-2048": fleet("rsa-2048"), p256: fleet("p256") }
  await register(target, [...fleets["rsa-2048"], ...fleets.p256])
  const stage = { target, floor, callers, gateway: target.gateway, fleets }
  return { stage, steps, chains, contextCache: () => cacheCounts(target) }
}
