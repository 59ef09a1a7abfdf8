/** A release build and the devices that it knows, for as long as a load test takes. */
import { mkdtempSync, rmSync } from "node:fs"
import { constants, tmpdir } from "node:os"
import { join } from "node:path"
import { divideCores, pinnedTo } from "./cores.ts"
import { createFleet, type Fleet } from "./payloads.ts"
import { type Release, startRelease } from "./release.ts"

/** What load is made with. */
export interface Stage {
  readonly release: Release
  readonly fleet: Fleet
  /** For whatever the run needs beside. It goes away with it. */
  readonly folder: string
}

/** Starts everything in a temporary folder, the server on its half of the cores, and takes it away afterwards. */
export async function withFleet<T>(size: number, act: (stage: Stage) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "assay-loadtest-"))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  const cleanup: (() => void | Promise<void>)[] = [remove]
  // Whoever interrupts a run leaves no server behind, which ends at `exit`, and no folder.
  process.once("exit", remove)
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => process.exit(128 + constants.signals[signal]))
  try {
    const release = await startRelease(folder, pinnedTo(divideCores()?.server))
    cleanup.push(() => release.stop())
    process.stderr.write(`${size} devices make their keys and enroll\n`)
    const fleet = await createFleet(release, size)
    cleanup.push(() => fleet.gateway.close())
    return await act({ release, fleet, folder })
  } finally {
    for (const close of cleanup.reverse()) await close()
  }
}
