import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { createAgent } from "./agent.ts"
import type { Attester } from "./attester.ts"
import { type BootComponents, standardBoot } from "./boot.ts"
import { createSoftwareDevice } from "./software.ts"
import { startSwtpm } from "./swtpm.ts"

/** A machine with a TPM that can be made to boot something else. For the demo and for tests. */
export interface Machine {
  /** What its TPM is, for people. */
  readonly tpm: string
  readonly attester: Attester
  /** Reboots, with the components that `changed` names changed. */
  boot(changed?: Partial<BootComponents>): Promise<void>
  /** Certificates of the TPM's endorsement key, DER, its own first; none if the TPM has none. */
  readonly ekCertificateChain: readonly Uint8Array[]
  /** Gives back what it took: processes, files. */
  stop(): Promise<void>
}

/**
 * A machine whose TPM is the built-in software device.
 *
 * @param maker PEM of the maker that certifies its endorsement key.
 */
export const softwareMachine = async (maker?: string): Promise<Machine> => {
  const started = performance.now()
  const device = createSoftwareDevice({
    algorithm: "p256",
    uptimeMs: () => performance.now() - started,
    ...(maker !== undefined && { maker }),
  })
  const { certificate } = await device.endorsement()
  return {
    ekCertificateChain: [certificate],
    tpm: "a software device, ECDSA P-256",
    attester: device,
    boot: async (changed) => device.boot(standardBoot(changed)),
    stop: async () => {},
  }
}

/**
 * A machine whose TPM is swtpm, reached through tpm2-tools. swtpm has no firmware: what it boots is measured into it
 * from an event log, as firmware would.
 *
 * @throws {AssayError} TPM if a program is missing (the message names its Debian package) or fails.
 */
export const swtpmMachine = async (): Promise<Machine> => {
  const swtpm = await startSwtpm(["sha256"])
  try {
    const eventLogPath = join(swtpm.folder, "binary_bios_measurements")
    const measured = createSoftwareDevice({ algorithm: "p256", sharedKeys: true })
    const measure = async (changed: Partial<BootComponents> = {}): Promise<void> => {
      measured.boot(standardBoot(changed))
      await swtpm.measure(measured.eventLog)
      await writeFile(eventLogPath, measured.eventLog)
    }
    await measure()
    return {
      tpm: "swtpm over tpm2-tools, ECDSA P-256",
      ekCertificateChain: [],
      attester: await createAgent({ tcti: swtpm.tcti, eventLogPath }),
      boot: async (changed) => {
        await swtpm.reboot()
        await measure(changed)
      },
      stop: () => swtpm.stop(),
    }
  } catch (error) {
    await swtpm.stop()
    throw error
  }
}
