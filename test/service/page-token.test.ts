import { suite } from "uvu"
import * as assert from "uvu/assert"
import { fromBase64Url, toBase64Url } from "../../src/bytes.ts"
import { type Cursor, cursorOf, pageTokenOf } from "../../src/service/page-token.ts"
import { throwsCode } from "../support/assert.ts"

const test = suite("page tokens")

const LIST = ["devices", "default", 'group="edge"', "id"]
const CURSOR: Cursor = { id: "gate-7", createdAt: new Date("2026-11-21T12:00:00.123Z") }
const token = pageTokenOf(LIST, CURSOR)

test("names no place for the first page", () => assert.is(cursorOf(LIST, ""), undefined))

const places: [what: string, cursor: Cursor][] = [
  ["a device", CURSOR],
  ["a device of 1970", { id: "a", createdAt: new Date(0) }],
  ["a device of the last instant", { id: "a".repeat(63), createdAt: new Date(8.64e15) }],
]
for (const [what, cursor] of places)
  test(`leads to ${what} again`, () => assert.equal(cursorOf(LIST, pageTokenOf(LIST, cursor)), cursor))

const others: [what: string, list: readonly string[]][] = [
  ["P-06 of another tenant", ["devices", "other", 'group="edge"', "id"]],
  ["with another filter", ["devices", "default", "", "id"]],
  ["with the same filter in other words", ["devices", "default", "group=edge", "id"]],
  ["in another order", ["devices", "default", 'group="edge"', "id desc"]],
  ["of other things", ["enrollment-tokens", "default", 'group="edge"', "id"]],
  ["of parts that run together", ["devicesdefault", 'group="edge"', "id"]],
  ["with a part more", [...LIST, ""]],
]
for (const [what, list] of others)
  test(`refuses the token of a list ${what}`, () => {
    throwsCode(() => cursorOf(list, token), "PAGE_TOKEN")
  })

/** The token with its bytes changed. */
const changed = (change: (bytes: Buffer) => Uint8Array): string =>
  toBase64Url(change(Buffer.from(fromBase64Url(token) ?? [])))
const withId = (id: string): string =>
  changed((bytes) => Buffer.concat([bytes.subarray(0, 25), Buffer.from(id)]))

const forged: [what: string, token: string][] = [
  ["of nothing but a letter", "a"],
  ["in another alphabet", token.replace(/.$/, "+")],
  ["with padding", `${token}=`],
  ["with white space", ` ${token}`],
  ["with a newline", `${token}\n`],
  [
    "with bits left over",
    `${token.slice(0, -1)}${String.fromCharCode(token.charCodeAt(token.length - 1) + 1)}`,
  ],
  ["cut off before its id", toBase64Url((fromBase64Url(token) ?? new Uint8Array()).subarray(0, 25))],
  ["cut off within the time", toBase64Url((fromBase64Url(token) ?? new Uint8Array()).subarray(0, 20))],
  ["of another version", changed((bytes) => bytes.fill(2, 0, 1))],
  ["with another list's digest", changed((bytes) => bytes.fill(bytes.readUInt8(1) ^ 1, 1, 2))],
  ["with a time that is none", changed((bytes) => bytes.fill(0xff, 17, 25))],
  ["with a newline in its id", withId("gate\n7")],
  ["with an escape sequence of a terminal in its id", withId("\u001b[2J")],
  ["with path parts in its id", withId("../gate-7")],
  ["with a look-alike in its id", withId("g\u0430te-7")],
  ["with an id in capitals", withId("GATE-7")],
  ["with bytes that are no text in its id", changed((bytes) => Buffer.concat([bytes, Buffer.of(0xff)]))],
  ["with an id of 64 characters", withId("a".repeat(64))],
  ["of a megabyte", withId("a".repeat(1 << 20))],
]
for (const [what, forgery] of forged)
  test(`refuses G-12 a token ${what}`, () => {
    throwsCode(() => cursorOf(LIST, forgery), "PAGE_TOKEN")
  })

test.run()
