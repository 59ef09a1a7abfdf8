/**
 * Answers to calls that are refused at once: so many in one turn of the loop. Those beyond that wait for the next one, the
 * connections' in turns. Whoever always has as many calls open as it can would else have them all answered in every turn, and whatever
 * is done for others takes several.
 */
import type { ServerHttp2Stream } from "node:http2"

/**
 * So many in each turn: some 20 ms, or 40 on a slow machine. Not by how long turns take, for these are what makes them long; and enough
 * for calls that come steadily where others make a turn as long again.
 */
const ANSWERS = 512

/** `sendDate` is Node's, whatever its types say. */
const REFUSING = { endStream: true, sendDate: false }

/** A call that is not answered yet. */
export interface Refused {
  readonly stream: ServerHttp2Stream
  readonly headers: readonly string[]
}

/** The calls of one connection that wait for their refusal, in the order in which they came. */
export type RefusedLine = Refused[]

/** Answers them. */
export class Refusals {
  /** That somebody waits in, in the order of their turns. */
  readonly #lines: RefusedLine[] = []
  /** Answers that this turn of the loop has room for. */
  #left = ANSWERS
  #isSet = false

  /** Answers with nothing but headers, in this turn of the loop or in a later one. */
  answer(line: RefusedLine, refused: Refused): void {
    if (this.#left > 0 && line.length === 0) this.#send(refused)
    else if (line.push(refused) === 1) this.#lines.push(line)
    if (!this.#isSet) this.#set()
  }

  #set(): void {
    this.#isSet = true
    setImmediate(() => this.#turn())
  }

  #turn(): void {
    this.#isSet = false
    this.#left = ANSWERS
    while (this.#left > 0) {
      const line = this.#lines.shift()
      const first = line?.shift()
      if (line === undefined || first === undefined) return
      this.#send(first)
      if (line.length > 0) this.#lines.push(line)
    }
    this.#set()
  }

  #send({ stream, headers }: Refused): void {
    if (stream.closed || stream.destroyed) return // its caller did not wait for it
    this.#left -= 1
    stream.respond(headers, REFUSING)
  }
}
