import { LRUCache } from "lru-cache"
import type { Certificate } from "../evidence/x509/certificate.ts"
import { type RequiredCrl, reasonsOf } from "./refresh-health.ts"
import { type RefreshParts, runPass } from "./refresh-pass.ts"
import type { RefreshReport } from "./refresh-report.ts"
import type { Progress } from "./refresh-schedule.ts"
import { WantedList } from "./refresh-wanted.ts"

/** Keeps CRLs and issuers' certificates current, apart from any request. */
export interface Refresh {
  /**
   * One pass: loads what is due, keeps what is good. A source that fails is reported and tried again later; what is kept of it
   * stays. It ends after some minutes at most, and the next one goes on with the rest. For one tenant, no two passes at a time.
   *
   * @param progressed Called after each step: as long as that goes on, the pass is alive.
   * @throws {AssayError} TRUST, REGISTRY, JOURNAL: then nothing is known of how the tenant's trust stands.
   */
  refresh(tenant: string, signal: AbortSignal, progressed?: () => void): Promise<RefreshReport>
  /**
   * Notes the certificates of a chain that was shown, whether it was verified or not: what they name is looked after from
   * the next pass on. Bounded for each device, cheap, and nothing in them is believed.
   *
   * @param device Whose chain it is. It has proven its key, or its operator registers it: shares go by it.
   */
  want(tenant: string, chain: readonly Certificate[], device: string): void
  /** Why nothing is accepted under some anchor: a CRL that it requires is missing or has expired. */
  unready(at: Date): readonly string[]
}

/** URLs whose progress is remembered, so that nobody is asked more often for having been forgotten. */
const PROGRESS_MAX = 2000
const TENANTS_MAX = 100

interface TenantState {
  readonly wanted: WantedList
  readonly progress: LRUCache<string, Progress>
  required: readonly RequiredCrl[]
}

/** Makes the refresher. It has no timer and no network: who calls `refresh`, and what `fetch` is, is handed in. */
export function createRefresh(parts: RefreshParts): Refresh {
  const hosts = new Set(parts.hosts)
  const states = new LRUCache<string, TenantState>({ max: TENANTS_MAX })
  const stateOf = (tenant: string): TenantState => {
    const state = states.get(tenant) ?? {
      wanted: new WantedList(hosts),
      progress: new LRUCache({ max: PROGRESS_MAX }),
      required: [],
    }
    states.set(tenant, state)
    return state
  }
  return {
    async refresh(tenant, signal, progressed = () => {}) {
      const state = stateOf(tenant)
      const { report, required } = await runPass(parts, {
        tenant,
        hosts,
        signal,
        progressed,
        wanted: state.wanted.all(),
        progress: state.progress,
      })
      state.required = required
      return report
    },
    want(tenant, chain, device) {
      if (hosts.size > 0) stateOf(tenant).wanted.note(chain, device)
    },
    unready: (at) => [...states.values()].flatMap(({ required }) => reasonsOf(required, at)),
  }
}
