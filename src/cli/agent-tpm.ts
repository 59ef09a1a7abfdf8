/** What the commands of the agent share: its TPM, and how it reaches Assay. */
import { join } from "node:path"
import { type Command, Option } from "commander"
import type { VerifyRequest, VerifyResponse } from "../gen/assay/v1/attestation_pb.ts"
import type {
  BeginEnrollmentRequest,
  BeginEnrollmentResponse,
  CompleteEnrollmentRequest,
  CompleteEnrollmentResponse,
} from "../gen/assay/v1/enrollment_pb.ts"
import type { DeviceSide, Gateway } from "./gateway.ts"
import type { Reach } from "./parts.ts"
import { withServerOptions } from "./server-options.ts"

/** Where the agent's TPM is, and what of it to use. */
export interface AgentSettings {
  readonly tcti?: string
  readonly algorithm?: "rsa-2048" | "p256" | "p384"
  readonly eventLogPath?: string
  /** A TPM in software instead: the folder of its state, and the file of the maker that certifies it the first time. */
  readonly swtpm?: { readonly folder: string; readonly maker: string }
}

/** What a device takes of the answer to BeginEnrollment. */
export type EnrollmentParts = Pick<BeginEnrollmentResponse, "enrollment" | "random" | "tenant"> & {
  readonly credential: { readonly blob: Uint8Array; readonly encryptedSecret: Uint8Array } | undefined
}

/** A device with its TPM. */
export interface AgentDevice extends DeviceSide {
  /** TPM2B_PUBLIC of its endorsement key. */
  ekPublic(): Promise<Uint8Array>
  /** Certificates of that key, DER, its own first. */
  ekCertificateChain(): Promise<readonly Uint8Array[]>
  answerEnrollment(parts: EnrollmentParts): Promise<CompleteEnrollmentRequest>
  /** Gives back what it took. */
  stop(): Promise<void>
}

/** How a device joins. */
export interface Enrollment {
  beginEnrollment(request: Partial<BeginEnrollmentRequest>): Promise<BeginEnrollmentResponse>
  completeEnrollment(request: CompleteEnrollmentRequest): Promise<CompleteEnrollmentResponse>
  close(): void
}

/** What `agent` is given by `main.ts`. */
export interface AgentParts {
  readonly agent: (settings: AgentSettings) => Promise<AgentDevice>
  readonly gateway: (address: string, reach: Reach) => Gateway
  readonly enrollment: (address: string, reach: Reach) => Enrollment
  /** @throws {AssayError} FIELD for one half of a credential. */
  readonly enrollmentParts: (begun: BeginEnrollmentResponse) => EnrollmentParts
  /** Sends evidence with its log named if that was shown before, and with the log if it is asked for. */
  readonly verifyNamingLog: (
    verify: Gateway["verify"],
    request: VerifyRequest,
    shown: Uint8Array | undefined,
  ) => Promise<{ readonly verdict: VerifyResponse; readonly shown: Uint8Array | undefined }>
  /** Where Linux shows the firmware's event log. */
  readonly eventLogPath: string
}

/** The options of every command of the agent. */
export interface AgentOptions {
  readonly tcti?: string
  readonly algorithm?: "rsa-2048" | "p256" | "p384"
  readonly eventlog: string
  readonly swtpm?: string
  readonly swtpmMaker: string
  readonly state?: string
}

/** Adds the options of the TPM. */
export const withTpm = (command: Command, { eventLogPath }: AgentParts): Command =>
  command
    .option("--tcti <TCTI>", "how tpm2-tools reach the TPM (default: their own, TPM2TOOLS_TCTI)")
    .addOption(
      new Option("--algorithm <NAME>", "of a key that is made")
        .choices(["p256", "p384", "rsa-2048"])
        .default("p256"),
    )
    .option("--eventlog <FILE>", "the firmware's event log", eventLogPath)
    .addOption(
      new Option("--swtpm <FOLDER>", "a TPM in software, kept there and made the first time").conflicts(
        "tcti",
      ),
    )
    .option(
      "--swtpm-maker <FILE>",
      "who certifies it: the maker that a development server trusts",
      ".assay/software-tpm-maker.pem",
    )

/** Where a server in development mode listens. */
const ADDRESS = "127.0.0.1:7400"

/** Where Assay is: as the options say, else where the device enrolled. */
export const addressOf = (
  { address }: { readonly address?: string },
  state?: { readonly address: string },
): string => address ?? state?.address ?? ADDRESS

/** Adds the options that say where Assay is, and the file that an enrolled device knows itself by. */
export const withAddress = (command: Command): Command =>
  withServerOptions(
    command.option("--address <ADDRESS>", `Assay (default: where the device enrolled, else ${ADDRESS})`),
  ).option(
    "--state <FILE>",
    "what the device knows of itself (default: agent.json with its TPM in software, else .assay-agent.json)",
  )

/** What the options say of the TPM. */
export const settingsOf = ({
  tcti,
  algorithm,
  eventlog,
  swtpm,
  swtpmMaker,
}: AgentOptions): AgentSettings => ({
  ...(tcti !== undefined && { tcti }),
  ...(algorithm !== undefined && { algorithm }),
  ...(swtpm !== undefined && { swtpm: { folder: swtpm, maker: swtpmMaker } }),
  eventLogPath: eventlog,
})

/** Where the device's state is. */
export const stateFileOf = ({ state, swtpm }: Pick<AgentOptions, "state" | "swtpm">): string =>
  state ?? (swtpm === undefined ? ".assay-agent.json" : join(swtpm, "agent.json"))

/** What `act` gives with the device, which is stopped afterwards. */
export const withAgent = async <T>(
  parts: AgentParts,
  settings: AgentSettings,
  act: (device: AgentDevice) => Promise<T>,
): Promise<T> => {
  const device = await parts.agent(settings)
  try {
    return await act(device)
  } finally {
    await device.stop()
  }
}
