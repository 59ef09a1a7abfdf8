import type { Tier } from "../appraisal/finding.ts"
import type { Code } from "../errors.ts"
import type { Service } from "./service.ts"

/** Is told how verifications end. */
export interface ResultObserver {
  verified(tier: Tier): void
  /** A finding that a result was contraindicated for. */
  refused(code: Code): void
}

/** The same service, with an observer of its verdicts. */
export const observed = (service: Service, observer: ResultObserver): Service => ({
  ...service,
  verify: (input, caller) =>
    service.verify(input, caller).then((result) => {
      observer.verified(result.tier)
      for (const { tier, code } of result.findings)
        if (tier === "contraindicated" && code !== undefined) observer.refused(code)
      return result
    }),
})
