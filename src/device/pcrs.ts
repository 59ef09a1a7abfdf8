import { hash as digest } from "node:crypto"
import { concat } from "../bytes.ts"
import { HASHES, type HashName } from "../evidence/tpm/algorithm.ts"
import { PCR_COUNT, type PcrSelection } from "../evidence/tpm/selection.ts"

/** Digests to extend one PCR with, by bank. */
export type Digests = ReadonlyMap<HashName, Uint8Array>

/** PCRs that a dynamic launch resets to zeros; until one happens they hold ones (PC Client Profile, 4.6.2). */
const DYNAMIC_FIRST = 17
const DYNAMIC_LAST = 22

/** The PCR banks of a software TPM. */
export class PcrBanks {
  readonly hashes: readonly HashName[]
  readonly #values = new Map<HashName, Uint8Array[]>()

  constructor(hashes: readonly HashName[]) {
    this.hashes = hashes
    this.reset()
  }

  /** As after TPM2_Startup(CLEAR). The locality of the startup is the last byte of PCR 0. */
  reset(startupLocality = 0): void {
    for (const hash of this.hashes) {
      const { sizeBytes } = HASHES[hash]
      const bank = Array.from({ length: PCR_COUNT }, (_, pcr) =>
        new Uint8Array(sizeBytes).fill(pcr >= DYNAMIC_FIRST && pcr <= DYNAMIC_LAST ? 0xff : 0x00),
      )
      bank[0]?.set([startupLocality], sizeBytes - 1)
      this.#values.set(hash, bank)
    }
  }

  /** The digest of `data` for each bank, as TPM2_PCR_Event makes them. */
  digestsOf(data: Uint8Array): Digests {
    return new Map(this.hashes.map((hash) => [hash, digest(hash, data, "buffer")]))
  }

  /** new = H(old then digest), in the banks that are named and there. */
  extend(pcr: number, digests: Digests): void {
    for (const [hash, value] of digests) {
      const bank = this.#values.get(hash)
      if (bank !== undefined) bank[pcr] = digest(hash, concat(bank[pcr] ?? new Uint8Array(), value), "buffer")
    }
  }

  /** The values of a selection, one after another: banks in its order, each in ascending order of PCR. */
  values(selection: readonly PcrSelection[]): Uint8Array {
    return concat(
      ...selection.flatMap(({ hash, pcrs }) =>
        pcrs.map((pcr) => this.#values.get(hash)?.[pcr] ?? new Uint8Array()),
      ),
    )
  }

  /** What a TPM signs when asked for `selection`: in ascending order, and nothing of a bank that it lacks. */
  selectable(selection: readonly PcrSelection[]): readonly PcrSelection[] {
    return selection.map(({ hash, pcrs }) => ({
      hash,
      pcrs: this.#values.has(hash) ? [...new Set(pcrs)].sort((a, b) => a - b) : [],
    }))
  }
}
