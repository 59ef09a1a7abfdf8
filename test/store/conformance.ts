/** Runs every check that a store has to pass on every adapter, and prints them side by side. */
import { conformanceTable, runConformance } from "../support/conformance.ts"

const rows = await runConformance((adapter, check, error) => console.error(`${adapter} ${check}:`, error))
console.log(conformanceTable(rows))
const isFailed = rows.some((row) => [row.memory, row.sqlite, row.postgres].includes("FAILED"))
if (isFailed || rows.length === 0) process.exitCode = 1
