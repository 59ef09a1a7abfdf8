import type { Command } from "commander"
import { type AdminOptions, present, withAdmin, withAdminOption } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import { addDeviceChanges } from "./device-change.ts"
import { addDeviceExport, addDeviceImport } from "./device-file.ts"
import { addDeviceList } from "./device-list.ts"
import { addDevicePermit } from "./device-permit.ts"
import { addDeviceRegister } from "./device-register.ts"
import { addDeviceUpdate } from "./device-update.ts"
import { deviceJson, deviceReport } from "./device-view.ts"

const HELP = `
Examples:
  assay device list --state active --freshness silent
  assay device list --filter 'group="edge" AND labels.site="north" AND id="gate-*"'
  assay device show gate-7
  assay device update gate-7 --group edge --label site=north --policy fleet
  assay device revoke gate-7
  assay device export > devices.jsonl

A device is pending (it waits for approve), active, suspended (until resume), revoked or retired (for good). Silence never
changes that. What a command changed holds at once on every replica, and is in the journal.`

/** `assay device …`: devices that Assay knows. */
export const addDevice = (program: Command, context: CommandContext): void => {
  const device = program
    .command("device")
    .description("List, show, change, import and export devices.")
    .addHelpText("after", HELP)
  addDeviceList(device, context)
  withAdminOption(device.command("show <ID>"))
    .description("Show a device.")
    .action(
      context.reporting(async (id: string, options: AdminOptions) =>
        deviceReport(
          deviceJson(present((await withAdmin(context, options, (admin) => admin.getDevice(id))).device)),
        ),
      ),
    )
  addDeviceRegister(device, context)
  addDeviceUpdate(device, context)
  addDeviceChanges(device, context)
  addDevicePermit(device, context)
  addDeviceImport(device, context)
  addDeviceExport(device, context)
}
