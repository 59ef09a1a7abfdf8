import type { Command } from "commander"
import { AssayError } from "../errors.ts"
import { DeviceState } from "../gen/assay/v1/enrollment_pb.ts"
import { openState } from "./agent-state.ts"
import {
  type AgentDevice,
  type AgentOptions,
  type AgentParts,
  addressOf,
  settingsOf,
  withAddress,
  withAgent,
  withTpm,
} from "./agent-tpm.ts"
import { readChain } from "./certificates.ts"
import type { CommandContext } from "./command.ts"
import { fieldLines, type Report } from "./output.ts"
import type { CliIo, Reach } from "./parts.ts"
import { reachOf, type ServerOptions } from "./server-options.ts"

interface EnrollOptions extends AgentOptions, ServerOptions {
  readonly address?: string
  readonly name: string
  readonly akChain?: string[]
}

const HELP = `
Examples:
  assay agent enroll --enrollment-token token --name press-3
  assay agent enroll --enrollment-token token --swtpm .assay/press-3      a TPM in software, to try it out
  assay agent enroll --address assay.example:7443 --tls-ca ca.pem --enrollment-token token

The device proves that its attestation key lives in the TPM whose endorsement key has a certificate that the tenant trusts
(assay trust import), or is on the list (assay trust import-eks). Assay gives it an id, kept in the state file. With
--ak-chain a certificate of the attestation key stands for the endorsement key, as with virtual TPMs of clouds. A device
that is known already enrolls again only if its operator permits it (assay device permit).`

/** `assay agent enroll`. */
export const addAgentEnroll = (agent: Command, parts: AgentParts, context: CommandContext): void => {
  withAddress(withTpm(agent.command("enroll"), parts))
    .description("Join: prove by cryptography which TPM this device has, and get an id.")
    .option(
      "--enrollment-token <FILE>",
      "what lets this device in, as assay enrollment-token create wrote it",
    )
    .option("--credential <FILE>", "a gateway's secret instead")
    .option(
      "--name <NAME>",
      "what the device calls itself: a label for people; an instance of a cloud by its name or id",
      "",
    )
    .option(
      "--ak-chain <FILE...>",
      "certificates of the attestation key, its own first, instead of the endorsement key",
    )
    .addHelpText("after", HELP)
    .action(context.reporting((options: EnrollOptions) => enroll(options, parts, context)))
}

const STATES: Readonly<Record<number, string>> = {
  [DeviceState.PENDING]: "pending",
  [DeviceState.ACTIVE]: "active",
  [DeviceState.SUSPENDED]: "suspended",
}

const enroll = async (options: EnrollOptions, parts: AgentParts, { io }: CommandContext): Promise<Report> => {
  const address = addressOf(options)
  const reach = await reachOf(address, options, io)
  return withAgent(parts, settingsOf(options), async (device) => {
    const shown = await shownBy(device, options, io)
    // Opened first: an enrollment that nobody remembers cannot be had again without the operator.
    const state = openState(options)
    try {
      const joined = await join(device, shown, { ...options, address }, reach, parts)
      state.write({ device: joined.device, tenant: joined.tenant, address })
      return enrolledReport({ ...joined, file: state.file })
    } finally {
      state.close()
    }
  })
}

/** Both steps of an enrollment. */
const join = async (
  device: AgentDevice,
  shown: Awaited<ReturnType<typeof shownBy>>,
  { address, name }: EnrollOptions & { readonly address: string },
  reach: Reach,
  parts: AgentParts,
) => {
  const client = parts.enrollment(address, reach)
  try {
    const begun = await client.beginEnrollment({ ...shown, claimedName: name })
    const answer = await device.answerEnrollment(parts.enrollmentParts(begun))
    const made = await client.completeEnrollment(answer)
    return { device: made.device, state: STATES[made.state] ?? null, tenant: begun.tenant }
  } catch (error) {
    throw explained(error, address)
  } finally {
    client.close()
  }
}

/** The keys that the device shows: its endorsement key, or certificates of the attestation key. */
const shownBy = async (device: AgentDevice, { akChain }: EnrollOptions, io: CliIo) => ({
  akPublic: device.akPublic,
  qualifiedName: device.qualifiedName,
  ...(akChain === undefined
    ? { ekPublic: await device.ekPublic(), ekCertificateChain: [...(await device.ekCertificateChain())] }
    : { akCertificateChain: await readChain(akChain, io) }),
})

const explained = (error: unknown, address: string): unknown =>
  error instanceof AssayError && error.code === "NO_ANSWER"
    ? new AssayError("NO_ANSWER", `no answer from ${address}: is Assay there?`, {
        location: address,
        cause: error,
      })
    : error

const enrolledReport = (enrolled: {
  readonly device: string
  readonly state: string | null
  readonly tenant: string
  readonly file: string
}): Report => ({
  accepted: true,
  json: enrolled,
  table: () => [
    ...fieldLines([
      ["device", enrolled.device],
      ["state", enrolled.state ?? "?"],
      ["kept in", enrolled.file],
    ]),
    ...(enrolled.state === "pending" ? ["It waits for its operator: assay device approve."] : []),
  ],
})
