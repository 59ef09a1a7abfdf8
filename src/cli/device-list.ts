import { type Command, Option } from "commander"
import { AssayError } from "../errors.ts"
import { type AdminOptions, withAdmin, withAdminOption } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import { type DeviceJson, deviceJson, FRESHNESSES, parseLabels, STATES } from "./device-view.ts"
import { type Report, tableLines } from "./output.ts"
import { createProgress } from "./progress.ts"

/** Options that narrow a list: each a term of the filter. */
export interface FilterOptions {
  readonly filter?: string
  readonly state?: string
  readonly freshness?: string
  readonly group?: string
  readonly policy?: string
  readonly label?: string
  readonly id?: string
}

interface ListOptions extends AdminOptions, FilterOptions {
  readonly orderBy: string
  readonly limit: string
}

/** Adds the options that narrow a list. */
export const withFilterOptions = (command: Command): Command =>
  command
    .addOption(new Option("--state <STATE>", "where they stand").choices(STATES))
    .addOption(new Option("--freshness <WORD>", "how lately they attested").choices(FRESHNESSES))
    .option("--group <NAME>", "their group")
    .option("--policy <NAME>", "the policy of their own")
    .option("--label <KEY=VALUE>", "a label")
    .option("--id <PREFIX>", "how their ids begin")
    .option("--filter <TEXT>", 'all of it in one: state=active AND labels.site="north" AND id="gate-*"')

/** The filter that the options spell. @throws {AssayError} INPUT. */
export const filterOf = (options: FilterOptions): string => {
  const { filter, state, freshness, group, policy, label, id } = options
  const quoted = (text: string): string => `"${text.replace(/["\\]/g, "\\$&")}"`
  const terms = [
    ...(state === undefined ? [] : [`state=${state}`]),
    ...(freshness === undefined ? [] : [`freshness=${freshness}`]),
    ...(group === undefined ? [] : [`group=${quoted(group)}`]),
    ...(policy === undefined ? [] : [`policy=${quoted(policy)}`]),
    ...Object.entries(parseLabels(label === undefined ? [] : [label])).map(
      ([key, value]) => `labels.${key}=${quoted(value)}`,
    ),
    ...(id === undefined ? [] : [`id=${quoted(`${id.replace(/\*$/, "")}*`)}`]),
  ]
  if (filter === undefined) return terms.join(" AND ")
  if (terms.length === 0) return filter
  throw new AssayError("INPUT", "--filter stands for all the options that narrow a list: give it alone", {
    location: "--filter",
  })
}

const ORDERS = ["id", "id desc", "create_time", "create_time desc"] as const
const LIMIT = 1000
const PAGE_SIZE = 1000

/** `assay device list`. */
export const addDeviceList = (device: Command, context: CommandContext): void => {
  withFilterOptions(withAdminOption(device.command("list")))
    .description("List devices.")
    .addOption(new Option("--order-by <ORDER>", "in which order").choices(ORDERS).default("id"))
    .option("--limit <N>", "at most this many", String(LIMIT))
    .action(context.reporting((options: ListOptions) => list(options, context)))
}

const list = (options: ListOptions, context: CommandContext): Promise<Report> =>
  withAdmin(context, options, async (admin) => {
    const limit = parseLimit(options.limit)
    const filter = filterOf(options)
    const progress = createProgress(context.io, "devices listed")
    const devices: DeviceJson[] = []
    let pageToken = ""
    do {
      const pageSize = Math.min(PAGE_SIZE, limit - devices.length)
      const page = await admin.listDevices({ filter, orderBy: options.orderBy, pageSize, pageToken })
      for (const device of page.devices) devices.push(deviceJson(device))
      pageToken = page.nextPageToken
      progress(devices.length)
    } while (pageToken !== "" && devices.length < limit)
    return listReport(devices, pageToken !== "")
  })

const parseLimit = (text: string): number => {
  const limit = /^[1-9]\d{0,6}$/.test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(limit))
    throw new AssayError("INPUT", "--limit is not a number of devices", {
      location: "--limit",
      expected: "1 to 9999999",
      actual: text,
    })
  return limit
}

const listReport = (devices: readonly DeviceJson[], more: boolean): Report => ({
  accepted: true,
  json: { devices, more },
  table: () => [
    ...(devices.length === 0
      ? ["There is no such device."]
      : tableLines(
          ["ID", "STATE", "FRESHNESS", "GROUP", "POLICY", "LAST SESSION", "TIER", "CODE"],
          devices.map((one) => [
            one.id,
            one.state ?? "?",
            one.freshness ?? "?",
            one.group ?? "",
            one.policy ?? "",
            one.sessionAt ?? "never",
            one.tier ?? "",
            one.code ?? "",
          ]),
        )),
    ...(more ? ["There are more: see --limit, and assay device export."] : []),
  ],
})
