import { AssayError } from "../errors.ts"
import { FRESHNESSES, type Freshness } from "./device-freshness.ts"
import type { DeviceState } from "./ports.ts"

/** What a list of devices is asked to be narrowed by: all of it holds. */
export interface AskedFilter {
  readonly state?: DeviceState
  readonly freshness?: Freshness
  readonly group?: string
  /** The policy of its own. */
  readonly policy?: string
  readonly label?: { readonly key: string; readonly value: string }
  readonly idPrefix?: string
}

/** Names and values as tokens: a word, a text in quotes with \" and \\ escaped, or a sign. */
const TOKEN = /(?<word>[A-Za-z0-9][A-Za-z0-9._-]*\*?)|"(?<text>(?:[^"\\]|\\["\\])*)"|(?<sign>=)/y
const ID = /^[a-z0-9][a-z0-9._-]{0,62}$/
const LABEL_VALUE = /^[ -~]{0,255}$/
const LABELS = "labels."
const STATES: Readonly<Record<DeviceState, DeviceState>> = {
  pending: "pending",
  active: "active",
  suspended: "suspended",
  revoked: "revoked",
  retired: "retired",
}

/**
 * Reads a filter: terms `name=value` joined by AND, each name once, as in
 * `state=active AND group="edge" AND labels.site="north 4" AND id="gate-*" AND freshness=silent`. Values may stand in
 * double quotes, in which `\"` and `\\` stand for those characters. Spaces around signs and words mean nothing.
 *
 * @throws {AssayError} FILTER, with the character at which it went wrong, counted from 1.
 */
export function parseFilter(text: string): AskedFilter {
  const tokens = new Tokens(text)
  let filter: AskedFilter = {}
  if (tokens.atEnd()) return filter
  for (;;) {
    const name = tokens.word("a name, as state")
    tokens.sign("=")
    filter = { ...filter, ...termOf(name, tokens.value(), filter) }
    if (tokens.atEnd()) return filter
    const and = tokens.word("AND")
    if (and.text !== "AND") throw refused(and.at, "AND between two terms", and.text)
  }
}

interface Token {
  readonly text: string
  /** Counted from 0. */
  readonly at: number
}

/** Reads token by token, and knows where it is. */
class Tokens {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
    this.#skip()
  }

  atEnd(): boolean {
    return this.#at === this.#text.length
  }

  word(expected: string): Token {
    const { at, groups } = this.#next(expected)
    if (groups["word"] === undefined) throw this.#unexpected(at, expected)
    return { at, text: groups["word"] }
  }

  sign(sign: "="): void {
    const { at, groups } = this.#next(sign)
    if (groups["sign"] !== sign) throw this.#unexpected(at, sign)
  }

  value(): Token {
    const { at, groups } = this.#next("a value")
    const text = groups["text"]?.replace(/\\(.)/g, "$1") ?? groups["word"]
    if (text === undefined) throw this.#unexpected(at, "a value")
    return { at, text }
  }

  #next(expected: string): { at: number; groups: Record<string, string | undefined> } {
    const at = this.#at
    TOKEN.lastIndex = at
    const match = TOKEN.exec(this.#text)
    if (match === null) throw this.#unexpected(at, expected)
    this.#at = TOKEN.lastIndex
    this.#skip()
    return { at, groups: match.groups ?? {} }
  }

  #unexpected(at: number, expected: string): AssayError {
    return refused(at, expected, at === this.#text.length ? "the end" : this.#text.slice(at, at + 20))
  }

  #skip(): void {
    while (this.#text[this.#at] === " ") this.#at++
  }
}

const termOf = (name: Token, value: Token, before: AskedFilter): AskedFilter => {
  if (name.text.startsWith(LABELS)) {
    const key = { at: name.at + LABELS.length, text: name.text.slice(LABELS.length) }
    once("label", name, before)
    return {
      label: {
        key: matching(ID, key, "a label's key"),
        value: matching(LABEL_VALUE, value, "a label's value"),
      },
    }
  }
  switch (name.text) {
    case "state":
      once("state", name, before)
      return { state: oneOf(Object.values(STATES), value) }
    case "freshness":
      once("freshness", name, before)
      return { freshness: oneOf(FRESHNESSES, value) }
    case "group":
      once("group", name, before)
      return { group: matching(ID, value, "a group's name") }
    case "policy":
      once("policy", name, before)
      return { policy: matching(ID, value, "a policy's name") }
    case "id":
      once("idPrefix", name, before)
      if (!value.text.endsWith("*")) throw refused(value.at, "how ids begin, and a star: gate-*", value.text)
      return {
        idPrefix: matching(
          ID,
          { ...value, text: value.text.slice(0, -1) },
          "how ids begin, and a star: gate-*",
        ),
      }
    default:
      throw refused(name.at, "state, freshness, group, policy, id or labels.KEY", name.text)
  }
}

const once = (slot: keyof AskedFilter, { at, text }: Token, before: AskedFilter): void => {
  if (before[slot] !== undefined)
    throw refused(at, slot === "label" ? "one label" : `${text} once`, "another")
}

const oneOf = <T extends string>(words: readonly T[], { at, text }: Token): T => {
  const found = words.find((word) => word === text)
  if (found === undefined) throw refused(at, words.join(", "), text)
  return found
}

const matching = (form: RegExp, { at, text }: Token, expected: string): string => {
  if (!form.test(text)) throw refused(at, expected, text)
  return text
}

const refused = (at: number, expected: string, actual: string): AssayError =>
  new AssayError("FILTER", `the filter cannot be read from character ${at + 1} on`, {
    location: `filter, character ${at + 1}`,
    expected,
    actual,
  })
