import { LRUCache } from "lru-cache"
import { fingerprintOf } from "../evidence/x509/certificate.ts"
import type { Want } from "./service.ts"

/** What devices have shown is told again after so long, for the list of it is bounded. */
const WANT_AGAIN_MS = 300_000
/** As many as there are devices that are remembered, at some 200 bytes. */
const TOLD_MAX = 100_000

/** Tells the supervisor. */
type Tell = (tenant: string, chain: readonly Uint8Array[], device: string) => void

/**
 * Tells the supervisor, who looks after CRLs, what devices have shown: each chain once in `WANT_AGAIN_MS`, known by its device
 * and its first certificate, for what is shown with a call is parsed anew each time.
 */
export const wanting = (tell: Tell, nowMs = (): number => performance.now()): Want => {
  const told = new LRUCache<string, number>({ max: TOLD_MAX })
  return (tenant, chain, device) => {
    const [leaf] = chain
    if (leaf === undefined) return
    const key = JSON.stringify([fingerprintOf(leaf), tenant, device])
    const now = nowMs()
    const lastMs = told.get(key)
    if (lastMs !== undefined && now - lastMs < WANT_AGAIN_MS) return
    told.set(key, now)
    tell(
      tenant,
      chain.map(({ bytes }) => new Uint8Array(bytes)),
      device,
    )
  }
}
