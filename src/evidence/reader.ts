import { AssayError, type Code } from "../errors.ts"

/**
 * Reads a binary structure from its first byte to its last. The only code that touches a `DataView`.
 *
 * Every read is bounded by the bytes that are there and names its field, so that an error says
 * `TPMS_ATTEST.extraData at byte 10`. Every length that the sender chooses comes with a maximum.
 * Call `end()` when all is read: one byte left over is a refusal.
 *
 * What it returns are views on the input, not copies. The input must not change afterwards.
 */
export class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #structure: string
  readonly #littleEndian: boolean
  /** The same bytes, once any of them are text. */
  #text: Buffer | undefined
  #offset = 0
  /** Stands for the `[]` in the name of a field, so that reading a long list builds no string for each of its items. */
  index = 0

  /** TPM structures are big-endian; event logs and the files of tpm2-tools are little-endian. */
  constructor(
    bytes: Uint8Array,
    structure: string,
    byteOrder: "big-endian" | "little-endian" = "big-endian",
  ) {
    // A plain view even of a Buffer, whose `slice` would share memory where that of a Uint8Array copies.
    this.#bytes =
      bytes.constructor === Uint8Array
        ? bytes
        : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#structure = structure
    this.#littleEndian = byteOrder === "little-endian"
  }

  /** How many bytes have been read. */
  get offset(): number {
    return this.#offset
  }

  /** How many bytes are left. */
  get remaining(): number {
    return this.#bytes.length - this.#offset
  }

  /** @throws {AssayError} FRAMING if the input ends before. */
  u8(field: string): number {
    return this.#view.getUint8(this.#advance(1, field))
  }

  /** @throws {AssayError} FRAMING if the input ends before. */
  u16(field: string): number {
    return this.#view.getUint16(this.#advance(2, field), this.#littleEndian)
  }

  /** @throws {AssayError} FRAMING if the input ends before. */
  u32(field: string): number {
    return this.#view.getUint32(this.#advance(4, field), this.#littleEndian)
  }

  /** A bigint, for a u64 does not fit a number. @throws {AssayError} FRAMING if the input ends before. */
  u64(field: string): bigint {
    return this.#view.getBigUint64(this.#advance(8, field), this.#littleEndian)
  }

  /** TPMI_YES_NO: 0 or 1, and nothing else. @throws {AssayError} FRAMING. */
  flag(field: string): boolean {
    const value = this.u8(field)
    if (value > 1) throw this.error("FRAMING", field, "neither YES nor NO", { actual: String(value) })
    return value === 1
  }

  /** Exactly `size` bytes, a size that our code chose. @throws {AssayError} FRAMING if the input ends before. */
  take(field: string, size: number): Uint8Array {
    const start = this.#advance(size, field)
    return this.#bytes.subarray(start, start + size)
  }

  /**
   * A TPM2B: a u16 size and that many bytes, at most `max`.
   *
   * @throws {AssayError} LENGTH if the size is over `max`; FRAMING if the input ends before.
   */
  sized(field: string, max: number): Uint8Array {
    return this.take(field, this.#bounded(field, this.u16(field), max))
  }

  /** As `sized`, with a u32 size. */
  sized32(field: string, max: number): Uint8Array {
    return this.take(field, this.#bounded(field, this.u32(field), max))
  }

  /**
   * Text with a u32 size, of our own writing: bytes that are no UTF-8 are not refused.
   *
   * @throws {AssayError} LENGTH, FRAMING as `sized32`.
   */
  ownText32(field: string, max: number): string {
    const size = this.#bounded(field, this.u32(field), max)
    const start = this.#advance(size, field)
    if (size === 0) return ""
    const { buffer, byteOffset, byteLength } = this.#bytes
    this.#text ??= Buffer.from(buffer, byteOffset, byteLength)
    return this.#text.toString("utf8", start, start + size)
  }

  /** A u32 count of what follows, at most `max`. @throws {AssayError} LENGTH, FRAMING. */
  count(field: string, max: number): number {
    return this.#bounded(field, this.u32(field), max)
  }

  /** All that is left. */
  rest(): Uint8Array {
    return this.take("rest", this.remaining)
  }

  /** @throws {AssayError} FRAMING if a byte is left over. */
  end(): void {
    if (this.remaining > 0)
      throw this.error("FRAMING", undefined, "bytes after the end of the structure", {
        expected: "no more bytes",
        actual: `${this.remaining} bytes`,
      })
  }

  /** An error about `field` at the place where reading stands. */
  error(
    code: Code,
    field: string | undefined,
    message: string,
    details: { expected?: string; actual?: string } = {},
  ): AssayError {
    const name = field === undefined ? "" : `.${field.replace("[]", `[${this.index}]`)}`
    const location = `${this.#structure}${name} at byte ${this.#offset}`
    return new AssayError(code, `${location}: ${message}`, { location, ...details })
  }

  #bounded(field: string, size: number, max: number): number {
    if (size > max)
      throw this.error("LENGTH", field, "longer than it may be", {
        expected: `at most ${max}`,
        actual: String(size),
      })
    return size
  }

  #advance(size: number, field: string): number {
    const start = this.#offset
    if (size > this.remaining)
      throw this.error("FRAMING", field, "the input ends before it", {
        expected: `${size} bytes`,
        actual: `${this.remaining} bytes`,
      })
    this.#offset += size
    return start
  }
}
