const START_BYTES = 1024
const LENGTH_BYTES = 4
const NUMBER_BYTES = 8
/** UTF-8 takes no more for one unit of UTF-16. */
const UTF8_BYTES_MAX = 3
const ASCII_MAX = 0x7f
/** Texts of so many units are written one by one. */
const SHORT = 32

/**
 * Writes parts one after another, each after its length as a u32, big-endian, as `lengthPrefixed` does: in one pass and into
 * one buffer, for the journal does it for every call of the service.
 */
export class Parts {
  #buffer = Buffer.allocUnsafe(START_BYTES)
  #view = viewOf(this.#buffer)
  #size = 0

  /** All that was written: a view of it, good until more is. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#size)
  }

  /** How many bytes were written. */
  get size(): number {
    return this.#size
  }

  /** Takes back what was written after so many bytes. */
  cutTo(size: number): this {
    this.#size = Math.min(size, this.#size)
    return this
  }

  /** A part of bytes. */
  raw(bytes: Uint8Array): this {
    this.#reserve(LENGTH_BYTES + bytes.length)
    this.#view.setUint32(this.#size, bytes.length)
    this.#buffer.set(bytes, this.#size + LENGTH_BYTES)
    this.#size += LENGTH_BYTES + bytes.length
    return this
  }

  /** A part of text, in UTF-8. @throws {TypeError} for text that UTF-8 cannot spell: two of them would have one encoding. */
  text(text: string): this {
    if (text.length <= SHORT && this.#shortAscii(text)) return this
    if (!text.isWellFormed()) throw new TypeError("text that UTF-8 cannot spell")
    this.#reserve(LENGTH_BYTES + UTF8_BYTES_MAX * text.length)
    const size = this.#buffer.write(text, this.#size + LENGTH_BYTES)
    this.#view.setUint32(this.#size, size)
    this.#size += LENGTH_BYTES + size
    return this
  }

  /** A part of 8 bytes: a whole number, big-endian, in two's complement. @throws {RangeError} if it is none. */
  number(value: number): this {
    if (!Number.isSafeInteger(value)) throw new RangeError("not a whole number")
    this.#reserve(LENGTH_BYTES + NUMBER_BYTES)
    this.#view.setUint32(this.#size, NUMBER_BYTES)
    this.#view.setInt32(this.#size + LENGTH_BYTES, Math.floor(value / 2 ** 32))
    this.#view.setUint32(this.#size + 2 * LENGTH_BYTES, value >>> 0)
    this.#size += LENGTH_BYTES + NUMBER_BYTES
    return this
  }

  /** A part of 8 bytes: any number, and none, as IEEE 754 has it, big-endian. */
  double(value: number): this {
    this.#reserve(LENGTH_BYTES + NUMBER_BYTES)
    this.#view.setUint32(this.#size, NUMBER_BYTES)
    this.#view.setFloat64(this.#size + LENGTH_BYTES, value)
    this.#size += LENGTH_BYTES + NUMBER_BYTES
    return this
  }

  /** A part of 8 bytes: a u64, big-endian. @throws {RangeError} if it is none. */
  u64(value: bigint): this {
    if (BigInt.asUintN(64, value) !== value) throw new RangeError("not a u64")
    this.#reserve(LENGTH_BYTES + NUMBER_BYTES)
    this.#view.setUint32(this.#size, NUMBER_BYTES)
    this.#view.setBigUint64(this.#size + LENGTH_BYTES, value)
    this.#size += LENGTH_BYTES + NUMBER_BYTES
    return this
  }

  /** A part made of the parts that `write` writes. */
  list(write: () => void): this {
    this.#reserve(LENGTH_BYTES)
    const at = this.#size
    this.#size += LENGTH_BYTES
    write()
    this.#view.setUint32(at, this.#size - at - LENGTH_BYTES)
    return this
  }

  /** Writes it if it is ASCII: for what is short, a call out of the engine takes longer than its bytes do. */
  #shortAscii(text: string): boolean {
    const { length } = text
    this.#reserve(LENGTH_BYTES + length)
    const start = this.#size + LENGTH_BYTES
    for (let i = 0; i < length; i += 1) {
      const unit = text.charCodeAt(i)
      if (unit > ASCII_MAX) return false
      this.#buffer[start + i] = unit
    }
    this.#view.setUint32(this.#size, length)
    this.#size = start + length
    return true
  }

  #reserve(size: number): void {
    if (this.#size + size <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(2 * (this.#size + size))
    larger.set(this.bytes)
    this.#buffer = larger
    this.#view = viewOf(larger)
  }
}

const viewOf = ({ buffer, byteOffset, length }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, length)
