import { type Command, Option } from "commander"
import { printable } from "../errors.ts"
import { type AdminOptions, policyJson, present, withAdmin, withAdminOption } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import { readText } from "./input.ts"
import { fieldLines, type Report } from "./output.ts"

const HELP = `
Examples:
  assay policy set fleet.yaml
  assay policy assign fleet                       to every device that nothing else is assigned to
  assay policy assign edge --group edge           to every device of the group without a policy of its own
  assay policy assign fleet.yaml --device gate-7  the file is set first
  assay policy show fleet

For assign, an argument with a slash or with the ending .yaml, .yml or .json is a file (- too), any other is a name.`

interface AssignOptions extends AdminOptions {
  readonly device?: string
  readonly group?: string
}

/** `assay policy …`: what devices are judged by. */
export const addPolicy = (program: Command, context: CommandContext): void => {
  const { io, reporting } = context
  const policy = program
    .command("policy")
    .description("Set, assign and show policies.")
    .addHelpText("after", HELP)
  withAdminOption(policy.command("set <FILE>"))
    .description("Store a policy, YAML or JSON, as the next revision of its name.")
    .action(
      reporting(async (file: string, options: AdminOptions) => {
        const document = await readText(file, io)
        const answer = await withAdmin(context, options, (admin) => admin.setPolicy(document))
        return policyReport(policyJson(present(answer.policy)))
      }),
    )
  withAdminOption(policy.command("assign <NAME_OR_FILE>"))
    .description("Assign a policy to a device, to a group, or to all that have neither.")
    .option("--device <ID>", "the device")
    .addOption(new Option("--group <NAME>", "the group").conflicts("device"))
    .action(reporting((what: string, options: AssignOptions) => assign(what, options, context)))
  withAdminOption(policy.command("show <NAME>"))
    .description("Show the latest revision of a policy.")
    .action(
      reporting(async (name: string, options: AdminOptions) => {
        const answer = await withAdmin(context, options, (admin) => admin.getPolicy(name))
        const shown = present(answer.policy)
        return policyReport(policyJson(shown), shown.document)
      }),
    )
}

const isFile = (text: string): boolean => text === "-" || /\/|\.(yaml|yml|json)$/.test(text)

const assign = async (what: string, options: AssignOptions, context: CommandContext): Promise<Report> => {
  const document = isFile(what) ? await readText(what, context.io) : undefined
  const { device = "", group = "" } = options
  const assigned = await withAdmin(context, options, async (admin) => {
    const name = document === undefined ? what : present((await admin.setPolicy(document)).policy).name
    return admin.assignPolicy({ policy: name, device, group })
  })
  return {
    accepted: true,
    json: { policy: assigned.policy, device: assigned.device || null, group: assigned.group || null },
    table: () =>
      fieldLines([
        ["policy", assigned.policy],
        ["assigned to", assigneeOf(assigned)],
      ]),
  }
}

const assigneeOf = ({ device, group }: { readonly device: string; readonly group: string }): string => {
  if (device !== "") return device
  return group === ""
    ? "every device that nothing else is assigned to"
    : `every device of the group ${group} without a policy of its own`
}

const policyReport = (policy: ReturnType<typeof policyJson>, document?: string): Report => ({
  accepted: true,
  json: { ...policy, document },
  table: () => [
    ...fieldLines(Object.entries(policy)),
    ...(document === undefined ? [] : ["", ...document.trimEnd().split("\n").map(printable)]),
  ],
})
