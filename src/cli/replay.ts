import type { Command } from "commander"
import { toHex } from "../bytes.ts"
import { replayLog } from "../service/replay-log.ts"
import type { CommandContext } from "./command.ts"
import { readInput } from "./input.ts"
import { fieldLines, type Report, tableLines } from "./output.ts"
import { pcrsJson } from "./view.ts"

const EXAMPLES = `
Examples:
  assay replay eventlog /sys/kernel/security/tpm0/binary_bios_measurements
  assay replay eventlog log.bin -o json

Only PCRs that the log extends are listed; the others are as they were at reset. The values
are what the log leads to, compared with nothing: assay check quote compares.`

/** `assay replay …`: what a log leads to. */
export const addReplay = (program: Command, { io, reporting }: CommandContext): void => {
  const replay = program.command("replay").description("Work out the PCR values that a log leads to.")
  replay
    .command("eventlog <FILE>")
    .description("A TCG event log, crypto-agile or SHA-1.")
    .addHelpText("after", EXAMPLES)
    .action(reporting(async (file: string) => replayReport(await readInput(file, io))))
}

const replayReport = (bytes: Uint8Array): Report => {
  const { format, banks, gaps, eventCount, startupLocality, paddingBytes } = replayLog(bytes)
  return {
    accepted: true,
    json: {
      banks: pcrsJson(banks),
      format,
      events: eventCount,
      startupLocality: startupLocality ?? null,
      paddingBytes,
      gaps: gaps.map(({ bank, event }) => ({ bank, event: event.sequence, pcr: event.pcr })),
    },
    table: ({ warn }) => [
      ...fieldLines([
        ["format", format],
        ["events", eventCount],
        ["startup locality", startupLocality],
        ["padding", paddingBytes === 0 ? undefined : `${paddingBytes} bytes`],
      ]),
      ...gaps.map(({ bank, event }) =>
        warn(`bank ${bank} proves nothing: event ${event.sequence} has no digest for it`),
      ),
      "",
      ...tableLines(
        ["bank", "pcr", "value"],
        [...banks].flatMap(([bank, values]) =>
          [...values].toSorted(([a], [b]) => a - b).map(([pcr, value]) => [bank, pcr, toHex(value)]),
        ),
      ),
    ],
  }
}
