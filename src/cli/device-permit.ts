import { type Command, Option } from "commander"
import { type AdminOptions, present, withAdmin, withAdminOption } from "./admin.ts"
import type { CommandContext } from "./command.ts"
import { withEtag } from "./device-change.ts"
import { deviceJson, deviceReport, parseSpan, REASONS, reasonToProto } from "./device-view.ts"
import { parseHex } from "./input.ts"

const HELP = `
Examples:
  assay device permit gate-7 --reason re-enrollment          its TPM was cleared
  assay device permit gate-7 --reason ak-rotation            it has another attestation key in the same TPM
  assay device permit gate-7 --reason board-swap --ek-digest 3f0a…64 digits… --for 2d
  assay device permit vm-12 --reason ak-rotation --ak-name 000b…64 digits…

The device keeps its id and enrolls once with the keys that its TPM then shows. Its endorsement key has to be the one that it
had, or after a board swap the one with that digest: SHA-256 of its SubjectPublicKeyInfo, as assay agent key tells. A device
that enrolled by a certificate of its attestation key, without an endorsement key, says by --ak-name which one it will have.`

interface PermitOptions extends AdminOptions {
  readonly etag?: string
  readonly reason: (typeof REASONS)[number]
  readonly ekDigest?: string
  readonly akName?: string
  readonly for: string
}

const DIGEST_BYTES = 32
const NAME_BYTES_MAX = 66

/** `assay device permit`. */
export const addDevicePermit = (device: Command, context: CommandContext): void => {
  withEtag(withAdminOption(device.command("permit <ID>")))
    .description("Allow a device to enroll once more.")
    .addOption(new Option("--reason <REASON>", "why").choices(REASONS).makeOptionMandatory())
    .option("--ek-digest <HEX>", "of a board swap: the new endorsement key")
    .option(
      "--ak-name <HEX>",
      "of a device without a known endorsement key: the Name of its new attestation key",
    )
    .option("--for <SPAN>", "for how long: 90s, 30m, 12h or 7d, at most 30d", "1h")
    .addHelpText("after", HELP)
    .action(
      context.reporting(async (id: string, options: PermitOptions) => {
        const { etag = "", reason, ekDigest = "", akName = "" } = options
        const request = {
          id,
          etag,
          reason: reasonToProto(reason),
          ekDigest: parseHex(ekDigest, "--ek-digest", DIGEST_BYTES),
          akName: parseHex(akName, "--ak-name", NAME_BYTES_MAX),
          lifetime: parseSpan(options.for, "--for"),
        }
        const answer = await withAdmin(context, options, (admin) => admin.permitEnrollment(request))
        return deviceReport(deviceJson(present(answer.device)))
      }),
    )
}
