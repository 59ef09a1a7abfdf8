import { renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Command } from "commander"
import { fromHex, toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { certificatePem } from "../evidence/x509/certificate.ts"
import { Tier } from "../gen/assay/v1/result_pb.ts"
import { type AgentState, openState, readState } from "./agent-state.ts"
import {
  type AgentOptions,
  type AgentParts,
  addressOf,
  settingsOf,
  withAddress,
  withAgent,
  withTpm,
} from "./agent-tpm.ts"
import { readChain } from "./certificates.ts"
import { parseConfirmation } from "./check-token.ts"
import type { CommandContext } from "./command.ts"
import {
  challengeAndAnswer,
  claimsOf,
  type DeviceSide,
  endorsementJson,
  TIERS,
  tpmOf,
  verdictLines,
} from "./gateway.ts"
import { type Report, toJson } from "./output.ts"
import { reachOf, type ServerOptions } from "./server-options.ts"

interface AttestOptions extends AgentOptions, ServerOptions {
  readonly address?: string
  readonly audience: string
  readonly device?: string
  readonly policy: string
  readonly confirmation?: string
  readonly akChain?: string[]
  readonly certify?: boolean
  readonly out: string
}

const HELP = `
Examples:
  assay agent attest --audience orders
  assay agent attest --audience orders --device gate-7
  assay agent attest --audience orders --certify --out /etc/gate

A device that enrolled knows its id by its state file. With --certify the agent has a P-256 key at 0x81008200, made when there
is none, whose private half never leaves the TPM. The certificate ends with the session: attest again to renew it.`

/** `assay agent attest`. */
export const addAgentAttest = (agent: Command, parts: AgentParts, context: CommandContext): void => {
  withAddress(withTpm(agent.command("attest"), parts))
    .description("Ask for a challenge, answer it, and show the verdict and the token.")
    .requiredOption("--audience <NAME>", "the service that the session is for")
    .option("--credential <FILE>", "the secret that says who you are")
    .option("--device <ID>", "the device that the challenge is for (default: as it enrolled, else any)")
    .option("--policy <NAME>", "the policy that the device must be judged by", "")
    .option("--confirmation <KEY>", "the key that the session is bound to: x5t#S256:HEX or jkt:HEX")
    .option("--ak-chain <FILE...>", "certificates of the attestation key to show, its own first")
    .option("--certify", "get a client certificate of a key in the TPM, to which the session is bound")
    .option("--out <FOLDER>", "where the certificate goes, with its issuer's, as device.pem", ".")
    .addHelpText("after", HELP)
    .action(context.reporting((options: AttestOptions) => attest(options, parts, context)))
}

type CertifiedKey = Awaited<ReturnType<DeviceSide["certifyKey"]>>

/** The key that a certificate is asked for, if one is. @throws {AssayError} INPUT for two keys. */
const keyToCertify = async (
  { certify, confirmation }: AttestOptions,
  attester: DeviceSide,
): Promise<CertifiedKey | undefined> => {
  if (certify !== true) return undefined
  if (confirmation !== undefined)
    throw new AssayError("INPUT", "--certify binds the session to its own key: leave --confirmation out", {
      location: "--confirmation",
    })
  return attester.certifyKey()
}

const named = ({ name }: CertifiedKey) => ({ method: "name", name }) as const

const confirmationOf = (options: AttestOptions) => {
  const confirmation = parseConfirmation(options.confirmation)
  return confirmation === "checked-elsewhere" ? undefined : confirmation
}

/** The file with the certificate, if one was issued. Whoever reads it meanwhile reads all of the old one, or of the new. */
const writeCertificate = (
  { out }: AttestOptions,
  { certificateChain }: { readonly certificateChain: readonly Uint8Array[] },
): string | undefined => {
  if (certificateChain.length === 0) return undefined
  const file = join(out, "device.pem")
  writeFileSync(`${file}.new`, certificateChain.map(certificatePem).join(""))
  renameSync(`${file}.new`, file)
  return file
}

/** Keeps which log was shown where the device enrolled. What cannot be kept is shown again the next time. */
const noteShownLog = (
  options: AttestOptions,
  address: string,
  state: AgentState,
  shown: Uint8Array | undefined,
): void => {
  const shownLog = shown && toHex(shown)
  if (state.address !== address || shownLog === undefined || shownLog === state.shownLog) return
  try {
    const file = openState(options)
    try {
      file.write({ ...state, shownLog })
    } finally {
      file.close()
    }
  } catch (error) {
    if (!(error instanceof AssayError)) throw error
  }
}

const attest = (options: AttestOptions, parts: AgentParts, context: CommandContext): Promise<Report> =>
  withAgent(parts, settingsOf(options), (attester) => attestWith(attester, options, parts, context))

const attestWith = async (
  attester: DeviceSide,
  options: AttestOptions,
  parts: AgentParts,
  { io }: CommandContext,
): Promise<Report> => {
  const { audience, policy } = options
  const state = readState(options)
  const address = addressOf(options, state)
  const device = options.device ?? state?.device ?? ""
  const key = await keyToCertify(options, attester)
  const own = { audience, confirmation: key === undefined ? confirmationOf(options) : named(key) }
  const gateway = parts.gateway(address, await reachOf(address, options, io))
  try {
    const { request } = await challengeAndAnswer(gateway, attester, own, { device, policy })
    tpmOf(request).akCertificateChain = await readChain(options.akChain, io)
    if (key !== undefined) request.certification = key.certification
    const shownBefore = state?.address === address ? fromHex(state.shownLog ?? "") : undefined
    const { verdict, shown } = await parts.verifyNamingLog(
      (asked) => gateway.verify(asked),
      request,
      shownBefore,
    )
    if (state !== undefined) noteShownLog(options, address, state, shown)
    const certificate = writeCertificate(options, verdict)
    const token = verdict.token.value ?? ""
    const session = verdict.token.case === "sessionToken"
    const findings = (verdict.result?.findings ?? []).map(({ $typeName: _, tier, ...finding }) => ({
      ...finding,
      tier: TIERS[tier],
    }))
    return {
      accepted: session,
      json: {
        tier: TIERS[verdict.result?.tier ?? Tier.UNSPECIFIED],
        device: verdict.result?.device,
        findings,
        endorsements: (verdict.result?.endorsements ?? []).map(endorsementJson),
        ...(certificate !== undefined && { certificate }),
        [session ? "sessionToken" : "resultToken"]: token,
      },
      table: () => [
        ...verdictLines(verdict),
        ...(certificate === undefined ? [] : [`The certificate of the TPM's key is in ${certificate}.`]),
        session
          ? "A session token, and what it says:"
          : "A result token, which is no session, and what it says:",
        token, // whole: it is there to be copied, and base64url needs no escaping
        ...toJson(claimsOf(token)).split("\n"),
      ],
    }
  } finally {
    gateway.close()
  }
}
