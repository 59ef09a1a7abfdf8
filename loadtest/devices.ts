/**
 * `make devices`: a registry with a million devices. How long they take to load, by the import that operators use, and then,
 * in a process of its own, how long the registry takes to open, the first look-up and the first page, and what look-ups and
 * pages cost anywhere in the fleet. Ends with status 1 if a figure is over its bound.
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { openSqliteStore } from "../src/store/sqlite.ts"
import {
  type FleetReport,
  loadDevices,
  measureFirst,
  measureFleet,
  overBounds,
  tableOf,
} from "./devices-measure.ts"

const { values } = parseArgs({
  options: {
    devices: { type: "string", default: "1000000" },
    output: { type: "string", short: "o", default: process.stdout.isTTY ? "table" : "json" },
    /** Measures the file of another process, and prints the figures. */
    measure: { type: "string" },
    /** The same of the first look-up alone. */
    first: { type: "string" },
  },
})
const count = Number(values.devices)
if (!Number.isInteger(count) || count < 1000 || count > 10_000_000)
  throw new TypeError("--devices is an integer from 1,000 to 10,000,000")
if (values.output !== "json" && values.output !== "table") throw new TypeError("-o is json or table")

const measureInFile = async (file: string, how: typeof measureFirst): Promise<void> => {
  const measured = await how(async () => openSqliteStore(file), count)
  process.stdout.write(JSON.stringify(measured))
}

const measureAll = async (): Promise<FleetReport> => {
  const folder = mkdtempSync(join(tmpdir(), "assay-devices-"))
  try {
    const file = join(folder, "assay.db")
    const store = openSqliteStore(file)
    const loadMs = await loadDevices(store.devices, count, (done) => {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[Kloaded ${done} of ${count}`)
    })
    await store.close()
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K")
    const script = import.meta.filename
    const arguments_ = [script, "--devices", String(count), "--measure", file]
    const measured = JSON.parse(execFileSync(process.execPath, arguments_, { encoding: "utf8" }))
    return { devices: count, loadMs, sizeBytes: statSync(file).size, ...measured }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (values.measure !== undefined) await measureInFile(values.measure, measureFleet)
else if (values.first !== undefined) await measureInFile(values.first, measureFirst)
else {
  const report = await measureAll()
  process.stdout.write(
    values.output === "json" ? `${JSON.stringify(report, undefined, 2)}\n` : tableOf(report),
  )
  for (const excess of overBounds(report)) {
    process.stderr.write(`${excess}\n`)
    process.exitCode = 1
  }
}
