import type { Clock } from "../../../src/service/ports.ts"

/** A clock that stands still until it is told otherwise. */
export interface FakeClock extends Clock {
  /** Moves it by so much; back, if negative. */
  advance(ms: number): void
}

/** A clock that says `iso`. */
export const clockAt = (iso: string): FakeClock => {
  let ms = Date.parse(iso)
  if (Number.isNaN(ms)) throw new TypeError(`${iso} is no instant`)
  return {
    now: () => new Date(ms),
    advance: (by) => {
      ms += by
    },
  }
}
