import { readFileSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Command, Option } from "commander"
import { toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { certificatePem } from "../evidence/x509/certificate.ts"
import { Tier } from "../gen/assay/v1/result_pb.ts"
import { readChain } from "./certificates.ts"
import { parseConfirmation } from "./check-token.ts"
import type { AddCommand, CommandContext } from "./command.ts"
import {
  challengeAndAnswer,
  claimsOf,
  type DeviceSide,
  endorsementJson,
  type Gateway,
  TIERS,
  tpmOf,
  verdictLines,
} from "./gateway.ts"
import { type Report, toJson } from "./output.ts"

/** Where the agent's TPM is, and what of it to use. */
export interface AgentSettings {
  readonly tcti?: string
  readonly algorithm?: "rsa-2048" | "p256" | "p384"
  readonly eventLogPath?: string
}

/** What `agent` is given by `main.ts`. */
export interface AgentParts {
  readonly agent: (settings: AgentSettings) => Promise<DeviceSide>
  /** Certificates of the TPM's endorsement key, DER, its own first. */
  readonly ekCertificateChain: (settings: AgentSettings) => Promise<readonly Uint8Array[]>
  readonly gateway: (address: string, credential: string | undefined) => Gateway
  /** Where Linux shows the firmware's event log. */
  readonly eventLogPath: string
}

interface AgentOptions {
  readonly tcti?: string
  readonly algorithm?: "rsa-2048" | "p256" | "p384"
  readonly eventlog: string
}

interface AttestOptions extends AgentOptions {
  readonly address: string
  readonly credential?: string
  readonly audience: string
  readonly device: string
  readonly policy: string
  readonly confirmation?: string
  readonly akChain?: string[]
  readonly certify?: boolean
  readonly out: string
}

const HELP = `
Examples:
  assay agent key --out /tmp
  assay device register --ak /tmp/ak.pub --qualified-name /tmp/ak.qname --id gate-7
  assay agent attest --audience orders --device gate-7
  assay agent attest --audience orders --device gate-7 --certify --out /etc/gate

With --certify the agent has a P-256 key at 0x81008200, made when there is none, whose private half never leaves the TPM. The
certificate ends with the session: attest again to renew it.

The agent needs tpm2-tools. Its attestation key is a primary key of the endorsement hierarchy at 0x81010200, made when
there is none. It quotes PCR 0 to 9 of SHA-256, and only digests that it computed itself.`

/** `assay agent …`: the device's side, on the device. */
export const addAgent =
  (parts: AgentParts): AddCommand =>
  (program, context) => {
    const agent = program
      .command("agent")
      .description("The device's side, with its TPM 2.0 over tpm2-tools.")
      .addHelpText("after", HELP)
    const withTpm = (command: Command): Command =>
      command
        .option("--tcti <TCTI>", "how tpm2-tools reach the TPM (default: their own, TPM2TOOLS_TCTI)")
        .addOption(
          new Option("--algorithm <NAME>", "of a key that is made")
            .choices(["p256", "p384", "rsa-2048"])
            .default("p256"),
        )
        .option("--eventlog <FILE>", "the firmware's event log", parts.eventLogPath)

    withTpm(agent.command("key"))
      .description("Make the attestation key if there is none, and write what registers it.")
      .option("--out <FOLDER>", "where ak.pub, ak.qname and the endorsement key's certificates go", ".")
      .action(context.reporting((options: AgentOptions & { readonly out: string }) => key(options, parts)))

    withTpm(agent.command("attest"))
      .description("Ask for a challenge, answer it, and show the verdict and the token.")
      .requiredOption("--audience <NAME>", "the service that the session is for")
      .option("--address <ADDRESS>", "Assay", "127.0.0.1:7400")
      .option("--credential <FILE>", "a local credential")
      .option("--device <ID>", "the device that the challenge is for", "")
      .option("--policy <NAME>", "the policy that the device must be judged by", "")
      .option("--confirmation <KEY>", "the key that the session is bound to: x5t#S256:HEX or jkt:HEX")
      .option("--ak-chain <FILE...>", "certificates of the attestation key to show, its own first")
      .option("--certify", "get a client certificate of a key in the TPM, to which the session is bound")
      .option("--out <FOLDER>", "where the certificate goes, with its issuer's, as device.pem", ".")
      .action(context.reporting((options: AttestOptions) => attest(options, parts, context)))
  }

const settingsOf = ({ tcti, algorithm, eventlog }: AgentOptions): AgentSettings => ({
  ...(tcti !== undefined && { tcti }),
  ...(algorithm !== undefined && { algorithm }),
  eventLogPath: eventlog,
})

const key = async (options: AgentOptions & { readonly out: string }, parts: AgentParts): Promise<Report> => {
  const settings = settingsOf(options)
  const { akPublic, qualifiedName } = await parts.agent(settings)
  const files = { ak: join(options.out, "ak.pub"), qualifiedName: join(options.out, "ak.qname") }
  writeFileSync(files.ak, akPublic)
  writeFileSync(files.qualifiedName, qualifiedName)
  const chain = await parts.ekCertificateChain(settings)
  const ekChain = chain.map((_, i) => join(options.out, i === 0 ? "ek.der" : `ek-issuer-${i}.der`))
  ekChain.forEach((file, i) => {
    writeFileSync(file, chain[i] ?? new Uint8Array())
  })
  const json = { files: { ...files, ekChain }, qualifiedName: toHex(qualifiedName) }
  const endorsement = ekChain.length === 0 ? "" : ` --ek-chain ${ekChain.join(" ")}`
  return {
    accepted: true,
    json,
    table: () => [
      `Register it with: assay device register --ak ${files.ak} --qualified-name ${files.qualifiedName}${endorsement}`,
      ...(ekChain.length === 0 ? ["The TPM has no certificate of an endorsement key."] : []),
    ],
  }
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

const attest = async (options: AttestOptions, parts: AgentParts, { io }: CommandContext): Promise<Report> => {
  const { address, credential, audience, device, policy } = options
  const attester = await parts.agent(settingsOf(options))
  const key = await keyToCertify(options, attester)
  const own = { audience, confirmation: key === undefined ? confirmationOf(options) : named(key) }
  const gateway = parts.gateway(
    address,
    credential === undefined ? undefined : readFileSync(credential, "utf8").trim(),
  )
  try {
    const { request } = await challengeAndAnswer(gateway, attester, own, { device, policy })
    tpmOf(request).akCertificateChain = await readChain(options.akChain, io)
    if (key !== undefined) request.certification = key.certification
    const verdict = await gateway.verify(request)
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
