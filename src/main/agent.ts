/** The agent's commands, with the devices that they are for. */
import { resolve } from "node:path"
import { addAgent } from "../cli/agent.ts"
import type { AgentDevice, AgentSettings } from "../cli/agent-tpm.ts"
import { createAttestationClient } from "../client/attestation.ts"
import { createEnrollmentClient } from "../client/enrollment.ts"
import { createAgent, LINUX_EVENT_LOG } from "../device/agent.ts"
import { enrollmentParts } from "../device/enrollment.ts"
import { verifyNamingLog } from "../device/named-log.ts"
import { startVirtualDevice } from "../device/virtual.ts"
import { readPrivateFile } from "../keys/privatefile.ts"

/** The device of the agent's commands: with this machine's TPM, or with one in software. */
const agentDevice = async ({ swtpm, ...settings }: AgentSettings): Promise<AgentDevice> => {
  if (swtpm === undefined) return { ...(await createAgent(settings)), stop: async () => {} }
  const pem = readPrivateFile(resolve(swtpm.maker))
  const { attester, stop } = await startVirtualDevice({
    folder: swtpm.folder,
    maker: pem === undefined ? undefined : new TextDecoder().decode(pem),
    algorithm: settings.algorithm,
  })
  return { ...attester, stop }
}

/** `assay agent`. */
export const agentCommand = addAgent({
  agent: agentDevice,
  gateway: createAttestationClient,
  enrollment: createEnrollmentClient,
  enrollmentParts,
  verifyNamingLog,
  eventLogPath: LINUX_EVENT_LOG,
})
