/**
 * Where messages begin and end in the bytes of a call, which is all that can be known of one that is not complete: each
 * has five bytes before it, a flag and its size (gRPC over HTTP/2, Length-Prefixed-Message).
 */
import { AssayError } from "../errors.ts"

const HEADER_BYTES = 5
const COMPRESSED = 1

/** What the five bytes before a message say. */
export interface Frame {
  readonly compressed: boolean
  /** Of what follows, in bytes. */
  readonly size: number
}

/** Follows the bytes of one call. */
export class Framing {
  readonly #begun: (frame: Frame) => void
  /** Of a header that comes in pieces. */
  readonly #header: number[] = []
  #left = 0
  #isWithin = false

  /** @param begun Told of each message as soon as its size is known. What it throws ends the call. */
  constructor(begun: (frame: Frame) => void) {
    this.#begun = begun
  }

  /** Whether the last message is not complete. */
  get partial(): boolean {
    return this.#isWithin || this.#header.length > 0
  }

  /** @throws {AssayError} PROTO for a flag that nobody has defined; whatever `begun` throws. */
  push(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#isWithin) {
        const taken = Math.min(chunk.length - at, this.#left)
        this.#left -= taken
        at += taken
      } else if (this.#header.length === 0 && chunk.length - at >= HEADER_BYTES) {
        this.#begin(chunk, at)
        at += HEADER_BYTES
      } else {
        this.#header.push(chunk[at++] ?? 0)
        if (this.#header.length === HEADER_BYTES) this.#begin(this.#header.splice(0), 0)
      }
      if (this.#left === 0) this.#isWithin = false
    }
  }

  #begin(from: ArrayLike<number>, at: number): void {
    const byte = (i: number): number => from[at + i] ?? 0
    const flag = byte(0)
    if (flag > COMPRESSED)
      throw new AssayError("PROTO", "a message begins with a flag that is not defined", {
        location: "message",
        expected: "0, or 1 for a compressed message",
        actual: String(flag),
      })
    this.#isWithin = true
    this.#left = byte(1) * 2 ** 24 + byte(2) * 2 ** 16 + byte(3) * 2 ** 8 + byte(4)
    this.#begun({ compressed: flag === COMPRESSED, size: this.#left })
  }
}
