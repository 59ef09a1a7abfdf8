import { type Command, Option } from "commander"
import { AssayError } from "../errors.ts"
import { type AdminOptions, present, withAdmin, withAdminOption } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import { withEtag } from "./device-change.ts"
import { deviceJson, deviceReport, parseLabels } from "./device-view.ts"
import type { Report } from "./output.ts"

const HELP = `
Examples:
  assay device update gate-7 --group edge --label site=north --label rack=4
  assay device update gate-7 --remove-label rack --policy fleet
  assay device update gate-7 --no-group --no-policy`

interface UpdateOptions extends AdminOptions {
  readonly etag?: string
  /** False for --no-group. */
  readonly group?: string | false
  readonly policy?: string | false
  readonly label?: string[]
  readonly removeLabel?: string[]
}

/** `assay device update`. */
export const addDeviceUpdate = (device: Command, context: CommandContext): void => {
  withEtag(withAdminOption(device.command("update <ID>")))
    .description("Change what you say about a device: its group, labels and policy.")
    .option("--group <NAME>", "its group")
    .addOption(new Option("--no-group", "take it out of its group"))
    .option("--policy <NAME>", "the policy of its own")
    .addOption(new Option("--no-policy", "take the policy of its own away"))
    .option("--label <KEY=VALUE...>", "labels to set")
    .option("--remove-label <KEY...>", "labels to take away")
    .addHelpText("after", HELP)
    .action(context.reporting((id: string, options: UpdateOptions) => update(id, options, context)))
}

const update = async (id: string, options: UpdateOptions, context: CommandContext): Promise<Report> => {
  const { etag = "", group, policy, removeLabel = [] } = options
  const labels = parseLabels(options.label)
  const paths = [
    ...(given(group) ? ["group"] : []),
    ...(given(policy) ? ["policy"] : []),
    ...[...Object.keys(labels), ...removeLabel].map((key) => `labels.${key}`),
  ]
  if (paths.length === 0)
    throw new AssayError("INPUT", "what is to change?", {
      location: id,
      expected: "--group, --policy, --label or --remove-label",
    })
  const answer = await withAdmin(context, options, (admin) =>
    admin.updateDevice({
      id,
      etag,
      group: group || "",
      policy: policy || "",
      labels,
      updateMask: { paths },
    }),
  )
  return deviceReport(deviceJson(present(answer.device)))
}

/** Commander says `true` of an option with a negation that was not given. */
const given = (option: string | boolean | undefined): boolean => option !== undefined && option !== true
