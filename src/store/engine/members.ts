/**
 * The engine of processes that share a port. Each seals with a key of its own and remembers what of it was spent, and both
 * end with it; the others open what it sealed, and have it use it. What an owner that has ended may have spent is refused by
 * everybody: its key is never given to another.
 */
import { sameBytes } from "../../bytes.ts"
import { AssayError, type Code } from "../../errors.ts"
import type { OpenedValue, SealedPurpose, SingleUse } from "../../service/ports.ts"
import type { Engine } from "./engine.ts"
import {
  expiredCount,
  expiredValue,
  fullStore,
  isLive,
  keyIdOf,
  nameOf,
  openedOf,
  type SealingKey,
  spentValue,
  unknownValue,
  unseal,
} from "./sealing.ts"

/** A use of what another process owns. It survives a structured clone. */
export type MemberUse =
  | {
      readonly kind: "spend" | "attempt"
      readonly purpose: SealedPurpose
      readonly tenant: string
      /** 32 bytes. */
      readonly id: Uint8Array
      /** 8 bytes, which say who owns it. */
      readonly keyId: Uint8Array
      readonly expiresAt: Date
      readonly at: Date
    }
  | {
      readonly kind: "count"
      readonly tenant: string
      readonly id: Uint8Array
      readonly until: Date
      readonly at: Date
    }

/** What became of a use. It survives a structured clone. */
export type MemberVerdict =
  /** So often with this one; 1 of what was spent. */
  | { readonly kind: "used"; readonly uses: number }
  | { readonly kind: "refused"; readonly code: Code }
  /** Its owner has ended, and with it the memory of what was spent. */
  | { readonly kind: "gone" }

/** The other processes. */
export interface Members {
  /** The key with an id, if its owner lives. */
  key(id: Uint8Array): SealingKey | undefined
  /** Has the owner use it. Rejects if nobody answers in time: it may have been used. */
  use(use: MemberUse): Promise<MemberVerdict>
}

/**
 * The engine of one process among several: `own` for what was sealed here, and the others for everything else.
 *
 * @param own The memory engine with the key `keyId`.
 * @param counts Whether what is counted without having been sealed is counted here, or by the others: one does it for all.
 */
export function createMemberEngine(
  own: Engine,
  keyId: Uint8Array,
  members: Members,
  counts: "here" | "elsewhere",
): Engine {
  const { singleUse } = own
  const isOwn = (id: Uint8Array): boolean => sameBytes(id, keyId)

  const useValue = async (kind: "spend" | "attempt", value: OpenedValue, at: Date): Promise<number> => {
    const { purpose, tenant, id, expiresAt, origin } = value
    const use: MemberUse = { kind, purpose, tenant, id, keyId: origin.keyId, expiresAt, at }
    const verdict = await answered(members.use(use), nameOf(value))
    switch (verdict.kind) {
      case "used":
        return verdict.uses
      case "gone":
        throw new AssayError(
          "NONCE_FENCED",
          `the process that made the ${nameOf(value)} has ended: begin anew`,
        )
      case "refused":
        throw refusalOf(verdict.code, value)
    }
  }
  return {
    ...own,
    singleUse: {
      seal: singleUse.seal,
      async open(purpose, sealed, at) {
        const id = keyIdOf(purpose, sealed)
        if (isOwn(id)) return singleUse.open(purpose, sealed, at)
        const key = members.key(id)
        if (key === undefined) throw unknownValue(purpose)
        const value = unseal(purpose, sealed, key)
        if (!isLive(value.expiresAt, at)) throw expiredValue(value)
        return value
      },
      attempt: async (value, at) =>
        isOwn(value.origin.keyId) ? singleUse.attempt(value, at) : useValue("attempt", value, at),
      async count(tenant, id, until, at) {
        if (counts === "here") return singleUse.count(tenant, id, until, at)
        const verdict = await answered(members.use({ kind: "count", tenant, id, until, at }), "enrollment")
        if (verdict.kind === "used") return verdict.uses
        throw verdict.kind === "refused" && verdict.code === "CHALLENGES_FULL" ? fullStore() : expiredCount()
      },
      async spend(value, at) {
        if (isOwn(value.origin.keyId)) await singleUse.spend(value, at)
        else await useValue("spend", value, at)
      },
    },
  }
}

/** Anew for each caller: an error goes on to say what became of its challenge. */
const answered = async (verdict: Promise<MemberVerdict>, what: string): Promise<MemberVerdict> => {
  try {
    return await verdict
  } catch (cause) {
    throw new AssayError("NONCE_STORE", `the process that made the ${what} does not answer: begin anew`, {
      cause,
    })
  }
}

const refusalOf = (code: Code, value: OpenedValue): AssayError => {
  switch (code) {
    case "NONCE_SPENT":
      return spentValue(value)
    case "NONCE_EXPIRED":
      return expiredValue(value)
    case "CHALLENGES_FULL":
      return fullStore()
    default:
      return new AssayError("NONCE_STORE", `the ${nameOf(value)} could not be used: begin anew`)
  }
}

/** What the owner of a key answers to another process. What is of another key has no owner here. */
export async function answerUse(own: SingleUse, keyId: Uint8Array, use: MemberUse): Promise<MemberVerdict> {
  try {
    if (use.kind === "count")
      return { kind: "used", uses: await own.count(use.tenant, use.id, use.until, use.at) }
    if (!sameBytes(use.keyId, keyId)) return { kind: "gone" }
    const { purpose, tenant, id, expiresAt, at } = use
    const origin = { keyId, fence: "" }
    const value = openedOf({ purpose, tenant, id, expiresAt, content: new Uint8Array() }, origin)
    if (use.kind === "attempt") return { kind: "used", uses: await own.attempt(value, at) }
    await own.spend(value, at)
    return { kind: "used", uses: 1 }
  } catch (error) {
    if (error instanceof AssayError) return { kind: "refused", code: error.code }
    throw error
  }
}
