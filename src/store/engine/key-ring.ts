import type { KeyObject } from "node:crypto"
import { sameBytes, toHex } from "../../bytes.ts"
import type { KeyRecords } from "./key-record.ts"
import type { KeyRecord, KeyUse } from "./link.ts"
import type { SealingKey } from "./sealing.ts"

/** How long a shared key is the one to seal with. */
const PERIOD_MS = 86_400_000
/** The next one is made so long before, so that it is everywhere when it is needed. */
const LEAD_MS = 3_600_000
const USES: readonly KeyUse[] = ["sealing", "epoch"]

/** The period of an instant: days since 1970. */
export const periodOf = (at: Date): number => Math.floor(at.getTime() / PERIOD_MS)

/** Shared keys, ready to use: those that the store has, and no other. */
export interface KeyRing {
  /**
   * Takes what the store has now; what it has no more is gone. Gives whether any of it was new.
   *
   * @throws {AssayError} INPUT as `KeyRecords.open`.
   */
  take(records: readonly KeyRecord[]): Promise<boolean>
  /** New keys for what is needed at an instant and is not there. @throws {AssayError} RNG. */
  missing(at: Date): Promise<readonly KeyRecord[]>
  sealingKey(id: Uint8Array): SealingKey | undefined
  /** The key to seal with at an instant. */
  currentKey(at: Date): SealingKey | undefined
  epochKey(period: number): KeyObject | undefined
}

/**
 * A ring of keys of which each is used for a day, and opens what it sealed for a day more. Making one is left to whoever
 * comes first: a record that is there already wins.
 */
export function createKeyRing(records: KeyRecords): KeyRing {
  let held = new Map<string, { readonly record: KeyRecord; readonly key: SealingKey }>()

  const find = (use: KeyUse, period: number): SealingKey | undefined => held.get(`${use}/${period}`)?.key

  return {
    async take(found) {
      const taken: typeof held = new Map()
      let isNew = false
      for (const record of found) {
        const name = `${record.use}/${record.period}`
        const known = held.get(name)
        const isKnown = known !== undefined && sameBytes(known.record.bytes, record.bytes)
        taken.set(name, isKnown ? known : { record, key: await records.open(record) })
        isNew ||= !isKnown
      }
      held = taken
      return isNew
    },
    missing(at) {
      const [period, soon] = [periodOf(at), periodOf(new Date(at.getTime() + LEAD_MS))]
      const wanted = [...new Set([period, soon])].flatMap((one) => USES.map((use) => ({ use, period: one })))
      return Promise.all(
        wanted
          .filter(({ use, period: one }) => find(use, one) === undefined)
          .map(({ use, period: one }) => records.create(use, one)),
      )
    },
    sealingKey: (id) =>
      [...held.values()].find(({ record, key }) => record.use === "sealing" && toHex(key.id) === toHex(id))
        ?.key,
    currentKey: (at) => find("sealing", periodOf(at)),
    epochKey: (period) => find("epoch", period)?.key,
  }
}
