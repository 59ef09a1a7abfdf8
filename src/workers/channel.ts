/**
 * What two processes ask and tell each other. Everything that is said in one turn of the event loop goes together, so that
 * many small questions cost one message.
 */
import { AssayError, type Code } from "../errors.ts"

/** Functions that one side offers the other; arguments and results survive a structured clone. */
export type Offers = Readonly<Record<string, (...args: never[]) => unknown>>

/** What a failure says of itself; the class would not survive. */
interface Failure {
  readonly reason: string
  readonly code: Code | undefined
  readonly location: string | undefined
}

/** One thing said. */
export type Item =
  | { readonly kind: "ask"; readonly ref: number; readonly name: string; readonly args: readonly unknown[] }
  | { readonly kind: "tell"; readonly name: string; readonly args: readonly unknown[] }
  | { readonly kind: "answer"; readonly ref: number; readonly value: unknown }
  | { readonly kind: "failure"; readonly ref: number; readonly failure: Failure }

/** One side of the two. */
export interface Channel<Theirs extends Offers> {
  /**
   * Calls one of their functions. Rejects if they do not answer in time, as soon as the channel is closed, and with what
   * they threw.
   *
   * @param limitMs Nothing for as long as they live.
   */
  ask<Name extends keyof Theirs & string>(
    name: Name,
    limitMs: number | undefined,
    ...args: Parameters<Theirs[Name]>
  ): Promise<Awaited<ReturnType<Theirs[Name]>>>
  /** Calls one of their functions, and does not wait. */
  tell<Name extends keyof Theirs & string>(name: Name, ...args: Parameters<Theirs[Name]>): void
  /** Takes what they have said. */
  hear(items: readonly Item[]): void
  /** Nobody is there any more. */
  close(): void
}

interface Asked {
  readonly resolve: (value: never) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout | undefined
}

/** @param send Sends what was said, in its order. What cannot be sent is lost. */
export function createChannel<Theirs extends Offers>(
  send: (items: readonly Item[]) => void,
  offers: Offers,
): Channel<Theirs> {
  const asked = new Map<number, Asked>()
  let refs = 0
  let waiting: Item[] = []
  let isClosed = false

  const flush = (): void => {
    const items = waiting
    waiting = []
    send(items)
  }
  const say = (item: Item): void => {
    if (waiting.length === 0) setImmediate(flush)
    waiting.push(item)
  }
  const settle = (ref: number): Asked | undefined => {
    const one = asked.get(ref)
    asked.delete(ref)
    clearTimeout(one?.timer)
    return one
  }
  const call = async (name: string, args: readonly unknown[]): Promise<unknown> => {
    const offer = offers[name]
    if (offer === undefined) throw new TypeError(`nobody offers ${name}`)
    return Reflect.apply(offer, undefined, args)
  }
  const answer = (ref: number, name: string, args: readonly unknown[]): void => {
    call(name, args).then(
      (value) => say({ kind: "answer", ref, value }),
      (error: unknown) => say({ kind: "failure", ref, failure: failureOf(error) }),
    )
  }
  const hearOne = (item: Item): void => {
    switch (item.kind) {
      case "ask":
        answer(item.ref, item.name, item.args)
        break
      case "tell":
        call(item.name, item.args).catch(() => {}) // nobody waits for it
        break
      case "answer":
        // Both ends are compiled against the same type.
        settle(item.ref)?.resolve(item.value as never)
        break
      case "failure":
        settle(item.ref)?.reject(errorOf(item.failure))
        break
    }
  }
  return {
    ask: (name, limitMs, ...args) =>
      new Promise((resolve, reject) => {
        if (isClosed) return reject(new Error("the other process has ended"))
        const ref = refs++
        const late = (): void => settle(ref)?.reject(new Error(`${name} was not answered in time`))
        const timer = limitMs === undefined ? undefined : setTimeout(late, limitMs)
        asked.set(ref, { resolve, reject, timer })
        say({ kind: "ask", ref, name, args })
      }),
    tell: (name, ...args) => say({ kind: "tell", name, args }),
    hear: (items) => items.forEach(hearOne),
    close() {
      isClosed = true
      for (const ref of [...asked.keys()]) settle(ref)?.reject(new Error("the other process has ended"))
    },
  }
}

const failureOf = (error: unknown): Failure => ({
  reason: error instanceof Error ? error.message : "for no reason that is known",
  code: error instanceof AssayError ? error.code : undefined,
  location: error instanceof AssayError ? error.location : undefined,
})

const errorOf = ({ reason, code, location }: Failure): Error =>
  code === undefined
    ? new Error(reason)
    : new AssayError(code, reason, { ...(location !== undefined && { location }) })
