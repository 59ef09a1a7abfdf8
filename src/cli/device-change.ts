import type { Command } from "commander"
import { type AdminOptions, present, withAdmin, withAdminOption } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import type { DeviceCalls } from "./device-calls.ts"
import { deviceJson, deviceReport } from "./device-view.ts"

interface ChangeOptions extends AdminOptions {
  readonly etag?: string
}

/** Adds the option that binds a change to the device as it was looked at. */
export const withEtag = (command: Command): Command =>
  command.option("--etag <ETAG>", "only if the device is still as it was shown")

type Verb = Extract<
  keyof DeviceCalls,
  | "approveDevice"
  | "suspendDevice"
  | "resumeDevice"
  | "revokeDevice"
  | "retireDevice"
  | "transferDevice"
  | "acceptFirmware"
>

const VERBS: readonly (readonly [name: string, verb: Verb, description: string])[] = [
  ["approve", "approveDevice", "Let a pending device in."],
  ["suspend", "suspendDevice", "End a device's sessions, and give it no new ones until it is resumed."],
  ["resume", "resumeDevice", "Let a suspended device in again."],
  ["revoke", "revokeDevice", "End a device's sessions for good: it is not trusted any more."],
  ["retire", "retireDevice", "Take a device out of service for good: it did nothing wrong."],
  [
    "transfer",
    "transferDevice",
    "Take a device out of service and free its keys, so that it can enroll anew with its next owner.",
  ],
  [
    "accept-firmware",
    "acceptFirmware",
    "Accept another TPM firmware than the one first seen: the next attestation says which.",
  ],
]

/** `assay device approve|suspend|resume|revoke|retire|transfer|accept-firmware|delete`. */
export const addDeviceChanges = (device: Command, context: CommandContext): void => {
  for (const [name, verb, description] of VERBS)
    withEtag(withAdminOption(device.command(`${name} <ID>`)))
      .description(description)
      .action(
        context.reporting(async (id: string, options: ChangeOptions) => {
          const { etag = "" } = options
          const answer = await withAdmin(context, options, (admin) => admin[verb]({ id, etag }))
          return deviceReport(deviceJson(present(answer.device)))
        }),
      )
  withEtag(withAdminOption(device.command("delete <ID>")))
    .description("Forget a device. Its id is never given again; its records stay in the journal.")
    .action(
      context.reporting(async (id: string, options: ChangeOptions) => {
        const { etag = "" } = options
        await withAdmin(context, options, (admin) => admin.deleteDevice({ id, etag }))
        return { accepted: true, json: { deleted: id }, table: () => [`${id} is forgotten.`] }
      }),
    )
}
