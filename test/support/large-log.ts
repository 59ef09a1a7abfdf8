/** The largest legal log: as many records as there may be, in four banks, and nearly as many bytes. */
import type { BootEvent } from "../../src/device/boot.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import type { HashName } from "../../src/evidence/tpm/algorithm.ts"
import { testDevice } from "./world.ts"

const RECORDS = 4095
const EV_IPL = 0x0d
const BANKS: readonly HashName[] = ["sha1", "sha256", "sha384", "sha512"]
/** The banks that its device quotes: SHA-1 is never enough. */
export const QUOTED: readonly HashName[] = BANKS.slice(1)
const PCRS = [0, 1, 2, 3, 4, 5, 6, 7]

/** What such a boot measures. Another `salt` gives other values. */
const boot = (salt: number): readonly BootEvent[] =>
  Array.from({ length: RECORDS }, (_, i) => ({
    pcr: i % PCRS.length,
    type: EV_IPL,
    data: Buffer.alloc(60, `${salt} ${i} `),
  }))

/** A device that has such a log, and can boot into another one. */
export const longDevice = (): SoftwareDevice & { again(salt: number): void } => {
  const selection = QUOTED.map((hash) => ({ hash, pcrs: PCRS }))
  const device = testDevice({ banks: BANKS, selection, events: boot(0) })
  return Object.assign(device, { again: (salt: number) => device.boot(boot(salt)) })
}
