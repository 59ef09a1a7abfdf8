/** Devices as JSON lines: one line a device, as protobuf writes assay.v1.DeviceExport in JSON. */

import { createReadStream } from "node:fs"
import { open, rename, rm } from "node:fs/promises"
import { fromJson, toJsonString } from "@bufbuild/protobuf"
import type { Command } from "commander"
import { AssayError, printable } from "../errors.ts"
import { type DeviceExport, DeviceExportSchema } from "../gen/assay/v1/device_pb.ts"
import { type AdminOptions, withAdmin, withAdminOption } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import { type FilterOptions, filterOf, withFilterOptions } from "./device-list.ts"
import { readError } from "./input.ts"
import { fieldLines, type Report } from "./output.ts"
import type { CliIo } from "./parts.ts"
import { createProgress } from "./progress.ts"

const IMPORT_HELP = `
Examples:
  assay device import devices.jsonl
  ssh old-host assay device export | assay device import -

You answer for every device in it: its keys are taken as they are. They come in 500 at a time, and of those all or none. If it
ends half-way, run it again: what is there already, with the same keys, is left as it is.`

const EXPORT_HELP = `
Examples:
  assay device export > devices.jsonl
  assay device export devices.jsonl --group edge

Devices whose keys were freed by a transfer are left out. Policies, trust and tokens are not in it.`

/** `assay device import`. */
export const addDeviceImport = (device: Command, context: CommandContext): void => {
  withAdminOption(device.command("import <FILE>"))
    .description("Bring devices in from an export, JSON lines.")
    .addHelpText("after", IMPORT_HELP)
    .action(context.reporting((file: string, options: AdminOptions) => importDevices(file, options, context)))
}

const importDevices = (file: string, options: AdminOptions, context: CommandContext): Promise<Report> =>
  withAdmin(context, options, async (admin) => {
    try {
      const answer = await admin.importDevices(devicesIn(file, context.io))
      const [added, unchanged] = [Number(answer.added), Number(answer.unchanged)]
      return {
        accepted: true,
        json: { added, unchanged },
        table: () =>
          fieldLines([
            ["new", added],
            ["there already", unchanged],
          ]),
      }
    } catch (error) {
      throw error instanceof AssayError ? onItsLine(error, file) : error
    }
  })

/** The server counts devices from 0, an editor counts lines from 1. */
const onItsLine = (error: AssayError, file: string): AssayError => {
  const [, position, field = ""] = /^devices\[(\d+)\]\.?(.*)$/s.exec(error.location ?? "") ?? []
  if (position === undefined) return error
  const { code, message, expected, actual } = error
  return new AssayError(code, message, {
    location: `${file}, line ${Number(position) + 1}${field === "" ? "" : `, ${field}`}`,
    ...(expected !== undefined && { expected }),
    ...(actual !== undefined && { actual }),
    cause: error,
  })
}

/** Eight certificates of each key, at most 16 KiB each, in base64, and the rest. */
const LINE_BYTES_MAX = 400_000

async function* devicesIn(file: string, io: CliIo): AsyncIterable<DeviceExport> {
  const progress = createProgress(io, "devices sent")
  let line = 0
  for await (const text of linesOf(file === "-" ? io.stdin : createReadStream(file), file)) {
    line++
    yield readDevice(text, `${file}, line ${line}`)
    progress(line)
  }
}

const readDevice = (text: string, location: string): DeviceExport => {
  try {
    return fromJson(DeviceExportSchema, JSON.parse(text))
  } catch (cause) {
    throw new AssayError("INPUT", `${location} is not a device of an export`, {
      location,
      expected: "one assay.v1.DeviceExport in JSON",
      actual: printable(cause instanceof Error ? cause.message : ""),
      cause,
    })
  }
}

/** Lines without their ends, none of them empty, each as soon as it is whole. @throws {AssayError} INPUT, LENGTH. */
async function* linesOf(source: AsyncIterable<Uint8Array | string>, file: string): AsyncIterable<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true })
  let rest = ""
  const fitting = (text: string): string => {
    if (text.length <= LINE_BYTES_MAX) return text
    throw new AssayError("LENGTH", `${file} has a line that is longer than any device`, {
      location: file,
      expected: `at most ${LINE_BYTES_MAX} characters`,
    })
  }
  try {
    for await (const chunk of source) {
      const [first = "", ...lines] = decoder.decode(Buffer.from(chunk), { stream: true }).split("\n")
      const whole = [rest + first, ...lines]
      rest = fitting(whole.pop() ?? "")
      yield* whole.map(fitting)
    }
    rest += decoder.decode()
  } catch (error) {
    if (error instanceof AssayError) throw error
    if (error instanceof TypeError)
      throw new AssayError("INPUT", `${file} is not text in UTF-8`, { location: file, cause: error })
    throw readError(file, error)
  }
  if (rest !== "") yield rest
}

interface ExportOptions extends AdminOptions, FilterOptions {}

/** `assay device export`. */
export const addDeviceExport = (device: Command, context: CommandContext): void => {
  withFilterOptions(withAdminOption(device.command("export [FILE]")))
    .description("Give devices out, JSON lines, to a file or to standard output.")
    .addHelpText("after", EXPORT_HELP)
    .action((file: string | undefined, options: ExportOptions) => exportDevices(file, options, context))
}

const exportDevices = async (
  file: string | undefined,
  options: ExportOptions,
  context: CommandContext,
): Promise<void> => {
  const { io } = context
  const filter = filterOf(options)
  const progress = createProgress(io, "devices exported")
  const target = file === undefined || file === "-" ? standardOutput(io) : await fileTarget(file)
  let count = 0
  try {
    await withAdmin(context, options, async (admin) => {
      for await (const device of admin.exportDevices(filter)) {
        await target.write(`${toJsonString(DeviceExportSchema, device)}\n`)
        progress(++count)
      }
    })
    await target.done()
  } catch (error) {
    await target.abandon()
    throw error
  }
  io.err(`${count} ${count === 1 ? "device" : "devices"} exported\n`)
}

interface Target {
  write(text: string): Promise<void>
  done(): Promise<void>
  abandon(): Promise<void>
}

const standardOutput = ({ out, written }: CliIo): Target => ({
  write: (text) => {
    out(text)
    return written()
  },
  done: async () => {},
  abandon: async () => {},
})

const BUFFER_CHARACTERS = 65_536

/** Under another name until it is whole, so that half an export is never taken for one. @throws {AssayError} INPUT. */
const fileTarget = async (file: string): Promise<Target> => {
  const part = `${file}.part`
  const handle = await open(part, "wx").catch((cause: unknown) => {
    throw new AssayError("INPUT", `${part} cannot be made`, {
      location: part,
      expected: "no such file",
      cause,
    })
  })
  let lines = ""
  const flush = async (): Promise<void> => {
    await handle.writeFile(lines)
    lines = ""
  }
  return {
    write: async (text) => {
      lines += text
      if (lines.length > BUFFER_CHARACTERS) await flush()
    },
    done: async () => {
      await flush()
      await handle.close()
      await rename(part, file)
    },
    abandon: async () => {
      await handle.close()
      await rm(part)
    },
  }
}
