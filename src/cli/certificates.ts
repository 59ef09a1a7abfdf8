import { readItems } from "../service/certificate-file.ts"
import { readInput } from "./input.ts"
import type { CliIo } from "./parts.ts"

/** DER of every certificate in the files, in their order. @throws {AssayError} INPUT, LENGTH. */
export async function readChain(files: readonly string[] = [], io: CliIo): Promise<Uint8Array[]> {
  const chain: Uint8Array[] = []
  for (const file of files)
    for (const { der } of readItems(await readInput(file, io), file, "certificate")) chain.push(der)
  return chain
}
