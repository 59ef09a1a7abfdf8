/** TPMs of swtpm for tests, copied from ones that are made once. */
import { cpSync, existsSync, mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { type Swtpm, type SwtpmOptions, startSwtpm } from "../../src/device/swtpm.ts"
import type { HashName } from "../../src/evidence/tpm/algorithm.ts"
import { keep } from "./kept.ts"

/** Where Debian has what manufactures them. */
const SETUP = "/usr/bin/swtpm_setup"

type Kind = Pick<SwtpmOptions, "certified">

/** Where the state of such a TPM is kept, for all that are to come: to manufacture one takes a second. */
const made = async (banks: readonly HashName[], { certified = false }: Kind): Promise<string> => {
  const kind = [...banks, ...(certified ? ["certified"] : [])].join("-")
  const version = statSync(SETUP, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const kept = resolve(".cache", `swtpm-${kind}-${version}`)
  if (existsSync(kept)) return kept
  const state = mkdtempSync(join(tmpdir(), "assay-tpm-"))
  try {
    await (await startSwtpm(banks, { certified, state })).stop()
    keep(state, kept)
    return kept
  } finally {
    rmSync(state, { recursive: true })
  }
}

/** As `startSwtpm`, with a TPM that has been started before, and without the files of whoever certified its keys. */
export const copiedSwtpm = async (banks: readonly HashName[], kind: Kind = {}): Promise<Swtpm> => {
  const state = mkdtempSync(join(tmpdir(), "assay-tpm-"))
  cpSync(await made(banks, kind), state, { recursive: true })
  const swtpm = await startSwtpm(banks, { state })
  return {
    ...swtpm,
    async stop() {
      await swtpm.stop()
      rmSync(state, { recursive: true, force: true })
    },
  }
}
