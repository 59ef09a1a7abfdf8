import { createReadStream } from "node:fs"
import { AssayError } from "../errors.ts"
import { readError } from "./input.ts"
import type { CliIo } from "./parts.ts"

const LINE_FEED = 0x0a

/**
 * The lines of a file, or of standard input for `-`, without their line feeds, as they come: a file may be larger than
 * memory.
 *
 * @throws {AssayError} INPUT if it cannot be read, or if the last line has no end; LENGTH for a line over `lineBytesMax`.
 */
export async function* readLines(
  path: string,
  { stdin }: CliIo,
  lineBytesMax: number,
): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array = new Uint8Array()
  for await (const chunk of chunksOf(path, path === "-" ? stdin : createReadStream(path))) {
    let start = 0
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      yield rest.length === 0 ? chunk.subarray(start, end) : Buffer.concat([rest, chunk.subarray(start, end)])
      rest = new Uint8Array()
      start = end + 1
    }
    if (start < chunk.length) rest = Buffer.concat([rest, chunk.subarray(start)])
    if (rest.length > lineBytesMax)
      throw new AssayError("LENGTH", `${path} has a line that is too long`, {
        location: path,
        expected: `at most ${lineBytesMax} bytes`,
      })
  }
  if (rest.length > 0)
    throw new AssayError("INPUT", `${path} ends within a line: it was cut off`, { location: path })
}

async function* chunksOf(path: string, source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of source) yield Buffer.from(chunk)
  } catch (error) {
    throw readError(path, error)
  }
}
