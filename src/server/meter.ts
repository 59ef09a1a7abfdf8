import type { Meter, Who } from "../service/ports.ts"

/** Is told that a caller's request has taken so many milliseconds of the event loop, more than most do. */
export type ChargeCaller = (who: Who, ms: number) => void

/** What is less is in what every request weighs: a signature check by most keys, or all of a small log. */
const USUAL_MS = 0.1
/** What is more is the machine's doing, or the collector's, and no caller's: all that a sender can arrange ends sooner. */
const MOST_MS = 50

/** A meter, and who is told of what it counts: a server, which is made after the service that it serves. */
export interface OpenMeter {
  readonly meter: Meter
  readonly tell: (told: ChargeCaller) => void
}

/** @param nowMs A clock that never goes back. */
export const createMeter = (nowMs = (): number => performance.now()): OpenMeter => {
  let told: ChargeCaller = () => {}
  const charge: ChargeCaller = (who, ms) => {
    if (ms > USUAL_MS) told(who, Math.min(ms, MOST_MS))
  }
  return {
    meter: {
      run(who, act) {
        const sinceMs = nowMs()
        try {
          return act()
        } finally {
          charge(who, nowMs() - sinceMs)
        }
      },
      charge,
    },
    tell: (to) => {
      told = to
    },
  }
}
