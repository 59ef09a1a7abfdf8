import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { fileLines } from "../../../src/store/backup/lines.ts"
import { throwsCode } from "../../support/assert.ts"

const test = suite("fileLines")
const folder = mkdtempSync(join(tmpdir(), "assay-lines-"))
test.after(() => rmSync(folder, { recursive: true, force: true }))

const withFile = (content: string, act: (file: number, path: string) => void): void => {
  const path = join(folder, "lines")
  writeFileSync(path, content)
  const file = openSync(path, "r")
  try {
    act(file, path)
  } finally {
    closeSync(file)
  }
}
const linesOf = (file: number): string[] => [...fileLines(file)].map((line) => new TextDecoder().decode(line))

const MIB = 1024 * 1024
const contents: [what: string, lines: readonly string[]][] = [
  ["nothing", []],
  ["one line", ["a"]],
  ["empty lines", ["", "", "a", ""]],
  ["a line that ends with what is read at a time", ["a".repeat(MIB - 1), "b"]],
  ["a line feed that begins what is read next", ["a".repeat(MIB), "b"]],
  ["lines longer than what is read at a time", ["a", "b".repeat(3 * MIB + 5), "c".repeat(MIB), "d"]],
]
for (const [what, lines] of contents)
  test(`reads ${what}, and the same again`, () =>
    withFile(lines.map((line) => `${line}\n`).join(""), (file) => {
      assert.equal(linesOf(file), lines)
      assert.equal(linesOf(file), lines)
    }))

test("refuses a last line without its end", () => {
  for (const content of ["a", "a\nb", "a".repeat(2 * MIB)])
    withFile(content, (file) => throwsCode(() => linesOf(file), "BACKUP"))
})

test("refuses a line that is too long before it has all of it", () =>
  withFile("", (file, path) => {
    truncateSync(path, 10_000 * MIB) // zeros that are not on the disk
    throwsCode(() => linesOf(file), "LENGTH")
  }))

test.run()
