/** Of as many characters at the end a text's number is made: more would cost more, and ids and digests differ in these. */
const NUMBERED = 16

const numberOf = (text: string): number => {
  let number = text.length
  for (let i = Math.max(0, text.length - NUMBERED); i < text.length; i++)
    number = (Math.imul(number, 31) + text.charCodeAt(i)) | 0
  return number
}

/**
 * Texts, and how often each was added. A `Map` by the texts themselves says the same for more: V8 puts a text that a `Map` is
 * asked for among all texts of the process first, which costs more than the answer, and takes it out again when the text is gone.
 * So texts are found by a number, and compared. Texts of one number, which whoever chooses them may know, are in a `Map` after all.
 */
export class Texts {
  /** Of a text that was added once, and is the only one of its number, the text itself. */
  readonly #found = new Map<number, string | Map<string, number>>()
  #size = 0

  /** How many there are, each counted once. */
  get size(): number {
    return this.#size
  }

  has(text: string): boolean {
    const found = this.#found.get(numberOf(text))
    return typeof found === "string" ? found === text : found?.has(text) === true
  }

  /** Adds a text once more, and gives how often it was. */
  add(text: string): number {
    const number = numberOf(text)
    const found = this.#found.get(number)
    if (found === undefined) {
      this.#found.set(number, text)
      this.#size++
      return 1
    }
    const counts = typeof found === "string" ? new Map([[found, 1]]) : found
    const count = (counts.get(text) ?? 0) + 1
    if (count === 1) this.#size++
    this.#found.set(number, counts.set(text, count))
    return count
  }

  /** Takes a text out, however often it was added. */
  delete(text: string): void {
    if (!this.has(text)) return
    const number = numberOf(text)
    const found = this.#found.get(number)
    this.#size--
    if (found instanceof Map && found.size > 1) found.delete(text)
    else this.#found.delete(number)
  }
}

/** The text; if it is `before`, the same string: each one that has just been made is looked up anew wherever it is a key. */
export const sameText = (text: string, before: string | undefined): string =>
  text === before ? before : text
