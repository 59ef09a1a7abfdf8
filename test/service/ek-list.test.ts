import * as fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { EK_LIST_ROWS_MAX, parseEkList } from "../../src/service/ek-list.ts"
import { throwsCode } from "../support/assert.ts"

const test = suite("parseEkList")

const A = "a".repeat(64)
const B = "b".repeat(64)
const shown = (text: string): string[][] =>
  parseEkList(text).eks.map(({ digest, label }) => [toHex(digest), label])

const accepted: readonly [name: string, text: string, rows: string[][]][] = [
  ["a row without an end", `${A},rack 4`, [[A, "rack 4"]]],
  ["a header in any case", `Digest,LABEL\r\n${A},x\r\n`, [[A, "x"]]],
  [
    "rows that end with LF",
    `${A},x\n${B},y\n`,
    [
      [A, "x"],
      [B, "y"],
    ],
  ],
  ["a digest in capitals", `${A.toUpperCase()},x`, [[A, "x"]]],
  ["an empty label", `${A},\n`, [[A, ""]]],
  ["quoted fields", `"${A}","x, ""y"""\r\n`, [[A, 'x, "y"']]],
  ["a label of 128 characters", `${A},${"x".repeat(128)}`, [[A, "x".repeat(128)]]],
]
for (const [name, text, rows] of accepted) test(`accepts ${name}`, () => assert.equal(shown(text), rows))

const refused: readonly [name: string, text: string, location: string | undefined][] = [
  ["an empty list", "", undefined],
  ["a header alone", "digest,label\n", undefined],
  ["a header twice", `digest,label\ndigest,label\n${A},x`, "row 2"],
  ["S-09 a row that is half there", `${A},x\n${B.slice(0, 40)}`, "row 2"],
  ["S-09 a digest that is half there", `${A.slice(32)},x`, "row 1"],
  ["S-09 a quote that does not end", `${A},x\n${B},"y`, "row 2"],
  ["a digest of 63 digits", `${A.slice(1)},x`, "row 1"],
  ["a digest of 65 digits", `${A}a,x`, "row 1"],
  ["a digest that is none", `${"g".repeat(64)},x`, "row 1"],
  ["a digest with a space", ` ${A},x`, "row 1"],
  ["a row without a label", `${A}\n`, "row 1"],
  ["a third field", `${A},x,y`, "row 1"],
  ["an empty row", `${A},x\n\n${B},y\n`, "row 2"],
  ["an empty row at the end", `${A},x\n\n`, "row 2"],
  ["a quote within a field", `${A},x"y`, "row 1"],
  ["something behind a quoted field", `${A},"x"y`, "row 1"],
  ["a bare carriage return", `${A},x\r${B},y`, "row 1"],
  ["a label of two lines", `${A},"x\ny"`, "row 1"],
  ["a label that steers a terminal", `${A},\u001b[2J`, "row 1"],
  ["a label that is not ASCII", `${A},ü`, "row 1"],
  ["a label of 129 characters", `${A},${"x".repeat(129)}`, "row 1"],
  ["a key with two labels", `${A},x\n${A.toUpperCase()},y`, "row 2"],
  ["a semicolon for a comma", `${A};x`, "row 1"],
]
for (const [name, text, location] of refused)
  test(`refuses ${name}`, () => assert.is(throwsCode(() => parseEkList(text), "INPUT").location, location))

test("counts what is said twice, and takes it once", () => {
  const { eks, duplicates } = parseEkList(`${A},x\n${B},y\n${A},x\n`)
  assert.equal([eks.length, duplicates], [2, 1])
})

const rows = (count: number): string =>
  Array.from({ length: count }, (_, i) => `${i.toString(16).padStart(64, "0")},"device ${i}"\n`).join("")

test("reads the longest list, and refuses one row more", () => {
  const longest = rows(EK_LIST_ROWS_MAX)
  const start = performance.now()
  assert.is(parseEkList(longest).eks.length, EK_LIST_ROWS_MAX)
  assert.ok(performance.now() - start < 5000)
  throwsCode(() => parseEkList(rows(EK_LIST_ROWS_MAX + 1)), "LENGTH")
})

test("ends soon on a long text of quotes", () => {
  const start = performance.now()
  for (const text of ['"'.repeat(1_000_001), `"${'""'.repeat(500_000)}`, `"${"x".repeat(1_000_000)}`])
    throwsCode(() => parseEkList(text), "INPUT")
  assert.ok(performance.now() - start < 2000)
})

test("reads back whatever is written as RFC 4180 says", () => {
  const row = fc.tuple(
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
    fc.string({
      unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
      maxLength: 128,
    }),
  )
  fc.assert(
    fc.property(
      fc.uniqueArray(row, { minLength: 1, maxLength: 20, selector: ([digest]) => toHex(digest) }),
      (written) => {
        const text = written.map(([digest, label]) => `${toHex(digest)},"${label.replaceAll('"', '""')}"\r\n`)
        assert.equal(
          shown(text.join("")),
          written.map(([digest, label]) => [toHex(digest), label]),
        )
      },
    ),
  )
})

test.run()
