/**
 * The overload part of the bench by itself: `node loadtest/overload.ts [--seconds N]`. It ends with status 1 when a figure is
 * missed, or a refusal does not say when to come again. See `overload-measure.ts`.
 */
import { parseArgs } from "node:util"
import { compare } from "./figures.ts"
import { measureOverload } from "./overload-measure.ts"

const { values } = parseArgs({ options: { seconds: { type: "string", default: "60" } } })
const { figures, details, excesses = [] } = await measureOverload({ overloadSeconds: Number(values.seconds) })
const told = compare(figures).filter(({ part }) => part === "overload")
process.stdout.write(`${JSON.stringify({ figures: told, details }, undefined, 2)}\n`)
for (const excess of excesses) process.stderr.write(`${excess}\n`)
if (excesses.length > 0 || told.some(({ verdict }) => verdict === "missed")) process.exitCode = 1
