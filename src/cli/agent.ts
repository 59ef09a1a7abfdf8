import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { toHex } from "../bytes.ts"
import { parsePublic } from "../evidence/tpm/public.ts"
import { addAgentAttest } from "./agent-attest.ts"
import { addAgentEnroll } from "./agent-enroll.ts"
import { type AgentOptions, type AgentParts, settingsOf, withAgent, withTpm } from "./agent-tpm.ts"
import type { AddCommand } from "./command.ts"
import type { Report } from "./output.ts"

const HELP = `
Examples:
  assay agent enroll --enrollment-token token --name press-3
  assay agent attest --audience orders
  assay agent key --out /tmp                       for assay device register

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
    addAgentEnroll(agent, parts, context)
    addAgentAttest(agent, parts, context)
    withTpm(agent.command("key"), parts)
      .description("Make the attestation key if there is none, and write what registers it.")
      .option("--out <FOLDER>", "where ak.pub, ak.qname and the endorsement key's certificates go", ".")
      .action(context.reporting((options: AgentOptions & { readonly out: string }) => key(options, parts)))
  }

const key = (options: AgentOptions & { readonly out: string }, parts: AgentParts): Promise<Report> =>
  withAgent(parts, settingsOf(options), async ({ akPublic, qualifiedName, ekCertificateChain }) => {
    const files = { ak: join(options.out, "ak.pub"), qualifiedName: join(options.out, "ak.qname") }
    writeFileSync(files.ak, akPublic)
    writeFileSync(files.qualifiedName, qualifiedName)
    const chain = await ekCertificateChain()
    const ekChain = chain.map((_, i) => join(options.out, i === 0 ? "ek.der" : `ek-issuer-${i}.der`))
    ekChain.forEach((file, i) => {
      writeFileSync(file, chain[i] ?? new Uint8Array())
    })
    const akName = toHex(parsePublic(akPublic).name)
    const json = { files: { ...files, ekChain }, akName, qualifiedName: toHex(qualifiedName) }
    const endorsement = ekChain.length === 0 ? "" : ` --ek-chain ${ekChain.join(" ")}`
    return {
      accepted: true,
      json,
      table: () => [
        `Register it with: assay device register --ak ${files.ak} --qualified-name ${files.qualifiedName}${endorsement}`,
        `The Name of the attestation key is ${akName}`,
        ...(ekChain.length === 0 ? ["The TPM has no certificate of an endorsement key."] : []),
      ],
    }
  })
