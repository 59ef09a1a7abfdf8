/** What the demo is played on, and how its device is registered. */
import { randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { printable } from "../errors.ts"
import type { CommandContext } from "./command.ts"
import { type EvidenceJson, evidenceJson } from "./evidence.ts"
import { type DeviceSide, type Gateway, tpmOf } from "./gateway.ts"
import { runCli } from "./program.ts"
import type { Running } from "./serve.ts"

/** A machine that attests itself, and can be made to boot something else. */
export interface DemoMachine {
  readonly tpm: string
  readonly attester: DeviceSide
  boot(changed?: { readonly bootLoader: string }): Promise<void>
  readonly ekCertificateChain: readonly Uint8Array[]
  stop(): Promise<void>
}

/** Where the demo is played. */
export interface Stage {
  readonly running: Running
  readonly machine: DemoMachine
  readonly gateway: Gateway
  readonly folder: string
  readonly context: CommandContext
  readonly tell: (title: string, asTold: boolean, lines: readonly string[]) => void
  readonly pcrFile: Parameters<typeof evidenceJson>[2]
}

/** The device of the demo, and the service that its session is for. */
export const DEVICE = "demo-device"
export const AUDIENCE = "orders"
const PCRS = [0, 1, 2, 3, 4, 5, 6, 7]
const NONCE_BYTES = 32

/** Registers the device and a policy with the commands that an operator would type. */
export async function register({ running, machine, folder, context, tell, pcrFile }: Stage): Promise<string> {
  const look = await machine.attester.answerNonce("default", randomBytes(NONCE_BYTES))
  const policy = policyFor(evidenceJson(tpmOf(look), machine.attester.akPublic, pcrFile))
  const files = {
    ak: join(folder, "ak.pub"),
    name: join(folder, "ak.qname"),
    policy: join(folder, "policy.json"),
    ek: join(folder, "ek.der"),
  }
  const [ekCertificate] = machine.ekCertificateChain
  if (ekCertificate !== undefined) writeFileSync(files.ek, ekCertificate)
  const endorsement = ekCertificate === undefined ? [] : ["--ek-chain", files.ek]
  writeFileSync(files.ak, machine.attester.akPublic)
  writeFileSync(files.name, machine.attester.qualifiedName)
  writeFileSync(files.policy, policy)
  const commands = [
    ["device", "register", "--ak", files.ak, "--id", DEVICE, "--qualified-name", files.name, ...endorsement],
    ["policy", "set", files.policy],
    ["policy", "assign", "demo", "--device", DEVICE],
  ]
  const lines: string[] = []
  let asTold = true
  for (const command of commands) {
    const errors: string[] = []
    const io = { ...context.io, isTerminal: false, out: () => {}, err: (text: string) => errors.push(text) }
    asTold &&= (await runCli([...command, "--admin", running.admin], context.parts, io)) === 0
    lines.push(
      `assay ${command.map((word) => word.replace(`${folder}/`, "")).join(" ")}`,
      ...errors.map(printable),
    )
  }
  tell("Start and register", asTold, [
    `Assay serves on ${running.listen[0]}, on embedded defaults. The device has ${machine.tpm}.`,
    ...lines,
    ...(endorsement.length === 0
      ? ["Its TPM has no certificate here."]
      : ["The certificate of its endorsement key leads to the one trust anchor, that of software TPMs."]),
    "The policy: PCR 0 to 7 of SHA-256 as they are after this boot, an event log that leads to them, and the",
    "operator's word for the key, which is why the verdict cannot be better than a warning.",
  ])
  return policy
}

/** A policy that lets in a machine that booted as this one did. */
const policyFor = ({ pcrs }: EvidenceJson): string => {
  const reference = Object.fromEntries(PCRS.map((pcr) => [String(pcr), pcrs.sha256?.[String(pcr)] ?? ""]))
  const policy = {
    version: 1,
    name: "demo",
    evidence: { banks: ["sha256"], pcrs: PCRS, eventLog: "required" },
    references: [{ name: "good-boot", pcrs: { sha256: reference } }],
    ak: { binding: "operator" },
    session: { lifetimeSeconds: 300, admit: "warning", audiences: [AUDIENCE] },
  }
  return `${JSON.stringify(policy, undefined, 2)}\n`
}
