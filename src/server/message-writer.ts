/**
 * Writes protobuf messages field by field, for the one answer that is written many thousand times a second. Everything else is
 * written by the library, and tests hold one against the other.
 */
import { PREFIX_BYTES, writePrefix } from "../rpc.ts"

const FIRST_BYTES = 4096
/** Of a number up to 2^53. */
const VARINT_BYTES_MAX = 8
/** UTF-8 has at most as many bytes for each unit of a string. */
const UTF8_BYTES_MAX = 3
const VARINT = 0
const LENGTH_DELIMITED = 2
const MESSAGE_LENGTH_BYTES = 2

/** Fields of proto3: what is zero, or empty, is left out. Field numbers are below 2^25, numbers whole and up to 2^53. */
export class MessageWriter {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES)
  #at = 0

  /** An unsigned or enumerated number. */
  uint(field: number, value: number): void {
    if (value === 0) return
    this.#reserve(2 * VARINT_BYTES_MAX)
    this.#varint(field * 8 + VARINT)
    this.#varint(value)
  }

  /** A signed number of 32 bits, in zigzag (`sint32`). */
  sint(field: number, value: number): void {
    this.uint(field, ((value << 1) ^ (value >> 31)) >>> 0)
  }

  bytes(field: number, value: Uint8Array): void {
    if (value.length > 0) this.bytesOf(field, value)
  }

  /** Bytes of a field that says by being there that it is: one of a list, or of a oneof. */
  bytesOf(field: number, value: Uint8Array): void {
    this.#reserve(2 * VARINT_BYTES_MAX + value.length)
    this.#varint(field * 8 + LENGTH_DELIMITED)
    this.#varint(value.length)
    this.#bytes.set(value, this.#at)
    this.#at += value.length
  }

  text(field: number, value: string): void {
    if (value !== "") this.textOf(field, value)
  }

  /** The same, of a oneof. */
  textOf(field: number, value: string): void {
    this.#reserve(2 * VARINT_BYTES_MAX + value.length * UTF8_BYTES_MAX)
    this.#varint(field * 8 + LENGTH_DELIMITED)
    // Its length comes before it and is known after it. Most texts have a byte for each character.
    const lengthBytes = varintBytes(value.length)
    const start = this.#at + lengthBytes
    this.#at = start + this.#bytes.write(value, start)
    this.#close(start, lengthBytes)
  }

  /** Begins a message within this one, and gives what has to be given to `end` when it is written. */
  begin(field: number): number {
    this.#reserve(2 * VARINT_BYTES_MAX)
    this.#varint(field * 8 + LENGTH_DELIMITED)
    // Most have as many bytes of length as are left free here.
    this.#at += MESSAGE_LENGTH_BYTES
    return this.#at
  }

  /** Ends the message that began at `start`. */
  end(start: number): void {
    this.#close(start, MESSAGE_LENGTH_BYTES)
  }

  /** Begins a message of its own. Whatever an earlier one left behind is gone. */
  start(): void {
    this.#at = PREFIX_BYTES
  }

  /** What was written since then, with its prefix, in bytes of its own. */
  frame(): Buffer {
    const frame = Buffer.allocUnsafe(this.#at)
    this.#bytes.copy(frame, 0, 0, this.#at)
    writePrefix(frame)
    return frame
  }

  /** Writes the length of what is there from `start` on into the bytes before it, of which `left` were left free. */
  #close(start: number, left: number): void {
    const length = this.#at - start
    const lengthBytes = varintBytes(length)
    if (lengthBytes !== left) {
      this.#reserve(VARINT_BYTES_MAX)
      this.#bytes.copyWithin(start - left + lengthBytes, start, start + length)
    }
    this.#at = start - left
    this.#varint(length)
    this.#at += length
  }

  #varint(value: number): void {
    let rest = value
    while (rest > 127) {
      this.#bytes[this.#at++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#at++] = rest
  }

  #reserve(size: number): void {
    if (this.#at + size <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(2 * (this.#at + size))
    larger.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = larger
  }
}

const varintBytes = (value: number): number => {
  let size = 1
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) size++
  return size
}
