/** The use cases of trust over a store in memory, and certificates to ask them to import. */
import { hash } from "node:crypto"
import type { ImportTrustInput, NewAnchor } from "../../src/service/import-trust.ts"
import { createLoadTrust } from "../../src/service/load-trust.ts"
import { createParseTrust } from "../../src/service/parse-trust.ts"
import type { Caller, JournalRecord, Ports, TrustStore } from "../../src/service/ports.ts"
import { createTrustUseCases } from "../../src/service/trust.ts"
import { memoryStore } from "../support/ports/memory.ts"
import { NOON } from "../support/ports/samples.ts"

export const ALICE: Caller = { tenant: "default", id: "alice" }

/** What a world is made of instead of the usual. */
export interface WorldOptions {
  /** A SubjectPublicKeyInfo that nobody may be trusted by. */
  readonly denied?: Uint8Array
  readonly replaced?: Partial<TrustStore>

  readonly breathe?: Ports["breathe"]
  /** By default one in memory. */
  readonly stores?: Pick<ReturnType<typeof memoryStore>, "trust" | "journal">
}

/** The use cases, at noon. */
export const world = (options: WorldOptions = {}) => {
  const { denied, replaced = {}, breathe, stores = memoryStore() } = options
  let breaths = 0
  const clock = { now: () => NOON }
  const store: TrustStore = { ...stores.trust, ...replaced }
  const deniedKeys: Ports["denied"] = {
    size: 1,
    find: (digest) =>
      denied !== undefined && digest === hash("sha256", denied, "hex")
        ? { reason: "it leaked", source: "https://example.com" }
        : undefined,
  }
  const parse = createParseTrust(async () => {})
  const trust = createTrustUseCases({
    clock,
    breathe: async () => {
      breaths++
      await breathe?.()
    },
    trust: store,
    loadTrust: createLoadTrust({ store, parse, denied: deniedKeys, clock }).loadTrust,
    denied: deniedKeys,
  })
  const records = (tenant = "default"): Promise<readonly JournalRecord[]> => stores.journal.records(tenant)
  return { trust, store: stores.trust, records, breaths: () => breaths }
}

export const idOf = (der: Uint8Array): string => hash("sha256", der, "hex")

export const anchorOf = (certificate: Uint8Array, changed: Partial<NewAnchor> = {}): NewAnchor => ({
  certificate,
  label: "root",
  purpose: "ek",
  revocation: "when-published",
  provenance: "checked by hand",
  ...changed,
})

export const NOTHING: ImportTrustInput = { anchors: [], intermediates: [], crls: [], eks: [] }

export const anchors = (...list: readonly Uint8Array[]): ImportTrustInput => ({
  ...NOTHING,
  anchors: list.map((certificate) => anchorOf(certificate)),
})
