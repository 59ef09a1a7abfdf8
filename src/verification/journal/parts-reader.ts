const LENGTH_BYTES = 4
const NUMBER_BYTES = 8

/**
 * Reads what `Parts` wrote, part by part. Whoever reads all of it, until `isAtEnd`, was thrown an Error where a part does not end
 * where it should.
 */
export class PartsReader {
  readonly #buffer: Buffer
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  /** Whether every part was read. */
  get isAtEnd(): boolean {
    return this.#at === this.#buffer.length
  }

  /** The bytes of a part: a view of them. */
  raw(): Uint8Array {
    const end = this.#endOfPart()
    const bytes = this.#buffer.subarray(this.#at, end)
    this.#at = end
    return bytes
  }

  /** The text of a part. */
  text(): string {
    const end = this.#endOfPart()
    const text = this.#buffer.toString("utf8", this.#at, end)
    this.#at = end
    return text
  }

  /** The whole number of a part. */
  number(): number {
    const at = this.#eightBytes()
    return this.#view.getInt32(at) * 2 ** 32 + this.#view.getUint32(at + LENGTH_BYTES)
  }

  /** The number of a part that `double` wrote. */
  double(): number {
    return this.#view.getFloat64(this.#eightBytes())
  }

  /** The u64 of a part. */
  u64(): bigint {
    return this.#view.getBigUint64(this.#eightBytes())
  }

  /** What `read` reads of a part, again and again until its end. */
  list<T>(read: () => T): readonly T[] {
    const end = this.#endOfPart()
    const items: T[] = []
    while (this.#at < end) items.push(read())
    this.#checkAt(end)
    return items
  }

  /** What `read` reads of a part, all of it; nothing if the part is empty. */
  sequence<T>(read: () => T): T | undefined {
    const end = this.#endOfPart()
    if (this.#at === end) return undefined
    const found = read()
    this.#checkAt(end)
    return found
  }

  #eightBytes(): number {
    const at = this.#at + LENGTH_BYTES
    const end = this.#endOfPart()
    this.#at = at + NUMBER_BYTES
    this.#checkAt(end)
    return at
  }

  #endOfPart(): number {
    const size = this.#view.getUint32(this.#at)
    this.#at += LENGTH_BYTES
    return this.#at + size
  }

  #checkAt(end: number): void {
    if (this.#at !== end) throw new RangeError("a part does not end where it should")
  }
}
