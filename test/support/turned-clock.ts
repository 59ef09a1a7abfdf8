/**
 * Turns the clock of a process that this is loaded into, as if the machine's were turned: by as many ms as the file says that
 * `ASSAY_TURNED_BY` names, at any time. What nobody can set goes on.
 */
import { readFileSync } from "node:fs"

const file = process.env["ASSAY_TURNED_BY"]
const now = Date.now.bind(Date)
const LOOK_MS = 20
let lookedMs = Number.NEGATIVE_INFINITY
let turnedMs = 0

const turnedBy = (): number => {
  if (file === undefined || performance.now() - lookedMs < LOOK_MS) return turnedMs
  lookedMs = performance.now()
  turnedMs = Number(readFileSync(file, "utf8"))
  return turnedMs
}

globalThis.Date = class extends Date {
  constructor(given?: number) {
    super(given ?? now() + turnedBy())
  }

  static override now(): number {
    return now() + turnedBy()
  }
} as DateConstructor
