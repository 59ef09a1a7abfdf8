import { readSync } from "node:fs"
import { AssayError } from "../../errors.ts"

/** The largest revocation list in base64url, and room for the rest. */
const LINE_BYTES_MAX = 96 * 1024 * 1024
const CHUNK_BYTES = 1024 * 1024
const LINE_FEED = 0x0a

/**
 * The lines of an open file from its start, without their line feeds. Each is read when it is asked for, and none is kept:
 * a backup may be larger than memory, and is read in the middle of a transaction that cannot wait.
 *
 * @throws {AssayError} BACKUP if the last line has no end; LENGTH for a line over 96 MiB.
 */
export function* fileLines(file: number): Generator<Uint8Array> {
  const chunk = Buffer.alloc(CHUNK_BYTES)
  let parts: Buffer[] = []
  let size = 0
  let position = 0
  for (;;) {
    const count = readSync(file, chunk, 0, CHUNK_BYTES, position)
    if (count === 0) break
    position += count
    const read = chunk.subarray(0, count)
    let start = 0
    for (let end = read.indexOf(LINE_FEED); end >= 0; end = read.indexOf(LINE_FEED, start)) {
      yield Buffer.concat([...parts, read.subarray(start, end)])
      parts = []
      size = 0
      start = end + 1
    }
    if (start === count) continue
    parts.push(Buffer.from(read.subarray(start)))
    size += count - start
    if (size > LINE_BYTES_MAX)
      throw new AssayError("LENGTH", "a line is too long for a backup", {
        expected: `at most ${LINE_BYTES_MAX} bytes`,
      })
  }
  if (parts.length > 0) throw new AssayError("BACKUP", "the file ends within a line: it was cut off")
}
