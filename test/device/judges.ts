import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { toHex } from "../../src/bytes.ts"
import { pcrFile } from "../../src/device/pcrfile.ts"
import { parseAttest } from "../../src/evidence/tpm/attest.ts"

/** Runs `act` in a folder with these files, and removes it. */
export const withFiles = <T>(files: Readonly<Record<string, Uint8Array>>, act: (folder: string) => T): T => {
  const folder = mkdtempSync(join(tmpdir(), "assay-judge-"))
  try {
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes)
    return act(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What a program printed; throws if it does not end with status 0. */
export const output = (folder: string, program: string, ...parameters: readonly string[]): string =>
  execFileSync(program, parameters, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })

/** Whether a program ends with status 0. */
export const accepts = (folder: string, program: string, ...parameters: readonly string[]): boolean =>
  spawnSync(program, parameters, { cwd: folder, stdio: "ignore" }).status === 0

/** What `tpm2_checkquote` is given. */
export interface Shown {
  readonly akPublic: Uint8Array
  readonly attest: Uint8Array
  readonly signature: Uint8Array
  /** All values, in the order of the signed selection. */
  readonly values: Uint8Array
}

/** Whether tpm2_checkquote accepts the quote as one over `extraData`. */
export const checkquote = (shown: Shown, extraData: Uint8Array, hash: string): boolean => {
  const { attested } = parseAttest(shown.attest)
  if (attested.kind !== "quote") throw new TypeError("not a quote")
  const { akPublic, attest, signature } = shown
  return withFiles(
    { akPublic, attest, signature, pcrs: pcrFile(attested.pcrSelect, shown.values) },
    (folder) => {
      const files = ["-u", "akPublic", "-m", "attest", "-s", "signature", "-f", "pcrs"]
      return accepts(folder, "tpm2_checkquote", ...files, "-g", hash, "-q", toHex(extraData))
    },
  )
}
