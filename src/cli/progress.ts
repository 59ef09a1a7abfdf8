import type { CliIo } from "./parts.ts"

const INTERVAL_MS = 1000

/** Tells on `err`, once a second at most and not before the first, how far `what` is: `3000 of 100000 keys imported`. */
export const createProgress = ({ err }: CliIo, what: string): ((done: number, total?: number) => void) => {
  let last = performance.now()
  return (done, total) => {
    const now = performance.now()
    if (now - last < INTERVAL_MS) return
    last = now
    err(`${done}${total === undefined ? "" : ` of ${total}`} ${what}\n`)
  }
}
