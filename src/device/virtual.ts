import { mkdir, writeFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { EK_TEMPLATES } from "../evidence/tpm/ek-template.ts"
import { parsePublic } from "../evidence/tpm/public.ts"
import { type AgentAlgorithm, createAgent } from "./agent.ts"
import type { Attester } from "./attester.ts"
import { standardBoot } from "./boot.ts"
import { spkiOf } from "./enrollment.ts"
import { run, withFolder } from "./programs.ts"
import { createSoftwareDevice } from "./software.ts"
import { startSwtpm } from "./swtpm.ts"

/** A device whose TPM is swtpm, with a state that lasts: to try Assay out without a TPM. */
export interface VirtualDevice {
  readonly attester: Attester
  /** Shuts its TPM down in order, and ends the process. */
  stop(): Promise<void>
}

/** Where a virtual device is, and what it is made with the first time. */
export interface VirtualOptions {
  /** Of its attestation key. */
  readonly algorithm: AgentAlgorithm | undefined
  /** Made if it is not there, for this user alone. */
  readonly folder: string
  /** PEM of the maker that certifies its endorsement key (`writeTpmMaker`). Without it the key has no certificate. */
  readonly maker: string | undefined
}

/** The kind of endorsement key that takes no time to make. */
const TEMPLATE = "L-2"
const TIMEOUT_MS = 60_000

/**
 * Starts a virtual device. The first time its TPM is manufactured and, where there is a maker, gets a certificate of its
 * endorsement key, in the NV index that the TCG keeps for it. Each start is a boot: it measures the same components.
 *
 * @throws {AssayError} TPM if a program is missing (the message names its Debian package) or fails; INPUT for a maker that
 *   is none.
 */
export async function startVirtualDevice({
  folder,
  maker,
  algorithm,
}: VirtualOptions): Promise<VirtualDevice> {
  const state = resolve(folder)
  await mkdir(state, { recursive: true, mode: 0o700 })
  const swtpm = await startSwtpm(["sha256"], { state })
  try {
    const eventLogPath = join(swtpm.folder, "binary_bios_measurements")
    const measured = createSoftwareDevice({ algorithm: "p256", sharedKeys: true })
    measured.boot(standardBoot())
    await swtpm.measure(measured.eventLog)
    await writeFile(eventLogPath, measured.eventLog)
    const attester = await createAgent({
      tcti: swtpm.tcti,
      eventLogPath,
      ekTemplate: TEMPLATE,
      ...(algorithm !== undefined && { algorithm }),
    })
    if (maker !== undefined && (await attester.ekCertificateChain()).length === 0)
      await certify(attester, maker, swtpm.tcti)
    return { attester, stop: () => swtpm.stop() }
  } catch (error) {
    await swtpm.stop()
    throw error
  }
}

/** What a TPM's maker does last: a certificate of its endorsement key, where whoever wants it looks for it. */
const certify = async (attester: Attester, maker: string, tcti: string): Promise<void> => {
  // Loaded only here: the certificate library costs every other start its time.
  const { endorse, readTpmMaker } = await import("./ek.ts")
  const ekPublic = await attester.ekPublic()
  const keys = { publicKey: parsePublic(ekPublic).key, spki: spkiOf(ekPublic) }
  const { certificate } = await endorse({ keys, ekPublic }, await readTpmMaker(maker))
  const index = `0x${EK_TEMPLATES[TEMPLATE].certificateIndex.toString(16)}`
  await withFolder(async (folder) => {
    const at = { folder, timeoutMs: TIMEOUT_MS, tcti }
    await writeFile(join(folder, "certificate"), certificate)
    const attributes = "ownerread|ownerwrite|authread|no_da"
    await run(
      "tpm2_nvdefine",
      ["-Q", "-C", "o", "-s", String(certificate.length), "-a", attributes, index],
      at,
    )
    await run("tpm2_nvwrite", ["-Q", "-C", "o", "-i", "certificate", index], at)
  })
}
