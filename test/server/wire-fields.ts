/** Messages whose schema the project has not got, written and read by hand. */
import { BinaryReader } from "@bufbuild/protobuf/wire"

/** A field of text. */
export const string = (number: number, text: string): Buffer =>
  Buffer.concat([Buffer.from([(number << 3) | 2, text.length]), Buffer.from(text)])

/** Every length-delimited field of this number, in order. */
export const fieldsOf = (bytes: Uint8Array, wanted: number): Uint8Array[] => {
  const reader = new BinaryReader(bytes)
  const found: Uint8Array[] = []
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag()
    if (number === wanted) found.push(reader.bytes())
    else reader.skip(wire, number)
  }
  return found
}
