/**
 * A server whose registry has a million devices: how long a release build takes from its process's beginning until it serves, and
 * how long a process that has just opened the registry takes to look up one device. The devices come in by the import that
 * operators use, which takes most of the time. The registry's file is then in the page cache of the system, as it is after
 * a restart, and not after a boot.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { openSqliteStore } from "../src/store/sqlite.ts"
import { type First, loadDevices } from "./devices-measure.ts"
import type { Amount, PartResult } from "./part.ts"
import { startRelease } from "./release.ts"
import { withFolder } from "./servers.ts"
import { spreadOf } from "./statistics.ts"

/** Measures it. */
export const measureMillion = ({ registered, rounds }: Amount): Promise<PartResult> =>
  withFolder(async (folder) => {
    const file = join(folder, "data", "assay.db")
    mkdirSync(join(folder, "data"))
    const store = openSqliteStore(file)
    const loadMs = await loadDevices(store.devices, registered)
    await store.close()
    const starts: number[] = []
    const firsts: First[] = []
    for (let round = 0; round < rounds; round++) {
      const release = await startRelease(folder, [])
      starts.push(release.startMs)
      await release.stop()
      const options = ["--devices", String(registered), "--first", file]
      const script = join(import.meta.dirname, "devices.ts")
      firsts.push(JSON.parse(execFileSync(process.execPath, [script, ...options], { encoding: "utf8" })))
    }
    return {
      figures: {
        startUp: spreadOf(starts, (ms) => ms),
        lookUp: spreadOf(firsts, ({ firstLookupMs }) => firstLookupMs),
      },
      details: {
        ...{ devices: registered, loadMs, sizeBytes: statSync(file).size },
        openMs: spreadOf(firsts, ({ openMs }) => openMs),
      },
      differences: [],
    }
  })
