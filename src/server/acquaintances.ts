/**
 * Who calls on one connection, by what they say of themselves: behind a proxy there are several. So it is known whose call one is
 * before anybody has found that out again, which is what is refused first where there is too much.
 */
import { isSameSecret } from "../bytes.ts"

/** Callers that are remembered of one connection. What another one asks is found out at its full price. */
const ACQUAINTANCES_MAX = 8

interface Acquaintance {
  readonly said: string
  readonly line: string
}

/** Callers that were found to be who they say. Nobody is believed anything by this. */
export class Acquaintances {
  /** The one that was found out last first, for most connections have one. */
  readonly #known: Acquaintance[] = []

  /** The line of the caller who has said the same, if it is remembered. */
  lineOf(said: string): string | undefined {
    return this.#known.find((one) => isSameSecret(one.said, said))?.line
  }

  /** It was found out whose line it is that says so. */
  add(said: string, line: string): void {
    const [last] = this.#known
    if (last?.line === line && last.said === said) return
    const found = this.#known.findIndex((one) => one.said === said)
    if (found >= 0) this.#known.splice(found, 1)
    this.#known.unshift({ said, line })
    if (this.#known.length > ACQUAINTANCES_MAX) this.#known.pop()
  }
}
